//! One live stream: the body of its answer.
//!
//! It is polled when the connection has room for more, so an event that is given out was in the way of the
//! next one until then. Most of the time it waits, with nothing in hand but its position.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use serde_json::json;
use switchboard_model::{Key, Timestamp, secret::SecretHash};
use switchboard_store::{EventPosition, StoreError};
use tokio::task::JoinHandle;

use super::{
    LiveStreams, Seat,
    feed::Next,
    filter::Filter,
    patiently,
    shown::{COMMENT, Shown, frame},
    slots::Slice,
};
use crate::{outage, quota::StreamPlace};

/// A reader that takes no event for so long while some wait is cut; it can resume. One that does not
/// come back at all loses its connection (`listen/patient.rs`).
const SLOW: Duration = Duration::from_secs(30);
/// After about so many events that are not for it a stream is told the new position.
const TELL_AFTER: u64 = 1000;
/// Where the store can't say how many there were, after so long.
const TELL_AFTER_TIME: Duration = Duration::from_secs(10 * 60);
/// The last event of a stream that the server ends.
const CLOSED: &str = "stream.closed";

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The key that a stream was opened with: it is looked at again and again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyInUse {
    /// By what the cache knows it.
    pub(crate) hash: SecretHash,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A live stream from a position on.
pub(crate) struct StreamBody {
    live: Arc<LiveStreams>,
    seat: Seat,
    filter: Filter,
    key: KeyInUse,
    /// Up to where everything was given out that is for this stream.
    position: EventPosition,
    /// The last position that the client was told.
    told: EventPosition,
    /// When the last event was given out.
    given_at: Timestamp,
    /// When its reader was told last where it stands.
    told_at: Timestamp,
    /// Whether the last event was taken too slowly; known once the connection asks for the next.
    was_slow: Option<bool>,
    /// What was read for it while it was behind, and how much of it was looked at.
    slice: Option<(Arc<Slice>, usize)>,
    /// There only while the key must be looked up.
    looking: Option<Looking>,
    /// There only if the key expires, and while the stream waits.
    expiry: Option<Later<()>>,
    greeted: bool,
    ended: bool,
    _permit: StreamPlace,
}

/// A look-up of the key, in a task of its own: others wait for it too, and a stream whose reader takes nothing is not
/// polled.
#[derive(Debug)]
struct Looking(JoinHandle<Result<Option<Arc<Key>>, StoreError>>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl StreamBody {
    /// Whoever has `key` reads what comes after `position`.
    pub(crate) fn new(
        live: Arc<LiveStreams>,
        seat: Seat,
        key: KeyInUse,
        filter: Filter,
        position: EventPosition,
        permit: StreamPlace,
    ) -> Self {
        Self {
            seat,
            filter,
            key,
            position,
            told: position,
            told_at: live.clock.steady(),
            given_at: live.clock.steady(),
            was_slow: None,
            slice: None,
            looking: None,
            expiry: None,
            greeted: false,
            ended: false,
            _permit: permit,
            live,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut self.greeted, true) {
            // Who loses the connection before the first event resumes from here, and not from wherever
            // the stream is by then.
            return Poll::Ready(Some(self.tell_position()));
        }
        let now = self.live.clock.steady();
        let was_slow = self.was_slow.unwrap_or_else(|| now.since(self.given_at) > SLOW);
        self.was_slow = Some(was_slow);
        loop {
            match self.poll_key(cx) {
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(reason))) => return Poll::Ready(Some(self.close(reason))),
                Poll::Ready(Err(error)) => {
                    outage::report(&error, "a live stream's key could not be read");
                    return Poll::Ready(Some(self.close("server_failed")));
                }
                Poll::Pending => return Poll::Pending,
            }
            let event = match self.next_in_slice() {
                Some(event) => event,
                // What is not for this stream is not read again, and not after a resumption either.
                None if self.is_far(now) => {
                    return Poll::Ready(Some(self.tell_position()));
                }
                None => match self.seat.next(self.position, &self.filter, cx.waker()) {
                    Next::Event(event) => event,
                    Next::Slice(slice) => {
                        self.slice = Some((slice, 0));
                        continue;
                    }
                    Next::Failed => return Poll::Ready(Some(self.close("server_failed"))),
                    Next::Behind { beat } => return self.wait(beat, cx),
                    Next::CaughtUp { position, beat } => {
                        self.position = position;
                        self.was_slow = Some(false);
                        if self.is_far(now) {
                            return Poll::Ready(Some(self.tell_position()));
                        }
                        return self.wait(beat, cx);
                    }
                },
            };
            if self.was_slow == Some(true) {
                return Poll::Ready(Some(self.close("slow_reader")));
            }
            return Poll::Ready(Some(self.give(&event)));
        }
    }

    /// Why the key opens nothing any more. It is looked at before each event, also before one that is ready.
    fn poll_key(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&'static str>, StoreError>> {
        let now = self.live.clock.now();
        if self.looking.is_none()
            && let Some(key) = self.live.auth_cache.known_key(self.key.hash)
        {
            return Poll::Ready(Ok(ending(Some(&key), now)));
        }
        let looking = self.looking.get_or_insert_with(|| {
            let (auth_cache, hash) = (Arc::clone(&self.live.auth_cache), self.key.hash);
            Looking(tokio::spawn(async move {
                let found = patiently(|| auth_cache.key(hash)).await?;
                Ok(found.map(|(key, _)| key))
            }))
        });
        let Poll::Ready(found) = Pin::new(&mut looking.0).poll(cx) else { return Poll::Pending };
        let found = found.unwrap_or(Err(StoreError::Closed));
        self.looking = None;
        Poll::Ready(found.map(|key| ending(key.as_deref(), now)))
    }

    /// The next event in hand that is wanted.
    fn next_in_slice(&mut self) -> Option<Arc<Shown>> {
        let (slice, looked_at) = self.slice.as_mut()?;
        while let Some(event) = slice.events.get(*looked_at) {
            *looked_at += 1;
            if self.filter.wants(event) {
                return Some(Arc::clone(event));
            }
        }
        self.position = self.position.max(slice.position);
        self.slice = None;
        None
    }

    /// Waits for whatever the seat's waker is woken for; or for the end.
    fn wait(&mut self, beat: bool, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Asked after the waker is known: whoever stops the server wakes all.
        if self.live.stopping.is_cancelled() {
            return Poll::Ready(Some(self.close("server_stopping")));
        }
        if let Some(end) = self.key.expires_at {
            let expiry = self.expiry.get_or_insert_with(|| {
                let clock = Arc::clone(&self.live.clock);
                Box::pin(async move { clock.sleep_until(end).await })
            });
            if expiry.as_mut().poll(cx).is_ready() {
                self.expiry = None;
                if self.live.clock.now() >= end {
                    return Poll::Ready(Some(self.close("key_expired")));
                }
                // The clock was set back meanwhile.
                cx.waker().wake_by_ref();
            }
        }
        if beat { Poll::Ready(Some(COMMENT)) } else { Poll::Pending }
    }

    fn give(&mut self, event: &Shown) -> Bytes {
        let now = self.live.clock.steady();
        (self.given_at, self.was_slow) = (now, None);
        (self.position, self.told) = (event.position, event.position);
        event.bytes(&self.live.files, now)
    }

    /// An id without data is no event, but a position to resume from.
    /// Whether it has come so far since its reader was told where it stands that much would be read again in vain.
    fn is_far(&self, now: Timestamp) -> bool {
        match self.live.feeds.events_between(self.told, self.position) {
            Some(events) => events >= TELL_AFTER,
            None => self.position > self.told && now.since(self.told_at) >= TELL_AFTER_TIME,
        }
    }

    fn tell_position(&mut self) -> Bytes {
        self.told = self.position;
        self.told_at = self.live.clock.steady();
        frame(Some(self.position), None, None)
    }

    /// Says why the stream ends, and from where it can be resumed. No `id:`, so that the position stays.
    fn close(&mut self, reason: &str) -> Bytes {
        self.ended = true;
        let data = json!({ "reason": reason, "last_event_id": self.position.to_string() });
        frame(None, Some(CLOSED), Some(&data.to_string()))
    }
}

/// Why a key opens nothing any more; for those who were let in a while ago.
fn ending(key: Option<&Key>, now: Timestamp) -> Option<&'static str> {
    match key {
        Some(key) if key.is_valid_at(now) => None,
        Some(key) if key.revoked_at.is_none() => Some("key_expired"),
        _ => Some("key_revoked"),
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
