//! The queue of one webhook: the head of its log, in memory, and what of it is in flight.
//!
//! Promises: first attempts of one chat go out one after another, in the order of the log; what is here or in flight
//! is not taken in again; nothing of the log is left out. What does not fit is dropped, because the store has it:
//! then the queue is behind its log, and reads on from the place where it stands.

use std::collections::{HashMap, HashSet, VecDeque};

use switchboard_model::{Account, Chat, Timestamp, Webhook, delivery::DueDelivery, id::Id};
use switchboard_store::{DueDeliveries, DueQuery};

use super::{
    endpoint::Endpoint,
    fairness::{EndpointClass, Pools},
};

#[derive(Debug)]
pub(super) struct Queue {
    /// Whose webhook it is.
    pub(super) account: Id<Account>,
    pub(super) endpoint: Endpoint,
    /// In whose turn the webhook stands, if in any.
    pub(super) in_turn: Option<EndpointClass>,
    /// When the store is to be looked at for it.
    pub(super) look_at: Option<Timestamp>,
    /// May go out now.
    ready: VecDeque<DueDelivery>,
    /// A first attempt is ready or in flight for these chats; what follows waits here.
    parked: HashMap<Id<Chat>, VecDeque<DueDelivery>>,
    /// The places of those that wait here.
    waiting: HashSet<i64>,
    /// The places of those in flight, and whether they went to the endpoint that the webhook has now.
    in_flight: HashMap<i64, bool>,
    log: Log,
    /// From this place on the log is read.
    next_seq: i64,
    /// When the next retry is due that is not here; none if there is none.
    retry_at: Option<Timestamp>,
    reading: Option<Reading>,
}

/// How the queue stands to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    /// All that the log holds is here.
    CaughtUp,
    /// It may hold what is not here.
    Behind,
    /// It is not to be read before something is told of it: the webhook is not active, or another process's.
    Paused,
}

/// A read of the store that is under way, and what has happened since it began.
#[derive(Debug)]
struct Reading {
    /// The first place of what was dropped since.
    missed: i64,
    /// These have ended: what is read may still show them.
    ended: HashSet<i64>,
}

impl Queue {
    /// An empty one, of which nobody knows what it has in the store.
    pub(super) fn new(account: Id<Account>) -> Self {
        Self {
            account,
            endpoint: Endpoint::default(),
            in_turn: None,
            look_at: None,
            ready: VecDeque::new(),
            parked: HashMap::new(),
            waiting: HashSet::new(),
            in_flight: HashMap::new(),
            log: Log::Behind,
            next_seq: 0,
            retry_at: None,
            reading: None,
        }
    }

    /// An empty one, which has nothing in the store.
    #[cfg(test)]
    pub(super) fn caught_up(account: Id<Account>) -> Self {
        Self { log: Log::CaughtUp, ..Self::new(account) }
    }

    /// How many wait here.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The places of those in flight.
    pub(super) fn in_flight(&self) -> impl ExactSizeIterator<Item = i64> {
        self.in_flight.keys().copied()
    }

    /// Whether nothing is here, and nothing is to be read.
    pub(super) fn is_idle(&self) -> bool {
        let has_nothing = match self.log {
            Log::CaughtUp => self.retry_at.is_none(),
            Log::Behind => false,
            Log::Paused => true,
        };
        has_nothing
            && self.waiting.is_empty()
            && self.in_flight.is_empty()
            && self.reading.is_none()
    }

    /// Whether one more may go out, as far as its endpoint is concerned.
    pub(super) fn may_begin(&self, pools: &Pools, now: Timestamp) -> bool {
        !self.ready.is_empty()
            && self.in_flight.len() < pools.most_of_one(self.endpoint.class())
            && self.endpoint.admits(now)
    }

