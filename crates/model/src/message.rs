//! Messages (§6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chat::{Chat, Service},
    file::File,
    id::{Id, Kind},
    lenient,
    line::Line,
    link::{Edit, InboundUpdate, LinkedFile, SendFailure},
    outbox::OutboxItem,
    schema::{self, FILE_URL},
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
    /// When it was known that a message which the line had sent did not arrive after all.
    #[serde(default)]
    #[schemars(example = ())]
    pub failed_at: Option<Timestamp>,
    /// Why it did not arrive.
    #[serde(default)]
    #[schemars(example = ())]
    pub error: Option<String>,
}

impl Kind for Message {
    const PREFIX: &'static str = "msg_";
}

impl Message {
    /// Takes what is new of it; whether anything is. The only place that decides it: a newer edit
    /// counts; an older one, one that changes nothing and one of what was taken back do not: two bridges may each
    /// have seen the same edit, at a time of its own. What was taken back, delivered, read
    /// or failed once stays so, since the time that was told first. Only what the line sent can fail. Files are
    /// the store's to take, if they are [`Message::are_new`].
    pub fn take(&mut self, update: InboundUpdate) -> bool {
        let mut is_new = false;
        if let Some(Edit { text, edited_at }) = update.edit
            && self.unsent_at.is_none()
            && self.edited_at.is_none_or(|known| known < edited_at && self.text != text)
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
        if let Some(SendFailure { error, at }) = update.failed
            && self.is_from_me
            && self.failed_at.is_none()
        {
            (self.error, self.failed_at, is_new) = (Some(error), Some(at), true);
        }
        if update.service.is_some() && update.service != self.service {
            (self.service, is_new) = (update.service, true);
        }
        is_new
    }

    /// Whether these are other files than it has. None is of a message that was taken back. The same bytes may have been
    /// uploaded again, as another file: what says the same and is here already is not new, and neither is a list with fewer of
    /// them: it was made before the others came.
    pub fn are_new(&self, told: &[LinkedFile]) -> bool {
        let is_same = |known: &Attachment, told: &LinkedFile| {
            known.file_id.is_some()
                && (known.file_id == Some(told.file_id) || known.says_the_same(told))
                && (told.transcription.is_none() || known.transcription == told.transcription)
        };
        let mut known = self.attachments.iter();
        let is_known = told.iter().all(|told| known.any(|known| is_same(known, told)));
        self.unsent_at.is_none() && !is_known
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
    /// The file as it came, where this one was made of it so that everybody can show or play it: the HEIC of a
    /// JPEG, the CAF of an M4A. Left out where the attachment is what came.
    // Left out, not null: a client that knows of no such thing finds the attachment that it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip_serializing_if = "schema::may_be_absent")]
    pub original: Option<OriginalFile>,
    /// Which file it is. Stays inside the server, which makes `url` of it when it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub file_id: Option<Id<File>>,
}

impl Attachment {
    /// The files that it refers to.
    pub fn file_ids(&self) -> impl Iterator<Item = Id<File>> {
        let original = self.original.as_ref().and_then(|original| original.file_id);
        self.file_id.into_iter().chain(original)
    }

    /// Whether what is told is the file that is here, uploaded again. What came counts, where it is kept: another
    /// conversion of the same is not new, and neither is one that failed this time.
    fn says_the_same(&self, told: &LinkedFile) -> bool {
        let told_as = |filename: &Option<String>, mime_type: &str, size: u64| {
            let (known_filename, known_mime_type, known_size) = match &self.original {
                Some(original) => (&original.filename, &original.mime_type, original.size),
                None => (&self.filename, &self.mime_type, self.size),
            };
            known_filename == filename
                && known_mime_type.as_deref() == Some(mime_type)
                && known_size == Some(size)
        };
        match &told.original {
            Some(original) if self.original.is_some() => {
                told_as(&original.filename, &original.mime_type, original.size)
            }
            _ => told_as(&told.filename, &told.mime_type, told.size),
        }
    }
}

/// The file that an attachment was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OriginalFile {
    /// Its name.
    #[schemars(example = &"IMG_0007.HEIC")]
    pub filename: Option<String>,
    /// Its type.
    #[schemars(example = &"image/heic")]
    pub mime_type: Option<String>,
    /// Its size in bytes.
    #[schemars(example = 2_210_331)]
    pub size: Option<u64>,
    /// Where to download it, with no key. Signed; expires.
    #[schemars(example = FILE_URL)]
    pub url: Option<String>,
    /// Which file it is. Stays inside the server.
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
