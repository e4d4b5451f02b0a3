//! API keys, and how much of their hour they have used.

use switchboard_model::{
    Account, Key, Line, Scopes, Timestamp, Webhook, id::Id, key::KeyUsage, secret::SecretHash,
};

use crate::Result;

#[cfg(doc)]
use crate::Refusal;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose.
    pub account_id: Option<Id<Account>>,
    /// Its name.
    pub name: String,
    /// The last letters of the secret.
    pub hint: String,
    /// The hash of the secret.
    pub hash: SecretHash,
    /// What it may do.
    pub scopes: Scopes,
    /// The lines it is restricted to.
    pub line_ids: Option<Vec<Id<Line>>>,
    /// Requests an hour.
    pub rate_limit: Option<u32>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// What became of the revocation of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The key as it is now.
    pub key: Key,
    /// How many webhooks that it has made still get events.
    pub active_webhooks: usize,
    /// Which of them this has disabled.
    pub disabled: Vec<Id<Webhook>>,
}

/// API keys, and how much of their hour they have used.
#[async_trait::async_trait]
pub trait Keys: Send + Sync {
    /// Makes a key. Refuses an unknown account ([`Refusal::AccountNotFound`]) and
    /// a restriction to a line that is neither the account's nor the sandbox line ([`Refusal::LineNotFound`]).
    async fn create_key(&self, key: NewKey, now: Timestamp) -> Result<Key>;

    /// The key with this hash, revoked and expired ones too, with its use of the current hour. Whoever knows which key
    /// it was a moment ago says so: it is looked up in that key's own turn, and not in that of all who show what nobody
    /// knows.
    async fn find_key(
        &self,
        hash: SecretHash,
        known: Option<Id<Key>>,
    ) -> Result<Option<(Key, Option<KeyUsage>)>>;

    /// Every key, oldest first.
    async fn keys(&self) -> Result<Vec<Key>>;

    /// Revokes a key; one that is revoked already stays as it was. With `disable_webhooks` those that it has made
    /// are disabled too, as by hand; otherwise they go on. [`Refusal::KeyNotFound`].
    async fn revoke_key(
        &self,
        id: Id<Key>,
        disable_webhooks: bool,
        now: Timestamp,
    ) -> Result<Revoked>;

    /// Adds what these keys have used since the last time, each in an hour that its process knew of, and answers what they
    /// have used of their hour in all. An hour begins with the first request that any process counts; what was counted
    /// in one that is over by then counts no more.
    async fn add_usage(&self, usage: Vec<KeyUsage>) -> Result<Vec<KeyUsage>>;
}
