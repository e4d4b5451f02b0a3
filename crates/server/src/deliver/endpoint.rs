//! How an endpoint behaves, and what it is given for it: a concurrency limit by AIMD, a class, a breaker.
//!
//! Each begins with little in flight. Every success adds one, so that what is in flight doubles from one
//! answer to the next; every failure takes away half. What it has at most depends on its class
//! ([`Pools`](super::fairness::Pools)): an endpoint that takes long for each answer holds as many places as one that hangs.

use std::time::Duration;

use switchboard_model::Timestamp;

use super::{breaker::Breaker, fairness::EndpointClass, outcome::AttemptOutcome};
use crate::webhook_client::SecretVersion;

/// Attempts in flight at the beginning, if they are not more than the endpoint's share.
const START: usize = 4;
/// An endpoint whose answers take longer on average is slow; an attempt that takes longer may hang.
pub(super) const SLOW: Duration = Duration::from_secs(1);
/// Of an endpoint that answers sooner than that, no more is in flight than it takes to keep it busy.
const FAST: Duration = Duration::from_millis(20);
/// Of one that answers sooner than that, sixteen keep it as busy as any number: what is in flight comes twice after a kill.
const INSTANT: Duration = Duration::from_millis(2);
const INSTANT_MOST: usize = 16;
/// Successes in a row after which a failure is forgiven.
const FORGIVEN_AFTER: u32 = 2;
/// The shortest time between two warnings of one endpoint.
const QUIET: Duration = Duration::from_secs(60);

/// What the operator is told of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Fails,
    WorksAgain,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) breaker: Breaker,
    /// After a rotation: the secret that it takes, as far as its last answer tells. It is memory that may be lost: what
    /// is signed with the other is refused once and comes again.
    pub(super) takes: SecretVersion,
    history: History,
    /// How many may be unanswered, before the share of its class.
    limit: usize,
    /// How long a success takes, on average, that does not wait for others in flight.
    alone: Duration,
    /// How many are.
    unanswered: usize,
    /// How many of them have been for longer than [`SLOW`].
    late: usize,
    /// When it was told last that it fails, and whether it has not worked since.
    warned_at: Option<Timestamp>,
    is_known_to_fail: bool,
}

#[derive(Debug, Clone, Copy)]
enum History {
    None,
    Works {
        /// How long a success takes, on average; the latest count most.
        mean: Duration,
    },
    Fails {
        /// Successes since.
        since: u32,
    },
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            breaker: Breaker::default(),
            takes: SecretVersion::default(),
            history: History::None,
            limit: START,
            alone: Duration::MAX,
            unanswered: 0,
            late: 0,
            warned_at: None,
            is_known_to_fail: false,
        }
    }
}

impl Endpoint {
    pub(super) fn class(&self) -> EndpointClass {
        // A few that take long are no sign.
        let may_hang = 2 * self.late > self.unanswered;
        match self.history {
            History::Works { mean } if mean <= SLOW && !may_hang => EndpointClass::Proven,
            _ => EndpointClass::Unproven,
        }
    }

    /// Whether there is nothing to remember of it but that it works, if it has been tried.
    pub(super) fn is_plain(&self) -> bool {
        self.breaker.is_closed() && !matches!(self.history, History::Fails { .. })
    }

    /// Whether what waits for this endpoint waits by its own fault: it fails, or takes long for its answers.
    pub(super) fn is_to_blame(&self) -> bool {
        match self.history {
            History::None => !self.breaker.is_closed(),
            History::Works { mean } => mean > SLOW || !self.breaker.is_closed(),
            History::Fails { .. } => true,
        }
    }

    /// Whether one more attempt may begin.
    pub(super) fn admits(&self, now: Timestamp) -> bool {
        self.unanswered < self.limit && self.breaker.admits(now)
    }

    /// An attempt begins. Whether it is the probe that finds out if the endpoint works again.
    pub(super) fn begin(&mut self) -> bool {
        self.unanswered += 1;
        self.breaker.begin()
    }

    /// One that is unanswered takes long.
    pub(super) fn is_late(&mut self) {
        self.late += 1;
    }

    /// An attempt was answered, or has failed, of those at most so many may be in flight.
    pub(super) fn answered(
        &mut self,
        outcome: &AttemptOutcome,
        was_late: bool,
        is_probe: bool,
        most: usize,
        now: Timestamp,
    ) -> Option<News> {
        let AttemptOutcome { worked, took, takes, .. } = *outcome;
        self.takes = takes.unwrap_or(self.takes);
        self.unanswered -= 1;
        self.late -= usize::from(was_late);
        self.history = match self.history {
            _ if !worked => History::Fails { since: 0 },
            History::Fails { since } if since + 1 < FORGIVEN_AFTER => {
                History::Fails { since: since + 1 }
            }
            History::Works { mean } => History::Works { mean: (mean * 7 + took) / 8 },
            History::None | History::Fails { .. } => History::Works { mean: took },
        };
        let history = self.history;
        self.limit = match history {
            _ if !worked => (self.limit / 2).max(1),
            History::Works { mean } if self.must_wait(mean) => (self.limit - 1).max(START),
            _ => (self.limit + 1).min(most),
        };
        let was_closed = self.breaker.is_closed();
        self.breaker.note(outcome, is_probe, now);
        if self.breaker.is_closed() && !was_closed {
            // Nobody knows how much it can bear.
            self.limit = START;
            self.history = History::Works { mean: took };
        }
        self.news(worked, now)
    }

    /// Whether more in flight to a fast endpoint only wait longer, for each other or for this server.
    fn must_wait(&mut self, mean: Duration) -> bool {
        self.alone = if self.limit <= START { mean } else { self.alone.min(mean) };
        let is_full = self.alone < INSTANT && self.limit >= INSTANT_MOST;
        is_full || self.alone < FAST && mean > self.alone * 3 / 2
    }

    /// One that does now this and now that is told of once a minute at most.
    fn news(&mut self, worked: bool, now: Timestamp) -> Option<News> {
        if worked {
            return std::mem::take(&mut self.is_known_to_fail).then_some(News::WorksAgain);
        }
        if self.is_known_to_fail || self.warned_at.is_some_and(|at| now.since(at) < QUIET) {
            return None;
        }
        (self.warned_at, self.is_known_to_fail) = (Some(now), true);
        Some(News::Fails)
    }
}

#[cfg(test)]
mod tests;
