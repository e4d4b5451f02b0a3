//! A form where the bytes of a file are wanted: what `curl -F` sends.

use switchboard_model::{Code, Problem};

/// Whether this Content-Type announces a form with files.
pub(crate) fn is_declared(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("multipart/form-data")
}

/// Whether a body is one all the same: `curl -F` with a Content-Type of the caller's own, or with none.
pub(crate) fn is_one(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"Content-Disposition: form-data;";
    let end_of_line = |text: &[u8]| text.windows(2).position(|pair| pair == b"\r\n");
    head.starts_with(b"--")
        // The boundary is at most 70 characters long (RFC 2046).
        && end_of_line(&head[..head.len().min(74)]).is_some_and(|end| {
            head[end + 2..]
                .get(..FIELD.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(FIELD))
        })
}

/// What to do instead.
pub(crate) fn refusal() -> Problem {
    let message = "Send the bytes of the file as the body, not a form. With curl: --data-binary @FILE \
                   -H 'Content-Type: image/jpeg' instead of -F, and the name in the header X-Filename.";
    Problem::new(Code::UnsupportedMediaType, message)
}
