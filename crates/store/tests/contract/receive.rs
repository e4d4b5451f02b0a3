use std::sync::Arc;

use switchboard_model::{
    EventKind,
    chat::{MAX_IDENTIFIER_LEN, Recipient, Service},
    event::MessageEvent,
    id::Id,
    link::{Edit, Inbound, InboundChat, InboundUpdate, MAX_POSITION_BYTES},
    message::{MAX_GUID_LEN, MessageRef},
};
use switchboard_store::{Link, Refusal, Store};

use crate::world::{
    ANN, BOB, NOW, World, contact, group, handle, later, limit, refusal, text_from, text_in,
};

pub(crate) async fn what_comes_in_is_a_message_an_event_and_a_chat(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&[EventKind::MessageReceived]).await;
    let received = world.receive(vec![text_from(ANN, "g1"), text_from(BOB, "g2")]).await;
    assert_eq!(received.results.len(), 2);
    assert_eq!(received.committed.events.len(), 2);
    assert!(received.committed.deliveries.iter().all(|one| one.webhook_id == webhook));
    assert!(received.committed.events[0].position < received.committed.events[1].position);
    let told: MessageEvent = serde_json::from_str(received.committed.events[0].data.get()).unwrap();
    assert_eq!(Some(told.message.id), received.results[0].message_id);
    assert_eq!((told.message.sender.as_str(), told.message.is_from_me), (ANN, false));
    let chat = world.chat(received.results[0].chat_id.unwrap()).await;
    assert_eq!((chat.identifier.as_str(), chat.is_group), (ANN, Some(false)));
    assert_eq!((chat.has_received_inbound, chat.last_message_at), (true, Some(later(-1000))));
    assert_eq!((chat.participants, chat.service), (Some(vec![ANN.into()]), Service::IMessage));
}

pub(crate) async fn the_same_guid_is_one_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let first = world.receive_one(text_from(ANN, "g1")).await;
    let again =
        world.receive(vec![text_from(ANN, "g1"), text_from(ANN, "g2"), text_from(ANN, "g2")]).await;
    assert_eq!(again.results[0], first);
    assert_eq!(again.results[1], again.results[2]);
    assert_eq!(again.committed.events.len(), 1);
    let shown =
        store.messages(world.account, world.line, contact(ANN), None, limit(10)).await.unwrap();
    assert_eq!(shown.rows.len(), 2);
    // On another line the same guid is another message.
    let other = store
        .receive(world.link, world.other_line, "1".into(), vec![text_from(ANN, "g1")], NOW)
        .await
        .unwrap();
    assert_ne!(other.results[0].message_id, first.message_id);
}

pub(crate) async fn the_place_is_kept(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let place = async || {
        let lines = store.carried_lines(world.bridge).await.unwrap();
        lines.into_iter().find(|line| line.id == world.line).unwrap().position
    };
    assert_eq!(place().await, None);
    for position in ["7", "8"] {
        store.receive(world.link, world.line, position.into(), vec![], NOW).await.unwrap();
        assert_eq!(place().await.as_deref(), Some(position));
    }
}

pub(crate) async fn groups_follow_their_driver(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let made = world.receive_one(Inbound::Group { chat: group("chat1", &[ANN]) }).await;
    assert_eq!(made.message_id, None);
    let chat = world.chat(made.chat_id.unwrap()).await;
    assert_eq!((chat.name.as_deref(), chat.is_group), (Some("Friends"), Some(true)));
    assert_eq!((chat.has_received_inbound, chat.last_message_at), (false, None));
    let renamed = InboundChat::Group {
        identifier: "chat1".into(),
        name: Some("Family".into()),
        participants: vec![handle(ANN), handle(BOB)],
    };
    let same = world.receive_one(text_in(renamed, BOB, "g1")).await;
    assert_eq!(same.chat_id, made.chat_id);
    let chat = world.chat(made.chat_id.unwrap()).await;
    assert_eq!((chat.name.as_deref(), chat.has_received_inbound), (Some("Family"), true));
    assert_eq!(chat.participants, Some(vec![ANN.into(), BOB.into()]));
}

pub(crate) async fn only_the_lines_bridge_tells(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for (bridge, line) in [(Id::generate(), world.line), (world.bridge, Id::generate())] {
        let told = store
            .receive(Link { bridge, epoch: 0 }, line, "1".into(), vec![text_from(ANN, "g")], NOW)
            .await;
        assert_eq!(refusal(told), Refusal::LineNotFound);
    }
    assert!(store.chats(world.account, world.line, None, limit(10)).await.unwrap().rows.is_empty());
}

