//! One request as it arrived, and the judgement whether it is a true delivery.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, request::Parts};
use serde_json::Value;
use switchboard_client::webhook;
use switchboard_model::{Timestamp, webhook::WebhookSecret};
use tokio::time::Instant;

use super::Behaviour;

/// One request as it arrived. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Delivery {
    head: Arc<Parts>,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When the whole of it was there.
    pub at: Instant,
    /// The same on the wall's clock.
    pub wall: Timestamp,
    /// The status that the receiver set out to answer; none if it stalled, cut or dripped.
    pub answered: Option<u16>,
}

/// Why a request is no true delivery.
#[derive(Debug, thiserror::Error)]
pub enum NotTrue {
    /// By the hosted scheme.
    #[error("the hosted scheme refuses it")]
    Hosted(#[source] webhook::VerifyError),
    /// By Standard Webhooks, as their own crate judges.
    #[error("Standard Webhooks refuse it")]
    Standard(#[source] standardwebhooks::WebhookError),
    /// By Standard Webhooks, as our own verifier judges.
    #[error("our own verifier of Standard Webhooks refuses it")]
    OwnStandard(#[source] webhook::VerifyError),
    /// By the hosted scheme, as another library's HMAC judges.
    #[error("another library's HMAC refuses it")]
    OtherHmac,
    /// Another method, path or type than the contract has.
    #[error("a delivery is a POST of application/json")]
    Form,
}

impl Delivery {
    pub(super) fn new(head: Parts, body: Bytes, behaviour: &Behaviour) -> Self {
        let answered = match behaviour {
            Behaviour::Answer(reply) => Some(reply.status.as_u16()),
            _ => None,
        };
        Self { head: Arc::new(head), body, at: Instant::now(), wall: wall_clock(), answered }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// Path and query.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// A header's text; none if it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// `X-Webhook-Delivery-Id`.
    pub fn delivery_id(&self) -> Option<&str> {
        self.header("x-webhook-delivery-id")
    }

    /// `X-Webhook-Timestamp`, in milliseconds.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.header("x-webhook-timestamp")?.parse().ok().map(Timestamp)
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body's `event`; empty if there is none.
    pub fn event(&self) -> String {
        self.json()["event"].as_str().unwrap_or_default().to_owned()
    }

    /// Checks both signatures, as two receivers would that never heard of each other, at the
    /// time of arrival: the hosted one by the SDK, that of Standard Webhooks by the
    /// `standardwebhooks` crate (which asks the wall's clock now) and by the SDK.
    ///
    /// # Errors
    /// [`NotTrue`] says who refuses it.
    pub fn verify(&self, secret: &WebhookSecret) -> Result<webhook::Delivery, NotTrue> {
        standardwebhooks::Webhook::new(secret.reveal())
            .and_then(|judge| judge.verify(&self.body, self.headers()))
            .map_err(NotTrue::Standard)?;
        self.verify_at(secret, self.wall)
    }

    /// As [`Delivery::verify`] for a server whose clock was moved: at this time, and with the
    /// `standardwebhooks` crate judging the signature but not the time. The hosted scheme is judged by
    /// code that shares nothing with ours, too.
    ///
    /// # Errors
    /// As [`Delivery::verify`].
    pub fn verify_at(
        &self,
        secret: &WebhookSecret,
        now: Timestamp,
    ) -> Result<webhook::Delivery, NotTrue> {
        let json = self.header("content-type").is_some_and(|kind| {
            kind == "application/json" || kind.starts_with("application/json;")
        });
        if self.method() != Method::POST || !json {
            return Err(NotTrue::Form);
        }
        let judged = self.judged_signature(secret).map_err(NotTrue::Standard)?;
        let given = self.header("webhook-signature").unwrap_or_default();
        if !given.split(' ').any(|one| one == judged) {
            return Err(NotTrue::Standard(standardwebhooks::WebhookError::InvalidSignature));
        }
        self.judge_hosted(secret)?;
        webhook::verify_standard(secret, self.headers(), &self.body, now)
            .map_err(NotTrue::OwnStandard)?;
        webhook::verify_hosted(secret, self.headers(), &self.body, now).map_err(NotTrue::Hosted)
    }

    /// Judges the hosted scheme by nothing but its description, with another library's HMAC.
    fn judge_hosted(&self, secret: &WebhookSecret) -> Result<(), NotTrue> {
        use aws_lc_rs::hmac;
        let header = |name| self.header(name).ok_or(NotTrue::OtherHmac);
        let mut signed = header("x-webhook-timestamp")?.as_bytes().to_vec();
        signed.push(b'.');
        signed.extend_from_slice(&self.body);
        let given = header("x-webhook-signature")?.as_bytes();
        let given: Option<Vec<u8>> = given
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        hmac::verify(&key, &signed, &given.ok_or(NotTrue::OtherHmac)?)
            .map_err(|_| NotTrue::OtherHmac)
    }

    /// The signature that the `standardwebhooks` crate would give.
    fn judged_signature(
        &self,
        secret: &WebhookSecret,
    ) -> Result<String, standardwebhooks::WebhookError> {
        use standardwebhooks::WebhookError::{InvalidTimestamp, MissingHeader};
        let id = self.header("webhook-id").ok_or(MissingHeader("id"))?;
        let seconds = self.header("webhook-timestamp").ok_or(MissingHeader("timestamp"))?;
        let seconds = seconds.parse().map_err(|_| InvalidTimestamp)?;
        standardwebhooks::Webhook::new(secret.reveal())?.sign(id, seconds, &self.body)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the receiver plays a stranger, who has no Clock of ours"
)]
fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.expect("this machine's clock is past 1970").as_millis();
    Timestamp(i64::try_from(millis).expect("this machine's clock is before the year 292,000,000"))
}
