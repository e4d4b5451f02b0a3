//! One call: send, read within bounds, check the shape, take the value out.
//!
//! Everything typed goes through [`Transport::read`]; nothing passes it unchecked.

use std::time::Duration;

use bytes::BytesMut;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Response;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use switchboard_model::Code;

use crate::{
    answer::{Answer, RawAnswer},
    body::Body,
    error::{self, Error, Refusal, Result},
    retry,
    shape::{self, Misshape, Shape, Unknown},
};

/// The longest answer that is read. A page of 100 messages of the longest text, each
/// character in its longest JSON escape, is 12 MB.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

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

/// Whether a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Doing it twice is another thing than doing it once.
    Never,
    /// Doing it twice is the same as doing it once.
    Safe,
    /// Doing it twice is the same if both carry the same Idempotency-Key (§10).
    WithKey,
}

/// One request, before it is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) again: Again,
    /// Until the answer was read to its end; none if whoever reads it watches the time.
    pub(crate) timeout: Option<Duration>,
}

/// What came of a request and its repetitions.
pub(crate) struct Sent {
    pub(crate) raw: Result<RawAnswer>,
    /// Whether one before the last may have been carried out.
    unsure: bool,
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
    pub(crate) timeout: Duration,
    pub(crate) upload_timeout: Duration,
    /// What the caller wants every POST to carry.
    pub(crate) idempotency_key: Option<HeaderValue>,
}

