//! What can be dialled: phone numbers and Apple IDs, however they were typed or pasted.

use std::borrow::Cow;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat};

use super::{MAX_LEN, without_chat_prefix};
use crate::text::{self, digit, is_dash, plain};

/// The digits of a number in E.164. The library would cut and guess; we do not.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Schemes under which contacts are linked and copied.
const SCHEMES: [&str; 5] = ["tel:", "sms:", "smsto:", "mailto:", "imessage:"];
/// What mail programs and lists put round an address.
const QUOTES: [(char, char); 7] =
    [('<', '>'), ('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’'), ('„', '“'), ('«', '»')];
/// How often a number is given to the library until it stays the same.
const ROUNDS: usize = 3;

/// The normalised text of a phone number or an Apple ID.
pub(super) fn parse(text: &str) -> Option<String> {
    let plain = plain(text);
    let bare = without_scheme(without_chat_prefix(unquoted(text::trim(&plain))));
    if bare.contains('@') { apple_id(bare) } else { phone(bare) }
}

fn unquoted(text: &str) -> &str {
    let mut text = text.trim_end_matches([',', ';', ' ']);
    for (open, close) in QUOTES {
        let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        text = inner.unwrap_or(text).trim();
    }
    text
}

fn without_scheme(text: &str) -> &str {
    for scheme in SCHEMES {
        if let Some(start) = text.get(..scheme.len())
            && start.eq_ignore_ascii_case(scheme)
        {
            return text[scheme.len()..].trim_start_matches('/').trim();
        }
    }
    text
}

/// White space, dots, dashes, slashes and brackets say nothing in a number; the braille pattern without dots and the
/// Japanese middle dot stand for some of them.
pub(super) fn is_separator(c: char) -> bool {
    c.is_whitespace() || ".()[]/~_·•\u{2027}\u{2800}\u{30fb}".contains(c) || is_dash(c)
}

fn phone(text: &str) -> Option<String> {
    let mut bare = String::with_capacity(1 + DIGITS.end());
    for c in text.chars() {
        if bare.is_empty() {
            match c {
                '+' => bare.push('+'),
                c if is_separator(c) => {}
                _ => return None,
            }
        } else if let Some(digit) = digit(c) {
            bare.push(digit);
        } else if !is_separator(c) {
            return None;
        }
    }
    if !DIGITS.contains(&bare.len().checked_sub(1)?) {
        return None;
    }
    for _ in 0..ROUNDS {
        let e164 = e164(&bare)?;
        // Most are in their normal form already, and then there is no need to ask again.
        if e164 == bare {
            return Some(bare);
        }
        bare = e164.into_owned();
    }
    None
}

/// The number as the library writes it, if it is *possible*. A number that is possible only within its own
/// town is none: it can't be dialled from here.
fn e164(text: &str) -> Option<Cow<'_, str>> {
    let text = without_old_mobile_digit(text);
    let number = PHONE_NUMBER_UTIL.parse(&text, None).ok()?;
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
        Ok(NumberLengthType::IsPossible) => {}
        _ => return None,
    }
    Some(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned().into())
}

/// Until 2019 a mobile phone in Mexico was dialled with a 1 before its ten digits, and many address books
/// still have it. No area code begins with a 1, so it can't be anything else. What Argentina, Brazil and
/// others once added can be: there the number stays as it is.
fn without_old_mobile_digit(text: &str) -> Cow<'_, str> {
    const MEXICO: &str = "+52";
    match text.strip_prefix("+521") {
        Some(national) if national.len() == 10 => format!("{MEXICO}{national}").into(),
        _ => text.into(),
    }
}

