//! When a delivery is tried again: a pure function.

use std::time::Duration;

/// The pauses before the second, third, … attempt. The first goes out at once.
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

/// The pause after `attempts` failed attempts, or none when the delivery is given up.
/// `random` lies in 0..=1 and chooses the place within the jitter.
pub fn pause_after(schedule: &[Duration], attempts: u32, random: f64) -> Option<Duration> {
    let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
    let nominal = schedule.get(index)?;
    Some(nominal.mul_f64(1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nine_attempts_and_no_more() {
        assert_eq!(pause_after(&SCHEDULE, 1, 0.5), Some(Duration::from_secs(5)));
        assert_eq!(pause_after(&SCHEDULE, 8, 0.5), Some(Duration::from_secs(24 * 3600)));
        assert_eq!(pause_after(&SCHEDULE, 9, 0.5), None);
        assert_eq!(pause_after(&SCHEDULE, 0, 0.5), None);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(attempts in 1u32..9, random in 0.0f64..=1.0) {
            let nominal = SCHEDULE[attempts as usize - 1].as_secs_f64();
            let pause = pause_after(&SCHEDULE, attempts, random).unwrap().as_secs_f64();
            prop_assert!(pause >= nominal * 0.799 && pause <= nominal * 1.201);
        }
    }
}
