//! What a call gives back.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

/// The value of an answer and what came beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The resource or list.
    pub value: T,
    /// Finds the request in the server's log; of a replayed answer, the first request.
    pub request_id: String,
    /// What is left of the key's hour; none where the server does not count.
    pub rate_limit: Option<RateLimit>,
    /// The HTTP status.
    pub status: u16,
    /// Whether this is the first answer once more, because the Idempotency-Key was used before (§10).
    pub replayed: bool,
}

impl<T> Answer<T> {
    pub(crate) fn new(value: T, request_id: String, raw: &RawAnswer) -> Self {
        let rate_limit = RateLimit::from_headers(&raw.headers);
        Self { value, request_id, rate_limit, status: raw.status, replayed: raw.is_replayed() }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: change(self.value),
            request_id: self.request_id,
            rate_limit: self.rate_limit,
            status: self.status,
            replayed: self.replayed,
        }
    }
}

/// The hourly limit of a key, as the `X-RateLimit-…` headers tell it (§4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests an hour.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// The seconds of `X-RateLimit-Reset`, as they came.
    pub reset: u64,
}

impl RateLimit {
    /// Reads the headers; none unless all three are there.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Some(Self {
            limit: number(headers, "x-ratelimit-limit")?,
            remaining: number(headers, "x-ratelimit-remaining")?,
            reset: number(headers, "x-ratelimit-reset")?,
        })
    }
}

/// An answer as it came, with nothing checked: for tests of what goes wrong.
#[derive(Debug, Clone)]
pub struct RawAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null if it is none.
    pub body: Value,
    /// The body, byte for byte.
    pub bytes: Bytes,
}

impl RawAnswer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether this is the first answer once more (§10).
    pub fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// The seconds of `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        number(&self.headers, "retry-after")
    }
}

/// What a client has heard, before anything is made of it.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// An answer, of whatever status.
    Answer {
        /// The request's method.
        method: &'a Method,
        /// Its path and query.
        path: &'a str,
        /// What came.
        answer: &'a RawAnswer,
    },
    /// An event of a live stream.
    Event {
        /// Its name.
        name: &'a str,
        /// Its data.
        data: &'a Value,
    },
}

/// Who watches.
#[derive(Clone)]
pub(crate) struct Observer(pub(crate) Arc<dyn Fn(Seen<'_>) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
