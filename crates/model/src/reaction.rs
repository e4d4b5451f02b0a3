//! Reactions: what somebody thinks of a message (§6).

use std::{collections::HashMap, fmt, sync::LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    chat::Chat,
    handle::Handle,
    id::{Id, Kind},
    message::Message,
    schema::Extends,
    text::is_invisible,
    time::Timestamp,
};

/// The longest emoji, in bytes: a family of four with skin tones has 41.
const MAX_EMOJI_BYTES: usize = 64;

/// What somebody thinks of a message. Each occurrence, a removal too, has its own id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reaction {
    /// The reaction's id.
    pub id: Id<Reaction>,
    /// The message it is about.
    pub message_id: Id<Message>,
    /// `love`, `like`, `dislike`, `laugh`, `emphasize`, `question`, or one emoji.
    #[serde(rename = "type")]
    #[schemars(example = &"love")]
    pub reaction_type: ReactionType,
    /// Whose it is.
    #[schemars(example = &"+15550100002")]
    pub sender: String,
    /// Whether the line gave it.
    #[schemars(example = false)]
    pub is_from_me: bool,
    /// False once it was taken back.
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

    /// The kind of that name, or one emoji of Unicode's list; none for anything else. An emoji is kept in its
    /// fully-qualified form, with or without its selectors however it was typed; what shows nothing may stand round it.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(named) = Self::NAMED.into_iter().find(|one| one.as_str() == text) {
            return Some(named);
        }
        qualified(trim(text)).map(|emoji| Self::Emoji(emoji.to_owned()))
    }

    /// As [`ReactionType::parse`], for what a phone or a newer server tells: it may know emoji of a newer
    /// Unicode.
    pub fn received(text: &str) -> Option<Self> {
        let newer = || may_be_newer_emoji(trim(text)).then(|| Self::Emoji(trim(text).to_owned()));
        Self::parse(text).or_else(newer)
    }
}

/// Asks for the text form or for the colourful form of the character before it.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// A text without what shows nothing round it, and is no part of an emoji: neither a selector, nor a joiner, nor a
/// tag of a flag.
fn trim(text: &str) -> &str {
    let is_part = |c: char| is_selector(c) || matches!(c, '\u{200d}' | '\u{e0020}'..='\u{e007f}');
    text.trim_matches(|c| is_invisible(c) && !is_part(c))
}

/// The fully-qualified form of an emoji, wherever its selectors are missing, too many, or on the wrong side of
/// a skin tone.
fn qualified(text: &str) -> Option<&'static str> {
    /// By what is left without selectors.
    static EMOJI: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
        emojis::iter()
            .flat_map(|emoji| emoji.skin_tones().into_iter().flatten().chain([emoji]))
            .map(|emoji| (emoji.as_str().replace(is_selector, ""), emoji.as_str()))
            .collect()
    });
    if text.len() > MAX_EMOJI_BYTES {
        return None;
    }
    EMOJI.get(&text.replace(is_selector, "")).copied()
}

