//! What a store counts of its own transactions.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{COMMIT_SECONDS, CommitTimes};

/// What the writer counts. One more of each a transaction, so that it costs nothing beside a commit.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    commands: AtomicU64,
    failed: AtomicU64,
    /// As [`COMMIT_SECONDS`], and one for what takes longer.
    buckets: [AtomicU64; COMMIT_SECONDS.len() + 1],
    nanos: AtomicU64,
}

impl Vitals {
    /// A transaction of so many commands has ended.
    pub(crate) fn committed(&self, commands: usize, took: Duration, kept: bool) {
        if !kept {
            self.failed.fetch_add(1, Relaxed);
            return;
        }
        self.commands.fetch_add(commands as u64, Relaxed);
        let seconds = took.as_secs_f64();
        let bucket = COMMIT_SECONDS.iter().position(|end| seconds <= *end);
        self.buckets[bucket.unwrap_or(COMMIT_SECONDS.len())].fetch_add(1, Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn commands(&self) -> u64 {
        self.commands.load(Relaxed)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    pub(crate) fn commits(&self) -> CommitTimes {
        CommitTimes {
            counts: std::array::from_fn(|bucket| self.buckets[bucket].load(Relaxed)),
            sum: Duration::from_nanos(self.nanos.load(Relaxed)),
        }
    }
}
