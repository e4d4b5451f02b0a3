//! Idempotency keys: the same request again gives the first answer (§10).

use sha2::{Digest, Sha256};

use crate::{id::Id, key::Key, time::Timestamp};

/// How long an answer is remembered, in milliseconds: 24 h.
pub const REMEMBERED_MS: u64 = 24 * 3_600_000;

/// The longest Idempotency-Key.
pub const MAX_KEY_LEN: usize = 255;

/// The operations whose answers show a secret: these answers are encrypted at rest.
pub const SECRET_OPERATIONS: [&str; 2] = ["POST /v1/webhooks", "POST /v1/webhooks/rotate"];

/// Whether a text may be an Idempotency-Key: 1–255 visible ASCII characters.
pub fn is_valid(key: &str) -> bool {
    (1..=MAX_KEY_LEN).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a repetition is recognised by, and what it must agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyScope {
    /// Who asks.
    pub key_id: Id<Key>,
    /// `POST /v1/messages`
    pub operation: String,
    /// What the caller sent.
    pub idempotency_key: String,
    /// The SHA-256 of the body.
    pub body: [u8; 32],
}

impl IdempotencyScope {
    /// The scope of a request with this body.
    pub fn new(key_id: Id<Key>, operation: String, idempotency_key: String, body: &[u8]) -> Self {
        Self { key_id, operation, idempotency_key, body: Sha256::digest(body).into() }
    }

    /// Whether the answer shows a secret.
    pub fn is_secret(&self) -> bool {
        SECRET_OPERATIONS.contains(&self.operation.as_str())
    }
}

/// An answer that is remembered, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// When it was given, by the steady clock.
    pub created_at: Timestamp,
}
