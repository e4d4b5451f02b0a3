//! Time: Unix milliseconds UTC, everywhere (§1).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant in Unix milliseconds UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the Unix epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as Standard Webhooks wants them.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long it is from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        let millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, before: Duration) -> Self {
        let millis = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

/// One instant by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// By the wall clock: what people and programs are shown.
    pub wall: Timestamp,
    /// By the steady clock: what due times and ages are counted by.
    pub steady: Timestamp,
}

impl Now {
    /// What the wall clock will show at a steady instant, or has shown, if nobody sets it.
    pub fn wall_at(self, steady: Timestamp) -> Timestamp {
        let from_now = steady.0.saturating_sub(self.steady.0);
        Timestamp(self.wall.0.saturating_add(from_now))
    }
}

/// Both clocks agree, as long as nobody has set the wall clock.
impl From<Timestamp> for Now {
    fn from(at: Timestamp) -> Self {
        Self { wall: at, steady: at }
    }
}

/// Where "now" comes from: an argument, so that tests can move it.
///
/// There are two clocks. The *wall clock* is shown and signed with, and may be set at any moment. The *steady
/// clock* only runs: everything that is due, leased or pruned is counted by it, so that setting the wall clock
/// makes nothing late and deletes nothing. Only differences between its readings mean something.
#[async_trait::async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current instant by the wall clock.
    fn now(&self) -> Timestamp;

    /// The current instant by the steady clock.
    fn steady(&self) -> Timestamp;

    /// The steady instant that the age of what may be deleted is counted to. Behind [`Clock::steady`] while it is
    /// not certain that so much time has passed.
    fn retention(&self) -> Timestamp {
        self.steady()
    }

    /// Names the span, over restarts of this process, in which [`Clock::steady`] goes on: one run of the machine.
    /// None if that can't be told.
    fn boot(&self) -> Option<String>;

    /// Both clocks.
    fn both(&self) -> Now {
        Now { wall: self.now(), steady: self.steady() }
    }

    /// Returns after this pause by the steady clock.
    async fn sleep(&self, pause: Duration);

    /// Returns once [`Clock::now`] has reached `until`, and at the latest when the time that was left at the call
    /// has passed: setting the wall clock back makes nobody sleep longer.
    async fn sleep_until(&self, until: Timestamp);
}
