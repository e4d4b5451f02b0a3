//! The events of one account, read once for all its streams.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use switchboard_model::{Account, EventKind, id::Id};
use switchboard_store::{CommittedEvent, EventPosition, EventsAfter, StoreError};

use super::{
    Shared,
    filter::Filter,
    patiently,
    recent::Recent,
    shown::Shown,
    slots::{Slice, Slots},
};
use crate::outage;

/// The most events of one read.
const BATCH: usize = 100;
/// The last reads of old events that are kept, for streams that come by a little later.
const MAX_SLICES: usize = 8;
/// Streams that are woken before others of the server have their turn.
const WOKEN_AT_ONCE: usize = 128;

#[derive(Debug)]
pub(super) struct Feed {
    account: Id<Account>,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// How often the newest position was asked for.
    asked: AtomicU64,
    /// The last answer, and up to which asking it counts.
    newest: tokio::sync::Mutex<(u64, EventPosition)>,
}

#[derive(Debug, Default)]
struct State {
    recent: Recent,
    slots: Slots,
    /// Somebody reads new events; and there are more by now.
    is_reading: bool,
    again: bool,
    /// The positions from which old events are wanted, in the order of asking, and by whom.
    positions: VecDeque<EventPosition>,
    wanted: HashMap<EventPosition, Vec<u32>>,
    is_reading_old: bool,
    slices: VecDeque<Arc<Slice>>,
    has_failed: bool,
}

/// What there is for a stream. Whoever is told to wait is woken.
pub(super) enum Next {
    Event(Arc<Shown>),
    /// It is behind: this was read for it.
    Slice(Arc<Slice>),
    /// It has fallen behind, and it is not its turn yet.
    Behind {
        beat: bool,
    },
    /// There is nothing for it up to this position.
    CaughtUp {
        position: EventPosition,
        beat: bool,
    },
    /// The store has failed.
    Failed,
}

impl Feed {
    pub(super) fn new(account: Id<Account>, shared: Arc<Shared>) -> Self {
        Self {
            account,
            shared,
            state: Mutex::default(),
            asked: AtomicU64::new(0),
            newest: tokio::sync::Mutex::new((0, EventPosition::START)),
        }
    }

    pub(super) fn account(&self) -> Id<Account> {
        self.account
    }

    pub(super) fn take_slot(&self, phase: u32) -> u32 {
        self.lock().slots.take(phase)
    }

    /// Answers whether nobody is left.
    pub(super) fn leave_slot(&self, slot: u32) -> bool {
        self.lock().slots.leave(slot)
    }

    /// Whether this position is known to be one of the order already.
    pub(super) fn knows(&self, position: EventPosition) -> bool {
        self.lock().recent.head().is_some_and(|head| position <= head)
    }

