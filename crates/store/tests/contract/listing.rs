use std::sync::Arc;

use switchboard_model::{
    EventKind,
    delivery::{Delivery, DeliveryStatus, DueDelivery},
    id::Id,
};
use switchboard_store::{DeliveryFilter, Grant, Store};

use crate::world::{ANN, NOW, World, attempted, later, limit, new_line, text_from};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

async fn list(world: &World, filter: DeliveryFilter) -> Vec<Delivery> {
    let page =
        world.store.deliveries(world.account, filter, None, limit(100), NOW.into()).await.unwrap();
    assert_eq!(page.next, None);
    page.rows
}

fn ids(deliveries: &[Delivery]) -> Vec<Id<Delivery>> {
    deliveries.iter().map(|one| one.id).collect()
}

async fn leased(world: &World, guid: &str) -> Vec<DueDelivery> {
    world.receive(vec![text_from(ANN, guid)]).await.committed.deliveries
}

pub(crate) async fn newest_events_come_first_with_every_attempt(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let first = leased(&world, "1").await.remove(0);
    let second = leased(&world, "2").await.remove(0);
    let third = leased(&world, "3").await.remove(0);
    store.settle_deliveries(vec![attempted(&first, Some("no"), Some(later(500)))]).await.unwrap();
    let again = DueDelivery { attempts: 1, ..first.clone() };
    let mut answered = attempted(&again, None, None);
    answered.answer = Some("thanks".into());
    store.settle_deliveries(vec![answered]).await.unwrap();
    store.settle_deliveries(vec![attempted(&second, Some("no"), Some(later(500)))]).await.unwrap();

    let all = list(&world, DeliveryFilter::default()).await;
    assert_eq!(ids(&all), [third.id, second.id, first.id]);
    let [waits, fails, done] = &all[..] else { panic!("{all:?}") };
    assert_eq!((waits.status, waits.next_attempt_at), (DeliveryStatus::Due, Some(NOW)));
    assert_eq!((fails.status, fails.next_attempt_at), (DeliveryStatus::Due, Some(later(500))));
    assert_eq!((fails.error.as_deref(), fails.finished_at), (Some("no"), None));
    assert_eq!((done.status, done.next_attempt_at), (DeliveryStatus::Delivered, None));
    assert_eq!((&done.error, done.finished_at), (&None, Some(later(10))));
    assert_eq!((done.event, done.created_at), (EventKind::MessageReceived, NOW));
    let tried: Vec<_> = done
        .attempts
        .iter()
        .map(|one| (one.number, one.status, one.error.as_deref(), one.answer.as_deref()))
        .collect();
    assert_eq!(tried, [(1, Some(500), Some("no"), None), (2, Some(200), None, Some("thanks"))]);
    assert_eq!((done.attempts[1].started_at, done.attempts[1].duration_ms), (NOW, 10));
}

pub(crate) async fn a_filter_holds_back_the_rest(store: Arc<dyn Store>) {
    let mut world = World::new(Arc::clone(&store)).await;
    let one = world.webhook(&EVENTS).await;
    let other = world.webhook(&[EventKind::MessageReceived, EventKind::LineStatus]).await;
    let mut made = leased(&world, "1").await;
    let second = store
        .receive(world.link, world.line, "2".into(), vec![text_from(ANN, "2")], later(50))
        .await;
    made.extend(second.unwrap().committed.deliveries);
    let status = store.line_status(world.link, world.line, true, None, later(60)).await.unwrap();
    made.extend(status.deliveries);
    let first_line = world.line;
    world.line = store.create_line(new_line(world.account, "+15550100003")).await.unwrap().line.id;
    made.extend(world.receive_at(text_from(ANN, "3"), later(70)).await.committed.deliveries);
    // 1: one, other; 2: one, other; line.status: other; 3 on another line: one, other.
    assert_eq!(made.len(), 7);
    let failed = vec![attempted(&made[0], Some("no"), None), attempted(&made[2], Some("no"), None)];
    store.settle_deliveries(failed).await.unwrap();
    store.settle_deliveries(vec![attempted(&made[1], None, None)]).await.unwrap();

    let any = DeliveryFilter::default;
    let all = list(&world, any()).await;
    assert_eq!(all.len(), 7);
    let expect = async |filter: DeliveryFilter, places: &[usize]| {
        let wanted: Vec<_> = places.iter().map(|place| made[*place].id).collect();
        let mut found = ids(&list(&world, filter.clone()).await);
        let of_one_event = wanted.len() > 1;
        if of_one_event {
            found.sort_unstable();
        }
        assert_eq!(found, wanted, "{filter:?}");
    };
    expect(DeliveryFilter { id: Some(made[4].id), ..any() }, &[4]).await;
    expect(DeliveryFilter { webhook_id: Some(one), ..any() }, &[0, 2, 5]).await;
    expect(DeliveryFilter { webhook_id: Some(other), ..any() }, &[1, 3, 4, 6]).await;
    expect(DeliveryFilter { status: Some(DeliveryStatus::Failed), ..any() }, &[0, 2]).await;
    expect(DeliveryFilter { status: Some(DeliveryStatus::Delivered), ..any() }, &[1]).await;
    let failed = DeliveryFilter { status: Some(DeliveryStatus::Failed), ..any() };
    expect(DeliveryFilter { webhook_id: Some(one), ..failed.clone() }, &[0, 2]).await;
    expect(DeliveryFilter { webhook_id: Some(other), ..failed.clone() }, &[]).await;
    let young = DeliveryFilter { webhook_id: Some(one), since: Some(later(1)), ..failed };
    expect(young, &[2]).await;
    expect(DeliveryFilter { event: Some(EventKind::LineStatus), ..any() }, &[4]).await;
    let event = all.iter().find(|found| found.id == made[2].id).unwrap().event_id;
    expect(DeliveryFilter { event_id: Some(event), ..any() }, &[2, 3]).await;
    expect(DeliveryFilter { event_id: Some(event), webhook_id: Some(one), ..any() }, &[2]).await;
    expect(DeliveryFilter { event_id: Some(Id::generate()), ..any() }, &[]).await;
    let since = DeliveryFilter { since: Some(later(50)), until: Some(later(60)), ..any() };
    expect(since, &[2, 3]).await;
    expect(DeliveryFilter { lines: Some(vec![world.line]), ..any() }, &[5, 6]).await;
    expect(DeliveryFilter { lines: Some(vec![first_line]), ..any() }, &[0, 1, 2, 3, 4]).await;
    expect(DeliveryFilter { lines: Some(Vec::new()), ..any() }, &[]).await;
}

