//! Fairness: how much of what may be in flight each gets.
//!
//! Half of it is for endpoints that are proven, which means that they answer well and soon; the other half is for all
//! others. So endpoints that hang, however many of however many accounts, keep half at most. Only those that were
//! proven and begin to hang all at once hold more, until their time is over: they are counted as late as soon as it
//! shows, so that their half is free for those that go on to answer.
//!
//! Of each half an account may have one more while it has less than is free. So one alone gets half of it, two get a
//! third each, and something is left for the next, whose first attempt waits for nobody (dynamic thresholds: Choudhury
//! and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).

use std::collections::HashMap;

use switchboard_model::{Account, id::Id};

/// What is known of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndpointClass {
    /// It answers well, and soon.
    Proven,
    /// It is new, fails, takes its time, or may hang.
    Unproven,
}

impl EndpointClass {
    /// Who is served first.
    pub(super) const IN_TURN: [Self; 2] = [Self::Proven, Self::Unproven];
}

/// How many are in flight, by the class of their endpoints when they began.
type Used = [usize; 2];

/// What may be in flight.
#[derive(Debug)]
pub(super) struct Pools {
    most: usize,
    used: Used,
    /// How many of those of proven endpoints take long.
    late: usize,
    /// Of each account that has any.
    of: HashMap<Id<Account>, Used>,
    /// Of the places that were taken, those that are free again.
    free_places: Vec<usize>,
}

/// Room that is taken for one attempt; to be given back to [`Pools::give_back`].
#[derive(Debug)]
pub(super) struct Room {
    /// No other that is taken has it; it is less than there is room for.
    pub(super) place: usize,
    account: Id<Account>,
    class: EndpointClass,
    /// Whether what it was taken for takes long.
    pub(super) is_late: bool,
}

impl Pools {
    pub(super) fn new(most: usize) -> Self {
        Self { most, used: [0; 2], late: 0, of: HashMap::new(), free_places: Vec::new() }
    }

    pub(super) fn used(&self) -> usize {
        self.used.iter().sum()
    }

    /// How many more of this class may be in flight.
    fn free(&self, class: EndpointClass) -> usize {
        let used = match class {
            EndpointClass::Proven => self.used[class as usize] - self.late,
            EndpointClass::Unproven => self.used[class as usize],
        };
        (self.most / 2).max(1).saturating_sub(used).min(self.most.saturating_sub(self.used()))
    }

    pub(super) fn has_room(&self, class: EndpointClass) -> bool {
        self.free(class) > 0
    }

    /// Whether one more may be of this account: it has less than it leaves free for the others.
    pub(super) fn has_room_for(&self, account: Id<Account>, class: EndpointClass) -> bool {
        let own = self.of.get(&account).map_or(0, |used| used[class as usize]);
        own < self.free(class)
    }

    /// The most that one endpoint of this class may have in flight.
    pub(super) fn most_of_one(&self, class: EndpointClass) -> usize {
        let share = match class {
            EndpointClass::Proven => 4,
            EndpointClass::Unproven => 16,
        };
        (self.most / share).max(1)
    }

    pub(super) fn take(&mut self, account: Id<Account>, class: EndpointClass) -> Room {
        let place = self.free_places.pop().unwrap_or_else(|| self.used());
        self.used[class as usize] += 1;
        self.of.entry(account).or_default()[class as usize] += 1;
        Room { place, account, class, is_late: false }
    }

    /// What it was taken for takes long.
    pub(super) fn is_late(&mut self, room: &mut Room) {
        room.is_late = true;
        self.late += usize::from(room.class == EndpointClass::Proven);
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is given back once")]
    pub(super) fn give_back(&mut self, room: Room) {
        self.free_places.push(room.place);
        self.used[room.class as usize] -= 1;
        self.late -= usize::from(room.is_late && room.class == EndpointClass::Proven);
        if let Some(own) = self.of.get_mut(&room.account) {
            own[room.class as usize] -= 1;
            if *own == [0; 2] {
                self.of.remove(&room.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EndpointClass::*, *};

    /// Takes all that the endpoints of this class are given that an account has.
    fn fill(pools: &mut Pools, account: Id<Account>, class: EndpointClass) -> Vec<Room> {
        std::iter::from_fn(|| fill_one(pools, account, class)).collect()
    }

    fn fill_one(pools: &mut Pools, account: Id<Account>, class: EndpointClass) -> Option<Room> {
        let has_room = pools.has_room(class) && pools.has_room_for(account, class);
        has_room.then(|| pools.take(account, class))
    }

    /// Takes all that endpoints of this class are given, each of another account.
    fn fill_all(pools: &mut Pools, class: EndpointClass) -> Vec<Room> {
        std::iter::from_fn(|| fill_one(pools, Id::generate(), class)).collect()
    }

    #[test]
    fn each_class_leaves_half_to_the_other() {
        let mut pools = Pools::new(512);
        assert_eq!(fill_all(&mut pools, Unproven).len(), 256);
        assert_eq!(fill_all(&mut pools, Proven).len(), 256);
        assert_eq!(pools.used(), 512);
    }

    #[test]
    fn those_that_were_proven_and_hang_leave_half_to_those_that_answer() {
        let mut pools = Pools::new(512);
        let mut hang = fill_all(&mut pools, Proven);
        assert!(!pools.has_room(Proven));
        for room in &mut hang {
            pools.is_late(room);
        }
        assert_eq!(fill_all(&mut pools, Proven).len(), 256);
    }

    #[test]
    fn no_account_has_more_than_it_leaves_free() {
        for class in EndpointClass::IN_TURN {
            let mut pools = Pools::new(512);
            let accounts = [(); 3].map(|()| Id::generate());
            let mut rooms = accounts.map(|one| fill(&mut pools, one, class));
            assert_eq!(rooms.each_ref().map(Vec::len), [128, 64, 32]);
            // What the first has too much of goes to the last as it comes back.
            for room in rooms[0].drain(..32) {
                pools.give_back(room);
            }
            assert!(fill_one(&mut pools, accounts[0], class).is_none());
            assert!(fill_one(&mut pools, accounts[2], class).is_some());
        }
    }

    #[test]
    fn however_one_account_hangs_another_gets_its_turn() {
        let mut pools = Pools::new(512);
        let (hangs, other) = (Id::generate(), Id::generate());
        fill(&mut pools, hangs, Unproven);
        loop {
            let mut begun = fill(&mut pools, hangs, Proven);
            if begun.is_empty() {
                break;
            }
            for room in &mut begun {
                pools.is_late(room);
            }
        }
        for class in EndpointClass::IN_TURN {
            assert!(fill_one(&mut pools, other, class).is_some(), "{class:?}");
        }
    }

    #[test]
    fn of_few_places_each_class_may_have_one() {
        for most in 1..8 {
            for class in EndpointClass::IN_TURN {
                let mut pools = Pools::new(most);
                let rooms = fill(&mut pools, Id::generate(), class);
                assert!(!rooms.is_empty() && pools.used() <= most);
                assert!((1..=most).contains(&pools.most_of_one(class)));
                for room in rooms {
                    pools.give_back(room);
                }
                assert!(pools.of.is_empty() && pools.used() == 0 && pools.late == 0);
            }
        }
    }
}
