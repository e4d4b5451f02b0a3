//! The breaker of one webhook: stops hammering an endpoint that only fails, and finds out when it works again.
//!
//! Promises: after [`TRIPS_AT`] failures in a row nothing goes out for a cool-down; then exactly one
//! attempt, the probe. If it succeeds all is as before, if not the next cool-down is twice as
//! long. An endpoint that asks for a pause by `Retry-After` gets it in the same way, within bounds. What
//! was under way when the breaker opened decides nothing any more.
//!
//! A pure state machine: time and randomness are arguments. It lives in memory; a restart begins closed.

use std::time::Duration;

use switchboard_model::{Timestamp, retry::jittered};

use super::outcome::AttemptOutcome;

/// Failures in a row that open it.
pub(super) const TRIPS_AT: u32 = 10;
/// The first cool-down, ± a fifth.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// The longest cool-down, before jitter, and the longest pause that an endpoint gets by asking.
pub(super) const MAX_COOL_DOWN: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breaker(State);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// All goes out.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// Nothing goes out until then; after that, one probe.
    Open {
        until: Timestamp,
        /// Probes that failed in a row.
        failed_probes: u32,
    },
    /// The probe is out.
    Probing { failed_probes: u32 },
}

impl Default for Breaker {
    fn default() -> Self {
        Self(State::Closed { failures: 0 })
    }
}

impl Breaker {
    /// Whether all may go out.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.0, State::Closed { .. })
    }

    /// Whether an attempt may begin now.
    pub(super) fn admits(&self, now: Timestamp) -> bool {
        match self.0 {
            State::Closed { .. } => true,
            State::Open { until, .. } => until <= now,
            State::Probing { .. } => false,
        }
    }

    /// When the next probe may go out, if that is what is waited for.
    pub(super) fn probe_at(&self) -> Option<Timestamp> {
        if let State::Open { until, .. } = self.0 { Some(until) } else { None }
    }

    /// The pause ends now: somebody who knows better wants the probe to go out.
    pub(super) fn cut_short(&mut self, now: Timestamp) {
        if let State::Open { until, .. } = &mut self.0 {
            *until = now.min(*until);
        }
    }

    /// An attempt begins, which is admitted. Answers whether it is the probe.
    pub(super) fn begin(&mut self) -> bool {
        match self.0 {
            State::Open { failed_probes, .. } => {
                self.0 = State::Probing { failed_probes };
                true
            }
            State::Closed { .. } | State::Probing { .. } => false,
        }
    }

    /// An attempt has ended, which was the probe or not.
    pub(super) fn note(&mut self, outcome: &AttemptOutcome, is_probe: bool, now: Timestamp) {
        let AttemptOutcome { worked, retry_after, random, .. } = *outcome;
        let asked = retry_after.unwrap_or_default().min(MAX_COOL_DOWN);
        match &mut self.0 {
            State::Closed { failures } if worked => *failures = 0,
            State::Closed { failures } => {
                *failures += 1;
                let trips = *failures >= TRIPS_AT;
                let pause = if trips { asked.max(cool_down(0, random)) } else { asked };
                if !pause.is_zero() {
                    self.0 = State::Open { until: now + pause, failed_probes: 0 };
                }
            }
            // One that was under way when it opened.
            State::Open { until, .. } if !asked.is_zero() => *until = (now + asked).max(*until),
            State::Probing { .. } if is_probe && worked => *self = Self::default(),
            State::Probing { failed_probes } if is_probe => {
                let failed_probes = failed_probes.saturating_add(1);
                let until = now + asked.max(cool_down(failed_probes, random));
                self.0 = State::Open { until, failed_probes };
            }
            State::Open { .. } | State::Probing { .. } => {}
        }
    }
}

