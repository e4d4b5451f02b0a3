//! The queue of one webhook: the head of its log, in memory.
//!
//! Promises: first attempts of one chat go out one after another, in the order of the log; what is here or in flight
//! is not taken in again; nothing of the log is left out. What does not fit is dropped, because the store has it:
//! then the queue has not caught up, and reads on from the place where it stands.

mod reading;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use switchboard_model::{Account, Chat, Timestamp, delivery::DueDelivery, id::Id};

use reading::Reading;

use super::{
    endpoint::Endpoint,
    fairness::{EndpointClass, Pools, Room},
};

#[derive(Debug)]
pub(super) struct Queue {
    /// Whose webhook it is.
    pub(super) account: Id<Account>,
    pub(super) endpoint: Endpoint,
    /// One more with each endpoint that this webhook has had: what attempts at an older one say does not count.
    pub(super) endpoint_epoch: u32,
    /// In whose turn the webhook stands, if in any.
    pub(super) in_turn: Option<EndpointClass>,
    /// Whether it is among those that are to be read.
    pub(super) is_listed: bool,
    /// When it is to be looked at again.
    pub(super) timer: Option<Timestamp>,
    /// May go out now.
    ready: VecDeque<DueDelivery>,
    /// A first attempt is ready or in flight for these chats; what follows waits here.
    parked: HashMap<Id<Chat>, VecDeque<DueDelivery>>,
    /// By their places: those that wait here, and those in flight.
    held: HashMap<i64, Option<Flight>>,
    in_flight: usize,
    /// From this place on the log is read.
    next_seq: i64,
    /// Whether the log holds nothing that is not here.
    caught_up: bool,
    /// When the next retry is due that is not here; none if there is none.
    retry_at: Option<Timestamp>,
    reading: Option<Reading>,
    /// The webhook was not active when it was read last: nothing is read before something is told of it.
    is_paused: bool,
    /// Nothing of it is this process's to read: what becomes of the last attempts is not waited for.
    is_forgotten: bool,
}

#[derive(Debug)]
struct Flight {
    since: Timestamp,
    is_overdue: bool,
    /// Which endpoint it went to.
    endpoint_epoch: u32,
    room: Room,
}

