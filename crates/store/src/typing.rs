//! Typing indicators.

use switchboard_model::{Account, Line, Timestamp, TypingIndicator, chat::Recipient, id::Id};

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
