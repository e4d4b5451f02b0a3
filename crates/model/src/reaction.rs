//! Reactions: what somebody thinks of a message (§6).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    chat::Chat,
    handle::Handle,
    id::{Id, Kind},
    message::Message,
    time::Timestamp,
};

/// The longest emoji, in bytes: a family of four with skin tones has 41.
const MAX_EMOJI_BYTES: usize = 64;

/// A reaction as the API shows it. Each occurrence, an added one and its removal too, has its own id (§9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// `rxn_…`
    pub id: Id<Reaction>,
    /// The message it is about.
    pub message_id: Id<Message>,
    /// What it says.
    #[serde(rename = "type")]
    pub reaction_type: ReactionType,
    /// Whose it is.
    pub sender: String,
    /// Whether the line gave it.
    pub is_from_me: bool,
    /// Whether it is there; false once it was taken back.
    pub added: bool,
    /// When it was given or taken back, by Messages' clock.
    pub sent_at: Timestamp,
    /// When this server came to know it.
    pub synced_at: Timestamp,
}

impl Kind for Reaction {
    const PREFIX: &'static str = "rxn_";
}

/// One of the six kinds, or one emoji (§7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReactionType {
    /// A heart.
    Love,
    /// Thumbs up.
    Like,
    /// Thumbs down.
    Dislike,
    /// Ha ha.
    Laugh,
    /// Two exclamation marks.
    Emphasize,
    /// A question mark.
    Question,
    /// Any one emoji.
    Emoji(String),
}

impl ReactionType {
    /// The six kinds.
    pub const NAMED: [Self; 6] =
        [Self::Love, Self::Like, Self::Dislike, Self::Laugh, Self::Emphasize, Self::Question];

    /// The name, or the emoji itself.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Love => "love",
            Self::Like => "like",
            Self::Dislike => "dislike",
            Self::Laugh => "laugh",
            Self::Emphasize => "emphasize",
            Self::Question => "question",
            Self::Emoji(emoji) => emoji,
        }
    }

    /// The kind of that name, or one emoji; none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(named) = Self::NAMED.into_iter().find(|one| one.as_str() == text) {
            return Some(named);
        }
        // One emoji is one reaction, with its variation selector or without.
        if let Some(known) = emojis::get(text) {
            return Some(Self::Emoji(known.as_str().to_owned()));
        }
        is_newer_emoji(text).then(|| Self::Emoji(text.to_owned()))
    }
}

/// Whether a text may be one emoji that is newer than the table of those that are known: bases of the
/// blocks where new ones are put, held together by joiners, each with at most one variation selector and
/// one skin tone (Unicode TS #51).
fn is_newer_emoji(text: &str) -> bool {
    if text.len() > MAX_EMOJI_BYTES {
        return false;
    }
    text.split('\u{200d}').all(|element| {
        let mut letters = element.chars();
        let is_base = letters.next().is_some_and(|c| {
            ('\u{1f300}'..='\u{1f3fa}').contains(&c) || ('\u{1f400}'..='\u{1faff}').contains(&c)
        });
        let is_tone = |c: char| ('\u{1f3fb}'..='\u{1f3ff}').contains(&c);
        let rest: Vec<char> = letters.collect();
        is_base
            && match rest[..] {
                [] => true,
                [c] => c == '\u{fe0f}' || is_tone(c),
                _ => false,
            }
    })
}

impl fmt::Display for ReactionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ReactionType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReactionType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("neither a named reaction nor one emoji"))
    }
}

/// The `data` of reaction.added and reaction.removed: the reaction, plus where (§9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionEvent {
    /// The reaction.
    #[serde(flatten)]
    pub reaction: Reaction,
    /// The chat of the message.
    pub chat_id: Id<Chat>,
    /// The handle of the line.
    pub line_handle: Handle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_kinds_or_one_emoji() {
        for text in ["love", "question", "🎉", "❤️", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏳️‍🌈", "❤️‍🔥"]
        {
            assert_eq!(ReactionType::parse(text).map(|one| one.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "Love",
            "a",
            "1",
            "🎉🎉",
            "🎉!",
            "🇩🇪🇫🇷",
            "\u{200d}",
            "🎉\u{200d}",
            "thumbsup",
            "→",
            "⌂",
        ] {
            assert_eq!(ReactionType::parse(text), None, "{text:?}");
        }
        assert_eq!(ReactionType::parse("🎉\u{fe0f}\u{fe0f}"), None);
        // With its variation selector or without, it is one reaction.
        assert_eq!(ReactionType::parse("\u{2764}"), ReactionType::parse("\u{2764}\u{fe0f}"));
        // A face of the next version of Unicode.
        assert!(ReactionType::parse("\u{1fabf}\u{1f3fb}").is_some());
        assert!(ReactionType::parse("\u{1faff}").is_some());
    }
}
