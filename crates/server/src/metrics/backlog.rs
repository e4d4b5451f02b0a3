//! How deliveries stand now: what waits in the store and in memory, for how long, and on whose account.
//!
//! The store is asked at most every [`FRESH`], however often the listener is.

use std::time::{Duration, Instant};

use switchboard_model::{Timestamp, time::Now};
use switchboard_store::{Backlog, StoreError};
use tokio::{sync::Mutex, time::timeout};

use crate::{app::App, deliver::InMemory};

/// How long an answer of the store is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store has for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store's last answer. Whoever wants another waits for who has asked.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<Option<(Instant, Now, Backlog)>>);

/// How deliveries stand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DeliveryFigures {
    /// Those that are due and not sent.
    pub(super) due: u64,
    /// Those of them that a breaker holds back.
    pub(super) held: u64,
    pub(super) in_flight: u64,
    /// For how long the oldest of them is due, but for those whose endpoint fails or is slow.
    pub(crate) oldest_due_age: Duration,
    pub(super) breakers_open: u64,
    pub(super) webhooks_disabled: u64,
}

/// Why the store can't say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the store refused")]
    Store(#[from] StoreError),
    #[error("the store did not answer within {PATIENCE:?}")]
    TooLate(#[from] tokio::time::error::Elapsed),
}

impl Looked {
    async fn look(&self, app: &App, now: Now) -> Result<Backlog, NoAnswer> {
        let mut last = self.0.lock().await;
        if let Some((at, for_time, backlog)) = &*last
            && at.elapsed() < FRESH
            && now.steady.since(for_time.steady) < FRESH
            && now.wall.since(for_time.wall) < FRESH
        {
            return Ok(backlog.clone());
        }
        let backlog = timeout(PATIENCE, app.store.deliveries_backlog(now)).await??;
        *last = Some((Instant::now(), now, backlog.clone()));
        Ok(backlog)
    }
}

impl DeliveryFigures {
    /// How they stand now.
    pub(crate) async fn of(app: &App) -> Result<Self, NoAnswer> {
        let now = app.clock.both();
        let backlog = app.metrics.backlog.look(app, now).await?;
        let memory = app.deliver.in_memory();
        let InMemory { in_flight, held, to_blame } = memory;
        let mut figures = Self {
            due: 0,
            held: 0,
            in_flight,
            oldest_due_age: Duration::ZERO,
            breakers_open: u64::try_from(held.len()).unwrap_or(u64::MAX),
            webhooks_disabled: backlog.disabled,
        };
        let mut oldest: Option<Timestamp> = None;
        for webhook in backlog.webhooks {
            figures.due += webhook.due;
            if held.contains(&webhook.webhook_id) {
                figures.held += webhook.due;
            }
            if !to_blame.contains(&webhook.webhook_id) {
                oldest = Some(oldest.map_or(webhook.since, |since| since.min(webhook.since)));
            }
        }
        // The store counts what is in flight too.
        figures.due = figures.due.saturating_sub(in_flight);
        figures.oldest_due_age = oldest.map(|since| now.wall.since(since)).unwrap_or_default();
        Ok(figures)
    }
}
