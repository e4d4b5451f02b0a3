//! `pages`: pages of 50 messages from a small and from a large history: of a busy chat, from first to last, and of chats
//! that nobody has asked for, with nothing of the database in the machine's memory.
//!
//! The histories are made through the store, with chats in random turn, as a line has them; they are kept for the next run.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};
use switchboard_model::{
    Bridge, Handle, Line, Timestamp,
    chat::Service,
    id::Id,
    link::{Inbound, InboundChat, InboundMessage},
    time::Clock,
};
use switchboard_server::SystemClock;
use switchboard_store::{
    Bridges as _, Inbox as _, Link, Store as _,
    sqlite::{SqliteOptions, SqliteStore},
};

use crate::{
    Options,
    machine::Machine,
    process::Served,
    report::{Figure, Report, Round, Series},
};

/// Messages of the two histories.
const SIZES: [u64; 2] = [100_000, 10_000_000];
/// One message of so many is the busy chat's; the others are spread over chats of about so many.
const BUSY: u64 = 50;
const CHAT: u64 = 200;
/// Messages that come in in one transaction.
const AT_ONCE: u64 = 2_000;
/// How often it is told how many there are.
const TELL_EVERY: u64 = 1_000_000;
/// Pages of the busy chat that are walked, again and again.
const WALKED: usize = 30;
/// Chats that are asked for in a round, of which nothing is in memory.
const COLD: u64 = 60;
const MIB: u64 = 1024 * 1024;

/// A history and what is needed to ask for it.
#[derive(Serialize, Deserialize)]
struct History {
    messages: u64,
    handle: String,
    key: String,
}

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let [small, large] = SIZES.map(directory);
    let [small, large] = [made(&small?, SIZES[0]).await?, made(&large?, SIZES[1]).await?];
    let [mut busy, mut cold] = [(); 2].map(|()| [Series::default(), Series::default()]);
    for round in options.rounds() {
        for (number, (dir, history)) in [&small, &large].into_iter().enumerate() {
            let asked = Asked::start(dir, history).await?;
            busy[number].push(asked.walk(options.duration()).await?);
            // Another process: SQLite's own memory is empty too.
            drop(asked);
            let asked = Asked::start(dir, history).await?;
            cold[number].push(asked.cold(round as u64).await?);
        }
        let p50 = |series: &Series| series.median(|round| round.p50_ms);
        options.tell(round, p50(&busy[1]) / p50(&busy[0]), "x the small history so far");
    }
    let p50 = |series: &Series| series.median(|round| round.p50_ms);
    let ratio = |series: &[Series; 2]| p50(&series[1]) / p50(&series[0]);
    Ok(Report {
        benchmark: "pages",
        machine,
        rounds: options.rounds,
        rows: vec![
            busy[0].row("busy chat, 100,000 messages"),
            busy[1].row("busy chat, 10,000,000 messages"),
            cold[0].row("any chat, nothing in memory, 100,000"),
            cold[1].row("any chat, nothing in memory, 10,000,000"),
        ],
        figures: vec![
            Figure::plain("busy chat, p50, of the small history", ratio(&busy), "x").below(1.3),
            Figure::plain("any chat from disk, p50, of the small", ratio(&cold), "x").below(2.0),
            Figure::plain("the large database", size(&large.0)? as f64 / MIB as f64, "MiB"),
        ],
    })
}

fn directory(messages: u64) -> anyhow::Result<PathBuf> {
    // Beside what other benchmarks make and remove.
    Ok(std::env::temp_dir().join(format!("pages-{messages}")))
}

fn size(dir: &Path) -> anyhow::Result<u64> {
    Ok(fs::metadata(database(dir))?.len())
}

fn database(dir: &Path) -> PathBuf {
    dir.join("switchboard.db")
}

/// The history in this directory: made, if it is not there whole.
async fn made(dir: &Path, messages: u64) -> anyhow::Result<(PathBuf, History)> {
    let note = dir.join("history.json");
    if let Ok(found) = fs::read(&note) {
        return Ok((dir.to_owned(), serde_json::from_slice(&found)?));
    }
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    let server = Served::start(dir).await?;
    let customer = server.customer(1).await?;
    drop(server);
    let began = Instant::now();
    fill(dir, customer.line, messages).await?;
    eprintln!("made {messages} messages in {:.0} s", began.elapsed().as_secs_f64());
    let history = History { messages, handle: customer.handle, key: customer.key };
    fs::write(&note, serde_json::to_vec(&history)?)?;
    Ok((dir.to_owned(), history))
}

