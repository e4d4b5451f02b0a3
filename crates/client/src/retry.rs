//! Which calls are repeated, and after how long: pure functions.

use std::time::Duration;

use switchboard_model::{Code, retry::JITTER};

use crate::{
    answer::RawAnswer,
    error::{Error, Result},
};

/// The pause before the first repetition; doubles with each. As the common SDK has it (§1).
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause. A call's longer `Retry-After` is not waited for: the caller gets the
/// refusal and decides.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pause after so many repetitions. `random` lies in 0..=1: a crowd that failed together
/// must not come back together.
pub(crate) fn pause(made: u32, random: f64) -> Duration {
    let nominal = FIRST_PAUSE.saturating_mul(1 << made.min(16)).min(LONGEST_PAUSE);
    nominal.mul_f64(1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0))
}

/// How long to wait before the call is repeated; none if repeating it is no use.
pub(crate) fn pause_before_retry(
    raw: &Result<RawAnswer>,
    made: u32,
    random: f64,
) -> Option<Duration> {
    let asked = match raw {
        Ok(raw) if is_temporary(raw.status, code(raw)) => {
            raw.retry_after().map_or(Duration::ZERO, Duration::from_secs)
        }
        Err(error) if error.is_temporary() => Duration::ZERO,
        _ => return None,
    };
    (asked <= LONGEST_PAUSE).then(|| pause(made, random).max(asked))
}

/// Whether the same request may fare better later.
pub(crate) fn is_temporary(status: u16, code: Option<Code>) -> bool {
    status == 429 || status >= 500 || code == Some(Code::IdempotencyInProgress)
}

/// Whether the work may have been done although the answer does not say so.
pub(crate) fn is_unsure(raw: &Result<RawAnswer>) -> bool {
    match raw {
        Ok(raw) => raw.status >= 500,
        Err(error) => matches!(error, Error::Transport(_) | Error::TooLarge),
    }
}

/// The code of a refusal, if it is one that the contract has.
pub(crate) fn code(raw: &RawAnswer) -> Option<Code> {
    let name = raw.body.pointer("/error/code")?.as_str()?;
    Code::ALL.iter().copied().find(|code| code.as_str() == name)
}

/// An Idempotency-Key that nobody else makes.
pub(crate) fn random_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>, body: Value) -> Result<RawAnswer> {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert("retry-after", HeaderValue::from_static(seconds));
        }
        Ok(RawAnswer { status, headers, body, bytes: Bytes::new() })
    }

    #[test]
    fn the_pauses_are_those_of_the_common_sdk() {
        let millis = |status, retry_after, made| {
            let raw = answer(status, retry_after, Value::Null);
            pause_before_retry(&raw, made, 0.5).map(|pause| pause.as_millis())
        };
        assert_eq!(millis(503, None, 0), Some(500));
        assert_eq!(millis(500, None, 1), Some(1000));
        assert_eq!(millis(500, None, 63), Some(30_000));
        assert_eq!(millis(429, Some("2"), 0), Some(2000));
        assert_eq!(millis(429, Some("3600"), 0), None);
        assert_eq!(millis(404, None, 0), None);
        assert_eq!(millis(200, None, 0), None);
    }

    #[test]
    fn of_the_conflicts_only_one_passes_by_itself() {
        let conflict = |code: &str| {
            let raw = answer(409, None, json!({ "error": { "code": code } }));
            pause_before_retry(&raw, 0, 0.5).is_some()
        };
        assert!(conflict("idempotency_in_progress"));
        assert!(!conflict("resource_exists") && !conflict("something_new"));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(made in 0u32..40, random in 0.0f64..=1.0) {
            let nominal = (0.5 * 2f64.powi(made as i32)).min(30.0);
            let pause = pause(made, random).as_secs_f64();
            prop_assert!(pause >= nominal * 0.799 && pause <= nominal * 1.201);
        }
    }

    #[test]
    fn keys_are_keys_and_differ() {
        let key = random_key();
        assert!(switchboard_model::idempotency::is_valid(&key) && key != random_key());
    }
}