impl Queue {
    /// An empty one. It has caught up, or may have deliveries in the store that nobody has looked at.
    pub(super) fn new(account: Id<Account>, caught_up: bool) -> Self {
        Self {
            account,
            endpoint: Endpoint::default(),
            endpoint_epoch: 0,
            in_turn: None,
            is_listed: false,
            timer: None,
            ready: VecDeque::new(),
            parked: HashMap::new(),
            held: HashMap::new(),
            in_flight: 0,
            next_seq: 0,
            caught_up,
            retry_at: None,
            reading: None,
            is_paused: false,
            is_forgotten: false,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many wait here or are in flight.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many wait here.
    pub(super) fn waiting(&self) -> usize {
        self.held.len() - self.in_flight
    }

    /// The places of those in flight.
    pub(super) fn under_way(&self) -> impl Iterator<Item = i64> {
        self.held.iter().filter(|(_, flight)| flight.is_some()).map(|(seq, _)| *seq)
    }

    /// Whether nothing is here or in the store.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.caught_up && self.retry_at.is_none() && self.reading.is_none()
    }

    pub(super) fn class(&self) -> EndpointClass {
        self.endpoint.class(self.in_flight)
    }

    /// Whether one more may go out, as far as its endpoint is concerned.
    pub(super) fn may_begin(&self, pools: &Pools, now: Timestamp) -> bool {
        !self.ready.is_empty()
            && self.in_flight < self.endpoint.limit(self.class(), pools)
            && self.endpoint.breaker.admits(now)
    }

    /// Takes in a delivery that was just committed, if it is the next of the log and there is room.
    pub(super) fn offer(&mut self, delivery: DueDelivery, most: usize) {
        // It may have been read before this was told.
        if self.held.contains_key(&delivery.seq) {
            return;
        }
        if self.caught_up && self.waiting() < most {
            self.next_seq = self.next_seq.max(delivery.seq + 1);
            self.push(delivery);
        } else {
            self.has_missed(delivery.seq);
        }
    }

    fn push(&mut self, delivery: DueDelivery) {
        self.held.insert(delivery.seq, None);
        let chat = ordered_chat(&delivery);
        match chat.and_then(|chat| self.parked.get_mut(&chat)) {
            Some(parked) => parked.push_back(delivery),
            None => {
                if let Some(chat) = chat {
                    self.parked.insert(chat, VecDeque::new());
                }
                self.ready.push_back(delivery);
            }
        }
    }

    /// A retry is due at this time.
    pub(super) fn retry(&mut self, at: Timestamp) {
        if !self.is_forgotten {
            self.retry_at = Some(self.retry_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Lets the next go out. Answers it, and the chat that waits behind it.
    pub(super) fn take(
        &mut self,
        room: Room,
        now: Timestamp,
    ) -> Option<(DueDelivery, Option<Id<Chat>>)> {
        let delivery = self.ready.pop_front()?;
        let endpoint_epoch = self.endpoint_epoch;
        let flight = Flight { since: now, is_overdue: false, endpoint_epoch, room };
        self.held.insert(delivery.seq, Some(flight));
        self.in_flight += 1;
        let chat = ordered_chat(&delivery);
        Some((delivery, chat))
    }

    /// One in flight has ended. Answers the room that it had, and whether it took long.
    pub(super) fn end(&mut self, seq: i64) -> Option<(Room, bool)> {
        let flight = self.held.remove(&seq).flatten()?;
        self.in_flight -= 1;
        if let Some(reading) = &mut self.reading {
            reading.ended.insert(seq);
        }
        Some((flight.room, flight.is_overdue))
    }

    /// The first attempt of this chat is over. Whether the next may go out.
    pub(super) fn unpark(&mut self, chat: Id<Chat>) -> bool {
        let next = self.parked.get_mut(&chat).and_then(VecDeque::pop_front);
        let goes_on = next.is_some();
        match next {
            Some(next) => self.ready.push_back(next),
            None => drop(self.parked.remove(&chat)),
        }
        goes_on
    }

    /// Drops all that waits here, to read it again: the webhook was changed.
    pub(super) fn empty(&mut self) {
        self.reading = None;
        self.caught_up = false;
        self.is_paused = false;
        self.is_forgotten = false;
        self.retry_at = Some(Timestamp(0));
        for delivery in std::mem::take(&mut self.ready) {
            if let Some(chat) = ordered_chat(&delivery) {
                self.parked.remove(&chat);
            }
        }
        // Of the chats that are left one is in flight. It is still waited for.
        self.parked.values_mut().for_each(VecDeque::clear);
        self.held.retain(|_, flight| flight.is_some());
        self.next_seq = 0;
    }

    /// The webhook is gone: nothing of it is to be read any more. What is in flight ends by itself.
    pub(super) fn forget(&mut self) {
        self.renew();
        self.caught_up = true;
        self.retry_at = None;
        self.is_forgotten = true;
    }

    /// The webhook has another endpoint, or is another's: what waits is read anew.
    pub(super) fn renew(&mut self) {
        self.empty();
        self.endpoint = Endpoint::default();
        self.endpoint_epoch += 1;
    }

    /// When it is to be looked at again, if that is not now: for a retry, or for the probe of its breaker.
    pub(super) fn next_timer(&self, now: Timestamp) -> Option<Timestamp> {
        let at = match self.endpoint.breaker.probe_at() {
            Some(probe) if probe > now => (!self.is_idle()).then_some(probe),
            _ => self.retry_at,
        };
        at.filter(|at| *at > now)
    }

    /// Notes which attempts take longer than that.
    pub(super) fn note_overdue(
        &mut self,
        pools: &mut Pools,
        now: Timestamp,
        slow: Duration,
    ) -> bool {
        let mut any = false;
        for flight in self.held.values_mut().flatten() {
            if !flight.is_overdue && now.since(flight.since) > slow {
                flight.is_overdue = true;
                pools.is_late(&mut flight.room);
                if flight.endpoint_epoch == self.endpoint_epoch {
                    self.endpoint.overdue();
                }
                any = true;
            }
        }
        any
    }
}

/// The chat whose order a delivery keeps: only first attempts do.
fn ordered_chat(delivery: &DueDelivery) -> Option<Id<Chat>> {
    if delivery.attempts == 0 { delivery.chat_id } else { None }
}
