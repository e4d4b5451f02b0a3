//! The load generator: raw TCP with keep-alive, requests that are bytes already, and no more
//! of the answer parsed than its status and its length.
//!
//! It is the same for whatever is measured and for its ceiling, and lean, because what the
//! generator uses of the machine is taken from both and so flatters their ratio. It promises
//! that every answer had the expected status: one that had not ends the run with an error.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt::Write as _,
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    sync::Semaphore,
};

use crate::cpu;

/// How much longer than it should a run may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a paced run looks at what is due.
const TICK: Duration = Duration::from_millis(1);
/// The longest answer that is read.
const MAX_ANSWER: usize = 1024 * 1024;
/// The digits of a request's number.
const DIGITS: usize = 10;

/// A request as bytes, with a place for its number if it has one.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    number: Range<usize>,
}

impl Template {
    /// `POST path` with this JSON, in which ten `#` stand for the number.
    pub(crate) fn post(path: &str, token: &str, body: &serde_json::Value) -> anyhow::Result<Self> {
        let body = body.to_string();
        let mut text = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n");
        write!(text, "authorization: Bearer {token}\r\ncontent-type: application/json\r\n")?;
        write!(text, "content-length: {}\r\n\r\n{body}", body.len())?;
        let at = text.find(&"#".repeat(DIGITS)).context("a request has a place for its number")?;
        Ok(Self { bytes: text.into_bytes(), number: at..at + DIGITS })
    }

    /// `GET path`, always the same.
    pub(crate) fn get(path: &str, token: &str) -> Self {
        let text = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        Self { bytes: text.into_bytes(), number: 0..0 }
    }

    fn write_to(&self, number: u64, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.bytes);
        let mut left = number;
        for digit in buffer[self.number.clone()].iter_mut().rev() {
            *digit = b"0123456789"[(left % 10) as usize];
            left /= 10;
        }
    }
}

/// The text that a numbered request carries; [`number_in`] finds the number again.
pub(crate) fn numbered_text() -> String {
    format!("This is message number {}", "#".repeat(DIGITS))
}

/// The number at the end of a [`numbered_text`] that was sent.
pub(crate) fn number_in(text: &str) -> Option<u64> {
    text.rsplit(' ').next()?.parse().ok()
}

/// When requests are begun.
#[derive(Clone)]
pub(crate) enum Pace {
    /// Each connection begins its next as soon as the last is answered.
    Flat,
    /// This many a second, whatever becomes of them. Time is counted from when a request was
    /// due, so that a server that stalls is not spared those it kept waiting.
    PerSecond(u32),
    /// As fast as they are done with elsewhere: at most `most` ahead of `done()`.
    Ahead { most: u64, done: Arc<dyn Fn() -> u64 + Send + Sync> },
}

/// A run to be made.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// Taken in turn.
    pub(crate) requests: Arc<[Template]>,
    /// The status of every answer.
    pub(crate) expected: u16,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) duration: Duration,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct LoadResult {
    /// When the first request was begun.
    pub(crate) started: Instant,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// In microseconds. Its length is the number of requests.
    pub(crate) latency: Histogram<u64>,
    /// When each request was due, by its number; empty for [`Pace::Flat`].
    pub(crate) begun: Vec<(u64, Instant)>,
    /// What the generator itself used of the machine.
    pub(crate) cpu: Duration,
}

/// An empty histogram of microseconds, from one to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are valid")
}

/// Notes a duration; one of more than a minute counts as a minute.
pub(crate) fn note(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1));
}

impl Load {
    /// Makes the run, on threads of its own, from the async side.
    pub(crate) async fn run(&self) -> anyhow::Result<LoadResult> {
        let load = self.clone();
        tokio::task::spawn_blocking(move || load.run_blocking()).await?
    }

