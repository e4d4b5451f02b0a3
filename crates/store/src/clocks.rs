//! Where the clocks stand, so that a restart does not take one that was set for time that has passed.

use std::time::Duration;

use switchboard_model::Timestamp;

use crate::Result;

/// Where the clocks stood, so that the steady one goes on in the next process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedClock {
    /// The wall clock.
    pub wall: Timestamp,
    /// The steady clock.
    pub steady: Timestamp,
    /// The machine's own steady clock, which counts within one `boot` only.
    pub machine: Timestamp,
    /// Names that run of the machine, if that can be told.
    pub boot: Option<String>,
    /// How much of the steady time only a wall clock told of, and was not lived through since.
    pub unverified: Duration,
}

/// Where the clocks stand, so that a restart does not take one that was set for time that has passed.
#[async_trait::async_trait]
pub trait Clocks: Send + Sync {
    /// Where the clocks stood when that was saved last.
    async fn saved_clock(&self) -> Result<Option<SavedClock>>;

    /// Saves where the clocks stand.
    async fn save_clock(&self, clock: SavedClock) -> Result<()>;

    /// Notes which events and outbox items there are now, by the steady clock: those behind them are younger,
    /// whatever their stamps say. Forgets such notes from before `before`, but for the last of them.
    async fn mark(&self, now: Timestamp, before: Timestamp) -> Result<()>;
}
