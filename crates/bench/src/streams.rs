//! `streams`: 10,000 live streams that wait, one event to all of them; and streams that scan 600,000
//! old events in vain while another account asks for a page.
//!
//! The server is a process of its own: its memory is looked at, and neither side alone may have so many
//! files open. The streams are read on one thread that does nothing else.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use hdrhistogram::Histogram;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use switchboard_client::ContactText;
use switchboard_store::sqlite::{SqliteOptions, SqliteStore};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::oneshot};

use crate::{
    Options,
    load::{Load, Pace, Template},
    machine::Machine,
    process::{Customer, Served},
    report::{Figure, Report, median},
    world,
};

/// Streams that are open at once.
const STREAMS: usize = 10_000;
/// The accounts that they belong to, in turns: one, and several.
const SEVERAL: usize = 20;
/// Old events that are scanned, and streams that do so.
const EVENTS: u64 = 600_000;
const SCANS: [usize; 2] = [60, 900];
/// Streams that are being opened at the same time.
const OPENING: usize = 64;
/// How long all may take to hear of an event, and to be open.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing happens before memory is looked at.
const REST: Duration = Duration::from_secs(3);
/// The files that the generator needs beside its streams.
const OTHER_FILES: u64 = 200;
/// Requests a second of the account that does not scan.
const ASKED: u32 = 100;

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    raise_file_limit()?;
    let one = fan_out(options, 1).await?;
    let several = fan_out(options, SEVERAL).await?;
    let scans = scan(options).await?;
    let slowest = |fan: &FanOut| fan.all_ms.iter().copied().fold(0.0, f64::max);
    let figures = vec![
        Figure::plain("one event to 10,000 of one account", median(one.all_ms.clone()), "ms"),
        Figure::plain("the slowest of the rounds", slowest(&one), "ms").below(300.0),
        Figure::plain("one to each of 20 accounts, 500 each", median(several.all_ms.clone()), "ms"),
        Figure::plain("the slowest of the rounds", slowest(&several), "ms").below(300.0),
        Figure::plain("streams that were cut", (one.cut + several.cut) as f64, "").below(1.0),
        Figure::plain("memory of 10,000 streams", one.resident_kib / 1024.0, "MiB").below(100.0),
        Figure::plain("of each", one.resident_kib / STREAMS as f64, "KiB").below(10.0),
        Figure::plain("another account's GET, p99, alone", p99(&scans.alone), "ms"),
        Figure::plain("beside 60 streams that scan", p99(&scans.beside[0]), "ms").below(50.0),
        Figure::plain("beside 900 streams that scan", p99(&scans.beside[1]), "ms").below(50.0),
    ];
    Ok(Report { benchmark: "streams", machine, rounds: options.rounds, rows: vec![], figures })
}

fn p99(latency: &Histogram<u64>) -> f64 {
    latency.value_at_quantile(0.99) as f64 / 1000.0
}

/// Lets this process open as many files as it needs.
fn raise_file_limit() -> anyhow::Result<()> {
    let needed = STREAMS as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < needed) {
        ensure!(
            maximum.is_none_or(|maximum| maximum >= needed),
            "this needs {needed} open files, and the hard limit is lower: raise it (ulimit -Hn)"
        );
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })?;
    }
    Ok(())
}

/// What came of many streams.
struct FanOut {
    /// From the request that makes the event to the last stream that has it, in each round.
    all_ms: Vec<f64>,
    cut: usize,
    /// How much more memory the server has with them.
    resident_kib: f64,
}

