use std::sync::Arc;

use switchboard_model::{
    Account, EventKind, Line, Timestamp,
    delivery::DueDelivery,
    event::{LineStatusEvent, MessageEvent},
    id::Id,
    link::Inbound,
};
use switchboard_store::{CommittedEvent, EventPosition, Link, Store};

use crate::world::{ANN, NOW, World, attempted, data, kinds, later, new_line, sent, text_from};

/// Forgets what is old, at most `limit` events looked at a time; answers how many went.
async fn prune(store: &Arc<dyn Store>, before: Timestamp, limit: usize) -> usize {
    let (mut after, mut gone) = (EventPosition::START, 0);
    loop {
        let pruned = store.prune_events(before.into(), after, limit).await.unwrap();
        gone += pruned.gone;
        match pruned.next {
            Some(next) => after = next,
            None => return gone,
        }
    }
}

pub(crate) async fn what_is_old_is_forgotten_unless_it_is_still_tried(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&[EventKind::MessageReceived]).await;
    let (mut deliveries, mut last) = (Vec::new(), EventPosition::START);
    for (number, guid) in ["1", "2", "3", "4"].into_iter().enumerate() {
        let at = later(i64::try_from(number).unwrap());
        let received = world.receive_at(text_from(ANN, guid), at).await;
        deliveries.extend(received.committed.deliveries);
        last = received.committed.events[0].position;
    }
    let done = |delivery: &DueDelivery| attempted(delivery, None, None);
    // The first is still tried.
    store.settle_deliveries(deliveries[1..].iter().map(done).collect()).await.unwrap();
    assert_eq!(prune(&store, later(3), 1).await, 2);
    assert_eq!(prune(&store, later(3), 10).await, 0);
    let tried = world.due(NOW).await;
    assert_eq!(tried.iter().map(|one| one.id).collect::<Vec<_>>(), [deliveries[0].id]);
    store.settle_deliveries(vec![done(&deliveries[0])]).await.unwrap();
    assert_eq!(prune(&store, later(100), 10).await, 2);
    // A position never comes twice, even when nothing is left.
    let next = world.receive(vec![text_from(ANN, "5")]).await.committed.events[0].position;
    assert!(next > last);
}

async fn after(
    world: &World,
    account: Id<Account>,
    after: EventPosition,
    lines: Option<Vec<Id<Line>>>,
    kinds: &[EventKind],
    limit: usize,
) -> Vec<CommittedEvent> {
    world.store.events_after(account, after, lines, kinds.to_vec(), limit).await.unwrap().events
}

fn guids(events: &[CommittedEvent]) -> Vec<String> {
    events.iter().map(|event| data::<MessageEvent>(event).message.guid).collect()
}

pub(crate) async fn they_are_read_as_they_were_committed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let entries = ["1", "2", "3"].map(|guid| text_from(ANN, guid)).into();
    let committed = world.receive(entries).await.committed.events;
    let read = after(&world, world.account, EventPosition::START, None, &EventKind::ALL, 10).await;
    assert_eq!(read.len(), 3);
    for (read, committed) in read.iter().zip(&committed) {
        let expected = (committed.position, committed.id, committed.kind);
        assert_eq!((read.position, read.id, read.kind), expected);
        assert_eq!((read.account_id, read.line_id), (world.account, world.line));
        assert_eq!((read.chat_id, read.created_at), (committed.chat_id, NOW));
        assert_eq!(read.data.get(), committed.data.get());
    }
    // Pages meet.
    let first = after(&world, world.account, EventPosition::START, None, &EventKind::ALL, 2).await;
    assert_eq!(guids(&first), ["1", "2"]);
    let rest = after(&world, world.account, first[1].position, None, &EventKind::ALL, 2).await;
    assert_eq!(guids(&rest), ["3"]);
    assert!(
        after(&world, world.account, rest[0].position, None, &EventKind::ALL, 2).await.is_empty()
    );
}

