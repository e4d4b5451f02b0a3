//! How an endpoint behaves, and what it is given for it: a concurrency limit by AIMD, and a class.
//!
//! Each begins with little in flight. Every success adds one, so that what is in flight doubles from one
//! answer to the next; every failure takes away half. What it has at most depends on its class ([`Pools`]): an
//! endpoint that takes long for each answer holds as many places as one that hangs.

use std::time::Duration;

use switchboard_model::Timestamp;

use super::{
    breaker::{Breaker, Change, Verdict},
    fairness::{EndpointClass, Pools},
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
pub(super) struct Endpoint {
    pub(super) breaker: Breaker,
    history: History,
    /// How many may be in flight, before the share of its kind.
    limit: usize,
    /// How many are in flight and have been for longer than [`SLOW`].
    overdue: usize,
}

#[derive(Debug)]
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
        Self { breaker: Breaker::default(), history: History::None, limit: START, overdue: 0 }
    }
}

impl Endpoint {
    /// Its class, with so many in flight.
    pub(super) fn class(&self, in_flight: usize) -> EndpointClass {
        // A few that take long are no sign.
        let may_hang = 2 * self.overdue > in_flight;
        match self.history {
            History::Works { mean } if mean <= SLOW && !may_hang => EndpointClass::Proven,
            _ => EndpointClass::Unproven,
        }
    }

    /// Whether there is nothing to remember of it but that it works, if it has been tried.
    pub(super) fn is_plain(&self) -> bool {
        self.breaker.is_closed() && !matches!(self.history, History::Fails { .. })
    }

    /// Whether what waits for this endpoint waits by its own fault: it fails, or takes long for its answers. Not so while
    /// they can't be written down, for that is no fault of an endpoint.
    pub(super) fn is_to_blame(&self) -> bool {
        match self.history {
            History::None => !self.breaker.is_closed(),
            History::Works { mean } => mean > SLOW || !self.breaker.is_closed(),
            History::Fails { .. } => true,
        }
    }

    /// How many it may have in flight.
    pub(super) fn limit(&self, class: EndpointClass, pools: &Pools) -> usize {
        self.limit.min(pools.most_of_one(class))
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
        self.history = match self.history {
            _ if !worked => History::Fails { since: 0 },
            History::Fails { since } if since + 1 < FORGIVEN_AFTER => {
                History::Fails { since: since + 1 }
            }
            History::Works { mean } => History::Works { mean: (mean * 7 + took) / 8 },
            History::None | History::Fails { .. } => History::Works { mean: took },
        };
        let change = self.breaker.note(Verdict { worked, retry_after, is_probe }, now, random);
        if change == Change::Closed {
            // Nobody knows how much it can bear.
            self.limit = START;
            self.history = History::Works { mean: took };
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::{EndpointClass::*, *};
    use crate::deliver::breaker::TRIPS_AT;

    const MOST: usize = 64;

    fn note(endpoint: &mut Endpoint, worked: bool, millis: u64) -> Change {
        let took = Duration::from_millis(millis);
        let outcome = Outcome { worked, took, retry_after: None, random: 0.5 };
        endpoint.note(&outcome, false, false, MOST, Timestamp(0))
    }

    #[test]
    fn success_adds_and_failure_halves() {
        let mut endpoint = Endpoint::default();
        assert_eq!((endpoint.limit, endpoint.class(0)), (START, Unproven));
        for _ in 0..100 {
            note(&mut endpoint, true, 2);
        }
        assert_eq!((endpoint.limit, endpoint.class(0)), (MOST, Proven));
        for limit in [32, 16, 8, 4, 2, 1, 1] {
            note(&mut endpoint, false, 2);
            assert_eq!((endpoint.limit, endpoint.class(0)), (limit, Unproven));
        }
        note(&mut endpoint, true, 2);
        assert_eq!((endpoint.limit, endpoint.class(0)), (2, Unproven));
        note(&mut endpoint, true, 2);
        assert_eq!((endpoint.limit, endpoint.class(0)), (3, Proven));
    }

    #[test]
    fn answers_that_take_long_make_it_unproven() {
        let pools = Pools::new(512);
        let mut endpoint = Endpoint::default();
        for _ in 0..100 {
            note(&mut endpoint, true, 14_000);
        }
        let class = endpoint.class(0);
        assert_eq!((class, endpoint.limit(class, &pools)), (Unproven, 32));
        for _ in 0..30 {
            note(&mut endpoint, true, 5);
        }
        assert_eq!(endpoint.class(0), Proven);
        // One that takes long now and then stays fast.
        note(&mut endpoint, true, 2000);
        assert_eq!(endpoint.class(0), Proven);
    }

    #[test]
    fn most_in_flight_taking_long_is_a_sign() {
        let mut endpoint = Endpoint::default();
        note(&mut endpoint, true, 5);
        for (overdue, class) in [(1, Proven), (2, Proven), (3, Unproven)] {
            endpoint.overdue();
            assert_eq!((endpoint.overdue, endpoint.class(4)), (overdue, class));
        }
        let outcome = Outcome {
            worked: true,
            took: Duration::from_millis(1500),
            retry_after: None,
            random: 0.5,
        };
        endpoint.note(&outcome, true, false, MOST, Timestamp(0));
        assert_eq!(endpoint.class(4), Proven);
    }

    #[test]
    fn behind_a_breaker_it_begins_small_again() {
        let mut endpoint = Endpoint::default();
        for _ in 0..100 {
            note(&mut endpoint, true, 5);
        }
        for _ in 1..TRIPS_AT {
            assert_eq!(note(&mut endpoint, false, 5), Change::Nothing);
        }
        assert_eq!(note(&mut endpoint, false, 5), Change::Opened);
        assert!(endpoint.breaker.admits(Timestamp(60_000)) && endpoint.breaker.begin());
        let outcome =
            Outcome { worked: true, took: Duration::ZERO, retry_after: None, random: 0.5 };
        let change = endpoint.note(&outcome, false, true, MOST, Timestamp(60_000));
        assert_eq!((change, endpoint.limit, endpoint.class(0)), (Change::Closed, START, Proven));
    }
}
