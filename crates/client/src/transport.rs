//! One call: send, read within bounds, take the value out.

use std::time::Duration;

use bytes::BytesMut;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Response;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use switchboard_model::Code;

use crate::{
    answer::{Answer, Observer, RawAnswer, Seen},
    body::Body,
    error::{self, Error, Misshape, Refusal, Result},
    retry,
};

/// The longest answer that is read. A page of 100 messages of the longest text, each
/// character in its longest JSON escape, is 12 MB.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Everything but RFC 3986's unreserved characters: a `+` must not arrive as a space.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
    pub(crate) observer: Option<Observer>,
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
    ) -> Result<Answer<T>> {
        let request = self.request(Method::GET, with_query(path, query), Again::Safe);
        self.read(self.send(request).await.raw?, 200)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        status: u16,
    ) -> Result<Answer<T>> {
        self.write(Method::POST, path, body, status).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>> {
        self.write(Method::PATCH, path, body, 200).await
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
        status: u16,
    ) -> Result<Answer<T>> {
        let request = self.request(method, path.to_owned(), Again::WithKey);
        let sent = self.send(request.json(body)?).await;
        self.read(sent.raw?, status)
    }

    /// A POST that says all with its path. The server does the same however often it comes.
    pub(crate) async fn post_nothing<T: DeserializeOwned>(
        &self,
        path: &str,
        status: u16,
    ) -> Result<Answer<T>> {
        let request = self.request(Method::POST, path.to_owned(), Again::Safe);
        self.read(self.send(request).await.raw?, status)
    }

    /// Deletes what has this id. When it is gone at a repetition, although the first answer
    /// got lost, it was deleted: `gone` counts as done then, and only then.
    pub(crate) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        id: &str,
        gone: Code,
    ) -> Result<Answer<T>> {
        let request = self.request(Method::DELETE, path.to_owned(), Again::Safe);
        let Sent { raw, unsure } = self.send(request.json(&json!({ "id": id }))?).await;
        let mut raw = raw?;
        if unsure && retry::code(&raw) == Some(gone) {
            raw.status = 200;
            let request_id = raw.body["request_id"].take();
            raw.body = json!({ "id": id, "deleted": true, "request_id": request_id });
        }
        self.read(raw, 200)
    }

    /// A DELETE that says all with its path, and is never repeated.
    pub(crate) async fn delete_once<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>> {
        let request = self.request(Method::DELETE, path.to_owned(), Again::Never);
        self.read(self.send(request).await.raw?, 200)
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

    /// Sends once and reads the answer to its end.
    pub(crate) async fn exchange(&self, request: &mut Request) -> Result<RawAnswer> {
        let answer = read_raw(self.open(request).await?).await?;
        let (method, path) = (&request.method, &*request.path_and_query);
        self.seen(Seen::Answer { method, path, answer: &answer });
        Ok(answer)
    }

    /// Shows what came to whoever watches.
    pub(crate) fn seen(&self, seen: Seen<'_>) {
        if let Some(Observer(observer)) = &self.observer {
            observer(seen);
        }
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
        let status = raw.status;
        if status < 400 {
            let misshape =
                Misshape::new("the answer has another status than the contract gives it");
            return Error::Shape { status, misshape };
        }
        match error::read::<Envelope>(raw.body.clone()) {
            Ok(Envelope { error: mut problem, request_id }) => {
                problem.code = retry::code(raw);
                let (problem, retry_after) = (Box::new(problem), raw.retry_after());
                Error::Api { problem, request_id, status, retry_after }
            }
            Err(misshape) => Error::Shape { status, misshape },
        }
    }

    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        mut raw: RawAnswer,
        wanted: u16,
    ) -> Result<Answer<T>> {
        let status = raw.status;
        if status != wanted {
            return Err(self.refused(&raw));
        }
        let body = raw.body.take();
        let broken = |misshape| Error::Shape { status, misshape };
        let Some(request_id) = body["request_id"].as_str().map(str::to_owned) else {
            return Err(broken(Misshape::new("the answer has no request_id")));
        };
        Ok(Answer::new(error::read(body).map_err(broken)?, request_id, &raw))
    }
}

/// An error answer (§1).
#[derive(Deserialize)]
struct Envelope {
    error: Refusal,
    request_id: String,
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
