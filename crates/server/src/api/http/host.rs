//! The Host header (RFC 9112 §3.2): one that is valid, so that a proxy in front of the server and the server itself can't
//! take a request for different ones.

use std::net::Ipv6Addr;

use axum::extract::Request;
use http::{Version, header::HOST};
use switchboard_model::{Code, Problem};

/// Refuses a request with several, with none (HTTP/1.0 may leave it out), or with one that is no host. It may be empty,
/// and a target that names a host does not replace it (§3.2.2).
pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    let refused = |message| Err(Problem::new(Code::InvalidParameterValue, message).param("Host"));
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_10 => Ok(()),
        (None, _) => refused("Send a Host header: HTTP/1.1 asks for it."),
        (Some(_), Some(_)) => refused("Send one Host header, not several."),
        (Some(host), None) if is_valid(host.as_bytes()) => Ok(()),
        (Some(_), None) => {
            refused("The Host header must be a host name or address, with a port or without.")
        }
    }
}

/// `uri-host [ ":" port ]` (RFC 3986 §3.2.2).
fn is_valid(host: &[u8]) -> bool {
    let port = |rest: &[u8]| match rest.split_first() {
        None => true,
        Some((b':', port)) => port.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    if let Some(literal) = host.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|byte| *byte == b']') else { return false };
        let (address, rest) = (&literal[..end], &literal[end + 1..]);
        let is_address = std::str::from_utf8(address)
            .is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok() || is_future_address(text));
        return is_address && port(rest);
    }
    let end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
    is_name(&host[..end]) && port(&host[end..])
}

/// `"v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
fn is_future_address(text: &str) -> bool {
    let versioned = text.strip_prefix(['v', 'V']).and_then(|text| text.split_once('.'));
    versioned.is_some_and(|(version, address)| {
        !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(|byte| is_plain(byte) || byte == b':')
    })
}

/// `*( unreserved / pct-encoded / sub-delims )`
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..] if is_plain(*byte) => rest,
            _ => return false,
        };
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_those_of_the_standard() {
        for host in [
            "",
            "example.com",
            "example.com:443",
            "localhost:",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "[v1.a:b]",
            "a_b.example",
            "xn--mller-kva.example",
            "a%2Db",
            ":8080",
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
        for host in [
            "http://example.com",
            "example.com/",
            "user@example.com",
            "a b",
            "a\tb",
            "::1",
            "[::1",
            "[::1]x",
            "[]",
            "[v1.]",
            "example.com:80:80",
            "example.com:8x",
            "a%2",
            "a%zz",
            "a?b",
            "a#b",
            "b\u{fc}ro",
            "example.com, example.org\u{0}",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }
}
