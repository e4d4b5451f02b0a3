//! Typing indicators: who is typing right now (§6).

use serde::{Deserialize, Serialize};

use crate::{
    chat::Chat,
    handle::Handle,
    id::{Id, Kind},
    time::Timestamp,
};

/// How long an indicator stays on without being renewed, in milliseconds.
pub const EXPIRES_AFTER_MS: u64 = 60_000;

/// A typing indicator as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingIndicator {
    /// `ind_…`
    pub id: Id<TypingIndicator>,
    /// The chat it is in.
    pub chat_id: Id<Chat>,
    /// Who types; the line's own handle when the line does.
    pub handle: String,
    /// Whether they still do. Goes off by itself after 60 s.
    pub is_typing: bool,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Kind for TypingIndicator {
    const PREFIX: &'static str = "ind_";
}

/// The `data` of typing.started and typing.stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingEvent {
    /// The indicator; it names the chat.
    #[serde(flatten)]
    pub typing: TypingIndicator,
    /// The handle of the line.
    pub line_handle: Handle,
}
