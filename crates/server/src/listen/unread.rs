//! Why the head of a request could not be read: hyper says only that it could not.

use switchboard_model::{Code, Problem};

/// The most headers that hyper takes.
const MAX_HEADERS: usize = 100;
/// The most of a head that is kept to say what was wrong with it.
pub(super) const MAX_KEPT: usize = 8 * 1024;

/// What is answered in the place of hyper's `status`; none if that is no error of its own. `head` is the beginning of
/// what was read, or nothing if that is not known.
pub(super) fn problem(status: &str, head: &[u8]) -> Option<Problem> {
    let head = Head::of(head);
    let (code, message) = match status {
        "400" => match head.length() {
            Some(Length::TooLong) => TOO_LONG_BODY,
            length => return Some(malformed(&head, length.as_ref())),
        },
        "414" => (Code::RequestTooLarge, LONG_URL),
        "431" => match head.length() {
            _ if head.is_url_cut() => (Code::RequestTooLarge, LONG_URL),
            Some(Length::TooLong) => TOO_LONG_BODY,
            _ if head.headers.len() > MAX_HEADERS => {
                (Code::RequestTooLarge, "The request has more than 100 headers.")
            }
            _ if head.is_whole => (Code::RequestTooLarge, "The headers are too long."),
            _ => (Code::RequestTooLarge, "The headers are too long, or more than 100."),
        },
        _ => return None,
    };
    Some(Problem::new(code, message))
}

const LONG_URL: &str = "The URL is too long.";
const TOO_LONG_BODY: (Code, &str) =
    (Code::RequestTooLarge, "The Content-Length is larger than any body that is taken.");

/// The mistake in a head that is no HTTP/1.1.
fn malformed(head: &Head<'_>, length: Option<&Length>) -> Problem {
    let wrong = |message: String| Problem::new(Code::InvalidParameterValue, message);
    let escape = "Percent-encode what is not plain ASCII in the URL.";
    let Some(first) = head.first else {
        return wrong(format!(
            "The request is no HTTP/1.1: its first line or one of its headers is malformed. {escape}"
        ));
    };
    let words: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
    let (method, version) = (words[0], words[words.len() - 1]);
    if !is_token(method) || !version.starts_with(b"HTTP/") {
        return wrong(format!(
            "The request is no HTTP/1.1: its first line must be a method, a URL and HTTP/1.1. {escape}"
        ));
    }
    if version != b"HTTP/1.1" && version != b"HTTP/1.0" {
        return wrong("This server speaks only HTTP/1.1.".into());
    }
    let is_plain = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    if words.len() != 3 || !is_plain(&words[1]) {
        return wrong(format!("The URL must be there, and without spaces. {escape}"));
    }
    for (at, line) in head.headers.iter().enumerate() {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if name.len() == line.len() || !is_token(name) {
            let message = "is malformed: a header is a name without spaces, a colon and a value.";
            return wrong(format!("The header in line {} {message}", at + 2));
        }
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            let name = String::from_utf8_lossy(name);
            return wrong(format!("The {name} header must not have control characters in it."));
        }
    }
    if let Some(Length::Malformed) = length {
        return wrong("The Content-Length header must be a whole number of bytes.".into());
    }
    if head.values(b"content-length").nth(1).is_some() {
        return wrong("Send one Content-Length header, not several.".into());
    }
    if head.values(b"transfer-encoding").next().is_some() {
        return wrong("The Transfer-Encoding header must end with 'chunked'.".into());
    }
    wrong(format!("The URL is malformed. {escape}"))
}

/// What a Content-Length says that hyper does not take.
enum Length {
    Malformed,
    TooLong,
}

/// The beginning of what was read, in lines.
struct Head<'a> {
    first: Option<&'a [u8]>,
    headers: Vec<&'a [u8]>,
    /// Whether all of the first line is here.
    has_first_line: bool,
    is_whole: bool,
}

impl<'a> Head<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        // An empty line before the request is passed over (RFC 9112 §2.2).
        let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
        let bytes = &bytes[start..];
        let without_cr = |line: &'a [u8]| line.strip_suffix(b"\r").unwrap_or(line);
        let mut lines = bytes.split(|byte| *byte == b'\n').map(without_cr);
        let first = lines.next().filter(|line| !line.is_empty());
        let mut headers: Vec<&[u8]> = lines.collect();
        let end = headers.iter().position(|line| line.is_empty());
        let is_whole = end.is_some_and(|end| end + 1 < headers.len());
        // The last one may be cut.
        headers.truncate(end.unwrap_or_else(|| headers.len().saturating_sub(1)));
        Self { first, headers, has_first_line: bytes.contains(&b'\n'), is_whole }
    }

    fn is_url_cut(&self) -> bool {
        !self.has_first_line && self.first.is_some_and(|first| first.contains(&b' '))
    }

    /// The values of the headers with this name, in small letters.
    fn values(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter_map(move |line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (other, value) = line.split_at(colon);
            other.eq_ignore_ascii_case(name).then(|| value[1..].trim_ascii())
        })
    }

    fn length(&self) -> Option<Length> {
        let is_number = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if self.values(b"content-length").any(|value| !is_number(value)) {
            return Some(Length::Malformed);
        }
        // hyper keeps the two largest numbers for its own use.
        let fits = |value: &[u8]| {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
            number.is_some_and(|number| number < u64::MAX - 1)
        };
        self.values(b"content-length").any(|value| !fits(value)).then_some(Length::TooLong)
    }
}

/// `1*tchar` (RFC 9110 §5.6.2).
fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_head_panics() {
        for head in
            [&b""[..], b"\r\n", b"\n\n", b" ", b"GET", b"GET ", b"GET /\r\n:", b":\n:\n\n\n"]
        {
            for status in ["400", "414", "431"] {
                let problem = problem(status, head).unwrap();
                assert!(problem.message.ends_with('.'), "{head:?}");
            }
        }
        assert!(problem("200", b"").is_none());
    }
}
