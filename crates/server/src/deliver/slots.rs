//! Slots: how much of what may be in flight goes to endpoints of which kind, and of whom.
//!
//! Half is for those that answer soon, three eighths are for those that take their time and those that have not answered
//! yet, of whom no more than an eighth begins at a time, and an eighth is for those that fail. So endpoints that hang,
//! however many of however many accounts, keep half at most.
//!
//! Of each kind an account may have one more while it has less than is free. So one alone gets half of it, two get a third
//! each, and something is left for the next, whose first attempt waits for nobody (dynamic thresholds: Choudhury and
//! Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
//!
//! Only those that were fast and begin to hang all at once can hold more, until their time is over: they are counted as
//! slow as soon as it shows.

use std::collections::HashMap;

use switchboard_model::{Account, id::Id};

/// What is known of an endpoint, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Who is served first. Those that are new come before the slow, with whom they share: they are few at a time.
    pub(super) const IN_TURN: [Self; 4] = [Self::Fast, Self::Unknown, Self::Slow, Self::Failing];
}

/// How many are in flight, by trust.
type Used = [usize; 4];

#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    used: Used,
    /// Of each account that has any.
    of: HashMap<Id<Account>, Used>,
}

impl Slots {
    /// Places for so many, none of them taken.
    pub(super) fn new(most: usize) -> Self {
        Self { most, used: [0; 4], of: HashMap::new() }
    }

    /// How many are taken.
    pub(super) fn used(&self) -> usize {
        self.used.iter().sum()
    }

    /// Whether one more may go out to an endpoint of this kind.
    pub(super) fn has_room(&self, trust: Trust) -> bool {
        self.used() < self.most && self.pools(trust, &[0; 4]).all(|(free, _)| free > 0)
    }

    /// Whether it may be one of this account, if there is room: it has less than it leaves free for the others.
    pub(super) fn has_room_for(&self, account: Id<Account>, trust: Trust) -> bool {
        let own = self.of.get(&account).unwrap_or(&[0; 4]);
        self.pools(trust, own).all(|(free, own)| own < free)
    }

