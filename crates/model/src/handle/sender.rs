//! Senders that can't be dialled: short codes, the names that companies send under, Messages for Business.

use std::borrow::Cow;

use super::{MAX_LEN, without_chat_prefix};
use crate::{
    id,
    text::{self, is_dash},
};

/// The digits of a short code that a caller may name: a longer row of digits is a number without its `+`.
const SHORT_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=6;
/// The characters of a sender's name in GSM 03.38.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=11;
/// The sender of what has no sender.
const UNKNOWN: &str = "unknown";

/// A sender in the form that a caller may write. A name has an upper-case letter, if its script has any: what
/// has none is mostly a mistake.
pub(super) fn parse(text: &str) -> Option<String> {
    if text.len() > MAX_LEN || text.contains(char::is_control) {
        return None;
    }
    let name = clean(text);
    (is_short_code(&name) || is_urn(&name) || is_name(&name)).then_some(name)
}

/// A sender as it is kept: what was told, in its usual form, within [`MAX_LEN`].
pub(super) fn clean(text: &str) -> String {
    let text = if text.len() > 4 * MAX_LEN { shortened(text, 4 * MAX_LEN) } else { text };
    let plain = text::plain(text);
    let shown: Cow<'_, str> = match plain.contains(char::is_control) {
        true => plain.chars().filter(|c| !c.is_control()).collect::<String>().into(),
        false => plain,
    };
    let name = shortened(without_chat_prefix(&shown), MAX_LEN);
    let name = text::trim(name);
    if name.is_empty() {
        return UNKNOWN.to_owned();
    }
    let digits: String = name.chars().filter(|c| *c != ' ' && !is_dash(*c)).collect();
    if is_short_code(&digits) {
        return digits;
    }
    urn(name).unwrap_or_else(|| name.to_owned())
}

fn is_short_code(name: &str) -> bool {
    SHORT_CODE_DIGITS.contains(&name.len()) && name.bytes().all(|b| b.is_ascii_digit())
}

fn is_name(name: &str) -> bool {
    let taken = |c: char| c.is_alphanumeric() || " -_.&'!".contains(c);
    NAME_CHARS.contains(&name.chars().count())
        && name.chars().all(taken)
        && (name.contains(char::is_uppercase)
            || name.contains(char::is_alphabetic) && !name.contains(char::is_lowercase))
        && !id::has_any_prefix(name)
}

/// `urn:`, a namespace, and a name in it (RFC 8141).
fn is_urn(name: &str) -> bool {
    let Some((space, rest)) = name.strip_prefix("urn:").and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    !space.is_empty() && !rest.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())
}

/// A URN with what has no case in lower case: its scheme, its namespace, and the UUID of a business.
fn urn(name: &str) -> Option<String> {
    let scheme = name.get(..4)?;
    let (space, rest) = name.get(4..)?.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("urn:") {
        return None;
    }
    let is_uuid = rest.len() == 36 && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let rest = if is_uuid { rest.to_ascii_lowercase() } else { rest.to_owned() };
    Some(format!("urn:{}:{rest}", space.to_ascii_lowercase()))
}

/// The beginning of a text, of at most so many bytes.
fn shortened(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
