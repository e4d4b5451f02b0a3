//! Lines: the phone numbers and Apple IDs that the user owns (§6).

mod health;
mod loop_limit;
mod status;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    handle::Handle,
    id::{Id, Kind},
    lenient,
    schema::{self, Extends},
};
pub use health::{
    Guidance, LineHealth, NEW_CONTACTS, PER_MINUTE, SENT_FOR_ONE, SILENT_MS, TO_SILENT, UNANSWERED,
};
pub use loop_limit::{BadLoopLimit, LoopLimit};
pub use status::{LineStatus, OfflineReason};

/// A phone number or Apple ID that sends and receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The line's id.
    pub id: Id<Line>,
    /// A phone number in E.164, or an Apple ID.
    #[schemars(example = &"+15550100001")]
    pub handle: Handle,
    /// What its owner calls it.
    #[schemars(example = &"Front desk")]
    pub label: Option<String>,
    /// What it sends by.
    #[schemars(example = &"auto")]
    pub service: LineService,
    /// Whether it takes part.
    pub is_active: bool,
    /// Whether audio messages, reactions, typing and read receipts all work.
    #[serde(default)]
    pub advanced_features: bool,
    /// What its bridge can do.
    #[serde(default, deserialize_with = "lenient::names")]
    #[schemars(schema_with = "schema::capabilities")]
    pub capabilities: Vec<Capability>,
    /// Whether it is the shared sandbox line.
    #[serde(default)]
    #[schemars(example = false)]
    pub is_sandbox: bool,
    /// Whether it takes items now.
    #[serde(default)]
    pub status: LineStatus,
    /// How it was used today, in lists of lines; null of a sandbox line of others, and in events.
    #[serde(default)]
    pub health: Option<LineHealth>,
}

impl Kind for Line {
    const PREFIX: &'static str = "ln_";
}

/// What a line sends by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineService {
    /// Only iMessage.
    Imessage,
    /// Only SMS.
    Sms,
    /// iMessage where it can, SMS where it must.
    #[default]
    Auto,
}

impl LineService {
    /// The name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imessage => "imessage",
            Self::Sms => "sms",
            Self::Auto => "auto",
        }
    }

    /// The service of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Imessage, Self::Sms, Self::Auto].into_iter().find(|one| one.as_str() == name)
    }
}

/// How a bridge talks to Messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Driver")]
pub enum DriverKind {
    /// Virtual phones, for development.
    Simulator,
    /// The imsg program on a Mac.
    Imsg,
    /// A BlueBubbles server on a Mac.
    Bluebubbles,
    /// An SMS gateway app on an Android phone.
    #[serde(rename = "android-sms")]
    AndroidSms,
}

impl DriverKind {
    /// Every driver.
    pub const ALL: [Self; 4] = [Self::Simulator, Self::Imsg, Self::Bluebubbles, Self::AndroidSms];

    /// Those whose bridges the operator makes: the simulator has one of its own.
    pub const OF_PHONES: [Self; 3] = [Self::Imsg, Self::Bluebubbles, Self::AndroidSms];

    /// The name in JSON and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Imsg => "imsg",
            Self::Bluebubbles => "bluebubbles",
            Self::AndroidSms => "android-sms",
        }
    }

    /// The driver of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// One thing that a line's driver can do. Texts in existing chats with one contact go without saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Files, out.
    Attachments,
    /// First messages to contacts.
    NewChats,
    /// Messages to groups.
    Groups,
    /// Voice memos.
    AudioMessages,
    /// Replies that point at a message.
    Replies,
    /// Reactions, out.
    Reactions,
    /// Reactions with any emoji, out.
    EmojiReactions,
    /// Typing indicators, out.
    Typing,
    /// Typing indicators that end, out.
    TypingOff,
    /// Read receipts, out.
    ReadReceipts,
    /// Edits of own messages, out.
    Edit,
    /// Own messages taken back, out.
    Unsend,
    /// It is told when own messages are delivered and read.
    DeliveryState,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 13] = [
        Self::Attachments,
        Self::NewChats,
        Self::Groups,
        Self::AudioMessages,
        Self::Replies,
        Self::Reactions,
        Self::EmojiReactions,
        Self::Typing,
        Self::TypingOff,
        Self::ReadReceipts,
        Self::Edit,
        Self::Unsend,
        Self::DeliveryState,
    ];

    /// What a line can't do without it: "this line cannot …".
    pub fn deed(self) -> &'static str {
        match self {
            Self::Attachments => "send files",
            Self::NewChats => "write to a contact with whom it has no chat yet",
            Self::Groups => "write to groups",
            Self::AudioMessages => "send audio messages",
            Self::Replies => "point at the message that it answers",
            Self::Reactions => "react to messages",
            Self::EmojiReactions => "react with an emoji",
            Self::Typing => "show that it is typing",
            Self::TypingOff => "show that it has stopped typing",
            Self::ReadReceipts => "send read receipts",
            Self::Edit => "edit its messages",
            Self::Unsend => "take its messages back",
            Self::DeliveryState => "tell whether its messages were delivered",
        }
    }

    /// Whether these make a line one with advanced features.
    pub fn are_advanced(capabilities: &[Self]) -> bool {
        [Self::AudioMessages, Self::Reactions, Self::Typing, Self::ReadReceipts]
            .iter()
            .all(|needed| capabilities.contains(needed))
    }
}

/// A line, with its owner and the way it is carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorLine {
    /// The line itself.
    #[serde(flatten)]
    #[schemars(with = "Extends<Line>")]
    pub line: Line,
    /// Whose it is.
    pub account_id: Id<crate::Account>,
    /// How it is carried.
    #[schemars(example = &"imsg")]
    pub driver: DriverKind,
    /// By which bridge, once one is chosen.
    pub bridge_id: Option<Id<crate::Bridge>>,
    /// By which other bridge, when that one is away.
    #[serde(default)]
    pub standby_bridge_id: Option<Id<crate::Bridge>>,
    /// Whether that one is linked and says that it could carry the line now. Null without a standby.
    #[serde(default)]
    #[schemars(example = true)]
    pub standby_ready: Option<bool>,
    /// Whether a message to a contact who has not written first is refused.
    pub contact_first: bool,
    /// How often it may answer one contact before it must rest: answers and seconds. Null is no limit.
    #[serde(default)]
    #[schemars(example = &"10/60")]
    pub loop_limit: Option<LoopLimit>,
}
