//! Read receipts: who has read a chat up to when (§6).

use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat,
    handle::Handle,
    id::{Id, Kind},
    time::Timestamp,
};

/// A read receipt as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadReceipt {
    /// `rcp_…`
    pub id: Id<ReadReceipt>,
    /// The chat that was read.
    pub chat_id: Id<Chat>,
    /// Who read it; the line's own handle when the line did.
    pub handle: String,
    /// When they last read it.
    pub last_read_at: Timestamp,
    /// When this server came to know it.
    pub synced_at: Timestamp,
}

impl Kind for ReadReceipt {
    const PREFIX: &'static str = "rcp_";
}

/// The `data` of receipt.read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptEvent {
    /// The receipt; it names the chat.
    #[serde(flatten)]
    pub receipt: ReadReceipt,
    /// The handle of the line.
    pub line_handle: Handle,
}
