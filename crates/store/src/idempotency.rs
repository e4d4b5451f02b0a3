//! Answers that are remembered by their `Idempotency-Key`.

use std::sync::Arc;

use switchboard_model::{
    Timestamp,
    idempotency::{IdempotencyScope, RememberedAnswer},
};

use crate::Result;

#[cfg(doc)]
use crate::Refusal;

/// What came of a write that carries an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotent<T> {
    /// It was done now.
    Fresh(T),
    /// It was done before; this was the answer.
    Replayed(RememberedAnswer),
}

/// An answer to be remembered in the transaction of its write. If the same request is
/// remembered already, nothing is written ([`Idempotent::Replayed`]); with another body, it is refused
/// ([`crate::Refusal::IdempotencyMismatch`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Of which request.
    pub scope: IdempotencyScope,
    /// The answer, made before the transaction.
    pub answer: RememberedAnswer,
}

/// How the answer is made of what a transaction has written, to be remembered in that transaction. Otherwise as
/// [`IdempotencyRecord`].
pub struct IdempotencyRecordWith<T> {
    /// Of which request.
    pub scope: IdempotencyScope,
    /// When it is answered, by the steady clock.
    pub now: Timestamp,
    /// Makes the answer: once for each time that the transaction is tried.
    pub answer: Arc<dyn Fn(&T) -> RememberedAnswer + Send + Sync>,
}

impl<T> Clone for IdempotencyRecordWith<T> {
    fn clone(&self) -> Self {
        let answer = Arc::clone(&self.answer);
        Self { scope: self.scope.clone(), now: self.now, answer }
    }
}

/// Answers that are remembered by their `Idempotency-Key`.
#[async_trait::async_trait]
pub trait Idempotency: Send + Sync {
    /// The answer that was given to this request before. [`Refusal::IdempotencyMismatch`] if the
    /// key was used with another body.
    async fn remembered(
        &self,
        scope: IdempotencyScope,
        now: Timestamp,
    ) -> Result<Option<RememberedAnswer>>;

    /// Remembers the answer to a request that wrote nothing here, after it was done. Replays the first
    /// one if there is one. [`Refusal::IdempotencyMismatch`] as above.
    async fn remember(&self, remember: IdempotencyRecord) -> Result<Idempotent<()>>;

    /// Forgets answers from before `before`, at most `limit`. Answers how many went.
    async fn forget_answers(&self, before: Timestamp, limit: usize) -> Result<usize>;
}
