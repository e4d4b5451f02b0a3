//! Which lines take items now: for the links, and for who watches.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchboard_model::{
    Line,
    id::Id,
    line::{DriverKind, OfflineReason},
};

/// The lines of all links that are online. A line is carried by one link at a time.
#[derive(Debug, Default, Clone)]
pub(crate) struct OnlineLines(Arc<Mutex<HashMap<Id<Line>, DriverKind>>>);

impl OnlineLines {
    /// How many there are of each driver.
    pub(crate) fn count(&self) -> HashMap<DriverKind, u64> {
        let mut count = HashMap::new();
        for driver in lock(&self.0).values() {
            *count.entry(*driver).or_default() += 1;
        }
        count
    }

    /// Whether this line is.
    pub(crate) fn has(&self, line: Id<Line>) -> bool {
        lock(&self.0).contains_key(&line)
    }
}

/// Those of one link. They are offline when it is gone, however it ended.
#[derive(Debug)]
pub(super) struct OnlineHere {
    all: OnlineLines,
    driver: DriverKind,
    /// Each line of which the bridge has spoken: whether it is online, and the reason beside.
    here: Mutex<HashMap<Id<Line>, Told>>,
}

/// Whether a line is online, and why not.
type Told = (bool, Option<OfflineReason>);

impl OnlineHere {
    pub(super) fn new(all: &OnlineLines, driver: DriverKind) -> Self {
        Self { all: all.clone(), driver, here: Mutex::default() }
    }

    /// Whether that is a change. A line of which nothing was said yet is offline for no reason.
    pub(super) fn set(&self, line: Id<Line>, online: bool, reason: Option<OfflineReason>) -> bool {
        let mut here = lock(&self.here);
        if online {
            lock(&self.all.0).insert(line, self.driver);
        } else {
            lock(&self.all.0).remove(&line);
        }
        let told = (online, reason);
        here.insert(line, told).unwrap_or_default() != told
    }

    pub(super) fn has(&self, line: Id<Line>) -> bool {
        lock(&self.here).get(&line).is_some_and(|(online, _)| *online)
    }

    pub(super) fn list(&self) -> Vec<Id<Line>> {
        lock(&self.here).iter().filter(|(_, (online, _))| *online).map(|(line, _)| *line).collect()
    }

    /// All of them go offline.
    pub(super) fn take(&self) -> HashSet<Id<Line>> {
        let here = std::mem::take(&mut *lock(&self.here));
        let gone: HashSet<_> =
            here.into_iter().filter(|(_, (online, _))| *online).map(|(line, _)| line).collect();
        lock(&self.all.0).retain(|line, _| !gone.contains(line));
        gone
    }
}

impl Drop for OnlineHere {
    fn drop(&mut self) {
        self.take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
