//! How far another clock is from this one.

use switchboard_model::Timestamp;

use super::report::Findings;

/// From where on a difference is told, and from where on it breaks things, in seconds.
const TOLD: i64 = 10;
const BREAKS: i64 = 300;

/// Compares the `Date` of an answer with this machine's clock.
pub(super) fn judge(
    findings: &mut Findings,
    whose: &str,
    date: Option<&str>,
    now: Timestamp,
    advice: &[&str],
) {
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
    let Ok(theirs) = theirs.duration_since(std::time::UNIX_EPOCH) else { return };
    let theirs = i64::try_from(theirs.as_secs()).unwrap_or(i64::MAX);
    let off = theirs.saturating_sub(now.seconds());
    let (apart, which) = (off.abs(), if off > 0 { "ahead of" } else { "behind" });
    let found = format!("the clock of {whose} is {apart} s {which} this machine's");
    match apart {
        0..=TOLD => {
            findings.ok("clock", format!("the clock of {whose} agrees with this machine's"))
        }
        _ if apart <= BREAKS => findings.warning("clock", found, advice),
        _ => findings.problem("clock", found, advice),
    }
}
