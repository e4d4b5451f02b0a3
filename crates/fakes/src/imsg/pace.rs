//! How long things take. Real times make tests wait, so all of them can be scaled.

use std::time::Duration;

/// How long the Mac takes for what it does.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The helper's time for one action.
    pub helper: Duration,
    /// The time of one Apple Event.
    pub apple_event: Duration,
    /// How long a send is looked for in `chat.db` before its outcome is unknown (send.md: 8 s).
    pub verification: Duration,
    /// The limit of `osascript` and of a send by the helper (send.md: 150 s). What hangs for sure ends after it; what is
    /// held is given 3 s at least.
    pub send_limit: Duration,
    /// The limit of other actions of the helper (10 s).
    pub action_limit: Duration,
    /// The watch's poll without any file event (watch.md: 5 s).
    pub fallback_poll: Duration,
    /// What `debounce_ms` is multiplied with.
    pub debounce: f64,
    /// From the row to `is_sent`.
    pub sent: Duration,
    /// From the row to `is_delivered`, if the contact's phone is on.
    pub delivered: Duration,
    /// How long `imsg launch` waits for the helper.
    pub launch: Duration,
}

impl Pace {
    /// For tests: a fiftieth of the real times, and less for the long ones.
    pub fn fast() -> Self {
        Self {
            helper: Duration::from_millis(1),
            apple_event: Duration::from_millis(2),
            verification: Duration::from_millis(160),
            send_limit: Duration::from_millis(400),
            action_limit: Duration::from_millis(200),
            fallback_poll: Duration::from_millis(100),
            debounce: 0.02,
            sent: Duration::from_millis(2),
            delivered: Duration::from_millis(10),
            launch: Duration::from_millis(100),
        }
    }

    /// As on a Mac.
    pub fn real() -> Self {
        Self {
            helper: Duration::from_millis(80),
            apple_event: Duration::from_millis(400),
            verification: Duration::from_secs(8),
            send_limit: Duration::from_secs(150),
            action_limit: Duration::from_secs(10),
            fallback_poll: Duration::from_secs(5),
            debounce: 1.0,
            sent: Duration::from_millis(200),
            delivered: Duration::from_secs(1),
            launch: Duration::from_secs(15),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::fast()
    }
}
