//! The queue to the reader threads: cheap questions before dear ones, and owners in turn.
//!
//! What is promised: a flood of one owner's questions delays another's by one question of each
//! cost at most, and a scan never has the last thread. A question is as long as its slice, so
//! whoever scans must ask in slices.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use switchboard_model::{Account, Bridge, Key, id::Id};

use crate::{Result, StoreError};

/// How often questions of this cost may be passed over by cheaper ones before one has its turn:
/// without it, a steady stream of look-ups would leave them no time at all.
const PASSED_OVER: [u32; COSTS] = [0, 8, 32];
const COSTS: usize = 3;

/// How much a question costs at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sqlite) enum Cost {
    /// A few rows, found by their keys.
    Lookup = 0,
    /// A page of rows that lie together.
    List = 1,
    /// A slice of a walk over many.
    Scan = 2,
}

/// On whose account a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::sqlite) enum Owner {
    Account(Id<Account>),
    Bridge(Id<Bridge>),
    Key(Id<Key>),
    /// Whoever shows a key that is not known yet.
    UnknownKey,
    /// Whoever shows a signed URL.
    SignedUrl,
    /// The server itself and its operator.
    System,
}

impl From<Id<Account>> for Owner {
    fn from(id: Id<Account>) -> Self {
        Self::Account(id)
    }
}

impl From<Id<Key>> for Owner {
    fn from(id: Id<Key>) -> Self {
        Self::Key(id)
    }
}

impl From<Id<Bridge>> for Owner {
    fn from(id: Id<Bridge>) -> Self {
        Self::Bridge(id)
    }
}

/// The bounds of a queue.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) struct Bounds {
    /// Questions that wait.
    pub(in crate::sqlite) waiting: usize,
    /// Those of one owner.
    pub(in crate::sqlite) of_one: usize,
    /// Scans that run at the same time.
    pub(in crate::sqlite) scans: usize,
}

pub(in crate::sqlite) struct ReadQueue<T> {
    bounds: Bounds,
    waiting: Mutex<Questions<T>>,
    /// Somebody waits, or a scan has ended, or all is over.
    changed: Condvar,
}

struct Questions<T> {
    costs: [Turns<T>; COSTS],
    count: usize,
    of: HashMap<Owner, usize>,
    /// Scans that run.
    scans: usize,
    is_closed: bool,
}

/// The questions of one cost.
struct Turns<T> {
    of: HashMap<Owner, VecDeque<T>>,
    /// Who is next; each owner with a question stands here once.
    next: VecDeque<Owner>,
    passed_over: u32,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { of: HashMap::new(), next: VecDeque::new(), passed_over: 0 }
    }
}

impl<T> Turns<T> {
    fn push(&mut self, owner: Owner, question: T) {
        let queue = self.of.entry(owner).or_default();
        if queue.is_empty() {
            self.next.push_back(owner);
        }
        queue.push_back(question);
    }

    fn pop(&mut self) -> Option<(Owner, T)> {
        let owner = self.next.pop_front()?;
        let question = self.of.get_mut(&owner)?.pop_front()?;
        self.end_turn(owner);
        Some((owner, question))
    }

    /// Takes back the newest question of this owner.
    fn evict(&mut self, owner: Owner) -> Option<T> {
        let question = self.of.get_mut(&owner)?.pop_back()?;
        if self.of.get(&owner).is_some_and(VecDeque::is_empty) {
            self.of.remove(&owner);
            self.next.retain(|next| *next != owner);
        }
        Some(question)
    }

    fn end_turn(&mut self, owner: Owner) {
        if self.of.get(&owner).is_some_and(VecDeque::is_empty) {
            self.of.remove(&owner);
        } else {
            self.next.push_back(owner);
        }
    }
}

impl<T> ReadQueue<T> {
    pub(in crate::sqlite) fn new(bounds: Bounds) -> Self {
        let waiting = Questions {
            costs: std::array::from_fn(|_| Turns::default()),
            count: 0,
            of: HashMap::new(),
            scans: 0,
            is_closed: false,
        };
        Self { bounds, waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    /// Queues a question. When the queue is full, the newest question of whoever has most in it makes
    /// room, and is given back to be refused.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when its owner has as many as it may, or most of all:
    /// to wait here would only hide the load from those who could shed it.
    pub(in crate::sqlite) fn push(
        &self,
        owner: Owner,
        cost: Cost,
        question: T,
    ) -> Result<Option<T>> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(StoreError::Closed);
        }
        let own = waiting.of.get(&owner).copied().unwrap_or_default();
        if own >= self.bounds.of_one {
            return Err(StoreError::Overloaded);
        }
        let mut evicted = None;
        if waiting.count >= self.bounds.waiting {
            evicted = waiting.evict_from_most(own);
            if evicted.is_none() {
                return Err(StoreError::Overloaded);
            }
        }
        waiting.costs[cost as usize].push(owner, question);
        waiting.count += 1;
        *waiting.of.entry(owner).or_default() += 1;
        drop(waiting);
        self.changed.notify_one();
        Ok(evicted)
    }

