use std::sync::Arc;

use switchboard_model::{
    EventKind,
    event::MessageEvent,
    id::Id,
    link::Outcome,
    outbox::{
        ATTEMPTS_USED_UP, IDENTITY_OF_ANOTHER, MAX_ATTEMPTS, MAY_HAVE_BEEN_HANDED_OVER,
        OutboxStatus,
    },
};
use switchboard_store::{Link, SettleReport, Store};

use crate::world::{
    ANN, BOB, NOW, World, chat_with, contact, kinds, later, limit, sent, text_from, text_in,
};

pub(crate) async fn what_is_sent_is_a_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&[EventKind::MessageSent]).await;
    let id = world.claimed(ANN, "hello").await;
    let committed = world.settle(id, sent("g1")).await;
    assert_eq!((committed.events.len(), committed.deliveries.len()), (1, 1));
    let event = &committed.events[0];
    let delivery = &committed.deliveries[0];
    assert_eq!((event.kind, delivery.event), (EventKind::MessageSent, EventKind::MessageSent));
    assert_eq!(event.data.get(), delivery.data.get());
    let told: MessageEvent = serde_json::from_str(event.data.get()).unwrap();
    assert_eq!(told.line_handle.as_str(), "+15550100001");
    let message = told.message;
    assert_eq!((message.guid.as_str(), message.sender.as_str()), ("g1", "+15550100001"));
    assert_eq!((message.is_from_me, message.outbox_id), (true, Some(id)));
    assert_eq!((message.sent_at, message.synced_at), (later(500), later(1000)));
    let shown =
        store.messages(world.account, world.line, contact(ANN), None, limit(10)).await.unwrap();
    assert_eq!(shown.rows, std::slice::from_ref(&message));
    let item = world.item(id).await;
    assert_eq!((item.status, item.attempts, item.error), (OutboxStatus::Sent, 1, None));
    assert_eq!((item.message_id, item.completed_at), (Some(message.id), Some(later(1000))));
    let chat = world.chat(message.chat_id).await;
    assert_eq!((chat.last_message_at, chat.has_received_inbound), (Some(later(500)), false));
}

pub(crate) async fn a_report_counts_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.claimed(ANN, "hello").await;
    world.settle(id, sent("g1")).await;
    let before = world.item(id).await;
    for outcome in [
        sent("g1"),
        sent("g2"),
        Outcome::Unknown,
        Outcome::Released,
        Outcome::Failed { error: "no".into() },
    ] {
        let again = world.settle(id, outcome).await;
        assert!(
            again.events.is_empty() && again.deliveries.is_empty() && again.released.is_empty()
        );
        assert_eq!(world.item(id).await, before);
    }
    let shown =
        store.messages(world.account, world.line, contact(ANN), None, limit(10)).await.unwrap();
    assert_eq!(shown.rows.len(), 1);
}

pub(crate) async fn only_the_holder_reports(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let pending = world.accept(ANN, "hello").await;
    assert!(world.settle(pending, sent("g1")).await.events.is_empty());
    let claimed = world.claim(1).await[0];
    let report = SettleReport { id: claimed, outcome: sent("g1"), counts_as_attempt: true };
    let stranger =
        store.settle(Link { bridge: Id::generate(), epoch: 0 }, vec![report], NOW).await.unwrap();
    assert!(stranger.events.is_empty());
    assert_eq!(world.item(claimed).await.status, OutboxStatus::Claimed);
}

pub(crate) async fn a_failure_is_told_to_who_asks(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&[EventKind::MessageSent, EventKind::MessageReceived]).await;
    let asks = world.webhook(&[EventKind::MessageFailed]).await;
    let id = world.claimed(ANN, "hello").await;
    let committed = world.settle(id, Outcome::Failed { error: "not on iMessage".into() }).await;
    assert_eq!(committed.deliveries.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [asks]);
    let item = world.item(id).await;
    assert_eq!((item.status, item.attempts), (OutboxStatus::Failed, 1));
    let mut expected = serde_json::to_value(&item).unwrap();
    expected["line_handle"] = "+15550100001".into();
    expected["chat_id"] = serde_json::to_value(committed.events[0].chat_id).unwrap();
    let told: serde_json::Value = serde_json::from_str(committed.events[0].data.get()).unwrap();
    assert_eq!(told, expected);
    assert_eq!(told["error"], "not on iMessage");
}

