//! Patience with a store that can't do its work now.
//!
//! To end the link would help nobody: the bridge would dial again and ask for the same, and its lines would
//! go down and up with it.

use std::time::Duration;

use switchboard_store::StoreError;

use crate::outage;

/// The pause before the store is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What comes of `work`, which is done again while the store is out or has too much to do: nothing of it was kept.
pub(super) async fn once_available<T, F>(
    what: &str,
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match work().await {
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Overloaded)) => {
                outage::report(&error, what);
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}
