//! So many at once of each: account, key, or whoever else may not have all of what many share.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many each has. Who has none is not in it.
#[derive(Debug, Clone)]
pub(crate) struct Each<K>(Arc<Mutex<HashMap<K, u32>>>);

/// One that somebody has; free when dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Copy + Eq + Hash> {
    all: Each<K>,
    of: K,
}

impl<K> Default for Each<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> Each<K> {
    /// One more, if this one has less than `most`.
    pub(crate) fn take(&self, of: K, most: u32) -> Option<Share<K>> {
        let mut all = self.lock();
        let own = all.get(&of).copied().unwrap_or(0);
        if own >= most {
            return None;
        }
        all.insert(of, own + 1);
        Some(Share { all: self.clone(), of })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        match all.get_mut(&self.of) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(all.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_and_who_has_none_is_forgotten() {
        let each = Each::default();
        let (one, two) = (each.take('a', 2).unwrap(), each.take('a', 2).unwrap());
        assert!(each.take('a', 2).is_none());
        let other = each.take('b', 2).unwrap();
        drop(one);
        let again = each.take('a', 2).unwrap();
        drop((two, again, other));
        assert!(each.lock().is_empty());
    }
}
