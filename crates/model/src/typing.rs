//! Typing indicators: who is typing right now (§6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat,
    handle::Handle,
    id::{Id, Kind},
    schema::Extends,
    time::Timestamp,
};

/// How long an indicator stays on without being renewed, in milliseconds.
pub const EXPIRES_AFTER_MS: u64 = 60_000;

/// Who is typing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TypingIndicator {
    /// The indicator's id.
    pub id: Id<TypingIndicator>,
    /// The chat it is in.
    pub chat_id: Id<Chat>,
    /// Who types; the line's own handle when it does.
    #[schemars(example = &"+15550100002")]
    pub handle: String,
    /// Goes off by itself after 60 seconds.
    pub is_typing: bool,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Kind for TypingIndicator {
    const PREFIX: &'static str = "ind_";
}

/// Who types, and the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TypingEvent {
    /// The indicator; it names the chat.
    #[serde(flatten)]
    #[schemars(with = "Extends<TypingIndicator>")]
    pub typing: TypingIndicator,
    /// The handle of the line.
    #[schemars(example = &"+15550100001")]
    pub line_handle: Handle,
}
