//! What attempts say of a webhook's endpoint, and when it is given up for that.

use switchboard_model::{
    Timestamp,
    delivery::AttemptResult,
    time::Now,
    webhook::{DisabledReason, SILENCE_MS, WebhookState, WebhookStep},
};

/// What some attempts in a row say of a webhook's endpoint.
#[derive(Debug)]
pub(crate) struct OutcomeSummary {
    /// Whether any succeeded.
    worked: bool,
    /// When the first failed that failed after the last success.
    failing_since: Option<Now>,
    /// When the last ended; it has failed if `failing_since` is there.
    now: Now,
    /// Whether the endpoint said that it is gone.
    is_gone: bool,
}

impl OutcomeSummary {
    /// Of nothing yet; the first attempt ended now.
    pub(crate) fn new(now: Now) -> Self {
        Self { worked: false, failing_since: None, now, is_gone: false }
    }

    /// One more attempt.
    pub(crate) fn note(&mut self, result: &AttemptResult) {
        self.now = result.finished_at;
        self.is_gone |= result.is_gone();
        if result.error.is_none() {
            self.worked = true;
            self.failing_since = None;
        } else {
            self.failing_since.get_or_insert(result.finished_at);
        }
    }
}

/// What is known of a webhook's endpoint, as its row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: WebhookState,
    /// Since when it fails by the steady clock.
    pub(crate) failing_from: Option<Timestamp>,
    /// When the last attempt ended that failed, by the steady clock.
    pub(crate) last_failed_at: Option<Timestamp>,
}

impl Standing {
    /// The same in another state: from when it counts as failing goes with since when it is shown as failing.
    pub(crate) fn in_state(self, state: WebhookState) -> Self {
        let failing_from = self.failing_from.filter(|_| state.failing_since.is_some());
        Self { state, failing_from, ..self }
    }

    /// Notes what attempts have said; disables the webhook if that is enough, and says why.
    pub(crate) fn note(&mut self, outcome: &OutcomeSummary) -> Option<DisabledReason> {
        let since = outcome.failing_since;
        if since.is_some() || self.state.failing_since.is_some() {
            // Two failures with a long silence between them are not days of failures.
            let was_silent = since
                .zip(self.last_failed_at)
                .is_some_and(|(since, last)| last.0 < since.steady.0.saturating_sub(SILENCE_MS));
            let is_anew = outcome.worked || was_silent;
            if is_anew || self.state.failing_since.is_none() {
                self.state.failing_since = since.map(|since| since.wall);
            }
            if is_anew || self.failing_from.is_none() {
                self.failing_from = since.map(|since| since.steady);
            }
            self.last_failed_at = since.map(|_| outcome.now.steady);
        }
        let reason = match since {
            _ if outcome.is_gone => DisabledReason::Gone,
            Some(_) => DisabledReason::Failing,
            None => return None,
        };
        // For how long it fails is counted by the steady clock, and shown by the other.
        let judged_at = match (self.state.failing_since, self.failing_from) {
            (Some(since), Some(from)) => since + outcome.now.steady.since(from),
            _ => outcome.now.wall,
        };
        let disabled = self.state.after(WebhookStep::GiveUp(reason), judged_at).ok()?;
        *self = self.in_state(WebhookState { disabled_at: Some(outcome.now.wall), ..disabled });
        Some(reason)
    }
}
