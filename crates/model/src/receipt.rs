//! Read receipts: who has read a chat up to when (§6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat,
    handle::Handle,
    id::{Id, Kind},
    schema::Extends,
    time::Timestamp,
};

/// Up to when somebody has read a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadReceipt {
    /// The receipt's id.
    pub id: Id<ReadReceipt>,
    /// The chat that was read.
    pub chat_id: Id<Chat>,
    /// Who read it; the line's own handle when it did.
    #[schemars(example = &"+15550100002")]
    pub handle: String,
    /// When they last read it.
    pub last_read_at: Timestamp,
    /// When this server came to know it.
    pub synced_at: Timestamp,
}

impl Kind for ReadReceipt {
    const PREFIX: &'static str = "rcp_";
}

/// Who read, and the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptEvent {
    /// The receipt; it names the chat.
    #[serde(flatten)]
    #[schemars(with = "Extends<ReadReceipt>")]
    pub receipt: ReadReceipt,
    /// The handle of the line.
    #[schemars(example = &"+15550100001")]
    pub line_handle: Handle,
}