pub(crate) async fn they_are_filtered_by_account_line_and_kind(store: Arc<dyn Store>) {
    let mut world = World::new(Arc::clone(&store)).await;
    let first = world.line;
    world.receive_one(text_from(ANN, "1")).await;
    let id = world.claimed(ANN, "2").await;
    world.settle(id, sent("2")).await;
    world.line = store.create_line(new_line(world.account, "+15550100003")).await.unwrap().line.id;
    world.receive_one(text_from(ANN, "3")).await;
    let theirs = vec![text_from(ANN, "4")];
    let theirs =
        store.receive(world.link, world.other_line, "1".into(), theirs, NOW).await.unwrap();
    world.readable(&theirs.committed).await;
    let read = async |account, lines, kinds: &[EventKind]| {
        guids(&after(&world, account, EventPosition::START, lines, kinds, 10).await)
    };
    let all = EventKind::ALL;
    assert_eq!(read(world.account, None, &all).await, ["1", "2", "3"]);
    assert_eq!(read(world.account, Some(vec![first]), &all).await, ["1", "2"]);
    assert_eq!(read(world.account, Some(vec![first, world.line]), &all).await, ["1", "2", "3"]);
    let received = [EventKind::MessageReceived];
    assert_eq!(read(world.account, None, &received).await, ["1", "3"]);
    assert_eq!(read(world.account, Some(vec![first]), &received).await, ["1"]);
    // Another account's line says nothing, even when it is named.
    for lines in [vec![], vec![world.other_line], vec![Id::generate()]] {
        assert!(read(world.account, Some(lines), &all).await.is_empty());
    }
    assert!(read(world.account, None, &[]).await.is_empty());
    assert_eq!(read(world.other_account, None, &all).await, ["4"]);
}

pub(crate) async fn what_is_not_asked_for_is_looked_at_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let entries = ["1", "2", "3"].map(|guid| text_from(ANN, guid)).into();
    let made = world.receive(entries).await.committed.events;
    let [_, second, third] = [0, 1, 2].map(|number: usize| made[number].position);
    let read = async |after, kind, limit| {
        let after =
            store.events_after(world.account, after, None, vec![kind], limit).await.unwrap();
        (after.events.len(), after.position)
    };
    let start = EventPosition::START;
    let (sent, received) = (EventKind::MessageSent, EventKind::MessageReceived);
    // Where all was looked at, the position is that of the last event, or behind it.
    for (kind, wanted) in [(sent, 0), (received, 3)] {
        let (found, position) = read(start, kind, 10).await;
        assert!(found == wanted && position >= third, "{found} up to {position}");
    }
    // More may be left behind a full page.
    assert_eq!(read(start, received, 2).await, (2, second));
    let (found, position) = read(third, received, 2).await;
    assert!(found == 0 && position >= third);
}

pub(crate) async fn one_read_looks_at_so_many_and_no_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut all: Vec<EventPosition> = Vec::new();
    for batch in 0..3 {
        let entries = (0..400).map(|one| text_from(ANN, &format!("{batch} {one}"))).collect();
        all.extend(world.receive(entries).await.committed.events.iter().map(|one| one.position));
    }
    let newest = all[1199];
    let (mut position, mut reads, mut found) = (EventPosition::START, 0, 0);
    loop {
        let kinds = vec![EventKind::MessageSent];
        let after = store.events_after(world.account, position, None, kinds, 10).await.unwrap();
        (reads, found) = (reads + 1, found + after.events.len());
        let looked_at = all.iter().filter(|one| position < **one && **one <= after.position);
        let looked_at = looked_at.count();
        assert!(looked_at <= 500, "what fits of them does not matter");
        let between = store.events_between(position, after.position);
        assert!(between.is_none_or(|between| between >= looked_at as u64));
        position = after.position;
        if !after.has_more {
            break;
        }
    }
    assert!(position >= newest);
    assert_eq!((reads, found), (3, 0));
    // Long ones are fewer.
    let filler = "x".repeat(100_000);
    let long = |number: i32| {
        let mut text = text_from(ANN, &format!("long {number}"));
        if let Inbound::Message(message) = &mut text {
            message.text = Some(filler.clone());
        }
        text
    };
    let made = world.receive((0..10).map(long).collect()).await.committed.events;
    let [first, ninth, tenth] = [0, 8, 9].map(|number: usize| made[number].position);
    let after = store.new_events(world.account, position, 100).await.unwrap();
    assert_eq!((after.events.len(), after.has_more, after.position), (1, true, first));
    let after = store.new_events(world.account, ninth, 100).await.unwrap();
    assert_eq!((after.events.len(), after.has_more), (1, false));
    assert!(after.position >= tenth);
    // Another account's events are no reason to read in steps.
    let (start, all) = (EventPosition::START, EventKind::ALL.to_vec());
    let theirs = store.events_after(world.other_account, start, None, all, 10).await.unwrap();
    assert!(!theirs.has_more && theirs.position >= tenth);
}

