//! Handles: phone numbers, Apple IDs, and the names of senders that can't be dialled. The only
//! parser of any of them.

mod dialable;
mod national;
mod sender;

use std::{cell::RefCell, fmt, str::FromStr, sync::Arc};

use quick_cache::unsync::Cache;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use national::{Country, ParseCountryError};

use crate::text::trim;

/// The longest handle, in bytes. An e-mail address ends at 254 octets (RFC 5321).
pub const MAX_LEN: usize = 254;
/// The longest text that is looked at, in bytes: one that is pasted may have marks of direction
/// and other scripts' digits in it, of three bytes each.
const MAX_PASTED: usize = 1024;
/// What Messages' own ids of chats with one person begin with; the handle comes after it.
const CHAT_PREFIXES: [&str; 4] = ["iMessage;-;", "SMS;-;", "RCS;-;", "any;-;"];

/// Who writes, or who is written to: a phone number in E.164 (`+15550100001`), an Apple ID (an e-mail
/// address, lower-case), or the name of a sender that can't be dialled (`262966`, `BANK`,
/// `urn:biz:…`). Always normalised: two handles are the same exactly if they are equal.
///
/// The text of a line's owner and of a caller is parsed ([`FromStr`], [`Handle::contact`]); what a bridge
/// tells and what was stored is taken as it is ([`Handle::received`], [`Deserialize`]), because
/// somebody wrote all the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(Arc<str>);

/// The text is neither a phone number in international form nor an Apple ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a phone number in E.164 form, such as +15550100001, or an Apple ID (an e-mail address)"
)]
pub struct ParseHandleError;

impl Handle {
    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a contact as a caller names it: a phone number, an Apple ID, or a sender that has the form of
    /// a short code, of a sender's name, or of a URN. Narrower than what senders are really called, so that
    /// a mistyped number or address is told.
    ///
    /// # Errors
    /// When it has none of these forms.
    pub fn contact(text: &str) -> Result<Self, ParseHandleError> {
        text.parse().or_else(|_| sender::parse(text).map(Self::new).ok_or(ParseHandleError))
    }

    /// Takes a handle as a bridge tells it, or as it was stored. A phone number or an Apple ID is
    /// normalised; any other text is the name of a sender, shortened to [`MAX_LEN`] bytes. A sender
    /// without a name is `unknown`.
    pub fn received(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| {
            let name = sender::clean(text);
            name.parse().unwrap_or_else(|_| Self::new(name))
        })
    }

    /// Whether it is a phone number or an Apple ID. Any other can only be answered.
    pub fn is_dialable(&self) -> bool {
        // Stored ones may be of an older version, which took more numbers than the parser of now.
        self.0.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
            || (self.0.contains('@') && !self.0.contains(' '))
    }

    fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

