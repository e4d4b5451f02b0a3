//! API keys: who calls, and what the caller may do (§2).

use serde::{Deserialize, Serialize};

use crate::{
    account::Account,
    id::{Id, Kind},
    line::Line,
    scope::Scopes,
    time::Timestamp,
};

/// Requests an hour that a key may make unless key or server say otherwise (§4).
pub const DEFAULT_HOURLY_LIMIT: u32 = 1000;

/// The hour of the rate limit: a fixed window that a key's first request opens (§4).
pub const RATE_WINDOW_MS: i64 = 3_600_000;

/// A key without its secret, of which only the hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `key_…`
    pub id: Id<Key>,
    /// Whose it is; none for a key that belongs to no account.
    pub account_id: Option<Id<Account>>,
    /// What the operator calls it.
    pub name: String,
    /// The last letters of the secret, to tell keys apart: `…x7k2`.
    pub hint: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The lines it is restricted to; none means every line of the account.
    pub line_ids: Option<Vec<Id<Line>>>,
    /// Requests an hour; none means the server's default.
    pub rate_limit: Option<u32>,
    /// From then on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The answer to the revocation of a key: what it made goes on unless it was disabled too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedKey {
    /// The key as it is now.
    #[serde(flatten)]
    pub key: Key,
    /// How many webhooks that this key has made still get events.
    pub active_webhooks: u64,
    /// How many of them this has disabled.
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
