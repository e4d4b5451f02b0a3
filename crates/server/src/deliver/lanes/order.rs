//! Whatever happens between memory and store, and in whatever order: the first attempts of one webhook and one chat
//! begin one after another as their events did, none begins twice, and each comes to its end.

use std::collections::{HashMap, HashSet, VecDeque};

use proptest::prelude::*;
use switchboard_model::{Chat, Timestamp, Webhook, delivery::DueDelivery, id::Id};

use super::{
    Attempt, Lanes, Lease, Overflown, Slot, attempt_of,
    tests::{FAILED, LONG, MOST, WORKED, delivery},
};

const WEBHOOKS: usize = 2;
const CHATS: usize = 2;
/// Of each webhook, what a look may claim at once.
const LOOK: usize = 32;

#[derive(Debug, Clone)]
enum Step {
    /// A transaction makes a delivery.
    Event { webhook: usize, chat: usize },
    /// What transactions made is taken in.
    TakeNew,
    /// All that may go out goes out.
    Send,
    /// One in flight is answered, well or badly.
    Answer { which: usize, well: bool },
    /// What came of one is committed.
    Commit { which: usize },
    /// Its slot is given back.
    Done { which: usize },
    /// A look at the store gets one step on.
    Look,
    /// A webhook is changed.
    Change { webhook: usize },
    /// Time goes on, so that a breaker lets something through.
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..64usize;
    let step = prop_oneof![
        6 => (0..WEBHOOKS, 0..CHATS).prop_map(|(webhook, chat)| Step::Event { webhook, chat }),
        4 => Just(Step::TakeNew),
        4 => Just(Step::Send),
        6 => (which.clone(), prop::bool::weighted(0.6))
            .prop_map(|(which, well)| Step::Answer { which, well }),
        5 => which.clone().prop_map(|which| Step::Commit { which }),
        5 => which.prop_map(|which| Step::Done { which }),
        8 => Just(Step::Look),
        1 => (0..WEBHOOKS).prop_map(|webhook| Step::Change { webhook }),
        1 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..400)
}

/// A row of the store that is not at its end.
struct Row {
    delivery: DueDelivery,
    leased: bool,
}

/// How far a look has come.
enum Look {
    No,
    Taken(Vec<Overflown>),
    GivenBack,
    Read(Vec<Id<Webhook>>),
    Reckoned(VecDeque<(Id<Webhook>, usize)>),
    Claimed(Vec<DueDelivery>, VecDeque<(Id<Webhook>, usize)>),
}

struct Flight {
    slot: Slot,
    delivery: DueDelivery,
    well: Option<bool>,
    is_committed: bool,
}

struct World {
    lanes: Lanes,
    now: Timestamp,
    webhooks: Vec<Id<Webhook>>,
    chats: Vec<Id<Chat>>,
    made: i64,
    rows: Vec<Row>,
    new: VecDeque<DueDelivery>,
    flights: Vec<Flight>,
    look: Look,
    begun: HashSet<Attempt>,
    latest: HashMap<(Id<Webhook>, Id<Chat>), i64>,
}

impl World {
    fn new() -> Self {
        Self {
            lanes: Lanes::new(MOST, []),
            now: Timestamp(0),
            webhooks: (0..WEBHOOKS).map(|_| Id::generate()).collect(),
            chats: (0..CHATS).map(|_| Id::generate()).collect(),
            made: 0,
            rows: Vec::new(),
            new: VecDeque::new(),
            flights: Vec::new(),
            look: Look::No,
            begun: HashSet::new(),
            latest: HashMap::new(),
        }
    }