    fn run_blocking(&self) -> anyhow::Result<LoadResult> {
        ensure!(!self.requests.is_empty() && self.connections > 0, "a load needs requests");
        // A pace is kept by one thread; flat out, one thread would be the ceiling of the ceiling.
        let threads = if matches!(self.pace, Pace::Flat) { 2.min(self.connections) } else { 1 };
        let mut streams = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let stream = std::net::TcpStream::connect(self.address)
                .with_context(|| format!("{} takes no connection", self.address))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            streams.push(stream);
        }
        let (next, barrier) = (AtomicU64::new(0), Barrier::new(threads));
        let parts = thread::scope(|scope| {
            let mut running = Vec::with_capacity(threads);
            for left in (1..=threads).rev() {
                let share = streams.split_off(streams.len() - streams.len() / left);
                let work = || self.drive(share, &next, &barrier);
                running.push(thread::Builder::new().name("load".into()).spawn_scoped(scope, work));
            }
            let join = |thread: std::io::Result<thread::ScopedJoinHandle<'_, _>>| {
                thread?.join().unwrap_or_else(|_| bail!("the load generator panicked"))
            };
            running.into_iter().map(join).collect::<anyhow::Result<Vec<_>>>()
        })?;
        let mut parts = parts.into_iter();
        let mut all = parts.next().context("a load has a thread")?;
        for part in parts {
            all.latency.add(&part.latency)?;
            all.started = all.started.min(part.started);
            all.elapsed = all.elapsed.max(part.elapsed);
            all.begun.extend(part.begun);
            all.cpu += part.cpu;
        }
        Ok(all)
    }

    /// One thread's share of the connections.
    fn drive(
        &self,
        streams: Vec<std::net::TcpStream>,
        next: &AtomicU64,
        barrier: &Barrier,
    ) -> anyhow::Result<LoadResult> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        barrier.wait();
        let started = Instant::now();
        let tickets = Tickets::new(&self.pace, started + self.duration);
        let noted = RefCell::new((histogram(), Vec::new()));
        let connection = async |stream| {
            let mut line = Line { stream: TcpStream::from_std(stream)?, buffer: Vec::new() };
            while let Some(due) = tickets.next().await {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let turn = usize::try_from(number)? % self.requests.len();
                line.ask(&self.requests[turn], number, self.expected).await?;
                let (latency, begun) = &mut *noted.borrow_mut();
                note(latency, due.elapsed());
                if tickets.are_paced {
                    begun.push((number, due));
                }
            }
            anyhow::Ok(())
        };
        runtime.block_on(async {
            let feeding = tickets.feed(&self.pace, started, streams.len());
            let asking = try_join_all(streams.into_iter().map(connection));
            let all = async { tokio::try_join!(asking, feeding) };
            let given_up = "the server has not answered all in time";
            tokio::time::timeout(self.duration + PATIENCE, all).await.context(given_up)?
        })?;
        let elapsed = started.elapsed();
        let (latency, begun) = noted.into_inner();
        Ok(LoadResult { started, elapsed, latency, begun, cpu: cpu::of_this_thread()? })
    }
}

/// The permits to begin a request, each with the time it was due.
struct Tickets {
    until: Instant,
    are_paced: bool,
    due: RefCell<VecDeque<Option<Instant>>>,
    ready: Semaphore,
}

impl Tickets {
    fn new(pace: &Pace, until: Instant) -> Self {
        let are_paced = !matches!(pace, Pace::Flat);
        Self { until, are_paced, due: RefCell::default(), ready: Semaphore::new(0) }
    }

    /// Waits for the next; none when the run is over.
    async fn next(&self) -> Option<Instant> {
        if !self.are_paced {
            return Some(Instant::now()).filter(|now| *now < self.until);
        }
        self.ready.acquire().await.ok()?.forget();
        self.due.borrow_mut().pop_front().flatten()
    }

    fn push(&self, due: Option<Instant>) {
        self.due.borrow_mut().push_back(due);
        self.ready.add_permits(1);
    }

    /// Hands them out at this pace, and at the end to each connection one that says so.
    async fn feed(&self, pace: &Pace, started: Instant, connections: usize) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(TICK);
        let mut given = 0;
        while self.are_paced && Instant::now() < self.until {
            ticks.tick().await;
            let now = Instant::now();
            let wanted = match pace {
                Pace::Flat => 0,
                Pace::PerSecond(rate) => {
                    let millis = u64::try_from(now.duration_since(started).as_millis())?;
                    u64::from(*rate) * millis / 1000
                }
                Pace::Ahead { most, done } => done() + most,
            };
            for _ in given..wanted {
                self.push(Some(now));
            }
            given = given.max(wanted);
        }
        (0..connections).for_each(|_| self.push(None));
        Ok(())
    }
}

