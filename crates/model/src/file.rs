//! Files: what is uploaded to be sent, and what came with a message (§6, §7).

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, Kind},
    schema::FILE_URL,
    text::turns_direction,
    time::Timestamp,
};

/// The longest file name that is kept, in bytes: what common file systems take.
pub const MAX_NAME_BYTES: usize = 200;

/// How long an upload that no message refers to is kept, in milliseconds: 24 h.
pub const UNREFERENCED_MS: u64 = 24 * 3_600_000;

/// A file that was uploaded to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// The file's id, for `attachments` and `audio_message`.
    pub id: Id<File>,
    /// Where to download it, with no key. Signed; expires.
    #[schemars(example = FILE_URL)]
    pub url: Option<String>,
    /// Its name, made safe.
    #[schemars(example = &"menu.pdf")]
    pub filename: Option<String>,
    /// Its type, found from its bytes.
    #[schemars(example = &"application/pdf")]
    pub mime_type: String,
    /// Its size in bytes.
    #[schemars(example = 48_213)]
    pub size: u64,
}

impl Kind for File {
    const PREFIX: &'static str = "file_";
}

/// The SHA-256 of a file's bytes: what they are known again by. They are kept under the file's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl std::fmt::Display for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = [0; 64];
        f.write_str(HEXLOWER.encode_mut_str(&self.0, &mut text))
    }
}

/// A file as it is written down: with the hash of its bytes, without an URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// `file_…`
    pub id: Id<File>,
    /// Its name.
    pub filename: Option<String>,
    /// Its type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of what it holds.
    pub content: ContentHash,
    /// When it was kept, by the steady clock.
    pub created_at: Timestamp,
}

/// Makes a name that somebody else chose safe to be kept, sent and offered for
/// download: its last path component, without control characters, quotes or
/// characters that change the direction of text, of bounded length. None if nothing is left.
pub fn safe_name(text: &str) -> Option<String> {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !is_hostile(*c)).collect();
    let clean = clean.trim().trim_start_matches('.').trim_end_matches(['.', ' ']);
    if clean.chars().all(is_joiner) {
        return None;
    }
    Some(shortened(clean).into_owned())
}

fn is_hostile(c: char) -> bool {
    let breaks_lines = matches!(c, '\u{2028}' | '\u{2029}');
    let is_invisible = matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}');
    c.is_control()
        || turns_direction(c)
        || breaks_lines
        || is_invisible
        || matches!(c, '"' | '<' | '>' | '|' | ':' | '*' | '?')
}

/// Whether this joins or parts its neighbours: a family emoji and a Persian word are others without them.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Cuts a long name in its middle: the extension says what it is.
fn shortened(name: &str) -> Cow<'_, str> {
    if name.len() <= MAX_NAME_BYTES {
        return name.into();
    }
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if name.len() - dot <= 20 => name.split_at(dot),
        _ => (name, ""),
    };
    let mut end = MAX_NAME_BYTES - extension.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let stem = stem[..end].trim_end_matches(|c| is_joiner(c) || c == ' ' || c == '.');
    format!("{stem}{extension}").into()
}

/// Whether this type is a voice memo that POST /v1/audio-messages takes: m4a/aac, mp3, wav, caf, aiff (§7).
pub fn is_audio_message_type(mime_type: &str) -> bool {
    matches!(
        mime_type,
        "audio/mp4"
            | "audio/m4a"
            | "audio/x-m4a"
            | "audio/m4b"
            | "audio/x-m4b"
            | "audio/aac"
            | "audio/mpeg"
            | "audio/mp3"
            | "audio/wav"
            | "audio/x-wav"
            | "audio/vnd.wave"
            | "audio/x-caf"
            | "audio/aiff"
            | "audio/x-aiff"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lose_what_could_hurt() {
        for (given, kept) in [
            ("photo.jpg", Some("photo.jpg")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\temp\\a.txt", Some("a.txt")),
            (".htaccess", Some("htaccess")),
            ("a\r\nSet-Cookie: x", Some("aSet-Cookie x")),
            ("gpj.\u{202e}exe", Some("gpj.exe")),
            ("\"quoted\".pdf", Some("quoted.pdf")),
            ("a\u{2067}b\u{2069}\u{61c}\u{2028}c.pdf", Some("abc.pdf")),
            ("👨\u{200d}👩\u{200d}👧.jpg", Some("👨\u{200d}👩\u{200d}👧.jpg")),
            ("می\u{200c}خواهم.pdf", Some("می\u{200c}خواهم.pdf")),
            ("❤\u{fe0f}.png", Some("❤\u{fe0f}.png")),
            ("100%.png", Some("100%.png")),
            ("\u{200d}\u{200c}", None),
            ("...", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(safe_name(given).as_deref(), kept, "{given:?}");
        }
        let long = safe_name(&format!("{}.jpeg", "ä".repeat(300))).unwrap();
        assert!(long.len() <= MAX_NAME_BYTES && long.ends_with(".jpeg"));
        for cut in 0..40 {
            let families =
                format!("{}{}.jpeg", "x".repeat(cut), "👨\u{200d}👩\u{200d}👧. ".repeat(20));
            let long = safe_name(&families).unwrap();
            assert!(long.len() <= MAX_NAME_BYTES && !long.contains("\u{200d}.jpeg"), "{long}");
            assert_eq!(safe_name(&long), Some(long));
        }
    }

    proptest! {
        #[test]
        fn a_safe_name_is_safe_again(text: String) {
            if let Some(name) = safe_name(&text) {
                prop_assert!(name.len() <= MAX_NAME_BYTES && !name.contains(['/', '\\', '\n']));
                prop_assert_eq!(safe_name(&name), Some(name));
            }
        }

        #[test]
        fn a_content_hash_is_its_hex(bytes: [u8; 32]) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(ContentHash(bytes).to_string(), hex);
        }
    }
}
