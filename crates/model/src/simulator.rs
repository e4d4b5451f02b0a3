//! The simulator's control: what a test or a person does with virtual phones.
//!
//! The driver in the bridge's room implements [`SimulatedPhones`]; the server's
//! `/simulator/v1` calls it. Neither needs to know the other.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat, handle::Handle, id::Id, message::Message, reaction::ReactionType, schema::Extends,
    time::Timestamp,
};

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
    /// Files that go with it.
    pub attachments: Vec<ContactFile>,
    /// Whether its one file is a voice memo.
    pub is_audio_message: bool,
}

/// A file that a contact sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactFile {
    /// Its name.
    pub filename: Option<String>,
    /// Its type.
    pub mime_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
    /// What is said in a voice memo.
    pub transcription: Option<String>,
}

/// A contact reacts to a message, or takes a reaction back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactReaction {
    /// The line whose chat it is in.
    pub line: Handle,
    /// The contact.
    pub from: Handle,
    /// The message, by its guid.
    pub message_guid: String,
    /// What it says.
    pub reaction_type: ReactionType,
    /// Whether it is taken back.
    pub remove: bool,
}

/// A contact types or reads, in the 1:1 chat or in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactInChat {
    /// The line.
    pub line: Handle,
    /// The contact.
    pub from: Handle,
    /// The group; none for the 1:1 chat.
    pub chat_id: Option<Id<Chat>>,
}

/// What became of a contact's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedText {
    /// Its identity in Messages.
    #[schemars(example = &"8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1")]
    pub guid: String,
    /// Its chat; null while the line's bridge is away.
    pub chat_id: Option<Id<Chat>>,
    /// The message; null while the bridge is away.
    pub message_id: Option<Id<Message>>,
}

/// A message on a contact's phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhoneMessage {
    /// Its identity in Messages.
    #[schemars(example = &"8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1")]
    pub guid: String,
    /// The line in whose chat it is.
    #[schemars(example = &"+15550100001")]
    pub line: Handle,
    /// Who wrote it.
    #[schemars(example = &"+15550100001")]
    pub from: Handle,
    /// What it says.
    #[schemars(example = &"Until six.")]
    pub text: Option<String>,
    /// The message that it answers.
    #[schemars(example = ())]
    pub reply_to_guid: Option<String>,
    /// When the phone got it.
    pub received_at: Timestamp,
    /// Its files.
    pub attachments: Vec<PhoneFile>,
    /// Whether its one file is a voice memo.
    #[schemars(example = false)]
    pub is_audio_message: bool,
    /// What was said about it.
    pub reactions: Vec<PhoneReaction>,
    /// When its text was last changed.
    #[serde(default)]
    #[schemars(example = ())]
    pub edited_at: Option<Timestamp>,
    /// When it was taken back.
    #[serde(default)]
    #[schemars(example = ())]
    pub unsent_at: Option<Timestamp>,
}

/// A file on a contact's phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhoneFile {
    /// Its name.
    #[schemars(example = &"menu.pdf")]
    pub filename: Option<String>,
    /// Its type.
    #[schemars(example = &"application/pdf")]
    pub mime_type: String,
    /// Its size in bytes.
    #[schemars(example = 48_213)]
    pub size: u64,
    /// The SHA-256 of its bytes, in hex.
    #[schemars(example = &"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
}

/// A reaction on a contact's phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhoneReaction {
    /// One of the six kinds, or one emoji.
    #[serde(rename = "type")]
    #[schemars(example = &"love")]
    pub reaction_type: ReactionType,
    /// Whose it is.
    #[schemars(example = &"+15550100001")]
    pub from: Handle,
}

/// A reaction, and to which message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageReaction {
    /// Its identity in Messages.
    #[schemars(example = &"8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1")]
    pub message_guid: String,
    /// What it says, and whose it is.
    #[serde(flatten)]
    #[schemars(with = "Extends<PhoneReaction>")]
    pub reaction: PhoneReaction,
}

/// A message that is not as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhoneChange {
    /// Its identity in Messages.
    #[schemars(example = &"8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1")]
    pub message_guid: String,
    /// What it says; null once it was taken back.
    #[schemars(example = &"Until seven.")]
    pub text: Option<String>,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// When it was taken back.
    #[schemars(example = ())]
    pub unsent_at: Option<Timestamp>,
}

/// What a contact's phone shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phone {
    /// What it got, oldest first.
    pub messages: Vec<PhoneMessage>,
    /// Every reaction it shows.
    pub reactions: Vec<MessageReaction>,
    /// Every message that was edited or taken back.
    #[serde(default)]
    pub changes: Vec<PhoneChange>,
    /// The lines that are typing to it now.
    #[schemars(example = ["+15550100001"])]
    pub typing: Vec<Handle>,
    /// When which line last read.
    pub read: Vec<PhoneRead>,
}

/// A line has read a chat with this contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhoneRead {
    /// The line.
    #[schemars(example = &"+15550100001")]
    pub line: Handle,
    /// When.
    pub read_at: Timestamp,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// No message in a chat with this contact has this guid.
    #[error("no message with this guid in a chat with this contact")]
    MessageNotFound,
    /// No contact wrote a message with this guid, or it was taken back and can't be edited.
    #[error("no contact's message with this guid that can be changed")]
    NotAContactsMessage,
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

    /// A contact reacts. Returns the message once the server has the reaction; none while the bridge is away.
    async fn react(&self, reaction: ContactReaction)
    -> Result<Option<Id<Message>>, SimulatorError>;

    /// A contact begins or stops typing.
    async fn typing(&self, contact: ContactInChat, on: bool) -> Result<(), SimulatorError>;

    /// The contact who wrote this message edits it. Returns once the server knows, as [`SimulatedPhones::text`]
    /// does.
    async fn edit(&self, guid: &str, text: String) -> Result<SimulatedText, SimulatorError>;

    /// The contact who wrote this message takes it back. The same again changes nothing.
    async fn unsend(&self, guid: &str) -> Result<SimulatedText, SimulatorError>;

    /// A contact reads all that the line wrote. In the 1:1 chat that is told of each message, too.
    async fn read(&self, contact: ContactInChat) -> Result<(), SimulatorError>;

    /// Gives a line the advanced features, or takes them away.
    async fn capabilities(&self, line: &Handle, advanced: bool) -> Result<(), SimulatorError>;

    /// What this contact's phone shows.
    async fn phone(&self, handle: &Handle) -> Phone;

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
