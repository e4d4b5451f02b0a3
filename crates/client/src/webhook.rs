//! Verifying what a webhook gets: nothing of a delivery is believed before its signature is.
//!
//! Both schemes of the contract (§9) are known. A receiver needs only one of them; which one
//! is its own choice, and [`verify`] takes the first that the delivery carries.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;
pub use switchboard_model::signature::{TOLERANCE_MS, Untrusted};
use switchboard_model::{
    EventKind, Timestamp, delivery, event::MessageEvent, id::Id, signature, webhook::WebhookSecret,
};

use crate::{Event, Misshape, error};

/// The most signatures of one `webhook-signature` header that are looked at: more than two,
/// the old and the new key's, make no sense.
const MAX_SIGNATURES: usize = 8;

/// A delivery that is what it says it is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Delivery {
    /// What happened: `message.received`. [`Delivery::kind`] knows those of the contract.
    pub event: String,
    /// The resource it happened to.
    pub data: Value,
    /// When this attempt was signed.
    pub timestamp: Timestamp,
    /// Stable over all attempts: what was seen once need not be done again.
    pub delivery_id: Id<delivery::Delivery>,
}

/// Why a delivery is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A header that the scheme needs is missing or unreadable.
    #[error("the header {0} is missing or unreadable")]
    Header(&'static str),
    /// The secret is not `whsec_` and base64, as Standard Webhooks need it.
    #[error("the secret has no base64 part")]
    Secret,
    /// The signature is wrong or too old.
    #[error("not to be trusted")]
    Untrusted(#[from] Untrusted),
    /// The body is signed, but is no delivery as the contract has it.
    #[error("the body is no delivery")]
    Body(#[from] Misshape),
}

/// As [`verify`], by this machine's clock: what a receiver in use calls.
///
/// # Errors
/// As [`verify`].
#[expect(clippy::disallowed_methods, reason = "receivers have no Clock of ours")]
pub fn verify_now(
    secret: &WebhookSecret,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Delivery, VerifyError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    verify(secret, headers, body, Timestamp(0) + since)
}

/// Verifies a delivery by the hosted scheme if it carries it, else by that of Standard Webhooks.
///
/// # Errors
/// [`VerifyError`] says why it must not be believed.
pub fn verify(
    secret: &WebhookSecret,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Delivery, VerifyError> {
    if headers.contains_key("x-webhook-signature") {
        verify_hosted(secret, headers, body, now)
    } else {
        verify_standard(secret, headers, body, now)
    }
}

/// Verifies `X-Webhook-Signature`, and that timestamp and delivery id of the headers are the body's.
///
/// # Errors
/// As [`verify`].
pub fn verify_hosted(
    secret: &WebhookSecret,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Delivery, VerifyError> {
    let timestamp = header(headers, "x-webhook-timestamp")?;
    let id = header(headers, "x-webhook-delivery-id")?;
    let given = header(headers, "x-webhook-signature")?;
    let signed_at = timestamp.parse().map_err(|_| VerifyError::Header("x-webhook-timestamp"))?;
    signature::verify_hosted(secret, Timestamp(signed_at), body, given, now)?;
    let delivery = read(body)?;
    // To the digit: others sign the header's text, and "+1" or "01" would be another text.
    if delivery.timestamp.millis().to_string() != timestamp {
        return Err(Misshape::new("X-Webhook-Timestamp is not the body's").into());
    }
    // The header is not signed, so it proves nothing; but it must not lie.
    if delivery.delivery_id.to_string() != id {
        return Err(Misshape::new("X-Webhook-Delivery-Id is not the body's").into());
    }
    Ok(delivery)
}

/// Verifies `webhook-signature` as <https://www.standardwebhooks.com> has it: any one of its
/// `v1` signatures suffices.
///
/// # Errors
/// As [`verify`], and [`VerifyError::Secret`].
pub fn verify_standard(
    secret: &WebhookSecret,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Delivery, VerifyError> {
    let id = header(headers, "webhook-id")?;
    let given = header(headers, "webhook-signature")?;
    let signed_at = header(headers, "webhook-timestamp")?
        .parse::<i64>()
        .ok()
        .and_then(|seconds| seconds.checked_mul(1000))
        .map(Timestamp)
        .ok_or(VerifyError::Header("webhook-timestamp"))?;
    if now.millis().abs_diff(signed_at.millis()) > TOLERANCE_MS.unsigned_abs() {
        return Err(Untrusted::Stale.into());
    }
    let expected = signature::standard(secret, id, signed_at, body).ok_or(VerifyError::Secret)?;
    let matches = |one: &str| bool::from(expected.as_bytes().ct_eq(one.as_bytes()));
    if !given.split(' ').take(MAX_SIGNATURES).any(matches) {
        return Err(Untrusted::Mismatch.into());
    }
    Ok(read(body)?)
}

impl Delivery {
    /// What happened, if it is an event of the contract.
    pub fn kind(&self) -> Option<EventKind> {
        EventKind::from_name(&self.event)
    }

    /// What happened, with its data typed: the same as a live stream gives.
    ///
    /// # Errors
    /// [`Misshape`] if the data is not as the contract has it.
    pub fn to_event(&self) -> Result<Event, Misshape> {
        Event::read(&self.event, self.data.clone())
    }

    /// The data of message.received and message.sent.
    ///
    /// # Errors
    /// [`Misshape`] if this is another event, or its data is not as the contract has it.
    pub fn message(&self) -> Result<MessageEvent, Misshape> {
        match self.to_event()? {
            Event::MessageReceived(message) | Event::MessageSent(message) => Ok(message),
            _ => Err(Misshape::new("the delivery is not of a message")),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, VerifyError> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.ok_or(VerifyError::Header(name))
}

fn read(body: &[u8]) -> Result<Delivery, Misshape> {
    let value = serde_json::from_slice(body).map_err(|_| Misshape::new("the body is no JSON"))?;
    error::read(value)
}
