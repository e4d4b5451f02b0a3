use std::sync::Arc;

use switchboard_store::{Store, StoreError};

use crate::world::{ANN, BOB, NOW, World};

pub(crate) async fn a_closed_store_says_so(store: Arc<dyn Store>) {
    let begun = store.create_account("last".into(), NOW);
    assert_eq!(begun.await.unwrap().name, "last");
    store.close().await;
    store.close().await;
    assert!(matches!(store.accounts().await, Err(StoreError::Closed)));
    assert!(matches!(store.create_account("x".into(), NOW).await, Err(StoreError::Closed)));
    assert!(matches!(store.probe(NOW).await, Err(StoreError::Closed)));
    assert!(!store.stats().writer_alive);
}

pub(crate) async fn its_figures_are_of_what_it_holds(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    store.probe(NOW).await.unwrap();
    store.probe(NOW).await.unwrap();
    let idle = store.line_figures().await.unwrap();
    assert!(idle.waiting.is_empty() && idle.drivers.iter().all(|of| of.pending == 0), "{idle:?}");
    let lines: u64 = idle.drivers.iter().map(|of| of.lines).sum();
    assert_eq!(lines, store.operator_lines(NOW).await.unwrap().len() as u64);
    world.claimed(ANN, "in hand").await;
    world.accept(ANN, "one").await;
    world.accept(BOB, "two").await;
    let busy = store.line_figures().await.unwrap();
    assert_eq!(busy.drivers.iter().map(|of| of.pending).sum::<u64>(), 2, "{busy:?}");
    let waiting: Vec<_> = busy.waiting.iter().map(|of| (of.line_id, of.since)).collect();
    assert_eq!(waiting, [(world.line, NOW)], "{busy:?}");
    let stats = store.stats();
    assert!(stats.writer_alive && stats.commands >= 5 && stats.database_bytes > 0, "{stats:?}");
    assert_eq!((stats.write_queue, stats.failed_commits), (0, 0));
    assert!(stats.commits.counts.iter().sum::<u64>() >= 5 && !stats.commits.sum.is_zero());
}
