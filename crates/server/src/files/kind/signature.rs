//! What the first bytes of a file tell.
//!
//! Two sources. Kinds that can contradict a declared type have their signatures here, each long enough to be no
//! accident. All others are told by the `file-format` crate: good enough to name a file of which nothing is said,
//! and never a reason to refuse one.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::{container, family::Family};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Cow<'static, str>,
    /// None if the kind is too uncertain to contradict anything.
    pub(super) family: Option<Family>,
}

const fn of(family: Family, kind: &'static str) -> Option<Found> {
    Some(Found { kind: Cow::Borrowed(kind), family: Some(family) })
}

const fn named(kind: &'static str) -> Option<Found> {
    Some(Found { kind: Cow::Borrowed(kind), family: None })
}

/// How many bytes of a text are looked at.
const TEXT_START: usize = 4096;

pub(super) fn find(head: &[u8]) -> Option<Found> {
    certain(head).or_else(|| uncertain(head))
}

/// Prefixes that no file has by accident.
const PREFIXES: &[(&[u8], Family, &str)] = &[
    (b"\x89PNG\r\n", Family::Png, "image/png"),
    (b"\xff\xd8\xff", Family::Jpeg, "image/jpeg"),
    (b"GIF87a", Family::Gif, "image/gif"),
    (b"GIF89a", Family::Gif, "image/gif"),
    (b"fLaC", Family::Flac, "audio/flac"),
    (b"caff\0\x01", Family::Caf, "audio/x-caf"),
    (b"#!AMR-WB", Family::Amr, "audio/amr-wb"),
    (b"#!AMR", Family::Amr, "audio/amr"),
    (b"PK\x03\x04", Family::Zip, "application/zip"),
    (b"PK\x05\x06", Family::Zip, "application/zip"),
    (b"PK\x07\x08", Family::Zip, "application/zip"),
    (b"\x1f\x8b\x08", Family::Gzip, "application/gzip"),
    (b"Rar!\x1a\x07", Family::Rar, "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", Family::SevenZip, "application/x-7z-compressed"),
    (b"\xfd7zXZ\0", Family::Xz, "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", Family::Zstd, "application/zstd"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Family::Compound, "application/x-ole-storage"),
    (b"{\\rtf", Family::Rtf, "application/rtf"),
    (b"#!/", Family::Script, "text/x-shellscript"),
    (b"#! /", Family::Script, "text/x-shellscript"),
    (b"\x7fELF", Family::Executable, "application/x-executable"),
    (b"\xfe\xed\xfa\xce", Family::Executable, "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", Family::Executable, "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", Family::Executable, "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", Family::Executable, "application/x-mach-binary"),
    (b"dex\n0", Family::Executable, "application/vnd.android.dex"),
];

fn certain(head: &[u8]) -> Option<Found> {
    let (kind, family) = match head {
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => {
            ("image/tiff", Family::Tiff)
        }
        [b'I', b'D', b'3', 2..=4, ..] => return Some(tagged(head)),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => {
            ("application/x-bzip2", Family::Bzip2)
        }
        [b'B', b'M', rest @ ..] if has_nul(rest, 28) && !rest.starts_with(b"F") => {
            ("image/bmp", Family::Bmp)
        }
        [b'M', b'Z', rest @ ..] if has_nul(rest, 62) => {
            ("application/vnd.microsoft.portable-executable", Family::Executable)
        }
        // A Java class begins alike, but its version is greater than a program has processors.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=20, ..] => {
            ("application/x-mach-binary", Family::Executable)
        }
        [0xca, 0xfe, 0xba, 0xbe, ..] => ("application/java-vm", Family::Executable),
        [b'O', b'g', b'g', b'S', ..] => (container::ogg(head), Family::Ogg),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => (container::matroska(head), Family::Matroska),
        _ if head.starts_with(container::ASF) => (container::asf(head), Family::Asf),
        _ => {
            return container::riff(head)
                .or_else(|| container::iff(head))
                .or_else(|| container::iso(head))
                .and_then(|(kind, family)| of(family, kind))
                .or_else(|| prefixed(head))
                .or_else(|| pdf(head))
                .or_else(|| markup(head));
        }
    };
    of(family, kind)
}

fn prefixed(head: &[u8]) -> Option<Found> {
    let (_, family, kind) = PREFIXES.iter().find(|(prefix, ..)| head.starts_with(prefix))?;
    let kind = match family {
        Family::Zip => container::zip(head),
        Family::Compound => container::compound(head),
        _ => kind,
    };
    of(*family, kind)
}

/// What an ID3 tag goes before. Past the first bytes, it is told by the tag alone.
fn tagged(head: &[u8]) -> Found {
    let length = head
        .get(6..10)
        .map(|size| size.iter().fold(0, |length, byte| (length << 7) | usize::from(byte & 0x7f)));
    let rest = length.and_then(|length| head.get(10 + length..)).unwrap_or_default();
    let kind = match rest {
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [b'M', b'A', b'C', b' ', ..] => "audio/x-ape",
        [b'T', b'T', b'A', b'1', ..] => "audio/x-tta",
        [b'w', b'v', b'p', b'k', ..] => "audio/wavpack",
        rest => container::mpeg_audio(rest).unwrap_or("audio/mpeg"),
    };
    Found { kind: Cow::Borrowed(kind), family: Some(Family::Tagged) }
}

/// Readers look for the mark in the first kilobyte.
fn pdf(head: &[u8]) -> Option<Found> {
    const MARK: &[u8] = b"%PDF-";
    let start = &head[..head.len().min(1024)];
    let is_one = head.starts_with(MARK)
        || (!is_utf8(head, false) && start.windows(MARK.len()).any(|here| here == MARK));
    is_one.then_some(())?;
    of(Family::Pdf, "application/pdf")
}

