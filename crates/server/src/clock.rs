//! The clocks: the machine's own, and the server's steady time, which goes on over restarts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use switchboard_model::{
    Timestamp,
    time::{Clock, Now},
};
use switchboard_store::{SavedClock, Store, StoreError};

/// The longest that one sleep lasts before the wall clock is asked again: it may have been set.
const RECHECK: Duration = Duration::from_secs(60);

/// The most time that is taken to have passed while the server was down, when only the wall clock tells. As long as
/// the longest pause of anything that is due; with more, a clock that is wrong would delete more.
const MAX_UNVERIFIED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others ask")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn steady(&self) -> Timestamp {
        Timestamp(0) + since_boot()
    }

    fn boot(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    async fn sleep_until(&self, until: Timestamp) {
        let latest = self.steady() + until.since(self.now());
        loop {
            let left = until.since(self.now()).min(latest.since(self.steady()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(RECHECK)).await;
        }
    }
}

/// Since the machine has started, with the time that it slept.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Since the process has asked first: no boot is named, so nobody compares it with another process's.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// What comes of `work`, if it comes within `pause`.
pub(crate) async fn within<T>(
    clock: &dyn Clock,
    pause: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        // Asleep only once the work has to wait: most has not.
        () = async { clock.sleep(pause).await } => None,
    }
}

/// The server's clocks: steady time goes on from one process to the next, whatever happened to the wall clock in
/// between. It began as the wall time of the first start.
#[derive(Debug)]
pub(crate) struct ServerClock {
    machine: Arc<dyn Clock>,
    boot: Option<String>,
    /// Steady time less the machine's, in milliseconds.
    offset: i64,
    /// When this process began.
    began: Timestamp,
    /// How much of the time before that only the wall clock tells of, and was not lived through since.
    unverified: Duration,
}

impl ServerClock {
    /// Goes on from where the last process was.
    pub(crate) async fn resume(
        machine: Arc<dyn Clock>,
        store: &dyn Store,
    ) -> Result<Self, StoreError> {
        let saved = store.saved_clock().await?;
        let clock = Self::after(machine, saved);
        store.save_clock(clock.saved()).await?;
        Ok(clock)
    }

    fn after(machine: Arc<dyn Clock>, saved: Option<SavedClock>) -> Self {
        let (boot, wall, now) = (machine.boot(), machine.now(), machine.steady());
        let (began, unverified) = match saved {
            None => (wall, Duration::ZERO),
            // The machine itself has counted how long the server was down.
            Some(saved) if saved.boot.is_some() && saved.boot == boot && saved.machine <= now => {
                let passed = now.since(saved.machine);
                (saved.steady + passed, saved.unverified.saturating_sub(passed))
            }
            Some(saved) => {
                let told = wall.since(saved.wall).min(MAX_UNVERIFIED);
                (saved.steady + told, saved.unverified + told)
            }
        };
        Self { machine, boot, offset: began.0.saturating_sub(now.0), began, unverified }
    }

    /// What the next process goes on from.
    pub(crate) fn saved(&self) -> SavedClock {
        SavedClock {
            wall: self.now(),
            steady: self.steady(),
            machine: self.machine.steady(),
            boot: self.boot.clone(),
            unverified: self.behind(),
        }
    }

    /// How much of what only the wall clock tells of was not lived through since.
    fn behind(&self) -> Duration {
        self.unverified.saturating_sub(self.steady().since(self.began))
    }
}

#[async_trait::async_trait]
impl Clock for ServerClock {
    fn now(&self) -> Timestamp {
        self.machine.now()
    }

    fn steady(&self) -> Timestamp {
        Timestamp(self.machine.steady().0.saturating_add(self.offset))
    }

    fn retention(&self) -> Timestamp {
        self.steady() - self.behind()
    }

    fn boot(&self) -> Option<String> {
        self.boot.clone()
    }

    fn both(&self) -> Now {
        Now { wall: self.now(), steady: self.steady() }
    }

    async fn sleep(&self, pause: Duration) {
        self.machine.sleep(pause).await;
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.machine.sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// A machine's clocks that stand still.
    #[derive(Debug, Clone, Copy)]
    struct Machine {
        wall: Timestamp,
        steady: Timestamp,
        boot: &'static str,
    }

    #[async_trait::async_trait]
    impl Clock for Machine {
        fn now(&self) -> Timestamp {
            self.wall
        }

        fn steady(&self) -> Timestamp {
            self.steady
        }

        fn boot(&self) -> Option<String> {
            Some(self.boot.to_owned())
        }

        async fn sleep(&self, _: Duration) {}

        async fn sleep_until(&self, _: Timestamp) {}
    }

    const FIRST: Machine =
        Machine { wall: Timestamp(1_700_000_000_000), steady: Timestamp(5000), boot: "first" };

    fn after(machine: Machine, saved: Option<SavedClock>) -> ServerClock {
        ServerClock::after(Arc::new(machine), saved)
    }

    /// How much steady and retention time has passed since the first process ended.
    fn passed(machine: Machine) -> (Duration, Duration) {
        let first = after(FIRST, None);
        let next = after(machine, Some(first.saved()));
        (next.steady().since(first.steady()), next.retention().since(first.retention()))
    }

    #[test]
    fn it_begins_as_the_wall_clock() {
        let clock = after(FIRST, None);
        assert_eq!(clock.both(), FIRST.wall.into());
        assert_eq!(clock.retention(), FIRST.wall);
    }

    #[test]
    fn the_same_run_of_the_machine_knows_how_long_the_server_was_down() {
        for wall in [FIRST.wall - DAY, FIRST.wall, FIRST.wall + 3 * DAY] {
            let later = Machine { wall, steady: FIRST.steady + DAY, ..FIRST };
            assert_eq!(passed(later), (DAY, DAY), "{wall:?}");
        }
        let long = Machine { steady: FIRST.steady + 400 * DAY, ..FIRST };
        assert_eq!(passed(long), (400 * DAY, 400 * DAY));
    }

    #[test]
    fn after_a_reboot_the_wall_clock_is_believed_within_bounds_and_deletes_nothing() {
        let none = Duration::ZERO;
        for (wall, steady) in [
            (FIRST.wall - DAY, none),
            (FIRST.wall, none),
            (FIRST.wall + 3 * DAY, 3 * DAY),
            (FIRST.wall + 9000 * DAY, MAX_UNVERIFIED),
        ] {
            let next = Machine { wall, steady: Timestamp(1), boot: "second" };
            assert_eq!(passed(next), (steady, none), "{wall:?}");
        }
    }

    #[test]
    fn what_was_not_verified_is_made_up_for_while_it_runs() {
        let saved = after(FIRST, None).saved();
        let boot = Machine { wall: FIRST.wall + 3 * DAY, steady: Timestamp(0), boot: "second" };
        let second = after(boot, Some(saved));
        let mut saved = second.saved();
        assert_eq!(saved.unverified, 3 * DAY);
        for days in 1..=4 {
            // A restart in between changes nothing.
            let later = Machine { steady: Timestamp(0) + days * DAY, ..boot };
            let clock = after(later, Some(saved.clone()));
            let passed = (2 * days).min(days + 3) * DAY;
            assert_eq!(clock.retention(), second.retention() + passed);
            saved = clock.saved();
        }
    }
}
