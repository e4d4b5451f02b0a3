//! Numbers as they are dialled within a country: a phone is told many of its senders like that.

use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};

use super::{Handle, dialable};
use crate::text::{digit, plain};

/// Fewer digits are a short code, whatever the country's numbers look like.
const MIN_DIGITS: usize = 7;
/// From so many digits on a number need not be assigned, only possible.
const POSSIBLE_DIGITS: usize = 9;

/// A country, for the numbers that are dialled within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(Region);

/// The text is no country.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the two letters of a country, such as US or DE")]
pub struct ParseCountryError;

impl FromStr for Country {
    type Err = ParseCountryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let region: Region = text.to_ascii_uppercase().parse().map_err(|_| ParseCountryError)?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).ok_or(ParseCountryError)?;
        Ok(Self(region))
    }
}

impl Handle {
    /// The country of a phone number; of countries that share a code, the first.
    pub fn country(&self) -> Option<Country> {
        let number = PHONE_NUMBER_UTIL.parse(&self.0, None).ok()?;
        PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code).map(Country)
    }

    /// As [`Handle::received`], on a phone of this country: what can only be a number as it is dialled there is that
    /// number. Short codes and names stay what they are.
    pub fn received_in(text: &str, country: Option<Country>) -> Self {
        let national = || dialable::parse(&international(text, country?)?).map(Self::new);
        text.parse().ok().or_else(national).unwrap_or_else(|| Self::received(text))
    }
}

fn international(text: &str, country: Country) -> Option<String> {
    let plain = plain(text);
    let mut digits = String::with_capacity(plain.len().min(32));
    for c in plain.chars() {
        match digit(c) {
            Some(digit) if digits.len() < 20 => digits.push(digit),
            None if dialable::is_separator(c) => {}
            _ => return None,
        }
    }
    if digits.len() < MIN_DIGITS {
        return None;
    }
    let number = PHONE_NUMBER_UTIL.parse(&digits, Some(country.0)).ok()?;
    let assigned = PHONE_NUMBER_UTIL.is_valid_number(&number);
    if !assigned && digits.len() < POSSIBLE_DIGITS {
        return None;
    }
    Some(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dialled_within_a_country_is_a_number_of_it() {
        for (country, told, kept) in [
            ("US", "4155550123", "+14155550123"),
            ("us", "(415) 555-0123", "+14155550123"),
            ("US", "14155550123", "+14155550123"),
            ("US", "+4915112345678", "+4915112345678"),
            ("US", "72345", "72345"),
            ("US", "5550123", "5550123"),
            ("US", "AMAZON", "AMAZON"),
            ("US", "1800FLOWERS", "1800FLOWERS"),
            ("DE", "015112345678", "+4915112345678"),
            ("DE", "004915112345678", "+4915112345678"),
            ("DE", "22122", "22122"),
            ("GB", "07700 900123", "+447700900123"),
            ("IT", "3123456789", "+393123456789"),
            ("NO", "40612345", "+4740612345"),
            ("IN", "5676712", "5676712"),
            ("IN", "AX-HDFCBK", "AX-HDFCBK"),
        ] {
            let handle = Handle::received_in(told, Some(country.parse().unwrap()));
            assert_eq!(handle.as_str(), kept, "{told} in {country}");
        }
        assert_eq!(Handle::received_in("4155550123", None).as_str(), "4155550123");
    }

    #[test]
    fn a_number_has_a_country() {
        assert_eq!(Handle::received("+14155550123").country(), "US".parse().ok());
        assert_eq!(Handle::received("+447700900123").country(), "GB".parse().ok());
        assert_eq!(Handle::received("AMAZON").country(), None);
        for wrong in ["", "U", "USA", "ZZ", "1A", "001"] {
            assert_eq!(wrong.parse::<Country>(), Err(ParseCountryError), "{wrong}");
        }
    }
}
