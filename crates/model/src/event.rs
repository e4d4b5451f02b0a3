//! Events: the spine that webhooks and live streams read (§9).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat,
    handle::Handle,
    id::{Id, Kind},
    line::Line,
    message::Message,
    outbox::OutboxItem,
    schema::Extends,
    scope::Scope,
};

/// The id kind of a stored event: `evt_`.
#[derive(Debug)]
pub struct Event;

impl Kind for Event {
    const PREFIX: &'static str = "evt_";
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EventKind {
    /// Somebody wrote to a line.
    #[serde(rename = "message.received")]
    MessageReceived,
    /// The line sent a message: an outbox item became one, or its owner wrote it on another device.
    #[serde(rename = "message.sent")]
    MessageSent,
    /// A reaction was added.
    #[serde(rename = "reaction.added")]
    ReactionAdded,
    /// A reaction was taken back.
    #[serde(rename = "reaction.removed")]
    ReactionRemoved,
    /// Somebody began to type (ext).
    #[serde(rename = "typing.started")]
    TypingStarted,
    /// Somebody stopped typing (ext).
    #[serde(rename = "typing.stopped")]
    TypingStopped,
    /// Somebody read a chat (ext).
    #[serde(rename = "receipt.read")]
    ReceiptRead,
    /// An outbox item failed (ext).
    #[serde(rename = "message.failed")]
    MessageFailed,
    /// A message was edited, unsent, delivered or read, or something else became of it (ext).
    #[serde(rename = "message.updated")]
    MessageUpdated,
    /// A line went up or down, or is down for another reason (ext).
    #[serde(rename = "line.status")]
    LineStatus,
}

impl EventKind {
    /// Every event, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::MessageReceived,
        Self::MessageSent,
        Self::ReactionAdded,
        Self::ReactionRemoved,
        Self::TypingStarted,
        Self::TypingStopped,
        Self::ReceiptRead,
        Self::MessageFailed,
        Self::MessageUpdated,
        Self::LineStatus,
    ];

    /// The name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageSent => "message.sent",
            Self::ReactionAdded => "reaction.added",
            Self::ReactionRemoved => "reaction.removed",
            Self::TypingStarted => "typing.started",
            Self::TypingStopped => "typing.stopped",
            Self::ReceiptRead => "receipt.read",
            Self::MessageFailed => "message.failed",
            Self::MessageUpdated => "message.updated",
            Self::LineStatus => "line.status",
        }
    }

    /// The event of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The read scope of its family (§2).
    pub fn scope(self) -> Scope {
        match self {
            Self::MessageReceived
            | Self::MessageSent
            | Self::MessageFailed
            | Self::MessageUpdated => Scope::MessagesRead,
            Self::ReactionAdded | Self::ReactionRemoved => Scope::ReactionsRead,
            Self::TypingStarted | Self::TypingStopped => Scope::TypingRead,
            Self::ReceiptRead => Scope::ReceiptsRead,
            Self::LineStatus => Scope::LinesRead,
        }
    }
}

/// A message, and the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageEvent {
    /// The message.
    #[serde(flatten)]
    #[schemars(with = "Extends<Message>")]
    pub message: Message,
    /// The handle of the line.
    #[schemars(example = &"+15550100001")]
    pub line_handle: Handle,
}

/// What failed, and where it was to go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedEvent {
    /// The item.
    #[serde(flatten)]
    #[schemars(with = "Extends<OutboxItem>")]
    pub item: OutboxItem,
    /// The chat that it happened in.
    pub chat_id: Id<Chat>,
    /// The handle of the line.
    #[schemars(example = &"+15550100001")]
    pub line_handle: Handle,
}

/// A line, and whether its bridge is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineStatusEvent {
    /// The line.
    #[serde(flatten)]
    #[schemars(with = "Extends<Line>")]
    pub line: Line,
    /// Whether items are handed out to its bridge now.
    pub online: bool,
    /// The handle of the line.
    #[schemars(example = &"+15550100001")]
    pub line_handle: Handle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_agree() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(EventKind::from_name(kind.as_str()), Some(kind));
        }
    }
}
