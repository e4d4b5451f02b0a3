//! Slots: how much of what may be in flight goes to endpoints of which kind.
//!
//! Half is for those that answer soon, a quarter for those that take their time, an eighth each for those
//! that are not known yet and those that fail. So endpoints that hang, however many of however many accounts,
//! keep half at most, and nobody keeps the others from being tried. Only those that were fast and begin to hang
//! all at once can hold more, until their time is over: they are counted as slow as soon as it shows.

/// What is known of an endpoint, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// It failed last.
    Failing,
    /// It has not answered yet.
    Unknown,
    /// It succeeds, but takes its time; or it may hang.
    Slow,
    /// It succeeds, and soon.
    Fast,
}

impl Trust {
    pub(super) const BEST_FIRST: [Self; 4] = [Self::Fast, Self::Slow, Self::Unknown, Self::Failing];
}

#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    used: [usize; 4],
}

impl Slots {
    /// Places for so many, none of them taken.
    pub(super) fn new(most: usize) -> Self {
        Self { most, used: [0; 4] }
    }

    /// How many are taken.
    pub(super) fn used(&self) -> usize {
        self.used.iter().sum()
    }

    /// Whether one more may go out to an endpoint of this kind.
    pub(super) fn has_room(&self, trust: Trust) -> bool {
        let eighths = |count: usize| (self.most * count / 8).max(1);
        let [failing, unknown, slow, fast] = self.used;
        self.used() < self.most
            && match trust {
                Trust::Failing => failing < eighths(1),
                // Those that hang count as slow soon, and must not make room for more of them forever.
                Trust::Unknown => unknown < eighths(1) && unknown + slow < eighths(3),
                Trust::Slow => slow < eighths(2),
                Trust::Fast => fast < eighths(4),
            }
    }

    /// The most that one endpoint of this kind may have in flight.
    pub(super) fn most_of_one(&self, trust: Trust) -> usize {
        let share = match trust {
            Trust::Fast => 4,
            Trust::Slow => 16,
            Trust::Unknown | Trust::Failing => 64,
        };
        (self.most / share).max(1)
    }

    pub(super) fn take(&mut self, trust: Trust) {
        self.used[trust as usize] += 1;
    }

    pub(super) fn give_back(&mut self, trust: Trust) {
        self.used[trust as usize] -= 1;
    }

    /// So many that are in flight are seen with other eyes now.
    pub(super) fn regrade(&mut self, in_flight: usize, from: Trust, to: Trust) {
        self.used[from as usize] -= in_flight;
        self.used[to as usize] += in_flight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all that an endpoint of this kind is given.
    fn fill(slots: &mut Slots, trust: Trust) -> usize {
        std::iter::from_fn(|| slots.has_room(trust).then(|| slots.take(trust))).count()
    }

    #[test]
    fn each_kind_leaves_room_for_the_others() {
        let mut slots = Slots::new(512);
        assert_eq!(fill(&mut slots, Trust::Slow), 128);
        assert_eq!(fill(&mut slots, Trust::Unknown), 64);
        assert_eq!(fill(&mut slots, Trust::Failing), 64);
        assert_eq!(fill(&mut slots, Trust::Fast), 256);
        assert_eq!(slots.used(), 512);
    }

    #[test]
    fn what_hangs_and_was_not_known_takes_no_more_than_half() {
        let mut slots = Slots::new(512);
        fill(&mut slots, Trust::Failing);
        while slots.has_room(Trust::Unknown) {
            let began = fill(&mut slots, Trust::Unknown);
            slots.regrade(began, Trust::Unknown, Trust::Slow);
        }
        assert_eq!(slots.used(), 256);
        assert_eq!(fill(&mut slots, Trust::Fast), 256);
    }

    #[test]
    fn what_was_fast_and_hangs_leaves_a_quarter() {
        let mut slots = Slots::new(512);
        fill(&mut slots, Trust::Slow);
        let fast = fill(&mut slots, Trust::Fast);
        slots.regrade(fast, Trust::Fast, Trust::Slow);
        assert!(!slots.has_room(Trust::Slow));
        assert_eq!(fill(&mut slots, Trust::Fast), 128);
    }

    #[test]
    fn of_few_places_each_kind_may_have_one() {
        for most in 1..8 {
            for trust in Trust::BEST_FIRST {
                let mut slots = Slots::new(most);
                assert!(fill(&mut slots, trust) >= 1 && slots.used() <= most);
                assert!((1..=most).contains(&slots.most_of_one(trust)));
            }
        }
    }
}
