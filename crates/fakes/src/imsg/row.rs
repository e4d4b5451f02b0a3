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
