//! Which lines take items now: for the links, and for who watches.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchboard_model::{
    Bridge, Line,
    id::Id,
    line::{DriverKind, OfflineReason},
    link::LineRole,
};

/// The lines of all links that are online, and whose link carries each. A line is carried by one link at a time.
#[derive(Debug, Default, Clone)]
pub(crate) struct OnlineLines(Arc<Mutex<HashMap<Id<Line>, Carrier>>>);

/// The driver and the bridge of a link that carries a line.
type Carrier = (DriverKind, Id<Bridge>);

impl OnlineLines {
    /// How many there are of each driver.
    pub(crate) fn count(&self) -> HashMap<DriverKind, u64> {
        let mut count = HashMap::new();
        for (driver, _) in lock(&self.0).values() {
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
    bridge: Id<Bridge>,
    /// Each line of which the bridge has spoken.
    here: Mutex<HashMap<Id<Line>, Told>>,
}

/// What a bridge has said of a line, and what it was to the line then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) online: bool,
    /// Why not; beside an online line, a warning.
    pub(super) reason: Option<OfflineReason>,
    pub(super) role: LineRole,
}

impl Told {
    /// Whether the line takes items of this link.
    fn is_up(self) -> bool {
        self.online && self.role.is_active()
    }
}

impl OnlineHere {
    pub(super) fn new(all: &OnlineLines, driver: DriverKind, bridge: Id<Bridge>) -> Self {
        Self { all: all.clone(), driver, bridge, here: Mutex::default() }
    }

    /// Whether that is a change. A line of which nothing was said yet is offline for no reason.
    pub(super) fn set(&self, line: Id<Line>, told: Told) -> bool {
        let mut here = lock(&self.here);
        let mut all = lock(&self.all.0);
        if told.is_up() {
            all.insert(line, (self.driver, self.bridge));
        } else if all.get(&line).is_some_and(|(_, bridge)| *bridge == self.bridge) {
            // Not one that another link has taken over.
            all.remove(&line);
        }
        here.insert(line, told).unwrap_or_default() != told
    }

    pub(super) fn has(&self, line: Id<Line>) -> bool {
        lock(&self.here).get(&line).is_some_and(|told| told.is_up())
    }

    pub(super) fn list(&self) -> Vec<Id<Line>> {
        lock(&self.here).iter().filter(|(_, told)| told.is_up()).map(|(line, _)| *line).collect()
    }

    /// What the bridge last said of the line, if it has.
    pub(super) fn told(&self, line: Id<Line>) -> Option<Told> {
        lock(&self.here).get(&line).copied()
    }

    /// All of them go offline; those that it stands by for, too.
    pub(super) fn take(&self) -> HashSet<Id<Line>> {
        let here = std::mem::take(&mut *lock(&self.here));
        let gone: HashSet<_> =
            here.into_iter().filter(|(_, told)| told.online).map(|(line, _)| line).collect();
        lock(&self.all.0)
            .retain(|line, (_, bridge)| *bridge != self.bridge || !gone.contains(line));
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
