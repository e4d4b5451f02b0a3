//! The hourly limit of a key (§4): a fixed window that the key's first request opens.
//!
//! Counting is done in memory; a task adds the counts to those in the store again and again, as fast
//! as the store takes them but not more often than [`FLUSH_PAUSE`], and learns what other processes have counted. A
//! killed process forgets at most the requests of that last moment; a stopped one forgets none.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use switchboard_model::{
    Key, Timestamp,
    id::Id,
    key::{KeyUsage, RATE_WINDOW_MS},
};

/// The pause between two writings of the counts.
pub(crate) const FLUSH_PAUSE: Duration = Duration::from_millis(100);

/// With more windows than this in memory, the ended ones are dropped each time that their number
/// has doubled. Those that are open are as many as there are keys in use.
const SWEEP_ABOVE: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Limiter {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    windows: HashMap<Id<Key>, Window>,
    dirty: HashSet<Id<Key>>,
    /// With so many windows the ended ones are dropped.
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Timestamp,
    /// By all processes, as far as it is known here.
    used: u32,
    /// Of it, what is not in the store.
    unsaved: u32,
}

impl Window {
    fn new(start: Timestamp) -> Self {
        Self { start, used: 0, unsaved: 0 }
    }
}

/// How a key stands after one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimitStatus {
    limit: u32,
    used: u32,
    /// Seconds until the window ends, at least 1.
    reset: u64,
}

impl Limiter {
    /// Takes over what was written down of a key before it was known here.
    pub(crate) fn restore(&self, usage: KeyUsage) {
        let mut state = self.lock();
        let new = Window::new(usage.window_start);
        state.windows.entry(usage.key_id).or_insert(new).join(&usage);
    }

    /// Counts one request.
    pub(crate) fn count(&self, key: Id<Key>, limit: u32, now: Timestamp) -> RateLimitStatus {
        let mut state = self.lock();
        state.sweep(now, SWEEP_ABOVE);
        let window = state.windows.entry(key).or_insert_with(|| Window::new(now));
        if !is_open(window, now) {
            *window = Window::new(now);
        }
        window.used = window.used.saturating_add(1);
        window.unsaved = window.unsaved.saturating_add(1);
        let Window { start, used, .. } = *window;
        state.dirty.insert(key);
        let left_ms = start.0.saturating_add(RATE_WINDOW_MS).saturating_sub(now.0).max(1);
        RateLimitStatus { limit, used, reset: left_ms.unsigned_abs().div_ceil(1000) }
    }

    /// What was counted since the last call.
    pub(crate) fn take_unsaved(&self) -> Vec<KeyUsage> {
        let mut state = self.lock();
        let dirty = std::mem::take(&mut state.dirty);
        let usage = |key_id| {
            let window = state.windows.get_mut(&key_id)?;
            let used = std::mem::take(&mut window.unsaved);
            Some(KeyUsage { key_id, window_start: window.start, used })
        };
        dirty.into_iter().filter_map(usage).collect()
    }

    /// What all processes have counted, once what was taken here is in the store.
    pub(crate) fn saved(&self, kept: Vec<KeyUsage>) {
        let mut state = self.lock();
        for usage in kept {
            if let Some(window) = state.windows.get_mut(&usage.key_id) {
                window.join(&usage);
            }
        }
    }

