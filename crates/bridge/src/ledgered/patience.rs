//! How long messages wait for files that can't be had.
//!
//! The promise: no file holds a line up for ever. From the first failure of a line on it is waited until some file of it
//! comes through, for a bounded time; after that each message is told without what can't be had at once, until one does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use switchboard_model::{Line, id::Id};
use tokio::time::Instant;

/// How many times longer it is waited while the line itself is away: its files are where it is.
const AWAY: u32 = 5;
/// After how much of the time the line says that it waits.
const SAYS_SO_AFTER: u32 = 6;
/// A failure that was longer ago says nothing of now, in times of what is waited.
const FORGOTTEN_AFTER: u32 = 10;

/// The lines whose files can't be had.
#[derive(Default)]
pub(super) struct Patience(Mutex<HashMap<Id<Line>, Failing>>);

struct Failing {
    since: Instant,
    last: Instant,
    /// Whether messages wait for it, for so long that the line says so.
    is_said: bool,
}

impl Patience {
    /// A file can't be had. True while it is to be waited for.
    pub(super) fn waits(&self, line: Id<Line>, within: Duration, is_online: bool) -> bool {
        let now = Instant::now();
        let mut all = self.all();
        let failing = all.entry(line).or_insert(Failing { since: now, last: now, is_said: false });
        if failing.last.elapsed() > within * FORGOTTEN_AFTER {
            failing.since = now;
        }
        failing.last = now;
        let waited = failing.since.elapsed();
        let waits = waited < if is_online { within } else { within * AWAY };
        failing.is_said = waits && waited >= within / SAYS_SO_AFTER;
        waits
    }

    /// A file came through.
    pub(super) fn is_over(&self, line: Id<Line>) {
        self.all().remove(&line);
    }

    /// Nothing of these lines waits now; how long it did counts on.
    pub(super) fn pause(&self, lines: &[Id<Line>]) {
        let mut all = self.all();
        all.retain(|line, _| lines.contains(line));
        all.values_mut().for_each(|failing| failing.is_said = false);
    }

    /// Whether the line says that it waits.
    pub(super) fn is_said(&self, line: Id<Line>) -> bool {
        self.all().get(&line).is_some_and(|failing| failing.is_said)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Id<Line>, Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_line_waits_for_its_files_for_a_while_and_not_for_each() {
        let (patience, line) = (Patience::default(), Id::generate());
        assert!(patience.waits(line, WITHIN, true) && !patience.is_said(line));
        tokio::time::advance(WITHIN / 2).await;
        assert!(patience.waits(line, WITHIN, true) && patience.is_said(line));
        tokio::time::advance(WITHIN / 2).await;
        // What is away as a whole may take longer.
        assert!(patience.waits(line, WITHIN, false) && patience.is_said(line));
        assert!(!patience.waits(line, WITHIN, true) && !patience.is_said(line));
        // The next message does not wait anew, until a file comes through.
        assert!(!patience.waits(line, WITHIN, true));
        patience.is_over(line);
        assert!(patience.waits(line, WITHIN, true));
        tokio::time::advance(WITHIN * 20).await;
        assert!(patience.waits(line, WITHIN, true));
    }
}
