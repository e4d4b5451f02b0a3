//! Encryption of secrets at rest, with a key that is not in the database: a copy of the database alone signs nothing.
//!
//! AES-256-GCM with a random nonce each time. The row is authenticated too: whoever writes to the database can't have
//! one webhook signed with another's secret.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use switchboard_model::{
    Timestamp, Webhook, delivery::Secrets, id::Id, idempotency::IdempotencyScope,
    webhook::WebhookSecret,
};

use crate::{Result, StoreError};

/// The first byte of a sealed text: the way it was made.
const VERSION: u8 = 1;
/// What a sealed text in a column of text begins with.
const PREFIX: &str = "sealed:";

/// The row that a sealed text belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SealedRow<'a> {
    /// Both secrets of a webhook: a rotation moves the sealed text from one column to the other.
    Webhook(Id<Webhook>),
    /// The remembered answer to a request.
    Answer(&'a IdempotencyScope),
    /// A secret of the server, by its name.
    Server(&'a str),
}

impl SealedRow<'_> {
    fn name(self) -> String {
        match self {
            Self::Webhook(id) => format!("webhook {id}"),
            // The idempotency key comes last: it alone may hold anything.
            Self::Answer(IdempotencyScope { key_id, operation, idempotency_key, .. }) => {
                format!("answer {key_id} {operation} {idempotency_key}")
            }
            Self::Server(name) => format!("server {name}"),
        }
    }
}

/// The key.
pub(crate) struct Seal(RandomizedNonceKey);

impl Seal {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the cipher's length"))
    }

    /// Seals bytes for this row.
    pub(crate) fn seal(&self, row: SealedRow<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let mut text = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(row.name()), &mut text)
            .map_err(|error| StoreError::Database(Box::new(error)))?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// The plain text, if this was sealed for this row with this key.
    pub(crate) fn open(&self, row: SealedRow<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.strip_prefix(&[VERSION])?.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(row.name()), &mut text).ok()?;
        Some(plain.to_vec())
    }

    /// A webhook's secret as it is kept in its column.
    pub(crate) fn webhook_secret(&self, id: Id<Webhook>, secret: &str) -> Result<String> {
        let sealed = self.seal(SealedRow::Webhook(id), secret.as_bytes())?;
        Ok(format!("{PREFIX}{}", BASE64_STANDARD.encode(sealed)))
    }

    /// What deliveries are signed with.
    pub(crate) fn secrets(
        &self,
        id: Id<Webhook>,
        sealed: &Sealed,
    ) -> std::result::Result<Secrets, NotSealed> {
        let open = |text: &str| {
            text.strip_prefix(PREFIX)
                .and_then(|text| BASE64_STANDARD.decode(text).ok())
                .and_then(|sealed| self.open(SealedRow::Webhook(id), &sealed))
                .and_then(|plain| String::from_utf8(plain).ok())
                .map(WebhookSecret::from_stored)
                .ok_or(NotSealed)
        };
        let previous = sealed.previous.as_deref().map(open).transpose()?;
        Ok(Secrets {
            current: open(&sealed.current)?,
            previous: previous.zip(sealed.previous_until.map(Timestamp)),
        })
    }
}

/// The secrets of a webhook as its row has them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) current: String,
    pub(crate) previous: Option<String>,
    pub(crate) previous_until: Option<i64>,
}

/// Whether a webhook's column holds a secret in clear, as older versions kept it.
pub(crate) fn is_clear(column: &str) -> bool {
    !column.starts_with(PREFIX)
}

/// What a text is that can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("not sealed with this server's key, or for another row")]
pub(crate) struct NotSealed;

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use switchboard_model::key::Key;

    use super::*;

    #[test]
    fn only_the_same_key_opens_what_was_sealed_for_the_same_row() {
        let (seal, other) = (Seal::new(&[1; 32]), Seal::new(&[2; 32]));
        let (one, two) = (Id::<Webhook>::generate(), Id::<Webhook>::generate());
        let sealed = seal.webhook_secret(one, "whsec_x").unwrap();
        assert!(!sealed.contains("whsec_") && !is_clear(&sealed) && is_clear("whsec_x"));
        assert_ne!(sealed, seal.webhook_secret(one, "whsec_x").unwrap(), "a nonce of its own");
        let row = |current: &str| Sealed {
            current: current.to_owned(),
            previous: Some(sealed.clone()),
            previous_until: Some(5),
        };
        let opened = seal.secrets(one, &row(&sealed)).unwrap();
        assert_eq!(opened.current.reveal(), "whsec_x");
        assert_eq!(opened.previous.unwrap().1, Timestamp(5));
        assert!(seal.secrets(two, &row(&sealed)).is_err(), "another row");
        assert!(other.secrets(one, &row(&sealed)).is_err(), "another key");
        assert!(seal.secrets(one, &row("whsec_x")).is_err(), "in clear");
        let scope =
            |key| IdempotencyScope::new(Id::<Key>::of_nothing(), "POST /x".into(), key, b"");
        let (a, b) = (scope("a".into()), scope("b".into()));
        let mut sealed = seal.seal(SealedRow::Answer(&a), b"{}").unwrap();
        assert_eq!(seal.open(SealedRow::Answer(&a), &sealed).as_deref(), Some(&b"{}"[..]));
        assert_eq!(seal.open(SealedRow::Answer(&b), &sealed), None);
        assert_eq!(seal.open(SealedRow::Server("a"), &sealed), None);
        *sealed.last_mut().unwrap() ^= 1;
        assert_eq!(seal.open(SealedRow::Answer(&a), &sealed), None, "changed");
        for end in 0..sealed.len() {
            assert_eq!(seal.open(SealedRow::Answer(&a), &sealed[..end]), None, "cut off");
        }
    }
}
