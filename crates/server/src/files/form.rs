//! A form where the bytes of a file are wanted: what `curl -F` sends.

use switchboard_model::{Code, Problem};

use super::kind::is_plain_text;

/// The longest boundary between the parts of a form (RFC 2046).
const MAX_BOUNDARY: usize = 70;
/// How many bytes before the first part are looked at.
const MAX_BEFORE: usize = 1024;
/// How many header lines of the first part are looked at.
const MAX_FIELDS: usize = 32;

/// Whether this Content-Type announces a body of several parts.
pub(crate) fn is_declared(content_type: &str) -> bool {
    let essence = content_type.split([';', ',']).next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    // That is an archive, for all its name.
    essence.starts_with("multipart/") && essence != "multipart/x-zip"
}

/// Whether a body is a form all the same: `curl -F` with a Content-Type of the caller's own, or with none.
pub(crate) fn is_one(head: &[u8], declared: Option<&str>) -> bool {
    let body = head.trim_ascii_start();
    if begins_part(body) {
        return true;
    }
    // A declared text may show a form further on, such as an example of a request.
    let is_text =
        declared.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/"));
    let before = &head[..head.len().min(MAX_BEFORE)];
    !is_text
        && before
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .any(|(at, _)| begins_part(&head[at + 1..]) && is_plain_text(&head[..at], true))
}

/// Whether this begins with a boundary and the header lines of a field of a form.
fn begins_part(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let is_boundary = |line: &[u8]| {
        line.strip_prefix(b"--").is_some_and(|name| (1..=MAX_BOUNDARY).contains(&name.len()))
    };
    lines.next().is_some_and(is_boundary)
        && lines.take(MAX_FIELDS).take_while(|line| !line.is_empty()).any(is_field)
}

/// Whether this header line says that the part is a field of a form.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    let disposition = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"Content-Disposition")
        && disposition.eq_ignore_ascii_case(b"form-data")
}

/// What to do instead.
pub(crate) fn refusal() -> Problem {
    let message = "Send the bytes of the file as the body, not a form. With curl: --data-binary @FILE \
                   -H 'Content-Type: image/jpeg' instead of -F, and the name in the header X-Filename.";
    Problem::new(Code::UnsupportedMediaType, message)
}
