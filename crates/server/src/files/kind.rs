//! What kind of file it is: found from the bytes, checked against what the caller says.

use switchboard_model::{Code, Problem};

/// How many first bytes are looked at.
pub(crate) const HEAD: usize = 64 * 1024;

const UNKNOWN: &str = "application/octet-stream";
pub(crate) const VCARD: &str = "text/vcard";

/// The type of a file whose bytes begin with `head`. `declared` is the caller's Content-Type, `name` its
/// file name. A declared type that the bytes contradict is refused.
pub(crate) fn mime_type(
    head: &[u8],
    complete: bool,
    declared: Option<&str>,
    name: Option<&str>,
) -> Result<String, Problem> {
    let declared = declared.map(essence).transpose()?.flatten();
    if looks_like_vcard(head) {
        check_vcard(head, complete)?;
        return agree(VCARD, declared.as_deref());
    }
    if declared.as_deref() == Some(VCARD) {
        return Err(contradicted(VCARD, "no vCard: it must begin with BEGIN:VCARD"));
    }
    let guessed = name.and_then(|name| mime_guess::from_path(name).first_raw());
    if let Some(found) = found(head) {
        let said = declared.as_deref().or(guessed);
        let text = said.filter(|said| is_text(said) && may_be_text(found, head, complete));
        return match text {
            Some(text) => Ok(canonical(text).to_owned()),
            None => agree(found, declared.as_deref()),
        };
    }
    if let Some(declared) = declared {
        // Kinds that their first bytes always tell can't be claimed by bytes that do not.
        let family = declared.split('/').next().unwrap_or_default();
        let always_told = matches!(family, "image" | "audio" | "video")
            && !matches!(declared.as_str(), "image/svg+xml" | "audio/mpeg" | "audio/aac");
        if always_told {
            return Err(contradicted(&declared, "something else by its first bytes"));
        }
        return Ok(declared);
    }
    // A name alone must not make a picture of what is none.
    let plain =
        guessed.filter(|guess| guess.starts_with("text/") || guess.starts_with("application/"));
    Ok(plain.unwrap_or(UNKNOWN).to_owned())
}

/// The type of a file that came with a message. Nobody could do better if it were refused, so
/// where the phone says one thing and the bytes another, the bytes decide.
pub(crate) fn received_type(
    head: &[u8],
    complete: bool,
    declared: Option<&str>,
    name: Option<&str>,
) -> String {
    mime_type(head, complete, declared, name)
        .or_else(|_| mime_type(head, complete, None, name))
        .unwrap_or_else(|_| UNKNOWN.to_owned())
}

/// What the first bytes tell.
fn found(head: &[u8]) -> Option<&'static str> {
    // The voice memos of Apple's phones, which the library does not know.
    if head.starts_with(b"caff") {
        return Some("audio/x-caf");
    }
    // AIFF-C: of the two forms the library knows only the older.
    if head.starts_with(b"FORM") && head.get(8..12) == Some(b"AIFC") {
        return Some("audio/aiff");
    }
    infer::get(head).map(|found| found.mime_type())
}

/// Whether this is a kind of text, by its name.
fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || kind == "application/json" || kind.ends_with("+json")
}

/// Whether a text may begin like what was found: `BMW is a car maker` is no bitmap. What is found is a
/// few bytes that anybody may write; all that is binary soon has a NUL or what is no UTF-8. Of those that may
/// have neither, PDF and RTF are told by more than a few bytes, and texts are told apart elsewhere.
fn may_be_text(found: &str, head: &[u8], complete: bool) -> bool {
    let is_told = match found {
        "application/pdf" => head.starts_with(b"%PDF"),
        "application/rtf" => true,
        found => found.starts_with("text/"),
    };
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character of the first bytes may be cut in two.
        Err(error) => !complete && error.error_len().is_none(),
    };
    !is_told && is_utf8 && !head.contains(&0)
}

/// The type itself, lower-case; none if it says nothing.
fn essence(declared: &str) -> Result<Option<String>, Problem> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match essence.split_once('/') {
        // What HTTP clients say when nobody told them anything says nothing.
        _ if essence.is_empty()
            || essence == UNKNOWN
            || essence == "application/x-www-form-urlencoded" =>
        {
            Ok(None)
        }
        Some((family, kind)) if token(family) && token(kind) => Ok(Some(essence)),
        _ => {
            let message = "The Content-Type header must be the file's type, such as image/jpeg.";
            Err(Problem::new(Code::InvalidParameterValue, message).param("Content-Type"))
        }
    }
}

