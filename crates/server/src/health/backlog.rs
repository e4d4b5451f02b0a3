//! How deliveries stand now: what waits in the store and in memory, for how long, and on whose account.
//!
//! The store is asked at most every [`FRESH`], however often the listener is.

use std::time::{Duration, Instant};

use switchboard_model::{Timestamp, time::Now};
use switchboard_store::{Backlog, Store, StoreError};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    deliver::{Deliver, InMemory},
    metrics::DeliveryLevels,
};

/// How long an answer of the store is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store has for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store's last answer. Whoever wants another waits for who has asked.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<Option<(Instant, Now, Backlog)>>);

/// Why the store can't say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the store refused")]
    Store(#[from] StoreError),
    #[error("the store did not answer within {PATIENCE:?}")]
    TooLate(#[from] tokio::time::error::Elapsed),
}

impl Looked {
    /// How deliveries stand now.
    pub(super) async fn levels(
        &self,
        store: &dyn Store,
        deliver: &Deliver,
        now: Now,
    ) -> Result<DeliveryLevels, NoAnswer> {
        let backlog = self.look(store, now).await?;
        let InMemory { in_flight, to_blame } = deliver.in_memory();
        let held = to_blame.values().filter(|is_held| **is_held).count();
        let mut levels = DeliveryLevels {
            in_flight,
            breakers_open: u64::try_from(held).unwrap_or(u64::MAX),
            webhooks_disabled: backlog.disabled,
            ..DeliveryLevels::default()
        };
        let mut oldest: Option<Timestamp> = None;
        for webhook in backlog.webhooks {
            levels.due += webhook.due;
            match to_blame.get(&webhook.webhook_id) {
                Some(true) => levels.held += webhook.due,
                Some(false) => {}
                None => {
                    oldest = Some(oldest.map_or(webhook.since, |since| since.min(webhook.since)));
                }
            }
        }
        // The store counts what is in flight too.
        levels.due = levels.due.saturating_sub(in_flight);
        levels.oldest_due_age = oldest.map(|since| now.wall.since(since)).unwrap_or_default();
        Ok(levels)
    }

    async fn look(&self, store: &dyn Store, now: Now) -> Result<Backlog, NoAnswer> {
        let mut last = self.0.lock().await;
        if let Some((at, for_time, backlog)) = &*last
            && at.elapsed() < FRESH
            && now.steady.since(for_time.steady) < FRESH
            && now.wall.since(for_time.wall) < FRESH
        {
            return Ok(backlog.clone());
        }
        let backlog = timeout(PATIENCE, store.deliveries_backlog(now)).await??;
        *last = Some((Instant::now(), now, backlog.clone()));
        Ok(backlog)
    }
}
