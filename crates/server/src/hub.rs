//! The hub: wake-ups, never the truth. Drop every one of them and all still arrives, late.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchboard_model::{Line, id::Id};
use tokio::sync::Notify;

/// Who waits for items of which line, and for replays.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    lines: Mutex<HashMap<Id<Line>, Arc<Woken>>>,
    replays: Notify,
}

impl Hub {
    /// From now on `woken` is told of new items of these lines.
    pub(crate) fn watch(&self, lines: impl IntoIterator<Item = Id<Line>>, woken: &Arc<Woken>) {
        let mut watched = lock(&self.lines);
        for line in lines {
            watched.insert(line, Arc::clone(woken));
        }
    }

    /// `woken` is told of nothing any more.
    pub(crate) fn unwatch(&self, woken: &Arc<Woken>) {
        lock(&self.lines).retain(|_, other| !Arc::ptr_eq(other, woken));
    }

    /// Any line may have items to claim.
    pub(crate) fn wake_all(&self) {
        let watched: Vec<_> =
            lock(&self.lines).iter().map(|(line, woken)| (*line, Arc::clone(woken))).collect();
        for (line, woken) in watched {
            woken.wake([line]);
        }
    }

    /// This line has items to claim.
    pub(crate) fn wake(&self, line: Id<Line>) {
        let woken = lock(&self.lines).get(&line).cloned();
        if let Some(woken) = woken {
            woken.wake([line]);
        }
    }

    /// There may be replays to lead on.
    pub(crate) fn wake_replays(&self) {
        self.replays.notify_one();
    }

    /// Returns when there may be.
    pub(crate) async fn replays(&self) {
        self.replays.notified().await;
    }
}

/// The lines of one link that may have items to claim, or room for more.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    lines: Mutex<HashSet<Id<Line>>>,
    any: Notify,
}

impl Woken {
    /// These may.
    pub(crate) fn wake(&self, lines: impl IntoIterator<Item = Id<Line>>) {
        let mut woken = lock(&self.lines);
        woken.extend(lines);
        if !woken.is_empty() {
            self.any.notify_one();
        }
    }

    /// Waits for some, and takes them.
    pub(crate) async fn take(&self) -> HashSet<Id<Line>> {
        loop {
            let lines = std::mem::take(&mut *lock(&self.lines));
            if !lines.is_empty() {
                return lines;
            }
            self.any.notified().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_is_told_which_of_its_lines_to_look_at() {
        let (hub, woken, other) = (Hub::default(), Arc::default(), Arc::default());
        let lines: Vec<Id<Line>> = (0..200).map(|_| Id::generate()).collect();
        hub.watch(lines[..199].iter().copied(), &woken);
        hub.watch([lines[199]], &other);
        for at in [7, 7, 199, 3] {
            hub.wake(lines[at]);
        }
        assert_eq!(woken.take().await, HashSet::from([lines[7], lines[3]]));
        assert_eq!(other.take().await, HashSet::from([lines[199]]));
        // What was taken is told no more.
        woken.wake([lines[5]]);
        assert_eq!(woken.take().await, HashSet::from([lines[5]]));
        hub.unwatch(&other);
        hub.wake(lines[199]);
        assert!(lock(&other.lines).is_empty());
    }
}
