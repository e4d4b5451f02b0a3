//! Reactions to messages.

use switchboard_model::{Account, Message, Reaction, id::Id};

use crate::Result;

/// Reactions to messages.
#[async_trait::async_trait]
pub trait Reactions: Send + Sync {
    /// What was said about a message of this account: for each sender and type the latest
    /// occurrence, removed ones with `added: false`, oldest first.
    async fn reactions(&self, account: Id<Account>, message: Id<Message>) -> Result<Vec<Reaction>>;
}