/// Whether a text may be one emoji that is newer than the table of those that are known: bases of the
/// blocks where new ones are put, held together by joiners, each with at most one skin tone (Unicode TS #51).
fn may_be_newer_emoji(text: &str) -> bool {
    if text.len() > MAX_EMOJI_BYTES {
        return false;
    }
    let bare = text.replace(is_selector, "");
    bare.split('\u{200d}').all(|element| {
        let mut letters = element.chars();
        let is_base = letters.next().is_some_and(|c| {
            ('\u{1f300}'..='\u{1f3fa}').contains(&c) || ('\u{1f400}'..='\u{1faff}').contains(&c)
        });
        let is_tone = |c: char| ('\u{1f3fb}'..='\u{1f3ff}').contains(&c);
        is_base && letters.next().is_none_or(is_tone) && letters.next().is_none()
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
        Self::received(&text)
            .ok_or_else(|| D::Error::custom("neither a named reaction nor one emoji"))
    }
}

/// A reaction, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactionEvent {
    /// The reaction.
    #[serde(flatten)]
    #[schemars(with = "Extends<Reaction>")]
    pub reaction: Reaction,
    /// The chat that it happened in.
    pub chat_id: Id<Chat>,
    /// The handle of the line.
    #[schemars(example = &"+15550100001")]
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
    }

    #[test]
    fn what_shows_nothing_may_stand_round_it() {
        for (typed, kept) in [
            ("👍 ", "👍"),
            ("\u{200b}👍", "👍"),
            ("❤️\n", "❤️"),
            ("\u{2068}\u{2764}\u{fe0f}\u{2069}", "❤️"),
            ("\u{feff}\u{2764} ", "❤️"),
            (" 🏴󠁧󠁢󠁳󠁣󠁴󠁿\t", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
        ] {
            let reaction = ReactionType::parse(typed);
            assert_eq!(reaction.as_ref().map(ReactionType::as_str), Some(kept), "{typed:?}");
        }
        assert_eq!(ReactionType::received(" \u{1faff}\n").unwrap().as_str(), "\u{1faff}");
        assert_eq!(ReactionType::parse(" \u{200b}"), None);
        assert_eq!(ReactionType::parse("👍 👍"), None);
        // A name is the program's own, and nobody pastes it.
        assert_eq!(ReactionType::parse("love "), None);
    }

    #[test]
    fn selectors_may_stand_anywhere_or_nowhere() {
        for (typed, kept) in [
            ("\u{2764}", "\u{2764}\u{fe0f}"),
            ("\u{2764}\u{fe0e}", "\u{2764}\u{fe0f}"),
            ("\u{1f389}\u{fe0f}", "\u{1f389}"),
            // A hand with a skin tone and a selector: before it, after it, on both sides.
            ("\u{1f44d}\u{fe0f}\u{1f3fd}", "\u{1f44d}\u{1f3fd}"),
            ("\u{1f44d}\u{1f3fd}\u{fe0f}", "\u{1f44d}\u{1f3fd}"),
            ("\u{270c}\u{fe0f}\u{1f3ff}\u{fe0f}", "\u{270c}\u{1f3ff}"),
            // Joined ones.
            ("\u{2764}\u{200d}\u{1f525}", "\u{2764}\u{fe0f}\u{200d}\u{1f525}"),
            (
                "\u{1f575}\u{fe0f}\u{1f3fd}\u{200d}\u{2642}",
                "\u{1f575}\u{1f3fd}\u{200d}\u{2642}\u{fe0f}",
            ),
            ("\u{1f3f3}\u{200d}\u{1f308}", "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}"),
            // A keycap.
            ("1\u{20e3}", "1\u{fe0f}\u{20e3}"),
        ] {
            let reaction = ReactionType::parse(typed);
            assert_eq!(reaction.as_ref().map(ReactionType::as_str), Some(kept), "{typed:?}");
        }
    }

    #[test]
    fn every_emoji_is_taken_in_every_skin_tone() {
        for emoji in emojis::iter() {
            for one in emoji.skin_tones().into_iter().flatten().chain([emoji]) {
                let text = one.as_str();
                assert_eq!(ReactionType::parse(text), Some(ReactionType::Emoji(text.to_owned())));
                let bare = text.replace(is_selector, "");
                assert_eq!(ReactionType::parse(&bare), ReactionType::parse(text), "{text}");
            }
        }
    }

    #[test]
    fn what_unicode_has_not_assigned_is_taken_from_phones_only() {
        for text in ["\u{1faff}", "\u{1f93f}\u{1f3fb}", "\u{1f6ff}\u{fe0f}"] {
            assert_eq!(ReactionType::parse(text), None, "{text:?}");
            assert!(ReactionType::received(text).is_some(), "{text:?}");
        }
        for text in [
            "\u{1f1e9}",
            "\u{1f3fd}",
            "\u{fe0f}",
            "#",
            "\u{20e3}",
            "\u{1f1fd}\u{1f1fd}",
            "\u{1f3f4}\u{e0075}\u{e0073}\u{e007f}",
            "\u{1f389}\u{1f3fd}",
            "A\u{fe0f}",
            "\u{a9}\u{a9}",
        ] {
            assert_eq!(ReactionType::parse(text), None, "{text:?}");
        }
    }
}
