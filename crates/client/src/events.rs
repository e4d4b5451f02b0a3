//! GET /v1/events: the live stream (§9), for as long as the caller reads it.
//!
//! What it promises: no event is lost and none comes twice, over lost connections and restarts
//! of the server, from the first event or place on that the server has named. The events are
//! those that the server keeps: 7 days.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http::{
    HeaderName, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::Response;
use serde_json::Value;
use switchboard_model::{EventKind, Timestamp};

use crate::{
    Client, Error, Event, Result, Seen,
    error::{self, Misshape},
    retry::{self, LONGEST_PAUSE},
    sse::{Block, Parser},
    transport::{Again, Transport, read_raw, with_query},
};

/// A server sends at least a comment every 15 s; after three of them the connection is dead.
const SILENCE: Duration = Duration::from_secs(45);

/// The last event of a stream that the server ends.
const CLOSED: &str = "stream.closed";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl Client {
    /// Sets up a live stream. Without a word it gives the contract's own events of all lines
    /// that the key may use, from now on.
    pub fn events(&self) -> EventStreamBuilder {
        let transport = self.transport.clone();
        EventStreamBuilder { transport, filter: Vec::new(), since: None, place: None }
    }
}

/// Sets up a live stream. Nothing is sent before [`EventStreamBuilder::open`].
#[derive(Debug, Clone)]
#[must_use]
pub struct EventStreamBuilder {
    transport: Transport,
    filter: Vec<(&'static str, String)>,
    since: Option<Timestamp>,
    place: Option<String>,
}

impl EventStreamBuilder {
    /// Only these events. The ext events come only if they are named.
    pub fn events(mut self, events: impl IntoIterator<Item = EventKind>) -> Self {
        self.filter.extend(events.into_iter().map(|kind| ("event", kind.as_str().to_owned())));
        self
    }

    /// Only events of these lines, by handle or `ln_…`.
    pub fn lines(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.filter.extend(lines.into_iter().map(|line| ("line", line.into())));
        self
    }

    /// Begins with what has happened since then.
    pub fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// Begins after the event with this id: [`LiveEvent::id`] of the last one that was handled.
    pub fn last_event_id(mut self, id: impl Into<String>) -> Self {
        self.place = Some(id.into());
        self
    }

    /// Connects. From then on the stream keeps itself alive.
    ///
    /// # Errors
    /// Any [`Error`] of the first connection, which is tried again as often as
    /// [`crate::ClientBuilder::retries`] says.
    pub async fn open(self) -> Result<EventStream> {
        let retries = self.transport.retries;
        let mut reader = Reader { builder: self, connection: None, failures: 0, pause: None };
        loop {
            match reader.connect().await {
                Ok(()) => break,
                Err(error) if error.is_temporary() && reader.failures < retries => {
                    reader.lost(Some(&error));
                }
                Err(error) => return Err(error),
            }
        }
        let events = stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(event) => Some((event, Some(reader))),
                Err(end) => Some((Err(end), None)),
            }
        });
        Ok(EventStream { events: events.boxed() })
    }
}

/// Events as they happen. It connects again by itself, after pauses of 0.5 s to 30 s, and goes on where
/// it was. It ends only after an error that does not pass: the server refuses (400, 401, 403, 404 …) or
/// answers something else than a stream. An event that breaks the contract is an error too, but the
/// stream goes on after it.
pub struct EventStream {
    events: BoxStream<'static, Result<LiveEvent>>,
}

/// One event of a live stream.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveEvent {
    /// Its place: what [`EventStreamBuilder::last_event_id`] takes to go on after it.
    pub id: String,
    /// What happened; none for an event that this client does not know.
    pub kind: Option<EventKind>,
    /// What happened, and to what.
    pub data: Event,
}

impl EventStream {
    /// The next event; none when the stream has ended. Nothing is lost if this is cancelled.
    pub async fn next(&mut self) -> Option<Result<LiveEvent>> {
        self.events.next().await
    }
}