    /// Takes in a delivery that was just committed, if it is the next of the log and there is room.
    pub(super) fn offer(&mut self, delivery: DueDelivery, most: usize) {
        // It may have been read before this was told.
        if self.holds(delivery.seq) {
            return;
        }
        if self.log == Log::CaughtUp && self.waiting.len() < most {
            self.next_seq = self.next_seq.max(delivery.seq + 1);
            self.push(delivery);
        } else {
            self.has_missed(delivery.seq);
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
        if let Some(reading) = &mut self.reading {
            reading.ended.insert(seq);
        }
    }

    /// A retry is due at this time.
    pub(super) fn retry(&mut self, at: Timestamp) {
        self.retry_at = Some(self.retry_at.map_or(at, |before| before.min(at)));
    }

    /// Drops all that waits here, to read it again.
    pub(super) fn reread(&mut self) {
        self.reading = None;
        self.log = Log::Behind;
        self.next_seq = 0;
        self.retry_at = Some(Timestamp(0));
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
        self.reread();
        self.endpoint = Endpoint::default();
        self.in_flight.values_mut().for_each(|is_at_endpoint| *is_at_endpoint = false);
    }

    /// The webhook is another process's. What is in flight ends by itself.
    pub(super) fn pause(&mut self) {
        self.renew();
        self.log = Log::Paused;
    }

    /// Something at this place, or behind it, is in the store only. The places of rows that are gone are given again,
    /// so it may be before the last that was looked at.
    fn has_missed(&mut self, seq: i64) {
        self.log = Log::Behind;
        self.next_seq = self.next_seq.min(seq);
        if let Some(reading) = &mut self.reading {
            reading.missed = reading.missed.min(seq);
        }
    }

    /// Something may have come to the store that nobody has told of.
    pub(super) fn look_again(&mut self) {
        self.has_missed(0);
    }

    /// The webhook is active and has this in the store.
    pub(super) fn found_in_store(&mut self, has_untried: bool, retry_at: Option<Timestamp>) {
        let has_none_here = self.waiting.is_empty() && self.in_flight.is_empty();
        if self.log == Log::Paused || (has_untried && has_none_here) {
            self.look_again();
        }
        if let Some(at) = retry_at {
            self.retry(at);
        }
    }

    /// When the store is to be looked at: when half of what may be here is gone and the log or a retry has more; behind
    /// a breaker, not before its probe may go out, and only if there is nothing here for it. Also when the probe may go
    /// out that is here. None while nothing but a change of the queue brings that about.
    pub(super) fn next_look(&self, most: usize, now: Timestamp) -> Option<Timestamp> {
        let in_store = match self.log {
            _ if self.reading.is_some() => None,
            Log::CaughtUp => self.retry_at,
            Log::Behind => Some(now),
            Log::Paused => None,
        };
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
    /// lets nothing but a probe out: of retries as many more are asked for as are held, and those that are none of
    /// them come in too.
    pub(super) fn query(
        &mut self,
        webhook_id: Id<Webhook>,
        most: usize,
        now: Timestamp,
    ) -> Option<DueQuery> {
        self.next_look(most, now).filter(|at| *at <= now)?;
        let most = if self.endpoint.breaker.is_closed() { most } else { 1 };
        let room = most - self.waiting.len();
        let has_retries = self.retry_at.is_some_and(|at| at <= now);
        // A long backlog must not keep back the retries, nor they it.
        let untried = match (self.log, has_retries) {
            (Log::CaughtUp, _) => 0,
            (_, true) => room - room / 4,
            (_, false) => room,
        };
        let mut retries = if has_retries { room - untried } else { 0 };
        if retries > 0 {
            // What is held is among the retries that are due, and is passed over.
            retries += self.waiting.len() + self.in_flight.len();
            self.retry_at = None;
        }
        self.reading = Some(Reading { missed: i64::MAX, ended: HashSet::new() });
        Some(DueQuery { webhook_id, after: self.next_seq - 1, untried, retries })
    }

    /// Takes in what was read. Nothing of it if the queue was emptied meanwhile.
    pub(super) fn read(&mut self, found: DueDeliveries) {
        let Some(Reading { missed, ended }) = self.reading.take() else { return };
        let has_missed = missed < i64::MAX;
        if !found.is_active {
            self.log = if has_missed { Log::Behind } else { Log::Paused };
            return;
        }
        for delivery in found.untried.into_iter().chain(found.retries) {
            if !self.holds(delivery.seq) && !ended.contains(&delivery.seq) {
                self.push(delivery);
            }
        }
        self.next_seq = found.last.map_or(self.next_seq, |last| last + 1).min(missed);
        self.log = if found.is_all && !has_missed { Log::CaughtUp } else { Log::Behind };
        if let Some(next) = found.next_retry_at {
            self.retry(next);
        }
    }

    /// The store did not answer.
    pub(super) fn not_read(&mut self) {
        if self.reading.take().is_some() {
            self.retry(Timestamp(0));
        }
    }
}

/// The chat whose order a delivery keeps: only first attempts do.
fn ordered_chat(delivery: &DueDelivery) -> Option<Id<Chat>> {
    if delivery.attempts == 0 { delivery.chat_id } else { None }
}