pub(crate) async fn pages_meet_while_events_come(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for _ in 0..3 {
        world.webhook(&EVENTS).await;
    }
    let mut made = Vec::new();
    for number in 0..5 {
        made.extend(leased(&world, &number.to_string()).await);
    }
    let filter = DeliveryFilter::default;
    let whole = ids(&list(&world, filter()).await);
    assert_eq!(whole.len(), 15);
    for rows in [1, 2, 4, 15] {
        let (mut after, mut walked) = (None, Vec::new());
        loop {
            let page = store
                .deliveries(world.account, filter(), after, limit(rows), NOW.into())
                .await
                .unwrap();
            walked.extend(ids(&page.rows));
            // One that begins a new round stays where it is in the list.
            let again = made[walked.len() % made.len()].clone();
            store.settle_deliveries(vec![attempted(&again, Some("no"), None)]).await.unwrap();
            let retry =
                store.retry_delivery(Grant::whole(world.account), again.id, None, NOW.into());
            retry.await.unwrap();
            leased(&world, &format!("later {rows} {}", walked.len())).await;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let walked: Vec<_> = walked.into_iter().filter(|id| whole.contains(id)).collect();
        assert_eq!(walked, whole, "{rows} at a time");
    }
}

pub(crate) async fn a_page_looks_at_so_many_and_no_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let oldest = leased(&world, "wanted").await.remove(0);
    store.settle_deliveries(vec![attempted(&oldest, None, None)]).await.unwrap();
    for number in 0..12 {
        let entries = (0..500).map(|one| text_from(ANN, &format!("{number} {one}"))).collect();
        world.receive(entries).await;
    }
    let filter = DeliveryFilter { status: Some(DeliveryStatus::Delivered), ..Default::default() };
    let page = async |after| {
        store.deliveries(world.account, filter.clone(), after, limit(10), NOW.into()).await.unwrap()
    };
    let first = page(None).await;
    assert!(first.rows.is_empty() && first.next.is_some());
    let last = page(first.next).await;
    assert_eq!((ids(&last.rows), last.next), (vec![oldest.id], None));
}

pub(crate) async fn another_account_sees_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let made = leased(&world, "1").await.remove(0);
    store.settle_deliveries(vec![attempted(&made, Some("no"), None)]).await.unwrap();
    let event = list(&world, DeliveryFilter::default()).await[0].event_id;
    let any = DeliveryFilter::default;
    for filter in [
        any(),
        DeliveryFilter { id: Some(made.id), ..any() },
        DeliveryFilter { webhook_id: Some(webhook), ..any() },
        DeliveryFilter { webhook_id: Some(webhook), status: Some(DeliveryStatus::Failed), ..any() },
        DeliveryFilter { event_id: Some(event), ..any() },
        DeliveryFilter { lines: Some(vec![world.line]), ..any() },
    ] {
        let page = store.deliveries(world.other_account, filter, None, limit(10), NOW.into()).await;
        let page = page.unwrap();
        assert_eq!((page.rows, page.next), (Vec::new(), None));
    }
}
