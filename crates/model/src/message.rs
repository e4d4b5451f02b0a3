//! Messages (§6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chat::{Chat, Service},
    file::File,
    id::{Id, Kind},
    lenient,
    line::Line,
    link::{Edit, InboundUpdate},
    outbox::OutboxItem,
    schema::FILE_URL,
    time::Timestamp,
};

/// The most characters of a text (§7).
pub const MAX_TEXT_CHARS: usize = 20_000;

/// The longest guid that is taken from a driver.
pub const MAX_GUID_LEN: usize = 256;

/// A message, inbound or sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// The message's id.
    pub id: Id<Message>,
    /// The line it came to or went out by.
    pub line_id: Id<Line>,
    /// The chat it stands in.
    pub chat_id: Id<Chat>,
    /// Its identity in Messages itself. Taken wherever a message id is taken.
    #[schemars(example = &"8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1")]
    pub guid: String,
    /// Who wrote it; of our own messages, the line.
    #[schemars(example = &"+15550100002")]
    pub sender: String,
    /// Null when there are only attachments, and once it was taken back.
    #[schemars(example = &"Is the shop open?")]
    pub text: Option<String>,
    /// Its files; may be empty, and is once it was taken back.
    #[schemars(example = [(); 0])]
    pub attachments: Vec<Attachment>,
    /// What it ran over.
    #[serde(default, deserialize_with = "lenient::name")]
    pub service: Option<Service>,
    /// Whether the line wrote it.
    #[schemars(example = false)]
    pub is_from_me: bool,
    /// Whether it is a voice memo.
    #[schemars(example = false)]
    pub is_audio_message: Option<bool>,
    /// When it was written, by Messages' clock.
    pub sent_at: Timestamp,
    /// When this server came to know it.
    pub synced_at: Timestamp,
    /// The outbox item it was sent from.
    #[schemars(example = ())]
    pub outbox_id: Option<Id<OutboxItem>>,
    /// The `guid` of the message it answers.
    #[schemars(example = ())]
    pub reply_to_guid: Option<String>,
    /// When who wrote it last changed its text.
    #[serde(default)]
    #[schemars(example = ())]
    pub edited_at: Option<Timestamp>,
    /// When who wrote it took it back. Nothing of it is shown any more.
    // As in Messages: who takes words back means them to be gone, and an agent must not go on quoting them.
    #[serde(default)]
    #[schemars(example = ())]
    pub unsent_at: Option<Timestamp>,
    /// When the other party's phone had it, if known.
    #[serde(default)]
    #[schemars(example = ())]
    pub delivered_at: Option<Timestamp>,
    /// When the other party read it, if known.
    #[serde(default)]
    #[schemars(example = ())]
    pub read_at: Option<Timestamp>,
}

impl Kind for Message {
    const PREFIX: &'static str = "msg_";
}

impl Message {
    /// Takes what is new of it; whether anything is. The only place that decides it: a newer edit
    /// counts, an older one and one of what was taken back do not; what was taken back,
    /// delivered or read once stays so, since the time that was told first.
    pub fn take(&mut self, update: InboundUpdate) -> bool {
        let mut is_new = false;
        if let Some(Edit { text, edited_at }) = update.edit
            && self.unsent_at.is_none()
            && self.edited_at.is_none_or(|known| known < edited_at)
        {
            (self.text, self.edited_at, is_new) = (text, Some(edited_at), true);
        }
        if update.unsent_at.is_some() && self.unsent_at.is_none() {
            (self.text, self.unsent_at, is_new) = (None, update.unsent_at, true);
            self.attachments.clear();
        }
        for (known, told) in
            [(&mut self.delivered_at, update.delivered_at), (&mut self.read_at, update.read_at)]
        {
            if told.is_some() && known.is_none() {
                (*known, is_new) = (told, true);
            }
        }
        is_new
    }
}

/// A file on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    /// Its name.
    #[schemars(example = &"menu.pdf")]
    pub filename: Option<String>,
    /// Its type.
    #[schemars(example = &"application/pdf")]
    pub mime_type: Option<String>,
    /// Its size in bytes.
    #[schemars(example = 48_213)]
    pub size: Option<u64>,
    /// Where to download it, with no key. Signed; expires.
    #[schemars(example = FILE_URL)]
    pub url: Option<String>,
    /// What is said in a voice memo, when known.
    #[schemars(example = ())]
    pub transcription: Option<String>,
    /// Which file it is. Stays inside the server, which makes `url` of it when it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
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
