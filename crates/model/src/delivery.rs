//! Deliveries: one event on its way to one webhook, over one or more attempts (§9).

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    chat::Chat,
    event::EventKind,
    id::{Id, Kind},
    time::Timestamp,
    webhook::{Webhook, WebhookSecret},
};

/// The id kind of a delivery: `dlv_`.
#[derive(Debug)]
pub struct Delivery;

impl Kind for Delivery {
    const PREFIX: &'static str = "dlv_";
}

/// A delivery that is due, with all that an attempt needs.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Stable over all attempts.
    pub id: Id<Delivery>,
    /// Where it goes to.
    pub webhook_id: Id<Webhook>,
    /// The webhook's URL.
    pub url: Arc<str>,
    /// The webhook's secret.
    pub secret: Arc<WebhookSecret>,
    /// What happened.
    pub event: EventKind,
    /// The chat it happened in.
    pub chat_id: Option<Id<Chat>>,
    /// The event's data, byte for byte as it was committed.
    pub data: Arc<RawValue>,
    /// Attempts made so far.
    pub attempts: u32,
}

/// What came of one attempt.
#[derive(Debug, Clone)]
pub struct AttemptResult {
    /// Of which delivery.
    pub delivery_id: Id<Delivery>,
    /// Attempts made, this one included.
    pub attempts: u32,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it did not succeed; none if it did.
    pub error: Option<String>,
    /// When to try again; none when it succeeded or is given up.
    pub next_attempt_at: Option<Timestamp>,
    /// When the attempt ended.
    pub finished_at: Timestamp,
}

/// The body of a delivery, in the order of the contract.
#[derive(Debug, Serialize)]
pub struct DeliveryBody<'a> {
    /// What happened.
    pub event: EventKind,
    /// The resource it happened to.
    pub data: &'a RawValue,
    /// When this attempt was signed.
    pub timestamp: Timestamp,
    /// Stable over all attempts.
    pub delivery_id: Id<Delivery>,
}
