//! The system's clock: the only place that asks the machine what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use switchboard_model::{Timestamp, time::Clock};

/// The longest that one sleep lasts before the wall clock is asked again: it may have been set.
const RECHECK: Duration = Duration::from_secs(60);

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others ask")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, until: Timestamp) {
        loop {
            let left = until.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(RECHECK)).await;
        }
    }
}
