//! Typing indicators.

use switchboard_model::{
    Account, Line, Timestamp, TypingIndicator, chat::Recipient, id::Id, typing::EXPIRES_AFTER_MS,
};

use crate::{Committed, Result};

#[cfg(doc)]
use crate::Refusal;

/// Typing indicators.
#[async_trait::async_trait]
pub trait Typing: Send + Sync {
    /// Turns off typing indicators that were not renewed for 60 s, with their events. At most `limit`. One that was
    /// renewed after `now`, by a clock that was set back since, counts as renewed now.
    async fn expire_typing(&self, now: Timestamp, limit: usize) -> Result<Committed>;

    /// Who types in a chat, or did; one whose 60 s are over is off. [`Refusal::ChatNotFound`].
    async fn typing(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        now: Timestamp,
    ) -> Result<Vec<TypingIndicator>>;
}

/// When an indicator that is not renewed goes off.
pub(crate) fn end_of(since: Timestamp) -> Timestamp {
    Timestamp(since.0.saturating_add_unsigned(EXPIRES_AFTER_MS))
}

/// An indicator as it is now, whatever stands of it.
pub(crate) fn shown(stored: TypingIndicator, now: Timestamp) -> TypingIndicator {
    let end = end_of(stored.updated_at);
    if stored.is_typing && end <= now {
        TypingIndicator { is_typing: false, updated_at: end, ..stored }
    } else {
        stored
    }
}
