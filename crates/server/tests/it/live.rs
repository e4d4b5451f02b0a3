//! A reader of the live stream, who takes nothing on trust: the form of each event, and its shape.

use std::time::Duration;

use serde_json::Value;
use switchboard_testkit::{TestServer, is_on_postgres, judge::judge_event};

use crate::{call::Call, world::SOON};

/// One live stream.
#[derive(Debug)]
pub(crate) struct Live {
    response: reqwest::Response,
    buffer: Vec<u8>,
    place: String,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Event {
        id: Option<String>,
        name: String,
        data: Value,
    },
    /// From where the stream can be resumed before its first event.
    Place(String),
    Comment,
    End,
}

impl Live {
    /// Opens a stream with this query: `?event=…`.
    pub(crate) async fn open(server: &TestServer, key: &str, query: &str) -> Self {
        Self::call(server, Call::get(format!("/v1/events{query}")).key(key)).await
    }

    /// Goes on behind this event.
    pub(crate) async fn resume(server: &TestServer, key: &str, query: &str, last: &str) -> Self {
        let call = Call::get(format!("/v1/events{query}")).key(key);
        Self::call(server, call.header("last-event-id", last)).await
    }

    async fn call(server: &TestServer, call: Call) -> Self {
        let response = call.open(&server.url).await;
        assert_eq!(response.status(), 200, "{call:?}");
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!(header("cache-control"), "no-store");
        assert!(header("x-request-id").starts_with("req_"));
        assert!(response.headers().contains_key("x-ratelimit-remaining"));
        let mut live = Self { response, buffer: Vec::new(), place: String::new() };
        let Heard::Place(place) = live.hear().await else {
            panic!("a stream begins with its place")
        };
        live.place = place;
        live
    }

    /// The place from which this stream began.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The next thing, whatever it is.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let block = self.buffer.drain(..end + 2).collect();
                return parse(&String::from_utf8(block).unwrap());
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                // A server that is gone ends the stream in the one way or the other.
                Ok(None) | Err(_) => return Heard::End,
            }
        }
    }

    /// The next event: its id, its name and its data.
    pub(crate) async fn next(&mut self) -> (String, String, Value) {
        loop {
            match tokio::time::timeout(SOON, self.hear()).await.expect("an event comes") {
                Heard::Event { id: Some(id), name, data } => return (id, name, data),
                Heard::Comment => {}
                other => panic!("an event is awaited, not {other:?}"),
            }
        }
    }

    /// The next events: names and texts.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for _ in 0..count {
            let (_, name, data) = self.next().await;
            texts.push((name, data["text"].as_str().unwrap_or_default().to_owned()));
        }
        texts
    }

    /// Takes what comes until the stream ends; the last event says why.
    pub(crate) async fn closed(&mut self, within: Duration) -> (Vec<(String, Value)>, String) {
        let mut events = Vec::new();
        tokio::time::timeout(within, async {
            loop {
                match self.hear().await {
                    Heard::Event { id: Some(id), data, .. } => events.push((id, data)),
                    Heard::Event { id: None, name, data } => {
                        assert_eq!(name, "stream.closed");
                        let last = data["last_event_id"].as_str().unwrap();
                        if let Some((id, _)) = events.last() {
                            // Of PostgreSQL it may be one behind which nothing has come.
                            assert!(last == id || (is_on_postgres() && last > id.as_str()));
                        }
                        assert_eq!(self.hear().await, Heard::End, "nothing after the last");
                        return data["reason"].as_str().unwrap().to_owned();
                    }
                    Heard::Comment => {}
                    Heard::Place(place) => panic!("the place {place} is told at the beginning"),
                    Heard::End => panic!("the stream ends without a word after {events:?}"),
                }
            }
        })
        .await
        .map(|reason| (events, reason))
        .expect("the stream ends")
    }
}

/// One block of a stream.
/// The body that came in these chunks (RFC 9112 §7.1), and what came behind its last one; nothing if that did not come.
pub(crate) fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no size: {size:?}"));
        let rest = &bytes[end + 2..];
        let chunk = &rest[..size.min(rest.len())];
        body.extend(chunk);
        let Some(behind) = rest.get(size..).and_then(|rest| rest.strip_prefix(b"\r\n")) else {
            assert!(rest.len() < size + 2, "a chunk has its end");
            break;
        };
        if size == 0 {
            return (body, Some(behind.to_vec()));
        }
        bytes = behind;
    }
    (body, None)
}

pub(crate) fn parse(block: &str) -> Heard {
    let (mut id, mut name, mut data) = (None, None::<String>, None);
    for line in block.lines().filter(|line| !line.is_empty()) {
        match line.split_once(':').expect("a field or a comment") {
            ("id", value) => id = Some(value.trim().to_owned()),
            ("event", value) => name = Some(value.trim().to_owned()),
            ("data", value) => data = Some(serde_json::from_str(value).unwrap()),
            ("", _) => return Heard::Comment,
            (other, _) => panic!("{other} is no field of an event stream that is used here"),
        }
    }
    let (Some(name), Some(data)) = (name, data) else {
        return Heard::Place(id.expect("a block holds an event or a place"));
    };
    if name != "stream.closed" {
        judge_event(&name, &data);
    }
    Heard::Event { id, name, data }
}
