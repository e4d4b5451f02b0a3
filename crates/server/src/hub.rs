//! The hub: wake-ups, never the truth. Drop every one of them and all still arrives, late.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use switchboard_model::{Line, id::Id};
use tokio::sync::Notify;

/// Who waits for items of which line.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    lines: Mutex<HashMap<Id<Line>, Arc<Notify>>>,
}

impl Hub {
    /// From now on `notify` is told of new items of these lines.
    pub(crate) fn watch(&self, lines: impl IntoIterator<Item = Id<Line>>, notify: &Arc<Notify>) {
        let mut watched = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines {
            watched.insert(line, Arc::clone(notify));
        }
    }

    /// `notify` is told of nothing any more.
    pub(crate) fn unwatch(&self, notify: &Arc<Notify>) {
        let mut watched = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, other| !Arc::ptr_eq(other, notify));
    }

    /// This line has items to claim.
    pub(crate) fn wake(&self, line: Id<Line>) {
        let watched = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = watched.get(&line) {
            notify.notify_one();
        }
    }
}
