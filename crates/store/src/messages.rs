//! Messages.

use switchboard_model::{
    Account, Line, Message,
    chat::Recipient,
    id::Id,
    message::MessageRef,
    page::{Cursor, Limit, Page},
};

use crate::Result;

#[cfg(doc)]
use crate::Refusal;

/// The place in a list of messages: the sequence number of the last one shown.
pub type MessagesCursor = Cursor<1>;

/// Messages.
#[async_trait::async_trait]
pub trait Messages: Send + Sync {
    /// The messages of a chat, newest first. [`Refusal::ChatNotFound`].
    async fn messages(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        after: Option<MessagesCursor>,
        limit: Limit,
    ) -> Result<Page<Message, 1>>;

    /// The messages of this account that a caller means by an id or a guid, with their lines: at most
    /// one by an id, one on each line by a guid.
    async fn find_messages(
        &self,
        account: Id<Account>,
        message: MessageRef,
    ) -> Result<Vec<(Id<Line>, Id<Message>)>>;

    /// The guid of a message of any account: for the operator, who plays with simulated phones.
    async fn guid_of(&self, message: Id<Message>) -> Result<Option<String>>;
}
