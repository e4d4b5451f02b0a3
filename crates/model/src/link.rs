//! The link between a bridge and the server: the frames of `/bridge/v1/link`. `docs/bridge-protocol.md` has them for
//! whoever writes a bridge.
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
mod item;
mod outcome;

use std::collections::BTreeMap;

pub use inbound::{
    Edit, Inbound, InboundChat, InboundMessage, InboundReaction, InboundRead, InboundTyping,
    InboundUpdate, OwnMessage, SendFailure,
};
pub use item::{Content, LinkedFile, LinkedOriginal, SendItem};
pub use outcome::{Outcome, Reconciled, ReconciledState, Report};
use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat,
    handle::Handle,
    id::Id,
    lenient,
    line::{Capability, DriverKind, Line, LineService, OfflineReason},
    message::Message,
    outbox::OutboxItem,
    time::Timestamp,
};

/// The newest version of this protocol that is spoken here.
pub const PROTOCOL: u32 = 6;

/// The oldest one.
pub const OLDEST_PROTOCOL: u32 = 5;

/// The newest version that both sides speak, of a side that speaks all from `oldest` to `newest`; none if there is none.
pub fn common_protocol(oldest: Option<u32>, newest: u32) -> Option<u32> {
    let common = newest.min(PROTOCOL);
    (common >= oldest.unwrap_or(newest).max(OLDEST_PROTOCOL)).then_some(common)
}

/// The header in which a server says which versions of this protocol it speaks to whoever asks without dialling: `4`, or
/// `4-5` for the oldest and the newest.
pub const PROTOCOL_HEADER: &str = "switchboard-bridge-protocol";

/// The largest frame that either side takes, in bytes.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that either side asks its socket for at once. The WebSocket library clears as many before each read.
pub const READ_BYTES: usize = 8 * 1024;

/// The most entries of one inbound batch, items of one `send`, reports of one `report`.
pub const MAX_BATCH: usize = 256;

/// The most handles in a `hello`.
pub const MAX_ACCOUNTS: usize = 64;

/// The longest place in a line's history, in bytes. A longer one is not kept: what comes after the one before it is
/// told again with the next link, and is known then.
pub const MAX_POSITION_BYTES: usize = 4096;

/// The most items that a line's bridge may hold unreported.
pub const WINDOW_PER_LINE: usize = 512;

/// The most items of one chat among them: a contact that never answers must not fill the window.
pub const WINDOW_PER_CHAT: usize = 64;

/// The epochs of the links that claimed items. A bridge whose notes begin later than that can't tell what became of one.
pub type ClaimEpochs = BTreeMap<Id<OutboxItem>, i64>;

/// From the bridge to the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BridgeFrame {
    /// The first frame.
    Hello {
        /// The newest version that the bridge speaks: [`PROTOCOL`].
        protocol: u32,
        /// The oldest that it speaks; none if that is the same.
        #[serde(default)]
        oldest_protocol: Option<u32>,
        /// How it talks to Messages.
        driver: DriverKind,
        /// The bridge's software and version, for people.
        software: String,
        /// Whether this very process of the bridge was welcome before: only the connection was lost, and
        /// what it never began was no attempt.
        #[serde(default)]
        resumed: bool,
        /// The handles that the machine's Messages is signed in with, for people; at most [`MAX_ACCOUNTS`].
        #[serde(default, deserialize_with = "lenient::texts")]
        accounts: Vec<String>,
    },
    /// The answer to the `reconcile` of the welcome, and to each that follows: one state for each id that was asked.
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
        /// Why it is not online. Beside `online: true` it is a warning.
        #[serde(default)]
        reason: Option<OfflineReason>,
    },
    /// What came of items. Repeated after a reconnect until `settled` names them.
    Report {
        /// At most [`MAX_BATCH`].
        reports: Vec<Report>,
    },
    /// Later truth about items whose outcome was [`Outcome::Unknown`]: sent or failed, nothing else. Repeated like
    /// reports until `settled` names them. It changes nothing of an item whose outcome is known.
    Resolved {
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
    /// A frame that only a newer bridge says: it is passed over.
    #[serde(other)]
    Unreadable,
}

/// From the server to the bridge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to `hello`.
    Welcome {
        /// The version that both sides speak from now on.
        #[serde(default)]
        protocol: u32,
        /// The epoch of the link: one more than that of the bridge's link before it.
        #[serde(default)]
        epoch: i64,
        /// The lines to carry.
        lines: Vec<CarriedLine>,
        /// Items that were handed out to this bridge and whose outcome is not known here: at most [`MAX_BATCH`]. The
        /// others follow in `reconcile`.
        reconcile: Vec<Id<OutboxItem>>,
        /// The epoch of the link that claimed each of `reconcile`. Not said before version 6.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        claimed: ClaimEpochs,
    },
    /// More such items, once the last ones are answered.
    Reconcile {
        /// At most [`MAX_BATCH`].
        items: Vec<Id<OutboxItem>>,
        /// The epoch of the link that claimed each of them. Not said before version 6.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        claimed: ClaimEpochs,
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
    /// A frame that only a newer server says: it is passed over.
    #[serde(other)]
    Unreadable,
}

/// A line that a bridge carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedLine {
    /// Which line.
    pub id: Id<Line>,
    /// Its handle.
    pub handle: Handle,
    /// What it sends by.
    #[serde(default)]
    pub service: LineService,
    /// The place of the last entry of this bridge's history that is committed here; none if nothing is.
    pub position: Option<String>,
    /// Whether this bridge carries it, or stands by. Absent for the first.
    #[serde(default, skip_serializing_if = "LineRole::is_active")]
    pub role: LineRole,
    /// From when on something may have come to the line that is not known here: where a bridge begins that never had
    /// the line. None if no bridge ever had it. Wall-clock time, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// What a bridge does for one of its lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRole {
    /// It carries the line.
    #[default]
    Active,
    /// Another bridge carries the line. This one observes it and says whether it could carry it, but tells of no history
    /// and is handed nothing.
    Standby,
}

impl LineRole {
    /// Whether the bridge carries the line.
    pub fn is_active(&self) -> bool {
        *self == Self::Active
    }
}

/// What became of one inbound entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedEntry {
    /// The chat it stands in; none for what is about a chat or message that is not known here.
    pub chat_id: Option<Id<Chat>>,
    /// The message it became, or is about.
    pub message_id: Option<Id<Message>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_spoken() {
        assert_eq!(common_protocol(None, PROTOCOL), Some(PROTOCOL));
        assert_eq!(common_protocol(Some(1), PROTOCOL + 5), Some(PROTOCOL));
        assert_eq!(common_protocol(Some(PROTOCOL + 1), PROTOCOL + 5), None);
        assert_eq!(common_protocol(None, PROTOCOL + 1), None);
        assert_eq!(common_protocol(Some(1), OLDEST_PROTOCOL - 1), None);
    }

    #[test]
    fn what_only_a_newer_side_says_is_passed_over() {
        let told = r#"{"type":"hologram","line_id":7}"#;
        assert!(matches!(serde_json::from_str(told), Ok(BridgeFrame::Unreadable)));
        assert!(matches!(serde_json::from_str(told), Ok(ServerFrame::Unreadable)));
        let reason: OfflineReason = serde_json::from_str(r#""hungry""#).unwrap();
        assert_eq!(reason, OfflineReason::Other);
    }
}
