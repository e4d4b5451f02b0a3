//! The link between a bridge and the server: the frames of `/bridge/v1/link`.
//!
//! The bridge dials a WebSocket with its token as bearer and says [`BridgeFrame::Hello`]. The server
//! answers [`ServerFrame::Welcome`] with the lines to carry, the place in each
//! line's history from which it wants inbound entries, and the items whose outcome it
//! does not know. The bridge answers those with [`BridgeFrame::Reconciled`]; from then on
//! items, reports and inbound batches cross freely. All frames are JSON text.
//!
//! Nothing is lost with the socket: what the server had handed out it asks for
//! again in the next welcome's `reconcile`, and what the bridge had reported without an acknowledgement it reports again.

mod inbound;

pub use inbound::{
    Edit, Inbound, InboundChat, InboundMessage, InboundReaction, InboundRead, InboundTyping,
    InboundUpdate,
};
use serde::{Deserialize, Serialize};

use crate::{
    chat::{Chat, Service},
    file::File,
    handle::Handle,
    id::Id,
    line::{Capability, DriverKind, Line},
    message::Message,
    outbox::OutboxItem,
    reaction::ReactionType,
    time::Timestamp,
};

/// The version of this protocol. A server refuses a bridge of another one, and says so.
pub const PROTOCOL: u32 = 3;

/// The largest frame that either side takes, in bytes.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that either side asks its socket for at once. The WebSocket library clears as many before each read.
pub const READ_BYTES: usize = 8 * 1024;

/// The most entries of one inbound batch, items of one `send`, reports of one `report`.
pub const MAX_BATCH: usize = 256;

/// The longest place in a line's history, in bytes. A longer one is not kept: what comes after the one before it is
/// told again with the next link, and is known then.
pub const MAX_POSITION_BYTES: usize = 4096;

/// The most items that a line's bridge may hold unreported.
pub const WINDOW_PER_LINE: usize = 512;

/// The most items of one chat among them: a contact that never answers must not fill the window.
pub const WINDOW_PER_CHAT: usize = 64;

/// From the bridge to the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BridgeFrame {
    /// The first frame.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// How it talks to Messages.
        driver: DriverKind,
        /// The bridge's software and version, for people.
        software: String,
        /// Whether this very process of the bridge was welcome before: only the connection was lost, and
        /// what it never began was no attempt.
        #[serde(default)]
        resumed: bool,
    },
    /// The answer to `reconcile`: one state for each id that was asked.
    Reconciled {
        /// The states.
        items: Vec<Reconciled>,
    },
    /// A line is ready, went away, or can do something else now.
    Line {
        /// Which line.
        line_id: Id<Line>,
        /// Whether items may be sent to it.
        online: bool,
        /// What its driver can do.
        capabilities: Vec<Capability>,
    },
    /// What came of items. Repeated after a reconnect until `settled` names them.
    Report {
        /// At most [`MAX_BATCH`].
        reports: Vec<Report>,
    },
    /// What happened on a line's phone. One batch of a line at a time; the next after `received`.
    Inbound {
        /// Which line.
        line_id: Id<Line>,
        /// The place in the line's history after the last of these entries; opaque to the server.
        position: String,
        /// At most [`MAX_BATCH`], in order.
        entries: Vec<Inbound>,
    },
}

/// From the server to the bridge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to `hello`.
    Welcome {
        /// The lines to carry.
        lines: Vec<CarriedLine>,
        /// Items that were handed out to this bridge and whose outcome is not known here.
        reconcile: Vec<Id<OutboxItem>>,
    },
    /// The lines to carry have changed: the whole list.
    Lines {
        /// The lines to carry.
        lines: Vec<CarriedLine>,
    },
    /// Items to hand to the driver. Those of one chat one after another, in this order.
    Send {
        /// At most [`MAX_BATCH`].
        items: Vec<SendItem>,
    },
    /// These reports are committed; the bridge may forget them.
    Settled {
        /// The items.
        ids: Vec<Id<OutboxItem>>,
    },
    /// The inbound batch up to this place is committed.
    Received {
        /// Which line.
        line_id: Id<Line>,
        /// The position of that batch.
        position: String,
        /// One for each entry of that batch, in its order.
        results: Vec<ReceivedEntry>,
    },
    /// The server ends the link, and says why.
    Bye {
        /// For the bridge's log.
        reason: String,
        /// Whether dialling again may help. If not (revoked, wrong protocol), the bridge stops.
        retry: bool,
        /// Whether another process of this bridge has a newer link: two that dialled at once again would take it
        /// from each other without end.
        #[serde(default)]
        superseded: bool,
    },
}

/// A line that a bridge carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedLine {
    /// Which line.
    pub id: Id<Line>,
    /// Its handle.
    pub handle: Handle,
    /// The place of the last entry that is committed here; none if nothing is.
    pub position: Option<String>,
}

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
}

/// What came of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The item.
    pub id: Id<OutboxItem>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What the driver knows of an item when it has finished with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Messages has it.
    Sent {
        /// Its identity there.
        guid: String,
        /// When it was sent.
        sent_at: Timestamp,
        /// What it ran over.
        service: Service,
        /// When it was on the other party's phone, if that is known already. Later it is an
        /// [`Inbound::Update`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered_at: Option<Timestamp>,
    },
    /// Messages has taken what is no message: a reaction, a typing indicator, a receipt.
    Done {
        /// When.
        at: Timestamp,
    },
    /// Messages refused it: certainly not sent.
    Failed {
        /// Why, for the owner of the line.
        error: String,
    },
    /// Nobody knows whether it was sent. It is never sent again by itself.
    Unknown,
    /// It was not begun, and never will be by this claim: the line went away first.
    Released,
}

/// The answer for one reconciled item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The item.
    pub id: Id<OutboxItem>,
    /// What the bridge knows of it.
    pub state: ReconciledState,
}

/// What a bridge knows of an item that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReconciledState {
    /// The driver has it now; a report will follow.
    Running,
    /// It never reached the driver: certainly not sent.
    NeverStarted,
    /// It is finished.
    Finished {
        /// What came of it.
        #[serde(flatten)]
        outcome: Outcome,
    },
}

/// What became of one inbound entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedEntry {
    /// The chat it stands in; none for what is about a chat or message that is not known here.
    pub chat_id: Option<Id<Chat>>,
    /// The message it became, or is about.
    pub message_id: Option<Id<Message>>,
}
