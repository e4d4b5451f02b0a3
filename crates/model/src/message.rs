//! Messages (§6).

use serde::{Deserialize, Serialize};

use crate::{
    chat::{Chat, Service},
    file::File,
    id::{Id, Kind},
    line::Line,
    link::{Edit, InboundUpdate},
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
    /// Null when there are only attachments, and once it was unsent.
    pub text: Option<String>,
    /// Always there, may be empty; empty once it was unsent.
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
    /// When its text was last changed by who wrote it (ext).
    #[serde(default)]
    pub edited_at: Option<Timestamp>,
    /// When it was taken back by who wrote it (ext). Messages shows nothing of it any more, and so does
    /// the API: who takes words back means them to be gone, and an agent must not go on quoting them.
    #[serde(default)]
    pub unsent_at: Option<Timestamp>,
    /// When it was on the other party's phone, where Messages knows (ext).
    #[serde(default)]
    pub delivered_at: Option<Timestamp>,
    /// When the other party read it, where Messages knows (ext).
    #[serde(default)]
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
