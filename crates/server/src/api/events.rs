//! GET /v1/events: the live stream (§9).
//!
//! The stream reads the store, in the order of the store, from a place that the client names; the
//! hub only says that there is more to read. So there is no gap and no repeat, across
//! reconnects and restarts, and a reader costs no memory while it waits. A key that was revoked
//! or has expired reads nothing more, not even what was ready for it.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::json;
use switchboard_model::{Account, Code, EventKind, Line, Problem, Timestamp, id::Id};
use switchboard_store::{CommittedEvent, StoreError};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::{
    api::{
        auth::{Caller, LineRef, lacks},
        problem::{Failure, chain},
        query::Query,
    },
    app::App,
};

/// A comment this often keeps the connection open through proxies (§9).
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The most events that are read at a time; fewer when they are long.
const BATCH: usize = 100;
/// Bytes of them that are kept while the reader takes its time; the rest is read again. One event is
/// kept however large it is.
const KEPT_BYTES: usize = 64 * 1024;
/// A reader that takes no event for so long while some wait is cut; it can resume. One that does not
/// come back at all loses its connection ([`crate::listen`]).
const SLOW: Duration = Duration::from_secs(30);
/// After so many events that are not for it a stream is told the new place.
const TELL_AFTER: i64 = 1000;
/// The last event of a stream that the server ends.
const CLOSED: &str = "stream.closed";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Opens a live stream.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Failure> {
    let kinds = kinds(&caller, &query)?;
    let since = query.time("since")?;
    let last = last_event_id(&headers)?;
    let lines = query.all("line").map(|line| LineRef::parse_as(line, "line"));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let account = caller.owner()?;
    let lines = if lines.is_empty() {
        caller.restricted_lines(&app).await?
    } else {
        let mut named = Vec::with_capacity(lines.len());
        for line in lines {
            named.push(caller.line(&app, &line).await.map_err(|failure| failure.param("line"))?.id);
        }
        Some(named)
    };
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let message = "This server has as many live streams as it takes. Try again later.";
        Problem::new(Code::ServiceUnavailable, message).retry_after(30)
    })?;
    // Before the place is looked up: what is committed in between wakes the stream.
    let news = app.hub.follow(account);
    let place = match last {
        Some(place) if place > app.store.event_place(account, None).await? => {
            let must = "is no place of this stream: it is beyond the newest event. Leave it out, or \
                        say 'since'";
            return Err(Problem::invalid_value("Last-Event-ID", must).into());
        }
        Some(place) => place,
        None => app.store.event_place(account, since).await?,
    };
    let reader = Reader {
        given_at: app.clock.now(),
        app,
        caller,
        account,
        kinds,
        lines,
        batch: BATCH,
        place,
        told: place,
        ready: VecDeque::new(),
        news,
        greeted: false,
        ended: false,
        _permit: permit,
    };
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    let mut response = Sse::new(reader.into_stream()).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    // Without a charset, some clients read any text as Latin-1.
    let utf8 = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, utf8);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies gather answers unless they are told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The events that are asked for, each with its scope; without a word, the contract's own that
/// the key may read. The ext events reach only who names them.
fn kinds(caller: &Caller, query: &Query) -> Result<Vec<EventKind>, Problem> {
    const UNASKED: [EventKind; 4] = [
        EventKind::MessageReceived,
        EventKind::MessageSent,
        EventKind::ReactionAdded,
        EventKind::ReactionRemoved,
    ];
    let mut named = Vec::new();
    for name in query.all("event") {
        named.push(EventKind::from_name(name).ok_or_else(|| {
            let known = EventKind::ALL.map(EventKind::as_str).join(", ");
            Problem::invalid_value("event", format_args!("must be one of {known}"))
        })?);
    }
    if named.is_empty() {
        let readable: Vec<_> =
            UNASKED.into_iter().filter(|kind| caller.has(kind.scope())).collect();
        return if readable.is_empty() { Err(lacks(UNASKED[0].scope())) } else { Ok(readable) };
    }
    caller.check_events(&named)?;
    Ok(named)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<i64>().ok())
        .filter(|place| *place >= 0)
        .map(Some)
        .ok_or_else(|| {
            Problem::invalid_value("Last-Event-ID", "must be the id of an event of this stream")
        })
}

