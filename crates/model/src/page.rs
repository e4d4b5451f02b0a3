//! Pages: how many rows, and from where (§5).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::signature::hmac;

/// Rows of a page unless the caller says otherwise (§5).
pub const DEFAULT_LIMIT: u32 = 50;
/// The most rows of a page; more is taken as this (§5).
pub const MAX_LIMIT: u32 = 100;

/// How many rows: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// The number of rows.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Takes the caller's text; `None` for zero, negative and what is no whole number.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // Digits that overflow are certainly above the most.
        let wanted = digits.parse::<u32>().unwrap_or(u32::MAX);
        (wanted > 0).then(|| Self(wanted.min(MAX_LIMIT)))
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

/// The secret by which a server knows the cursors that it has made. Does not show itself in `Debug`.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// The key with this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

/// A place in a list, bound to the query that it came from: a cursor of another query is refused, and so is one
/// that was not made with this server's key. A made-up place could be one that is dear to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<const N: usize>([u64; N]);

/// The first had no key.
const VERSION: u8 = 2;
/// 128 bits of the HMAC.
const TAG_LEN: usize = 16;

impl<const N: usize> Cursor<N> {
    /// A place that these numbers name.
    pub fn new(place: [u64; N]) -> Self {
        Self(place)
    }

    /// The numbers that name the place.
    pub fn place(&self) -> [u64; N] {
        self.0
    }

    /// The opaque text, bound to `query`: the list's name and its filters.
    pub fn encode(&self, key: &CursorKey, query: &str) -> String {
        let mut bytes = vec![VERSION];
        for number in self.0 {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let tag = tag(key, query, &bytes);
        bytes.extend_from_slice(&tag);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Takes a text back; `None` if it is no cursor of this `query` that was made with this key.
    pub fn decode(text: &str, key: &CursorKey, query: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, given) = bytes.split_at_checked(1 + 8 * N)?;
        let is_ours: bool = tag(key, query, body).ct_eq(given).into();
        if !is_ours || body[0] != VERSION {
            return None;
        }
        let mut place = [0u64; N];
        for (number, chunk) in place.iter_mut().zip(body[1..].chunks_exact(8)) {
            *number = u64::from_be_bytes(chunk.try_into().ok()?);
        }
        Some(Self(place))
    }
}

/// The body has one length in each list, so its end tells where the query ends.
fn tag(key: &CursorKey, query: &str, body: &[u8]) -> [u8; TAG_LEN] {
    let whole = hmac(&key.0, &[b"cursor.", query.as_bytes(), &[0], body]);
    let mut tag = [0u8; TAG_LEN];
    tag.copy_from_slice(&whole[..TAG_LEN]);
    tag
}

/// One page of a list, before it is an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, const N: usize> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Cursor<N>>,
}

/// A list as the API answers it (§1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
    /// Where they begin; always present.
    pub next_cursor: Option<String>,
    /// The request that asked.
    pub request_id: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits() {
        assert_eq!(Limit::default().get(), 50);
        for (text, rows) in [("1", 1), ("100", 100), ("101", 100), ("99999999999999999999", 100)] {
            assert_eq!(Limit::parse(text).map(Limit::get), Some(rows), "{text}");
        }
        for text in ["0", "-1", "", "1.5", "ten", " 5", "+", "000"] {
            assert_eq!(Limit::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_survives_and_is_bound(place: [u64; 3], query in ".{0,20}", other in ".{0,20}") {
            let (cursor, key) = (Cursor::new(place), CursorKey::new([7; 32]));
            let text = cursor.encode(&key, &query);
            prop_assert_eq!(Cursor::decode(&text, &key, &query), Some(cursor));
            prop_assert_eq!(Cursor::<2>::decode(&text, &key, &query), None);
            let another = CursorKey::new([8; 32]);
            prop_assert_eq!(Cursor::<3>::decode(&text, &another, &query), None);
            prop_assume!(query != other);
            prop_assert_eq!(Cursor::<3>::decode(&text, &key, &other), None);
        }

        #[test]
        fn a_cursor_that_is_changed_is_none(place: [u64; 3], at in 0usize..41, bit in 0u8..8) {
            let key = CursorKey::new([7; 32]);
            let text = Cursor::new(place).encode(&key, "q");
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
            prop_assert_eq!(bytes.len(), 41);
            bytes[at] ^= 1 << bit;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(Cursor::<3>::decode(&changed, &key, "q"), None);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = Cursor::<1>::decode(&text, &CursorKey::new([7; 32]), "q");
        }
    }
}
