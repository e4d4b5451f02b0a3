//! Accounts: whoever shares the server, each with keys and lines of its own.

use switchboard_model::{Account, Handle, Timestamp, secret::SecretHash};

use crate::Result;

/// An account with its first line and key.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The account's name.
    pub account: String,
    /// The line's handle; the simulator carries it.
    pub line: Handle,
    /// The line's label.
    pub label: String,
    /// The handle of the shared sandbox line; the simulator carries it, too.
    pub sandbox_line: Handle,
    /// The key's name.
    pub key: String,
    /// The last letters of the key.
    pub hint: String,
    /// The hash of the key.
    pub hash: SecretHash,
}

/// Accounts: whoever shares the server, each with keys and lines of its own.
#[async_trait::async_trait]
pub trait Accounts: Send + Sync {
    /// Makes an account.
    async fn create_account(&self, name: String, now: Timestamp) -> Result<Account>;

    /// Every account, oldest first.
    async fn accounts(&self) -> Result<Vec<Account>>;

    /// Makes an account with its first line and key, unless the key is known already; if there is such a
    /// line, its account gets the key: whoever has lost the key goes on. And makes the sandbox line with an
    /// account of its own, unless there is one. All or nothing, and nothing the second time. For `switchboard dev`.
    async fn seed(&self, seed: Seed, now: Timestamp) -> Result<()>;
}
