//! Text as people type and paste it: what of it shows nothing, and what it says without that.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Whether a character shows nothing where it stands alone: white space, controls, fillers, joiners, marks
/// of direction, variation selectors, tags.
pub fn is_invisible(c: char) -> bool {
    // The braille pattern without dots, the place of a file in Messages' own text, and the marks of
    // annotations are no ignorable characters by Unicode's table, but nobody sees them.
    matches!(c, '\u{2800}' | '\u{fff9}'..='\u{fffc}')
        || c.is_whitespace()
        || c.is_control()
        || is_ignorable(c)
}

/// Whether a character changes the direction of the text around it.
pub fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Whether a text shows nothing.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// A text without the invisible characters round it.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_invisible)
}

/// A character that Unicode says is not to be shown, and that is no white space.
fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// A short text for machines, as it was meant: without ignorable characters, in the usual width and form
/// (NFKC), each stretch of white space one space, none round it. Telling twice changes nothing.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_graphic() || b == b' ';
    if text.bytes().all(is_plain) && !text.contains("  ") {
        return Cow::Borrowed(text.trim_matches(' '));
    }
    let shown: String = text.chars().filter(|c| !is_ignorable(*c)).collect();
    let usual = ComposingNormalizerBorrowed::new_nfkc().normalize(&shown);
    let words: Vec<&str> = usual.split_whitespace().collect();
    Cow::Owned(words.join(" "))
}

/// The value of a decimal digit of any script.
pub(crate) fn digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |code: u32| categories.get32(code) == GeneralCategory::DecimalNumber;
    // Unicode keeps the ten digits of a script side by side, in order.
    let code = u32::from(c);
    let before = (1..=10).take_while(|n| is_digit(code.saturating_sub(*n))).count();
    is_digit(code).then(|| char::from(b"0123456789"[before % 10]))
}

/// Whether a character is a dash, of whatever length.
pub(crate) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{30fc}' | '\u{2043}' | '\u{2d7}')
        || !c.is_ascii()
            && (c == '\u{2212}'
                || CodePointMapData::<GeneralCategory>::new().get(c)
                    == GeneralCategory::DashPunctuation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_shows_nothing_is_blank() {
        for text in [
            "",
            " \t\r\n",
            "\u{a0}\u{2007}\u{3000}\u{2028}\u{85}",
            "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
            "\u{3164}",
            "\u{115f}\u{1160}\u{ffa0}",
            "\u{ad}\u{34f}\u{61c}\u{17b4}\u{180b}\u{180e}",
            "\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{206f}",
            "\u{fe00}\u{fe0e}\u{fe0f}\u{e0100}",
            "\u{e0001}\u{e0041}\u{e007f}\u{1d173}\u{1bca0}",
            "\u{2800}\u{fffc}\u{fff9}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["a", " .", "\u{200b}\u{301}", "\u{3164}ㄱ", "👍", "\u{fffd}", "\u{e000}"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn digits_of_all_scripts_have_a_value() {
        let digits = |text: &str| text.chars().map(digit).collect::<Option<String>>();
        for text in [
            "0123456789",
            "٠١٢٣٤٥٦٧٨٩",
            "۰۱۲۳۴۵۶۷۸۹",
            "０１２３４５６７８９",
            "०१२३४५६७८९",
            "၀၁၂၃၄၅၆၇၈၉",
        ] {
            assert_eq!(digits(text).as_deref(), Some("0123456789"), "{text}");
        }
        assert_eq!(digits("½"), None);
        assert_eq!(digits("①"), None);
    }

    proptest! {
        #[test]
        fn plain_is_plain(text in "\\PC{0,20}|[\\x00-\\u{3fff}\\u{f900}-\\u{ffff}]{0,20}") {
            let once = plain(&text).into_owned();
            prop_assert_eq!(&*plain(&once), &*once);
        }
    }
}
