use std::sync::Arc;

use switchboard_model::{
    EventKind, Timestamp,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
};
use switchboard_store::{NewWebhook, Store};

use crate::world::{ANN, LEASE, NOW, World, later, text_from};

const EVENTS: [EventKind; 1] = [EventKind::MessageReceived];

fn result(id: Id<Delivery>, error: Option<&str>, next: Option<Timestamp>) -> AttemptResult {
    AttemptResult {
        delivery_id: id,
        attempts: 1,
        status: Some(if error.is_some() { 500 } else { 200 }),
        error: error.map(Into::into),
        next_attempt_at: next,
        finished_at: later(10),
    }
}

fn ids(deliveries: &[DueDelivery]) -> Vec<Id<Delivery>> {
    deliveries.iter().map(|one| one.id).collect()
}

async fn leased(world: &World, guid: &str) -> Vec<DueDelivery> {
    world.receive(vec![text_from(ANN, guid)]).await.committed.deliveries
}

async fn claim(world: &World, now: Timestamp) -> Vec<Id<Delivery>> {
    let until = Timestamp(now.0 + 1000);
    ids(&world.store.claim_deliveries(now, until, 10).await.unwrap())
}

pub(crate) async fn each_webhook_gets_what_it_names(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let wants = world.webhook(&EVENTS).await;
    world.webhook(&[EventKind::MessageSent, EventKind::MessageFailed]).await;
    let elsewhere = NewWebhook {
        account_id: world.other_account,
        url: "https://example.org".into(),
        ..world.new_webhook(&EVENTS)
    };
    store.create_webhook(elsewhere, None, NOW).await.unwrap();
    let made = leased(&world, "1").await;
    assert_eq!(made.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [wants]);
    assert_eq!((&*made[0].url, made[0].attempts), ("https://example.com/hook", 0));
}

pub(crate) async fn a_lease_ends(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    assert_eq!(store.next_delivery_at().await.unwrap(), None);
    world.webhook(&EVENTS).await;
    let made = leased(&world, "1").await;
    assert_eq!(store.next_delivery_at().await.unwrap(), Some(LEASE));
    assert!(claim(&world, Timestamp(LEASE.0 - 1)).await.is_empty());
    let until = Timestamp(LEASE.0 + 5);
    let again = store.claim_deliveries(LEASE, until, 10).await.unwrap();
    assert_eq!(ids(&again), ids(&made));
    assert_eq!(again[0].data.get(), made[0].data.get());
    assert_eq!(
        (&*again[0].url, again[0].secret.reveal()),
        (&*made[0].url, made[0].secret.reveal())
    );
    assert_eq!((again[0].event, again[0].chat_id), (made[0].event, made[0].chat_id));
    assert!(claim(&world, LEASE).await.is_empty());
    assert_eq!(claim(&world, until).await, ids(&made));
}

pub(crate) async fn oldest_come_first(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let mut made = Vec::new();
    for guid in ["1", "2", "3"] {
        made.extend(ids(&leased(&world, guid).await));
    }
    store.settle_deliveries(vec![result(made[2], Some("no"), Some(later(20)))]).await.unwrap();
    let claimed = store.claim_deliveries(LEASE, LEASE, 2).await.unwrap();
    assert_eq!(ids(&claimed), [made[2], made[0]]);
    assert_eq!(claimed[0].attempts, 1);
}

pub(crate) async fn results_count_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let (good, bad) = (leased(&world, "1").await[0].id, leased(&world, "2").await[0].id);
    let over = vec![result(good, None, None), result(bad, Some("no"), None)];
    store.settle_deliveries(over).await.unwrap();
    // Whatever comes later, what is over stays over.
    let late = vec![result(good, Some("no"), Some(NOW)), result(bad, Some("no"), Some(NOW))];
    store.settle_deliveries(late).await.unwrap();
    store.settle_deliveries(vec![result(Id::generate(), None, None)]).await.unwrap();
    store.release_all_deliveries(NOW).await.unwrap();
    assert!(claim(&world, Timestamp(i64::MAX / 2)).await.is_empty());
    assert_eq!(store.next_delivery_at().await.unwrap(), None);
}

pub(crate) async fn what_is_given_back_is_due_at_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let given = leased(&world, "1").await[0].id;
    let waits = leased(&world, "2").await[0].id;
    store.settle_deliveries(vec![result(waits, Some("no"), Some(later(500)))]).await.unwrap();
    // One that is not leased keeps its pause.
    store.release_deliveries(vec![given, waits], NOW).await.unwrap();
    assert_eq!(store.next_delivery_at().await.unwrap(), Some(NOW));
    assert_eq!(claim(&world, NOW).await, [given]);
}

pub(crate) async fn a_deleted_webhook_gets_nothing_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let gone = world.webhook(&EVENTS).await;
    let stays = world.webhook(&EVENTS).await;
    let made = leased(&world, "1").await;
    store.delete_webhook(world.account, gone).await.unwrap();
    let lost = made.iter().find(|one| one.webhook_id == gone).unwrap().id;
    let kept = made.iter().find(|one| one.webhook_id == stays).unwrap().id;
    // An attempt that was under way comes back to nothing.
    store.settle_deliveries(vec![result(lost, Some("no"), Some(NOW))]).await.unwrap();
    assert_eq!(claim(&world, LEASE).await, [kept]);
    let made = leased(&world, "2").await;
    assert_eq!(made.iter().map(|one| one.webhook_id).collect::<Vec<_>>(), [stays]);
}

pub(crate) async fn at_the_start_all_are_due(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    world.webhook(&EVENTS).await;
    let made = leased(&world, "1").await[0].id;
    let waits = leased(&world, "2").await[0].id;
    store.settle_deliveries(vec![result(waits, Some("no"), Some(later(500)))]).await.unwrap();
    store.release_all_deliveries(NOW).await.unwrap();
    assert_eq!(claim(&world, NOW).await, [made]);
    assert_eq!(claim(&world, later(500)).await, [waits]);
}
