//! How the store is doing.

use std::time::Duration;

use switchboard_model::{
    Line, Timestamp,
    id::Id,
    line::{DriverKind, OfflineReason},
};

use crate::Result;

/// The upper ends of what a transaction takes, in seconds.
pub const COMMIT_SECONDS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How long transactions took, from their begin to the end of their commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitTimes {
    /// How many of each: as [`COMMIT_SECONDS`], and one for what takes longer. Not cumulative.
    pub counts: [u64; COMMIT_SECONDS.len() + 1],
    /// All together.
    pub sum: Duration,
}

/// What there is of one driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverFigures {
    /// Which.
    pub driver: DriverKind,
    /// Its active lines.
    pub lines: u64,
    /// Items that wait for them; counted up to [`MAX_PENDING_COUNTED`].
    pub pending: u64,
}

/// Lines of one driver that are not as they should be, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonFigures {
    /// Their driver.
    pub driver: DriverKind,
    /// Whether they take items all the same.
    pub online: bool,
    /// Why; none if nobody has said.
    pub reason: Option<OfflineReason>,
    /// Active lines.
    pub lines: u64,
}

/// What there is for bridges to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFigures {
    /// One for each driver that has lines.
    pub drivers: Vec<DriverFigures>,
    /// One for each driver and reason for which lines are offline, or online with a warning.
    pub reasons: Vec<ReasonFigures>,
    /// The lines with something pending; so many of them at most.
    pub waiting: Vec<WaitingLine>,
}

/// As far as pending items are counted, over all drivers: who watches must not slow down who works.
pub const MAX_PENDING_COUNTED: usize = 50_000;

/// What a store knows of itself without a look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// Writing commands that wait.
    pub write_queue: usize,
    /// As many as may.
    pub write_queue_max: usize,
    /// Whether what writes them still runs.
    pub writer_alive: bool,
    /// Commands that were committed.
    pub commands: u64,
    /// Transactions that could not be committed.
    pub failed_commits: u64,
    /// The transactions that were.
    pub commits: CommitTimes,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of its write-ahead log, if that is a file of its own.
    pub wal_bytes: Option<u64>,
}

/// A line with something pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingLine {
    /// Which.
    pub line_id: Id<Line>,
    /// Its driver.
    pub driver: DriverKind,
    /// When the first of its pending items was accepted.
    pub since: Timestamp,
}

/// How the store is doing.
#[async_trait::async_trait]
pub trait Health: Send + Sync {
    /// How the store is doing, as it has counted itself: without a look into it.
    fn stats(&self) -> StoreStats;

    /// Writes something and reads it again: whether the store works.
    async fn probe(&self, now: Timestamp) -> Result<()>;

    /// What there is of each driver: its lines, and what waits for them. A bounded read.
    async fn line_figures(&self) -> Result<LineFigures>;
}