pub(crate) async fn unknown_is_never_sent_again(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let id = world.claimed(ANN, "hello").await;
    world.settle(id, Outcome::Unknown).await;
    let item = world.item(id).await;
    assert_eq!(
        (item.status, item.error.as_deref()),
        (OutboxStatus::Failed, Some(MAY_HAVE_BEEN_HANDED_OVER))
    );
    assert!(world.claim(10).await.is_empty());
}

pub(crate) async fn what_is_released_goes_first(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let first = world.claimed(ANN, "1").await;
    let second = world.accept(ANN, "2").await;
    // In good order, so it is no attempt, however often.
    for _ in 0..=MAX_ATTEMPTS {
        let report =
            SettleReport { id: first, outcome: Outcome::Released, counts_as_attempt: false };
        let committed = store.settle(world.link, vec![report], NOW).await.unwrap();
        assert_eq!(committed.released, [world.line]);
        let item = world.item(first).await;
        assert_eq!((item.status, item.attempts), (OutboxStatus::Pending, 0));
        assert_eq!(world.claim(1).await, [first]);
    }
    assert_eq!(world.claim(1).await, [second]);
}

pub(crate) async fn the_third_loss_fails(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let id = world.accept(ANN, "1").await;
    for attempt in 1..=MAX_ATTEMPTS {
        assert_eq!(world.claim(1).await, [id]);
        world.settle(id, Outcome::Released).await;
        assert_eq!(world.item(id).await.attempts, attempt);
    }
    let item = world.item(id).await;
    assert_eq!(
        (item.status, item.error.as_deref()),
        (OutboxStatus::Failed, Some(ATTEMPTS_USED_UP))
    );
}

pub(crate) async fn a_known_guid_is_linked(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    // As a driver tells of what its own line has written.
    let own = text_in(chat_with(ANN), "+15550100001", "g1");
    let known = world.receive_one(own).await;
    let id = world.claimed(ANN, "text of g1").await;
    let committed = world.settle(id, sent("g1")).await;
    assert_eq!(committed.events.len(), 1);
    let item = world.item(id).await;
    assert_eq!((item.status, item.message_id), (OutboxStatus::Sent, known.message_id));
    let shown =
        store.messages(world.account, world.line, contact(ANN), None, limit(10)).await.unwrap();
    assert_eq!(shown.rows.iter().map(|one| one.outbox_id).collect::<Vec<_>>(), [Some(id)]);
}

pub(crate) async fn no_message_becomes_another(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.receive_one(text_from(ANN, "from ann")).await;
    world.receive_one(text_in(chat_with(BOB), "+15550100001", "own to bob")).await;
    let first = world.claimed(ANN, "first").await;
    world.settle(first, sent("first")).await;
    let all = async || {
        let of = async |who| {
            store.messages(world.account, world.line, contact(who), None, limit(10)).await.unwrap()
        };
        (of(ANN).await.rows, of(BOB).await.rows)
    };
    let before = all().await;
    // Somebody else's, one of another chat, one of another item.
    for guid in ["from ann", "own to bob", "first"] {
        let id = world.claimed(ANN, "hello").await;
        let committed = world.settle(id, sent(guid)).await;
        assert_eq!(kinds(&committed), [EventKind::MessageFailed], "{guid}");
        let item = world.item(id).await;
        assert_eq!((item.status, item.message_id), (OutboxStatus::Failed, None), "{guid}");
        assert_eq!(item.error.as_deref(), Some(IDENTITY_OF_ANOTHER), "{guid}");
        assert!(world.claim(10).await.is_empty(), "it is not sent again");
        assert_eq!(all().await, before, "{guid}");
    }
    // Without an identity it is out, and no message can be shown: none of them is another.
    for guid in ["", " "] {
        let id = world.claimed(ANN, "hello").await;
        assert!(world.settle(id, sent(guid)).await.events.is_empty());
        assert_eq!(world.item(id).await.status, OutboxStatus::Sent);
        assert_eq!(all().await, before);
    }
}
