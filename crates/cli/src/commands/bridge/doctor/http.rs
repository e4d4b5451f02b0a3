//! Questions to a program with an HTTP API. No error names the URL: a password may stand in it.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, header::DATE};
use serde_json::Value;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The other side's clock, as it stands there.
    pub(super) date: Option<String>,
    /// Null if it is no JSON.
    pub(super) body: Value,
}

/// Why nothing was, in words that name no URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoReply(pub(super) String);

/// Who asks.
pub(super) fn client() -> anyhow::Result<Client> {
    Ok(Client::builder().timeout(TIMEOUT).no_proxy().build()?)
}

pub(super) async fn ask(request: RequestBuilder) -> Result<Reply, NoReply> {
    let mut answer = request.send().await.map_err(no_reply)?;
    let status: StatusCode = answer.status();
    let date = answer.headers().get(DATE).and_then(|date| Some(date.to_str().ok()?.to_owned()));
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(no_reply)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(NoReply("its answer is too long".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Ok(Reply { status: status.as_u16(), date, body })
}

fn no_reply(error: reqwest::Error) -> NoReply {
    if error.is_timeout() {
        return NoReply(format!("no answer within {} seconds", TIMEOUT.as_secs()));
    }
    let error = error.without_url();
    // The last cause says it; those before it wrap.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    NoReply(cause.to_string())
}
