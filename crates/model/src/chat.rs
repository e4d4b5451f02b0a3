//! Chats: one line with one other party, or with a group (§6).

use serde::{Deserialize, Serialize};

use crate::{
    handle::Handle,
    id::{Id, Kind},
    line::Line,
    time::Timestamp,
};

/// The longest identifier of a chat that is taken from a driver.
pub const MAX_IDENTIFIER_LEN: usize = 512;

/// A chat as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// `cht_…`
    pub id: Id<Chat>,
    /// The line it is on.
    pub line_id: Id<Line>,
    /// The other party's handle; of a group, an opaque id.
    pub identifier: String,
    /// What it runs over.
    pub service: Service,
    /// The name of a group.
    pub name: Option<String>,
    /// Whether it is a group.
    pub is_group: Option<bool>,
    /// The other parties' handles.
    pub participants: Option<Vec<String>>,
    /// Whether anybody in it has ever messaged the line.
    pub has_received_inbound: bool,
    /// When its last message was sent.
    pub last_message_at: Option<Timestamp>,
}

impl Kind for Chat {
    const PREFIX: &'static str = "cht_";
}

/// What a chat or a message runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Service {
    /// Apple's own.
    #[default]
    #[serde(rename = "iMessage")]
    IMessage,
    /// The carrier's.
    #[serde(rename = "SMS")]
    Sms,
}

impl Service {
    /// The name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IMessage => "iMessage",
            Self::Sms => "SMS",
        }
    }

    /// The service of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::IMessage, Self::Sms].into_iter().find(|one| one.as_str() == name)
    }
}

/// Whom a request is about: the `to` of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// The 1:1 chat with this contact.
    Contact(Handle),
    /// This chat; the only way to name a group.
    Chat(Id<Chat>),
}
