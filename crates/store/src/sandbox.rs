//! The sandbox line, and which phone is paired with which account.

use switchboard_model::{Account, Line, Sandbox, Timestamp, id::Id};

use crate::{Committed, IdempotencyRecordWith, Idempotent, Result};

#[cfg(doc)]
use crate::Refusal;

/// The sandbox line, and which phone is paired with which account.
#[async_trait::async_trait]
pub trait Sandboxes: Send + Sync {
    /// The shared line, if there is one.
    async fn sandbox_line(&self) -> Result<Option<Line>>;

    /// The sandbox as this account sees it. [`Refusal::LineNotFound`] without a sandbox line.
    async fn sandbox(&self, account: Id<Account>, now: Timestamp) -> Result<Sandbox>;

    /// Makes sure that the account has a code or a paired phone; `code` is used if it has neither.
    /// Idempotent by its nature. [`Refusal::AccountNotFound`], [`Refusal::LineNotFound`].
    async fn ensure_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        remember: Option<IdempotencyRecordWith<Sandbox>>,
        now: Timestamp,
    ) -> Result<Idempotent<Sandbox>>;

    /// Ends the pairing and gives the account this new code. Its chat is kept but shown no longer, until
    /// the same two are paired again; what waits to be sent to it fails, with its events. What the
    /// account has used of the day stays. [`Refusal::AccountNotFound`], [`Refusal::LineNotFound`].
    async fn reset_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        now: Timestamp,
    ) -> Result<(Sandbox, Committed)>;
}
