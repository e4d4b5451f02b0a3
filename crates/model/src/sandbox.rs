//! The sandbox: one line that all accounts share (§11).
//!
//! Texting an account's code to the line pairs the sender with the account. After that the account
//! may write to that phone only, and sees that phone's chat and nothing else of the line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{handle::Handle, text::plain, time::Timestamp};

/// Sandbox messages of an account in one UTC day (§4).
pub const DAILY_LIMIT: u32 = 50;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// The shared sandbox line, as this account sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-complete" = true))]
pub struct Sandbox {
    /// How far the account is.
    #[schemars(example = &"pending")]
    pub status: SandboxStatus,
    /// What to text to the line.
    #[schemars(example = &"K7PWX2QD")]
    pub activation_code: Option<String>,
    /// The shared line.
    #[schemars(example = &"+15550100000")]
    pub sandbox_line_handle: Handle,
    /// The paired phone.
    #[schemars(example = ())]
    pub contact_identifier: Option<Handle>,
    /// Since when it is paired.
    #[schemars(example = ())]
    pub activated_at: Option<Timestamp>,
    /// What is used of the day.
    pub usage: SandboxUsage,
}

/// How far an account is with the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxStatus {
    /// It never asked for a code.
    Missing,
    /// It has a code that nobody has texted yet.
    Pending,
    /// A phone is paired with it.
    Active,
}

/// What an account has used of its sandbox day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxUsage {
    /// Messages of this UTC day.
    #[schemars(example = 3)]
    pub used: u32,
    /// The most of a day.
    #[schemars(example = 50)]
    pub limit: u32,
    /// What is left.
    #[schemars(example = 47)]
    pub remaining: u32,
    /// When the day ends: 00:00 UTC.
    pub resets_at: Timestamp,
}

impl SandboxUsage {
    /// The usage of the day that `now` is in.
    pub fn new(used: u32, now: Timestamp) -> Self {
        let remaining = DAILY_LIMIT.saturating_sub(used);
        Self { used, limit: DAILY_LIMIT, remaining, resets_at: end_of_day(now) }
    }
}

/// The number of the UTC day since the epoch.
pub fn day_of(now: Timestamp) -> i64 {
    now.millis().div_euclid(DAY_MS)
}

/// The next 00:00 UTC.
pub fn end_of_day(now: Timestamp) -> Timestamp {
    Timestamp((day_of(now) + 1) * DAY_MS)
}

const CODE_ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The letters of a code.
const CODE_LEN: usize = 8;

/// An activation code of these random bytes: 8 letters of 5 bits, in a form that people can type.
/// Hard to guess: 2^40 codes, and every text to the line tries one.
pub fn activation_code(random: [u8; CODE_LEN]) -> String {
    random.iter().map(|byte| char::from(CODE_ALPHABET[usize::from(byte & 31)])).collect()
}

/// What a text to the sandbox line may mean as a code: forgiving about case, width, white space,
/// punctuation, and whatever shows nothing. A text that says more than the code is none.
pub fn code_in(text: &str) -> Option<String> {
    let code: String = plain(text)
        .chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_uppercase())
        .take(CODE_LEN + 1)
        .collect();
    let is_code = code.len() == CODE_LEN && code.bytes().all(|b| CODE_ALPHABET.contains(&b));
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_day_ends_at_midnight_utc() {
        assert_eq!(end_of_day(Timestamp(0)), Timestamp(86_400_000));
        assert_eq!(end_of_day(Timestamp(86_399_999)), Timestamp(86_400_000));
        assert_eq!(end_of_day(Timestamp(86_400_000)), Timestamp(172_800_000));
    }

    #[test]
    fn a_code_is_found_whatever_stands_round_it() {
        for text in [
            "ABCDEFGH.",
            "abcd efgh!",
            "“ABCDEFGH”",
            "\"ABCDEFGH\"",
            "(ABCD-EFGH)",
            "<ABCDEFGH>,",
            "*ABCDEFGH*",
            "\u{200b}ABCD\u{200b}EFGH\u{feff}",
            "\u{2066}ABCDEFGH\u{2069}",
            "ABCD–EFGH",
            "ABCD\u{2011}EFGH",
            "ＡＢＣＤＥＦＧＨ",
            "ａｂｃｄ　ｅｆｇｈ。",
            "A B C D\nE F G H",
            "ABCDEFGH 👍🏽",
            "\u{3164}ABCDEFGH",
            "𝐀𝐁𝐂𝐃𝐄𝐅𝐆𝐇",
        ] {
            assert_eq!(code_in(text).as_deref(), Some("ABCDEFGH"), "{text:?}");
        }
        for text in
            ["", "ABCDEFG", "ABCDEFGHJ", "the code is ABCDEFGH", "ABCDEFG0", "ÀBCDEFGH", "АBCDEFGH"]
        {
            assert_eq!(code_in(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_found_however_it_is_typed(random: [u8; 8]) {
            let code = activation_code(random);
            prop_assert_eq!(code_in(&format!(" {}-{} \n", &code[..4], code[4..].to_lowercase())), Some(code));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = code_in(&text);
        }
    }
}
