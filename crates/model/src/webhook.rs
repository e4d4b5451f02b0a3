//! Webhooks: where events are delivered to (§6, §9).

mod state;

use std::{fmt, sync::OnceLock};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    delivery::Delivery,
    event::EventKind,
    id::{Id, Kind},
    key::Key,
    lenient,
    line::Line,
    schema::Extends,
    scope::Scopes,
    secret,
    signature::SigningKeys,
    time::Timestamp,
};

pub use state::{
    DISABLED_AFTER_MS, DisabledReason, IllegalStep, SILENCE_MS, WebhookState, WebhookStep,
};

/// The longest URL that is taken.
pub const MAX_URL_LEN: usize = 2048;

/// How long the secret before the last rotation is valid too: 24 hours.
pub const ROTATION_MS: i64 = 24 * 3600 * 1000;

/// The most webhooks of one account.
pub const MAX_PER_ACCOUNT: usize = 100;

/// Where events are delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Webhook {
    /// The webhook's id.
    pub id: Id<Webhook>,
    /// The lines whose events it gets.
    pub line_ids: Vec<Id<Line>>,
    /// Where they go.
    #[schemars(example = &"https://agent.example.com/hook")]
    pub url: String,
    /// Which events it gets.
    #[serde(deserialize_with = "lenient::names")]
    pub events: Vec<EventKind>,
    /// Whether it gets any.
    pub is_active: bool,
    /// Since when nothing but failures came of its deliveries; absent while it works. After 5 days it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it was disabled; absent while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Why it was disabled: by hand, because it failed for 5 days, or because it answered 410. Absent while it is
    /// active.
    #[serde(default, deserialize_with = "lenient::name", skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<DisabledReason>,
    /// The key that made it: webhooks outlive their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<CreatedBy>,
    /// What deliveries are signed with; only in the answer to its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub secret: Option<WebhookSecret>,
}

impl Webhook {
    /// Whether it gets events, and why not.
    pub fn state(&self) -> WebhookState {
        WebhookState {
            is_active: self.is_active,
            failing_since: self.failing_since,
            disabled_at: self.disabled_at,
            disabled_reason: self.disabled_reason,
        }
    }

    /// Gives it another state.
    pub fn set_state(&mut self, state: WebhookState) {
        self.is_active = state.is_active;
        self.failing_since = state.failing_since;
        self.disabled_at = state.disabled_at;
        self.disabled_reason = state.disabled_reason;
    }
}

/// The key that made a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookCreator")]
#[schemars(extend("x-complete" = true))]
pub struct CreatedBy {
    /// The key's id; null for a webhook that was made before this was kept.
    pub key_id: Option<Id<Key>>,
    /// Whether the key could still make it, or was revoked, has expired, or lacks the read scope of an event that
    /// the webhook names.
    pub state: CreatorState,
}

/// Whether the key that made a webhook could still make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreatorState {
    /// It could.
    Active,
    /// The operator has revoked it.
    Revoked,
    /// Its time is over.
    Expired,
    /// It lacks the read scope of an event that the webhook names.
    InsufficientScope,
    /// Nobody knows which key it was.
    #[serde(other)]
    Unknown,
}

impl CreatorState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Revoked, Self::Expired, Self::InsufficientScope, Self::Unknown];

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::InsufficientScope => "insufficient_scope",
            Self::Unknown => "unknown",
        }
    }

    /// The state of a key that has made a webhook for these events.
    pub fn of(
        revoked_at: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        scopes: &Scopes,
        events: &[EventKind],
        now: Timestamp,
    ) -> Self {
        if revoked_at.is_some() {
            Self::Revoked
        } else if expires_at.is_some_and(|end| end <= now) {
            Self::Expired
        } else if events.iter().any(|event| !scopes.contains(event.scope())) {
            Self::InsufficientScope
        } else {
            Self::Active
        }
    }
}

/// A webhook that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdatedWebhook {
    /// The webhook as it is now.
    #[serde(flatten)]
    #[schemars(with = "Extends<Webhook>")]
    pub webhook: Webhook,
    /// When this has enabled it: since when it has missed events. A replay with this as `since` sends them.
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

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-complete" = true))]
pub struct WebhookTest {
    /// The `delivery_id` that was sent.
    pub delivery_id: Id<Delivery>,
    /// What was said to have happened.
    pub event: EventKind,
    /// Whether the endpoint took it: it answered 2xx.
    pub ok: bool,
    /// The status of its answer.
    #[schemars(example = 200)]
    pub status: Option<u16>,
    /// How long it took.
    #[schemars(example = 42)]
    pub duration_ms: u64,
    /// The start of its answer.
    #[schemars(example = &"ok")]
    pub answer: Option<String>,
    /// Why it did not succeed.
    #[schemars(example = ())]
    pub error: Option<String>,
}

impl Kind for Webhook {
    const PREFIX: &'static str = "wh_";
}

/// `whsec_<base64>`. Does not show itself in `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookSecret {
    text: String,
    /// What each signature begins with, made for the first of them.
    #[serde(skip)]
    signing_keys: OnceLock<SigningKeys>,
}

impl PartialEq for WebhookSecret {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for WebhookSecret {}

impl WebhookSecret {
    /// The prefix that Standard Webhooks gives to symmetric secrets.
    pub const PREFIX: &'static str = "whsec_";

    /// Makes a secret of these random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self::of(format!("{}{}", Self::PREFIX, BASE64_STANDARD.encode(random)))
    }

    /// Takes a secret from where it was kept: a database, or the environment of a receiver, with what
    /// came with it there.
    pub fn from_stored(text: String) -> Self {
        let bare = secret::bare(&text);
        if bare.len() == text.len() { Self::of(text) } else { Self::of(bare.to_owned()) }
    }

    fn of(text: String) -> Self {
        Self { text, signing_keys: OnceLock::new() }
    }

    pub(crate) fn signing_keys(&self) -> &SigningKeys {
        self.signing_keys.get_or_init(|| SigningKeys::new(self))
    }

    /// The whole text: the key of `X-Webhook-Signature`.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The bytes behind the base64 part: the key of `webhook-signature`. None if there is no such part.
    pub fn standard_key(&self) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(self.text.strip_prefix(Self::PREFIX)?).ok()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_agree() {
        for state in CreatorState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
