//! A store, the engine's schedule, and what happens between them. What it asserts is what the schedule promises.

use std::collections::{HashMap, HashSet};

use super::{super::*, CHATS, Step, WEBHOOKS};

/// A row of the store that is not at its end.
#[derive(Clone)]
struct Row {
    delivery: DueDelivery,
    /// None if it was not attempted in its round.
    retry_at: Option<Timestamp>,
}

struct Flight {
    slot: Slot,
    delivery: DueDelivery,
    well: Option<bool>,
    retry_at: Option<Timestamp>,
    is_committed: bool,
}

/// How far a poll has come.
enum Poll {
    No,
    Asked(Vec<DueQuery>),
    Read(Vec<DueDeliveries>),
}

pub(super) struct World {
    schedule: Schedule,
    now: Timestamp,
    webhooks: Vec<Id<Webhook>>,
    chats: Vec<Id<Chat>>,
    made: i64,
    rows: Vec<Row>,
    ended: Vec<DueDelivery>,
    new: Vec<DueDelivery>,
    flights: Vec<Flight>,
    poll: Poll,
    begun: HashSet<(i64, u32)>,
    latest: HashMap<(Id<Webhook>, Id<Chat>), i64>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            schedule: new(),
            now: Timestamp(1),
            webhooks: (0..WEBHOOKS).map(|_| Id::generate()).collect(),
            chats: (0..CHATS).map(|_| Id::generate()).collect(),
            made: 0,
            rows: Vec::new(),
            ended: Vec::new(),
            new: Vec::new(),
            flights: Vec::new(),
            poll: Poll::No,
            begun: HashSet::new(),
            latest: HashMap::new(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Event { webhook, chat } => {
                let made = self.make(webhook, chat);
                self.new.push(made);
            }
            Step::Elsewhere { webhook, chat } => {
                self.make(webhook, chat);
                self.schedule.foreign_commit(self.now);
            }
            Step::Told => self.tell(),
            Step::Send => {
                while let Some((slot, delivery)) = self.schedule.next(self.now) {
                    self.begin(slot, delivery);
                }
            }
            Step::Answer { which, well } => self.answer(which, well),
            Step::Commit { which } => self.commit(which),
            Step::Done { which } => self.done(which),
            Step::Poll => self.poll(),
            Step::Sweep => self.sweep(),
            Step::Change { webhook } => self.schedule.changed(self.webhooks[webhook], self.now),
            Step::Again { webhook } => self.again(self.webhooks[webhook]),
            Step::Wait => self.now.0 += 60_000,
        }
    }

    fn make(&mut self, webhook: usize, chat: usize) -> DueDelivery {
        self.tell();
        self.made += 1;
        let made = delivery(self.webhooks[webhook], Some(self.chats[chat]), 0);
        let made = DueDelivery { seq: self.made, ..made };
        self.rows.push(Row { delivery: made.clone(), retry_at: None });
        made
    }

    /// The store tells of a transaction before it commits the next, whatever else happens between the two.
    fn tell(&mut self) {
        self.schedule.committed(std::mem::take(&mut self.new), self.now);
    }

    fn begin(&mut self, slot: Slot, delivery: DueDelivery) {
        assert!(self.begun.insert((delivery.seq, delivery.attempts)), "an attempt begins twice");
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
        let flight = Flight { slot, delivery, well: None, retry_at: None, is_committed: false };
        self.flights.push(flight);
    }

    fn answer(&mut self, which: usize, well: bool) {
        let mut open = self.flights.iter_mut().filter(|flight| flight.well.is_none());
        let Some(flight) = open.nth(which % 4) else { return };
        flight.well = Some(well);
        flight.retry_at = (!well).then_some(Timestamp(self.now.0 + 1000));
        let outcome = if well { WORKED } else { FAILED };
        self.schedule.answered(&mut flight.slot, &outcome, self.now);
    }

    fn commit(&mut self, which: usize) {
        let is_open = |(_, one): &(usize, &Flight)| one.well.is_some() && !one.is_committed;
        let mut open = self.flights.iter().enumerate().filter(is_open);
        let Some(place) = open.nth(which % 4).map(|(place, _)| place) else { return };
        self.tell();
        let flight = &mut self.flights[place];
        flight.is_committed = true;
        let row = self.rows.iter().position(|row| row.delivery.seq == flight.delivery.seq).unwrap();
        if flight.well == Some(true) {
            self.ended.push(self.rows.remove(row).delivery);
        } else {
            self.rows[row].delivery.attempts += 1;
            self.rows[row].retry_at = flight.retry_at;
        }
    }

    fn done(&mut self, which: usize) {
        let mut ended = self.flights.iter().enumerate().filter(|(_, one)| one.is_committed);
        let Some((place, _)) = ended.nth(which % 4) else { return };
        let flight = self.flights.remove(place);
        self.schedule.settled(flight.slot, flight.retry_at, self.now);
    }

    /// As `worker::poll` does it, with time for others after each step.
    fn poll(&mut self) {
        self.poll = match std::mem::replace(&mut self.poll, Poll::No) {
            Poll::No => match self.schedule.queries(WEBHOOKS, self.now) {
                none if none.is_empty() => Poll::No,
                queries => Poll::Asked(queries),
            },
            Poll::Asked(queries) => {
                Poll::Read(queries.iter().map(|query| self.read(query)).collect())
            }
            Poll::Read(found) => {
                self.schedule.load(found, self.now);
                Poll::No
            }
        };
    }

    fn read(&self, query: &DueQuery) -> DueDeliveries {
        let rows = || self.rows.iter().filter(|row| row.delivery.webhook_id == query.webhook_id);
        let mut untried: Vec<_> = rows()
            .filter(|row| row.retry_at.is_none() && row.delivery.seq >= query.from)
            .map(|row| row.delivery.clone())
            .collect();
        untried.sort_by_key(|one| one.seq);
        untried.truncate(query.untried);
        let mut due: Vec<_> = rows().filter(|row| row.retry_at.is_some()).collect();
        due.sort_by_key(|row| row.retry_at);
        let is_due = |row: &&&Row| row.retry_at <= Some(self.now);
        let retries: Vec<_> = due
            .iter()
            .take_while(is_due)
            .take(query.retries)
            .map(|row| row.delivery.clone())
            .collect();
        let next = match retries.len() {
            all if all < query.retries => due.get(all).and_then(|row| row.retry_at),
            _ if query.retries > 0 => Some(self.now),
            _ => None,
        };
        DueDeliveries {
            webhook_id: query.webhook_id,
            is_active: true,
            more_from: untried
                .last()
                .filter(|_| untried.len() == query.untried)
                .map(|one| one.seq + 1),
            untried,
            retries,
            next_retry_at: next,
            unnamed: Vec::new(),
        }
    }

    fn sweep(&mut self) {
        self.schedule.begin_sweep(self.now);
        let waiting = self.webhooks.iter().filter_map(|webhook| {
            let rows = || self.rows.iter().filter(|row| row.delivery.webhook_id == *webhook);
            rows().next()?;
            Some(WaitingWebhook {
                webhook_id: *webhook,
                has_untried: rows().any(|row| row.retry_at.is_none()),
                retry_at: rows().filter_map(|row| row.retry_at).min(),
            })
        });
        let waiting = waiting.collect();
        self.schedule.found_in_store(waiting, self.now);
    }

    /// As a retry by hand does it: what is over begins a new round at the end of the log, what waits for its next
    /// attempt is due now.
    fn again(&mut self, webhook: Id<Webhook>) {
        self.tell();
        if let Some(place) = self.ended.iter().position(|one| one.webhook_id == webhook) {
            self.made += 1;
            let anew = DueDelivery { seq: self.made, attempts: 0, ..self.ended.remove(place) };
            self.rows.push(Row { delivery: anew, retry_at: None });
        }
        for row in self.rows.iter_mut().filter(|row| row.delivery.webhook_id == webhook) {
            row.retry_at = row.retry_at.map(|at| at.min(self.now));
        }
        self.schedule.came_to_store(webhook, self.now);
    }

    /// Lets all that is left come to its end.
    pub(super) fn finish(&mut self) {
        let mut turns = 0..200 + 4 * self.made;
        self.step(&Step::Sweep);
        while self.rows.len() + self.flights.len() > 0 && turns.next().is_some() {
            self.step(&Step::Told);
            self.step(&Step::Send);
            for _ in 0..self.flights.len() {
                self.answer(0, true);
                self.commit(0);
                self.done(0);
            }
            self.step(&Step::Poll);
            self.step(&Step::Wait);
        }
        assert!(self.rows.is_empty(), "some never come to their end");
        assert_eq!((self.schedule.waiting, self.schedule.pools.used()), (0, 0));
        assert!(self.schedule.queues.values().all(|queue| queue.in_flight().len() == 0));
    }
}
