//! What becomes of a message after it was there: edited, unsent, delivered, read.

use std::sync::Arc;

use switchboard_model::{
    EventKind, Message,
    event::MessageEvent,
    file::{ContentHash, StoredFile},
    id::Id,
    link::{Edit, Inbound, InboundChat, InboundMessage, InboundUpdate, LinkedFile, Outcome},
};
use switchboard_store::Store;

use crate::world::{
    ANN, BOB, NOW, World, chat_with, contact, data, group, kinds, later, limit, sent, text_from,
    text_in,
};

pub(crate) fn of(guid: &str) -> InboundUpdate {
    InboundUpdate::of(chat_with(ANN), guid)
}

fn edit(guid: &str, text: &str, at: i64) -> InboundUpdate {
    let edit = Edit { text: Some(text.into()), edited_at: later(at) };
    InboundUpdate { edit: Some(edit), ..of(guid) }
}

fn unsent(guid: &str, at: i64) -> InboundUpdate {
    InboundUpdate { unsent_at: Some(later(at)), ..of(guid) }
}

/// Tells it: what is told on, if anything.
pub(crate) async fn told(world: &World, update: InboundUpdate) -> Option<Message> {
    let received = world.receive(vec![Inbound::Update(update)]).await;
    let [event] = &received.committed.events[..] else {
        assert!(received.committed.events.is_empty());
        return None;
    };
    assert_eq!(event.kind, EventKind::MessageUpdated);
    let told: MessageEvent = data(event);
    assert_eq!(told.line_handle.as_str(), "+15550100001");
    assert_eq!(event.chat_id, Some(told.message.chat_id));
    assert_eq!(received.results[0].message_id, Some(told.message.id));
    assert_eq!(received.results[0].chat_id, Some(told.message.chat_id));
    assert_eq!(shown(world, &told.message.guid).await, told.message, "as it is listed");
    Some(told.message)
}

async fn shown(world: &World, guid: &str) -> Message {
    let page = world.store.messages(world.account, world.line, contact(ANN), None, limit(99)).await;
    page.unwrap().rows.into_iter().find(|message| message.guid == guid).unwrap()
}

pub(crate) async fn a_newer_text_takes_the_place_of_an_older_one(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let webhooks = [
        world.webhook(&[EventKind::MessageUpdated]).await,
        world.webhook(&[EventKind::MessageReceived, EventKind::MessageSent]).await,
    ];
    let before = shown(&world, "g1").await;
    assert_eq!(
        [before.edited_at, before.unsent_at, before.delivered_at, before.read_at],
        [None; 4]
    );
    let received = world.receive(vec![Inbound::Update(edit("g1", "two", 20))]).await;
    let hooks: Vec<_> =
        received.committed.deliveries.iter().map(|delivery| delivery.webhook_id).collect();
    assert_eq!(hooks, webhooks[..1], "only who names it is told");
    let after = Message { text: Some("two".into()), edited_at: Some(later(20)), ..before };
    assert_eq!(shown(&world, "g1").await, after);
    // Told twice, or late: nothing.
    for (text, at) in [("two", 20), ("one", 19), ("another", 20)] {
        assert_eq!(told(&world, edit("g1", text, at)).await, None, "{text} {at}");
    }
    let third = told(&world, edit("g1", "three", 21)).await.unwrap();
    assert_eq!((third.text.as_deref(), third.edited_at), (Some("three"), Some(later(21))));
    assert_eq!((third.sent_at, third.synced_at), (after.sent_at, after.synced_at));
}

pub(crate) async fn the_same_edit_is_told_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    let text = shown(&world, "g1").await.text.unwrap();
    // That it was edited is news, whatever it says.
    assert_eq!(told(&world, edit("g1", &text, 20)).await.unwrap().edited_at, Some(later(20)));
    told(&world, edit("g1", "two", 30)).await.unwrap();
    // Seen by another bridge, at another time.
    assert_eq!(told(&world, edit("g1", "two", 35)).await, None);
    assert_eq!(shown(&world, "g1").await.edited_at, Some(later(30)));
    // And back to what it was.
    assert_eq!(told(&world, edit("g1", &text, 36)).await.unwrap().text, Some(text));
    told(&world, unsent("g1", 40)).await.unwrap();
    for again in [edit("g1", "two", 45), unsent("g1", 46)] {
        assert_eq!(told(&world, again).await, None);
    }
}

