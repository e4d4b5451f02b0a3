//! The headers that tell how a key stands (§4), and those of draft-ietf-httpapi-ratelimit-headers.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};

use crate::limiter::RateLimitStatus;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const DRAFT: HeaderName = HeaderName::from_static("ratelimit");
const DRAFT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Numbers up to the seconds of the window are ready-made: every reset is one, and most counts are.
const READY_MADE: usize = 3601;

/// What stands in the headers of every key that has no limit of its own.
#[derive(Debug)]
pub(crate) struct RateLimitHeaders {
    usual_limit: u32,
    usual_policy: HeaderValue,
}

impl RateLimitHeaders {
    pub(crate) fn new(usual_limit: u32) -> Self {
        Self { usual_limit, usual_policy: policy(usual_limit) }
    }

    /// The headers of every authenticated answer.
    pub(crate) fn write(&self, status: RateLimitStatus, headers: &mut HeaderMap) {
        // Once, for the envelope's too.
        headers.reserve(10);
        let (remaining, reset) = (number(status.remaining()), number(status.reset()));
        let draft = ["\"hour\";r=", digits(&remaining), ";t=", digits(&reset)].concat();
        let draft = HeaderValue::try_from(draft).expect("digits and ASCII signs");
        headers.insert(DRAFT, draft);
        let policy = if status.limit() == self.usual_limit {
            self.usual_policy.clone()
        } else {
            policy(status.limit())
        };
        headers.insert(DRAFT_POLICY, policy);
        headers.insert(LIMIT, number(status.limit().into()));
        headers.insert(REMAINING, remaining);
        if status.is_exceeded() {
            headers.insert(RETRY_AFTER, reset.clone());
        }
        headers.insert(RESET, reset);
    }
}

fn policy(limit: u32) -> HeaderValue {
    HeaderValue::try_from(format!("\"hour\";q={limit};w=3600")).expect("digits and ASCII signs")
}

fn number(value: u64) -> HeaderValue {
    static NUMBERS: LazyLock<Vec<HeaderValue>> =
        LazyLock::new(|| (0..READY_MADE).map(HeaderValue::from).collect());
    let ready = usize::try_from(value).ok().and_then(|at| NUMBERS.get(at));
    ready.cloned().unwrap_or_else(|| HeaderValue::from(value))
}

fn digits(number: &HeaderValue) -> &str {
    number.to_str().expect("a number is ASCII")
}

#[cfg(test)]
mod tests {
    use switchboard_model::{Timestamp, id::Id};

    use super::*;
    use crate::limiter::Limiter;

    #[test]
    fn a_limit_of_its_own_is_told_like_the_usual_one() {
        let headers = RateLimitHeaders::new(1000);
        for (limit, expected) in [(1000, ["1000", "999"]), (70_000, ["70000", "69999"])] {
            let mut told = HeaderMap::new();
            let status = Limiter::default().count(Id::generate(), limit, Timestamp(0));
            headers.write(status, &mut told);
            assert_eq!([&told[LIMIT], &told[REMAINING]], expected);
            assert_eq!(told[RESET], "3600");
            assert_eq!(told[DRAFT], format!("\"hour\";r={};t=3600", expected[1]));
            assert_eq!(told[DRAFT_POLICY], format!("\"hour\";q={limit};w=3600"));
        }
    }
}
