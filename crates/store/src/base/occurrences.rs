//! Reactions as they happen.

use std::time::Duration;

use switchboard_model::{Bridge, Line, Message, ReactionType, Timestamp, id::Id};

use crate::{Result, StoreError};

/// A reaction is given or taken back.
pub(crate) struct Occurrence {
    pub(crate) message_id: Id<Message>,
    pub(crate) reaction_type: ReactionType,
    pub(crate) sender: String,
    pub(crate) added: bool,
    pub(crate) sent_at: Timestamp,
}

impl Occurrence {
    /// What this takes the place of, taken back at the same time: reactions of its sender's on the message, as they are
    /// stored.
    pub(crate) fn in_place_of(&self, stored: &[String]) -> Result<Vec<Self>> {
        let taken_back = |stored: &String| {
            let reaction_type = ReactionType::parse(stored).ok_or_else(unreadable_type)?;
            let sender = self.sender.clone();
            Ok(Self { reaction_type, sender, added: false, ..*self })
        };
        stored.iter().map(taken_back).collect()
    }
}

pub(crate) fn unreadable_type() -> StoreError {
    StoreError::Unreadable { what: "a reaction's type".into() }
}

/// Who says that the line has reacted, and how.
#[derive(Clone, Copy)]
pub(crate) struct Said {
    pub(crate) line: Id<Line>,
    pub(crate) bridge: Id<Bridge>,
    /// As an item that was done; otherwise it stands in the line's history.
    pub(crate) as_item: bool,
}

/// How far the times may lie apart: an item counts as done when its answer comes, the other time is Messages' own.
pub(crate) const APART: Duration = Duration::from_secs(10 * 60);
/// How long it is kept that one was said: a standby may tell of it days later, after a take-over.
pub(crate) const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
