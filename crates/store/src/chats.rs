//! Chats.

use switchboard_model::{
    Account, Chat, Handle, Line,
    id::Id,
    page::{Cursor, Limit, Page},
};

use crate::Result;

/// The place in a list of chats: the sequence number of the newest message when
/// the walk began, that of the last shown chat's newest message at that time, and the chat's own.
pub type ChatsCursor = Cursor<3>;

/// Chats.
///
/// Of the sandbox line an account is shown the chat with the phone that is paired with it now, and
/// nothing else; unless the line is its own.
#[async_trait::async_trait]
pub trait Chats: Send + Sync {
    /// The chats of a line, latest activity first. A walk shows each chat once,
    /// where it stood when the walk began.
    async fn chats(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Page<Chat, 3>>;

    /// Whether this account has a chat with this contact on the line.
    async fn has_chat_with(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        contact: Handle,
    ) -> Result<bool>;
}