pub(crate) async fn a_position_is_found_by_its_time(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let position =
        async |since: Option<Timestamp>| store.event_position(world.account, since).await.unwrap();
    let empty = position(None).await;
    assert!(empty <= position(Some(NOW)).await);
    // Two at each of the times 0, 10, 20, 30.
    for number in 0..8i64 {
        let at = later(number / 2 * 10);
        world.receive_at(text_from(ANN, &number.to_string()), at).await;
    }
    let newest = position(None).await;
    assert!(empty < newest, "behind what has come since");
    let read = async |since| {
        let from = position(Some(later(since))).await;
        guids(&after(&world, world.account, from, None, &EventKind::ALL, 1).await)
    };
    for (since, first) in [(-5, "0"), (0, "0"), (1, "2"), (10, "2"), (19, "4"), (30, "6")] {
        assert_eq!(read(since).await, [first], "since {since}");
    }
    // All that there is lies before the latest position, whatever else moves it.
    let is_latest = async |found: EventPosition| {
        assert!(newest <= found);
        assert!(after(&world, world.account, found, None, &EventKind::ALL, 1).await.is_empty());
    };
    is_latest(position(Some(later(31))).await).await;
    // Pruned or not, a position does not come twice.
    assert_eq!(prune(&store, later(20), 10).await, 4);
    assert_eq!((read(-5).await, read(20).await), (vec!["4".into()], vec!["4".into()]));
    assert_eq!(prune(&store, later(100), 10).await, 4);
    is_latest(position(None).await).await;
    is_latest(position(Some(NOW)).await).await;
    let next = world.receive(vec![text_from(ANN, "next")]).await.committed.events[0].position;
    let before = position(Some(NOW)).await;
    assert!(newest <= before && before < next);
}

pub(crate) async fn a_line_goes_up_and_down(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&[EventKind::LineStatus]).await;
    world.advance().await;
    for online in [true, false] {
        let told = store.line_status(world.link, world.line, online, None, later(3)).await.unwrap();
        assert_eq!(kinds(&told), [EventKind::LineStatus]);
        assert_eq!(told.deliveries.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [webhook]);
        assert_eq!((told.events[0].account_id, told.events[0].chat_id), (world.account, None));
        let status: LineStatusEvent = data(&told.events[0]);
        assert_eq!((status.online, status.line_handle.as_str()), (online, "+15550100001"));
        assert_eq!(status.line, store.lines(world.account).await.unwrap()[0]);
    }
    for (bridge, line) in [(Id::generate(), world.line), (world.bridge, Id::generate())] {
        let told =
            store.line_status(Link { bridge, epoch: 0 }, line, true, None, NOW).await.unwrap();
        assert!(told.events.is_empty());
    }
}

pub(crate) async fn what_is_still_tried_is_passed_over_a_little_at_a_time(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&[EventKind::MessageReceived]).await;
    let entries = (0..30).map(|number| text_from(ANN, &number.to_string())).collect();
    let made = world.receive(entries).await.committed;
    // Five are over, the others are tried for ever.
    let over = made.deliveries[20..25].iter().map(|one| attempted(one, None, None)).collect();
    store.settle_deliveries(over).await.unwrap();
    let position = |number: usize| made.events[number - 1].position;
    let prune = async |after| {
        let pruned = store.prune_events(later(1).into(), after, 8).await.unwrap();
        (pruned.gone, pruned.next)
    };
    let start = EventPosition::START;
    assert_eq!(prune(start).await, (0, Some(position(8))));
    assert_eq!(prune(position(8)).await, (0, Some(position(16))));
    assert_eq!(prune(position(16)).await, (4, Some(position(24))));
    assert_eq!(prune(position(24)).await, (1, None));
    // What is too young is not passed over.
    world.receive_at(text_from(ANN, "young"), later(1)).await;
    let all = store.prune_events(later(1).into(), start, 26).await.unwrap();
    assert_eq!((all.gone, all.next), (0, None));
}