/// The pause before the next probe.
fn cool_down(failed_probes: u32, random: f64) -> Duration {
    let doubled = COOL_DOWN.saturating_mul(1 << failed_probes.min(16));
    jittered(doubled.min(MAX_COOL_DOWN), random)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deliver::outcome::{FAILED, WORKED};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// What an attempt has changed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Change {
        Nothing,
        /// Nothing goes out any more, for a while or for a while longer.
        Opened,
        /// All goes out again.
        Closed,
    }

    fn note(
        breaker: &mut Breaker,
        outcome: AttemptOutcome,
        is_probe: bool,
        now: Timestamp,
    ) -> Change {
        let before = breaker.clone();
        breaker.note(&outcome, is_probe, now);
        match (before.is_closed(), breaker.is_closed()) {
            (false, true) => Change::Closed,
            (_, false) if breaker.probe_at() != before.probe_at() => Change::Opened,
            _ => Change::Nothing,
        }
    }

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn asks(seconds: u64) -> AttemptOutcome {
        AttemptOutcome { retry_after: Some(Duration::from_secs(seconds)), ..FAILED }
    }

    fn tripped() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 1..TRIPS_AT {
            assert_eq!(note(&mut breaker, FAILED, false, NOW), Change::Nothing);
            assert!(breaker.admits(NOW) && !breaker.begin());
        }
        assert_eq!(note(&mut breaker, FAILED, false, NOW), Change::Opened);
        breaker
    }

    /// Sends the probe at this time.
    fn probed(breaker: &mut Breaker, at: Timestamp, worked: bool) -> Change {
        assert!(breaker.admits(at) && breaker.begin());
        assert!(!breaker.admits(at + MAX_COOL_DOWN), "one probe at a time");
        note(breaker, AttemptOutcome { worked, ..WORKED }, true, at)
    }

    #[test]
    fn it_opens_probes_and_closes() {
        let mut breaker = tripped();
        assert!(!breaker.admits(after(10) - Duration::from_millis(1)));
        assert_eq!(breaker.probe_at(), Some(after(10)));
        assert_eq!(probed(&mut breaker, after(10), true), Change::Closed);
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn each_probe_that_fails_doubles_the_pause() {
        let (mut breaker, mut at) = (tripped(), after(10));
        for pause in [20, 40, 80, 160, 300, 300, 300] {
            assert_eq!(probed(&mut breaker, at, false), Change::Opened);
            assert_eq!(breaker.probe_at(), Some(at + Duration::from_secs(pause)));
            at = at + Duration::from_secs(pause);
        }
    }

    #[test]
    fn a_success_forgives_all_failures() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 1..TRIPS_AT {
                assert_eq!(note(&mut breaker, FAILED, false, NOW), Change::Nothing);
            }
            assert_eq!(note(&mut breaker, WORKED, false, NOW), Change::Nothing);
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn what_was_under_way_decides_nothing() {
        let mut breaker = tripped();
        assert_eq!(note(&mut breaker, WORKED, false, NOW), Change::Nothing);
        assert_eq!(note(&mut breaker, FAILED, false, NOW), Change::Nothing);
        assert_eq!(breaker.probe_at(), Some(after(10)));
        assert!(breaker.admits(after(10)) && breaker.begin());
        for late in [WORKED, FAILED, asks(100)] {
            assert_eq!(note(&mut breaker, late, false, after(10)), Change::Nothing);
        }
        assert!(!breaker.admits(after(1000)));
    }

    #[test]
    fn who_asks_for_a_pause_gets_it_within_bounds() {
        for (seconds, wanted) in [(1, 1), (30, 30), (300, 300), (86_400, 300)] {
            let mut breaker = Breaker::default();
            assert_eq!(note(&mut breaker, asks(seconds), false, NOW), Change::Opened);
            assert_eq!(breaker.probe_at(), Some(after(wanted)));
            // Another that was under way asks for more.
            assert_eq!(
                note(&mut breaker, asks(200), false, after(1)) == Change::Opened,
                wanted < 201
            );
            assert_eq!(breaker.probe_at(), Some(after(wanted.max(201))));
            assert_eq!(probed(&mut breaker, after(300), true), Change::Closed);
        }
        let mut breaker = tripped();
        assert_eq!(
            note(&mut breaker, asks(5), false, NOW),
            Change::Nothing,
            "it waits longer anyway"
        );
    }

    proptest! {
        /// Whatever happens: while it is open nothing is admitted before its time, probes are one at a time,
        /// pauses stay within their bounds, and a probe that succeeds closes it.
        #[test]
        fn it_keeps_its_promises(
            steps in prop::collection::vec(
                (0u64..400_000, 0u8..4, prop::option::of(0u64..100_000), 0.0f64..=1.0), 1..200)
        ) {
            let (mut breaker, mut now, mut probe_is_out) = (Breaker::default(), NOW, false);
            for (passed, what, retry_after, random) in steps {
                now = now + Duration::from_millis(passed);
                let retry_after = retry_after.map(Duration::from_secs);
                if what == 0 {
                    if breaker.admits(now) {
                        let closed = breaker.is_closed();
                        let is_probe = breaker.begin();
                        prop_assert_eq!(is_probe, !closed);
                        prop_assert!(!(is_probe && probe_is_out));
                        probe_is_out |= is_probe;
                    }
                    continue;
                }
                let worked = what == 1;
                let is_probe = what == 3 && probe_is_out;
                probe_is_out &= !is_probe;
                let retry_after = retry_after.filter(|_| !worked);
                let before = breaker.clone();
                let outcome = AttemptOutcome { worked, retry_after, random, ..WORKED };
                let change = note(&mut breaker, outcome, is_probe, now);
                match change {
                    Change::Nothing => prop_assert_eq!(before.is_closed(), breaker.is_closed()),
                    Change::Closed => prop_assert!(is_probe && worked && breaker.is_closed()),
                    Change::Opened => {
                        let pause = breaker.probe_at().unwrap().since(now);
                        prop_assert!(pause <= MAX_COOL_DOWN.mul_f64(1.2));
                        prop_assert!(!pause.is_zero() && !breaker.admits(now));
                    }
                }
                if is_probe {
                    prop_assert_eq!(breaker.is_closed(), worked);
                }
            }
        }
    }
}
