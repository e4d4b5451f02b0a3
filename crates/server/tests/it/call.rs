//! One raw call, and the judgement of a refusal: for what the client would never send.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use switchboard_client::RawAnswer;
use switchboard_model::Code;
use switchboard_testkit::judge::judge_answer;

use crate::document::note;

/// One for all tests, so it must not keep connections: each would belong to the runtime of one test.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.no_proxy().tls_certs_only([]).pool_max_idle_per_host(0).build().unwrap()
});

/// A call that may be wrong in every way.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    authorization: Option<String>,
    body: Option<Bytes>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Call {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let path = path.to_owned();
        Self { method, path, authorization: None, body: None, headers: Vec::new() }
    }

    pub(crate) fn get(path: impl AsRef<str>) -> Self {
        Self::new(Method::GET, path.as_ref())
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    pub(crate) fn delete(path: &str, body: &Value) -> Self {
        Self::new(Method::DELETE, path).json(body)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw(body.to_string()).header("content-type", "application/json")
    }

    /// With these bytes as the body, whatever they are.
    pub(crate) fn raw(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// With this key or token.
    pub(crate) fn key(self, key: &str) -> Self {
        self.authorization(&format!("Bearer {key}"))
    }

    /// With this Authorization header.
    pub(crate) fn authorization(mut self, value: &str) -> Self {
        self.authorization = Some(value.to_owned());
        self
    }

    /// The whole answer; of a live stream only its head. Fails for one that the document does not have, to the field.
    pub(crate) async fn send(&self, url: &str) -> RawAnswer {
        let answer = self.send_undocumented(url).await;
        judge_answer(&self.method, &self.path, &answer);
        note(&self.method, &self.path, &answer);
        answer
    }

    /// As [`Self::send`], of a server that does not have what its documents describe.
    pub(crate) async fn send_undocumented(&self, url: &str) -> RawAnswer {
        let mut response = self.open(url).await;
        let headers = std::mem::take(response.headers_mut());
        let is_stream = headers
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let status = response.status().as_u16();
        let bytes = if is_stream { Bytes::new() } else { response.bytes().await.unwrap() };
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        RawAnswer { status, headers, body, bytes }
    }

    /// The answer as it begins to come.
    pub(crate) async fn open(&self, url: &str) -> reqwest::Response {
        // A signed URL is whole.
        let whole = self.path.starts_with("http://");
        let url = if whole { self.path.clone() } else { format!("{url}{}", self.path) };
        let mut request = CLIENT.request(self.method.clone(), url);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        request.send().await.unwrap()
    }
}

/// Judges a refusal: status, type, code and param of one row of the catalogue, in exactly the
/// envelope of the contract.
#[track_caller]
pub(crate) fn assert_refused(what: &str, answer: &RawAnswer, code: Code, param: Option<&str>) {
    let body = &answer.body;
    let message = body["error"]["message"].as_str().unwrap_or_default();
    let mut expected = json!({
        "error": { "type": code.error_type(), "code": code, "message": message },
        "request_id": body["request_id"],
    });
    if let Some(param) = param {
        expected["error"]["param"] = param.into();
    }
    assert_eq!(*body, expected, "{what}");
    assert_eq!(answer.status, code.status(), "{what}");
    assert!(message.len() > 10 && message.ends_with(['.', '}']), "{what}: {message:?}");
    assert_request_id(what, answer);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    let waits = [429, 503].contains(&answer.status) || code == Code::IdempotencyInProgress;
    assert_eq!(answer.retry_after().is_some_and(|seconds| seconds >= 1), waits, "{what}");
    let challenged = answer.header("www-authenticate") == Some("Bearer");
    assert_eq!(challenged, answer.status == 401, "{what}");
}

/// The id in the body is the header's, and has the contract's form.
#[track_caller]
pub(crate) fn assert_request_id(what: &str, answer: &RawAnswer) {
    let id = answer.body["request_id"].as_str().unwrap_or_default();
    let digits = id.strip_prefix("req_").unwrap_or_default();
    let hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    assert!(hex && digits.len() >= 12, "{what}: request id {id:?}");
    assert_eq!(answer.header("x-request-id"), Some(id), "{what}");
}

/// The body without what differs from request to request.
pub(crate) fn without_request_id(answer: &RawAnswer) -> String {
    let id = answer.body["request_id"].as_str().unwrap_or_default();
    std::str::from_utf8(&answer.bytes).unwrap().replace(id, "req_")
}

/// A query with its values percent-encoded.
pub(crate) fn query(path: &str, values: &[(&str, &str)]) -> String {
    let pairs = values.iter().map(|(name, value)| {
        let value: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("{name}={value}")
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}
