//! What becomes of a message late: it fails after it was sent, goes by another way, or gets its files.

use std::sync::Arc;

use switchboard_model::{
    Message, Timestamp,
    chat::Service,
    id::Id,
    link::{Inbound, InboundUpdate, LinkedFile, SendFailure},
};
use switchboard_store::Store;

use crate::{
    files::{linked, new_file},
    updates::{of, told},
    world::{ANN, World, later, sent, text_from},
};

pub(crate) async fn what_was_sent_may_fail_after_all(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.claimed(ANN, "hello").await;
    world.settle(id, sent("s1")).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let failed = |guid: &str, error: &str, at: i64| InboundUpdate {
        failed: Some(SendFailure { error: error.into(), at: later(at) }),
        ..of(guid)
    };
    let message = told(&world, failed("s1", "not delivered", 20)).await.unwrap();
    assert_eq!(
        (message.failed_at, message.error.as_deref()),
        (Some(later(20)), Some("not delivered"))
    );
    assert_eq!(message.outbox_id, Some(id));
    for again in
        [failed("s1", "not delivered", 20), failed("s1", "another", 30), failed("s1", "x", 1)]
    {
        assert_eq!(told(&world, again).await, None, "what was told first stays");
    }
    assert_eq!(
        told(&world, failed("g1", "no", 20)).await,
        None,
        "only what the line sent can fail"
    );
    let item = world.item(id).await;
    assert_eq!((item.message_id, item.error), (Some(message.id), None), "the item was handed over");
}

pub(crate) async fn it_may_have_gone_another_way(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.claimed(ANN, "hello").await;
    world.settle(id, sent("s1")).await;
    let by = |service| InboundUpdate { service: Some(service), ..of("s1") };
    assert_eq!(told(&world, by(Service::IMessage)).await, None);
    assert_eq!(told(&world, by(Service::Sms)).await.unwrap().service, Some(Service::Sms));
    assert_eq!(told(&world, by(Service::Sms)).await, None);
}

pub(crate) async fn files_may_come_later(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let upload = async |name: &str| {
        let mut file = new_file("image/png", later(0));
        file.filename = Some(name.into());
        store.create_bridge_file(world.bridge, world.line, file.clone()).await.unwrap();
        linked(&file, None)
    };
    let with = |files: &[&LinkedFile]| InboundUpdate {
        attachments: Some(files.iter().copied().cloned().collect()),
        ..of("g1")
    };
    let ids = |message: &Message| -> Vec<_> {
        message.attachments.iter().map(|file| file.file_id).collect()
    };
    let (one, two) = (upload("one").await, upload("two").await);
    let message = told(&world, with(&[&one])).await.unwrap();
    assert_eq!(ids(&message), [Some(one.file_id)]);
    let message = told(&world, with(&[&one, &two])).await.unwrap();
    assert_eq!(ids(&message), [Some(one.file_id), Some(two.file_id)]);
    // The same again, even if it was uploaded again, is nothing new.
    let again = upload("two").await;
    for same in [with(&[&one, &two]), with(&[&one, &again])] {
        assert_eq!(told(&world, same).await, None);
    }
    let said = LinkedFile { transcription: Some("what was said".into()), ..two.clone() };
    let message = told(&world, with(&[&one, &said])).await.unwrap();
    assert_eq!(message.attachments[1].transcription.as_deref(), Some("what was said"));
    assert_eq!(told(&world, with(&[&one, &two])).await, None, "what was said is not unsaid");
    for fewer in [with(&[&one]), with(&[&again]), with(&[])] {
        assert_eq!(told(&world, fewer).await, None, "it was made before the others came");
    }
    // What has no file of this line has no bytes; what goes is forgotten.
    let nobodys = LinkedFile { file_id: Id::generate(), filename: Some("x".into()), ..one.clone() };
    let message = told(&world, with(&[&nobodys])).await.unwrap();
    assert_eq!(ids(&message), [None]);
    let forget = async |now: i64, before: Timestamp| {
        store.forget_left_files(later(now), before, 10).await.unwrap()
    };
    assert!(forget(10, later(0)).await.is_empty());
    let mut gone = forget(30, later(20)).await;
    gone.sort();
    let mut both = [one.file_id, two.file_id];
    both.sort();
    assert_eq!(gone, both);
    // Of what was taken back nothing is shown, whenever its files come.
    let back = InboundUpdate { unsent_at: Some(later(40)), ..with(&[&again]) };
    assert!(told(&world, back).await.unwrap().attachments.is_empty());
    assert_eq!(told(&world, with(&[&again])).await, None);
    assert!(matches!(text_from(ANN, "g1"), Inbound::Message(_)));
}
