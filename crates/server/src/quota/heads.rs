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
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
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

/// What one connection has sent of a head.
///
/// hyper says when it looks for a head ([`Head::begins`]) and when it has one ([`Head::complete`]). In between, what it
/// holds is one incomplete head. At any other time it reads only when it holds nothing, so a read that it asks for then
/// tells that nothing was behind the last request.
#[derive(Debug)]
pub(crate) struct Head {
    all: Arc<Heads>,
    from: IpAddr,
    stage: AtomicU8,
    /// How many bytes hyper may hold that are no part of a complete head. Never too few.
    held: AtomicUsize,
    /// How many of these, and of those to come, are a body's.
    body: AtomicUsize,
    /// What came last, the last byte lowest.
    last: AtomicU64,
    /// How much of `held` is known to be no whole head.
    partial: AtomicUsize,
    /// Whether it counts as one of its address.
    is_open: AtomicBool,
}

/// A request is being answered, its body read, or the next one not waited for yet.
const ANSWERING: u8 = 0;
/// A head is read, and hyper held nothing when it began: its end is looked for in what comes.
const SEEKING: u8 = 1;
/// A head is read, and hyper held something, or it has come to its end.
const READING: u8 = 2;
/// No more heads come.
const OVER: u8 = 3;

/// A body that does not say how long it is.
const UNKNOWN: usize = usize::MAX;

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
            stage: AtomicU8::new(ANSWERING),
            held: AtomicUsize::new(0),
            body: AtomicUsize::new(0),
            last: AtomicU64::new(0),
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
    /// The next head is looked for, in what hyper holds and in what comes.
    pub(crate) fn begins(&self) {
        if self.stage.load(Ordering::Relaxed) == OVER {
            return;
        }
        // A body that was refused is read to its end beside the answer, and may have been the last that was held.
        let held = match self.body.swap(0, Ordering::Relaxed) {
            UNKNOWN if ends_chunked(self.last.load(Ordering::Relaxed)) => 0,
            UNKNOWN => self.held.load(Ordering::Relaxed),
            body => self.held.load(Ordering::Relaxed).saturating_sub(body),
        };
        self.held.store(held, Ordering::Relaxed);
        self.last.store(0, Ordering::Relaxed);
        self.stage.store(if held == 0 { SEEKING } else { READING }, Ordering::Relaxed);
    }

    /// These bytes have come.
    pub(crate) fn came(&self, bytes: &[u8]) {
        let stage = self.stage.load(Ordering::Relaxed);
        if stage == OVER {
            return;
        }
        let last = self.last.load(Ordering::Relaxed);
        let begun = match bytes.iter().position(|byte| !b"\r\n".contains(byte)) {
            // Blank lines before a head are no end of it.
            begin if stage == SEEKING && last == 0 => &bytes[begin.unwrap_or(bytes.len())..],
            _ => bytes,
        };
        if stage == SEEKING
            && let Some(behind) = behind_head(last, begun)
        {
            // hyper takes the head out. What is behind it stays.
            self.last.store(0, Ordering::Relaxed);
            self.held.store(behind.len(), Ordering::Relaxed);
            self.stage.store(READING, Ordering::Relaxed);
            self.keep_last(behind);
            return;
        }
        self.keep_last(begun);
        self.held.fetch_add(bytes.len(), Ordering::Relaxed);
    }

    fn keep_last(&self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(8)..];
        let last = self.last.load(Ordering::Relaxed);
        let last = newest.iter().fold(last, |last, byte| last << 8 | u64::from(*byte));
        self.last.store(last, Ordering::Relaxed);
    }

    /// More is asked for. If a head is read, what is held is no whole head; an error ends the connection: there is no
    /// room for it.
    pub(crate) fn is_partial(&self) -> io::Result<()> {
        let held = match self.stage.load(Ordering::Relaxed) {
            OVER => return Ok(()),
            ANSWERING => {
                let held = self.held.swap(0, Ordering::Relaxed);
                let body = self.body.load(Ordering::Relaxed);
                if body != UNKNOWN {
                    self.body.store(body.saturating_sub(held), Ordering::Relaxed);
                }
                return Ok(());
            }
            _ => self.held.load(Ordering::Relaxed),
        };
        if held == self.partial.load(Ordering::Relaxed) {
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
        let before = self.partial.fetch_max(held, Ordering::Relaxed);
        let more = beyond_small(held).saturating_sub(beyond_small(before));
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

    /// The head is complete, and a body of so many bytes follows; none if nobody knows how many.
    pub(crate) fn complete(&self, body: Option<u64>) {
        self.forget();
        let body = body.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(UNKNOWN);
        self.body.store(body, Ordering::Relaxed);
        self.stage.store(ANSWERING, Ordering::Relaxed);
    }

    /// No more heads come on this connection: it speaks another protocol from now on, or ends.
    pub(crate) fn was_last(&self) {
        self.stage.store(OVER, Ordering::Relaxed);
        self.forget();
    }

    fn forget(&self) {
        let counted = beyond_small(self.partial.swap(0, Ordering::Relaxed));
        if counted > 0 {
            self.all.bytes.fetch_sub(counted, Ordering::Relaxed);
        }
        if self.is_open.swap(false, Ordering::Relaxed) {
            self.all.leave(self.from);
        }
    }
}

/// What comes behind the blank line that ends a head; `last` came before. None if the head goes on.
fn behind_head(last: u64, bytes: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr_iter(b'\n', bytes).find(|at| {
        let before = |back: usize| match at.checked_sub(back) {
            Some(at) => u64::from(bytes[at]),
            None => last >> (8 * (back - at - 1)) & 0xff,
        };
        before(1) == 0x0a || before(1) == 0x0d && before(2) == 0x0a
    });
    end.map(|end| &bytes[end + 1..])
}

/// Whether the last bytes may be the end of a chunked body, with nothing behind it: a blank line, and no other before it.
fn ends_chunked(last: u64) -> bool {
    last & 0xffff_ffff == u64::from(u32::from_be_bytes(*b"\r\n\r\n"))
        && !matches!(last >> 32 & 0xff, 0 | 0x0a | 0x0d)
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

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    fn waiting(heads: &Arc<Heads>, from: IpAddr) -> Arc<Head> {
        let head = heads.connect(from);
        head.begins();
        head
    }

    /// So much comes of a head, and more is asked for.
    fn read(head: &Head, bytes: usize) -> io::Result<()> {
        head.came(&vec![b'x'; bytes]);
        head.is_partial()
    }

    fn open(heads: &Heads) -> u32 {
        heads.open.lock().unwrap().values().sum()
    }

    #[test]
    fn large_heads_share_a_budget_and_small_ones_need_none() {
        let heads = Heads::new(10_000, 100);
        let one = |bytes: usize| {
            let head = waiting(&heads, HERE);
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
        let whole = waiting(&heads, HERE);
        whole.came(&[GET, &[b'x'; 100_000]].concat());
        whole.complete(Some(1_000_000));
        drop(whole);
        // One that is complete, and one that is gone, give back what they had.
        let first = &large[0].0;
        first.complete(Some(200_000));
        for _ in 0..2 {
            read(first, 100_000).unwrap();
        }
        assert!(one(SMALL + 5000).1.is_ok());
        first.begins();
        assert!(read(first, 100_000).is_err(), "it is another head");
        drop(large);
        assert_eq!((heads.bytes.load(Ordering::Relaxed), open(&heads)), (0, 0));
        assert!(one(SMALL + 10_000).1.is_ok());
    }

    #[test]
    fn what_is_behind_a_request_is_the_next_head() {
        let heads = Heads::new(10_000, 10);
        let chunked = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        for (request, body) in [
            (GET, Some(0)),
            (b"\r\n\nPOST / HTTP/1.1\ncontent-length: 3\n\nabc", Some(3)),
            (chunked, None),
        ] {
            for behind in [0, 1, 9000, 20_000] {
                let head = waiting(&heads, HERE);
                let (begun, rest) = request.split_at(7);
                head.came(begun);
                head.is_partial().unwrap();
                head.came(&[rest, &vec![b'x'; behind]].concat());
                head.complete(body);
                // Answered before the body is read; hyper asks for no more while it holds some.
                head.begins();
                assert_eq!(open(&heads), 0);
                assert_eq!(head.is_partial().is_ok(), behind < 20_000, "{behind} behind {body:?}");
                assert_eq!(open(&heads), u32::from(behind > 0), "{behind} behind {body:?}");
            }
        }
        // Blank lines are held too.
        let head = waiting(&heads, HERE);
        head.came(&[chunked.as_slice(), &[b'\n'; 20_000]].concat());
        head.complete(None);
        head.begins();
        assert!(head.is_partial().is_err());
        drop(head);
        // Of two requests in one piece, whatever is known when nothing is held any more.
        let head = waiting(&heads, HERE);
        head.came(&[GET, GET].concat());
        head.complete(Some(0));
        head.begins();
        head.complete(Some(0));
        head.is_partial().unwrap();
        head.begins();
        head.is_partial().unwrap();
        assert_eq!((heads.bytes.load(Ordering::Relaxed), open(&heads)), (0, 0));
    }

    #[test]
    fn after_the_last_head_nothing_counts() {
        let heads = Heads::new(10_000, 1);
        let head = waiting(&heads, HERE);
        read(&head, 9000).unwrap();
        head.complete(Some(0));
        head.was_last();
        for _ in 0..3 {
            read(&head, 1_000_000).unwrap();
        }
        assert_eq!((heads.bytes.load(Ordering::Relaxed), open(&heads)), (0, 0));
    }

    #[test]
    fn an_address_has_so_many_at_once() {
        let heads = Heads::new(1_000_000, 2);
        let slow = |from: IpAddr| {
            let head = waiting(&heads, from);
            let read = read(&head, 10);
            (head, read)
        };
        let two: Vec<_> = (0..2).map(|_| slow(HERE)).collect();
        assert!(two.iter().all(|(_, read)| read.is_ok()));
        assert!(slow(HERE).1.is_err());
        assert!(slow(THERE).1.is_ok(), "another address has its own");
        let whole = waiting(&heads, HERE);
        whole.came(GET);
        two[0].0.complete(Some(0));
        assert!(slow(HERE).1.is_ok());
        // The same connection again, for the next request.
        two[0].0.is_partial().unwrap();
        two[0].0.begins();
        assert!(read(&two[0].0, 10).is_ok());
        drop((two, whole));
        assert!(heads.open.lock().unwrap().is_empty());
    }
}