    /// What a place of this kind is taken from: how much of it is free, and how much of it `own` are.
    fn pools(&self, trust: Trust, own: &Used) -> impl Iterator<Item = (usize, usize)> {
        use Trust::{Failing, Fast, Slow, Unknown};
        let pools: &[(usize, &[Trust])] = match trust {
            Failing => &[(1, &[Failing])],
            // Those that hang count as slow soon, and must not make room for more of them forever.
            Unknown => &[(1, &[Unknown]), (3, &[Unknown, Slow])],
            Slow => &[(3, &[Unknown, Slow])],
            Fast => &[(4, &[Fast])],
        };
        pools.iter().map(move |(eighths, kinds)| {
            let sum = |used: &Used| kinds.iter().map(|kind| used[*kind as usize]).sum::<usize>();
            let size = (self.most * eighths / 8).max(1);
            (size.saturating_sub(sum(&self.used)), sum(own))
        })
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

    pub(super) fn take(&mut self, account: Id<Account>, trust: Trust) {
        self.used[trust as usize] += 1;
        self.of.entry(account).or_default()[trust as usize] += 1;
    }

    pub(super) fn give_back(&mut self, account: Id<Account>, trust: Trust) {
        self.used[trust as usize] -= 1;
        if let Some(own) = self.of.get_mut(&account) {
            own[trust as usize] -= 1;
            if *own == [0; 4] {
                self.of.remove(&account);
            }
        }
    }

    /// So many of an account that are in flight are seen with other eyes now.
    pub(super) fn regrade(
        &mut self,
        account: Id<Account>,
        in_flight: usize,
        from: Trust,
        to: Trust,
    ) {
        for used in [Some(&mut self.used), self.of.get_mut(&account)].into_iter().flatten() {
            used[from as usize] -= in_flight;
            used[to as usize] += in_flight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all that the endpoints of this kind are given that an account has.
    fn fill(slots: &mut Slots, account: Id<Account>, trust: Trust) -> usize {
        let mut one = || {
            let has_room = slots.has_room(trust) && slots.has_room_for(account, trust);
            has_room.then(|| slots.take(account, trust))
        };
        std::iter::from_fn(&mut one).count()
    }

    /// Takes all that endpoints of this kind are given, each of another account.
    fn fill_all(slots: &mut Slots, trust: Trust) -> Vec<Id<Account>> {
        let one = || {
            let account = Id::generate();
            (fill_one(slots, account, trust)).then_some(account)
        };
        std::iter::from_fn(one).collect()
    }

    fn fill_one(slots: &mut Slots, account: Id<Account>, trust: Trust) -> bool {
        let has_room = slots.has_room(trust) && slots.has_room_for(account, trust);
        if has_room {
            slots.take(account, trust);
        }
        has_room
    }

    #[test]
    fn each_kind_leaves_room_for_the_others() {
        let mut slots = Slots::new(512);
        assert_eq!(fill_all(&mut slots, Trust::Unknown).len(), 64);
        assert_eq!(fill_all(&mut slots, Trust::Slow).len(), 128);
        assert_eq!(fill_all(&mut slots, Trust::Failing).len(), 64);
        assert_eq!(fill_all(&mut slots, Trust::Fast).len(), 256);
        assert_eq!(slots.used(), 512);
    }

    #[test]
    fn what_hangs_and_was_not_known_takes_no_more_than_half() {
        let mut slots = Slots::new(512);
        fill_all(&mut slots, Trust::Failing);
        while slots.has_room(Trust::Unknown) {
            for account in fill_all(&mut slots, Trust::Unknown) {
                slots.regrade(account, 1, Trust::Unknown, Trust::Slow);
            }
        }
        assert_eq!(slots.used(), 256);
        assert_eq!(fill_all(&mut slots, Trust::Fast).len(), 256);
    }

    #[test]
    fn what_was_fast_and_hangs_leaves_a_quarter() {
        let mut slots = Slots::new(512);
        let slow = fill_all(&mut slots, Trust::Slow).len();
        for account in fill_all(&mut slots, Trust::Fast) {
            slots.regrade(account, 1, Trust::Fast, Trust::Slow);
        }
        assert!(!slots.has_room(Trust::Slow) && slow == 192);
        assert_eq!(fill_all(&mut slots, Trust::Fast).len(), 64);
    }

    #[test]
    fn no_account_has_more_than_it_leaves_free() {
        for (trust, shares) in [
            (Trust::Fast, [128, 64, 32]),
            (Trust::Slow, [96, 48, 24]),
            (Trust::Unknown, [32, 16, 8]),
            (Trust::Failing, [32, 16, 8]),
        ] {
            let mut slots = Slots::new(512);
            let accounts = [(); 3].map(|()| Id::generate());
            assert_eq!(accounts.map(|one| fill(&mut slots, one, trust)), shares);
            // What the first has too much of goes to the last as it comes back.
            for _ in 0..shares[0] / 4 {
                slots.give_back(accounts[0], trust);
            }
            assert!(!fill_one(&mut slots, accounts[0], trust));
            assert!(fill_one(&mut slots, accounts[2], trust));
        }
    }

    #[test]
    fn however_one_account_hangs_another_gets_its_turn() {
        let mut slots = Slots::new(512);
        let (hangs, other) = (Id::generate(), Id::generate());
        for trust in Trust::IN_TURN {
            fill(&mut slots, hangs, trust);
        }
        loop {
            let begun = fill(&mut slots, hangs, Trust::Unknown);
            if begun == 0 {
                break;
            }
            slots.regrade(hangs, begun, Trust::Unknown, Trust::Slow);
        }
        for trust in Trust::IN_TURN {
            assert!(fill_one(&mut slots, other, trust), "{trust:?}");
        }
    }

    #[test]
    fn of_few_places_each_kind_may_have_one() {
        for most in 1..8 {
            for trust in Trust::IN_TURN {
                let mut slots = Slots::new(most);
                let account = Id::generate();
                assert!(fill(&mut slots, account, trust) >= 1 && slots.used() <= most);
                assert!((1..=most).contains(&slots.most_of_one(trust)));
                while slots.used() > 0 {
                    slots.give_back(account, trust);
                }
                assert!(slots.of.is_empty());
            }
        }
    }
}