    /// The next question, once there is one; none when the queue is closed and empty. After a scan,
    /// [`Self::scanned`] must be said.
    pub(in crate::sqlite) fn next(&self) -> Option<(Cost, T)> {
        let mut waiting = self.lock();
        loop {
            if let Some(next) = waiting.next(self.bounds.scans) {
                return Some(next);
            }
            if waiting.is_closed && waiting.count == 0 {
                drop(waiting);
                self.changed.notify_all();
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A scan has ended.
    pub(in crate::sqlite) fn scanned(&self) {
        self.lock().scans -= 1;
        self.changed.notify_one();
    }

    /// Takes no more; what is queued is still given out.
    pub(in crate::sqlite) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Questions<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Questions<T> {
    fn next(&mut self, scans: usize) -> Option<(Cost, T)> {
        const CHEAP_FIRST: [Cost; COSTS] = [Cost::Lookup, Cost::List, Cost::Scan];
        let may = |waiting: &Self, cost: Cost| {
            !waiting.costs[cost as usize].next.is_empty()
                && (cost != Cost::Scan || waiting.scans < scans)
        };
        let is_overdue = |waiting: &Self, cost: Cost| {
            cost != Cost::Lookup
                && waiting.costs[cost as usize].passed_over >= PASSED_OVER[cost as usize]
        };
        let dear_first = CHEAP_FIRST.into_iter().rev();
        let cost = dear_first
            .filter(|cost| is_overdue(self, *cost))
            .chain(CHEAP_FIRST)
            .find(|cost| may(self, *cost))?;
        for other in CHEAP_FIRST {
            if other as usize > cost as usize && may(self, other) {
                self.costs[other as usize].passed_over += 1;
            }
        }
        self.costs[cost as usize].passed_over = 0;
        let (owner, question) = self.costs[cost as usize].pop()?;
        self.left(owner);
        if cost == Cost::Scan {
            self.scans += 1;
        }
        Some((cost, question))
    }

    /// Takes back a question of whoever has most, if that is more than `own`: the dearest and newest.
    fn evict_from_most(&mut self, own: usize) -> Option<T> {
        let (&owner, &most) = self.of.iter().max_by_key(|(_, count)| **count)?;
        if most <= own + 1 {
            return None;
        }
        let question = self.costs.iter_mut().rev().find_map(|turns| turns.evict(owner))?;
        self.left(owner);
        Some(question)
    }

    fn left(&mut self, owner: Owner) {
        self.count -= 1;
        if let Some(count) = self.of.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { waiting: 100, of_one: 50, scans: 1 };

    fn account() -> Owner {
        Owner::Account(Id::generate())
    }

    /// What comes next, without waiting.
    fn next<T>(queue: &ReadQueue<T>) -> Option<T> {
        queue.lock().next(queue.bounds.scans).map(|(_, question)| question)
    }

    #[test]
    fn owners_have_their_turns() {
        let queue = ReadQueue::new(BOUNDS);
        let (flood, other, third) = (account(), account(), account());
        for _ in 0..40 {
            queue.push(flood, Cost::List, "flood").unwrap();
        }
        queue.push(other, Cost::List, "other 1").unwrap();
        queue.push(other, Cost::List, "other 2").unwrap();
        queue.push(third, Cost::List, "third").unwrap();
        let first: Vec<_> = (0..6).filter_map(|_| next(&queue)).collect();
        assert_eq!(first, ["flood", "other 1", "third", "flood", "other 2", "flood"]);
    }

    #[test]
    fn cheap_ones_come_first_and_dear_ones_come_too() {
        let queue = ReadQueue::new(BOUNDS);
        let (one, other) = (account(), account());
        queue.push(one, Cost::Scan, "scan").unwrap();
        queue.push(one, Cost::List, "list").unwrap();
        for _ in 0..45 {
            queue.push(other, Cost::Lookup, "look-up").unwrap();
        }
        let order: Vec<_> = (0..47).filter_map(|_| next(&queue)).collect();
        let place = |what| order.iter().position(|one| *one == what).unwrap();
        assert_eq!((place("list"), place("scan")), (8, 32));
    }

    #[test]
    fn a_scan_never_has_the_last_thread() {
        let queue = ReadQueue::new(BOUNDS);
        let (one, other) = (account(), account());
        queue.push(one, Cost::Scan, "first").unwrap();
        queue.push(other, Cost::Scan, "second").unwrap();
        assert_eq!(next(&queue), Some("first"));
        assert_eq!(next(&queue), None);
        queue.push(other, Cost::List, "list").unwrap();
        assert_eq!(next(&queue), Some("list"));
        queue.scanned();
        assert_eq!(next(&queue), Some("second"));
    }

    #[test]
    fn one_owners_flood_is_refused_and_the_others_are_not() {
        let queue = ReadQueue::new(Bounds { waiting: 8, of_one: 6, scans: 1 });
        let (flood, other, third) = (account(), account(), account());
        for number in 0..6 {
            assert_eq!(queue.push(flood, Cost::Lookup, number).unwrap(), None);
        }
        assert!(matches!(queue.push(flood, Cost::Scan, 6), Err(StoreError::Overloaded)));
        for number in 10..12 {
            assert_eq!(queue.push(other, Cost::Lookup, number).unwrap(), None);
        }
        // Full: whoever has most makes room, the newest first.
        assert_eq!(queue.push(third, Cost::Lookup, 20).unwrap(), Some(5));
        assert_eq!(queue.push(third, Cost::Scan, 21).unwrap(), Some(4));
        assert!(matches!(queue.push(flood, Cost::Lookup, 7), Err(StoreError::Overloaded)));
        let order: Vec<_> = (0..9).filter_map(|_| next(&queue)).collect();
        assert_eq!(order, [0, 10, 20, 1, 11, 2, 3, 21]);
        assert!(queue.lock().of.is_empty());
    }

    #[test]
    fn what_is_queued_is_given_out_after_the_close() {
        let queue = ReadQueue::new(BOUNDS);
        queue.push(Owner::System, Cost::Scan, 1).unwrap();
        queue.close();
        assert!(matches!(queue.push(Owner::UnknownKey, Cost::Lookup, 2), Err(StoreError::Closed)));
        assert_eq!(queue.next().map(|(_, question)| question), Some(1));
        assert!(queue.next().is_none());
    }
}
