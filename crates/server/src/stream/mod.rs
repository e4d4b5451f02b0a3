//! LiveStreams streams: what each account's streams share, and what each has for itself.
//!
//! A [`Feed`] reads an account's new events once, whatever the number of its streams, and
//! keeps the newest in memory. A stream that is caught up takes them from there. One that has fallen
//! behind asks its feed to read the store from its position; feeds have their turns at that, and
//! streams at the same position share what is read. A stream is told to wait, but never ended, because the
//! store is busy. Nothing here is the truth: what is dropped is read again from the store.

mod body;
mod feed;
mod filter;
mod recent;
mod shown;
mod slots;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use switchboard_model::{Account, id::Id, time::Clock};
use switchboard_store::{EventPosition, Store, StoreError};
use tokio::{sync::Semaphore, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub(crate) use body::{KeyInUse, StreamBody};
use feed::{Feed, Next};
pub(crate) use filter::Filter;

use crate::{auth_cache::AuthCache, files::FileBytes, quota::Streams};

/// A comment this often keeps a connection open through proxies (§9).
const HEARTBEAT_SECONDS: u32 = 15;
/// How often a feed looks for new events unasked, in case nobody told it of one.
const LOOK_SECONDS: u32 = 60;
/// Feeds that read new events at the same time, and those that read old ones: the others wait for their turns.
const READING_NEW: usize = 64;
const READING_OLD: usize = 8;
/// The longest pause before a busy store is asked again, and the shortest.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The feeds of all accounts that have live streams.
#[derive(Debug)]
pub(crate) struct Feeds {
    shared: Arc<Shared>,
    of: Mutex<HashMap<Id<Account>, Arc<Feed>>>,
    /// Seconds since the start, by which heartbeats are spread.
    second: AtomicU32,
}

/// What live streams need of the server.
pub(crate) struct LiveStreams {
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) files: Arc<FileBytes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) auth_cache: Arc<AuthCache>,
    /// Room for them.
    pub(crate) places: Arc<Streams>,
    /// The server is stopping: they end and say so.
    pub(crate) stopping: CancellationToken,
}

/// What all feeds use.
#[derive(Debug)]
struct Shared {
    store: Arc<dyn Store>,
    files: Arc<FileBytes>,
    clock: Arc<dyn Clock>,
    /// Turns at reading new events, and at reading old ones. First come, first served, and a feed asks for
    /// one at a time: so accounts take turns, however many streams they have.
    reading_new: Semaphore,
    reading_old: Semaphore,
    /// Bytes of events that all feeds together keep.
    kept_bytes: AtomicUsize,
}

/// The place of one stream at its feed; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    feeds: Arc<Feeds>,
    feed: Arc<Feed>,
    slot: u32,
}

impl Feeds {
    pub(crate) fn new(store: Arc<dyn Store>, files: Arc<FileBytes>, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared {
            store,
            files,
            clock,
            reading_new: Semaphore::new(READING_NEW),
            reading_old: Semaphore::new(READING_OLD),
            kept_bytes: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared), of: Mutex::default(), second: AtomicU32::new(0) }
    }

    /// Takes a place for a stream of this account. What is committed from now on comes to it.
    pub(crate) fn join(self: &Arc<Self>, account: Id<Account>) -> Seat {
        let phase = self.second.load(Ordering::Relaxed) % HEARTBEAT_SECONDS;
        let mut feeds = self.lock();
        let new = || Arc::new(Feed::new(account, Arc::clone(&self.shared)));
        let feed = feeds.entry(account).or_insert_with(new);
        if feed.has_failed() {
            *feed = new();
        }
        let slot = feed.take_slot(phase);
        Seat { feeds: Arc::clone(self), feed: Arc::clone(feed), slot }
    }

    /// About how many events lie between these positions, if that can be said.
    fn events_between(&self, earlier: EventPosition, later: EventPosition) -> Option<u64> {
        self.shared.store.events_between(earlier, later)
    }

    /// This account has new events.
    pub(crate) fn tell(&self, account: Id<Account>) {
        let feed = self.lock().get(&account).cloned();
        if let Some(feed) = feed {
            feed.look();
        }
    }

    /// Any account may have new events, and any key may have ended.
    pub(crate) fn tell_all(&self) {
        let feeds: Vec<_> = self.lock().values().cloned().collect();
        for feed in feeds {
            feed.look();
            feed.wake_all();
        }
    }

    /// A key of this account has ended: its streams look whether it was theirs.
    pub(crate) fn check(&self, account: Id<Account>) {
        let feed = self.lock().get(&account).cloned();
        if let Some(feed) = feed {
            feed.wake_all();
        }
    }

    /// Keeps quiet streams open until `stop`, and lets all of them end when the server is `stopping`.
    pub(crate) async fn keep_open(
        self: Arc<Self>,
        stopping: CancellationToken,
        stop: CancellationToken,
    ) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = seconds.tick() => {}
                () = stopping.cancelled() => break,
            }
            let second = self.second.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            let feeds: Vec<_> = self.lock().values().cloned().collect();
            for (feed, number) in feeds.iter().zip(0..) {
                feed.beat(second % HEARTBEAT_SECONDS).await;
                if second.wrapping_add(number) % LOOK_SECONDS == 0 {
                    feed.look();
                }
            }
        }
        while !stop.is_cancelled() {
            let feeds: Vec<_> = self.lock().values().cloned().collect();
            for feed in feeds {
                feed.wake_all();
            }
            tokio::select! {
                _ = seconds.tick() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id<Account>, Arc<Feed>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether this position is known to be one of the order already.
    pub(crate) fn knows(&self, position: EventPosition) -> bool {
        self.feed.knows(position)
    }

    /// The position of the newest event.
    ///
    /// # Errors
    /// When the store fails; not when it is busy.
    pub(crate) async fn newest(&self) -> Result<EventPosition, StoreError> {
        self.feed.newest().await
    }

    fn next(&self, position: EventPosition, filter: &Filter, waker: &Waker) -> Next {
        self.feed.next(self.slot, position, filter, waker)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut feeds = self.feeds.lock();
        let is_last = self.feed.leave_slot(self.slot);
        let account = self.feed.account();
        if is_last && feeds.get(&account).is_some_and(|feed| Arc::ptr_eq(feed, &self.feed)) {
            feeds.remove(&account);
        }
    }
}

/// Asks the store until it is not too busy to answer.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = SHORTEST_PAUSE;
    loop {
        match ask().await {
            Err(StoreError::Overloaded) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            answered => return answered,
        }
    }
}
