//! Handles: phone numbers and Apple IDs. The only parser of either.

use std::{cell::RefCell, collections::HashMap, fmt, str::FromStr, sync::Arc};

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The longest text that is looked at. An e-mail address ends at 254 octets (RFC 5321).
const MAX_LEN: usize = 254;

/// A phone number in E.164 (`+15550100001`) or an Apple ID (an e-mail address,
/// lower-case). Always normalised: two handles are the same exactly if they are equal.
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
}

impl FromStr for Handle {
    type Err = ParseHandleError;

    /// Spaces, dots, dashes and brackets are forgiven, a missing `+` is not (§7).
    /// A number must be *possible*, not *assigned*: 555 numbers are for tests.
    fn from_str(text: &str) -> Result<Self, ParseHandleError> {
        let text = text.trim();
        if text.len() > MAX_LEN {
            return Err(ParseHandleError);
        }
        if text.contains('@') { parse_apple_id(text) } else { recent_phone(text) }
    }
}

/// The most phones that a thread remembers; past that it forgets them all.
const MAX_RECENT: usize = 1024;

thread_local! {
    /// The phones that this thread has parsed of late. The library's parser costs as much as the rest of
    /// a request's checks, and programs write to the same people again and again.
    static RECENT: RefCell<HashMap<String, Handle>> = RefCell::default();
}

fn recent_phone(text: &str) -> Result<Handle, ParseHandleError> {
    if let Some(handle) = RECENT.with_borrow(|recent| recent.get(text).cloned()) {
        return Ok(handle);
    }
    let handle = parse_phone(text)?;
    RECENT.with_borrow_mut(|recent| {
        if recent.len() >= MAX_RECENT {
            recent.clear();
        }
        recent.insert(text.to_owned(), handle.clone());
    });
    Ok(handle)
}

fn parse_phone(text: &str) -> Result<Handle, ParseHandleError> {
    let digits = text.strip_prefix('+').ok_or(ParseHandleError)?;
    let mut bare = String::with_capacity(16);
    bare.push('+');
    for letter in digits.chars() {
        match letter {
            '0'..='9' => bare.push(letter),
            ' ' | '\u{a0}' | '.' | '-' | '(' | ')' | '[' | ']' => {}
            _ => return Err(ParseHandleError),
        }
    }
    // E.164: at most 15 digits. The library would cut and guess; we do not.
    if !(8..=16).contains(&bare.len()) {
        return Err(ParseHandleError);
    }
    let number = PHONE_NUMBER_UTIL.parse(&bare, None).map_err(|_| ParseHandleError)?;
    if !PHONE_NUMBER_UTIL.is_possible_number(&number) {
        return Err(ParseHandleError);
    }
    let e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
    Ok(Handle(Arc::from(e164.as_ref())))
}

fn parse_apple_id(text: &str) -> Result<Handle, ParseHandleError> {
    let (local, domain) = text.rsplit_once('@').ok_or(ParseHandleError)?;
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local.chars().all(|c| c.is_ascii_graphic() && !"@()<>[],;:\\\"".contains(c));
    let domain_ok = domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    if local_ok && domain_ok {
        Ok(Handle(Arc::from(text.to_ascii_lowercase())))
    } else {
        Err(ParseHandleError)
    }
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

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn handle(text: &str) -> Option<String> {
        text.parse::<Handle>().ok().map(|handle| handle.to_string())
    }

    #[test]
    fn phones_are_normalised() {
        for text in ["+15550100001", "+1 (555) 010-0001", "+1.555.010.0001", " +1 [555] 0100001 "] {
            assert_eq!(handle(text).as_deref(), Some("+15550100001"), "{text}");
        }
        assert_eq!(handle("+15005550006").as_deref(), Some("+15005550006"));
        assert_eq!(handle("+4915123456789").as_deref(), Some("+4915123456789"));
    }

    #[test]
    fn what_is_no_phone_is_refused() {
        for text in [
            "15550100001",
            "5550100001",
            "+",
            "+1",
            "+1555010000155555",
            "+1555CALLNOW",
            "++15550100001",
            "+999123456789",
            "",
            " ",
            "tel:+15550100001",
            "cht_abc",
        ] {
            assert_eq!(handle(text), None, "{text}");
        }
    }

    #[test]
    fn apple_ids_are_compared_lower_case() {
        assert_eq!(handle("Ann.Lee@iCloud.com").as_deref(), Some("ann.lee@icloud.com"));
        for text in
            ["@icloud.com", "ann@", "ann@localhost", "a b@icloud.com", "a@b@c.com", "a@-..com"]
        {
            assert_eq!(handle(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_parsing_settles(text in "\\PC{0,40}") {
            if let Some(once) = handle(&text) {
                prop_assert_eq!(handle(&once), Some(once));
            }
        }
    }

    #[test]
    fn logs_do_not_show_a_phone() {
        let phone: Handle = "+15550100001".parse().unwrap();
        assert_eq!(format!("{phone:?}"), "Handle(…01)");
    }
}
