//! An item of the outbox that is not settled, and what may become of it.

use switchboard_model::{
    Account, Chat, Line, OutboxItem,
    id::Id,
    link::Content,
    outbox::{OutboxStatus, OutboxStep},
};

use crate::{Result, StoreError};

/// An item that is not settled; or one that is given up, and of which the truth turns out.
pub(crate) struct OpenItem {
    pub(crate) seq: i64,
    pub(crate) id: Id<OutboxItem>,
    pub(crate) account_id: Id<Account>,
    pub(crate) line_id: Id<Line>,
    pub(crate) chat_id: Id<Chat>,
    pub(crate) status: OutboxStatus,
    pub(crate) attempts: u32,
    pub(crate) content: Content,
    /// Whether its contact was silent when it was accepted; known of what is reported.
    pub(crate) to_silent: bool,
    /// Why it was given up, if it was.
    pub(crate) error: Option<String>,
}

impl OpenItem {
    /// Whether it was given up before: its files are not held for it any more.
    pub(crate) fn was_given_up(&self) -> bool {
        self.status == OutboxStatus::Failed
    }

    /// How often it was taken, when what came of it is told.
    pub(crate) fn taken(&self) -> u32 {
        self.attempts + u32::from(!self.was_given_up())
    }

    /// Where a step leads. One that must not happen is a mistake in this crate, and stops the command.
    pub(crate) fn after(&self, next: OutboxStep) -> Result<OutboxStatus> {
        if !self.was_given_up() {
            return step(self.status, next);
        }
        let was_sent = next == OutboxStep::Send;
        let led = self.status.resolve(self.error.as_deref(), was_sent);
        led.map_err(|error| StoreError::Database(Box::new(error)))
    }
}

/// A step that must not happen is a mistake in this crate, and stops the command.
pub(crate) fn step(from: OutboxStatus, step: OutboxStep) -> Result<OutboxStatus> {
    from.after(step).map_err(|error| StoreError::Database(Box::new(error)))
}