    fn lease(&self) -> Lease {
        Lease { now: self.now, ..LONG }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Event { webhook, chat } => {
                self.made += 1;
                let made = delivery(self.webhooks[webhook], Some(self.chats[chat]), 0);
                let made = DueDelivery { seq: self.made, ..made };
                self.rows.push(Row { delivery: made.clone(), leased: true });
                self.new.push_back(made);
            }
            Step::TakeNew => {
                for delivery in std::mem::take(&mut self.new) {
                    self.lanes.hand_over(delivery, self.lease());
                }
            }
            Step::Send => {
                while let Some((slot, delivery)) = self.lanes.next(self.now) {
                    self.begin(slot, delivery);
                }
            }
            Step::Answer { which, well } => self.answer(which, well),
            Step::Commit { which } => self.commit(which),
            Step::Done { which } => self.done(which),
            Step::Look => self.look(),
            Step::Change { webhook } => self.lanes.begin_anew(self.webhooks[webhook]),
            Step::Wait => self.now.0 += 60_000,
        }
    }

    fn begin(&mut self, slot: Slot, delivery: DueDelivery) {
        assert!(self.begun.insert(attempt_of(&delivery)), "an attempt begins twice");
        if delivery.attempts == 0 {
            let order = (delivery.webhook_id, delivery.chat_id.unwrap());
            let before = self.latest.insert(order, delivery.seq);
            assert!(before < Some(delivery.seq), "{} comes after {before:?}", delivery.seq);
            let is_before = |flight: &&Flight| {
                flight.delivery.attempts == 0 && Some(flight.delivery.seq) == before
            };
            let answered = self.flights.iter().find(is_before).is_none_or(|one| one.well.is_some());
            assert!(answered, "{} comes beside {before:?}", delivery.seq);
        }
        self.flights.push(Flight { slot, delivery, well: None, is_committed: false });
    }

    fn answer(&mut self, which: usize, well: bool) {
        let mut open = self.flights.iter_mut().filter(|flight| flight.well.is_none());
        let Some(flight) = open.nth(which % 4) else { return };
        flight.well = Some(well);
        if well {
            self.lanes.answered(&mut flight.slot);
        }
    }

    fn commit(&mut self, which: usize) {
        let is_open = |flight: &&mut Flight| flight.well.is_some() && !flight.is_committed;
        let mut open = self.flights.iter_mut().filter(is_open);
        let Some(flight) = open.nth(which % 4) else { return };
        flight.is_committed = true;
        let row = self.rows.iter().position(|row| row.delivery.id == flight.delivery.id).unwrap();
        if flight.well == Some(true) {
            self.rows.remove(row);
        } else {
            self.rows[row].delivery.attempts += 1;
            self.rows[row].leased = false;
        }
    }

    fn done(&mut self, which: usize) {
        let mut ended = self.flights.iter().enumerate().filter(|(_, one)| one.is_committed);
        let Some((place, _)) = ended.nth(which % 4) else { return };
        let flight = self.flights.remove(place);
        let outcome = if flight.well == Some(true) { WORKED } else { FAILED };
        self.lanes.done(flight.slot, &outcome, self.now);
    }

    /// As `tasks::look` does it, with time for others after each step.
    fn look(&mut self) {
        self.look = match std::mem::replace(&mut self.look, Look::No) {
            Look::No => Look::Taken(self.lanes.take_overflow()),
            Look::Taken(back) => {
                for (_, id) in back {
                    let row = self.rows.iter_mut().find(|row| row.delivery.id == id);
                    row.expect("what is given back is not at its end").leased = false;
                }
                Look::GivenBack
            }
            Look::GivenBack => {
                let is_due = |webhook| {
                    self.rows.iter().any(|row| !row.leased && row.delivery.webhook_id == webhook)
                };
                Look::Read(self.webhooks.iter().copied().filter(|one| is_due(*one)).collect())
            }
            Look::Read(due) => Look::Reckoned(self.lanes.shares(due, LOOK, self.now).of.into()),
            Look::Reckoned(mut shares) => match shares.pop_front() {
                Some((webhook, count)) => Look::Claimed(self.claim(webhook, count), shares),
                None => Look::No,
            },
            Look::Claimed(deliveries, shares) => {
                for delivery in deliveries {
                    self.lanes.claimed(delivery, self.lease());
                }
                Look::Reckoned(shares)
            }
        };
    }

    /// First attempts before others, each in the order of the events.
    fn claim(&mut self, webhook: Id<Webhook>, count: usize) -> Vec<DueDelivery> {
        let due = |row: &&mut Row| !row.leased && row.delivery.webhook_id == webhook;
        let mut due: Vec<_> = self.rows.iter_mut().filter(due).collect();
        due.sort_by_key(|row| (row.delivery.attempts > 0, row.delivery.seq));
        let claim = |row: &mut Row| {
            row.leased = true;
            row.delivery.clone()
        };
        due.into_iter().take(count).map(claim).collect()
    }

    /// Lets all that is left come to its end.
    fn finish(&mut self) {
        let mut turns = 0..200 + 4 * self.made;
        while self.rows.len() + self.flights.len() > 0 && turns.next().is_some() {
            self.step(&Step::TakeNew);
            self.step(&Step::Send);
            for _ in 0..self.flights.len() {
                self.answer(0, true);
                self.commit(0);
                self.done(0);
            }
            self.step(&Step::Look);
            self.step(&Step::Wait);
        }
        assert!(self.rows.is_empty(), "some never come to their end");
        assert_eq!((self.lanes.waiting, self.lanes.slots.used()), (0, 0));
        assert!(self.lanes.webhooks.is_empty() && self.lanes.here.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn first_attempts_of_a_chat_begin_in_order_and_once(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.finish();
    }
}
