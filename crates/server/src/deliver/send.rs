//! One attempt: sign, send, judge the answer. What a stranger's server does can't hurt here:
//! time, bytes and redirects are bounded.

use std::{
    io,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER};
use switchboard_model::{
    Timestamp, Webhook,
    causes::chain,
    delivery::{AttemptResult, DueDelivery, MAX_ANSWER_CHARS},
    id::Id,
    retry::{self, RetrySchedule},
    time::{Clock, Now},
    webhook::WebhookTest,
};

use super::{
    breaker::AttemptOutcome,
    sign::{Rotations, signed},
};
use crate::{files::FileBytes, ssrf::Guard};

/// How long an endpoint has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection to an endpoint is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Says that the event did not happen: somebody tries the webhook.
const TEST: HeaderName = HeaderName::from_static("x-webhook-test");
/// The status of an endpoint that is gone for good.
const GONE: u16 = 410;
/// Bytes of an answer that are kept: enough for the characters that are.
const START: usize = 4 * MAX_ANSWER_CHARS;
/// Bytes of an answer that are read, so that its connection can be used again; past them it is cut.
const MAX_ANSWER: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Sender {
    http: reqwest::Client,
    /// How long an endpoint has for its whole answer.
    timeout: Duration,
    guard: Guard,
    files: Arc<FileBytes>,
    clock: Arc<dyn Clock>,
    schedule: RetrySchedule,
    rotations: Rotations,
}