fn apple_id(text: &str) -> Option<String> {
    // A name in the DNS may end with the root's dot.
    let (local, domain) = text.trim_end_matches('.').rsplit_once('@')?;
    let domain = match domain.is_ascii() {
        true => Cow::Borrowed(domain),
        false => Cow::Owned(idna::domain_to_ascii(domain).ok()?),
    };
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local.chars().all(|c| c.is_ascii_graphic() && !"@()<>[],;:\\\"".contains(c));
    let domain_ok = domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    let fits = local.len() + 1 + domain.len() <= MAX_LEN;
    (local_ok && domain_ok && fits).then(|| format!("{local}@{domain}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_normalised_however_they_are_written() {
        for text in [
            "+15550100001",
            "+1 (555) 010-0001",
            "+1.555.010.0001",
            " +1 [555] 0100001 ",
            "(+1) 555 010 0001",
            "+1/555/010/0001",
            "\t+1\t555\t0100001\r\n",
            // Contacts on iOS paste them.
            "\u{202a}+1 (555) 010\u{2011}0001\u{202c}",
            "\u{2066}+15550100001\u{2069}",
            "\u{200e}+1\u{a0}555\u{2009}010\u{202f}0001\u{200f}",
            "+1\u{200b}555\u{2060}010\u{feff}0001",
            "+1\u{ad}5550100001",
            "+1–555—010―0001",
            "+1‐555‒010\u{2212}0001",
            "＋１（５５５）０１０－０００１",
            "＋1　555　010　0001",
            "+١٥٥٥٠١٠٠٠٠١",
            "+۱۵۵۵۰۱۰۰۰۰۱",
            "tel:+1-555-010-0001",
            "TEL://+15550100001",
            "sms:+15550100001",
            "imessage:+15550100001",
            "<+15550100001>",
            "“+15550100001”",
            "+15550100001,",
            "+1•555•010•0001",
            "+1\u{2027}555\u{30fb}010\u{ff65}0001",
            "\u{2800}+1_555_010\u{2800}0001\u{2800}",
            // The ids of Messages' own chats.
            "iMessage;-;+15550100001",
            "SMS;-;+1 555 010 0001",
            "imessage;-;tel:+15550100001",
        ] {
            assert_eq!(parse(text).as_deref(), Some("+15550100001"), "{text:?}");
        }
        for number in
            ["+15005550006", "+4915123456789", "+441632960001", "+390612345678", "+819012345678"]
        {
            assert_eq!(parse(number).as_deref(), Some(number));
        }
        assert_eq!(parse("+49 (0) 151 23456789").as_deref(), Some("+4915123456789"));
    }

    #[test]
    fn what_is_no_phone_is_refused() {
        for text in [
            "15550100001",
            "5550100001",
            "0015550100001",
            "+",
            "+1",
            "+1555010000155555",
            "+1555CALLNOW",
            "++15550100001",
            "+1+5550100001",
            "+15550100001 ext. 5",
            "+15550100001;ext=5",
            "iMessage;+;chat15550100001",
            "iMessage;-;15550100001",
            "facetime:+15550100001",
            "sip:+15550100001",
            "+15550100001x5",
            "+15550100001, +15550100002",
            "+999123456789",
            "",
            " ",
            "cht_abc",
            "+1555010000½",
            "+1\u{0}5550100001",
            // Possible only for who is in the same town.
            "+15550100",
            "+5215550100",
            "+493012",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_old_mexican_number_is_the_new_one() {
        for text in
            ["+52 1 55 1234 5678", "+5215512345678", "+52 55 1234 5678", "tel:+52-1-5512345678"]
        {
            assert_eq!(parse(text).as_deref(), Some("+525512345678"), "{text}");
        }
        // Here the digit can be part of the number.
        assert_ne!(parse("+5491112345678"), parse("+541112345678"));
        assert_ne!(parse("+5511912345678"), parse("+551112345678"));
    }

    #[test]
    fn apple_ids_are_compared_lower_case() {
        for text in [
            "Ann.Lee@iCloud.com",
            " ann.lee@icloud.com\t",
            "mailto:ann.lee@icloud.com",
            "iMessage;-;ann.lee@icloud.com",
            "<ann.lee@icloud.com>",
            "ann.lee@icloud.com.",
            "ann.lee@icloud.com,",
            "\u{2068}ann.lee@icloud.com\u{2069}",
            "ann.\u{200b}lee@icloud.com",
            "ann.lee＠icloud.com",
        ] {
            assert_eq!(parse(text).as_deref(), Some("ann.lee@icloud.com"), "{text:?}");
        }
        assert_eq!(parse("Ann+Test@x.org").as_deref(), Some("ann+test@x.org"));
        assert_eq!(parse("ann@MÜNCHEN.de").as_deref(), Some("ann@xn--mnchen-3ya.de"));
        assert_eq!(parse("ann@münchen.de"), parse("ann@xn--mnchen-3ya.de"));
        for text in [
            "@icloud.com",
            "ann@",
            "ann@localhost",
            "a b@icloud.com",
            "a@b@c.com",
            "a@-..com",
            "Ann <ann@icloud.com>",
            "änn@icloud.com",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