/// The handle in an id of Messages for a chat with one person; any other text as it is. Neither has invisible
/// characters round it.
fn without_chat_prefix(text: &str) -> &str {
    let mut text = trim(text);
    while let Some(rest) = CHAT_PREFIXES.iter().find_map(|prefix| {
        let start = text.get(..prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then(|| trim(&text[prefix.len()..]))
    }) {
        text = rest;
    }
    text
}

impl FromStr for Handle {
    type Err = ParseHandleError;

    /// A phone number or an Apple ID. White space, dots, dashes, slashes, brackets, marks of direction,
    /// digits of other scripts, a scheme (`tel:`) and what Messages' own chat ids begin with are forgiven, a missing `+` is not (§7). A number must
    /// be *possible*, not *assigned*: 555 numbers are for tests.
    fn from_str(text: &str) -> Result<Self, ParseHandleError> {
        if text.len() > MAX_PASTED {
            return Err(ParseHandleError);
        }
        if let Some(handle) = RECENT.with_borrow(|recent| recent.get(text).cloned()) {
            return Ok(handle);
        }
        let handle = Self::new(dialable::parse(text).ok_or(ParseHandleError)?);
        RECENT.with_borrow_mut(|recent| recent.insert(text.to_owned(), handle.clone()));
        Ok(handle)
    }
}

/// The most handles that a thread remembers.
const MAX_RECENT: usize = 1024;

thread_local! {
    /// The handles that this thread has parsed of late. The library's parser costs as much as the rest of
    /// a request's checks, and programs write to the same people again and again.
    static RECENT: RefCell<Cache<String, Handle>> = RefCell::new(Cache::new(MAX_RECENT));
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows only the last two characters: handles are personal data and stay out of logs.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.0.char_indices().rev().nth(1).map_or(0, |(at, _)| at);
        write!(f, "Handle(…{})", &self.0[tail..])
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// As [`Handle::received`].
impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::received(&text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sender_is_whoever_wrote() {
        for (told, kept) in [
            ("+1 (555) 010-0001", "+15550100001"),
            ("Ann@iCloud.com", "ann@icloud.com"),
            ("262966", "262966"),
            (" 262 966 ", "262966"),
            ("BANK", "BANK"),
            ("\u{2068}AX-HDFCBK\u{2069}", "AX-HDFCBK"),
            ("airtel", "airtel"),
            ("4155550123", "4155550123"),
            ("+15550100", "+15550100"),
            ("Deutsche  Post\n", "Deutsche Post"),
            (
                "URN:BIZ:0F1E2D3C-0000-4000-8000-00000000ABCD",
                "urn:biz:0f1e2d3c-0000-4000-8000-00000000abcd",
            ),
            ("urn:biz:Acme", "urn:biz:Acme"),
            ("SMS;-;262966", "262966"),
            ("iMessage;-;+1 555 010 0001", "+15550100001"),
            ("iMessage;-;SMS;-;", "unknown"),
            ("", "unknown"),
            (" \u{200b}", "unknown"),
        ] {
            let handle = Handle::received(told);
            assert_eq!(handle.as_str(), kept, "{told:?}");
        }
        assert_eq!(Handle::received(&"é".repeat(900)).as_str().len(), MAX_LEN);
    }

    #[test]
    fn a_caller_may_name_what_has_the_form_of_a_sender() {
        for text in [
            "262966",
            "262 966",
            "BANK",
            "Amazon",
            "AX-HDFCBK",
            "O2 Info",
            "urn:biz:x-1",
            // Scripts without capitals.
            "中国移动",
            "بنك مصر",
        ] {
            let handle = Handle::contact(text).expect(text);
            assert!(!handle.is_dialable(), "{text}");
            assert_eq!(handle, Handle::received(text), "one sender however it comes: {text}");
        }
        for text in [
            "",
            "12",
            "5550100",
            "15550100001",
            "+1",
            "+15550100",
            "bob",
            "x",
            "a@b",
            "@x.org",
            "msg_x",
            "cht_X",
            "中国mobile",
            "+1555CALLNOW",
            "Nobody in particular",
            "urn:",
            "urn:biz:",
            "urn:biz:a b",
            "A\u{0}B",
        ] {
            assert_eq!(Handle::contact(text), Err(ParseHandleError), "{text:?}");
        }
    }

    #[test]
    fn who_can_be_dialled_is_known() {
        for (text, dialable) in [
            ("+15550100001", true),
            ("+15550100", true),
            ("ann@icloud.com", true),
            ("262966", false),
            ("BANK", false),
            ("urn:biz:x", false),
            ("unknown", false),
            ("+1 or so", false),
        ] {
            assert_eq!(Handle::received(text).is_dialable(), dialable, "{text}");
        }
    }

    /// Texts that are nearly handles.
    fn pasted() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("+".to_owned()),
            "[0-9]{1,4}",
            "[0-9]{10}",
            "\\+(1|44|49|52|521|54|549|55|39|7|81|972)[0-9]{7,11}",
            "[a-zA-Z.]{1,6}",
            Just("@".to_owned()),
            Just("urn:biz:".to_owned()),
            Just("tel:".to_owned()),
            Just("SMS;-;".to_owned()),
            "[ ().\\-/\u{a0}\u{2011}\u{2066}\u{2069}\u{200e}\u{ff10}-\u{ff19}\u{661}\u{3164}\u{ad}]",
            "\\PC",
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_is_taken_is_taken_again_as_the_same(text in pasted()) {
            if let Ok(handle) = text.parse::<Handle>() {
                prop_assert_eq!(handle.as_str().parse::<Handle>(), Ok(handle.clone()));
                prop_assert!(handle.is_dialable() && handle.as_str().len() <= MAX_LEN);
                prop_assert_eq!(Handle::received(&text), handle);
            }
            if let Ok(handle) = Handle::contact(&text) {
                prop_assert_eq!(Handle::contact(handle.as_str()), Ok(handle.clone()));
                prop_assert_eq!(Handle::received(&text), handle);
            }
            let handle = Handle::received(&text);
            prop_assert_eq!(&Handle::received(handle.as_str()), &handle);
            prop_assert!((1..=MAX_LEN).contains(&handle.as_str().len()));
            let json = serde_json::to_string(&handle).unwrap();
            prop_assert_eq!(serde_json::from_str::<Handle>(&json).unwrap(), handle);
        }
    }

    #[test]
    fn logs_do_not_show_a_phone() {
        let phone: Handle = "+15550100001".parse().unwrap();
        assert_eq!(format!("{phone:?}"), "Handle(…01)");
    }
}
