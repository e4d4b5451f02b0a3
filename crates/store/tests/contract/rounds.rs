use std::sync::Arc;

use switchboard_model::{
    EventKind, Timestamp,
    delivery::{Delivery, DeliveryStatus, DueDelivery},
    id::Id,
};
use switchboard_store::{
    DeliveryFilter, DueQuery, EventPosition, Grant, Owned, Refusal, Store, WebhookChanges,
};

use crate::world::{ANN, LEASE, NOW, World, attempted, later, limit, refusal, text_from};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

async fn made_one(world: &World, guid: &str) -> DueDelivery {
    world.receive(vec![text_from(ANN, guid)]).await.committed.deliveries.remove(0)
}

async fn shown(world: &World, id: Id<Delivery>) -> Delivery {
    let filter = DeliveryFilter { id: Some(id), ..DeliveryFilter::default() };
    let page =
        world.store.deliveries(world.account, filter, None, limit(1), NOW.into()).await.unwrap();
    page.rows.into_iter().next().unwrap()
}

fn disabled() -> WebhookChanges {
    WebhookChanges { is_active: Some(false), ..WebhookChanges::default() }
}

pub(crate) async fn what_is_over_begins_a_new_round(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    for error in [Some("no"), None] {
        let made = made_one(&world, &format!("{error:?}")).await;
        store.settle_deliveries(vec![attempted(&made, Some("no"), Some(NOW))]).await.unwrap();
        let second = world.due(NOW).await.remove(0);
        store.settle_deliveries(vec![attempted(&second, error, None)]).await.unwrap();
        store
            .retry_delivery(Grant::whole(world.account), made.id, None, later(5).into())
            .await
            .unwrap();
        let due = shown(&world, made.id).await;
        assert_eq!((due.status, due.next_attempt_at), (DeliveryStatus::Due, Some(NOW)));
        assert_eq!((due.attempts.len(), due.finished_at), (2, None));
        let third = world.due(later(5)).await.remove(0);
        assert_eq!((third.id, third.attempts), (made.id, 0), "the schedule begins anew");
        // What an attempt of the round before reports counts no more.
        store.settle_deliveries(vec![attempted(&second, Some("late"), None)]).await.unwrap();
        assert_eq!(shown(&world, made.id).await.status, DeliveryStatus::Due);
        store.settle_deliveries(vec![attempted(&third, None, None)]).await.unwrap();
        let done = shown(&world, made.id).await;
        let numbers: Vec<_> = done.attempts.iter().map(|one| one.number).collect();
        assert_eq!((done.status, numbers), (DeliveryStatus::Delivered, vec![1, 2, 3]));
    }
}

pub(crate) async fn what_is_due_is_due_now(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let made = made_one(&world, "1").await;
    // What was not attempted yet has its turn already.
    store.retry_delivery(Grant::whole(world.account), made.id, None, NOW.into()).await.unwrap();
    assert_eq!(world.due(NOW).await[0].seq, made.seq);
    store.settle_deliveries(vec![attempted(&made, Some("no"), Some(later(500)))]).await.unwrap();
    assert!(world.due(later(499)).await.is_empty());
    store
        .retry_delivery(Grant::whole(world.account), made.id, None, later(20).into())
        .await
        .unwrap();
    assert_eq!(world.waiting().await[0].retry_at, Some(later(20)));
    let again = world.due(later(20)).await.remove(0);
    assert_eq!((again.id, again.attempts), (made.id, 1), "the round goes on");
}

pub(crate) async fn what_may_not_be_retried_is_refused(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&EVENTS).await;
    let made = made_one(&world, "1").await;
    store.settle_deliveries(vec![attempted(&made, Some("no"), None)]).await.unwrap();
    let retry = async |account, id, lines| {
        let grant = Grant { lines, ..Grant::whole(account) };
        refusal(store.retry_delivery(grant, id, None, NOW.into()).await)
    };
    assert_eq!(retry(world.other_account, made.id, None).await, Refusal::DeliveryNotFound);
    assert_eq!(retry(world.account, Id::generate(), None).await, Refusal::DeliveryNotFound);
    let elsewhere = Some(vec![world.other_line]);
    assert_eq!(retry(world.account, made.id, elsewhere).await, Refusal::DeliveryNotFound);
    store
        .update_webhook(Grant::whole(world.account), webhook, disabled(), None, NOW)
        .await
        .unwrap();
    assert_eq!(retry(world.account, made.id, None).await, Refusal::WebhookDisabled);
    store.delete_webhook(Grant::whole(world.account), webhook).await.unwrap();
    assert_eq!(retry(world.account, made.id, None).await, Refusal::WebhookDisabled);
    assert_eq!(shown(&world, made.id).await.status, DeliveryStatus::Failed);
}

