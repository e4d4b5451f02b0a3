//! One attempt: sign, send, judge the answer. What a stranger's server does can't hurt here:
//! time, bytes and redirects are bounded.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use serde_json::value::RawValue;
use switchboard_model::{
    Timestamp,
    delivery::{AttemptResult, DeliveryBody, DueDelivery},
    retry, signature,
    time::Clock,
};

use super::Guard;
use crate::{api::problem::chain, files::Files};

/// How long an endpoint has to take a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection to an endpoint is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read, so that its connection can be used again; past them it is cut.
const MAX_ANSWER: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Sender {
    http: reqwest::Client,
    guard: Guard,
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
}

impl Sender {
    pub(super) fn new(
        guard: Guard,
        files: Arc<Files>,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("Switchboard/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(guard.clone())
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, guard, files, clock })
    }

    /// Attempts a delivery once and says what is to become of it.
    pub(super) async fn attempt(&self, delivery: &DueDelivery) -> AttemptResult {
        let outcome = self.post(delivery).await;
        let finished_at = self.clock.now();
        let attempts = delivery.attempts.saturating_add(1);
        let (status, error) = match outcome {
            Ok(status) if (200..300).contains(&status) => (Some(status), None),
            Ok(status) => (Some(status), Some(format!("the endpoint answered {status}"))),
            Err(error) => (None, Some(error)),
        };
        let next_attempt_at = error.as_ref().and_then(|_| {
            let pause = retry::pause_after(&retry::SCHEDULE, attempts, rand::random());
            pause.map(|pause| finished_at + pause)
        });
        AttemptResult {
            delivery_id: delivery.id,
            attempts,
            status,
            error,
            next_attempt_at,
            finished_at,
        }
    }

    async fn post(&self, delivery: &DueDelivery) -> Result<u16, String> {
        // The policy may have become stricter since the URL was given.
        let url = self
            .guard
            .check_url(&delivery.url)
            .map_err(|refused| format!("the webhook's URL {refused}"))?;
        let now = self.clock.now();
        let data = self.files.show_event(&delivery.data, now);
        let (headers, body) = signed(delivery, &data, now)?;
        let sent = self.http.post(url).headers(headers).body(body).send().await;
        // The URL may hold a token of the endpoint's owner: it stays out of the error.
        let mut answer = sent.map_err(|error| chain(&error.without_url()))?;
        let status = answer.status().as_u16();
        let mut read = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            read += chunk.len();
            if read > MAX_ANSWER {
                break;
            }
        }
        Ok(status)
    }
}

/// The body, and the headers that prove it: both schemes, signed afresh for this attempt (§9).
fn signed(
    delivery: &DueDelivery,
    data: &RawValue,
    now: Timestamp,
) -> Result<(HeaderMap, Vec<u8>), String> {
    let body =
        DeliveryBody { event: delivery.event, data, timestamp: now, delivery_id: delivery.id };
    let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
    let id = delivery.id.to_string();
    let hosted = signature::hosted(&delivery.secret, now, &body);
    let standard = signature::standard(&delivery.secret, &id, now, &body)
        .ok_or("the webhook's secret has no base64 part")?;
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("x-webhook-timestamp", now.millis().to_string()),
        ("x-webhook-delivery-id", id.clone()),
        ("x-webhook-signature", hosted),
        ("webhook-id", id),
        ("webhook-timestamp", now.seconds().to_string()),
        ("webhook-signature", standard),
    ] {
        let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok((headers, body))
}
