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
use switchboard_model::{Timestamp, time::Clock};
use switchboard_store::StoreError;

/// The age from which an entry is read anew.
pub(super) const REFRESH_AFTER: Duration = Duration::from_millis(400);
/// The age from which an entry is served to nobody: what another process revokes is dead here by then.
pub(super) const MAX_AGE: Duration = Duration::from_millis(750);

#[derive(Debug)]
pub(super) struct ReadThrough<K, V> {
    entries: Cache<K, Arc<Entry<V>>>,
    clock: Arc<dyn Clock>,
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
    /// When the read began, by the steady clock.
    read_at: Timestamp,
}

/// Why a read gives no entry.
enum Missing {
    /// There is none.
    Absent,
    Store(StoreError),
}

impl<K: Eq + Hash + Clone, V: Clone> ReadThrough<K, V> {
    pub(super) fn new(max_entries: usize, clock: Arc<dyn Clock>) -> Self {
        Self { entries: Cache::new(max_entries), clock }
    }

    fn age(&self, read_at: Timestamp) -> Duration {
        self.clock.steady().since(read_at)
    }

    /// The value that is here and not too old.
    pub(super) fn peek(&self, key: &K) -> Option<V> {
        let current = self.entries.get(key)?.current();
        (self.age(current.read_at) < MAX_AGE).then_some(current.value)
    }

    /// The value that is here, or what `read` finds; it is told what was here, however old. That there is nothing is not
    /// kept.
    pub(super) async fn get<F>(
        &self,
        key: &K,
        read: impl FnOnce(Option<V>) -> F,
    ) -> Result<Option<V>, StoreError>
    where
        F: Future<Output = Result<Option<V>, StoreError>>,
    {
        let mut last = None;
        if let Some(entry) = self.entries.get(key) {
            let current = entry.current();
            let age = self.age(current.read_at);
            if age < REFRESH_AFTER {
                return Ok(Some(current.value));
            }
            if age < MAX_AGE {
                if entry.is_refreshing.swap(true, Ordering::AcqRel) {
                    return Ok(Some(current.value));
                }
                let read = read(Some(current.value.clone()));
                return self.refresh(&entry, current, read).await;
            }
            self.entries.remove_if(key, |kept| Arc::ptr_eq(kept, &entry));
            last = Some(current.value);
        }
        let read = async {
            let read_at = self.clock.steady();
            let value = read(last).await.map_err(Missing::Store)?.ok_or(Missing::Absent)?;
            Ok(Arc::new(Entry::new(value, read_at)))
        };
        match self.entries.get_or_insert_async(key, read).await {
            Ok(entry) => Ok(Some(entry.current().value)),
            Err(Missing::Absent) => Ok(None),
            Err(Missing::Store(error)) => Err(error),
        }
    }

    /// Reads an entry anew. If that fails, what is here serves as long as it is not too old.
    async fn refresh(
        &self,
        entry: &Entry<V>,
        old: Current<V>,
        read: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<V>, StoreError> {
        let read_at = self.clock.steady();
        match read.await {
            Ok(Some(value)) => {
                let current = Current { value: value.clone(), read_at };
                *entry.current.write().unwrap_or_else(PoisonError::into_inner) = current;
                entry.is_refreshing.store(false, Ordering::Release);
                Ok(Some(value))
            }
            Err(_) if self.age(old.read_at) < MAX_AGE => Ok(Some(old.value)),
            ended => ended,
        }
    }

    /// The entry has changed in the store. A read of it that is under way is used once and not kept.
    pub(super) fn remove(&self, key: &K) {
        self.entries.remove(key);
    }
}

impl<V: Clone> Entry<V> {
    fn new(value: V, read_at: Timestamp) -> Self {
        let current = RwLock::new(Current { value, read_at });
        Self { current, is_refreshing: AtomicBool::new(false) }
    }

    fn current(&self) -> Current<V> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32};

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// A clock that is moved by hand.
    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Hand {
        fn advance(&self, by: Duration) {
            self.0.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
        }
    }

    #[async_trait::async_trait]
    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            self.steady()
        }

        fn steady(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }

        fn boot(&self) -> Option<String> {
            None
        }

        async fn sleep(&self, pause: Duration) {
            self.advance(pause);
        }

        async fn sleep_until(&self, until: Timestamp) {
            self.advance(until.since(self.now()));
        }
    }

    fn new() -> (Arc<Hand>, ReadThrough<(), u32>, Source) {
        let clock = Arc::<Hand>::default();
        (Arc::clone(&clock), ReadThrough::new(1, clock), Source::new())
    }

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
        cache.get(&(), |_| source.read()).await.map(|value| value.expect("it is there"))
    }

    /// What so many callers at once get, and how often it was read for them.
    async fn crowd(cache: &ReadThrough<(), u32>, source: &Source) -> (Vec<u32>, u32) {
        let before = source.reads();
        let callers = join_all((0..CALLERS).map(|_| get(cache, source)));
        let open = async { source.gate.add_permits(1) };
        let values = tokio::join!(callers, open).0.into_iter().map(Result::unwrap).collect();
        (values, source.reads() - before)
    }

    #[tokio::test]
    async fn of_a_crowd_one_reads() {
        let (clock, cache, source) = new();
        assert_eq!(crowd(&cache, &source).await, (vec![1; CALLERS], 1), "nothing is there");
        source.value.store(2, Ordering::Relaxed);
        source.gate.forget_permits(CALLERS);
        clock.advance(REFRESH_AFTER - Duration::from_millis(1));
        assert_eq!(crowd(&cache, &source).await, (vec![1; CALLERS], 0), "it is young");
        source.gate.forget_permits(CALLERS);
        clock.advance(Duration::from_millis(1));
        let (values, reads) = crowd(&cache, &source).await;
        let old = values.iter().filter(|value| **value == 1).count();
        assert_eq!((old, reads), (CALLERS - 1, 1), "one reads, the others do not wait");
        source.gate.forget_permits(CALLERS);
        source.value.store(3, Ordering::Relaxed);
        clock.advance(MAX_AGE);
        assert_eq!(cache.peek(&()), None);
        assert_eq!(crowd(&cache, &source).await, (vec![3; CALLERS], 1), "it is too old");
        assert_eq!(cache.peek(&()), Some(3));
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_is_not_kept() {
        let (clock, cache, source) = new();
        for age in [Duration::ZERO, REFRESH_AFTER] {
            clock.advance(age);
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

    #[tokio::test]
    async fn a_reader_that_fails_or_hangs_up_leaves_the_entry_its_age() {
        let (clock, cache, source) = new();
        for hangs_up in [false, true] {
            cache.remove(&());
            source.value.store(1, Ordering::Relaxed);
            source.gate.add_permits(1);
            get(&cache, &source).await.unwrap();
            source.value.store(0, Ordering::Relaxed);
            clock.advance(REFRESH_AFTER);
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
            clock.advance(MAX_AGE - REFRESH_AFTER);
            source.gate.add_permits(1);
            assert!(matches!(get(&cache, &source).await, Err(StoreError::Closed)));
        }
    }
}
