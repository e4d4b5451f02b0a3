//! Heads of requests that have begun and are not complete: nobody knows yet who sends them, so all strangers together
//! get so many bytes, and each address so many heads.
//!
//! A head that comes in one piece, as almost all do, costs a few atomic operations and no lock. Up to [`SMALL`] a head
//! may always grow: who sends a common one is not turned away because others send large ones slowly.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::Occasionally;

/// The bytes of a head that count towards no budget. Connections are bounded, and so are these.
const SMALL: usize = 4096;

/// The incomplete heads of one listener.
#[derive(Debug)]
pub(crate) struct Heads {
    /// The most bytes of all of them, beyond the small part of each.
    most_bytes: usize,
    /// The most of one address.
    most_each: u32,
    bytes: AtomicUsize,
    /// Those of each address.
    open: Mutex<HashMap<IpAddr, u32>>,
    told: Occasionally,
}

/// The body of a request, or its answer. Until both are done, what comes is no head.
#[derive(Debug)]
pub(crate) struct Part(Arc<Head>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.parts.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one connection has sent of a head.
#[derive(Debug)]
pub(crate) struct Head {
    all: Arc<Heads>,
    from: IpAddr,
    /// The parts of a request that is being answered, or more: then what comes is a body, and somebody else's to bound.
    parts: AtomicUsize,
    read: AtomicUsize,
    /// How much of that is known to be no whole head.
    partial: AtomicUsize,
    /// Whether it counts as one of its address.
    is_open: AtomicBool,
}

impl Heads {
    pub(crate) fn new(most_bytes: usize, most_each: u32) -> Arc<Self> {
        Arc::new(Self {
            most_bytes,
            most_each,
            bytes: AtomicUsize::new(0),
            open: Mutex::default(),
            told: Occasionally::default(),
        })
    }

    /// A connection from this address.
    pub(crate) fn connect(self: &Arc<Self>, from: IpAddr) -> Arc<Head> {
        Arc::new(Head {
            all: Arc::clone(self),
            from: from.to_canonical(),
            parts: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            partial: AtomicUsize::new(0),
            is_open: AtomicBool::new(false),
        })
    }

    fn enter(&self, from: IpAddr) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(from).or_default();
        let has_room = *count < self.most_each;
        if has_room {
            *count += 1;
        } else if *count == 0 {
            open.remove(&from);
        }
        has_room
    }

    fn leave(&self, from: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&from) {
            *count -= 1;
            if *count == 0 {
                open.remove(&from);
            }
        }
    }
}