pub(crate) async fn nothing_is_shown_of_what_was_taken_back(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let file = StoredFile {
        id: Id::generate(),
        filename: None,
        mime_type: "audio/mp4".into(),
        size: 3,
        content: ContentHash([1; 32]),
        created_at: NOW,
    };
    store.create_bridge_file(world.bridge, world.line, file.clone()).await.unwrap();
    let linked = LinkedFile {
        file_id: file.id,
        filename: None,
        mime_type: file.mime_type,
        size: 3,
        transcription: Some("what was said".into()),
        original: None,
    };
    let Inbound::Message(message) = text_from(ANN, "g1") else { unreachable!() };
    let message = InboundMessage { attachments: vec![linked], ..message };
    world.receive_one(Inbound::Message(message)).await;
    told(&world, edit("g1", "two", 5)).await.unwrap();
    let gone = told(&world, unsent("g1", 10)).await.unwrap();
    assert_eq!((gone.text, gone.attachments.len(), gone.unsent_at), (None, 0, Some(later(10))));
    assert_eq!(gone.edited_at, Some(later(5)));
    for again in [unsent("g1", 10), unsent("g1", 3), unsent("g1", 30), edit("g1", "three", 40)] {
        assert_eq!(told(&world, again).await, None);
    }
    // Both at once: what was taken back is gone.
    world.receive_one(text_from(ANN, "g2")).await;
    let both = InboundUpdate { unsent_at: Some(later(9)), ..edit("g2", "two", 8) };
    let gone = told(&world, both).await.unwrap();
    assert_eq!((gone.text, gone.edited_at, gone.unsent_at), (None, Some(later(8)), Some(later(9))));
}

pub(crate) async fn delivered_and_read_never_go_back(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.claimed(ANN, "hello").await;
    world.settle(id, sent("s1")).await;
    let delivered = |at| InboundUpdate { delivered_at: Some(later(at)), ..of("s1") };
    let read = |at| InboundUpdate { read_at: Some(later(at)), ..of("s1") };
    let message = told(&world, delivered(600)).await.unwrap();
    assert_eq!((message.delivered_at, message.read_at), (Some(later(600)), None));
    let message = told(&world, read(700)).await.unwrap();
    assert_eq!((message.delivered_at, message.read_at), (Some(later(600)), Some(later(700))));
    for again in
        [delivered(600), delivered(500), delivered(800), read(700), read(1), read(900), of("s1")]
    {
        assert_eq!(told(&world, again).await, None);
    }
    // All that is new is told at once.
    let id = world.claimed(ANN, "again").await;
    world.settle(id, sent("s2")).await;
    let all = InboundUpdate {
        delivered_at: Some(later(1)),
        read_at: Some(later(2)),
        ..edit("s2", "two", 3)
    };
    let message = told(&world, all).await.unwrap();
    assert_eq!(
        (message.text.as_deref(), message.delivered_at, message.read_at, message.edited_at),
        (Some("two"), Some(later(1)), Some(later(2)), Some(later(3)))
    );
    assert_eq!((message.outbox_id, message.is_from_me), (Some(id), true));
}

pub(crate) async fn what_is_sent_may_be_delivered_already(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let delivered = |guid| match sent(guid) {
        Outcome::Sent { guid, sent_at, service, .. } => {
            Outcome::Sent { guid, sent_at, service, delivered_at: Some(later(510)) }
        }
        other => other,
    };
    let id = world.claimed(ANN, "hello").await;
    let committed = world.settle(id, delivered("s1")).await;
    assert_eq!(kinds(&committed), [EventKind::MessageSent], "no event beside it");
    let told_as: MessageEvent = data(&committed.events[0]);
    assert_eq!(told_as.message.delivered_at, Some(later(510)));
    assert_eq!(shown(&world, "s1").await, told_as.message);
    // So may one that the line's history has told of first.
    world.receive_one(text_in(chat_with(ANN), "+15550100001", "g1")).await;
    let id = world.claimed(ANN, "text of g1").await;
    let committed = world.settle(id, delivered("g1")).await;
    let told_as: MessageEvent = data(&committed.events[0]);
    assert_eq!(told_as.message.delivered_at, Some(later(510)));
}

pub(crate) async fn an_update_of_nothing_is_nothing(store: Arc<dyn Store>) {
    let mut world = World::new(Arc::clone(&store)).await;
    let nothing = async |world: &World, update| {
        let received = world.receive(vec![Inbound::Update(update)]).await;
        assert!(received.committed.events.is_empty());
        assert_eq!((received.results[0].chat_id, received.results[0].message_id), (None, None));
    };
    nothing(&world, edit("g1", "x", 1)).await;
    world.receive_one(text_from(ANN, "g1")).await;
    nothing(&world, edit("g2", "x", 1)).await;
    // A guid is a message of its own line only.
    std::mem::swap(&mut world.line, &mut world.other_line);
    nothing(&world, edit("g1", "x", 1)).await;
    std::mem::swap(&mut world.line, &mut world.other_line);
    // In a group it is found as well, and however long its guid is.
    let friends = || group("g", &[ANN, BOB]);
    let long = "g".repeat(1000);
    world.receive_one(text_in(friends(), BOB, &long)).await;
    let InboundUpdate { edit, .. } = edit(&long, "x", 1);
    let update = InboundUpdate { edit, ..InboundUpdate::of(friends(), long) };
    let received = world.receive(vec![Inbound::Update(update)]).await;
    assert_eq!(kinds(&received.committed), [EventKind::MessageUpdated]);
    assert!(matches!(friends(), InboundChat::Group { .. }));
}

pub(crate) async fn a_guid_is_found_by_the_id(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.receive_one(text_from(ANN, "g1")).await.message_id.unwrap();
    assert_eq!(store.guid_of(id).await.unwrap().as_deref(), Some("g1"));
    assert_eq!(store.guid_of(Id::generate()).await.unwrap(), None);
}
