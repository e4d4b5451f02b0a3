//! A map in bounds: it keeps what was put in last.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// The newest entries, by key.
pub(super) struct CappedMap<K, V> {
    most: usize,
    map: HashMap<K, V>,
    /// In the order in which the keys first came: the first is dropped first.
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> CappedMap<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, map: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.iter().filter_map(|key| self.map.get_key_value(key))
    }
}

#[cfg(test)]
mod tests {
    use super::CappedMap;

    #[test]
    fn the_oldest_goes_first_and_a_change_makes_nothing_newer() {
        let mut map = CappedMap::new(2);
        for (key, value) in [(1, 'a'), (2, 'b'), (1, 'c'), (3, 'd')] {
            map.insert(key, value);
        }
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&2, &'b'), (&3, &'d')]);
        assert_eq!((map.len(), map.get(&1)), (2, None));
    }
}
