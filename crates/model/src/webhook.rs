//! Webhooks: where events are delivered to (§6, §9).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    delivery::Delivery,
    event::EventKind,
    id::{Id, Kind},
    line::Line,
    time::Timestamp,
};

/// The longest URL that is taken.
pub const MAX_URL_LEN: usize = 2048;

/// A webhook of which nothing but failures came for so long is disabled: 5 days.
pub const DISABLED_AFTER_MS: i64 = 5 * 24 * 3600 * 1000;

/// Failures with more than this between them have nothing to do with each other, and the time after which
/// a webhook is disabled begins anew: half of it. Longer than any pause of the schedule of retries, so that
/// an endpoint that is tried all the time never falls silent.
pub const SILENCE_MS: i64 = DISABLED_AFTER_MS / 2;

/// How long the secret before the last rotation is valid too: 24 hours.
pub const ROTATION_MS: i64 = 24 * 3600 * 1000;

/// The most webhooks of one account.
pub const MAX_PER_ACCOUNT: usize = 100;

/// A webhook as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// `wh_…`
    pub id: Id<Webhook>,
    /// The lines whose events it gets.
    pub line_ids: Vec<Id<Line>>,
    /// Where they go.
    pub url: String,
    /// Which events it gets.
    pub events: Vec<EventKind>,
    /// Whether it gets any.
    pub is_active: bool,
    /// Since when nothing but failures came of its deliveries, with no long silence between them (ext); absent
    /// while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it was disabled (ext); absent while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Why it was disabled (ext); absent while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<DisabledReason>,
    /// What deliveries are signed with; only in the answer to its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<WebhookSecret>,
}

/// The answer to a change of a webhook (ext).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatedWebhook {
    /// The webhook as it is now.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// When this has enabled it: since when it has missed events. A replay from then on sends them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_since: Option<Timestamp>,
}

/// The answer to a rotation (ext): the webhook with its new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedWebhook {
    /// The webhook, with its new secret.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// Until when the secret before it is valid too.
    pub previous_secret_expires_at: Timestamp,
}

/// What came of an event that was sent to try a webhook (ext). Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTest {
    /// The delivery's id, as in its body and headers.
    pub delivery_id: Id<Delivery>,
    /// What was said to have happened.
    pub event: EventKind,
    /// Whether the endpoint took it: it answered 2xx.
    pub ok: bool,
    /// The status of the answer; null if there was none.
    pub status: Option<u16>,
    /// Until the answer was read, or until it failed, in milliseconds.
    pub duration_ms: u64,
    /// The start of the answer's body; null if there was none.
    pub answer: Option<String>,
    /// Why it did not succeed; null if it did.
    pub error: Option<String>,
}

/// Why a webhook gets nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Somebody switched it off.
    Manual,
    /// Nothing but failures came of its deliveries for [`DISABLED_AFTER_MS`], never [`SILENCE_MS`] apart.
    Failing,
    /// Its endpoint answered 410: it is gone for good.
    Gone,
}

impl DisabledReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Failing, Self::Gone];

    /// Its name, the same in JSON and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

impl Kind for Webhook {
    const PREFIX: &'static str = "wh_";
}

/// `whsec_<base64>`: kept in clear, because signing needs it. Does not show itself in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookSecret(String);

impl WebhookSecret {
    /// The prefix that Standard Webhooks gives to symmetric secrets.
    pub const PREFIX: &'static str = "whsec_";

    /// Makes a secret of these random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(format!("{}{}", Self::PREFIX, BASE64_STANDARD.encode(random)))
    }

    /// Takes a secret from where it was kept.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The whole text: the key of `X-Webhook-Signature`.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The bytes behind the base64 part: the key of `webhook-signature`. None if there is no such part.
    pub fn standard_key(&self) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(self.0.strip_prefix(Self::PREFIX)?).ok()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}
