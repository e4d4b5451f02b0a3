//! Chats: one line with one other party, or with a group (§6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    handle::Handle,
    id::{Id, Kind},
    line::Line,
    time::Timestamp,
};

/// The longest identifier of a chat that is taken from a driver.
pub const MAX_IDENTIFIER_LEN: usize = 512;

/// One line with one other party, or with a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chat {
    /// The chat's id: `to` wherever a chat is meant.
    pub id: Id<Chat>,
    /// The line it is on.
    pub line_id: Id<Line>,
    /// The other party: a phone number in E.164, an Apple ID, or the name of a sender that can't be dialled; of a
    /// group, an opaque id.
    #[schemars(example = &"+15550100002")]
    pub identifier: String,
    /// What it runs over.
    pub service: Service,
    /// The name of a group.
    #[schemars(example = ())]
    pub name: Option<String>,
    /// Whether it is a group.
    #[schemars(example = false)]
    pub is_group: Option<bool>,
    /// The other parties' handles.
    #[schemars(example = ["+15550100002"])]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ChatService")]
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
