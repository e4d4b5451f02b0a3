//! What happens on a line's phone, as the bridge tells of it.

use serde::{Deserialize, Serialize};

use super::LinkedFile;
use crate::{chat::Service, handle::Handle, reaction::ReactionType, time::Timestamp};

/// One thing that happened on a line's phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Inbound {
    /// Somebody wrote to the line.
    Message(InboundMessage),
    /// The line's owner wrote, on another device.
    Own(OwnMessage),
    /// Somebody reacted to a message, or took a reaction back.
    Reaction(InboundReaction),
    /// Somebody began or stopped typing.
    Typing(InboundTyping),
    /// Somebody read a chat.
    Read(InboundRead),
    /// A message is not what it was any more: the line's own or another's.
    Update(InboundUpdate),
    /// A group with the line exists, or has another name or other parties now.
    Group {
        /// The group.
        chat: InboundChat,
    },
    /// Something that the server does not understand: it is passed over, so that what comes after it is not held
    /// up for ever.
    #[serde(other)]
    Unreadable,
}

impl Inbound {
    /// When it was written, of what a person wrote.
    pub fn written_at(&self) -> Option<Timestamp> {
        match self {
            Self::Message(message) => Some(message.sent_at),
            Self::Own(own) => Some(own.sent_at),
            Self::Reaction(reaction) => Some(reaction.sent_at),
            _ => None,
        }
    }
}

/// A message that came to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// Its identity in Messages: the same guid twice is one message.
    pub guid: String,
    /// The chat it stands in.
    pub chat: InboundChat,
    /// Who wrote it.
    pub sender: Handle,
    /// What it says.
    pub text: Option<String>,
    /// When it was written.
    pub sent_at: Timestamp,
    /// What it ran over.
    pub service: Service,
    /// The message it answers.
    pub reply_to_guid: Option<String>,
    /// Its files; the bridge has uploaded them by POST `/bridge/v1/files?line_id=`, with its token.
    #[serde(default)]
    pub attachments: Vec<LinkedFile>,
    /// Whether the one attachment is a voice memo.
    #[serde(default)]
    pub is_audio_message: bool,
}

/// A message that the line's owner wrote on another device, or that the line wrote and nobody here knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMessage {
    /// Its identity in Messages: the same guid twice is one message, whoever tells of it.
    pub guid: String,
    /// The chat it stands in.
    pub chat: InboundChat,
    /// What it says.
    pub text: Option<String>,
    /// When it was written.
    pub sent_at: Timestamp,
    /// What it ran over.
    pub service: Service,
    /// The message it answers.
    pub reply_to_guid: Option<String>,
    /// Its files, uploaded as those of a message that came in.
    #[serde(default)]
    pub attachments: Vec<LinkedFile>,
    /// Whether the one attachment is a voice memo.
    #[serde(default)]
    pub is_audio_message: bool,
}

/// A reaction that came to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundReaction {
    /// The identity of this occurrence: the same guid twice is one occurrence.
    pub guid: String,
    /// The chat it stands in.
    pub chat: InboundChat,
    /// The message it is about.
    pub message_guid: String,
    /// Whose it is.
    pub sender: Handle,
    /// What it says.
    pub reaction_type: ReactionType,
    /// Given, or taken back.
    pub added: bool,
    /// When.
    pub sent_at: Timestamp,
}

/// Somebody began or stopped typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundTyping {
    /// Where.
    pub chat: InboundChat,
    /// Who.
    pub handle: Handle,
    /// Began, or stopped.
    pub is_typing: bool,
    /// When.
    pub at: Timestamp,
}

/// Somebody read a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundRead {
    /// Which.
    pub chat: InboundChat,
    /// Who.
    pub handle: Handle,
    /// When.
    pub at: Timestamp,
}

/// What is new of a message. What is not named stays as it was; what is told again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundUpdate {
    /// The chat it stands in.
    pub chat: InboundChat,
    /// The message. An update of one that is not known to the server is nothing.
    pub message_guid: String,
    /// Who wrote it has changed its text. An older edit than the one that is known is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
    /// Who wrote it has taken it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsent_at: Option<Timestamp>,
    /// It is on the other party's phone. The first time that is told stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// The other party has read it. The first time that is told stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// It was sent, and did not arrive after all. The first time that is told stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<SendFailure>,
    /// It runs over this, and not over what was said first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Its files, all of them: some came later than the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<LinkedFile>>,
}

impl InboundUpdate {
    /// Of a message in a chat, nothing yet.
    pub fn of(chat: InboundChat, message_guid: impl Into<String>) -> Self {
        Self {
            chat,
            message_guid: message_guid.into(),
            edit: None,
            unsent_at: None,
            delivered_at: None,
            read_at: None,
            failed: None,
            service: None,
            attachments: None,
        }
    }
}

/// A message has a new text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What it says now.
    pub text: Option<String>,
    /// When it was changed.
    pub edited_at: Timestamp,
}

/// A message that had been sent did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFailure {
    /// Why, for the owner of the line.
    pub error: String,
    /// When that was known.
    pub at: Timestamp,
}

/// A chat as the driver knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "chat", rename_all = "snake_case")]
pub enum InboundChat {
    /// The chat with one contact.
    Contact {
        /// The other party.
        handle: Handle,
    },
    /// A group.
    Group {
        /// The driver's own id of it.
        identifier: String,
        /// Its name.
        name: Option<String>,
        /// The other parties.
        participants: Vec<Handle>,
    },
}
