//! One call: send, read within bounds, check the shape, take the value out.
//!
//! Everything typed goes through [`Transport::call`]; nothing passes it unchecked.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use switchboard_model::problem::ErrorEnvelope;

use crate::{
    answer::{Answer, RateLimit, RawAnswer},
    error::{self, Error, Result},
    shape::{self, Misshape, Shape, Unknown},
};

/// The longest answer that is read. A page of 100 messages of the longest text, each
/// character in its longest JSON escape, is 12 MB.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The pause before the first repetition; doubles with each. As the common SDK has it (§1).
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A longer `Retry-After` is not waited for: the caller gets the refusal and decides.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Everything but RFC 3986's unreserved characters: a `+` must not arrive as a space.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What an answer has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// This resource at top level.
    One(&'static Shape),
    /// A list of these.
    Many(&'static Shape),
}

#[derive(Debug, Clone)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    /// Origin and perhaps a path, without a slash at its end.
    pub(crate) base: String,
    pub(crate) bearer: Option<HeaderValue>,
    pub(crate) strict: bool,
    /// How often a call is repeated, if repeating it can do no harm.
    pub(crate) retries: u32,
}

impl Transport {
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        expect: Expect,
    ) -> Result<Answer<T>> {
        self.call(Method::GET, &with_query(path, query), None, 200, expect).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        status: u16,
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        self.call(Method::POST, path, Some(json(body)?), status, Expect::One(shape)).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        self.call(Method::DELETE, path, Some(json(body)?), 200, Expect::One(shape)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path_and_query: &str,
        body: Option<Bytes>,
        status: u16,
        expect: Expect,
    ) -> Result<Answer<T>> {
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // Without an Idempotency-Key only a GET can be repeated with no harm.
        let retries = if method == Method::GET { self.retries } else { 0 };
        let mut made = 0;
        loop {
            let raw = self.exchange(method.clone(), path_and_query, body.clone(), &headers).await;
            match pause_before_retry(&raw, made) {
                Some(pause) if made < retries => tokio::time::sleep(pause).await,
                _ => return self.read(raw?, status, expect),
            }
            made += 1;
        }
    }

    /// Sends and reads; looks at nothing.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path_and_query: &str,
        body: Option<Bytes>,
        headers: &HeaderMap,
    ) -> Result<RawAnswer> {
        let mut request = self
            .http
            .request(method, format!("{}{path_and_query}", self.base))
            .headers(headers.clone());
        // A caller's own Authorization header stands.
        if let Some(bearer) = self.bearer.as_ref().filter(|_| !headers.contains_key(AUTHORIZATION))
        {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(error::transport)?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(error::transport)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Error::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(RawAnswer {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes: bytes.freeze(),
        })
    }

    fn read<T: DeserializeOwned>(
        &self,
        mut raw: RawAnswer,
        wanted: u16,
        expect: Expect,
    ) -> Result<Answer<T>> {
        let status = raw.status;
        let unknown = if self.strict { Unknown::Refused } else { Unknown::Ignored };
        let broken = |misshape| Error::Shape { status, misshape };
        if status != wanted {
            return Err(match self.refusal(&raw, unknown) {
                Ok(refusal) => refusal,
                Err(misshape) => broken(misshape),
            });
        }
        match expect {
            Expect::One(shape) => shape::check_answer(shape, &raw.body, unknown),
            Expect::Many(shape) => shape::check_list(shape, &raw.body, unknown),
        }
        .map_err(broken)?;
        self.check_headers(&raw).map_err(broken)?;
        let body = raw.body.take();
        let request_id = body["request_id"].as_str().unwrap_or_default().to_owned();
        let value = serde_json::from_value(body)
            .map_err(|error| broken(Misshape::new("answer", error.to_string())))?;
        let rate_limit = RateLimit::from_headers(&raw.headers);
        Ok(Answer { value, request_id, rate_limit, status })
    }

    fn refusal(&self, raw: &RawAnswer, unknown: Unknown) -> Result<Error, Misshape> {
        if raw.status < 400 {
            return Err(Misshape::new("answer", "has another status than the contract gives it"));
        }
        shape::check_error(&raw.body, unknown)?;
        self.check_headers(raw)?;
        let ErrorEnvelope { error: problem, request_id } = serde_json::from_value(raw.body.clone())
            .map_err(|error| Misshape::new("error", error.to_string()))?;
        let retry_after = raw.retry_after();
        if self.strict {
            if (problem.error_type, raw.status)
                != (problem.code.error_type(), problem.code.status())
            {
                return Err(Misshape::new(
                    "error",
                    "type, status and code are not of one row (§3)",
                ));
            }
            if raw.status == 429 && retry_after.is_none_or(|seconds| seconds == 0) {
                return Err(Misshape::new("error", "a 429 needs a Retry-After of at least 1 (§4)"));
            }
        }
        Ok(Error::Api { problem, request_id, status: raw.status, retry_after })
    }

    /// What the headers say must agree with the body.
    fn check_headers(&self, raw: &RawAnswer) -> Result<(), Misshape> {
        if !self.strict {
            return Ok(());
        }
        if raw.header("x-request-id") != raw.body["request_id"].as_str() {
            return Err(Misshape::new("answer", "X-Request-Id is not the body's request_id (§1)"));
        }
        match raw.header("content-type") {
            Some(kind) if kind.starts_with("application/json") => Ok(()),
            _ => Err(Misshape::new("answer", "Content-Type is not application/json")),
        }
    }
}

/// How long to wait before the call is repeated; none if repeating it is no use.
fn pause_before_retry(raw: &Result<RawAnswer>, made: u32) -> Option<Duration> {
    let pause = FIRST_PAUSE.saturating_mul(1 << made.min(16));
    match raw {
        Ok(raw) if raw.status == 429 || raw.status >= 500 => {
            let asked = raw.retry_after().map_or(Duration::ZERO, Duration::from_secs);
            (asked <= LONGEST_PAUSE).then_some(pause.max(asked))
        }
        Err(Error::Transport(_)) => Some(pause),
        _ => None,
    }
    .map(|pause| pause.min(LONGEST_PAUSE))
}

fn json(body: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|_| Error::Setup("the request can't be written as JSON"))
}

/// The path with these parameters, each value percent-encoded.
pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (at, (name, value)) in query.iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(value, ESCAPED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_survive_the_way() {
        assert_eq!(with_query("/v1/lines", &[]), "/v1/lines");
        assert_eq!(
            with_query("/v1/messages", &[("from", "+15550100001"), ("to", "a&b=c d@x.org#ü")]),
            "/v1/messages?from=%2B15550100001&to=a%26b%3Dc%20d%40x.org%23%C3%BC"
        );
    }

    #[test]
    fn the_pauses_are_those_of_the_common_sdk() {
        let answer = |status, retry_after: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(seconds) = retry_after {
                headers.insert("retry-after", HeaderValue::from_static(seconds));
            }
            Ok(RawAnswer { status, headers, body: Value::Null, bytes: Bytes::new() })
        };
        let millis = |raw, made| pause_before_retry(&raw, made).map(|pause| pause.as_millis());
        assert_eq!(millis(answer(503, None), 0), Some(500));
        assert_eq!(millis(answer(500, None), 1), Some(1000));
        assert_eq!(millis(answer(500, None), 63), Some(30_000));
        assert_eq!(millis(answer(429, Some("2")), 0), Some(2000));
        assert_eq!(millis(answer(429, Some("3600")), 0), None);
        assert_eq!(millis(answer(404, None), 0), None);
        assert_eq!(millis(answer(200, None), 0), None);
    }
}