    /// Counts that were taken and could not be written down.
    pub(crate) fn put_back(&self, taken: Vec<KeyUsage>) {
        let mut state = self.lock();
        for usage in taken {
            let Some(window) = state.windows.get_mut(&usage.key_id) else { continue };
            if window.start == usage.window_start {
                window.unsaved = window.unsaved.saturating_add(usage.used);
                state.dirty.insert(usage.key_id);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Looks at every window, but so rarely that it is a constant part of each request.
    fn sweep(&mut self, now: Timestamp, above: usize) {
        if self.windows.len() < self.sweep_at.max(above) {
            return;
        }
        self.windows.retain(|_, window| is_open(window, now));
        self.sweep_at = self.windows.len() * 2;
    }
}

impl Window {
    /// The store has counted so much, by all processes and without what is unsaved here. Not of an hour that is over.
    fn join(&mut self, kept: &KeyUsage) {
        if is_open(&Self::new(kept.window_start), self.start) || is_open(self, kept.window_start) {
            self.start = kept.window_start;
            self.used = kept.used.saturating_add(self.unsaved).max(self.used);
        }
    }
}

/// A window also ends when the clock was set back to before it began.
fn is_open(window: &Window, now: Timestamp) -> bool {
    (0..RATE_WINDOW_MS).contains(&(now.0.saturating_sub(window.start.0)))
}

impl RateLimitStatus {
    pub(crate) fn is_exceeded(self) -> bool {
        self.used > self.limit
    }

    /// Seconds to wait for the next window.
    pub(crate) fn reset(self) -> u64 {
        self.reset
    }

    /// Requests that are left of this hour.
    pub(crate) fn remaining(self) -> u64 {
        self.limit.saturating_sub(self.used).into()
    }

    /// Requests of an hour.
    pub(crate) fn limit(self) -> u32 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_an_hour_from_its_first_request() {
        let (limiter, key) = (Limiter::default(), Id::generate());
        let first = limiter.count(key, 2, Timestamp(5_000));
        assert_eq!(first, RateLimitStatus { limit: 2, used: 1, reset: 3600 });
        assert!(!limiter.count(key, 2, Timestamp(6_000)).is_exceeded());
        let third = limiter.count(key, 2, Timestamp(5_000 + RATE_WINDOW_MS - 1));
        assert!(third.is_exceeded() && third.reset() == 1);
        assert!(!limiter.count(key, 2, Timestamp(5_000 + RATE_WINDOW_MS)).is_exceeded());
    }

    #[test]
    fn ended_windows_are_dropped_now_and_then() {
        let (limiter, hour) = (Limiter::default(), RATE_WINDOW_MS);
        let mut sizes = Vec::new();
        for at in [0, 0, 0, 0, hour, hour, hour, hour] {
            limiter.count(Id::generate(), 1, Timestamp(at));
            let mut state = limiter.lock();
            state.sweep(Timestamp(at), 2);
            sizes.push(state.windows.len());
        }
        // After two and four it is looked at again with eight, and four have ended.
        assert_eq!(sizes, [1, 2, 3, 4, 5, 6, 7, 4]);
    }

    #[test]
    fn a_restored_count_goes_on() {
        let (limiter, key_id) = (Limiter::default(), Id::generate());
        limiter.restore(KeyUsage { key_id, window_start: Timestamp(0), used: 7 });
        assert_eq!(limiter.count(key_id, 10, Timestamp(1)).used, 8);
        let one = KeyUsage { key_id, window_start: Timestamp(0), used: 1 };
        assert_eq!(limiter.take_unsaved(), [one]);
        assert_eq!(limiter.take_unsaved(), []);
        limiter.put_back(vec![one]);
        limiter.count(key_id, 10, Timestamp(2));
        assert_eq!(limiter.take_unsaved()[0].used, 2);
        // Another process has counted too, and began earlier.
        let window_start = Timestamp(-10);
        limiter.saved(vec![KeyUsage { key_id, window_start, used: 15 }]);
        let next = limiter.count(key_id, 20, Timestamp(3));
        assert_eq!((next.used, next.reset), (16, 3600));
        assert!(
            limiter.count(key_id, 20, Timestamp(RATE_WINDOW_MS - 10)).used == 1,
            "its hour is over"
        );
        limiter.saved(vec![KeyUsage { key_id, window_start, used: 99 }]);
        assert_eq!(limiter.count(key_id, 20, Timestamp(RATE_WINDOW_MS)).used, 2);
    }
}
