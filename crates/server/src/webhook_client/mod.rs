//! Sends one signed request to a webhook's endpoint, which is a stranger's server.
//!
//! Promises: only what the SSRF guard allows is dialled; time, bytes and redirects are bounded; whatever happens, there
//! is an answer; and one that says why none came tells the webhook's owner nothing of the names and ports inside.

mod sign;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};
pub(crate) use sign::SecretVersion;
use switchboard_model::{
    Timestamp,
    causes::chain,
    delivery::{DueDelivery, MAX_ANSWER_CHARS},
    retry,
    text::turns_direction,
    time::Now,
};

use crate::{config::Config, files::FileBytes, ssrf::Guard};

/// How long an endpoint has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection to an endpoint is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Says that the event did not happen: somebody tries the webhook.
const TEST: HeaderName = HeaderName::from_static("x-webhook-test");
/// Bytes of an answer that are kept: enough for the characters that are.
const START: usize = 4 * MAX_ANSWER_CHARS;
/// Bytes of an answer that are read, so that its connection can be used again; past them it is cut.
const MAX_ANSWER: usize = 64 * 1024;
/// What the owner of a webhook is told when there is no connection: a name that does not exist, one that resolves to
/// an address that is not allowed, and a host that refuses look alike.
const UNREACHABLE: &str = "the endpoint could not be reached: check that its name, address and port are right and \
                           open to this server";
/// And when the connection was refused here, because of the endpoint's certificate.
const NOT_TRUSTED: &str =
    "the endpoint's TLS certificate is not trusted, not valid now, or not for this name";

#[derive(Debug)]
pub(crate) struct WebhookClient {
    http: reqwest::Client,
    guard: Guard,
    files: Arc<FileBytes>,
    /// How long an endpoint has for its whole answer.
    timeout: Duration,
}

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// None if no answer came.
    pub(crate) status: Option<u16>,
    /// The start of the body.
    pub(crate) start: Option<String>,
    /// What the endpoint asks to be left alone for.
    pub(crate) retry_after: Option<Duration>,
    /// Why it is no success, if it is none: for the webhook's owner.
    pub(crate) error: Option<String>,
    /// Why exactly no answer came: for the operator's log.
    pub(crate) cause: Option<String>,
    /// The secret that the endpoint seems to take; none if it has not answered, or if only one is valid.
    pub(crate) takes: Option<SecretVersion>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl WebhookClient {
    pub(crate) fn new(
        config: &Config,
        guard: Guard,
        files: Arc<FileBytes>,
    ) -> Result<Self, reqwest::Error> {
        let timeout = config.webhook_timeout();
        let http = guard
            .http()
            .user_agent(concat!("Switchboard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, guard, files, timeout })
    }

    /// Sends a delivery once. A panic in it, or in what it calls, is a request that failed.
    pub(crate) async fn send(
        &self,
        delivery: &DueDelivery,
        secret: SecretVersion,
        now: Now,
        is_test: bool,
    ) -> Answer {
        let began = Instant::now();
        // Unwind safe: nothing outlives a request but its answer.
        let posted = AssertUnwindSafe(self.post(delivery, secret, now, is_test)).catch_unwind();
        let answer = posted.await.unwrap_or_else(|_| {
            tracing::error!(delivery = %delivery.id, "an attempt panicked");
            Answer::none("the server failed to make the attempt".to_owned())
        });
        Answer { took: began.elapsed(), ..answer }
    }

    async fn post(
        &self,
        delivery: &DueDelivery,
        secret: SecretVersion,
        now: Now,
        is_test: bool,
    ) -> Answer {
        let request = match self.request(delivery, secret, now, is_test) {
            Ok(request) => request,
            Err(error) => return Answer::none(error),
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return self.unanswered(error),
        };
        // 2xx is a success, and nothing else.
        let (status, worked) = (response.status().as_u16(), response.status().is_success());
        let has_two_secrets = delivery.secrets.previous_at(now.steady).is_some();
        let taken = if worked { secret } else { secret.other() };
        Answer {
            status: Some(status),
            retry_after: asked_pause(&response, now.wall),
            error: (!worked).then(|| format!("the endpoint answered {status}")),
            takes: has_two_secrets.then_some(taken),
            start: start(response).await,
            ..Answer::default()
        }
    }

    fn request(
        &self,
        delivery: &DueDelivery,
        secret: SecretVersion,
        now: Now,
        is_test: bool,
    ) -> Result<reqwest::RequestBuilder, String> {
        // The policy may have become stricter since the URL was given.
        let url = self.guard.check_url(&delivery.url);
        let url = url.map_err(|refused| format!("the webhook's URL {refused}"))?;
        let data = self.files.show_event(&delivery.data, now.steady);
        let (mut headers, body) = sign::signed(delivery, &data, now, secret)?;
        if is_test {
            headers.insert(TEST, HeaderValue::from_static("true"));
        }
        Ok(self.http.post(url).headers(headers).body(body))
    }

    fn unanswered(&self, error: reqwest::Error) -> Answer {
        let (is_connect, is_timeout) = (error.is_connect(), error.is_timeout());
        // The URL may hold a token of the endpoint's owner: it stays out of the log too.
        let cause = text(&chain(&error.without_url()));
        let told = match (is_connect, is_timeout) {
            // In rustls' words, whatever is wrong with it.
            (true, false) if cause.contains("invalid peer certificate") => NOT_TRUSTED.to_owned(),
            (true, _) => UNREACHABLE.to_owned(),
            (false, true) => format!("no answer within {} s", self.timeout.as_secs()),
            (false, false) => "the connection broke before an answer came".to_owned(),
        };
        Answer { cause: Some(cause), ..Answer::none(told) }
    }
}

impl Answer {
    /// There is none, for this reason.
    fn none(error: String) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    pub(crate) fn duration_ms(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }
}

/// `Retry-After`, where it means what it says: too many requests, or out of service.
fn asked_pause(response: &reqwest::Response, now: Timestamp) -> Option<Duration> {
    let status = response.status();
    if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    retry::retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// The start of the body, as text.
async fn start(mut response: reqwest::Response) -> Option<String> {
    let (mut read, mut start) = (0, Vec::new());
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = START.saturating_sub(start.len());
        start.extend_from_slice(&chunk[..chunk.len().min(room)]);
        read += chunk.len();
        if read > MAX_ANSWER {
            break;
        }
    }
    (!start.is_empty()).then(|| text(&String::from_utf8_lossy(&start)))
}

/// What strangers may have had a say in, as it can be kept and shown: without what a terminal or a page would do
/// something with, but for line ends.
fn text(long: &str) -> String {
    let is_shown = |one: &char| *one == '\n' || !one.is_control() && !turns_direction(*one);
    long.chars().filter(is_shown).take(MAX_ANSWER_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_say_can_be_shown() {
        let said = "a\u{0}b\u{1b}[31m\r\nc\u{61c}d\u{200e}\u{202e}e\u{2066}f\u{85}é";
        assert_eq!(text(said), "ab[31m\ncdefé");
        assert_eq!(text(&"é".repeat(MAX_ANSWER_CHARS + 1)).chars().count(), MAX_ANSWER_CHARS);
    }
}
