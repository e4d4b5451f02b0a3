use std::sync::Arc;

use switchboard_model::{
    EventKind,
    event::MessageEvent,
    id::Id,
    link::{Inbound, InboundUpdate, Outcome},
    outbox::{
        ATTEMPTS_USED_UP, IDENTITY_OF_ANOTHER, MAX_ATTEMPTS, MAY_HAVE_BEEN_HANDED_OVER,
        OutboxStatus,
    },
};
use switchboard_store::{Link, NewContent, SettleReport, Store};

use crate::{
    files::{uploaded, with},
    own::{messages, own_in},
    world::{
        ANN, BOB, NOW, World, chat_with, contact, kinds, later, limit, sent, text_from, text_in,
    },
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

pub(crate) async fn reports_of_one_call_count_in_their_order(store: Arc<dyn Store>) {
    use EventKind::{MessageFailed as Failed, MessageSent as Sent};
    let world = World::new(Arc::clone(&store)).await;
    world.advance().await;
    world.receive_one(own_in(chat_with(ANN), "own")).await;
    let mut items = Vec::new();
    for number in 0..7 {
        items.push(world.accept(ANN, &number.to_string()).await);
    }
    items.push(world.accept(BOB, "to another").await);
    assert_eq!(world.claim(9).await, items);
    let no = || Outcome::Failed { error: "no".into() };
    let [lost, other, twice, back, early, late, refused, bob] = items[..] else { panic!() };
    let reports = [
        (lost, Outcome::Unknown),
        (lost, sent("g1")),
        // What the first has become in this call.
        (other, sent("g1")),
        (bob, sent("g1")),
        (twice, sent("g2")),
        (twice, sent("g3")),
        (twice, no()),
        (back, Outcome::Released),
        (back, sent("g4")),
        // What was known before it.
        (early, sent("own")),
        (late, sent("own")),
        (refused, no()),
        (refused, sent("g5")),
        (Id::generate(), sent("g6")),
    ];
    let report = |(id, outcome)| SettleReport { id, outcome, counts_as_attempt: true };
    let committed = store
        .settle(world.link, reports.into_iter().map(report).collect(), later(1000))
        .await
        .unwrap();
    assert_eq!(kinds(&committed), [Failed, Sent, Failed, Failed, Sent, Sent, Failed, Failed]);
    assert!(committed.events.is_sorted_by_key(|event| event.position));
    assert_eq!(committed.released, [world.line]);
    let of_another = Some(IDENTITY_OF_ANOTHER);
    for (id, status, error, attempts) in [
        (lost, OutboxStatus::Sent, None, 1),
        (other, OutboxStatus::Failed, of_another, 1),
        (bob, OutboxStatus::Failed, of_another, 1),
        (twice, OutboxStatus::Sent, None, 1),
        (back, OutboxStatus::Pending, None, 1),
        (early, OutboxStatus::Sent, None, 1),
        (late, OutboxStatus::Failed, of_another, 1),
        (refused, OutboxStatus::Failed, Some("no"), 1),
    ] {
        let item = world.item(id).await;
        assert_eq!((item.status, item.error.as_deref(), item.attempts), (status, error, attempts));
        let is_over = status != OutboxStatus::Pending;
        assert_eq!(item.completed_at, is_over.then_some(later(1000)));
    }
    let all = messages(&world, ANN).await;
    let shown: Vec<_> = all.iter().map(|one| (one.guid.as_str(), one.outbox_id)).collect();
    assert_eq!(shown, [("g2", Some(twice)), ("g1", Some(lost)), ("own", Some(early))]);
    assert!(messages(&world, BOB).await.is_empty());
    assert_eq!(world.claim(9).await, [back]);
}

pub(crate) async fn who_types_and_writes_in_one_call_stops(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.advance().await;
    world.accept(ANN, "first").await;
    let first = world.claim(1).await[0];
    world.settle(first, sent("g1")).await;
    let types = world.try_write(ANN, NewContent::Typing { on: true }).await.unwrap().id;
    let writes = world.accept(ANN, "second").await;
    assert_eq!(world.claim(9).await, [types, writes]);
    let reports = vec![
        SettleReport { id: types, outcome: Outcome::Done { at: NOW }, counts_as_attempt: true },
        SettleReport { id: writes, outcome: sent("g2"), counts_as_attempt: true },
    ];
    let committed = store.settle(world.link, reports, later(1000)).await.unwrap();
    let expected = [EventKind::TypingStarted, EventKind::TypingStopped, EventKind::MessageSent];
    assert_eq!(kinds(&committed), expected);
}

pub(crate) async fn what_many_hold_is_left_by_each(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let kept = uploaded(&world, world.account, "image/png").await;
    let gone = uploaded(&world, world.account, "image/png").await;
    let mut reports = Vec::new();
    for (file, outcomes) in [
        (kept, vec![Outcome::Failed { error: "no".into() }]),
        (kept, vec![Outcome::Unknown, sent("g1")]),
        (kept, vec![sent("g2")]),
        (gone, vec![Outcome::Unknown]),
        (gone, vec![Outcome::Failed { error: "no".into() }]),
        (gone, vec![sent("")]),
    ] {
        let id = world.try_write(ANN, with(file)).await.unwrap().id;
        assert_eq!(world.claim(9).await, [id]);
        reports.extend(outcomes.into_iter().map(|outcome| SettleReport {
            id,
            outcome,
            counts_as_attempt: true,
        }));
    }
    store.settle(world.link, reports, later(1000)).await.unwrap();
    let forget = async |now: i64, before: i64| {
        store.forget_left_files(later(now), later(before), 10).await.unwrap()
    };
    assert!(forget(10, 0).await.is_empty());
    assert_eq!(forget(20, 11).await, [gone]);
    let taken_back = |guid: &str| {
        let of = InboundUpdate::of(chat_with(ANN), guid);
        Inbound::Update(InboundUpdate { unsent_at: Some(later(30)), ..of })
    };
    world.receive_one(taken_back("g1")).await;
    assert!(forget(40, 30).await.is_empty() && forget(50, 49).await.is_empty(), "one holds it");
    world.receive_one(taken_back("g2")).await;
    assert!(forget(60, 50).await.is_empty());
    assert_eq!(forget(70, 61).await, [kept]);
}

pub(crate) async fn what_no_text_should_say_stops_no_report(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let ids = [world.accept(ANN, "1").await, world.accept(ANN, "2").await];
    assert_eq!(world.claim(2).await, ids);
    let [failed, became] = ids;
    let reports = vec![
        SettleReport {
            id: failed,
            outcome: Outcome::Failed { error: "a\0b".into() },
            counts_as_attempt: true,
        },
        SettleReport { id: became, outcome: sent("g\0"), counts_as_attempt: true },
    ];
    let committed = store.settle(world.link, reports, later(1000)).await.unwrap();
    assert_eq!(kinds(&committed), [EventKind::MessageFailed, EventKind::MessageSent]);
    let error = world.item(failed).await.error.unwrap();
    assert!(error.starts_with('a') && error.ends_with('b'), "{error:?}");
    assert_eq!(messages(&world, ANN).await[0].outbox_id, Some(became));
}
