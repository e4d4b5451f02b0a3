//! Messages (§6).

use serde::{Deserialize, Serialize};

use crate::{
    chat::{Chat, Service},
    file::File,
    id::{Id, Kind},
    line::Line,
    outbox::OutboxItem,
    time::Timestamp,
};

/// The most characters of a text (§7).
pub const MAX_TEXT_CHARS: usize = 20_000;

/// The longest guid that is taken from a driver.
pub const MAX_GUID_LEN: usize = 256;

/// A message as the API shows it, inbound or sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `msg_…`
    pub id: Id<Message>,
    /// The line it came to or went out by.
    pub line_id: Id<Line>,
    /// The chat it stands in.
    pub chat_id: Id<Chat>,
    /// Its identity in Messages itself.
    pub guid: String,
    /// The handle of who wrote it; of our own messages, the line's.
    pub sender: String,
    /// Null when there are only attachments.
    pub text: Option<String>,
    /// Always there, may be empty.
    pub attachments: Vec<Attachment>,
    /// What it ran over.
    pub service: Option<Service>,
    /// Whether the line wrote it.
    pub is_from_me: bool,
    /// Whether it is a voice memo.
    pub is_audio_message: Option<bool>,
    /// When it was written, by Messages' clock.
    pub sent_at: Timestamp,
    /// When this server came to know it.
    pub synced_at: Timestamp,
    /// The outbox item it was sent from.
    pub outbox_id: Option<Id<OutboxItem>>,
    /// The message it answers.
    pub reply_to_guid: Option<String>,
}

impl Kind for Message {
    const PREFIX: &'static str = "msg_";
}

/// A file on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name.
    pub filename: Option<String>,
    /// Its type.
    pub mime_type: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Where to download it, with no key.
    pub url: Option<String>,
    /// What is said in a voice memo.
    pub transcription: Option<String>,
    /// Which file it is. Stays inside the server, which makes `url` of it when it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<Id<File>>,
}

/// A message as a caller names it: by our id or by the guid (§6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageRef {
    /// `msg_…`
    Id(Id<Message>),
    /// The identity in Messages itself.
    Guid(String),
}
