//! When a delivery is tried again: pure functions.

use std::{fmt, str::FromStr, time::Duration};

use crate::time::Timestamp;

/// The pauses before the second, third, … attempt, unless the operator has others. The first goes
/// out at once.
pub const SCHEDULE: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(12 * 3600),
    Duration::from_secs(24 * 3600),
];

/// How far a pause may be from its nominal length, either way: a crowd that failed
/// together must not come back together.
pub const JITTER: f64 = 0.2;

/// The longest that an endpoint may put off the next attempt.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The most pauses of a schedule.
const MAX_PAUSES: usize = 32;
/// The longest pause of a schedule.
const MAX_PAUSE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The pauses between the attempts of a delivery. Reads and shows itself as `5s,30s,5m,2h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

/// Why a text is no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// A pause that can't be understood.
    #[error("a pause is a whole number and a unit: 500ms, 5s, 30m, 2h, 1d")]
    Pause,
    /// A pause of no time, or of too much.
    #[error("a pause takes from 1ms to 7d")]
    Length,
    /// More pauses than anybody needs.
    #[error("at most {MAX_PAUSES} pauses")]
    TooMany,
}

impl RetrySchedule {
    /// When to try again after so many failed attempts, the last of which ended at `failed_at`; none
    /// when the delivery is given up. Not before the schedule says and, within
    /// [`MAX_RETRY_AFTER`], not before the endpoint says. `random` lies in 0..=1 and chooses the place within the jitter.
    pub fn next_attempt(
        &self,
        attempts: u32,
        failed_at: Timestamp,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Option<Timestamp> {
        let pause = pause_after(&self.0, attempts, random)?;
        let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        Some(failed_at + pause.max(asked))
    }

    /// The longest that a delivery may wait for its next attempt.
    pub fn longest(&self) -> Duration {
        let longest = self.0.iter().copied().max().unwrap_or_default();
        jittered(longest, 1.0).max(MAX_RETRY_AFTER)
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self(SCHEDULE.into())
    }
}

impl FromStr for RetrySchedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let pauses = text.split(',').map(pause).collect::<Result<Vec<_>, _>>()?;
        if pauses.len() > MAX_PAUSES { Err(BadSchedule::TooMany) } else { Ok(Self(pauses)) }
    }
}

/// The units of a pause, in milliseconds, the longest first.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

fn pause(text: &str) -> Result<Duration, BadSchedule> {
    let text = text.trim();
    let digits = text.find(|one: char| !one.is_ascii_digit()).ok_or(BadSchedule::Pause)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| BadSchedule::Pause)?;
    let (_, millis) =
        UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(BadSchedule::Pause)?;
    let pause = Duration::from_millis(number.saturating_mul(millis));
    if pause.is_zero() || pause > MAX_PAUSE { Err(BadSchedule::Length) } else { Ok(pause) }
}

impl fmt::Display for RetrySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pause) in self.0.iter().enumerate() {
            let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            let (name, unit) =
                UNITS.into_iter().find(|(_, unit)| millis % unit == 0).unwrap_or(("ms", 1));
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}{name}", millis / unit)?;
        }
        Ok(())
    }
}

/// The pause after `attempts` failed attempts, or none when the delivery is given up.
/// `random` lies in 0..=1 and chooses the place within the jitter.
pub fn pause_after(schedule: &[Duration], attempts: u32, random: f64) -> Option<Duration> {
    let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
    let nominal = schedule.get(index)?;
    Some(jittered(*nominal, random))
}

/// A pause that is off its nominal length by [`JITTER`] at most. `random` lies in 0..=1.
pub fn jittered(nominal: Duration, random: f64) -> Duration {
    nominal.mul_f64(1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0))
}

/// What `Retry-After` asks for: seconds, or an HTTP-date. None if it can't be understood or
/// is over.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are as many as can be.
        let seconds = value.parse().unwrap_or(u64::MAX / 1000);
        return Some(Duration::from_secs(seconds)).filter(|pause| !pause.is_zero());
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let date = Timestamp(0) + since;
    Some(date.since(now)).filter(|pause| !pause.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn nine_attempts_and_no_more() {
        assert_eq!(pause_after(&SCHEDULE, 1, 0.5), Some(Duration::from_secs(5)));
        assert_eq!(pause_after(&SCHEDULE, 8, 0.5), Some(Duration::from_secs(24 * 3600)));
        assert_eq!(pause_after(&SCHEDULE, 9, 0.5), None);
        assert_eq!(pause_after(&SCHEDULE, 0, 0.5), None);
    }

    #[test]
    fn a_schedule_is_read_as_it_is_shown() {
        let default = RetrySchedule::default();
        assert_eq!(default.to_string(), "5s,30s,5m,30m,2h,6h,12h,1d");
        assert_eq!(default.to_string().parse(), Ok(default));
        let own: RetrySchedule = " 500ms, 90s ,7d".parse().unwrap();
        assert_eq!(own.to_string(), "500ms,90s,7d");
        for (text, why) in [
            ("", BadSchedule::Pause),
            ("5", BadSchedule::Pause),
            ("s", BadSchedule::Pause),
            ("5 s", BadSchedule::Pause),
            ("-5s", BadSchedule::Pause),
            ("5w", BadSchedule::Pause),
            ("5s,,5s", BadSchedule::Pause),
            ("99999999999999999999s", BadSchedule::Pause),
            ("0s", BadSchedule::Length),
            ("8d", BadSchedule::Length),
            ("18446744073709551615d", BadSchedule::Length),
            (&["1s"; 33].join(","), BadSchedule::TooMany),
        ] {
            assert_eq!(text.parse::<RetrySchedule>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        // RFC 9110: the preferred form and the two that are obsolete.
        let at = Timestamp(784_111_777_000);
        for (value, now, wanted) in [
            ("120", NOW, Some(120)),
            (" 120 ", NOW, Some(120)),
            ("0", NOW, None),
            ("99999999999999999999999", NOW, Some(u64::MAX / 1000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", at - Duration::from_secs(90), Some(90)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", at - Duration::from_secs(90), Some(90)),
            ("Sun Nov  6 08:49:37 1994", at - Duration::from_secs(90), Some(90)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", at, None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", NOW, None),
            ("", NOW, None),
            ("-1", NOW, None),
            ("1.5", NOW, None),
            ("soon", NOW, None),
        ] {
            let got = retry_after(value, now).map(|pause| pause.as_secs());
            assert_eq!(got, wanted, "{value:?}");
        }
    }

    #[test]
    fn the_endpoint_may_only_put_off_and_only_so_far() {
        let schedule = RetrySchedule::default();
        let next = |attempts, seconds| {
            let asked = Some(Duration::from_secs(seconds));
            schedule.next_attempt(attempts, NOW, asked, 0.5).map(|at| at.since(NOW).as_secs())
        };
        assert_eq!(next(1, 1), Some(5), "sooner than the schedule is not sooner");
        assert_eq!(next(1, 120), Some(120));
        assert_eq!(next(1, u64::MAX / 1000), Some(24 * 3600));
        assert_eq!(next(8, 60), Some(24 * 3600));
        assert_eq!(next(9, 60), None, "what is given up stays given up");
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(attempts in 1u32..9, random in 0.0f64..=1.0) {
            let nominal = SCHEDULE[attempts as usize - 1].as_secs_f64();
            let pause = pause_after(&SCHEDULE, attempts, random).unwrap().as_secs_f64();
            prop_assert!(pause >= nominal * 0.799 && pause <= nominal * 1.201);
        }

        #[test]
        fn the_next_attempt_is_never_before_either_asks(
            attempts in 1u32..9, asked in 0u64..200_000, random in 0.0f64..=1.0,
        ) {
            let asked = Duration::from_secs(asked);
            let next = RetrySchedule::default().next_attempt(attempts, NOW, Some(asked), random);
            let next = next.unwrap().since(NOW);
            prop_assert!(next >= asked.min(MAX_RETRY_AFTER));
            let pause = pause_after(&SCHEDULE, attempts, random).unwrap();
            prop_assert!(next + Duration::from_millis(1) >= pause);
            prop_assert!(next <= pause.max(MAX_RETRY_AFTER));
        }

        #[test]
        fn no_header_breaks_it(value in "\\PC{0,40}", now in any::<i64>()) {
            let _ = retry_after(&value, Timestamp(now));
        }

        #[test]
        fn every_schedule_is_read_back(pauses in prop::collection::vec(1u64..604_800_000, 1..32)) {
            let schedule = RetrySchedule(pauses.into_iter().map(Duration::from_millis).collect());
            prop_assert_eq!(schedule.to_string().parse(), Ok(schedule));
        }
    }
}
