//! The time, in the forms in which the originals write it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds from 1970 to 2001, where Apple's clock begins.
const APPLE_EPOCH_S: i64 = 978_307_200;

/// Unix time in nanoseconds. Stand-ins live in real time, as their originals do.
#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in has a clock of its own, like the machine that it stands for"
)]
fn unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    unix_ns() / 1_000_000
}

/// Apple's time in nanoseconds.
pub(crate) fn apple_now() -> i64 {
    unix_ns() - APPLE_EPOCH_S * 1_000_000_000
}

/// Apple's nanoseconds of Unix milliseconds.
pub(crate) fn apple_ns(unix_ms: i64) -> i64 {
    (unix_ms - APPLE_EPOCH_S * 1_000) * 1_000_000
}

/// Unix milliseconds of Apple's nanoseconds; 0 is never.
pub(crate) fn unix_ms(apple_ns: i64) -> Option<i64> {
    (apple_ns != 0).then(|| apple_ns / 1_000_000 + APPLE_EPOCH_S * 1_000)
}

/// ISO 8601 with milliseconds, at this offset from UTC in minutes.
pub(crate) fn iso(unix_ms: i64, offset_minutes: i64) -> String {
    let local = unix_ms + offset_minutes * 60_000;
    let (days, ms) = (local.div_euclid(86_400_000), local.rem_euclid(86_400_000));
    // Civil date of a day number, after Howard Hinnant's `civil_from_days`.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let off = offset_minutes.abs();
    format!(
        "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}{sign}{:02}:{:02}",
        ms % 1_000,
        off / 60,
        off % 60
    )
}

/// Unix milliseconds of an ISO 8601 time with `Z` or an offset.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let mut rest = text.get(19..)?;
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
        ms = format!("{:0<3}", fraction.get(..digits)?).get(..3)?.parse().ok()?;
        rest = fraction.get(digits..)?;
    }
    let offset = match rest {
        "Z" => 0,
        _ => {
            let sign = if rest.starts_with('-') { -1 } else { 1 };
            let digits = rest.get(1..)?.replace(':', "");
            sign * (digits.get(..2)?.parse::<i64>().ok()? * 60
                + digits.get(2..4)?.parse::<i64>().ok()?)
        }
    };
    // Hinnant's `days_from_civil`.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    Some(((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1_000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iso_time_is_read_as_it_was_written() {
        for (ms, offset) in
            [(1_772_352_902_000, 60), (1_772_352_902_123, -210), (0, 0), (951_782_400_000, 0)]
        {
            assert_eq!(parse_iso(&iso(ms, offset)), Some(ms), "{}", iso(ms, offset));
        }
        assert_eq!(iso(1_772_352_902_000, 60), "2026-03-01T09:15:02.000+01:00");
        assert_eq!(parse_iso("2026-03-01T08:15:02Z"), Some(1_772_352_902_000));
    }

    #[test]
    fn apples_time_begins_in_2001() {
        assert_eq!(apple_ns(978_307_200_000), 0);
        assert_eq!(unix_ms(1_000_000), Some(978_307_200_001));
        assert_eq!(unix_ms(0), None);
    }
}
