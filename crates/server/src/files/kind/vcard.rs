//! vCards, as address books of thirty years write them: in any encoding, of any version, one or several.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Whether the bytes begin like a vCard, after what many programs put before it.
pub(super) fn begins(head: &[u8]) -> bool {
    const BEGIN: &str = "BEGIN:VCARD";
    // All of that in UTF-16, and blank lines.
    let start = &head[..head.len().min(256)];
    let text = text(start);
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    text.get(..BEGIN.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(BEGIN))
}

/// Whether a phone finds something in it.
pub(super) fn is_readable(head: &[u8], complete: bool) -> bool {
    if !complete {
        // A photo inside can make it long; what is beyond the first bytes is taken on trust.
        return true;
    }
    let text = text(head);
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    // Old Macs end lines with CR alone.
    let lines = || text.split(['\r', '\n']).map(str::trim);
    let is_property = |line: &str| {
        let name = line.split([':', ';']).next().unwrap_or_default().to_ascii_uppercase();
        line.contains(':') && !matches!(name.as_str(), "BEGIN" | "VERSION" | "END" | "")
    };
    let is_end = |line: &str| line.eq_ignore_ascii_case("END:VCARD");
    if lines().any(is_property) && lines().any(is_end) {
        return true;
    }
    matches!(
        calcard::Parser::new(text).entry(),
        calcard::Entry::VCard(card) if !card.entries.is_empty()
    )
}

/// The text of a card. Encodings of old are told by a property of each line, if at all; but its names and signs
/// are ASCII in all of them, and so in this one.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let (encoding, skip) = match Encoding::for_bom(bytes) {
        Some(marked) => marked,
        None => match bytes {
            [0, first, ..] if first.is_ascii() => (UTF_16BE, 0),
            [first, 0, ..] if first.is_ascii() => (UTF_16LE, 0),
            bytes if std::str::from_utf8(bytes).is_ok() => (UTF_8, 0),
            _ => (WINDOWS_1252, 0),
        },
    };
    encoding.decode_without_bom_handling(&bytes[skip..]).0
}
