//! Whether a webhook gets events: enabled and disabled by somebody, or disabled for what its endpoint answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A webhook of which nothing but failures came for so long is disabled: 5 days.
pub const DISABLED_AFTER_MS: i64 = 5 * 24 * 3600 * 1000;

/// Failures with more than this between them have nothing to do with each other, and the time after which
/// a webhook is disabled begins anew: half of it. Longer than any pause of the schedule of retries, so that
/// an endpoint that is tried all the time never falls silent.
pub const SILENCE_MS: i64 = DISABLED_AFTER_MS / 2;

/// Whether a webhook gets events, since when it only fails, and when and why it was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookState {
    /// Whether it gets any.
    pub is_active: bool,
    /// Since when nothing but failures came of its deliveries.
    pub failing_since: Option<Timestamp>,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
    /// Why it was disabled.
    pub disabled_reason: Option<DisabledReason>,
}

/// What can happen to a webhook's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookStep {
    /// Somebody enables it.
    Enable,
    /// Somebody disables it.
    Disable,
    /// Somebody gives it another URL.
    Redirect,
    /// The delivery engine disables it, for what its endpoint answers.
    GiveUp(DisabledReason),
}

/// A step that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook in this state can't be given up for this reason")]
pub struct IllegalStep;

impl WebhookState {
    /// Active, and nothing known against it.
    pub const NEW: Self =
        Self { is_active: true, failing_since: None, disabled_at: None, disabled_reason: None };

    /// The state after this step. What is enabled or disabled already stays as it is.
    ///
    /// # Errors
    /// [`IllegalStep`] when the engine gives up what is disabled, or what has not failed for long enough.
    pub fn after(self, step: WebhookStep, now: Timestamp) -> Result<Self, IllegalStep> {
        let disabled = |reason| Self {
            is_active: false,
            disabled_at: Some(now),
            disabled_reason: Some(reason),
            ..self
        };
        match step {
            WebhookStep::Enable if self.is_active => Ok(self),
            WebhookStep::Enable => Ok(Self::NEW),
            WebhookStep::Disable if !self.is_active => Ok(self),
            WebhookStep::Disable => Ok(disabled(DisabledReason::Manual)),
            // Another endpoint must not be disabled for what the one before it did. Of a webhook that is disabled
            // it is kept: it says since when events were missed.
            WebhookStep::Redirect if self.is_active => Ok(Self { failing_since: None, ..self }),
            WebhookStep::Redirect => Ok(self),
            WebhookStep::GiveUp(_) if !self.is_active => Err(IllegalStep),
            WebhookStep::GiveUp(DisabledReason::Manual) => Err(IllegalStep),
            WebhookStep::GiveUp(reason @ DisabledReason::Gone) => Ok(disabled(reason)),
            WebhookStep::GiveUp(reason @ DisabledReason::Failing) => {
                let failing = self.failing_since.map(|since| now.0.saturating_sub(since.0));
                match failing {
                    Some(millis) if millis >= DISABLED_AFTER_MS => Ok(disabled(reason)),
                    _ => Err(IllegalStep),
                }
            }
        }
    }
}

/// Why a webhook gets nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Somebody switched it off.
    Manual,
    /// Nothing but failures came of its deliveries for [`DISABLED_AFTER_MS`], never [`SILENCE_MS`] apart.
    Failing,
    /// Its endpoint answered 410: it is gone for good.
    Gone,
}

impl DisabledReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Failing, Self::Gone];

    /// Its name, the same in JSON and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DisabledReason::{Failing, Gone, Manual};
    use WebhookStep::{Disable, Enable, GiveUp, Redirect};

    #[test]
    fn only_legal_steps_are_taken() {
        let long = Timestamp(1_000 + DISABLED_AFTER_MS);
        let failing = WebhookState { failing_since: Some(Timestamp(1_000)), ..WebhookState::NEW };
        let off = |from: WebhookState, reason, at| WebhookState {
            is_active: false,
            disabled_at: Some(at),
            disabled_reason: Some(reason),
            ..from
        };
        let disabled = off(failing, Manual, Timestamp(5));
        let soon = Timestamp(long.0 - 1);
        for (from, step, now, to) in [
            (failing, Enable, soon, Ok(failing)),
            (failing, Disable, soon, Ok(off(failing, Manual, soon))),
            (failing, Redirect, soon, Ok(WebhookState::NEW)),
            (failing, GiveUp(Failing), soon, Err(IllegalStep)),
            (failing, GiveUp(Failing), long, Ok(off(failing, Failing, long))),
            (failing, GiveUp(Gone), soon, Ok(off(failing, Gone, soon))),
            (failing, GiveUp(Manual), long, Err(IllegalStep)),
            (WebhookState::NEW, GiveUp(Failing), long, Err(IllegalStep)),
            (disabled, Enable, long, Ok(WebhookState::NEW)),
            (disabled, Disable, long, Ok(disabled)),
            (disabled, Redirect, long, Ok(disabled)),
            (disabled, GiveUp(Failing), long, Err(IllegalStep)),
            (disabled, GiveUp(Gone), long, Err(IllegalStep)),
        ] {
            assert_eq!(from.after(step, now), to, "{step:?} at {now:?} from {from:?}");
        }
    }
}
