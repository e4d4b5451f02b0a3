//! Signatures of deliveries, both schemes (§9).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{file::File, id::Id, time::Timestamp, webhook::WebhookSecret};

/// How far a delivery's timestamp may be from the verifier's clock: 5 minutes (§9).
pub const TOLERANCE_MS: i64 = 300_000;

/// A secret, ready to sign: what depends on nothing else is done once.
#[derive(Clone)]
pub(crate) struct SigningKeys {
    hosted: Hmac<Sha256>,
    /// None if the secret has no base64 part.
    standard: Option<Hmac<Sha256>>,
}

impl SigningKeys {
    pub(crate) fn new(secret: &WebhookSecret) -> Self {
        Self {
            hosted: keyed(secret.reveal().as_bytes()),
            standard: secret.standard_key().as_deref().map(keyed),
        }
    }
}

/// `X-Webhook-Signature`: lower-case hex of the HMAC-SHA256 of `<timestamp>.<raw body>`,
/// keyed with the UTF-8 bytes of the whole secret. The timestamp is in milliseconds.
pub fn hosted(secret: &WebhookSecret, timestamp: Timestamp, body: &[u8]) -> String {
    let millis = timestamp.millis().to_string();
    let mac = sign(secret.signing_keys().hosted.clone(), &[millis.as_bytes(), b".", body]);
    HEXLOWER.encode(&mac)
}

/// `webhook-signature` of Standard Webhooks: `v1,<base64>` of the HMAC-SHA256 of
/// `<id>.<timestamp>.<raw body>`, keyed with the decoded base64 part of the secret. The
/// timestamp is in **seconds**. None if the secret has no base64 part.
pub fn standard(
    secret: &WebhookSecret,
    id: &str,
    timestamp: Timestamp,
    body: &[u8],
) -> Option<String> {
    let seconds = timestamp.seconds().to_string();
    let key = secret.signing_keys().standard.clone()?;
    let mac = sign(key, &[id.as_bytes(), b".", seconds.as_bytes(), b".", body]);
    Some(format!("v1,{}", BASE64_STANDARD.encode(mac)))
}

/// Why a delivery is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// The timestamp is over 5 minutes off: a replay, or a wrong clock.
    #[error("the timestamp is more than 5 minutes off")]
    Stale,
    /// The signature is not that of this body with this secret.
    #[error("the signature does not match")]
    Mismatch,
}

/// Verifies `X-Webhook-Signature`, in constant time.
///
/// # Errors
/// [`Untrusted`] says why the body must not be believed.
pub fn verify_hosted(
    secret: &WebhookSecret,
    timestamp: Timestamp,
    body: &[u8],
    signature: &str,
    now: Timestamp,
) -> Result<(), Untrusted> {
    if now.millis().abs_diff(timestamp.millis()) > TOLERANCE_MS.unsigned_abs() {
        return Err(Untrusted::Stale);
    }
    let expected = hosted(secret, timestamp, body);
    if expected.as_bytes().ct_eq(signature.as_bytes()).into() {
        Ok(())
    } else {
        Err(Untrusted::Mismatch)
    }
}

/// What proves that a file's URL was made here: over the file and the instant it expires.
pub fn sign_url(secret: &[u8; 32], file: Id<File>, expires: Timestamp) -> [u8; 32] {
    let (id, seconds) = (file.to_string(), expires.seconds().to_string());
    hmac(secret, &[id.as_bytes(), b".", seconds.as_bytes()])
}

/// Whether [`sign_url`] made this, in constant time. Whether it has expired is not asked here.
pub fn verify_url(secret: &[u8; 32], file: Id<File>, expires: Timestamp, proof: &[u8]) -> bool {
    sign_url(secret, file, expires).ct_eq(proof).into()
}

pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    sign(keyed(key), parts)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)")
}

fn sign(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosted_scheme_matches_openssl() {
        // printf '1700000000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_AAECAwQFBgc=
        let secret = WebhookSecret::from_stored("whsec_AAECAwQFBgc=".into());
        let signed = hosted(&secret, Timestamp(1_700_000_000_000), br#"{"a":1}"#);
        assert_eq!(signed, "700c916409df8cefe4a61c3eeeb0b5a6d48c61ec79de96c00ae7e1d2523dc702");
        let at = Timestamp(1_700_000_000_000);
        assert_eq!(verify_hosted(&secret, at, br#"{"a":1}"#, &signed, at), Ok(()));
        assert_eq!(
            verify_hosted(&secret, at, br#"{"a":2}"#, &signed, at),
            Err(Untrusted::Mismatch)
        );
        let late = Timestamp(at.0 + TOLERANCE_MS + 1);
        assert_eq!(verify_hosted(&secret, at, br#"{"a":1}"#, &signed, late), Err(Untrusted::Stale));
    }
}
