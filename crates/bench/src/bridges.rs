//! `bridges`: 20 bridges of 10 lines each, with ledgers, on one server of its own process; each line sends a message and gets
//! a text each second. How long a message takes from its POST to the hand-over to the phone, and whether the server's
//! memory stays as it is.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use switchboard_bridge::{Bridge, BridgeConfig, Ledgered};
use switchboard_client::{Client, CreateBridge, CreateKey, CreateLine, CreateWebhook};
use switchboard_model::{EventKind, line::DriverKind, time::Clock};
use switchboard_server::SystemClock;
use switchboard_testkit::Receiver;
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    accept::CONNECTIONS,
    desk::{CONTACT, Desk, Noted},
    load::{Load, LoadResult, Pace, Template, histogram, note, numbered_text},
    machine::Machine,
    process::Served,
    report::{Figure, Report, Round, Series, median},
};

const BRIDGES: u32 = 20;
const LINES_EACH: u32 = 10;
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the server's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const KIB_PER_MIB: f64 = 1024.0;

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let dir = tempfile::tempdir()?;
    let server = Served::start(&dir.path().join("server")).await?;
    let noted = Arc::new(Noted::default());
    let desks = Desks::start(&server, &noted, dir.path()).await?;
    let receiver = Receiver::counting().await;
    let kinds = [EventKind::MessageSent, EventKind::MessageReceived];
    desks.client.create_webhook(&CreateWebhook::new("", receiver.url(), kinds)).await?;
    let sends = Load {
        address: server.address,
        requests: desks.sends()?.into(),
        expected: 201,
        connections: CONNECTIONS,
        pace: Pace::PerSecond(BRIDGES * LINES_EACH),
        duration: options.duration(),
    };

    let (mut series, mut memory, mut sent) = (Series::default(), Vec::new(), 0);
    noted.texting.store(true, Ordering::Relaxed);
    for round in options.rounds() {
        let (outcome, looked) = tokio::join!(sends.run(), look(&server, options.duration()));
        let outcome = outcome?;
        memory.extend(looked?);
        series.push(handed_over(&outcome, &noted).await?);
        sent += outcome.latency.len();
        options.tell(round, series.median(|round| round.p99_ms), "ms p99 so far");
    }
    noted.texting.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let texted = noted.texted.load(Ordering::Relaxed);
    receiver.wait_for_count(sent + texted, PATIENCE).await?;
    ensure!(receiver.count() == sent + texted, "as many events arrive as happened");
    ensure!(noted.twice.load(Ordering::Relaxed) == 0, "nothing is handed over twice");
    desks.stop.cancel();
    let quarter = memory.len().div_ceil(4);
    let (early, late) = (memory[..quarter].to_vec(), memory[memory.len() - quarter..].to_vec());
    let (early, late) = (median(early), median(late));
    Ok(Report {
        benchmark: "bridges",
        machine,
        rounds: options.rounds,
        rows: vec![series.row("POST to hand-over, 200 lines, 20 bridges")],
        figures: vec![
            Figure::plain("p50", series.median(|round| round.p50_ms), "ms"),
            Figure::plain("p99", series.median(|round| round.p99_ms), "ms").below(50.0),
            Figure::plain("messages out", sent as f64, ""),
            Figure::plain("messages in", texted as f64, ""),
            Figure::plain("server, resident, first quarter", early / KIB_PER_MIB, "MiB"),
            Figure::plain("server, resident, last quarter", late / KIB_PER_MIB, "MiB"),
            Figure::plain("grown by", 100.0 * (late - early) / early, "%").below(5.0),
        ],
    })
}

/// Bridges that run, and who uses their lines.
struct Desks {
    client: Client,
    key: String,
    handles: Vec<String>,
    stop: CancellationToken,
}

impl Desks {
    async fn start(
        server: &Served,
        noted: &Arc<Noted>,
        dir: &std::path::Path,
    ) -> anyhow::Result<Self> {
        let admin = server.admin()?;
        let account = admin.create_account("Bench").await?.value.id;
        let (stop, mut handles) = (CancellationToken::new(), Vec::new());
        for number in 0..BRIDGES {
            let bridge = CreateBridge { name: format!("desk{number}"), driver: DriverKind::Imsg };
            let made = admin.create_bridge(&bridge).await?.value;
            for line in 0..LINES_EACH {
                let handle = format!("+155501{number:02}0{line:02}");
                let mut line = CreateLine::new(account, &handle, DriverKind::Imsg);
                line.bridge_id = Some(made.bridge.id.to_string());
                line.contact_first = Some(false);
                admin.create_line(&line).await?;
                handles.push(handle);
            }
            let ledger = dir.join(format!("desk{number}"));
            let driver = Ledgered::start(Desk::new(noted), &ledger, SystemClock.now())?;
            let config = BridgeConfig::of_server(&server.url(), made.token.reveal())?;
            tokio::spawn(Bridge::new(config, driver).run(stop.clone()));
        }
        let key = admin.create_key(&CreateKey::new(account, "bench")).await?.value;
        let key = key.secret.reveal().to_owned();
        let client = Client::builder(&server.url()).key(&key).build()?;
        let began = Instant::now();
        while !client.lines().await?.value.data.iter().all(|line| line.status.online) {
            ensure!(began.elapsed() < PATIENCE, "all lines come online");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Self { client, key, handles, stop })
    }

    fn sends(&self) -> anyhow::Result<Vec<Template>> {
        let send = |handle: &String| {
            let body = json!({ "from": handle, "to": CONTACT, "text": numbered_text() });
            Template::post("/v1/messages", &self.key, &body)
        };
        self.handles.iter().map(send).collect()
    }
}

/// From when each request was due to its hand-over: each one is handed over, once.
async fn handed_over(outcome: &LoadResult, noted: &Noted) -> anyhow::Result<Round> {
    let (began, all) = (Instant::now(), usize::try_from(outcome.latency.len())?);
    while noted.count() < all {
        ensure!(began.elapsed() < PATIENCE, "{} of {all} are handed over", noted.count());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut at = noted.take();
    let mut latency: Histogram<u64> = histogram();
    for (number, due) in &outcome.begun {
        let at = at.remove(number).context("what was accepted is handed over")?;
        note(&mut latency, at.duration_since(*due));
    }
    ensure!(at.is_empty(), "nothing is handed over that was not accepted");
    Ok(Round::new(outcome.elapsed, &latency))
}

/// The server's memory while this time passes.
async fn look(server: &Served, time: Duration) -> anyhow::Result<Vec<f64>> {
    let (began, mut looked) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        tokio::time::sleep(LOOK_EVERY.min(time)).await;
        looked.push(server.resident_kib()?);
    }
    Ok(looked)
}
