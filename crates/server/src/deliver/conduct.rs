//! How an endpoint behaves, and what it is given for it.
//!
//! Each begins with little in flight. Every success adds one, so that what is in flight doubles from one
//! answer to the next; every failure takes away half. What it has at most is a matter of trust ([`Slots`]), and
//! trust is a matter of success and of time: an endpoint that takes long for each answer
//! holds as many places as one that hangs.

use std::time::Duration;

use switchboard_model::Timestamp;

use super::{
    breaker::{Breaker, Change, Verdict},
    slots::{Slots, Trust},
};

/// Attempts in flight at the beginning, if they are not more than the endpoint's share.
const START: usize = 4;
/// An endpoint whose answers take longer on average is slow; an attempt that takes longer may hang.
pub(super) const SLOW: Duration = Duration::from_secs(1);
/// Successes in a row after which a failure is forgiven.
const FORGIVEN_AFTER: u32 = 2;

/// What came of one attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) worked: bool,
    pub(super) took: Duration,
    /// What the endpoint asks to be left alone for.
    pub(super) retry_after: Option<Duration>,
    /// In 0..=1.
    pub(super) random: f64,
}

#[derive(Debug)]
pub(super) struct Conduct {
    pub(super) breaker: Breaker,
    record: Record,
    /// How many may be in flight, before the share of its kind.
    limit: usize,
    /// How many are in flight and have been for longer than [`SLOW`].
    overdue: usize,
}

#[derive(Debug)]
enum Record {
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

impl Default for Conduct {
    fn default() -> Self {
        Self { breaker: Breaker::default(), record: Record::None, limit: START, overdue: 0 }
    }
}

impl Conduct {
    /// How far it is trusted, with so many in flight.
    pub(super) fn trust(&self, in_flight: usize) -> Trust {
        // A few that take long are no sign.
        let may_hang = 2 * self.overdue > in_flight;
        match self.record {
            Record::Fails { .. } => Trust::Failing,
            Record::Works { mean } if mean > SLOW => Trust::Slow,
            Record::None | Record::Works { .. } if may_hang => Trust::Slow,
            Record::None => Trust::Unknown,
            Record::Works { .. } => Trust::Fast,
        }
    }

    /// Whether what waits for this endpoint waits by its own fault: it fails, or takes long for its answers. Not so while
    /// they can't be written down, for that is no fault of an endpoint.
    pub(super) fn is_to_blame(&self) -> bool {
        match self.record {
            Record::None => !self.breaker.is_closed(),
            Record::Works { mean } => mean > SLOW || !self.breaker.is_closed(),
            Record::Fails { .. } => true,
        }
    }

    /// How many it may have in flight.
    pub(super) fn limit(&self, trust: Trust, slots: &Slots) -> usize {
        self.limit.min(slots.most_of_one(trust))
    }

    /// One that is in flight takes long.
    pub(super) fn overdue(&mut self) {
        self.overdue += 1;
    }

    /// An attempt has ended.
    pub(super) fn note(
        &mut self,
        outcome: &Outcome,
        was_overdue: bool,
        is_probe: bool,
        most: usize,
        now: Timestamp,
    ) -> Change {
        let Outcome { worked, took, retry_after, random } = *outcome;
        // It may have been forgotten since.
        self.overdue = self.overdue.saturating_sub(usize::from(was_overdue));
        if worked {
            self.limit = (self.limit + 1).min(most);
        } else {
            self.limit = (self.limit / 2).max(1);
        }
        self.record = match self.record {
            _ if !worked => Record::Fails { since: 0 },
            Record::Fails { since } if since + 1 < FORGIVEN_AFTER => {
                Record::Fails { since: since + 1 }
            }
            Record::Works { mean } => Record::Works { mean: (mean * 7 + took) / 8 },
            Record::None | Record::Fails { .. } => Record::Works { mean: took },
        };
        let change = self.breaker.note(Verdict { worked, retry_after, is_probe }, now, random);
        if change == Change::Closed {
            // Nobody knows how much it can bear.
            self.limit = START;
            self.record = Record::Works { mean: took };
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::breaker::TRIPS_AT;

    const MOST: usize = 64;

    fn note(conduct: &mut Conduct, worked: bool, millis: u64) -> Change {
        let took = Duration::from_millis(millis);
        let outcome = Outcome { worked, took, retry_after: None, random: 0.5 };
        conduct.note(&outcome, false, false, MOST, Timestamp(0))
    }

    #[test]
    fn success_adds_and_failure_halves() {
        let mut conduct = Conduct::default();
        assert_eq!((conduct.limit, conduct.trust(0)), (START, Trust::Unknown));
        for _ in 0..100 {
            note(&mut conduct, true, 2);
        }
        assert_eq!((conduct.limit, conduct.trust(0)), (MOST, Trust::Fast));
        for limit in [32, 16, 8, 4, 2, 1, 1] {
            note(&mut conduct, false, 2);
            assert_eq!((conduct.limit, conduct.trust(0)), (limit, Trust::Failing));
        }
        note(&mut conduct, true, 2);
        assert_eq!((conduct.limit, conduct.trust(0)), (2, Trust::Failing));
        note(&mut conduct, true, 2);
        assert_eq!((conduct.limit, conduct.trust(0)), (3, Trust::Fast));
    }

    #[test]
    fn answers_that_take_long_cost_trust() {
        let slots = Slots::new(512);
        let mut conduct = Conduct::default();
        for _ in 0..100 {
            note(&mut conduct, true, 14_000);
        }
        let trust = conduct.trust(0);
        assert_eq!((trust, conduct.limit(trust, &slots)), (Trust::Slow, 32));
        for _ in 0..30 {
            note(&mut conduct, true, 5);
        }
        assert_eq!(conduct.trust(0), Trust::Fast);
        // One that takes long now and then stays fast.
        note(&mut conduct, true, 2000);
        assert_eq!(conduct.trust(0), Trust::Fast);
    }

    #[test]
    fn most_in_flight_taking_long_is_a_sign() {
        let mut conduct = Conduct::default();
        note(&mut conduct, true, 5);
        for (overdue, trust) in [(1, Trust::Fast), (2, Trust::Fast), (3, Trust::Slow)] {
            conduct.overdue();
            assert_eq!((conduct.overdue, conduct.trust(4)), (overdue, trust));
        }
        let outcome = Outcome {
            worked: true,
            took: Duration::from_millis(1500),
            retry_after: None,
            random: 0.5,
        };
        conduct.note(&outcome, true, false, MOST, Timestamp(0));
        assert_eq!(conduct.trust(4), Trust::Fast);
    }

    #[test]
    fn behind_a_breaker_it_begins_small_again() {
        let mut conduct = Conduct::default();
        for _ in 0..100 {
            note(&mut conduct, true, 5);
        }
        for _ in 1..TRIPS_AT {
            assert_eq!(note(&mut conduct, false, 5), Change::Nothing);
        }
        assert_eq!(note(&mut conduct, false, 5), Change::Opened);
        assert!(conduct.breaker.admits(Timestamp(60_000)) && conduct.breaker.begin());
        let outcome =
            Outcome { worked: true, took: Duration::ZERO, retry_after: None, random: 0.5 };
        let change = conduct.note(&outcome, false, true, MOST, Timestamp(60_000));
        assert_eq!((change, conduct.limit, conduct.trust(0)), (Change::Closed, START, Trust::Fast));
    }
}