    /// The position of the newest event: at least of those that were committed before this was called. Of many
    /// who ask at the same time one reads it for all.
    pub(super) async fn newest(self: &Arc<Self>) -> Result<EventPosition, StoreError> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut newest = self.newest.lock().await;
        if newest.0 < mine {
            let counts = self.asked.load(Ordering::SeqCst);
            let position =
                patiently(|| self.shared.store.event_position(self.account, None)).await?;
            *newest = (counts, position);
            self.lock().recent.begin(position);
            // Whatever was told before there was a position to read from.
            self.look();
        }
        Ok(newest.1)
    }

    /// What there is behind this position.
    pub(super) fn next(
        self: &Arc<Self>,
        slot: u32,
        position: EventPosition,
        filter: &Filter,
        waker: &Waker,
    ) -> Next {
        let mut state = self.lock();
        let state = &mut *state;
        let own = state.slots.get(slot);
        if let Some(slice) = own.slice.take_if(|slice| slice.after == position) {
            return Next::Slice(slice);
        }
        if state.recent.reaches(position) {
            own.wants = None;
            if let Some(event) = state.recent.after(position, |event| filter.wants(event)) {
                return Next::Event(Arc::clone(event));
            }
            if state.has_failed {
                return Next::Failed;
            }
            own.wait(waker);
            let position = state.recent.head().map_or(position, |head| head.max(position));
            return Next::CaughtUp { position, beat: std::mem::take(&mut own.beat) };
        }
        if let Some(slice) = state.slices.iter().find(|slice| slice.after == position) {
            own.wants = None;
            return Next::Slice(Arc::clone(slice));
        }
        if state.has_failed {
            return Next::Failed;
        }
        own.wait(waker);
        let beat = std::mem::take(&mut own.beat);
        if own.wants != Some(position) {
            own.wants = Some(position);
            let by = state.wanted.entry(position).or_insert_with(|| {
                state.positions.push_back(position);
                Vec::new()
            });
            by.push(slot);
            if !std::mem::replace(&mut state.is_reading_old, true) {
                tokio::spawn(Arc::clone(self).read_old());
            }
        }
        Next::Behind { beat }
    }

    /// There may be new events.
    pub(super) fn look(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.recent.head().is_none() || state.has_failed {
            return;
        }
        state.again = true;
        if !std::mem::replace(&mut state.is_reading, true) {
            tokio::spawn(Arc::clone(self).read_new());
        }
    }

    /// Wakes all streams, at once.
    pub(super) fn wake_all(&self) {
        let waiting = self.lock().slots.waiting(0..usize::MAX);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Lets a heartbeat be due of the streams in this second, and lets go of what is not needed any more.
    pub(super) async fn beat(&self, phase: u32) {
        {
            let mut state = self.lock();
            let freed = state.recent.forget_old(self.shared.clock.steady());
            self.shared.count_bytes(freed);
            if !state.is_reading_old {
                state.slices.clear();
            }
        }
        self.wake_in_turns(|slots, range| slots.beat(phase, range)).await;
    }

    /// Reads new events until there are none.
    async fn read_new(self: Arc<Self>) {
        let work = FailUnlessDone { feed: &self, is_done: false };
        while let Some(head) = self.begin_look() {
            let Ok(turn) = self.shared.reading_new.acquire().await else { break };
            let store = &self.shared.store;
            let read = patiently(|| store.new_events(self.account, head, BATCH)).await;
            drop(turn);
            match read {
                Ok(EventsAfter { events, position, has_more }) => {
                    let is_new = !events.is_empty();
                    self.keep(self.shared.show(events), position, has_more);
                    if is_new {
                        self.wake_in_turns(Slots::waiting).await;
                    }
                }
                Err(error) => {
                    self.fail(&error);
                    break;
                }
            }
        }
        work.done();
    }

    /// From where to read on; none if there is nothing to read.
    fn begin_look(&self) -> Option<EventPosition> {
        let mut state = self.lock();
        let head = state.recent.head().filter(|_| std::mem::take(&mut state.again));
        state.is_reading = head.is_some();
        head
    }

    fn keep(&self, events: Vec<Arc<Shown>>, position: EventPosition, has_more: bool) {
        let mut state = self.lock();
        state.again |= has_more;
        let all = self.shared.kept_bytes.load(Ordering::Relaxed);
        let others = all.saturating_sub(state.recent.bytes());
        let more = state.recent.push(events, position, self.shared.clock.steady(), others);
        self.shared.count_bytes(more);
    }

    /// Reads old events, in the order in which they were asked for.
    async fn read_old(self: Arc<Self>) {
        let work = FailUnlessDone { feed: &self, is_done: false };
        loop {
            let Ok(turn) = self.shared.reading_old.acquire().await else { break };
            let Some(position) = self.next_wanted() else { break };
            let store = &self.shared.store;
            let read = patiently(|| {
                store.events_after(self.account, position, None, EventKind::ALL.to_vec(), BATCH)
            });
            let read = read.await;
            drop(turn);
            match read {
                Ok(EventsAfter { events, position: end, .. }) => {
                    let events = self.shared.show(events);
                    let slice = Arc::new(Slice { after: position, position: end, events });
                    let waiting = self.hand_out(slice);
                    waiting.into_iter().for_each(Waker::wake);
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    self.fail(&error);
                    break;
                }
            }
        }
        work.done();
    }

    /// The next position that a stream still wants to read from.
    fn next_wanted(&self) -> Option<EventPosition> {
        let mut state = self.lock();
        while let Some(&position) = state.positions.front() {
            if state.slots.any_wants(position, &state.wanted[&position]) {
                return Some(position);
            }
            state.positions.pop_front();
            state.wanted.remove(&position);
        }
        state.is_reading_old = false;
        None
    }

    fn hand_out(&self, slice: Arc<Slice>) -> Vec<Waker> {
        let mut state = self.lock();
        state.positions.pop_front_if(|position| *position == slice.after);
        let by = state.wanted.remove(&slice.after).unwrap_or_default();
        let waiting = state.slots.give(&slice, &by);
        if state.slices.len() == MAX_SLICES {
            state.slices.pop_front();
        }
        state.slices.push_back(slice);
        waiting
    }

    async fn wake_in_turns(
        &self,
        waiting: impl Fn(&mut Slots, std::ops::Range<usize>) -> Vec<Waker>,
    ) {
        let mut first = 0;
        loop {
            let (woken, is_last) = {
                let mut state = self.lock();
                let end = first + WOKEN_AT_ONCE;
                (waiting(&mut state.slots, first..end), end >= state.slots.len())
            };
            let any = !woken.is_empty();
            woken.into_iter().for_each(Waker::wake);
            if is_last {
                return;
            }
            if any {
                tokio::task::yield_now().await;
            }
            first += WOKEN_AT_ONCE;
        }
    }

    /// Ends the streams: they may resume, and begin a new feed.
    fn fail(&self, error: &StoreError) {
        if !matches!(error, StoreError::Closed) {
            outage::report(error, "live streams could not be read");
        }
        self.lock().has_failed = true;
        self.wake_all();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let kept = self.lock().recent.bytes();
        self.shared.count_bytes(-kept.cast_signed());
    }
}

impl Shared {
    fn show(&self, events: Vec<CommittedEvent>) -> Vec<Arc<Shown>> {
        events.into_iter().map(|event| Arc::new(Shown::new(event, &self.files))).collect()
    }

    fn count_bytes(&self, more: isize) {
        if more >= 0 {
            self.kept_bytes.fetch_add(more.unsigned_abs(), Ordering::Relaxed);
        } else {
            self.kept_bytes.fetch_sub(more.unsigned_abs(), Ordering::Relaxed);
        }
    }
}

/// Lets the streams end, and not wait for ever, when who reads for them panics.
struct FailUnlessDone<'a> {
    feed: &'a Feed,
    is_done: bool,
}

impl FailUnlessDone<'_> {
    fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for FailUnlessDone<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.feed.lock().has_failed = true;
            self.feed.wake_all();
        }
    }
}
