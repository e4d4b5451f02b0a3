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
mod tests;
