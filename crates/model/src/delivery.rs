//! Deliveries: one event on its way to one webhook, over one or more attempts (§9).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    account::Account,
    chat::Chat,
    event::{Event, EventKind},
    id::{Id, Kind},
    time::{Now, Timestamp},
    webhook::{Webhook, WebhookSecret},
};

/// The most characters of an endpoint's answer that an attempt keeps.
pub const MAX_ANSWER_CHARS: usize = 500;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is to be attempted, now or later.
    Due,
    /// The endpoint has taken it: an attempt was answered with 2xx.
    Delivered,
    /// It was given up: the last attempt of the schedule failed, or its webhook was disabled.
    Failed,
}

impl DeliveryStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Due, Self::Delivered, Self::Failed];

    /// Its name, the same in JSON, in SQL and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The status with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-complete" = true))]
pub struct Delivery {
    /// The `delivery_id`, the same over all attempts.
    pub id: Id<Delivery>,
    /// Where it goes to; may be deleted by now.
    pub webhook_id: Id<Webhook>,
    /// The event that it tells of.
    pub event_id: Id<Event>,
    /// What happened.
    pub event: EventKind,
    /// `due` now or later, `delivered`, or `failed`: given up.
    #[schemars(example = &"delivered")]
    pub status: DeliveryStatus,
    /// Every attempt, the first one first.
    pub attempts: Vec<Attempt>,
    /// When the next attempt is due.
    #[schemars(example = ())]
    pub next_attempt_at: Option<Timestamp>,
    /// Why it failed, or fails.
    #[schemars(example = ())]
    pub error: Option<String>,
    /// When it was made: with its event, or by a replay of one that was missed.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
}

/// One try to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-complete" = true))]
pub struct Attempt {
    /// From 1, counted over retries by hand and replays, too.
    #[schemars(example = 1)]
    pub number: u32,
    /// When it was signed and sent.
    pub started_at: Timestamp,
    /// How long it took.
    #[schemars(example = 42)]
    pub duration_ms: u64,
    /// The status of the answer; null without one.
    #[schemars(example = 200)]
    pub status: Option<u16>,
    /// The start of the answer's body.
    #[schemars(example = &"ok")]
    pub answer: Option<String>,
    /// Why it did not succeed.
    #[schemars(example = ())]
    pub error: Option<String>,
}

impl Kind for Delivery {
    const PREFIX: &'static str = "dlv_";
}

/// A delivery that is due, with all that an attempt needs.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Its place in the store.
    pub seq: i64,
    /// Stable over all attempts.
    pub id: Id<Delivery>,
    /// Where it goes to.
    pub webhook_id: Id<Webhook>,
    /// Whose webhook that is.
    pub account_id: Id<Account>,
    /// The webhook's URL.
    pub url: Arc<str>,
    /// The webhook's secrets.
    pub secrets: Arc<Secrets>,
    /// What happened.
    pub event: EventKind,
    /// The chat it happened in.
    pub chat_id: Option<Id<Chat>>,
    /// The event's data, byte for byte as it was committed.
    pub data: Arc<RawValue>,
    /// Attempts made so far in this round: since it was made, or last retried or replayed by hand.
    pub attempts: u32,
    /// When this round began: with the commit of the event, or when the delivery was retried or replayed.
    pub since: Timestamp,
}

/// What the deliveries of a webhook are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The webhook's secret.
    pub current: WebhookSecret,
    /// The one before it, and until when it is valid too, by the steady clock.
    pub previous: Option<(WebhookSecret, Timestamp)>,
}

impl Secrets {
    /// The previous secret, while it is still valid at this steady instant.
    pub fn previous_at(&self, now: Timestamp) -> Option<&WebhookSecret> {
        self.previous.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret)
    }
}

/// What came of one attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptResult {
    /// Its place in the store.
    pub seq: i64,
    /// Of which delivery.
    pub delivery_id: Id<Delivery>,
    /// Of which webhook.
    pub webhook_id: Id<Webhook>,
    /// Where it went: the webhook may go elsewhere by now.
    pub url: Arc<str>,
    /// Attempts made in this round, this one included.
    pub attempts: u32,
    /// When it was signed and sent.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The start of the answer's body.
    pub answer: Option<String>,
    /// Why it did not succeed; none if it did. For the webhook's owner.
    pub error: Option<String>,
    /// Why exactly no answer came, for the operator's log only: it may tell of names and addresses inside.
    pub cause: Option<String>,
    /// When to try again, by the steady clock; none when it succeeded or is given up.
    pub next_attempt_at: Option<Timestamp>,
    /// When the attempt ended.
    pub finished_at: Now,
}

impl AttemptResult {
    /// Whether the endpoint said that it is gone for good: its webhook is disabled.
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
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
