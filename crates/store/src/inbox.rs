//! What comes in over a line.

use switchboard_model::{
    Bridge, Line, Timestamp,
    id::Id,
    link::{Inbound, ReceivedEntry},
};

use crate::{Committed, Link, Result};

#[cfg(doc)]
use switchboard_model::Message;

#[cfg(doc)]
use crate::Refusal;

/// What became of an inbound batch.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// One for each entry, in order.
    pub results: Vec<ReceivedEntry>,
    /// What it made known.
    pub committed: Committed,
}

/// What is known here of a line's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHistory {
    /// Whether the line is online now, by the bridge that carries it.
    pub online: bool,
    /// Of those that were asked for: the messages and reactions that are known, and how many files each has.
    pub known: Vec<(String, u64)>,
}

/// What comes in over a line.
#[async_trait::async_trait]
pub trait Inbox: Send + Sync {
    /// Takes a batch of a line's history and the place it ends at: chats, messages,
    /// events and deliveries together. A guid that is known is the message that it was, and makes
    /// no event. What the line's owner wrote elsewhere is a message of the line, and no word of the contact. What is about a chat or a message that is not known is nothing; an update that tells nothing new
    /// makes no event ([`Message::take`] says what is new). What comes to the sandbox
    /// line is the account's that the phone is paired with, or else its owner's; a code that a phone texts pairs it, and
    /// is the first message of the new pair; the older pair's chat is shown no longer, and what waits to be sent
    /// to it fails, with its events. [`Refusal::LineNotFound`] for a line that is not this bridge's.
    async fn receive(
        &self,
        link: Link,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
        now: Timestamp,
    ) -> Result<Received>;

    /// Which of these guids are known of a line, for a bridge that carries it or stands by for it.
    /// [`Refusal::LineNotFound`] for any other.
    async fn known_history(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        guids: Vec<String>,
    ) -> Result<KnownHistory>;
}
