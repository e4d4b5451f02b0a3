//! Webhooks: where events are delivered to (§6, §9).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    event::EventKind,
    id::{Id, Kind},
    line::Line,
};

/// The longest URL that is taken.
pub const MAX_URL_LEN: usize = 2048;

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
    /// What deliveries are signed with; only in the answer to its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<WebhookSecret>,
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
