//! What goes out over the link: items for the driver.

use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat, file::File, id::Id, line::Line, outbox::OutboxItem, reaction::ReactionType,
};

/// One item for the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendItem {
    /// The item.
    pub id: Id<OutboxItem>,
    /// Its place in the order of acceptance: of two of one chat, the smaller goes out first.
    pub order: i64,
    /// The line it goes out by.
    pub line_id: Id<Line>,
    /// The chat it goes to.
    pub chat_id: Id<Chat>,
    /// That chat as the driver knows it: the other party's handle; of a group, the driver's own id.
    pub identifier: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// What is sent.
    pub content: Content,
}

impl SendItem {
    /// More bytes than this item takes in a frame, whatever is in its text: a control
    /// character takes six.
    pub fn most_bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let texts = match &self.content {
            Content::Message { text, attachments, reply_to_guid, .. } => {
                let file = |file: &LinkedFile| {
                    length(&file.filename)
                        + length(&file.transcription)
                        + file.mime_type.len()
                        + 128
                };
                let files: usize = attachments.iter().map(file).sum();
                length(text) + length(reply_to_guid) + files
            }
            Content::Reaction { message_guid, reaction_type, .. } => {
                message_guid.len() + reaction_type.as_str().len()
            }
            Content::Typing { .. } | Content::Read => 0,
        };
        6 * (texts + self.identifier.len()) + 1024
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// A message.
    Message {
        /// The text; none when there are only attachments.
        text: Option<String>,
        /// The files; the bridge fetches them by GET `/bridge/v1/files?id=`, with its token.
        #[serde(default)]
        attachments: Vec<LinkedFile>,
        /// Whether the one attachment is a voice memo.
        #[serde(default)]
        is_audio_message: bool,
        /// The message it answers.
        reply_to_guid: Option<String>,
    },
    /// A reaction to a message of the chat.
    Reaction {
        /// The message.
        message_guid: String,
        /// What it says.
        reaction_type: ReactionType,
        /// Whether it is taken back.
        remove: bool,
    },
    /// The line begins or stops typing.
    Typing {
        /// Whether it types.
        on: bool,
    },
    /// The whole chat is marked as read.
    Read,
}

/// A file that goes with a message over the link. Its bytes go over HTTP beside the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedFile {
    /// Which file.
    pub file_id: Id<File>,
    /// Its name.
    pub filename: Option<String>,
    /// Its type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// What is said in a voice memo, where the driver knows.
    #[serde(default)]
    pub transcription: Option<String>,
    /// The file as it came, where this one was made of it for those who can't show or play it. Only of what comes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<LinkedOriginal>,
}

/// The file of which another was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedOriginal {
    /// Which file, uploaded like any other.
    pub file_id: Id<File>,
    /// Its name.
    pub filename: Option<String>,
    /// Its type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: u64,
}