/// One connection.
struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    /// Sends a request and waits for the whole of its answer.
    async fn ask(&mut self, request: &Template, number: u64, expected: u16) -> anyhow::Result<()> {
        request.write_to(number, &mut self.buffer);
        self.stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        loop {
            let reading = self.stream.read_buf(&mut self.buffer);
            ensure!(reading.await? > 0, "the connection was closed before the answer was whole");
            if let Some((status, length)) = head(&self.buffer)? {
                ensure!(length <= MAX_ANSWER, "an answer is too long");
                if self.buffer.len() >= length {
                    if status == expected {
                        return Ok(());
                    }
                    bail!("expected {expected}, got: {}", String::from_utf8_lossy(&self.buffer));
                }
            }
        }
    }
}

/// The status of an answer and the length of all of it, once its head is there. Looks at
/// bytes, line by line: it is the generator's own work that grows with the answer's headers.
fn head(answer: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    const LENGTH: &[u8] = b"content-length:";
    let (mut at, mut status, mut length) = (0, None, None::<usize>);
    while let Some(end) = answer[at..].iter().position(|byte| *byte == b'\n') {
        let line = answer[at..at + end].trim_ascii();
        at += end + 1;
        if line.is_empty() {
            let length = length.context("an answer has no content-length")?;
            return Ok(Some((status.context("an answer has no status")?, at + length)));
        } else if status.is_none() {
            status = Some(number(line.get(9..12).unwrap_or_default())?);
        } else if line.len() > LENGTH.len() && line[..LENGTH.len()].eq_ignore_ascii_case(LENGTH) {
            length = Some(number(&line[LENGTH.len()..])?);
        }
    }
    Ok(None)
}

fn number<T: std::str::FromStr>(text: &[u8]) -> anyhow::Result<T> {
    let text = std::str::from_utf8(text.trim_ascii()).ok();
    text.and_then(|text| text.parse().ok()).context("a head of an answer can't be understood")
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, extract::State, routing::post};
    use serde_json::Value;
    use tokio::net::TcpListener;

    use super::*;

    /// A trivial server that counts, and a load on it.
    async fn counted(pace: Pace) -> (Arc<AtomicU64>, Load) {
        let answered = Arc::new(AtomicU64::new(0));
        let count = async |State(answered): State<Arc<AtomicU64>>, body: Json<Value>| {
            answered.fetch_add(1, Ordering::Relaxed);
            body
        };
        let router = Router::new().route("/", post(count)).with_state(Arc::clone(&answered));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router).await });
        let body = serde_json::json!({ "text": numbered_text() });
        let requests = [Template::post("/", "key", &body).unwrap()].into();
        let duration = Duration::from_millis(100);
        (answered, Load { address, requests, expected: 200, connections: 4, pace, duration })
    }

    #[tokio::test]
    async fn every_request_is_answered_and_counted_once() {
        // 100 ahead of nothing done: exactly 100 are sent.
        let pace = Pace::Ahead { most: 100, done: Arc::new(|| 0) };
        let (answered, load) = counted(pace).await;
        let outcome = load.run().await.unwrap();
        let mut numbers: Vec<_> = outcome.begun.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        assert_eq!((outcome.latency.len(), answered.load(Ordering::Relaxed)), (100, 100));
    }

    #[tokio::test]
    async fn flat_out_all_answers_are_counted() {
        let (answered, load) = counted(Pace::Flat).await;
        let outcome = load.run().await.unwrap();
        assert!(outcome.latency.len() > 4);
        assert_eq!(outcome.latency.len(), answered.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn an_unexpected_status_ends_the_run() {
        let (_, load) = counted(Pace::Flat).await;
        let error = Load { expected: 201, ..load }.run().await.unwrap_err();
        assert!(error.to_string().contains("expected 201, got: HTTP/1.1 200 OK"), "{error}");
    }

    #[test]
    fn a_number_is_written_and_found_again() {
        let body = serde_json::json!({ "text": numbered_text() });
        let mut buffer = Vec::new();
        Template::post("/", "key", &body).unwrap().write_to(1234, &mut buffer);
        let text = String::from_utf8(buffer).unwrap();
        let body: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(number_in(body["text"].as_str().unwrap()), Some(1234));
    }

    #[test]
    fn a_head_is_read_only_when_it_is_whole() {
        assert_eq!(head(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n").unwrap(), None);
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head(whole).unwrap(), Some((201, whole.len())));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