struct Reader {
    app: Arc<App>,
    caller: Caller,
    account: Id<Account>,
    kinds: Vec<EventKind>,
    lines: Option<Vec<Id<Line>>>,
    /// How many events are read next.
    batch: usize,
    /// Up to where everything was given out that is for this stream.
    place: i64,
    /// The last place that the client was told.
    told: i64,
    ready: VecDeque<CommittedEvent>,
    news: watch::Receiver<()>,
    /// When the last event was given out.
    given_at: Timestamp,
    greeted: bool,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        if !std::mem::replace(&mut self.greeted, true) {
            // Who loses the connection before the first event resumes from here, and not from wherever
            // the stream is by then.
            return Some(self.tell_place());
        }
        // The connection asks for the next event when it has room for it: the last one was in its way until now.
        let mut was_slow = self.app.clock.now().since(self.given_at) > SLOW;
        loop {
            // Marked as seen before the look: what comes during it wakes the next round. A revocation is such news.
            self.news.mark_unchanged();
            match self.caller.has_ended(&self.app).await {
                Ok(None) => {}
                Ok(Some(ending)) => return Some(self.close(ending)),
                Err(error) => return Some(self.fail(&error)),
            }
            if !self.ready.is_empty() {
                if was_slow {
                    return Some(self.close("slow_reader"));
                }
                break;
            }
            let (lines, kinds, most) = (self.lines.clone(), self.kinds.clone(), self.batch);
            match self.app.store.events_after(self.account, self.place, lines, kinds, most).await {
                Ok(after) if after.events.is_empty() => {
                    was_slow = false;
                    // What is not for this stream is not read again, and not after a resumption either.
                    self.place = after.place;
                    if self.place - self.told >= TELL_AFTER {
                        return Some(self.tell_place());
                    }
                    if after.has_more {
                        continue;
                    }
                    tokio::select! {
                        changed = self.news.changed() => changed.ok()?,
                        () = self.caller.expiry(&self.app) => {}
                        () = self.app.stopping.cancelled() => return Some(self.close("server_stopping")),
                    }
                }
                Ok(after) => {
                    let read = after.events.len();
                    self.ready = first_bytes(after.events, KEPT_BYTES);
                    // What was read in vain now is not read in vain again.
                    let kept = self.ready.len();
                    self.batch = if kept < read { kept } else { BATCH.min(self.batch * 2) };
                }
                Err(error) => return Some(self.fail(&error)),
            }
        }
        self.given_at = self.app.clock.now();
        let event = self.ready.pop_front()?;
        (self.place, self.told) = (event.seq, event.seq);
        let data = self.app.files.show_event(&event.data, self.app.clock.now());
        Some(Event::default().id(event.seq.to_string()).event(event.kind.as_str()).data(data.get()))
    }

    /// An id without data is no event, but a place to resume from.
    fn tell_place(&mut self) -> Event {
        self.told = self.place;
        Event::default().id(self.place.to_string())
    }

    fn fail(&mut self, error: &StoreError) -> Event {
        tracing::error!(error = chain(error), "a live stream could not be read");
        self.close("server_failed")
    }

    /// Says why the stream ends, and from where it can be resumed. No `id:`, so that the place stays.
    fn close(&mut self, reason: &str) -> Event {
        self.ended = true;
        let data = json!({ "reason": reason, "last_event_id": self.place.to_string() });
        Event::default().event(CLOSED).data(data.to_string())
    }
}

/// The first of these events, as many as fit into so many bytes, and at least one.
fn first_bytes(events: Vec<CommittedEvent>, most: usize) -> VecDeque<CommittedEvent> {
    let mut bytes = 0;
    let fits = |event: &CommittedEvent| {
        let first = bytes == 0;
        bytes += event.data.get().len();
        first || bytes <= most
    };
    events.into_iter().take_while(fits).collect()
}
