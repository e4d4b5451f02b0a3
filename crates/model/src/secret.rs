//! Secrets that people and programs carry: API keys, bridge tokens, operator tokens.
//!
//! One form for all: a prefix, 160 random bits, and a checksum, so that a
//! mistyped secret is refused without a look-up (§2). Only the hash is kept.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{base32, signature::hmac, text};

/// 32 letters of 5 bits: 160 random bits.
const RANDOM_LEN: usize = 32;
/// 6 letters of 5 bits of the CRC-32 of all that stands before.
const CHECK_LEN: usize = 6;

/// What a secret opens. The prefix says it, so that a leaked one can be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// An API key, for `/v1`.
    ApiKey,
    /// A bridge's token, for `/bridge/v1/link`.
    Bridge,
    /// The operator's token, for `/admin/v1` and `/simulator/v1`.
    Operator,
}

impl SecretKind {
    /// The first letters of every secret of this kind.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "sk_live_",
            Self::Bridge => "brt_live_",
            Self::Operator => "opt_live_",
        }
    }
}

/// A secret in clear. Does not show itself in `Debug`; ask for it by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The SHA-256 of a secret: what is kept, and what is looked up. A fast hash is
/// enough, because 160 random bits can't be guessed from a dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl Secret {
    /// Makes a secret of these 160 random bits.
    pub fn from_random(kind: SecretKind, random: [u8; 20]) -> Self {
        let mut text = String::with_capacity(kind.prefix().len() + RANDOM_LEN + CHECK_LEN);
        text.push_str(kind.prefix());
        for chunk in random.chunks_exact(5) {
            let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
            text.extend(base32::encode::<8>(bits).map(char::from));
        }
        text.extend(check_of(&text).map(char::from));
        Self(text)
    }

    /// The secret that belongs to this purpose of a server with this secret of its own: every process that shares it
    /// has the same.
    pub fn derived(kind: SecretKind, server: &[u8; 32], purpose: &str) -> Self {
        let whole = hmac(server, &[b"secret.", purpose.as_bytes()]);
        let mut random = [0u8; 20];
        random.copy_from_slice(&whole[..20]);
        Self::from_random(kind, random)
    }

    /// Takes a secret as a caller wrote it; `None` unless prefix, length, alphabet and checksum are right.
    pub fn parse(kind: SecretKind, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(kind.prefix())?;
        if rest.len() != RANDOM_LEN + CHECK_LEN || base32::decode(rest.as_bytes()).is_none() {
            return None;
        }
        let (body, check) = text.split_at(text.len() - CHECK_LEN);
        (check_of(body) == check.as_bytes()).then(|| Self(text.to_owned()))
    }

    /// The secret itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The last four letters, to tell secrets apart without showing them.
    pub fn hint(&self) -> String {
        format!("…{}", &self.0[self.0.len() - 4..])
    }

    /// What is kept of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

/// A secret as it was pasted, without what came with it: the newline of a file, the quotes of an
/// environment file, characters that show nothing. Both sides of a comparison must go through this.
pub fn bare(text: &str) -> &str {
    let text = text::trim(text);
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return text::trim(inner);
        }
    }
    text
}

impl SecretHash {
    /// The hash of any text, for secrets whose form is the operator's own choice.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Compares without telling by its time where the difference is.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The checksum of all that stands before it.
fn check_of(body: &str) -> [u8; CHECK_LEN] {
    base32::encode(u128::from(crc32fast::hash(body.as_bytes())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_with_a_pasted_secret_goes() {
        for text in [
            "sk_live_x",
            "sk_live_x\n",
            "\u{feff}sk_live_x\r\n",
            "\t sk_live_x\u{a0}",
            "\u{200b}sk_live_x\u{2060}",
            "\"sk_live_x\"\r\n",
            "'sk_live_x '",
        ] {
            assert_eq!(bare(text), "sk_live_x", "{text:?}");
        }
        for text in ["", "\"", "a b", "\"a", "'"] {
            assert_eq!(bare(text), text);
        }
    }

    #[test]
    fn a_derived_secret_is_one_for_each_server_and_purpose() {
        let derived = |server: u8, purpose| {
            Secret::derived(SecretKind::Bridge, &[server; 32], purpose).reveal().to_owned()
        };
        assert_eq!(derived(1, "a"), derived(1, "a"));
        assert!(Secret::parse(SecretKind::Bridge, &derived(1, "a")).is_some());
        assert_ne!(derived(1, "a"), derived(1, "b"));
        assert_ne!(derived(1, "a"), derived(2, "a"));
    }

    proptest! {
        #[test]
        fn what_is_made_is_taken_back(random: [u8; 20]) {
            let secret = Secret::from_random(SecretKind::ApiKey, random);
            prop_assert_eq!(Secret::parse(SecretKind::ApiKey, secret.reveal()), Some(secret.clone()));
            prop_assert_eq!(Secret::parse(SecretKind::Bridge, secret.reveal()), None);
        }

        #[test]
        fn one_wrong_letter_is_noticed(random: [u8; 20], at in 8usize..46, letter in 0u128..32) {
            let secret = Secret::from_random(SecretKind::ApiKey, random);
            let mut text = secret.reveal().to_owned();
            let wrong = char::from(base32::encode::<1>(letter)[0]).to_string();
            prop_assume!(text[at..=at] != wrong);
            text.replace_range(at..=at, &wrong);
            prop_assert_eq!(Secret::parse(SecretKind::ApiKey, &text), None);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = Secret::parse(SecretKind::ApiKey, &text);
            let _ = Secret::parse(SecretKind::ApiKey, &format!("sk_live_{text}"));
        }
    }
}