/// Decides between what was found and what was declared.
fn agree(found: &str, declared: Option<&str>) -> Result<String, Problem> {
    let Some(declared) = declared else { return Ok(canonical(found).to_owned()) };
    if canonical(found) == canonical(declared) {
        return Ok(canonical(declared).to_owned());
    }
    if is_one_of_several(canonical(found), canonical(declared)) {
        return Ok(declared.to_owned());
    }
    Err(contradicted(declared, found))
}

/// Whether the same first bytes may begin what was declared, too: then the caller knows better.
fn is_one_of_several(found: &str, declared: &str) -> bool {
    let family = |kind: &str| kind.split('/').next().unwrap_or_default().to_owned();
    let declared_family = family(declared);
    match found {
        // Containers that carry sound or pictures.
        "audio/mp4" | "video/mp4" | "video/quicktime" | "video/x-m4v" | "video/3gpp"
        | "video/webm" | "video/x-matroska" | "video/x-ms-wmv" => {
            matches!(declared_family.as_str(), "audio" | "video")
        }
        "audio/ogg" | "audio/opus" | "video/ogg" => {
            matches!(declared_family.as_str(), "audio" | "video") || declared == "application/ogg"
        }
        "image/heif" | "image/heic" => {
            matches!(declared, "image/heif" | "image/heic" | "image/heic-sequence")
        }
        "image/png" => declared == "image/apng",
        // The raw pictures of most cameras.
        "image/tiff" => declared.starts_with("image/x-"),
        "application/font-sfnt" | "application/font-woff" => {
            declared_family == "font" || declared.contains("font")
        }
        "text/xml" => declared.ends_with("xml") || declared_family == "text",
        _ if family(found) == "application" => is_in_archive(found, declared),
        _ => family(found) == "text" && declared_family == "text",
    }
}

/// Office documents, packages and the like are archives to who sees only the first bytes; and one of which
/// more was seen is still the archive that it is made of. What is none can't be declared as one.
fn is_in_archive(found: &str, declared: &str) -> bool {
    // What would itself have been found.
    let is_told = matches!(
        declared,
        "application/zip"
            | "application/gzip"
            | "application/x-ole-storage"
            | "application/pdf"
            | "application/rtf"
            | "application/json"
    );
    match found {
        "application/zip" => {
            (declared.starts_with("application/") && !is_told) || declared.ends_with("+zip")
        }
        "application/gzip" | "application/x-ole-storage" => {
            declared.starts_with("application/") && !is_told
        }
        "application/msword" | "application/vnd.ms-excel" | "application/vnd.ms-powerpoint" => {
            declared == "application/x-ole-storage"
        }
        "application/epub+zip" => declared == "application/zip",
        // Office has several types for each of its archives.
        _ => {
            let is_office = |kind: &str| {
                kind.starts_with("application/vnd.openxmlformats-")
                    || kind.starts_with("application/vnd.oasis.opendocument.")
            };
            let is_macro = declared.starts_with("application/vnd.ms-");
            is_office(found) && (declared == "application/zip" || is_macro || is_office(declared))
        }
    }
}

fn contradicted(declared: &str, found: &str) -> Problem {
    let message = format!("The Content-Type says {declared}, but the file is {found}.");
    Problem::new(Code::InvalidParameterValue, message).param("Content-Type")
}

/// One name for types that go by several.
fn canonical(kind: &str) -> &str {
    match kind {
        "application/x-dosexec" | "application/x-msdos-program" | "application/x-msdownload" => {
            "application/vnd.microsoft.portable-executable"
        }
        "application/x-gzip" => "application/gzip",
        "application/x-pdf" => "application/pdf",
        "application/x-rar-compressed" => "application/vnd.rar",
        "application/x-rtf" | "text/richtext" | "text/rtf" => "application/rtf",
        "application/x-sh" | "text/x-sh" => "text/x-shellscript",
        "application/x-sqlite3" => "application/vnd.sqlite3",
        "application/x-zip" | "application/x-zip-compressed" => "application/zip",
        "audio/m4a" | "audio/x-m4a" => "audio/mp4",
        "audio/mid" | "audio/x-midi" => "audio/midi",
        "audio/mp3" | "audio/mpeg3" | "audio/x-mpeg" => "audio/mpeg",
        "audio/x-aac" | "audio/aacp" => "audio/aac",
        "audio/x-flac" => "audio/flac",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav",
        "audio/aifc" | "audio/x-aifc" | "audio/x-aiff" => "audio/aiff",
        "audio/caf" => "audio/x-caf",
        "image/ico" | "image/x-ico" | "image/x-icon" => "image/vnd.microsoft.icon",
        "image/jpg" | "image/pjpeg" => "image/jpeg",
        "image/x-bmp" | "image/x-ms-bmp" => "image/bmp",
        "image/x-png" => "image/png",
        "text/x-vcard" | "text/directory" => VCARD,
        "video/avi" | "video/msvideo" => "video/x-msvideo",
        other => other,
    }
}

