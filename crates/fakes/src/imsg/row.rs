//! A row of `message` in `chat.db`.

use std::path::PathBuf;

use switchboard_model::Timestamp;

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The name that the sender gave (`transfer_name`).
    pub name: String,
    /// The uniform type identifier.
    pub uti: String,
    /// The media type; "" happens.
    pub mime: String,
    /// Where it lies once it is there.
    pub path: PathBuf,
    /// The database's figure: 0 while it is downloading.
    pub total_bytes: u64,
    /// What comes when it is downloaded; none if it lies there already.
    pub(crate) coming: Option<Vec<u8>>,
}

/// A tapback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tapback {
    /// The guid of the message.
    pub target: String,
    /// `love`, …, `emphasis`, `custom`.
    pub kind: String,
    pub emoji: String,
    pub add: bool,
}

/// What became of an own message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sending {
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    pub error: i64,
    pub error_at: Option<Timestamp>,
    pub downgraded: bool,
}

/// A row of the table `message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its ROWID.
    pub rowid: i64,
    /// The message's guid.
    pub guid: String,
    /// The chat that it is joined to; none is the gap before the join.
    pub chat: Option<i64>,
    /// What `sender` shows. For own messages it is the recipient, the own number or nothing (json.md, "Message").
    pub sender: String,
    /// Whether the Mac's owner wrote it.
    pub is_from_me: bool,
    /// The text; "" when there is none (yet).
    pub text: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// `iMessage` or `SMS`.
    pub service: String,
    /// The own number that it came to or went out by (`destination_caller_id`); none is the line's.
    pub own: Option<String>,
    /// Its files.
    pub files: Vec<File>,
    /// The message that it is a threaded reply to.
    pub thread: Option<String>,
    /// `reply_to_guid`: the message before it in the chat, which means nothing.
    pub(crate) previous: Option<String>,
    pub(crate) balloon: Option<String>,
    /// The message whose link this row is the preview of.
    pub(crate) preview_of: Option<String>,
    pub(crate) tapback: Option<Tapback>,
    pub(crate) is_read: bool,
    pub(crate) read_at: Option<Timestamp>,
    pub(crate) sending: Sending,
}

/// The type identifier and media type that Messages gives a file.
pub(crate) fn kind(name: &str) -> (&'static str, &'static str) {
    let extension = name.rsplit('.').next().unwrap_or_default().to_lowercase();
    match &*extension {
        "jpg" | "jpeg" => ("public.jpeg", "image/jpeg"),
        "png" => ("public.png", "image/png"),
        "heic" => ("public.heic", "image/heic"),
        "gif" => ("com.compuserve.gif", "image/gif"),
        "mov" => ("com.apple.quicktime-movie", "video/quicktime"),
        "mp4" => ("public.mpeg-4", "video/mp4"),
        "caf" => ("com.apple.coreaudio-format", "audio/x-caf"),
        "m4a" => ("com.apple.m4a-audio", "audio/x-m4a"),
        "mp3" => ("public.mp3", "audio/mpeg"),
        "wav" => ("com.microsoft.waveform-audio", "audio/vnd.wave"),
        "pdf" => ("com.adobe.pdf", "application/pdf"),
        "txt" => ("public.plain-text", "text/plain"),
        "vcf" => ("public.vcard", "text/vcard"),
        "pluginpayloadattachment" => ("dyn.age81a5dzq7y066dbtf0g82pqf3y1c7pq", ""),
        _ => ("public.data", ""),
    }
}
