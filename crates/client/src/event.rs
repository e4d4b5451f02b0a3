//! Events with their data typed (§9): the same whether a webhook or a live stream brings them.

use serde::de::DeserializeOwned;
use serde_json::Value;
use switchboard_model::{
    EventKind,
    event::{FailedEvent, LineStatusEvent, MessageEvent},
    reaction::ReactionEvent,
    receipt::ReceiptEvent,
    typing::TypingEvent,
};

use crate::shape::{
    self, FAILED_EVENT, LINE_STATUS_EVENT, MESSAGE_EVENT, Misshape, REACTION_EVENT, RECEIPT_EVENT,
    Shape, TYPING_EVENT, Unknown,
};

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
    /// [`Misshape`] if the data is not of its shape. Unknown fields and unknown events are
    /// refused if `unknown` says so.
    pub fn read(name: &str, data: Value, unknown: Unknown) -> Result<Self, Misshape> {
        let Some(kind) = EventKind::from_name(name) else {
            return match unknown {
                Unknown::Ignored => Ok(Self::Unknown { name: name.to_owned(), data }),
                Unknown::Refused => Err(Misshape::new("event", "is none that the contract has")),
            };
        };
        let read = Data { data, unknown };
        Ok(match kind {
            EventKind::MessageReceived => Self::MessageReceived(read.of(&MESSAGE_EVENT)?),
            EventKind::MessageSent => Self::MessageSent(read.of(&MESSAGE_EVENT)?),
            EventKind::ReactionAdded => Self::ReactionAdded(read.of(&REACTION_EVENT)?),
            EventKind::ReactionRemoved => Self::ReactionRemoved(read.of(&REACTION_EVENT)?),
            EventKind::TypingStarted => Self::TypingStarted(read.of(&TYPING_EVENT)?),
            EventKind::TypingStopped => Self::TypingStopped(read.of(&TYPING_EVENT)?),
            EventKind::ReceiptRead => Self::ReceiptRead(read.of(&RECEIPT_EVENT)?),
            EventKind::MessageFailed => Self::MessageFailed(read.of(&FAILED_EVENT)?),
            EventKind::MessageUpdated => Self::MessageUpdated(read.of(&MESSAGE_EVENT)?),
            EventKind::LineStatus => Self::LineStatus(read.of(&LINE_STATUS_EVENT)?),
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

struct Data {
    data: Value,
    unknown: Unknown,
}

impl Data {
    fn of<T: DeserializeOwned>(self, shape: &'static Shape) -> Result<T, Misshape> {
        shape::read(shape, self.data, self.unknown)
    }
}
