//! How a queue reads on from its place in the log, and the retries that are due.

use std::collections::{HashMap, HashSet};

use switchboard_model::{Timestamp, Webhook, id::Id};
use switchboard_store::{DueDeliveries, DueQuery};

use super::Queue;

/// A read of the store that is under way, and what has happened since it began.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Whether it reads the log.
    is_of_log: bool,
    /// Whether it reads retries.
    is_of_retries: bool,
    /// The first place of what was dropped since.
    missed: Option<i64>,
    /// These have ended: what is read may still show them.
    pub(super) ended: HashSet<i64>,
}

impl Queue {
    /// Something at this place, or behind it, is in the store only. The places of rows that are gone are given again,
    /// so it may be before the last that was looked at.
    pub(super) fn has_missed(&mut self, seq: i64) {
        self.caught_up = false;
        self.is_paused = false;
        self.is_forgotten = false;
        self.next_seq = self.next_seq.min(seq);
        if let Some(reading) = &mut self.reading {
            reading.missed = Some(reading.missed.map_or(seq, |before| before.min(seq)));
        }
    }

    /// The webhook is active and has this in the store.
    pub(in crate::deliver) fn found_in_store(
        &mut self,
        has_untried: bool,
        retry_at: Option<Timestamp>,
    ) {
        if self.is_paused || (has_untried && self.held.is_empty()) {
            self.look_again();
        }
        if let Some(at) = retry_at {
            self.retry(at);
        }
    }

    /// Something may have come to the store that nobody has told of.
    pub(in crate::deliver) fn look_again(&mut self) {
        self.has_missed(0);
    }

    /// What is to be read of the store now, if anything is: when half of what may be here is gone. About `most` wait here
    /// after it, and about one where a breaker lets nothing but a probe out: of retries as many more are asked for as
    /// are held, and those that are none of them come in too.
    pub(in crate::deliver) fn query(
        &mut self,
        webhook_id: Id<Webhook>,
        most: usize,
        now: Timestamp,
    ) -> Option<DueQuery> {
        if !self.wants_read(most, now) {
            return None;
        }
        let most = if self.endpoint.breaker.is_closed() { most } else { 1 };
        let room = most - self.waiting();
        let has_retries = self.retry_at.is_some_and(|at| at <= now);
        // A long backlog must not keep back the retries, nor they it.
        let untried = match (self.caught_up, has_retries) {
            (true, _) => 0,
            (false, true) => room - room / 4,
            (false, false) => room,
        };
        let mut retries = if has_retries { room - untried } else { 0 };
        if retries > 0 {
            // What is held is among the retries that are due, and is passed over.
            retries += self.held.len();
            self.retry_at = None;
        }
        let (is_of_log, is_of_retries) = (untried > 0, retries > 0);
        self.reading = Some(Reading { is_of_log, is_of_retries, ..Reading::default() });
        Some(DueQuery { webhook_id, after: self.next_seq - 1, untried, retries })
    }

    pub(in crate::deliver) fn wants_read(&self, most: usize, now: Timestamp) -> bool {
        let has_some = !self.caught_up || self.retry_at.is_some_and(|at| at <= now);
        let has_room = match self.endpoint.breaker.is_closed() {
            true => 2 * self.waiting() <= most,
            false => self.waiting() == 0 && self.endpoint.breaker.admits(now),
        };
        has_some && has_room && self.reading.is_none() && !self.is_paused
    }

    /// Takes in what was read. Nothing of it if the queue was emptied meanwhile.
    pub(in crate::deliver) fn read(&mut self, found: DueDeliveries) {
        let Some(reading) = self.reading.take() else { return };
        if !found.is_active {
            self.is_paused = reading.missed.is_none();
            self.caught_up = false;
            return;
        }
        let is_new =
            |held: &HashMap<_, _>, seq| !held.contains_key(&seq) && !reading.ended.contains(&seq);
        for delivery in found.untried {
            if is_new(&self.held, delivery.seq) {
                self.push(delivery);
            }
        }
        if reading.is_of_log {
            let behind = found.last.map_or(self.next_seq, |last| last + 1);
            self.next_seq = reading.missed.map_or(behind, |missed| missed.min(behind));
            self.caught_up = found.is_all && reading.missed.is_none();
        }
        for delivery in found.retries {
            if is_new(&self.held, delivery.seq) {
                self.push(delivery);
            }
        }
        if let Some(next) = found.next_retry_at {
            self.retry(next);
        }
    }

    /// The store did not answer.
    pub(in crate::deliver) fn not_read(&mut self) {
        if self.reading.take().is_some_and(|reading| reading.is_of_retries) {
            self.retry(Timestamp(0));
        }
    }
}
