//! What came of an attempt: what the engine learns of its endpoint, and what is kept of its delivery.

use std::{sync::Arc, time::Duration};

use switchboard_model::{
    Timestamp,
    delivery::{AttemptResult, DueDelivery},
    retry::RetrySchedule,
    time::Now,
};

use crate::webhook_client::{Answer, SecretVersion};

/// What an attempt tells of its endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptOutcome {
    pub(super) worked: bool,
    pub(super) took: Duration,
    /// What the endpoint asks to be left alone for.
    pub(super) retry_after: Option<Duration>,
    /// The secret that it seems to take, if that can be told.
    pub(super) takes: Option<SecretVersion>,
    /// In 0..=1.
    pub(super) random: f64,
}

impl AttemptOutcome {
    pub(super) fn of(answer: &Answer, random: f64) -> Self {
        let Answer { took, retry_after, takes, .. } = *answer;
        Self { worked: answer.error.is_none(), took, retry_after, takes, random }
    }
}

/// What is kept of an attempt, and when the next is due. `random` lies in 0..=1.
pub(super) fn result(
    delivery: &DueDelivery,
    answer: Answer,
    started_at: Timestamp,
    finished_at: Now,
    retries: &RetrySchedule,
    random: f64,
) -> AttemptResult {
    let attempts = delivery.attempts.saturating_add(1);
    let next_attempt_at = answer.error.as_ref().and_then(|_| {
        retries.next_attempt(attempts, finished_at.steady, answer.retry_after, random)
    });
    AttemptResult {
        seq: delivery.seq,
        delivery_id: delivery.id,
        webhook_id: delivery.webhook_id,
        url: Arc::clone(&delivery.url),
        attempts,
        started_at,
        duration_ms: answer.duration_ms(),
        status: answer.status,
        answer: answer.start,
        error: answer.error,
        cause: answer.cause,
        next_attempt_at,
        finished_at,
    }
}

#[cfg(test)]
pub(super) const WORKED: AttemptOutcome = AttemptOutcome {
    worked: true,
    took: Duration::from_millis(2),
    retry_after: None,
    takes: None,
    random: 0.5,
};
#[cfg(test)]
pub(super) const FAILED: AttemptOutcome = AttemptOutcome { worked: false, ..WORKED };