impl Sender {
    pub(super) fn new(
        guard: Guard,
        files: Arc<FileBytes>,
        timeout: Duration,
        schedule: RetrySchedule,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let http = guard
            .http()
            .user_agent(concat!("Switchboard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, timeout, guard, files, clock, schedule, rotations: Rotations::default() })
    }

    /// Attempts a delivery once and says what is to become of it, and how its endpoint behaved.
    pub(super) async fn attempt(&self, delivery: &DueDelivery) -> (AttemptResult, AttemptOutcome) {
        let (started, began) = (self.clock.both(), Instant::now());
        let outcome = self.posted(delivery, started, false).await;
        let took = began.elapsed();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let finished_at = self.clock.both();
        let attempts = delivery.attempts.saturating_add(1);
        let cause = outcome.as_ref().err().and_then(|none| none.cause.clone());
        let (answered, error) = judged(outcome);
        let status = answered.as_ref().map(|answer| answer.status);
        let retry_after = answered.as_ref().and_then(|answer| answer.retry_after);
        let next_attempt_at = error.as_ref().and_then(|_| {
            self.schedule.next_attempt(attempts, finished_at.steady, retry_after, rand::random())
        });
        let result = AttemptResult {
            seq: delivery.seq,
            delivery_id: delivery.id,
            webhook_id: delivery.webhook_id,
            url: Arc::clone(&delivery.url),
            attempts,
            started_at: started.wall,
            duration_ms,
            status,
            answer: answered.and_then(|answer| answer.start),
            error,
            cause,
            next_attempt_at,
            finished_at,
            is_gone: status == Some(GONE),
        };
        let worked = result.error.is_none();
        (result, AttemptOutcome { worked, took, retry_after, random: rand::random() })
    }

    /// Sends something to try the endpoint, once. Nobody waits for what comes of it but the caller.
    pub(super) async fn test(&self, delivery: &DueDelivery) -> WebhookTest {
        let (now, began) = (self.clock.both(), Instant::now());
        let (answered, error) = judged(self.posted(delivery, now, true).await);
        WebhookTest {
            delivery_id: delivery.id,
            event: delivery.event,
            ok: error.is_none(),
            status: answered.as_ref().map(|answer| answer.status),
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            answer: answered.and_then(|answer| answer.start),
            error,
        }
    }

    /// The webhook has a new secret.
    pub(super) fn rotated(&self, webhook: Id<Webhook>) {
        self.rotations.forget(webhook);
    }

    /// As [`Self::post`]. A panic in it, or in what it calls, is an attempt that failed.
    async fn posted(
        &self,
        delivery: &DueDelivery,
        now: Now,
        is_test: bool,
    ) -> Result<EndpointAnswer, NoAnswer> {
        // Unwind safe: nothing outlives an attempt but what is settled of it.
        AssertUnwindSafe(self.post(delivery, now, is_test)).catch_unwind().await.unwrap_or_else(
            |_| {
                tracing::error!(delivery = %delivery.id, "an attempt panicked");
                Err(NoAnswer::told("the server failed to make the attempt".to_owned()))
            },
        )
    }

    async fn post(
        &self,
        delivery: &DueDelivery,
        now: Now,
        is_test: bool,
    ) -> Result<EndpointAnswer, NoAnswer> {
        // The policy may have become stricter since the URL was given.
        let url = self
            .guard
            .check_url(&delivery.url)
            .map_err(|refused| NoAnswer::told(format!("the webhook's URL {refused}")))?;
        let data = self.files.show_event(&delivery.data, now.steady);
        let which = self.rotations.choose(delivery, now.steady);
        let (mut headers, body) = signed(delivery, &data, now, which).map_err(NoAnswer::told)?;
        if is_test {
            headers.insert(TEST, HeaderValue::from_static("true"));
        }
        let sent = self.http.post(url).headers(headers).body(body).send().await;
        let mut answer = sent.map_err(|error| NoAnswer::of(error, self.timeout))?;
        let retry_after = asked_pause(&answer, now.wall);
        let status = answer.status().as_u16();
        if let Some(which) = which {
            self.rotations.note(delivery, which, answer.status().is_success());
        }
        let (mut read, mut start) = (0, Vec::new());
        while let Ok(Some(chunk)) = answer.chunk().await {
            let room = START.saturating_sub(start.len());
            start.extend_from_slice(&chunk[..chunk.len().min(room)]);
            read += chunk.len();
            if read > MAX_ANSWER {
                break;
            }
        }
        Ok(EndpointAnswer { status, start: shown(&start), retry_after })
    }
}

/// Why no answer came.
#[derive(Debug)]
struct NoAnswer {
    /// For the webhook's owner, who must not learn from it which names and ports there are inside.
    told: String,
    /// For the operator's log.
    cause: Option<String>,
}

/// What the owner of a webhook is told when there is no connection: a name that does not exist, one that resolves to
/// an address that is not allowed, and a host that refuses look alike.
const UNREACHABLE: &str = "the endpoint could not be reached: check that its name, address and port are right and \
                           open to this server";

impl NoAnswer {
    fn told(told: String) -> Self {
        Self { told, cause: None }
    }

    fn of(error: reqwest::Error, timeout: Duration) -> Self {
        let told = match (error.is_connect(), error.is_timeout()) {
            (true, false) if is_certificate(&error) => {
                "the endpoint's TLS certificate is not trusted, not valid now, or not for this name"
                    .to_owned()
            }
            (true, _) => UNREACHABLE.to_owned(),
            (false, true) => format!("no answer within {} s", timeout.as_secs()),
            (false, false) => "the connection broke before an answer came".to_owned(),
        };
        // The URL may hold a token of the endpoint's owner: it stays out of the log too.
        Self { told, cause: Some(text(&chain(&error.without_url()))) }
    }
}

/// Whether a connection was refused here because of the endpoint's certificate.
fn is_certificate(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData)
            && error.to_string().contains("certificate")
        {
            return true;
        }
        // An I/O error is not the source of the one that it is wrapped in.
        source = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// What the endpoint said, and why that is no success, if it is none: 2xx is, and nothing else.
fn judged(outcome: Result<EndpointAnswer, NoAnswer>) -> (Option<EndpointAnswer>, Option<String>) {
    match outcome {
        Ok(answer) if (200..300).contains(&answer.status) => (Some(answer), None),
        Ok(answer) => {
            let error = format!("the endpoint answered {}", answer.status);
            (Some(answer), Some(error))
        }
        Err(none) => (None, Some(none.told)),
    }
}

/// What an endpoint said.
struct EndpointAnswer {
    status: u16,
    /// The start of the body.
    start: Option<String>,
    /// What the endpoint asks to be left alone for.
    retry_after: Option<Duration>,
}

/// `Retry-After`, where it means what it says: too many requests, or out of service.
fn asked_pause(answer: &reqwest::Response, now: Timestamp) -> Option<Duration> {
    let status = answer.status();
    if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    retry::retry_after(answer.headers().get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// The start of a body, as text.
fn shown(start: &[u8]) -> Option<String> {
    if start.is_empty() {
        return None;
    }
    Some(text(&String::from_utf8_lossy(start)))
}

/// What strangers may have had a say in, as it can be kept and shown: without control characters but for line ends.
fn text(long: &str) -> String {
    let shown = long.chars().filter(|one| !is_unshowable(*one));
    shown.take(MAX_ANSWER_CHARS).collect()
}

/// Whether a terminal or a page would do something with it, but for a line end: also turn the direction of writing.
fn is_unshowable(one: char) -> bool {
    let turns =
        matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (one.is_control() && one != '\n')
}
