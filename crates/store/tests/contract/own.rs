//! What the line's owner writes on another device.

use std::sync::Arc;

use switchboard_model::{
    EventKind, Message,
    chat::Service,
    event::MessageEvent,
    link::{Inbound, InboundChat, OwnMessage},
};
use switchboard_store::{Refusal, Store};

use crate::world::{
    ANN, BOB, World, chat_with, contact, data, group, kinds, later, limit, refusal, sent, text_from,
};

pub(crate) fn own_in(chat: InboundChat, guid: &str) -> Inbound {
    Inbound::Own(OwnMessage {
        guid: guid.into(),
        chat,
        text: Some(format!("own {guid}")),
        sent_at: later(-1000),
        service: Service::Sms,
        reply_to_guid: Some("g0".into()),
        attachments: Vec::new(),
        is_audio_message: false,
    })
}

pub(crate) async fn messages(world: &World, who: &str) -> Vec<Message> {
    let page = world.store.messages(world.account, world.line, contact(who), None, limit(99)).await;
    page.map(|page| page.rows).unwrap_or_default()
}

pub(crate) async fn it_is_a_message_of_the_line_and_told_as_sent(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let hooks = [
        world.webhook(&[EventKind::MessageSent]).await,
        world.webhook(&[EventKind::MessageReceived]).await,
    ];
    let received = world.receive(vec![own_in(chat_with(ANN), "o1")]).await;
    assert_eq!(kinds(&received.committed), [EventKind::MessageSent]);
    let told_to: Vec<_> = received.committed.deliveries.iter().map(|one| one.webhook_id).collect();
    assert_eq!(told_to, hooks[..1]);
    let told: MessageEvent = data(&received.committed.events[0]);
    assert_eq!(told.line_handle.as_str(), "+15550100001");
    let message = told.message;
    assert_eq!((message.is_from_me, message.outbox_id), (true, None));
    assert_eq!(
        (message.sender.as_str(), message.text.as_deref()),
        ("+15550100001", Some("own o1"))
    );
    assert_eq!(
        (message.service, message.reply_to_guid.as_deref()),
        (Some(Service::Sms), Some("g0"))
    );
    assert_eq!(messages(&world, ANN).await, std::slice::from_ref(&message));
    let chat = world.chat(message.chat_id).await;
    assert_eq!((chat.has_received_inbound, chat.last_message_at), (false, Some(later(-1000))));
    assert_eq!(chat.service, Service::Sms);
    // Once, however often and in whatever words it is told.
    for again in [own_in(chat_with(ANN), "o1"), text_from(ANN, "o1"), own_in(chat_with(BOB), "o1")]
    {
        let again = world.receive(vec![again]).await;
        assert!(again.committed.events.is_empty());
        assert_eq!(again.results[0].message_id, Some(message.id));
    }
    assert!(messages(&world, BOB).await.is_empty());
    // In a group too; and what is without an identity is one each.
    let entries = vec![
        own_in(group("g", &[ANN, BOB]), "o2"),
        own_in(chat_with(BOB), ""),
        own_in(chat_with(BOB), " "),
    ];
    let received = world.receive(entries).await;
    assert_eq!(kinds(&received.committed), [EventKind::MessageSent; 3]);
    assert_eq!(messages(&world, BOB).await.len(), 2);
    // It is nobody else's.
    assert!(
        store.chats(world.other_account, world.line, None, limit(9)).await.unwrap().rows.is_empty()
    );
}

pub(crate) async fn it_is_no_word_of_the_contact(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let strict = switchboard_store::NewLine {
        contact_first: true,
        ..crate::world::new_line(world.account, "+15550100003")
    };
    let line = store.create_line(strict).await.unwrap().line.id;
    let own = vec![own_in(chat_with(ANN), "o1")];
    store.receive(world.link, line, "1".into(), own, later(0)).await.unwrap();
    let write =
        || switchboard_store::Accept { line_id: line, ..world.draft(contact(ANN), "hello") };
    let refused = store.accept(write(), None, later(1)).await;
    assert_eq!(refusal(refused), Refusal::ContactHasNotMessaged);
    let text = vec![text_from(ANN, "g1")];
    store.receive(world.link, line, "2".into(), text, later(2)).await.unwrap();
    store.accept(write(), None, later(3)).await.unwrap();
}

pub(crate) async fn what_an_item_made_is_not_a_second_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    // Told after the report: known.
    let first = world.claimed(ANN, "first").await;
    world.settle(first, sent("s1")).await;
    let echo = world.receive(vec![own_in(chat_with(ANN), "s1")]).await;
    assert!(echo.committed.events.is_empty());
    assert_eq!(echo.results[0].message_id, world.item(first).await.message_id);
    // Told before it: the report joins the two, and says once more that it is sent, now with its item.
    let second = world.claimed(ANN, "second").await;
    let early = world.receive_one(own_in(chat_with(ANN), "s2")).await;
    let committed = world.settle(second, sent("s2")).await;
    assert_eq!(kinds(&committed), [EventKind::MessageSent]);
    let told: MessageEvent = data(&committed.events[0]);
    assert_eq!((Some(told.message.id), told.message.outbox_id), (early.message_id, Some(second)));
    assert_eq!(world.item(second).await.message_id, early.message_id);
    let all = messages(&world, ANN).await;
    let items: Vec<_> = all.iter().map(|one| (one.guid.as_str(), one.outbox_id)).collect();
    assert_eq!(items, [("s2", Some(second)), ("s1", Some(first))]);
}