/// Opens all streams, of so many accounts, and lets one event happen in each account.
async fn fan_out(options: &Options, accounts: usize) -> anyhow::Result<FanOut> {
    let dir = tempfile::tempdir()?;
    let server = Served::start(dir.path()).await?;
    let numbers = 0..accounts;
    let customers: Vec<_> =
        stream::iter(numbers).then(|number| server.customer(number)).try_collect().await?;
    // What the first streams and events take is nobody's.
    let warm = Listening::start(server.address, &customers, 100, "").await?;
    text_all(&server, &customers).await?;
    warm.wait_for(100).await?;
    warm.stop()?;
    tokio::time::sleep(REST).await;
    let before = server.resident_kib()?;
    let streams = Listening::start(server.address, &customers, STREAMS, "").await?;
    tokio::time::sleep(REST).await;
    let resident_kib = server.resident_kib()? - before;
    let mut all_ms = Vec::new();
    for round in options.rounds() {
        let begun = Instant::now();
        text_all(&server, &customers).await?;
        streams.wait_for(round * STREAMS).await?;
        let last = streams.heard.last();
        all_ms.push(last.saturating_duration_since(begun).as_secs_f64() * 1000.0);
        options.tell(round, *all_ms.last().context("a round has its figure")?, "ms to all");
        tokio::time::sleep(REST).await;
    }
    let cut = streams.heard.cut.load(Ordering::Relaxed);
    streams.stop()?;
    Ok(FanOut { all_ms, cut, resident_kib })
}

/// Lets a contact text each of them, at the same time.
async fn text_all(server: &Served, customers: &[Customer]) -> anyhow::Result<()> {
    let phones = server.phones()?;
    let texts = customers.iter().map(|customer| {
        let text = ContactText {
            line: customer.handle.clone(),
            from: "+15550130000".to_owned(),
            text: Some("Is the shop open on Sunday too?".to_owned()),
            ..ContactText::default()
        };
        let phones = &phones;
        async move { phones.text(&text).await }
    });
    try_join_all(texts).await?;
    Ok(())
}

/// How long another account waits for a page.
struct Scans {
    alone: Histogram<u64>,
    beside: Vec<Histogram<u64>>,
}

async fn scan(options: &Options) -> anyhow::Result<Scans> {
    let dir = tempfile::tempdir()?;
    let (scanning, other) = {
        let server = Served::start(dir.path()).await?;
        (server.customer(0).await?, server.customer(1).await?)
    };
    fill(dir.path(), &scanning, &other).await?;
    let server = Served::start(dir.path()).await?;
    let path = format!("/v1/messages?from={}&to=%2B15550130000", other.line);
    let asking = Load {
        address: server.address,
        requests: [Template::get(&path, &other.key)].into(),
        expected: 200,
        connections: 8,
        pace: Pace::PerSecond(ASKED),
        duration: options.duration(),
    };
    asking.run().await?;
    let alone = asking.run().await?.latency;
    let mut beside = Vec::new();
    for count in SCANS {
        let scans = [scanning.clone()];
        let streams =
            Listening::start(server.address, &scans, count, "?event=message.failed&since=0");
        let streams = streams.await?;
        let latency = asking.run().await?.latency;
        beside.push(latency);
        ensure!(streams.heard.cut.load(Ordering::Relaxed) == 0, "streams that scan were cut");
        eprintln!("beside {count} streams that scan: {:.1} ms p99", p99(&beside[beside.len() - 1]));
        streams.stop()?;
    }
    Ok(Scans { alone, beside })
}

/// Lets many old texts be there of the one, and a page of the other.
async fn fill(dir: &Path, scanning: &Customer, other: &Customer) -> anyhow::Result<()> {
    let store = SqliteStore::open(&dir.join("switchboard.db"), SqliteOptions::default())?;
    let contacts: Vec<_> = (0..64).map(|number| format!("+1555013{number:04}")).collect();
    let all = [(scanning, EVENTS), (other, 64 * 64)];
    for (customer, count) in all {
        for first in (0..count).step_by(512) {
            let numbers = first..count.min(first + 512);
            world::receive(&store, customer.line, &contacts, numbers).await?;
        }
    }
    switchboard_store::Store::close(&store).await;
    Ok(())
}

/// Streams that are read by a thread of their own.
struct Listening {
    heard: Arc<Heard>,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<anyhow::Result<()>>,
}

