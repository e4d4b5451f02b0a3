use std::sync::Arc;

use switchboard_model::{EventKind, delivery::AttemptResult};
use switchboard_store::Store;

use crate::world::{ANN, LEASE, World, later, text_from};

pub(crate) async fn what_is_old_is_forgotten_unless_it_is_still_tried(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(&[EventKind::MessageReceived]).await;
    let mut deliveries = Vec::new();
    for (number, guid) in ["1", "2", "3", "4"].into_iter().enumerate() {
        let at = later(i64::try_from(number).unwrap());
        let received = store
            .receive(world.bridge, world.line, "1".into(), vec![text_from(ANN, guid)], at, LEASE)
            .await
            .unwrap();
        deliveries.push(received.committed.deliveries[0].id);
    }
    let done = |delivery_id| AttemptResult {
        delivery_id,
        attempts: 1,
        status: Some(200),
        error: None,
        next_attempt_at: None,
        finished_at: later(10),
    };
    // The first is still tried.
    store.settle_deliveries(deliveries[1..].iter().copied().map(done).collect()).await.unwrap();
    assert_eq!(store.prune_events(later(3), 1).await.unwrap(), 1);
    assert_eq!(store.prune_events(later(3), 10).await.unwrap(), 1);
    assert_eq!(store.prune_events(later(3), 10).await.unwrap(), 0);
    let tried = store.claim_deliveries(LEASE, LEASE, vec![(webhook, 10)]).await.unwrap();
    assert_eq!(tried.iter().map(|one| one.id).collect::<Vec<_>>(), deliveries[..1]);
    store.settle_deliveries(vec![done(deliveries[0])]).await.unwrap();
    assert_eq!(store.prune_events(later(100), 10).await.unwrap(), 2);
    // A place in the stream never comes twice, even when nothing is left.
    let next = world.receive(vec![text_from(ANN, "5")]).await.committed.events[0].seq;
    assert_eq!(next, 5);
}
