//! Fairness: how much of what may be in flight each gets, and whose turn it is.
//!
//! Half of it is for endpoints that are proven, which means that they answer well and soon; the other half is for all
//! others. So endpoints that hang, however many of however many accounts, keep half at most. Only those that were
//! proven and begin to hang all at once hold more, until their time is over: they are counted as late as soon as it
//! shows, so that their half is free for those that go on to answer.
//!
//! Of each half an account may have one more while it has less than is free. So one alone gets half of it, two get a
//! third each, and something is left for the next, whose first attempt waits for nobody (dynamic thresholds: Choudhury
//! and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
//!
//! Accounts take turns, and of each account its webhooks do, so that nobody gets more by having more webhooks.

use std::collections::{HashMap, VecDeque};

use switchboard_model::{Account, Webhook, id::Id};

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
    /// Room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self { most, used: [0; 2], late: 0, of: HashMap::new(), free_places: Vec::new() }
    }

    /// How many are in flight.
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

/// The webhooks of one class that have something to send. Each is here at most once.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// Those that have a webhook here, each once.
    accounts: VecDeque<Id<Account>>,
    /// None of them is empty.
    webhooks: HashMap<Id<Account>, VecDeque<Id<Webhook>>>,
}

impl FairQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// This webhook is the last of its account, and an account that is new here the last of all.
    pub(super) fn enqueue(&mut self, account: Id<Account>, webhook: Id<Webhook>) {
        let webhooks = self.webhooks.entry(account).or_insert_with(|| {
            self.accounts.push_back(account);
            VecDeque::new()
        });
        webhooks.push_back(webhook);
    }

    /// Takes out whose turn it is, of the accounts that may have one.
    pub(super) fn pop(&mut self, may: impl Fn(Id<Account>) -> bool) -> Option<Id<Webhook>> {
        let place = self.accounts.iter().position(|account| may(*account))?;
        // Those that may not have had their turn.
        self.accounts.rotate_left(place);
        let account = self.accounts.pop_front()?;
        let webhooks = self.webhooks.get_mut(&account)?;
        let webhook = webhooks.pop_front();
        if webhooks.is_empty() {
            self.webhooks.remove(&account);
        } else {
            self.accounts.push_back(account);
        }
        webhook
    }

    /// This webhook has no turn any more.
    pub(super) fn remove(&mut self, account: Id<Account>, webhook: Id<Webhook>) {
        let Some(webhooks) = self.webhooks.get_mut(&account) else { return };
        webhooks.retain(|one| *one != webhook);
        if webhooks.is_empty() {
            self.webhooks.remove(&account);
            self.accounts.retain(|one| *one != account);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.webhooks.values().map(VecDeque::len).sum()
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

    fn drain(queue: &mut FairQueue, may: impl Fn(Id<Account>) -> bool) -> Vec<Id<Webhook>> {
        std::iter::from_fn(|| queue.pop(&may)).collect()
    }

    #[test]
    fn accounts_take_turns_and_so_do_their_webhooks() {
        let (many, one) = (Id::generate(), Id::generate());
        let webhooks: Vec<_> = (0..4).map(|_| Id::generate()).collect();
        let mut queue = FairQueue::default();
        for webhook in &webhooks[..3] {
            queue.enqueue(many, *webhook);
        }
        queue.enqueue(one, webhooks[3]);
        let wanted = [0, 3, 1, 2].map(|place| webhooks[place]);
        assert_eq!(drain(&mut queue, |_| true), wanted);
        assert!(queue.accounts.is_empty() && queue.webhooks.is_empty());
    }

    #[test]
    fn who_may_not_have_a_turn_waits_and_holds_nobody_back() {
        let (held, free) = (Id::generate(), Id::generate());
        let (waits, goes) = (Id::generate(), Id::generate());
        let mut queue = FairQueue::default();
        queue.enqueue(held, waits);
        queue.enqueue(free, goes);
        assert_eq!(drain(&mut queue, |account| account != held), [goes]);
        assert_eq!(drain(&mut queue, |_| true), [waits]);
    }

    #[test]
    fn who_is_removed_leaves_nothing_behind() {
        let account = Id::generate();
        let (gone, stays) = (Id::generate(), Id::generate());
        let mut queue = FairQueue::default();
        queue.enqueue(account, gone);
        queue.enqueue(account, stays);
        queue.remove(account, gone);
        assert_eq!(queue.len(), 1);
        queue.remove(account, stays);
        queue.remove(account, stays);
        assert!(queue.accounts.is_empty() && queue.webhooks.is_empty());
        queue.enqueue(account, stays);
        assert_eq!(drain(&mut queue, |_| true), [stays]);
    }
}
