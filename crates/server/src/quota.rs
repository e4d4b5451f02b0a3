//! Quotas: how much one account, key or address may have of what all share. Each has a name in the configuration.

pub(crate) mod heads;
pub(crate) mod uploads;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use switchboard_model::{Account, Code, Key, Problem, id::Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Quotas;

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
    open: Arc<Mutex<Open>>,
    told: Occasionally,
}

/// How many are open. Who has none is not in it.
#[derive(Debug, Default)]
struct Open {
    accounts: HashMap<Id<Account>, u32>,
    keys: HashMap<Id<Key>, u32>,
}

/// A place among the live streams; free when dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    _of_all: OwnedSemaphorePermit,
    open: Arc<Mutex<Open>>,
    account: Id<Account>,
    key: Id<Key>,
}

impl Streams {
    pub(crate) fn new(quotas: &Quotas) -> Self {
        Self {
            all: Arc::new(Semaphore::new(usize::try_from(quotas.max_streams).unwrap_or(0))),
            most: u64::from(quotas.max_streams),
            per_account: quotas.max_streams_per_account(),
            per_key: quotas.max_streams_per_key(),
            open: Arc::default(),
            told: Occasionally::default(),
        }
    }

    /// How many there are.
    pub(crate) fn open(&self) -> u64 {
        self.most.saturating_sub(self.all.available_permits() as u64)
    }

    /// Takes a place, if there is one.
    pub(crate) fn enter(&self, account: Id<Account>, key: Id<Key>) -> Result<StreamPlace, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |limit: u32, whose: &str, setting: &str| {
            let message = format!(
                "This {whose} has {limit} live streams open, the most it may have ({setting}). Close one first."
            );
            Problem::new(Code::RateLimitExceeded, message).retry_after(RETRY_STREAMS_AFTER)
        };
        if open.keys.get(&key).copied().unwrap_or(0) >= self.per_key {
            return Err(of(self.per_key, "key", "--max-streams-per-key"));
        }
        if open.accounts.get(&account).copied().unwrap_or(0) >= self.per_account {
            return Err(of(self.per_account, "account", "--max-streams-per-account"));
        }
        let Ok(of_all) = Arc::clone(&self.all).try_acquire_owned() else {
            if self.told.is_time() {
                tracing::warn!("there are as many live streams as --max-streams allows");
            }
            let message = "This server has as many live streams as it takes. Try again later.";
            let problem = Problem::new(Code::ServiceUnavailable, message);
            return Err(problem.retry_after(RETRY_STREAMS_AFTER));
        };
        *open.keys.entry(key).or_default() += 1;
        *open.accounts.entry(account).or_default() += 1;
        let open = Arc::clone(&self.open);
        Ok(StreamPlace { _of_all: of_all, open, account, key })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        leave(&mut open.accounts, &self.account);
        leave(&mut open.keys, &self.key);
    }
}

fn leave<K: Eq + Hash>(open: &mut HashMap<K, u32>, who: &K) {
    if let Some(count) = open.get_mut(who) {
        *count -= 1;
        if *count == 0 {
            open.remove(who);
        }
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