impl Stream for EventStream {
    type Item = Result<LiveEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(cx)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

struct Reader {
    builder: EventStreamBuilder,
    connection: Option<Connection>,
    /// Connections that failed since something last came.
    failures: u32,
    /// How long to wait before the next connection.
    pause: Option<Duration>,
}

struct Connection {
    response: Response,
    parser: Parser,
    ready: VecDeque<Block>,
}

impl Reader {
    /// The next event, good or broken. `Err` is the end.
    async fn next(&mut self) -> Result<Result<LiveEvent>> {
        loop {
            let Some(connection) = &mut self.connection else {
                match self.connect().await {
                    Ok(()) => {}
                    Err(error) if error.is_temporary() => self.lost(Some(&error)),
                    Err(error) => return Err(error),
                }
                continue;
            };
            if let Some(block) = connection.ready.pop_front() {
                if let Some(event) = self.take(block) {
                    return Ok(event);
                }
                continue;
            }
            match connection.read().await {
                Ok(true) => self.failures = 0,
                Ok(false) => self.lost(None),
                Err(error) if error.is_temporary() => self.lost(Some(&error)),
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&mut self) -> Result<()> {
        if let Some(pause) = self.pause.take() {
            tokio::time::sleep(pause).await;
        }
        let EventStreamBuilder { transport, filter, since, place } = &self.builder;
        let since = since.map(|since| since.millis().to_string());
        let mut query: Vec<_> = filter.iter().map(|(name, value)| (*name, &**value)).collect();
        if let (Some(since), None) = (&since, place) {
            query.push(("since", since));
        }
        let path = with_query("/v1/events", &query);
        let mut request = transport.request(Method::GET, path, Again::Safe);
        request.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(place) = place {
            let wrong = |_| Error::Setup("the last event's id can't stand in a header");
            let place = HeaderValue::from_bytes(place.as_bytes()).map_err(wrong)?;
            request.headers.insert(LAST_EVENT_ID, place);
        }
        // The stream has no end, so its time has none; its silence has, and its beginning.
        request.timeout = None;
        let in_time = tokio::time::timeout(transport.timeout, async {
            let response = transport.open(&mut request).await?;
            let kind = response.headers().get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
            if response.status() != 200 {
                return Err(transport.refused(&read_raw(response).await?));
            }
            if !kind.starts_with(b"text/event-stream") {
                let misshape = Misshape::new("the event stream is of another Content-Type");
                return Err(Error::Shape { status: 200, misshape });
            }
            Ok(response)
        });
        let response = in_time.await.map_err(|_| Error::Silent)??;
        let (parser, ready) = (Parser::default(), VecDeque::new());
        self.connection = Some(Connection { response, parser, ready });
        Ok(())
    }

    /// Lets the connection go and plans the pause before the next.
    fn lost(&mut self, why: Option<&Error>) {
        self.connection = None;
        let asked = why.and_then(Error::retry_after).map_or(Duration::ZERO, Duration::from_secs);
        let own = retry::pause(self.failures, rand::random());
        self.pause = Some(own.max(asked.min(LONGEST_PAUSE)));
        self.failures = self.failures.saturating_add(1);
    }

    /// The event of a block, if it has one.
    fn take(&mut self, block: Block) -> Option<Result<LiveEvent>> {
        let Block { id, event, data } = block;
        let place = &mut self.builder.place;
        if let Some(id) = id {
            *place = Some(id).filter(|id| !id.is_empty());
        }
        let (name, data) = (event.as_deref().unwrap_or("message"), data?);
        let data: Option<Value> = serde_json::from_str(&data).ok();
        if name == CLOSED {
            // The only way to know the place of a stream that gave no event yet.
            let told = data.as_ref().and_then(|data| data["last_event_id"].as_str());
            if let Some(told) = told.filter(|told| !told.is_empty()) {
                *place = Some(told.to_owned());
            }
            self.lost(None);
            return None;
        }
        let id = place.clone().unwrap_or_default();
        let event = match data {
            Some(data) => {
                self.builder.transport.seen(Seen::Event { name, data: &data });
                Event::read(name, data)
            }
            None => Err(Misshape::new("the data of an event is no JSON")),
        };
        Some(match event {
            Ok(data) => Ok(LiveEvent { id, kind: data.kind(), data }),
            Err(misshape) => Err(Error::Shape { status: 200, misshape }),
        })
    }
}

impl Connection {
    /// Takes in what comes next; false at the end.
    async fn read(&mut self) -> Result<bool> {
        let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await;
        let Some(chunk) = chunk.map_err(|_| Error::Silent)?.map_err(error::transport)? else {
            return Ok(false);
        };
        self.parser.push(&chunk, &mut self.ready).map_err(|_| Error::TooLarge)?;
        Ok(true)
    }
}
