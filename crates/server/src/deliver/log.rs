//! How far the log of one webhook is read, when its next retry is due, and the read of both that is under way.

use std::collections::HashSet;

use switchboard_model::{Timestamp, Webhook, delivery::DueDelivery, id::Id};
use switchboard_store::{DueDeliveries, DueQuery};

#[derive(Debug)]
pub(super) struct Log {
    state: State,
    /// When the next retry is due that is not in memory; none if there is none.
    retry_at: Option<Timestamp>,
    reading: Option<Reading>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All that it holds was read, or was told.
    CaughtUp,
    /// It may hold what was neither, from this place on.
    Behind { from: i64 },
    /// It is not to be read before something is told of it: the webhook is not active, or another process's.
    Paused,
}

/// What has happened since a read of the store began.
#[derive(Debug, Default)]
struct Reading {
    /// The first place of what was missed since.
    missed: Option<i64>,
    /// These have ended: what is read may still show them.
    ended: HashSet<i64>,
}

impl Default for Log {
    /// Nobody knows what it holds.
    fn default() -> Self {
        Self { state: State::Behind { from: 0 }, retry_at: None, reading: None }
    }
}

impl Log {
    /// Without anything in it.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        Self { state: State::CaughtUp, ..Self::default() }
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.state == State::CaughtUp
    }

    pub(super) fn is_paused(&self) -> bool {
        self.state == State::Paused
    }

    /// Whether nothing is to be read, now or later.
    pub(super) fn is_done(&self) -> bool {
        let has_nothing = match self.state {
            State::CaughtUp => self.retry_at.is_none(),
            State::Behind { .. } => false,
            State::Paused => true,
        };
        has_nothing && self.reading.is_none()
    }

    /// Something at this place, or behind it, is in the store only. The places of rows that are gone are given again,
    /// so it may be before the last that was read.
    pub(super) fn missed(&mut self, seq: i64) {
        let from = match self.state {
            State::CaughtUp => seq,
            State::Behind { from } => from.min(seq),
            State::Paused => 0,
        };
        self.state = State::Behind { from };
        if let Some(Reading { missed, .. }) = &mut self.reading {
            *missed = Some(missed.map_or(seq, |before| before.min(seq)));
        }
    }

    /// A retry is due at this time.
    pub(super) fn retry(&mut self, at: Timestamp) {
        self.retry_at = Some(self.retry_at.map_or(at, |before| before.min(at)));
    }

    /// An attempt has ended that was made of this one.
    pub(super) fn ended(&mut self, seq: i64) {
        if let Some(reading) = &mut self.reading {
            reading.ended.insert(seq);
        }
    }

    /// All is to be read anew.
    pub(super) fn reset(&mut self) {
        *self = Self { retry_at: Some(Timestamp(0)), ..Self::default() };
    }

    pub(super) fn pause(&mut self) {
        *self = Self { state: State::Paused, ..Self::default() };
    }

    /// When there is something to read; none if there is nothing, or if a read is under way.
    pub(super) fn next_read(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            _ if self.reading.is_some() => None,
            State::CaughtUp => self.retry_at,
            State::Behind { .. } => Some(now),
            State::Paused => None,
        }
    }

    /// Begins to read, if there is room for so many more. What is held already is among the retries that are due: of them
    /// as many more are asked for.
    pub(super) fn query(
        &mut self,
        webhook_id: Id<Webhook>,
        room: usize,
        held: usize,
        now: Timestamp,
    ) -> DueQuery {
        let has_retries = self.retry_at.is_some_and(|at| at <= now);
        // A long backlog must not keep back the retries, nor they it.
        let (from, untried) = match self.state {
            State::Behind { from } => (from, if has_retries { room - room / 4 } else { room }),
            State::CaughtUp | State::Paused => (0, 0),
        };
        let retries = if has_retries && untried < room { room - untried + held } else { 0 };
        if retries > 0 {
            self.retry_at = None;
        }
        self.reading = Some(Reading::default());
        DueQuery { webhook_id, from, untried, retries }
    }

    /// What was read and has not ended meanwhile. Nothing if all is to be read anew by now.
    pub(super) fn load(&mut self, found: DueDeliveries) -> Vec<DueDelivery> {
        let Some(Reading { missed, ended }) = self.reading.take() else { return Vec::new() };
        if !found.is_active {
            if missed.is_none() {
                self.state = State::Paused;
            }
            return Vec::new();
        }
        let from = found.more_from.into_iter().chain(missed).min();
        self.state = from.map_or(State::CaughtUp, |from| State::Behind { from });
        if let Some(next) = found.next_retry_at {
            self.retry(next);
        }
        let all = found.untried.into_iter().chain(found.retries);
        all.filter(|delivery| !ended.contains(&delivery.seq)).collect()
    }

    /// The store did not answer.
    pub(super) fn not_loaded(&mut self) {
        if self.reading.take().is_some() {
            self.retry(Timestamp(0));
        }
    }
}