pub(crate) async fn what_is_too_long_is_neither_lost_nor_merged(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let long = |last: &str| format!("{}{last}", "x".repeat(5000));
    let told = vec![
        text_in(group(&long("1"), &[ANN]), ANN, &long("1")),
        text_in(group(&long("2"), &[ANN]), ANN, &long("2")),
        text_in(group(&long("1"), &[ANN]), ANN, &long("1")),
    ];
    let results = world.receive(told).await.results;
    assert_eq!(results[0], results[2]);
    assert_ne!(results[0].message_id, results[1].message_id);
    assert_ne!(results[0].chat_id, results[1].chat_id);
    assert!(world.chat(results[0].chat_id.unwrap()).await.identifier.len() <= MAX_IDENTIFIER_LEN);
    let chat = Recipient::Chat(results[0].chat_id.unwrap());
    let shown = store.messages(world.account, world.line, chat, None, limit(10)).await.unwrap();
    assert!(shown.rows[0].guid.len() <= MAX_GUID_LEN);
    // A text is kept whole.
    assert!(shown.rows[0].text.as_ref().is_some_and(|text| text.len() > 5000));
}

pub(crate) async fn a_group_is_never_a_contact(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let contact = world.receive_one(text_from(ANN, "g1")).await;
    let group = world.receive_one(text_in(group(ANN, &[BOB]), BOB, "g2")).await;
    assert_ne!(contact.chat_id, group.chat_id);
}

pub(crate) async fn what_has_no_identity_is_neither_lost_nor_repeated(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let told = || vec![text_from(ANN, ""), text_from(BOB, ""), text_from(ANN, " ")];
    let first = world.receive(told()).await;
    assert_eq!(first.committed.events.len(), 3, "each is a message of its own");
    let again = world.receive(told()).await;
    assert_eq!((again.results, again.committed.events.len()), (first.results, 0));
}

pub(crate) async fn a_place_that_is_too_long_is_not_kept(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let place = async || {
        let lines = store.carried_lines(world.bridge).await.unwrap();
        lines.into_iter().find(|line| line.id == world.line).unwrap().position
    };
    let told = async |position: String, guid: &str| {
        let entries = vec![text_from(ANN, guid)];
        store.receive(world.link, world.line, position, entries, NOW).await.unwrap()
    };
    told("7".into(), "g1").await;
    let taken = told("8".repeat(MAX_POSITION_BYTES + 1), "g2").await;
    assert_eq!(taken.committed.events.len(), 1, "what comes with it is taken");
    assert_eq!(place().await.as_deref(), Some("7"));
    told("9".repeat(MAX_POSITION_BYTES), "g3").await;
    assert_eq!(place().await.map(|place| place.len()), Some(MAX_POSITION_BYTES));
}

pub(crate) async fn what_no_text_should_say_stops_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let named = InboundChat::Group {
        identifier: "g\0".into(),
        name: Some("Fri\0ends".into()),
        participants: vec![handle(ANN)],
    };
    let told =
        || vec![text_in(named.clone(), ANN, "a\0b"), text_from(BOB, "ab"), text_from(BOB, "c")];
    let receive = async |entries| {
        store.receive(world.link, world.line, "1\0".into(), entries, NOW).await.unwrap()
    };
    let first = receive(told()).await;
    assert_eq!(first.committed.events.len(), 3, "each is a message of its own");
    let again = receive(told()).await;
    assert_eq!((&again.results, again.committed.events.len()), (&first.results, 0));
    let found = store.find_messages(world.account, MessageRef::Guid("a\0b".into())).await.unwrap();
    assert_eq!(found, [(world.line, first.results[0].message_id.unwrap())]);
    let known = store.known_history(world.bridge, world.line, vec!["a\0b".into()]).await.unwrap();
    assert_eq!(known.known, [("a\0b".to_owned(), 0)]);
    let edit = Edit { text: Some("x\0y".into()), edited_at: NOW };
    let update = InboundUpdate { edit: Some(edit), ..InboundUpdate::of(named.clone(), "a\0b") };
    let updated = receive(vec![Inbound::Update(update)]).await;
    assert_eq!((&updated.results[0], updated.committed.events.len()), (&first.results[0], 1));
}
