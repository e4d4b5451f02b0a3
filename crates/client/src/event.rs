//! Events with their data typed (§9): the same whether a webhook or a live stream brings them.

use serde_json::Value;
use switchboard_model::{
    EventKind,
    event::{FailedEvent, LineStatusEvent, MessageEvent},
    reaction::ReactionEvent,
    receipt::ReceiptEvent,
    typing::TypingEvent,
};

use crate::error::{Misshape, read};

/// What happened, and to what.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody wrote to a line.
    MessageReceived(MessageEvent),
    /// An outbox item became a message.
    MessageSent(MessageEvent),
    /// A reaction was added.
    ReactionAdded(ReactionEvent),
    /// A reaction was taken back.
    ReactionRemoved(ReactionEvent),
    /// Somebody began to type (ext).
    TypingStarted(TypingEvent),
    /// Somebody stopped typing (ext).
    TypingStopped(TypingEvent),
    /// Somebody read a chat (ext).
    ReceiptRead(ReceiptEvent),
    /// An outbox item failed (ext).
    MessageFailed(FailedEvent),
    /// A message was edited, unsent, delivered or read (ext).
    MessageUpdated(MessageEvent),
    /// A line went up or down (ext).
    LineStatus(LineStatusEvent),
    /// An event that this client does not know: a newer server may have more.
    Unknown {
        /// Its name.
        name: String,
        /// Its data, as it came.
        data: Value,
    },
}

impl Event {
    /// Takes an event's data as the contract has it.
    ///
    /// # Errors
    /// [`Misshape`] if the data is not of its shape.
    pub fn read(name: &str, data: Value) -> Result<Self, Misshape> {
        let Some(kind) = EventKind::from_name(name) else {
            return Ok(Self::Unknown { name: name.to_owned(), data });
        };
        Ok(match kind {
            EventKind::MessageReceived => Self::MessageReceived(read(data)?),
            EventKind::MessageSent => Self::MessageSent(read(data)?),
            EventKind::ReactionAdded => Self::ReactionAdded(read(data)?),
            EventKind::ReactionRemoved => Self::ReactionRemoved(read(data)?),
            EventKind::TypingStarted => Self::TypingStarted(read(data)?),
            EventKind::TypingStopped => Self::TypingStopped(read(data)?),
            EventKind::ReceiptRead => Self::ReceiptRead(read(data)?),
            EventKind::MessageFailed => Self::MessageFailed(read(data)?),
            EventKind::MessageUpdated => Self::MessageUpdated(read(data)?),
            EventKind::LineStatus => Self::LineStatus(read(data)?),
        })
    }

    /// What happened; none for an event that this client does not know.
    pub fn kind(&self) -> Option<EventKind> {
        Some(match self {
            Self::MessageReceived(_) => EventKind::MessageReceived,
            Self::MessageSent(_) => EventKind::MessageSent,
            Self::ReactionAdded(_) => EventKind::ReactionAdded,
            Self::ReactionRemoved(_) => EventKind::ReactionRemoved,
            Self::TypingStarted(_) => EventKind::TypingStarted,
            Self::TypingStopped(_) => EventKind::TypingStopped,
            Self::ReceiptRead(_) => EventKind::ReceiptRead,
            Self::MessageFailed(_) => EventKind::MessageFailed,
            Self::MessageUpdated(_) => EventKind::MessageUpdated,
            Self::LineStatus(_) => EventKind::LineStatus,
            Self::Unknown { .. } => return None,
        })
    }
}
