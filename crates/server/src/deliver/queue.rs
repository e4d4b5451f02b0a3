//! The queue of one webhook: the head of its log, in memory, and what of it is in flight.
//!
//! Promises: first attempts of one chat go out one after another, in the order of the log: the next when the one before
//! has worked, or has failed and that is settled. A retry waits for nobody and nobody waits for it. What is here or in flight
//! is not taken in again; nothing of the log is left out. What does not fit is dropped, because the store has it:
//! then the queue is behind its log, and reads on from the place where it stands ([`log`](super::log)).

use std::collections::{HashMap, HashSet, VecDeque};

use switchboard_model::{Account, Chat, Timestamp, Webhook, delivery::DueDelivery, id::Id};
use switchboard_store::{DueDeliveries, DueQuery};

use super::{
    endpoint::Endpoint,
    fairness::{EndpointClass, Pools},
    log::Log,
};

/// A new one is empty, and nobody knows what it has in the store.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) endpoint: Endpoint,
    /// In which turn the webhook stands, and of which account, if in any.
    pub(super) in_turn: Option<(EndpointClass, Id<Account>)>,
    /// When the store is to be polled for it.
    pub(super) poll_at: Option<Timestamp>,
    /// May go out now.
    ready: VecDeque<DueDelivery>,
    /// A first attempt is ready or in flight for these chats; what follows waits here.
    parked: HashMap<Id<Chat>, VecDeque<DueDelivery>>,
    /// The places of those that wait here.
    waiting: HashSet<i64>,
    /// The places of those in flight, and whether they went to the endpoint that the webhook has now.
    in_flight: HashMap<i64, bool>,
    pub(super) log: Log,
}

impl Queue {
    /// An empty one, which has nothing in the store.
    #[cfg(test)]
    pub(super) fn caught_up() -> Self {
        Self { log: Log::empty(), ..Self::default() }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn in_flight(&self) -> impl ExactSizeIterator<Item = i64> {
        self.in_flight.keys().copied()
    }

    /// Whether nothing is here, and nothing is to be read.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty() && self.log.is_done()
    }

    /// The turn in which it may send its next, if it may as far as its endpoint is concerned.
    pub(super) fn turn(
        &self,
        pools: &Pools,
        now: Timestamp,
    ) -> Option<(EndpointClass, Id<Account>)> {
        let class = self.endpoint.class();
        let may = self.in_flight.len() < pools.most_of_one(class) && self.endpoint.admits(now);
        let next = self.ready.front().filter(|_| may)?;
        Some((class, next.account_id))
    }

    /// Takes in a delivery that was just committed, if it is the next of the log and there is room.
    pub(super) fn offer(&mut self, delivery: DueDelivery, most: usize) {
        // It may have been read before this was told.
        if self.holds(delivery.seq) {
            return;
        }
        if self.log.is_caught_up() && self.waiting.len() < most {
            self.push(delivery);
        } else {
            self.log.missed(delivery.seq);
        }
    }

    fn holds(&self, seq: i64) -> bool {
        self.waiting.contains(&seq) || self.in_flight.contains_key(&seq)
    }

    fn push(&mut self, delivery: DueDelivery) {
        self.waiting.insert(delivery.seq);
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

    /// Lets the next go out. Answers it, and the chat that waits behind it.
    pub(super) fn begin(&mut self) -> Option<(DueDelivery, Option<Id<Chat>>)> {
        let delivery = self.ready.pop_front()?;
        self.waiting.remove(&delivery.seq);
        self.in_flight.insert(delivery.seq, true);
        let chat = ordered_chat(&delivery);
        Some((delivery, chat))
    }

    /// The endpoint that this one in flight went to, if the webhook still has it.
    pub(super) fn endpoint_of(&mut self, seq: i64) -> Option<&mut Endpoint> {
        (self.in_flight.get(&seq) == Some(&true)).then_some(&mut self.endpoint)
    }

    /// The first attempt of this chat is over: the next may go out.
    pub(super) fn unpark(&mut self, chat: Id<Chat>) {
        match self.parked.get_mut(&chat).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => drop(self.parked.remove(&chat)),
        }
    }

    /// What came of one in flight is settled.
    pub(super) fn end(&mut self, seq: i64) {
        self.in_flight.remove(&seq);
        self.log.ended(seq);
    }

    /// Drops all that waits here, to read it again.
    pub(super) fn reset(&mut self) {
        self.log.reset();
        for delivery in std::mem::take(&mut self.ready) {
            if let Some(chat) = ordered_chat(&delivery) {
                self.parked.remove(&chat);
            }
        }
        // Of the chats that are left one is in flight. It is still waited for.
        self.parked.values_mut().for_each(VecDeque::clear);
        self.waiting.clear();
    }

    /// The webhook is not what it was: what waits is read anew, and its endpoint is a new one.
    pub(super) fn renew(&mut self) {
        self.reset();
        self.endpoint = Endpoint::default();
        self.in_flight.values_mut().for_each(|is_at_endpoint| *is_at_endpoint = false);
    }

    /// The webhook is another process's. What is in flight ends by itself.
    pub(super) fn pause(&mut self) {
        self.renew();
        self.log.pause();
    }

    /// The webhook is active and has this in the store.
    pub(super) fn found_in_store(&mut self, has_untried: bool, retry_at: Option<Timestamp>) {
        let has_none_here = self.waiting.is_empty() && self.in_flight.is_empty();
        if self.log.is_paused() || (has_untried && has_none_here) {
            self.log.missed(0);
        }
        if let Some(at) = retry_at {
            self.log.retry(at);
        }
    }

    /// When the store is to be polled: when half of what may be here is gone and the log or a retry has more; behind
    /// a breaker, not before its probe may go out, and only if there is nothing here for it. Also when the probe may go
    /// out that is here. None while nothing but a change of the queue brings that about.
    pub(super) fn next_poll(&self, most: usize, now: Timestamp) -> Option<Timestamp> {
        let in_store = self.log.next_read(now);
        if self.endpoint.breaker.is_closed() {
            return in_store.filter(|_| 2 * self.waiting.len() <= most);
        }
        let probe_at = self.endpoint.breaker.probe_at()?;
        match self.waiting.is_empty() {
            true => in_store.map(|at| at.max(probe_at)),
            false => Some(probe_at).filter(|at| *at > now),
        }
    }

    /// What is to be read of the store now, if anything is. About `most` wait here after it, and about one where a breaker
    /// lets nothing but a probe out.
    pub(super) fn query(
        &mut self,
        webhook: Id<Webhook>,
        most: usize,
        now: Timestamp,
    ) -> Option<DueQuery> {
        self.next_poll(most, now).filter(|at| *at <= now)?;
        let most = if self.endpoint.breaker.is_closed() { most } else { 1 };
        let held = self.waiting.len() + self.in_flight.len();
        Some(self.log.query(webhook, most - self.waiting.len(), held, now))
    }

    /// Takes in what was read.
    pub(super) fn load(&mut self, found: DueDeliveries) {
        for delivery in self.log.load(found) {
            if !self.holds(delivery.seq) {
                self.push(delivery);
            }
        }
    }
}

/// The chat whose order a delivery keeps: only first attempts do.
fn ordered_chat(delivery: &DueDelivery) -> Option<Id<Chat>> {
    if delivery.attempts == 0 { delivery.chat_id } else { None }
}