async fn fill(dir: &Path, line: Id<Line>, messages: u64) -> anyhow::Result<()> {
    let store = SqliteStore::open(&database(dir), SqliteOptions::default())?;
    let bridges = store.bridges().await?;
    let bridge: Id<Bridge> = bridges.first().context("the simulator has its bridge")?.id;
    let link: Link = store.open_link(bridge, SystemClock.now()).await?.link;
    let mut number = 0;
    while number < messages {
        let next = messages.min(number + AT_ONCE);
        let entries = (number..next).map(|one| message(one, messages));
        let entries = entries.collect::<anyhow::Result<_>>()?;
        let now = SystemClock.now();
        store.receive(link, line, next.to_string(), entries, now).await?;
        if number / TELL_EVERY < next / TELL_EVERY {
            eprintln!("{next} of {messages} messages");
        }
        number = next;
    }
    store.close().await;
    Ok(())
}

/// In random turn: nothing of a chat lies beside each other because it came so.
fn message(number: u64, messages: u64) -> anyhow::Result<Inbound> {
    let contact = match number % BUSY {
        0 => busy_contact()?,
        _ => contact(scatter(number) % chats(messages))?,
    };
    Ok(Inbound::Message(InboundMessage {
        guid: format!("{:016X}-{number:016X}", scatter(number)),
        chat: InboundChat::Contact { handle: contact.clone() },
        sender: contact,
        text: Some(
            "Is the shop open on Sunday too? We are five, and one of us can't walk far.".to_owned(),
        ),
        sent_at: Timestamp(1_700_000_000_000 + number as i64),
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    }))
}

fn chats(messages: u64) -> u64 {
    messages / CHAT
}

fn busy_contact() -> anyhow::Result<Handle> {
    Ok("+15559990000".parse()?)
}

fn contact(chat: u64) -> anyhow::Result<Handle> {
    Ok(format!("+1556{:07}", chat).parse()?)
}

/// A number that looks as if it was drawn (the finalizer of SplitMix64).
fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A server on a history.
struct Asked<'a> {
    server: Served,
    dir: &'a Path,
    history: &'a History,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<serde::de::IgnoredAny>,
    next_cursor: Option<String>,
}

impl<'a> Asked<'a> {
    async fn start(dir: &'a Path, history: &'a History) -> anyhow::Result<Self> {
        let server = Served::start(dir).await?;
        Ok(Self { server, dir, history, http: reqwest::Client::new() })
    }

    /// Walks the first pages of the busy chat for so long.
    async fn walk(&self, time: Duration) -> anyhow::Result<Round> {
        let (began, mut latency) = (Instant::now(), histogram()?);
        let (mut after, mut walked) = (None, 0);
        let contact = busy_contact()?;
        while began.elapsed() < time {
            let (page, took) = self.page(&contact, after.as_deref()).await?;
            latency.record(took)?;
            ensure!(page.data.len() == 50, "a page of the busy chat is full");
            walked += 1;
            after = page.next_cursor.filter(|_| walked % WALKED != 0);
        }
        Ok(Round::new(began.elapsed(), &latency))
    }

    /// Chats that were not asked for before, each from the disk.
    async fn cold(&self, round: u64) -> anyhow::Result<Round> {
        let (began, mut latency) = (Instant::now(), histogram()?);
        // The way to the first page is warm: connection, key, line.
        self.page(&busy_contact()?, None).await?;
        let database = File::open(database(self.dir))?;
        for number in round * COLD..(round + 1) * COLD {
            database.sync_all()?;
            fadvise(&database, 0, None, Advice::DontNeed)?;
            let chat = scatter(u64::MAX / 2 + number) % chats(self.history.messages);
            let (page, took) = self.page(&contact(chat)?, None).await?;
            ensure!(!page.data.is_empty(), "every chat has messages");
            latency.record(took)?;
        }
        Ok(Round::new(began.elapsed(), &latency))
    }

    /// A page, and the microseconds that it took.
    async fn page(&self, contact: &Handle, after: Option<&str>) -> anyhow::Result<(Page, u64)> {
        let url = format!("http://{}/v1/messages", self.server.address);
        let mut query = vec![("from", self.history.handle.as_str()), ("to", contact.as_str())];
        query.push(("limit", "50"));
        query.extend(after.map(|cursor| ("cursor", cursor)));
        let request = self.http.get(url).query(&query).bearer_auth(&self.history.key);
        let began = Instant::now();
        let body = request.send().await?.error_for_status()?.bytes().await?;
        let took = began.elapsed();
        Ok((serde_json::from_slice(&body)?, u64::try_from(took.as_micros())?))
    }
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}