/// Web pages and XML, in any encoding that a byte order mark tells.
fn markup(head: &[u8]) -> Option<Found> {
    let text = text_start(head);
    let text = after_comments(&text);
    let begins = |with: &str| {
        text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
            && !text[with.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
    };
    if ["<!doctype html", "<html", "<head", "<body", "<script", "<iframe"].into_iter().any(begins) {
        return of(Family::Html, "text/html");
    }
    if begins("<svg") || begins("<!doctype svg") {
        return of(Family::Xml, "image/svg+xml");
    }
    if !begins("<?xml") {
        return None;
    }
    let root = text.split('<').find_map(|part| {
        let name = part.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next()?;
        name.starts_with(|c: char| c.is_alphabetic()).then_some(name)
    });
    match root.map(|root| root.rsplit(':').next().unwrap_or(root)) {
        Some("svg") => of(Family::Xml, "image/svg+xml"),
        // Browsers run what is in it as they do in a page.
        Some("html") => of(Family::Html, "application/xhtml+xml"),
        _ => of(Family::Xml, "text/xml"),
    }
}

fn text_start(head: &[u8]) -> Cow<'_, str> {
    let (encoding, skip) = Encoding::for_bom(head).unwrap_or((UTF_8, 0));
    let end = head.len().min(TEXT_START);
    encoding.decode_without_bom_handling(&head[skip.min(end)..end]).0
}

fn after_comments(text: &str) -> &str {
    let mut text = text.trim_start();
    while let Some(rest) = text.strip_prefix("<!--") {
        let Some((_, rest)) = rest.split_once("-->") else { break };
        text = rest.trim_start();
    }
    text
}

/// What names a file of which nothing is said.
fn uncertain(head: &[u8]) -> Option<Found> {
    let transport = |start: usize, step: usize| {
        head.len() > start + step
            && head[start..].iter().step_by(step).take(5).all(|byte| *byte == 0x47)
    };
    let own = match head {
        [0x7f, 0xfe, 0x80, 0x01, ..]
        | [0xfe, 0x7f, 0x01, 0x80, ..]
        | [0x1f, 0xff, 0xe8, 0x00, ..]
        | [0xff, 0x1f, 0x00, 0xe8, ..] => Some("audio/vnd.dts"),
        [0x0b, 0x77, _, _, _, bsid, ..] if bsid >> 3 > 10 => Some("audio/eac3"),
        [0x0b, 0x77, ..] => Some("audio/ac3"),
        [0x78, 0x9f, 0x3e, 0x22, ..] => Some("application/vnd.ms-tnef"),
        _ if head.starts_with(b"bplist0") => Some("application/x-plist"),
        _ if head.starts_with(b"TTA1") => Some("audio/x-tta"),
        _ if head.starts_with(b"ADIF") => Some("audio/aac"),
        _ if transport(0, 188) || transport(4, 192) => Some("video/mp2t"),
        _ => container::mpeg_audio(head),
    };
    let is_text = is_utf8(head, false);
    if let Some(kind) = own.filter(|_| !is_text) {
        return named(kind);
    }
    let format = file_format::FileFormat::from_bytes(head);
    let kind = match format.media_type() {
        // A Targa picture begins like a cursor of no pictures.
        "image/x-win-bitmap" if head.get(4..6).is_none_or(|count| count == [0, 0]) => return None,
        // Two or three bytes, which many a file begins with by accident.
        "application/octet-stream"
        | "application/x-empty"
        | "application/x-x509-ca-cert"
        | "application/x-apple-diskimage"
        | "application/x-coff"
        | "application/x-commodore-64-program"
        | "application/x-amiga-disk-format"
        | "application/x-cpio"
        | "video/x-fli"
        | "video/x-flc"
        | "video/x-mtv"
        | "video/mp2t"
        | "audio/mpeg"
        | "audio/aac" => return None,
        "video/matroska" => "video/x-matroska",
        "audio/matroska" => "audio/x-matroska",
        kind => kind,
    };
    let is_one = is_text_kind(kind) || !is_text;
    is_one.then(|| Found { kind: Cow::Owned(kind.to_owned()), family: None })
}

/// Whether a file of this kind is a text.
fn is_text_kind(kind: &str) -> bool {
    super::family::is_text_type(kind)
        || matches!(
            kind,
            "application/postscript"
                | "application/x-pem-file"
                | "application/pgp"
                | "application/pgp-keys"
                | "application/pgp-signature"
                | "application/x-subrip"
                | "application/x-bittorrent"
                | "audio/x-mpegurl"
                | "audio/x-scpls"
                | "image/svg+xml"
                | "image/x-eps"
                | "image/x-xpixmap"
                | "model/step"
                | "model/vrml"
                | "model/x-ply-ascii"
        )
}

/// Whether this is UTF-8 without NUL, which all that is binary soon has.
pub(super) fn is_utf8(head: &[u8], complete: bool) -> bool {
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character of the first bytes may be cut in two.
        Err(error) => !complete && error.error_len().is_none(),
    };
    is_utf8 && !head.contains(&0)
}

/// Whether this may be a text in an encoding of old: no byte of it is a control character that texts do not have.
pub(super) fn is_old_text(head: &[u8]) -> bool {
    !head.iter().any(|byte| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f))
}

fn has_nul(bytes: &[u8], within: usize) -> bool {
    bytes[..bytes.len().min(within)].contains(&0)
}
