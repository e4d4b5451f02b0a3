use std::sync::Arc;

use switchboard_store::{Store, StoreError};

use crate::world::NOW;

pub(crate) async fn a_closed_store_says_so(store: Arc<dyn Store>) {
    let begun = store.create_account("last".into(), NOW);
    assert_eq!(begun.await.unwrap().name, "last");
    store.close().await;
    store.close().await;
    assert!(matches!(store.accounts().await, Err(StoreError::Closed)));
    assert!(matches!(store.create_account("x".into(), NOW).await, Err(StoreError::Closed)));
}
