//! What turns out later of items that failed because nobody knew.

use std::sync::Arc;

use switchboard_model::{
    EventKind, OutboxItem, ReactionType, Timestamp,
    event::{FailedEvent, MessageEvent},
    id::Id,
    link::{Inbound, InboundMessage, Outcome, Report},
    message::MessageRef,
    outbox::{EXPIRED, EXPIRY_MS, IDENTITY_OF_ANOTHER, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_store::{Committed, Link, NewContent, Store, StoreError};

use crate::{
    files::{new_file, uploaded, with},
    own::{messages, own_in},
    world::{ANN, BOB, LEASE, World, chat_with, data, kinds, later, sent, text_from},
};

const LATER: i64 = 5000;

async fn resolve(world: &World, id: Id<OutboxItem>, outcome: Outcome) -> Committed {
    let reports = vec![Report { id, outcome }];
    world.store.resolve(world.link, reports, later(LATER)).await.unwrap()
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: error.into() }
}

/// An item of which nobody knows whether it was sent.
async fn unknown(world: &World, text: &str) -> Id<OutboxItem> {
    let id = world.claimed(ANN, text).await;
    world.settle(id, Outcome::Unknown).await;
    id
}

pub(crate) async fn it_was_sent_after_all(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    // A report of it, and a lease that ran out: nobody knows of either.
    let told = unknown(&world, "told").await;
    let lapsed = world.claimed(ANN, "lapsed").await;
    assert_eq!(store.expire(LEASE.into(), 10).await.unwrap().events.len(), 1);
    for (id, guid) in [(told, "s1"), (lapsed, "s2")] {
        let committed = resolve(&world, id, sent(guid)).await;
        assert_eq!(kinds(&committed), [EventKind::MessageSent]);
        let event: MessageEvent = data(&committed.events[0]);
        let item = world.item(id).await;
        assert_eq!((item.status, item.error, item.attempts), (OutboxStatus::Sent, None, 1));
        assert_eq!(
            (item.message_id, item.completed_at),
            (Some(event.message.id), Some(later(LATER)))
        );
        assert_eq!((event.message.guid.as_str(), event.message.outbox_id), (guid, Some(id)));
        assert_eq!(messages(&world, ANN).await[0], event.message);
        // Once.
        for again in [sent(guid), sent("s9"), failed("no"), Outcome::Unknown] {
            assert!(resolve(&world, id, again).await.events.is_empty());
        }
        assert_eq!(world.item(id).await.status, OutboxStatus::Sent);
    }
    assert!(world.claim(10).await.is_empty(), "nothing is sent again");
    assert_eq!(messages(&world, ANN).await.len(), 2);
}

pub(crate) async fn it_failed_and_now_it_is_known_why(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = unknown(&world, "hello").await;
    // Still nobody knows.
    for nothing in [failed(MAY_HAVE_BEEN_HANDED_OVER), Outcome::Unknown, Outcome::Released] {
        assert!(resolve(&world, id, nothing).await.events.is_empty());
    }
    let committed = resolve(&world, id, failed("no such number")).await;
    assert_eq!(kinds(&committed), [EventKind::MessageFailed]);
    let told: FailedEvent = data(&committed.events[0]);
    assert_eq!(told.item.error.as_deref(), Some("no such number"));
    assert_eq!(told.item, world.item(id).await);
    for again in [failed("another"), sent("s1")] {
        assert!(resolve(&world, id, again).await.events.is_empty());
    }
    let item = world.item(id).await;
    assert_eq!((item.status, item.attempts), (OutboxStatus::Failed, 1));
    assert!(world.claim(10).await.is_empty() && messages(&world, ANN).await.is_empty());
}

pub(crate) async fn what_is_known_is_not_touched(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let refused = world.claimed(ANN, "refused").await;
    world.settle(refused, failed("refused")).await;
    let done = world.claimed(ANN, "done").await;
    world.settle(done, sent("s1")).await;
    let other = world.claimed(ANN, "another").await;
    world.settle(other, sent("s1")).await;
    let expired = world.accept(ANN, "expired").await;
    let end = i64::try_from(EXPIRY_MS).unwrap() + 1;
    store.expire(later(end).into(), 10).await.unwrap();
    let claimed = world.claimed(ANN, "claimed").await;
    let pending = world.accept(ANN, "pending").await;
    let items = [refused, done, other, expired, claimed, pending];
    let mut before = Vec::new();
    for id in items {
        before.push(world.item(id).await);
    }
    let errors: Vec<_> = before.iter().map(|item| item.error.as_deref()).collect();
    let expected = [Some("refused"), None, Some(IDENTITY_OF_ANOTHER), Some(EXPIRED), None, None];
    assert_eq!(errors, expected);
    for (id, before) in items.into_iter().zip(before) {
        for outcome in [sent("s2"), failed("no")] {
            assert!(resolve(&world, id, outcome).await.events.is_empty());
        }
        assert_eq!(world.item(id).await, before);
    }
    assert!(resolve(&world, Id::generate(), sent("s2")).await.events.is_empty());
    // Only the bridge of the line knows, by its newest link.
    assert_eq!(world.claim(1).await, [pending]);
    let id = unknown(&world, "unknown").await;
    let report = || vec![Report { id, outcome: sent("s3") }];
    let stranger = Link { bridge: Id::generate(), epoch: 0 };
    assert!(store.resolve(stranger, report(), later(LATER)).await.unwrap().events.is_empty());
    store.open_link(world.bridge, Timestamp(0)).await.unwrap();
    let fenced = store.resolve(world.link, report(), later(LATER)).await.unwrap_err();
    assert!(matches!(fenced, StoreError::Fenced));
    assert_eq!(world.item(id).await.status, OutboxStatus::Failed);
}

pub(crate) async fn it_is_joined_to_what_was_told_before(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = unknown(&world, "hello").await;
    let own = world.receive_one(own_in(chat_with(ANN), "s1")).await;
    let committed = resolve(&world, id, sent("s1")).await;
    let told: MessageEvent = data(&committed.events[0]);
    assert_eq!((Some(told.message.id), told.message.outbox_id), (own.message_id, Some(id)));
    assert_eq!(messages(&world, ANN).await, [told.message]);
    assert_eq!(world.item(id).await.message_id, own.message_id);
    // Nobody else's message becomes it.
    world.receive_one(text_from(ANN, "theirs")).await;
    world.receive_one(own_in(chat_with(BOB), "to bob")).await;
    for guid in ["theirs", "to bob", "s1"] {
        let id = unknown(&world, "another").await;
        assert_eq!(kinds(&resolve(&world, id, sent(guid)).await), [EventKind::MessageFailed]);
        assert_eq!(world.item(id).await.error.as_deref(), Some(IDENTITY_OF_ANOTHER));
    }
}

pub(crate) async fn its_files_are_held_again(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let forget = async |now: i64, before: i64| {
        store.forget_left_files(later(now), later(before), 10).await.unwrap()
    };
    let unknown_with = async |file| {
        world.try_write(ANN, with(file)).await.unwrap();
        let id = world.claim(1).await[0];
        world.settle(id, Outcome::Unknown).await;
        id
    };
    let kept = uploaded(&world, world.account, "image/png").await;
    let id = unknown_with(kept).await;
    resolve(&world, id, sent("s1")).await;
    assert_eq!(messages(&world, ANN).await[0].attachments[0].file_id, Some(kept));
    // One that failed after all was left once, not twice: another message holds it still.
    let shared = uploaded(&world, world.account, "image/png").await;
    world.try_write(ANN, with(shared)).await.unwrap();
    let sent_with = world.claim(1).await[0];
    world.settle(sent_with, sent("s2")).await;
    let id = unknown_with(shared).await;
    resolve(&world, id, failed("no")).await;
    // So was one whose message has files of its own.
    let id = unknown_with(shared).await;
    let came = new_file("image/png", later(0));
    store.create_bridge_file(world.bridge, world.line, came.clone()).await.unwrap();
    let Inbound::Own(own) = own_in(chat_with(ANN), "s3") else { unreachable!() };
    let linked = crate::files::linked(&came, None);
    let own = switchboard_model::link::OwnMessage { attachments: vec![linked], ..own };
    world.receive_one(Inbound::Own(own)).await;
    resolve(&world, id, sent("s3")).await;
    assert_eq!(messages(&world, ANN).await[0].attachments[0].file_id, Some(came.id));
    assert!(forget(10, 0).await.is_empty() && forget(20, 11).await.is_empty(), "all are held");
    // What is gone meanwhile is shown without its bytes.
    let gone = uploaded(&world, world.account, "image/png").await;
    let id = unknown_with(gone).await;
    assert!(forget(30, 0).await.is_empty());
    assert_eq!(forget(50, 40).await, [gone]);
    resolve(&world, id, sent("s4")).await;
    let attachment = messages(&world, ANN).await.remove(0).attachments.remove(0);
    assert_eq!((attachment.file_id, attachment.mime_type.as_deref()), (None, Some("image/png")));
}

pub(crate) async fn what_is_no_message_has_happened(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.advance().await;
    let Inbound::Message(text) = text_from(ANN, "g1") else { unreachable!() };
    world.receive_one(Inbound::Message(InboundMessage { ..text })).await;
    let love = NewContent::Reaction {
        message: MessageRef::Guid("g1".into()),
        reaction_type: ReactionType::Love,
        remove: false,
    };
    world.try_write(ANN, love).await.unwrap();
    let id = world.claim(1).await[0];
    world.settle(id, Outcome::Unknown).await;
    assert_eq!(kinds(&resolve(&world, id, sent("r1")).await), [EventKind::ReactionAdded]);
    let item = world.item(id).await;
    assert_eq!((item.status, item.message_id, item.error), (OutboxStatus::Sent, None, None));
}
