//! The simulator's outside: what a test or a person does with virtual phones.
//!
//! The driver in the bridge's room implements [`SimulatedPhones`]; the server's
//! `/simulator/v1` calls it. Neither needs to know the other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{chat::Chat, handle::Handle, id::Id, message::Message, time::Timestamp};

/// A contact that always fails.
pub const ALWAYS_FAILS: &str = "+15005550001";
/// A contact that never answers the driver.
pub const NEVER_ANSWERS: &str = "+15005550002";
/// A contact that echoes back what it gets.
pub const ECHOES: &str = "+15005550006";

/// A contact texts a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactText {
    /// The line that is texted.
    pub line: Handle,
    /// The contact who texts.
    pub from: Handle,
    /// What it says.
    pub text: Option<String>,
    /// The group it is said in; none for the 1:1 chat.
    pub chat_id: Option<Id<Chat>>,
    /// The message it answers.
    pub reply_to_guid: Option<String>,
}

/// What became of a contact's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedText {
    /// Its identity in Messages.
    pub guid: String,
    /// The chat it stands in; null while the line's bridge is away.
    pub chat_id: Option<Id<Chat>>,
    /// The message it became; null while the line's bridge is away.
    pub message_id: Option<Id<Message>>,
}

/// A message on a contact's phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneMessage {
    /// Its identity in Messages.
    pub guid: String,
    /// The line in whose chat it stands.
    pub line: Handle,
    /// Who wrote it.
    pub from: Handle,
    /// What it says.
    pub text: Option<String>,
    /// The message it answers.
    pub reply_to_guid: Option<String>,
    /// When the phone got it.
    pub received_at: Timestamp,
}

/// What goes wrong on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How.
    pub mode: FaultMode,
    /// For `slow`: how long each item takes. For `offline`: after how long the bridge comes back by itself.
    pub after: Option<Duration>,
    /// For `reject`, `slow` and `lose_report`: for how many items; none means until it is changed.
    pub count: Option<u32>,
}

/// The ways in which a line can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultMode {
    /// Nothing goes wrong.
    None,
    /// The bridge is away.
    Offline,
    /// The driver refuses.
    Reject,
    /// The driver is slow.
    Slow,
    /// The driver sends, but its report is lost.
    LoseReport,
}

impl FaultMode {
    /// Every mode.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Offline, Self::Reject, Self::Slow, Self::LoseReport];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Offline => "offline",
            Self::Reject => "reject",
            Self::Slow => "slow",
            Self::LoseReport => "lose_report",
        }
    }

    /// Whether a time means something in this mode.
    pub fn takes_time(self) -> bool {
        matches!(self, Self::Offline | Self::Slow)
    }

    /// Whether a number of items means something in this mode.
    pub fn takes_count(self) -> bool {
        matches!(self, Self::Reject | Self::Slow | Self::LoseReport)
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// Why the simulator can't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// No simulated line has this handle.
    #[error("no simulated line has this handle")]
    LineNotFound,
    /// No simulated group has this id, or the contact is not in it.
    #[error("no group with this id that the contact is in")]
    ChatNotFound,
    /// The simulator is not linked to the server yet, or no longer.
    #[error("the simulator is not linked to the server")]
    NotLinked,
    /// The line is offline, as a fault has it.
    #[error("the line is offline")]
    Offline,
    /// There are too many groups, or too much waits for the server.
    #[error("the simulator holds as much as it may")]
    Full,
    /// The journal could not be written.
    #[error("the simulator's journal can't be written")]
    Journal(#[source] std::io::Error),
}

/// The virtual phones behind simulated lines.
#[async_trait::async_trait]
pub trait SimulatedPhones: Send + Sync {
    /// A contact texts a line. Returns once the server has the message, or at once
    /// with nulls while the line's bridge is away; then it arrives when the bridge is back.
    async fn text(&self, text: ContactText) -> Result<SimulatedText, SimulatorError>;

    /// What this contact's phone shows, oldest first.
    async fn phone(&self, handle: &Handle) -> Vec<PhoneMessage>;

    /// Makes a group of contacts with a line. Returns once the server has the chat; makes none
    /// while the line is offline ([`SimulatorError::Offline`]).
    async fn group(
        &self,
        line: &Handle,
        name: Option<String>,
        participants: Vec<Handle>,
    ) -> Result<Id<Chat>, SimulatorError>;

    /// Makes a line go wrong, or right again.
    async fn fault(&self, line: &Handle, fault: Fault) -> Result<(), SimulatorError>;
}
