//! The name in `X-Filename`, in whatever encoding the client's library puts it into a header.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use switchboard_model::file::safe_name;

/// The name that the header holds, made safe; None if nothing of it is left.
pub(crate) fn from_header(value: &HeaderValue) -> Option<String> {
    // fetch and Python's http.client send Latin-1, curl sends what the terminal has.
    let text = match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(value.as_bytes()).0,
    };
    let decoded = extended(&text).or_else(|| encoded_words(&text)).or_else(|| escaped(&text));
    safe_name(decoded.as_deref().unwrap_or(&text))
}

/// The percent-encoded UTF-8 of a text. Whoever encodes a name encodes its percent signs too, so a text with one
/// that begins no escape is not encoded: `100%.png`.
fn escaped(text: &str) -> Option<String> {
    let is_escape = |after: &str| {
        after.get(..2).is_some_and(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// The extended value of RFC 8187: `UTF-8''Jos%C3%A9.vcf`.
fn extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (language, value) = rest.split_once('\'')?;
    let is_language = language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let encoding = Encoding::for_label(charset.as_bytes()).filter(|_| is_language)?;
    decoded(encoding, &percent_decode_str(value).collect::<Vec<_>>())
}

/// The encoded words of RFC 2047, which mail libraries make of a name: `=?UTF-8?B?Sm9zw6kudmNm?=`.
fn encoded_words(text: &str) -> Option<String> {
    let words: Option<Vec<_>> = text.split_ascii_whitespace().map(encoded_word).collect();
    words.map(|words| words.concat()).filter(|name| !name.is_empty())
}

fn encoded_word(word: &str) -> Option<String> {
    let word = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let (charset, rest) = word.split_once('?')?;
    let (coding, value) = rest.split_once('?')?;
    let encoding = Encoding::for_label(charset.split('*').next()?.as_bytes())?;
    let bytes = match coding {
        "B" | "b" => BASE64_STANDARD.decode(value).ok()?,
        // Quoted-printable differs from percent-encoding in its sign, and has a sign for the space.
        "Q" | "q" => {
            let value = value.replace('%', "=25").replace('=', "%").replace('_', " ");
            percent_decode_str(&value).collect()
        }
        _ => return None,
    };
    decoded(encoding, &bytes)
}

fn decoded(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    // A charset that does not fit its bytes is one that somebody wrote down without looking.
    text.or_else(|| UTF_8.decode_without_bom_handling_and_without_replacement(bytes))
        .map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(value: &[u8]) -> Option<String> {
        from_header(&HeaderValue::from_bytes(value).unwrap())
    }

    #[test]
    fn a_name_is_read_in_every_encoding() {
        for (given, kept) in [
            (b"photo.jpg".as_slice(), "photo.jpg"),
            ("José.vcf".as_bytes(), "José.vcf"),
            (b"Jos\xe9.vcf", "José.vcf"),
            (b"M\xfcller \x80 5 \x96 a.pdf", "Müller € 5 – a.pdf"),
            (b"Jos%C3%A9.vcf", "José.vcf"),
            (b"UTF-8''Jos%C3%A9.vcf", "José.vcf"),
            (b"utf-8'es'Jos%c3%a9.vcf", "José.vcf"),
            (b"iso-8859-1'en'%A3%20rates.pdf", "£ rates.pdf"),
            (b"=?UTF-8?B?Sm9zw6kudmNm?=", "José.vcf"),
            (b"=?utf-8?Q?Jos=C3=A9_1.vcf?=", "José 1.vcf"),
            (b"=?iso-8859-1?q?Jos=E9.vcf?= =?UTF-8?b?w6kudmNm?=", "José.vcfé.vcf"),
            (b"=?Shift_JIS?B?k/qWe4zqLnZjZg==?=", "日本語.vcf"),
            (b"100%.png", "100%.png"),
            (b"100% sure.png", "100% sure.png"),
            (b"100%25.png", "100%.png"),
            (b"50%20off.png", "50 off.png"),
            (b"50%2.png", "50%2.png"),
            (b"50%zz%20.png", "50%zz%20.png"),
            (b"%ff.png", "%ff.png"),
            (b"100% Jos\xe9.png", "100% José.png"),
            (b"it's 'fine'.png", "it's 'fine'.png"),
            (b"x''y.png", "x''y.png"),
            (b"=?a.png", "=a.png"),
            (b"=?UTF-8?B?!?=", "=UTF-8B!="),
        ] {
            let what = String::from_utf8_lossy(given);
            assert_eq!(name(given).as_deref(), Some(kept), "{what}");
        }
        assert_eq!(name(b""), None);
        assert_eq!(name(b"%00%0d"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_name_or_none(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let name = from_header(&value);
                prop_assert_eq!(name.as_deref().and_then(safe_name), name);
            }
        }

        #[test]
        fn a_name_survives_its_encoding(text: String) {
            let encoded = percent_encoding::utf8_percent_encode(
                &text, percent_encoding::NON_ALPHANUMERIC).to_string();
            let value = HeaderValue::try_from(encoded).unwrap();
            prop_assert_eq!(from_header(&value), safe_name(&text));
        }
    }
}