fn looks_like_vcard(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    text.get(..11).is_some_and(|start| start.eq_ignore_ascii_case(b"BEGIN:VCARD"))
}

/// A vCard that the library can't read would not be one on the phone either.
fn check_vcard(head: &[u8], complete: bool) -> Result<(), Problem> {
    if !complete {
        // A photo inside can make it long; what is beyond the first bytes is taken on trust.
        return Ok(());
    }
    let text =
        std::str::from_utf8(head).map_err(|_| contradicted(VCARD, "no vCard: it is not UTF-8"))?;
    match calcard::Parser::new(text).entry() {
        calcard::Entry::VCard(card) if !card.entries.is_empty() => Ok(()),
        _ => Err(contradicted(VCARD, "no vCard that can be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const CARD: &[u8] = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann Lee\r\nEND:VCARD\r\n";

    fn kind(
        head: &[u8],
        declared: Option<&str>,
        name: Option<&str>,
    ) -> Result<String, &'static str> {
        mime_type(head, true, declared, name).map_err(|problem| problem.code.as_str())
    }

    #[test]
    fn the_bytes_decide() {
        assert_eq!(kind(PNG, None, Some("a.txt")).unwrap(), "image/png");
        assert_eq!(kind(PNG, Some("application/octet-stream"), None).unwrap(), "image/png");
        assert_eq!(kind(PNG, Some("image/png; x=y"), None).unwrap(), "image/png");
        assert!(kind(PNG, Some("image/jpeg"), None).is_err());
        let wav = b"RIFF\x24\0\0\0WAVEfmt ";
        assert_eq!(kind(wav, Some("audio/x-wav"), None).unwrap(), "audio/wav");
        assert!(kind(wav, Some("audio/mpeg"), None).is_err());
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1";
        assert_eq!(kind(heic, Some("image/heic"), None).unwrap(), "image/heic");
        let svg = b"<?xml version=\"1.0\"?><svg/>";
        assert_eq!(kind(svg, Some("image/svg+xml"), None).unwrap(), "image/svg+xml");
        assert!(kind(b"%PDF-1.7\n\0", Some("application/zip"), None).is_err());
        let zip = b"PK\x03\x04\x14\0\0\0";
        assert_eq!(kind(zip, Some("application/epub+zip"), None).unwrap(), "application/epub+zip");
        assert!(kind(zip, Some("image/png"), None).is_err());
        assert!(kind(b"hello", Some("image/png"), None).is_err());
        assert_eq!(kind(b"hello", Some("text/plain"), None).unwrap(), "text/plain");
        assert_eq!(kind(b"a,b", None, Some("a.csv")).unwrap(), "text/csv");
        assert_eq!(kind(b"hello", None, Some("a.png")).unwrap(), UNKNOWN);
        assert!(kind(b"hello", Some("nonsense"), None).is_err());
        assert_eq!(kind(b"caff\0\x01", Some("audio/caf"), None).unwrap(), "audio/x-caf");
    }

    #[test]
    fn of_what_came_with_a_message_nothing_is_refused() {
        let received = |head, declared| received_type(head, true, Some(declared), None);
        assert_eq!(received(PNG, "image/jpeg"), "image/png");
        assert_eq!(received(b"hello", "image/png"), UNKNOWN);
        assert_eq!(received(b"hello", "text/plain"), "text/plain");
        assert_eq!(received(b"BEGIN:VCARD\r\n", "text/vcard"), UNKNOWN);
        assert_eq!(received(b"hello", "nonsense"), UNKNOWN);
    }

    #[test]
    fn a_vcard_must_be_one() {
        assert_eq!(kind(CARD, Some("text/vcard"), None).unwrap(), VCARD);
        assert_eq!(kind(CARD, None, None).unwrap(), VCARD);
        assert_eq!(kind(CARD, Some("text/x-vcard; charset=utf-8"), None).unwrap(), VCARD);
        assert!(kind(b"hello", Some("text/vcard"), None).is_err());
        assert!(kind(b"BEGIN:VCARD\r\n", Some("text/vcard"), None).is_err());
    }
}
