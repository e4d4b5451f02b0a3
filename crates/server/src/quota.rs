//! Quotas: how much one account, key or address may have of what all share. Each has a name in the configuration.

pub(crate) mod each;
pub(crate) mod heads;
pub(crate) mod uploads;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use switchboard_model::{Account, Code, Key, Problem, id::Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Quotas;
use each::{Each, Share};

/// What a client is asked to wait for a place among the live streams, in seconds.
const RETRY_STREAMS_AFTER: u64 = 30;
/// How often it is said that something is at its limit.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Room for live streams: in all, of one account, of one key.
#[derive(Debug)]
pub(crate) struct Streams {
    all: Arc<Semaphore>,
    most: u64,
    per_account: u32,
    per_key: u32,
    of_account: Each<Id<Account>>,
    of_key: Each<Id<Key>>,
    told: Occasionally,
}

/// A place among the live streams; free when dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    _of_all: OwnedSemaphorePermit,
    _of_account: Share<Id<Account>>,
    _of_key: Share<Id<Key>>,
}

impl Streams {
    pub(crate) fn new(quotas: &Quotas) -> Self {
        Self {
            all: Arc::new(Semaphore::new(usize::try_from(quotas.max_streams).unwrap_or(0))),
            most: u64::from(quotas.max_streams),
            per_account: quotas.max_streams_per_account(),
            per_key: quotas.max_streams_per_key(),
            of_account: Each::default(),
            of_key: Each::default(),
            told: Occasionally::default(),
        }
    }

    /// How many there are.
    pub(crate) fn open(&self) -> u64 {
        self.most.saturating_sub(self.all.available_permits() as u64)
    }

    /// Takes a place, if there is one.
    pub(crate) fn enter(&self, account: Id<Account>, key: Id<Key>) -> Result<StreamPlace, Problem> {
        let of = |limit: u32, whose: &str, setting: &str| {
            let message = format!(
                "This {whose} has {limit} live streams open, the most it may have ({setting}). Close one first."
            );
            Problem::new(Code::RateLimitExceeded, message).retry_after(RETRY_STREAMS_AFTER)
        };
        let Some(of_key) = self.of_key.take(key, self.per_key) else {
            return Err(of(self.per_key, "key", "--max-streams-per-key"));
        };
        let Some(of_account) = self.of_account.take(account, self.per_account) else {
            return Err(of(self.per_account, "account", "--max-streams-per-account"));
        };
        let Ok(of_all) = Arc::clone(&self.all).try_acquire_owned() else {
            if self.told.is_time() {
                tracing::warn!("there are as many live streams as --max-streams allows");
            }
            let message = "This server has as many live streams as it takes. Try again later.";
            let problem = Problem::new(Code::ServiceUnavailable, message);
            return Err(problem.retry_after(RETRY_STREAMS_AFTER));
        };
        Ok(StreamPlace { _of_all: of_all, _of_account: of_account, _of_key: of_key })
    }
}

/// Something that is said at most once in [`TOLD_EVERY`].
#[derive(Debug, Default)]
pub(crate) struct Occasionally(Mutex<Option<Instant>>);

impl Occasionally {
    /// Whether it is time to say it; if so, not again for a while.
    pub(crate) fn is_time(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
        if is_time {
            *last = Some(Instant::now());
        }
        is_time
    }
}
