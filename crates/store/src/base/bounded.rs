//! A bound on the texts that a driver gives as identities.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Hex digits of a SHA-256.
const DIGEST_LEN: usize = 64;

/// The text, or if it is longer than `max` bytes its beginning and the digest of the whole.
///
/// To skip what has such an identity would lose it, to refuse it would stop the line's history at
/// this place for ever, and to cut it could make two things one. This way the same text is always
/// the same identity, and another text is another.
pub(crate) fn bounded(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let mut end = max - DIGEST_LEN - 1;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut short = String::with_capacity(max);
    short.push_str(&text[..end]);
    short.push_str(&digest_of(&text));
    short
}

/// The digest of a text, in the place of what is too long or not there.
pub(crate) fn digest_of(text: &str) -> String {
    let mut digest = String::with_capacity(DIGEST_LEN + 1);
    digest.push('~');
    HEXLOWER.encode_append(&Sha256::digest(text.as_bytes()), &mut digest);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_short_and_still_itself() {
        let long = |last: char| format!("{}{last}", "é".repeat(400));
        assert_eq!(bounded(long('a'), 256), bounded(long('a'), 256));
        assert_ne!(bounded(long('a'), 256), bounded(long('b'), 256));
        assert!(bounded(long('a'), 256).len() <= 256);
        assert_eq!(bounded("short".into(), 256), "short");
    }
}
