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
        is_one_emoji(text).then(|| Self::Emoji(text.to_owned()))
    }
}

/// Whether a text is one emoji: one base, or several held together by joiners, each with its
/// modifiers; or two regional indicators; or a keycap (Unicode TS #51, ED-14 to ED-17).
fn is_one_emoji(text: &str) -> bool {
    if text.is_empty() || text.len() > MAX_EMOJI_BYTES {
        return false;
    }
    let letters: Vec<char> = text.chars().collect();
    if let [a, b] = letters[..]
        && is_regional(a)
        && is_regional(b)
    {
        return true;
    }
    if matches!(letters[..], ['0'..='9' | '#' | '*', '\u{fe0f}', '\u{20e3}'])
        || matches!(letters[..], ['0'..='9' | '#' | '*', '\u{20e3}'])
    {
        return true;
    }
    letters.split(|c| *c == '\u{200d}').all(|element| match element {
        [base, rest @ ..] => is_base(*base) && rest.iter().all(|c| is_modifier(*c)),
        [] => false,
    })
}

fn is_regional(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

fn is_modifier(c: char) -> bool {
    // Variation selector, skin tones, and the tags of subdivision flags.
    c == '\u{fe0f}'
        || ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
        || ('\u{e0020}'..='\u{e007f}').contains(&c)
}

fn is_base(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{24c2}'
        | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1f1e5}' | '\u{1f200}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
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
        for text in
            ["", "Love", "a", "1", "🎉🎉", "🎉!", "🇩🇪🇫🇷", "\u{200d}", "🎉\u{200d}", "thumbsup"]
        {
            assert_eq!(ReactionType::parse(text), None, "{text:?}");
        }
    }
}