impl Head {
    /// So many bytes have come. They may be a whole head, with a body behind it.
    pub(crate) fn came(&self, bytes: usize) {
        if self.parts.load(Ordering::Relaxed) == 0 {
            self.read.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// More is asked for, so what has come is no whole head. An error ends the connection: there is no room for it.
    pub(crate) fn is_partial(&self) -> io::Result<()> {
        let read = self.read.load(Ordering::Relaxed);
        if read == self.partial.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !self.is_open.load(Ordering::Relaxed) {
            if !self.all.enter(self.from) {
                return Err(self.refused(
                    "as many heads of its address as --max-partial-heads-per-address allows",
                ));
            }
            self.is_open.store(true, Ordering::Relaxed);
        }
        let before = self.partial.swap(read, Ordering::Relaxed);
        let more = beyond_small(read) - beyond_small(before);
        let in_all = self.all.bytes.fetch_add(more, Ordering::Relaxed) + more;
        if more > 0 && in_all > self.all.most_bytes {
            return Err(self.refused("as many bytes of heads as --max-partial-heads allows"));
        }
        Ok(())
    }

    fn refused(&self, why: &str) -> io::Error {
        if self.all.told.is_time() {
            tracing::warn!(address = %self.from, "connections are ended whose requests are not complete: there are {why}");
        }
        io::ErrorKind::QuotaExceeded.into()
    }

    /// The head is complete: what comes is no head until its [`Head::parts`] are gone.
    pub(crate) fn complete(&self) {
        self.parts.fetch_add(2, Ordering::Relaxed);
        self.forget();
    }

    /// The two parts of a request whose head is complete.
    pub(crate) fn parts(self: &Arc<Self>) -> (Part, Part) {
        (Part(Arc::clone(self)), Part(Arc::clone(self)))
    }

    /// No more heads come on this connection: it speaks another protocol from now on, or ends.
    pub(crate) fn was_last(&self) {
        self.parts.fetch_add(1, Ordering::Relaxed);
        self.forget();
    }

    fn forget(&self) {
        self.read.store(0, Ordering::Relaxed);
        let counted = beyond_small(self.partial.swap(0, Ordering::Relaxed));
        if counted > 0 {
            self.all.bytes.fetch_sub(counted, Ordering::Relaxed);
        }
        if self.is_open.swap(false, Ordering::Relaxed) {
            self.all.leave(self.from);
        }
    }
}

/// What of a head counts towards the budget.
fn beyond_small(bytes: usize) -> usize {
    bytes.saturating_sub(SMALL)
}

impl Drop for Head {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// So much comes of a head, and more is asked for.
    fn read(head: &Head, bytes: usize) -> io::Result<()> {
        head.came(bytes);
        head.is_partial()
    }

    #[test]
    fn large_heads_share_a_budget_and_small_ones_need_none() {
        let heads = Heads::new(10_000, 100);
        let one = |bytes: usize| {
            let head = heads.connect(HERE);
            let read = read(&head, bytes);
            (head, read)
        };
        let large: Vec<_> = (0..2).map(|_| one(SMALL + 5000)).collect();
        assert!(large.iter().all(|(_, read)| read.is_ok()));
        assert!(one(SMALL + 1).1.is_err(), "the budget is used up");
        let (small, of_small) = one(SMALL);
        assert!(of_small.is_ok() && read(&small, 1).is_err());
        drop(small);
        // A head that comes whole needs no room, whatever comes with it.
        let whole = heads.connect(HERE);
        whole.came(1_000_000);
        whole.complete();
        drop(whole);
        // One that is complete, and one that is gone, give back what they had.
        let first = &large[0].0;
        first.complete();
        let (body, answer) = first.parts();
        read(first, 1_000_000).unwrap();
        drop(answer);
        read(first, 1_000_000).unwrap();
        assert!(one(SMALL + 5000).1.is_ok());
        drop(body);
        assert!(read(first, 1_000_000).is_err(), "it is another head");
        drop(large);
        assert_eq!(heads.bytes.load(Ordering::Relaxed), 0);
        assert!(one(SMALL + 10_000).1.is_ok());
    }

    #[test]
    fn after_the_last_head_nothing_counts() {
        let heads = Heads::new(10_000, 1);
        let head = heads.connect(HERE);
        read(&head, 9000).unwrap();
        head.complete();
        let parts = head.parts();
        head.was_last();
        drop(parts);
        for _ in 0..3 {
            read(&head, 1_000_000).unwrap();
        }
        assert_eq!(heads.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_address_has_so_many_at_once() {
        let heads = Heads::new(1_000_000, 2);
        let slow = |from: IpAddr| {
            let head = heads.connect(from);
            let read = read(&head, 10);
            (head, read)
        };
        let two: Vec<_> = (0..2).map(|_| slow(HERE)).collect();
        assert!(two.iter().all(|(_, read)| read.is_ok()));
        assert!(slow(HERE).1.is_err());
        assert!(slow(THERE).1.is_ok(), "another address has its own");
        let whole = heads.connect(HERE);
        whole.came(500);
        two[0].0.complete();
        let parts = two[0].0.parts();
        assert!(slow(HERE).1.is_ok());
        // The same connection again, for the next request.
        drop(parts);
        assert!(read(&two[0].0, 10).is_ok());
        drop((two, whole));
        assert!(heads.open.lock().unwrap().is_empty());
    }
}
