//! Read receipts.

use switchboard_model::{Account, Line, ReadReceipt, chat::Recipient, id::Id};

use crate::Result;

#[cfg(doc)]
use crate::Refusal;

/// Read receipts.
#[async_trait::async_trait]
pub trait Receipts: Send + Sync {
    /// Who has read a chat up to when. [`Refusal::ChatNotFound`].
    async fn receipts(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
    ) -> Result<Vec<ReadReceipt>>;
}
