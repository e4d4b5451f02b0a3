//! A bounded cache in front of a read. No entry is older than [`MAX_AGE`], whoever else has written meanwhile.
//!
//! An entry that is old enough is read anew by one caller, while the others are served what is there. One that is
//! too old, or was removed, is read by one caller while the others wait.

use std::{
    hash::Hash,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use quick_cache::sync::Cache;
use switchboard_store::StoreError;
use tokio::time::Instant;

/// The age from which an entry is read anew.
pub(super) const REFRESH_AFTER: Duration = Duration::from_millis(400);
/// The age from which an entry is served to nobody: what another process revokes is dead here by then.
pub(super) const MAX_AGE: Duration = Duration::from_millis(750);

#[derive(Debug)]
pub(super) struct ReadThrough<K, V> {
    entries: Cache<K, Arc<Entry<V>>>,
}

/// An entry that was removed is an orphan: whoever reads it anew still writes to it, and nobody sees that.
#[derive(Debug)]
struct Entry<V> {
    current: RwLock<Current<V>>,
    /// Somebody reads it anew. If that caller hangs up, the entry ends with its age.
    is_refreshing: AtomicBool,
}

#[derive(Debug, Clone)]
struct Current<V> {
    value: V,
    /// When the read began.
    read_at: Instant,
}

/// Why a read gives no entry.
enum Missing {
    /// There is none.
    Absent,
    Store(StoreError),
}

impl<K: Eq + Hash + Clone, V: Clone> ReadThrough<K, V> {
    pub(super) fn new(max_entries: usize) -> Self {
        Self { entries: Cache::new(max_entries) }
    }

    /// The value that is here and not too old.
    pub(super) fn peek(&self, key: &K) -> Option<V> {
        let current = self.entries.get(key)?.current();
        (current.read_at.elapsed() < MAX_AGE).then_some(current.value)
    }

    /// The value that is here, however old: what it was when it was read last.
    pub(super) fn last(&self, key: &K) -> Option<V> {
        Some(self.entries.get(key)?.current().value)
    }

    /// The value that is here, or what `read` finds. That there is nothing is not kept.
    pub(super) async fn get(
        &self,
        key: &K,
        read: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<V>, StoreError> {
        if let Some(entry) = self.entries.get(key) {
            let Current { value, read_at } = entry.current();
            let age = read_at.elapsed();
            if age < REFRESH_AFTER {
                return Ok(Some(value));
            }
            if age < MAX_AGE {
                if entry.is_refreshing.swap(true, Ordering::AcqRel) {
                    return Ok(Some(value));
                }
                return entry.refresh(Current { value, read_at }, read).await;
            }
            self.entries.remove_if(key, |kept| Arc::ptr_eq(kept, &entry));
        }
        let read = async {
            let read_at = Instant::now();
            let value = read.await.map_err(Missing::Store)?.ok_or(Missing::Absent)?;
            Ok(Arc::new(Entry::new(value, read_at)))
        };
        match self.entries.get_or_insert_async(key, read).await {
            Ok(entry) => Ok(Some(entry.current().value)),
            Err(Missing::Absent) => Ok(None),
            Err(Missing::Store(error)) => Err(error),
        }
    }

    /// The entry has changed in the store. A read of it that is under way is used once and not kept.
    pub(super) fn remove(&self, key: &K) {
        self.entries.remove(key);
    }
}

impl<V: Clone> Entry<V> {
    fn new(value: V, read_at: Instant) -> Self {
        let current = RwLock::new(Current { value, read_at });
        Self { current, is_refreshing: AtomicBool::new(false) }
    }

    fn current(&self) -> Current<V> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads it anew. If that fails, what is here serves as long as it is not too old.
    async fn refresh(
        &self,
        old: Current<V>,
        read: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<V>, StoreError> {
        let read_at = Instant::now();
        let read = read.await;
        if let Ok(Some(value)) = &read {
            let value = value.clone();
            *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                Current { value, read_at };
            self.is_refreshing.store(false, Ordering::Release);
        }
        read.or_else(
            |error| {
                if old.read_at.elapsed() < MAX_AGE { Ok(Some(old.value)) } else { Err(error) }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const CALLERS: usize = 64;

    /// What is read, how often it was, and who lets a read end.
    struct Source {
        value: AtomicU32,
        reads: AtomicU32,
        gate: Semaphore,
    }

    impl Source {
        fn new() -> Self {
            Self { value: 1.into(), reads: 0.into(), gate: Semaphore::new(0) }
        }

        async fn read(&self) -> Result<Option<u32>, StoreError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            let value = self.value.load(Ordering::Relaxed);
            self.gate.acquire().await.expect("it is never closed").forget();
            match value {
                0 => Err(StoreError::Closed),
                value => Ok(Some(value)),
            }
        }

        fn reads(&self) -> u32 {
            self.reads.load(Ordering::Relaxed)
        }
    }

    async fn get(cache: &ReadThrough<(), u32>, source: &Source) -> Result<u32, StoreError> {
        cache.get(&(), source.read()).await.map(|value| value.expect("it is there"))
    }

    /// What so many callers at once get, and how often it was read for them.
    async fn crowd(cache: &ReadThrough<(), u32>, source: &Source) -> (Vec<u32>, u32) {
        let before = source.reads();
        let callers = join_all((0..CALLERS).map(|_| get(cache, source)));
        let open = async { source.gate.add_permits(1) };
        let values = tokio::join!(callers, open).0.into_iter().map(Result::unwrap).collect();
        (values, source.reads() - before)
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_crowd_one_reads() {
        let (cache, source) = (ReadThrough::new(1), Source::new());
        assert_eq!(crowd(&cache, &source).await, (vec![1; CALLERS], 1), "nothing is there");
        source.value.store(2, Ordering::Relaxed);
        source.gate.forget_permits(CALLERS);
        tokio::time::advance(REFRESH_AFTER - Duration::from_millis(1)).await;
        assert_eq!(crowd(&cache, &source).await, (vec![1; CALLERS], 0), "it is young");
        source.gate.forget_permits(CALLERS);
        tokio::time::advance(Duration::from_millis(1)).await;
        let (values, reads) = crowd(&cache, &source).await;
        let old = values.iter().filter(|value| **value == 1).count();
        assert_eq!((old, reads), (CALLERS - 1, 1), "one reads, the others do not wait");
        source.gate.forget_permits(CALLERS);
        source.value.store(3, Ordering::Relaxed);
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(cache.peek(&()), None);
        assert_eq!(crowd(&cache, &source).await, (vec![3; CALLERS], 1), "it is too old");
        assert_eq!(cache.peek(&()), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_while_it_is_read_is_not_kept() {
        let (cache, source) = (ReadThrough::new(1), Source::new());
        for age in [Duration::ZERO, REFRESH_AFTER] {
            tokio::time::advance(age).await;
            source.value.store(1, Ordering::Relaxed);
            let change = async {
                source.value.store(2, Ordering::Relaxed);
                cache.remove(&());
                source.gate.add_permits(1);
            };
            let (first, ()) = tokio::join!(get(&cache, &source), change);
            assert_eq!(first.unwrap(), 1, "it was read before");
            source.gate.add_permits(1);
            assert_eq!(get(&cache, &source).await.unwrap(), 2, "{age:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_fails_or_hangs_up_leaves_the_entry_its_age() {
        let (cache, source) = (ReadThrough::new(1), Source::new());
        for hangs_up in [false, true] {
            cache.remove(&());
            source.value.store(1, Ordering::Relaxed);
            source.gate.add_permits(1);
            get(&cache, &source).await.unwrap();
            source.value.store(0, Ordering::Relaxed);
            tokio::time::advance(REFRESH_AFTER).await;
            if hangs_up {
                let hung_up = tokio::time::timeout(Duration::ZERO, get(&cache, &source)).await;
                assert!(hung_up.is_err());
            } else {
                source.gate.add_permits(1);
                assert_eq!(get(&cache, &source).await.unwrap(), 1);
            }
            let reads = source.reads();
            assert_eq!(get(&cache, &source).await.unwrap(), 1);
            assert_eq!(source.reads(), reads, "it is not tried again and again");
            tokio::time::advance(MAX_AGE - REFRESH_AFTER).await;
            source.gate.add_permits(1);
            assert!(matches!(get(&cache, &source).await, Err(StoreError::Closed)));
        }
    }
}
