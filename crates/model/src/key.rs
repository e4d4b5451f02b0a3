//! API keys: who calls, and what the caller may do (§2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    account::Account,
    id::{Id, Kind},
    lenient,
    line::Line,
    schema::Extends,
    scope::Scopes,
    time::Timestamp,
};

/// Requests an hour that a key may make unless key or server say otherwise (§4).
pub const DEFAULT_HOURLY_LIMIT: u32 = 1000;

/// The hour of the rate limit: a fixed window that a key's first request opens (§4).
pub const RATE_WINDOW_MS: i64 = 3_600_000;

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// The key's id.
    pub id: Id<Key>,
    /// Whose it is; null for a key of no account.
    pub account_id: Option<Id<Account>>,
    /// What the operator calls it.
    #[schemars(example = &"agent")]
    pub name: String,
    /// The last letters of its secret, to tell keys apart.
    #[schemars(example = &"…x7k2")]
    pub hint: String,
    /// What it may do.
    #[serde(deserialize_with = "lenient::scopes")]
    pub scopes: Scopes,
    /// The lines that it is restricted to; null for all lines of the account.
    pub line_ids: Option<Vec<Id<Line>>>,
    /// Requests an hour; null for the server's default.
    #[schemars(example = 1000)]
    pub rate_limit: Option<u32>,
    /// From then on it is refused.
    #[schemars(example = ())]
    pub expires_at: Option<Timestamp>,
    /// Since then it is refused.
    #[schemars(example = ())]
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key that was revoked, and what becomes of the webhooks that it has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokedKey {
    /// The key as it is now.
    #[serde(flatten)]
    #[schemars(with = "Extends<Key>")]
    pub key: Key,
    /// How many of them go on.
    #[schemars(example = 0)]
    pub active_webhooks: u64,
    /// How many this has disabled.
    #[schemars(example = 0)]
    pub disabled_webhooks: u64,
}

impl Key {
    /// Whether the key opens anything at this instant.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether its restriction leaves this line open.
    pub fn may_use(&self, line: Id<Line>) -> bool {
        self.line_ids.as_ref().is_none_or(|lines| lines.contains(&line))
    }
}

impl Kind for Key {
    const PREFIX: &'static str = "key_";
}

/// How many requests a key has made in its current window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// The key.
    pub key_id: Id<Key>,
    /// When its window opened.
    pub window_start: Timestamp,
    /// Requests since then, the refused ones included.
    pub used: u32,
}