/// What all of them have heard.
struct Heard {
    since: Instant,
    events: AtomicUsize,
    /// When the last came, in microseconds.
    last_us: AtomicU64,
    cut: AtomicUsize,
}

impl Heard {
    fn last(&self) -> Instant {
        self.since + Duration::from_micros(self.last_us.load(Ordering::SeqCst))
    }
}

impl Listening {
    /// Opens so many, of these customers in turn.
    async fn start(
        address: SocketAddr,
        customers: &[Customer],
        count: usize,
        query: &str,
    ) -> anyhow::Result<Self> {
        let heard = Arc::new(Heard {
            since: Instant::now(),
            events: AtomicUsize::new(0),
            last_us: AtomicU64::new(0),
            cut: AtomicUsize::new(0),
        });
        let heads: Vec<_> = customers
            .iter()
            .map(|customer| {
                let key = &customer.key;
                format!("GET /v1/events{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n")
            })
            .collect();
        let (stop, stopped) = oneshot::channel();
        let (ready, opened) = oneshot::channel();
        let work = {
            let heard = Arc::clone(&heard);
            move || listen(address, &heads, count, &heard, ready, stopped)
        };
        let thread = thread::Builder::new().name("load".into()).spawn(work)?;
        let opened = tokio::time::timeout(PATIENCE, opened).await;
        opened.context("the streams are not open in time")?.context("the streams are not open")?;
        Ok(Self { heard, stop, thread })
    }

    /// Waits until so many events were heard in all.
    async fn wait_for(&self, events: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (heard, cut) =
                (self.heard.events.load(Ordering::SeqCst), self.heard.cut.load(Ordering::Relaxed));
            ensure!(heard <= events, "{heard} events came, and not {events}: some came twice");
            if heard == events {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{heard} of {events} events came; {cut} were cut");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn stop(self) -> anyhow::Result<()> {
        // Whoever reads may have failed already; then joining says why.
        let _ = self.stop.send(());
        self.thread.join().ok().context("the streams' thread panicked")?
    }
}

fn listen(
    address: SocketAddr,
    heads: &[String],
    count: usize,
    heard: &Arc<Heard>,
    ready: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opening = (0..count).map(|number| open(address, &heads[number % heads.len()]));
        let streams: Vec<_> = stream::iter(opening).buffer_unordered(OPENING).try_collect().await?;
        for stream in streams {
            let heard = Arc::clone(heard);
            tokio::spawn(async move {
                // However a stream ends before it is told to, it was cut.
                let _ = read(stream, &heard).await;
                heard.cut.fetch_add(1, Ordering::Relaxed);
            });
        }
        // Whoever waits for it may have given up.
        let _ = ready.send(());
        let _ = stopped.await;
        Ok(())
    })
}

/// Opens a stream and waits for its first word.
async fn open(address: SocketAddr, head: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !contains(&answer, b"\n\n") {
        stream.readable().await?;
        match stream.try_read_buf(&mut answer) {
            Ok(0) => anyhow::bail!("a stream is closed before it begins"),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        ensure!(
            answer.len() < 12 || answer.starts_with(b"HTTP/1.1 200"),
            "a stream is refused: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    Ok(stream)
}

/// Counts the events of a stream until it ends.
async fn read(stream: TcpStream, heard: &Heard) -> anyhow::Result<()> {
    let mut block = Vec::new();
    loop {
        stream.readable().await?;
        match stream.try_read_buf(&mut block) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        while let Some(end) = block.windows(2).position(|two| two == b"\n\n") {
            if contains(&block[..end], b"event: message.received") {
                let now = u64::try_from(heard.since.elapsed().as_micros())?;
                heard.last_us.fetch_max(now, Ordering::SeqCst);
                heard.events.fetch_add(1, Ordering::SeqCst);
            } else if contains(&block[..end], b"event: stream.closed") {
                return Ok(());
            }
            block.drain(..end + 2);
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