impl Transport {
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        expect: Expect,
    ) -> Result<Answer<T>> {
        let request = self.request(Method::GET, with_query(path, query), Again::Safe);
        self.read(self.send(request).await.raw?, 200, expect)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        status: u16,
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        self.write(Method::POST, path, body, status, shape).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        self.write(Method::PATCH, path, body, 200, shape).await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
        status: u16,
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        let request = self.request(method, path.to_owned(), Again::WithKey);
        let sent = self.send(request.json(body)?).await;
        self.read(sent.raw?, status, Expect::One(shape))
    }

    /// A POST that says all with its path. The server does the same however often it comes.
    pub(crate) async fn post_nothing<T: DeserializeOwned>(
        &self,
        path: &str,
        status: u16,
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        let request = self.request(Method::POST, path.to_owned(), Again::Safe);
        self.read(self.send(request).await.raw?, status, Expect::One(shape))
    }

    /// Deletes what has this id. When it is gone at a repetition, although the first answer
    /// got lost, it was deleted: `gone` counts as done then, and only then.
    pub(crate) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        id: &str,
        gone: Code,
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        let request = self.request(Method::DELETE, path.to_owned(), Again::Safe);
        let Sent { raw, unsure } = self.send(request.json(&json!({ "id": id }))?).await;
        let mut raw = raw?;
        if unsure && retry::code(&raw) == Some(gone) {
            raw.status = 200;
            let request_id = raw.body["request_id"].take();
            raw.body = json!({ "id": id, "deleted": true, "request_id": request_id });
        }
        self.read(raw, 200, Expect::One(shape))
    }

    /// A DELETE that says all with its path, and is never repeated.
    pub(crate) async fn delete_once<T: DeserializeOwned>(
        &self,
        path: &str,
        shape: &'static Shape,
    ) -> Result<Answer<T>> {
        let request = self.request(Method::DELETE, path.to_owned(), Again::Never);
        self.read(self.send(request).await.raw?, 200, Expect::One(shape))
    }

    pub(crate) fn request(&self, method: Method, path_and_query: String, again: Again) -> Request {
        let (headers, body, timeout) = (HeaderMap::new(), Body::Nothing, Some(self.timeout));
        Request { method, path_and_query, headers, body, again, timeout }
    }

    /// Sends, and sends again where that can do no harm and may do good.
    pub(crate) async fn send(&self, mut request: Request) -> Sent {
        if matches!(request.method, Method::POST | Method::PATCH) {
            if let Some(key) = &self.idempotency_key {
                request.headers.insert(IDEMPOTENCY_KEY, key.clone());
            } else if request.again == Again::WithKey && self.retries > 0 {
                // One key for the call and all its repetitions.
                let key = HeaderValue::try_from(retry::random_key()).expect("hex digits");
                request.headers.insert(IDEMPOTENCY_KEY, key);
            }
        }
        let may = request.again != Again::Never && request.body.can_be_repeated();
        let retries = if may { self.retries } else { 0 };
        let (mut made, mut unsure) = (0, false);
        loop {
            let raw = self.exchange(&mut request).await;
            match retry::pause_before_retry(&raw, made, rand::random()) {
                Some(pause) if made < retries => {
                    unsure |= retry::is_unsure(&raw);
                    tokio::time::sleep(pause).await;
                }
                _ => return Sent { raw, unsure },
            }
            made += 1;
        }
    }

    /// Sends once and reads the answer to its end; looks at nothing.
    pub(crate) async fn exchange(&self, request: &mut Request) -> Result<RawAnswer> {
        read_raw(self.open(request).await?).await
    }

    /// Sends once; the answer's body is still to be read.
    pub(crate) async fn open(&self, request: &mut Request) -> Result<Response> {
        let mut headers = request.headers.clone();
        // A caller's own Authorization header stands.
        if let Some(bearer) = self.bearer.as_ref().filter(|_| !headers.contains_key(AUTHORIZATION))
        {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        let url = format!("{}{}", self.base, request.path_and_query);
        let mut call = self.http.request(request.method.clone(), url);
        if let Some(body) = request.body.open(&mut headers).await? {
            call = call.body(body);
        }
        if let Some(timeout) = request.timeout {
            call = call.timeout(timeout);
        }
        call.headers(headers).send().await.map_err(error::transport)
    }

    /// Why an answer that is not the wanted one was given.
    pub(crate) fn refused(&self, raw: &RawAnswer) -> Error {
        self.refusal(raw, self.unknown())
            .unwrap_or_else(|misshape| Error::Shape { status: raw.status, misshape })
    }

    /// What is done with fields that the contract does not name.
    pub(crate) fn unknown(&self) -> Unknown {
        if self.strict { Unknown::Refused } else { Unknown::Ignored }
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        mut raw: RawAnswer,
        wanted: u16,
        expect: Expect,
    ) -> Result<Answer<T>> {
        let status = raw.status;
        if status != wanted {
            return Err(self.refused(&raw));
        }
        let unknown = self.unknown();
        let broken = |misshape| Error::Shape { status, misshape };
        if unknown == Unknown::Ignored {
            match expect {
                Expect::One(shape) => shape::leave_out_unknown(shape, &mut raw.body),
                Expect::Many(shape) => {
                    let rows = raw.body.get_mut("data").and_then(serde_json::Value::as_array_mut);
                    rows.into_iter().flatten().for_each(|row| shape::leave_out_unknown(shape, row));
                }
            }
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
        Ok(Answer::new(value, request_id, &raw))
    }

    fn refusal(&self, raw: &RawAnswer, unknown: Unknown) -> Result<Error, Misshape> {
        if raw.status < 400 {
            return Err(Misshape::new("answer", "has another status than the contract gives it"));
        }
        shape::check_error(&raw.body, unknown)?;
        self.check_headers(raw)?;
        let text = |field: &str| raw.body["error"][field].as_str().map(str::to_owned);
        let problem = Refusal {
            code: retry::code(raw),
            code_text: text("code").unwrap_or_default(),
            error_type: text("type").unwrap_or_default(),
            message: text("message").unwrap_or_default(),
            param: text("param"),
        };
        let request_id = raw.body["request_id"].as_str().unwrap_or_default().to_owned();
        let retry_after = raw.retry_after();
        if self.strict {
            let row = problem.code.map(|code| (json!(code.error_type()), code.status()));
            if row != Some((raw.body["error"]["type"].clone(), raw.status)) {
                return Err(Misshape::new(
                    "error",
                    "type, status and code are not of one row (§3)",
                ));
            }
            if raw.status == 429 && retry_after.is_none_or(|seconds| seconds == 0) {
                return Err(Misshape::new("error", "a 429 needs a Retry-After of at least 1 (§4)"));
            }
        }
        let (problem, status) = (Box::new(problem), raw.status);
        Ok(Error::Api { problem, request_id, status, retry_after })
    }

    /// What the headers say must agree with the body.
    fn check_headers(&self, raw: &RawAnswer) -> Result<(), Misshape> {
        if !self.strict {
            return Ok(());
        }
        // A first answer that is given again is so byte for byte, with the id that it had (§10).
        if !raw.is_replayed() && raw.header("x-request-id") != raw.body["request_id"].as_str() {
            return Err(Misshape::new("answer", "X-Request-Id is not the body's request_id (§1)"));
        }
        match raw.header("content-type") {
            Some(kind) if kind.starts_with("application/json") => Ok(()),
            _ => Err(Misshape::new("answer", "Content-Type is not application/json")),
        }
    }
}

impl Request {
    /// With this JSON as its body.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(body)
            .map_err(|_| Error::Setup("the request can't be written as JSON"))?;
        self.body = Body::Bytes(bytes.into());
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self)
    }
}

/// Reads an answer to its end, but never without end.
pub(crate) async fn read_raw(mut response: Response) -> Result<RawAnswer> {
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
}
