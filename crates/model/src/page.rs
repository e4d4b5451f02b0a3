//! Pages: how many rows, and from where (§5).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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

/// A place in a list, bound to the query that it came from: a cursor of another query is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<const N: usize>([u64; N]);

const VERSION: u8 = 1;
const TAG_LEN: usize = 8;

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
    pub fn encode(&self, query: &str) -> String {
        let mut bytes = vec![VERSION];
        for number in self.0 {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let tag = tag(query, &bytes);
        bytes.extend_from_slice(&tag);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Takes a text back; `None` if it is no cursor of this `query`.
    pub fn decode(text: &str, query: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, given) = bytes.split_at_checked(1 + 8 * N)?;
        if given != tag(query, body) || body[0] != VERSION {
            return None;
        }
        let mut place = [0u64; N];
        for (number, chunk) in place.iter_mut().zip(body[1..].chunks_exact(8)) {
            *number = u64::from_be_bytes(chunk.try_into().ok()?);
        }
        Some(Self(place))
    }
}

/// Eight bytes that tell cursors of different queries apart. No secret: what a
/// forged cursor could reach is bounded by the filters, not by the cursor.
fn tag(query: &str, body: &[u8]) -> [u8; TAG_LEN] {
    let digest = Sha256::new().chain_update(query).chain_update([0]).chain_update(body).finalize();
    let mut tag = [0u8; TAG_LEN];
    tag.copy_from_slice(&digest[..TAG_LEN]);
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
            let cursor = Cursor::new(place);
            let text = cursor.encode(&query);
            prop_assert_eq!(Cursor::decode(&text, &query), Some(cursor));
            prop_assert_eq!(Cursor::<2>::decode(&text, &query), None);
            prop_assume!(query != other);
            prop_assert_eq!(Cursor::<3>::decode(&text, &other), None);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = Cursor::<1>::decode(&text, "q");
        }
    }
}
