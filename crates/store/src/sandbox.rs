//! The sandbox line, and which phone is paired with which account.

use switchboard_model::{
    Account, Handle, Line, Sandbox, Timestamp,
    id::Id,
    sandbox::{SandboxStatus, SandboxUsage, day_of},
};

use crate::{Committed, IdempotencyRecordWith, Idempotent, NewContent, Result};

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

/// What is kept of an account's sandbox.
#[derive(Default)]
pub(crate) struct KeptSandbox {
    pub(crate) code: Option<String>,
    pub(crate) contact: Option<Handle>,
    pub(crate) activated_at: Option<Timestamp>,
    /// How much was used, and on which day.
    pub(crate) used: u32,
    pub(crate) day: i64,
}

impl KeptSandbox {
    /// As its account sees it, on this line.
    pub(crate) fn shown(self, line: Handle, now: Timestamp) -> Sandbox {
        let used = used_today(self.day, self.used, now);
        Sandbox {
            status: match (&self.code, &self.contact) {
                (_, Some(_)) => SandboxStatus::Active,
                (Some(_), None) => SandboxStatus::Pending,
                (None, None) => SandboxStatus::Missing,
            },
            activation_code: self.code,
            sandbox_line_handle: line,
            contact_identifier: self.contact,
            activated_at: self.activated_at,
            usage: SandboxUsage::new(used, now),
        }
    }
}

/// What is used of the day that `now` is in.
pub(crate) fn used_today(day: i64, used: u32, now: Timestamp) -> u32 {
    if day == day_of(now) { used } else { 0 }
}

/// Whether a write counts against the quota: each message, voice memo and reaction stays on somebody's phone. Typing and
/// receipts do not: clients send many, and they leave nothing behind.
pub(crate) fn counts(content: &NewContent) -> bool {
    match content {
        NewContent::Message { .. }
        | NewContent::AudioMessage { .. }
        | NewContent::Reaction { .. } => true,
        NewContent::Typing { .. } | NewContent::Read => false,
    }
}

/// Whether a write may be the first in its chat.
pub(crate) fn may_begin(content: &NewContent) -> bool {
    matches!(content, NewContent::Message { .. } | NewContent::AudioMessage { .. })
}