pub(crate) async fn attempts_are_kept_within_bounds(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let mut made = made_one(&world, "1").await;
    for _ in 0..120 {
        store.settle_deliveries(vec![attempted(&made, Some("no"), None)]).await.unwrap();
        store.retry_delivery(Grant::whole(world.account), made.id, None, NOW.into()).await.unwrap();
        made = world.due(NOW).await.remove(0);
    }
    let attempts = shown(&world, made.id).await.attempts;
    assert_eq!((attempts.len(), attempts[89].number), (90, 120));
}

pub(crate) async fn of_a_disabled_webhook_all_is_given_up(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (off, on) = (world.webhook(&EVENTS).await, world.webhook(&EVENTS).await);
    let mut made = Vec::new();
    for guid in ["1", "2", "3", "4"] {
        made.extend(world.receive(vec![text_from(ANN, guid)]).await.committed.deliveries);
    }
    let of = |webhook| made.iter().filter(move |one| one.webhook_id == webhook);
    let gone: Vec<_> = of(off).cloned().collect();
    // One waits for its next attempt, two for their first, one is under way.
    store
        .settle_deliveries(vec![attempted(&gone[0], Some("no"), Some(later(99_000)))])
        .await
        .unwrap();
    let under_way = vec![gone[3].seq];
    let give_up = async |under_way: &[i64], now: Timestamp, limit| {
        store.give_up_deliveries(now.into(), Owned::All, under_way.to_vec(), limit).await.unwrap()
    };
    assert_eq!(give_up(&under_way, NOW, 10).await, 0);
    store.update_webhook(Grant::whole(world.account), off, disabled(), None, NOW).await.unwrap();
    for wanted in [2, 1, 0] {
        assert_eq!(give_up(&under_way, later(1), 2).await, wanted);
    }
    for one in &gone[..3] {
        let shown = shown(&world, one.id).await;
        assert_eq!((shown.status, shown.next_attempt_at), (DeliveryStatus::Failed, None));
        assert!(shown.error.unwrap().contains("disabled"));
        assert_eq!(shown.finished_at, Some(later(1)));
    }
    assert_eq!(shown(&world, gone[3].id).await.status, DeliveryStatus::Due);
    assert_eq!(give_up(&[], later(2), 2).await, 1, "it is not under way any more");
    for one in of(on) {
        assert_eq!(shown(&world, one.id).await.status, DeliveryStatus::Due);
    }
    // Now nothing holds their events any more but the other webhook's deliveries.
    store.delete_webhook(Grant::whole(world.account), on).await.unwrap();
    assert_eq!(give_up(&[], later(3), 10).await, 4);
    assert_eq!(store.prune_events(LEASE.into(), EventPosition::START, 10).await.unwrap().gone, 4);
}

pub(crate) async fn of_a_deleted_webhook_all_goes_a_little_at_a_time(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let gone = world.webhook(&EVENTS).await;
    let entries = (0..1100).map(|number| text_from(ANN, &number.to_string())).collect();
    let made = world.receive(entries).await.committed.deliveries;
    let (tried, under_way) = (&made[..50], &made[50]);
    let failed = tried.iter().map(|one| attempted(one, Some("no"), Some(later(99_000)))).collect();
    store.settle_deliveries(failed).await.unwrap();
    store.delete_webhook(Grant::whole(world.account), gone).await.unwrap();
    assert!(world.waiting().await.is_empty());
    let query = DueQuery { webhook_id: gone, from: 0, untried: 10, retries: 10 };
    let found = store.due_deliveries(vec![query], LEASE).await.unwrap().remove(0);
    assert!(!found.is_active && found.untried.is_empty() && found.retries.is_empty());
    assert_eq!(
        refusal(
            store.retry_delivery(Grant::whole(world.account), tried[0].id, None, NOW.into()).await
        ),
        Refusal::WebhookDisabled
    );
    for wanted in [500, 500, 100, 0] {
        assert_eq!(
            store.give_up_deliveries(NOW.into(), Owned::All, vec![], 500).await.unwrap(),
            wanted
        );
    }
    // An attempt that was under way comes back to nothing.
    store.settle_deliveries(vec![attempted(under_way, Some("no"), Some(NOW))]).await.unwrap();
    let all = DeliveryFilter::default();
    let left = store.deliveries(world.account, all, None, limit(1), NOW.into()).await.unwrap();
    assert!(left.rows.is_empty());
    assert_eq!(
        store.prune_events(LEASE.into(), EventPosition::START, 2000).await.unwrap().gone,
        1100
    );
}
