//! vCards, as address books of thirty years write them: in any encoding, of any version, one or several.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How many lines before the card are looked at.
const MAX_LINES_BEFORE: usize = 32;

/// Whether the bytes begin like a vCard, after what many programs put before it.
pub(super) fn begins(head: &[u8]) -> bool {
    content(&text(head)).is_some()
}

/// What follows the line that begins the card. Blank lines, comments and lines that tell the encoding may go before it.
fn content(text: &str) -> Option<&str> {
    let mut rest = text;
    for _ in 0..MAX_LINES_BEFORE {
        rest = rest.trim_start_matches(is_blank);
        let (line, after) = rest.split_once(['\r', '\n']).unwrap_or((rest, ""));
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let (name, value) = (name.trim().to_ascii_uppercase(), value.trim_start());
        match name.as_str() {
            "BEGIN" => {
                let kind = value.get(.."VCARD".len())?;
                return kind.eq_ignore_ascii_case("VCARD").then_some(after);
            }
            "ENCODING" | "CHARSET" => {}
            _ if line.starts_with('#') => {}
            _ => return None,
        }
        rest = after;
    }
    None
}

/// Whether this is not seen: spaces, ends of lines, byte order marks, spaces of no width.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
}

/// Whether a phone finds something in it.
pub(super) fn is_readable(head: &[u8], complete: bool) -> bool {
    if !complete {
        // A photo inside can make it long; what is beyond the first bytes is taken on trust.
        return true;
    }
    let text = text(head);
    let Some(content) = content(&text) else { return false };
    // Old Macs end lines with CR alone.
    let lines = || content.split(['\r', '\n']).map(str::trim);
    let is_property = |line: &str| {
        let name = line.split([':', ';']).next().unwrap_or_default().trim().to_ascii_uppercase();
        line.contains(':') && !matches!(name.as_str(), "BEGIN" | "VERSION" | "END" | "")
    };
    let is_end = |line: &str| {
        line.split_once(':').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("END") && value.trim().eq_ignore_ascii_case("VCARD")
        })
    };
    if lines().any(is_property) && lines().any(is_end) {
        return true;
    }
    matches!(
        calcard::Parser::new(text.trim_start_matches(is_blank)).entry(),
        calcard::Entry::VCard(card) if !card.entries.is_empty()
    )
}

/// The text of a card. Encodings of old are told by a property of each line, if at all; but its names and signs
/// are ASCII in all of them, and so in this one.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xff, 0xfe, 0, 0, rest @ ..] => return utf32(rest, u32::from_le_bytes).into(),
        [0, 0, 0xfe, 0xff, rest @ ..] => return utf32(rest, u32::from_be_bytes).into(),
        _ => {}
    }
    let (encoding, skip) = match Encoding::for_bom(bytes) {
        Some(marked) => marked,
        None => match bytes {
            [0, first, ..] if first.is_ascii() => (UTF_16BE, 0),
            [first, 0, ..] if first.is_ascii() => (UTF_16LE, 0),
            bytes => match std::str::from_utf8(bytes) {
                Err(error) if error.error_len().is_some() => (WINDOWS_1252, 0),
                // The last character of the first bytes may be cut in two.
                _ => (UTF_8, 0),
            },
        },
    };
    encoding.decode_without_bom_handling(&bytes[skip..]).0
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> String {
    let (units, _) = bytes.as_chunks();
    units
        .iter()
        .map(|four| char::from_u32(unit(*four)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
