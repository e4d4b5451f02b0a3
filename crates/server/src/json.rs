//! JSON that is right but for one thing: an escape that names half of a character.

use std::borrow::Cow;

/// The text with U+FFFD in the place of each surrogate escape that has no other half beside it. Such text is
/// JSON by its grammar (RFC 8259 §8.2), and nothing that Unicode knows; programs that cut strings in UTF-16
/// send it.
pub(crate) fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut whole = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        let Some(unit) = escaped_unit(&bytes[at..]) else {
            // Any other escape is two bytes.
            at = bytes.len().min(at + 2);
            continue;
        };
        let is_pair = matches!(unit, 0xd800..=0xdbff)
            && escaped_unit(&bytes[at + 6..]).is_some_and(|low| matches!(low, 0xdc00..=0xdfff));
        if is_pair {
            at += 12;
            continue;
        }
        if matches!(unit, 0xd800..=0xdfff) {
            whole.to_mut().replace_range(at..at + 6, "\\ufffd");
        }
        at += 6;
    }
    whole
}

/// The UTF-16 code unit of a `\uXXXX` at the beginning of these bytes.
fn escaped_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_halves_are_replaced() {
        for (text, expected) in [
            (r#""plain \n \u00e9""#, r#""plain \n \u00e9""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ude00 x""#, r#""\ufffd x""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83"#, r#""\ud83"#),
            ("\\", "\\"),
            ("é\\\\é\\udc00", "é\\\\é\\ufffd"),
        ] {
            assert_eq!(without_lone_surrogates(text), expected);
        }
    }
}
