//! `link`: how many messages one link carries, each way, to a server of its own process: a backlog out to phones that take
//! everything at once, and texts in as fast as they are taken.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::json;
use switchboard_bridge::{
    Asked, Bridge, BridgeConfig, Driver, DriverError, FileClient, HistoryBatch, KnownOutcome,
    LineStatuses,
};
use switchboard_client::{CreateBridge, CreateKey, CreateLine};
use switchboard_model::{
    Line, OutboxItem,
    chat::Service,
    id::Id,
    line::DriverKind,
    link::{CarriedLine, Outcome, ReceivedEntry, SendItem},
    time::Clock,
};
use switchboard_server::SystemClock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    accept::CONNECTIONS,
    desk::{online, text},
    load::{Load, Pace, Template, numbered_text},
    machine::Machine,
    process::Served,
    report::{Figure, Report, Round, Series},
};

/// Few: what their windows hold is handed over without an answer, and is to be little beside the backlog.
const LINES: u32 = 4;
/// Contacts of each line.
const CONTACTS: u32 = 250;
/// How long a backlog may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// What one link is to carry a second.
const TARGET: f64 = 10_000.0;

pub(crate) async fn run(options: &Options, machine: Machine) -> anyhow::Result<Report> {
    let (mut out, mut back) = (Series::default(), Series::default());
    for round in options.rounds() {
        let dir = tempfile::tempdir()?;
        let server = Served::start(dir.path()).await?;
        let admin = server.admin()?;
        let account = admin.create_account("Bench").await?.value.id;
        let bridge = CreateBridge { name: "desk".to_owned(), driver: DriverKind::Imsg };
        let bridge = admin.create_bridge(&bridge).await?.value;
        let key = admin.create_key(&CreateKey::new(account, "bench")).await?.value;
        let mut sends = Vec::new();
        for number in 0..LINES {
            let handle = format!("+1555012{number:04}");
            let mut line = CreateLine::new(account, &handle, DriverKind::Imsg);
            line.bridge_id = Some(bridge.bridge.id.to_string());
            line.contact_first = Some(false);
            admin.create_line(&line).await?;
            for contact in 0..CONTACTS {
                let to = format!("+1555013{contact:04}");
                let body = json!({ "from": handle, "to": to, "text": numbered_text() });
                sends.push(Template::post("/v1/messages", key.secret.reveal(), &body)?);
            }
        }
        let backlog = Load {
            address: server.address,
            requests: sends.into(),
            expected: 201,
            connections: CONNECTIONS,
            pace: Pace::Flat,
            duration: options.duration(),
        };
        let accepted = backlog.run().await?.latency.len();
        let phones = Arc::new(Phones::default());
        let config = BridgeConfig::of_server(&server.url(), bridge.token.reveal())?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(
            Bridge::new(config, Arc::clone(&phones) as Arc<dyn Driver>).run(stop.clone()),
        );
        let began = Instant::now();
        while phones.taken.load(Ordering::Relaxed) < accepted {
            ensure!(began.elapsed() < PATIENCE, "the backlog goes out");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        out.push(Round::rate(accepted as f64 / began.elapsed().as_secs_f64()));
        phones.texting.send_replace(true);
        let (began, before) = (Instant::now(), phones.received.load(Ordering::Relaxed));
        tokio::time::sleep(options.duration()).await;
        let received = phones.received.load(Ordering::Relaxed) - before;
        back.push(Round::rate(received as f64 / began.elapsed().as_secs_f64()));
        stop.cancel();
        task.await??;
        options.tell(round, back.median(|round| round.per_second), "texts/s in so far");
    }
    Ok(Report {
        benchmark: "link",
        machine,
        rounds: options.rounds,
        rows: vec![out.row("a backlog out over one link"), back.row("texts in over one link")],
        figures: vec![
            Figure::plain("out", out.median(|round| round.per_second), "/s").at_least(TARGET),
            Figure::plain("in", back.median(|round| round.per_second), "/s").at_least(TARGET),
        ],
    })
}

/// Phones that take everything at once and remember nothing: only the link and the server are measured.
struct Phones {
    statuses: watch::Sender<LineStatuses>,
    /// Whether texts come in.
    texting: watch::Sender<bool>,
    taken: AtomicU64,
    received: AtomicU64,
}

impl Default for Phones {
    fn default() -> Self {
        Self {
            statuses: watch::Sender::default(),
            texting: watch::Sender::new(false),
            taken: AtomicU64::default(),
            received: AtomicU64::default(),
        }
    }
}

#[async_trait::async_trait]
impl Driver for Phones {
    fn kind(&self) -> DriverKind {
        DriverKind::Imsg
    }

    fn statuses(&self) -> watch::Receiver<LineStatuses> {
        self.statuses.subscribe()
    }

    fn send_timeout(&self, _item: &SendItem) -> Duration {
        PATIENCE
    }

    async fn assign_lines(&self, lines: Vec<CarriedLine>) {
        let all = lines.into_iter().map(|line| (line.id, online()));
        self.statuses.send_replace(all.collect());
    }

    async fn send(&self, item: SendItem, _files: &FileClient) -> Outcome {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Outcome::Sent {
            guid: item.id.to_string(),
            sent_at: SystemClock.now(),
            service: Service::IMessage,
            delivered_at: None,
        }
    }

    async fn reconcile(
        &self,
        _asked: &[Asked],
    ) -> Result<HashMap<Id<OutboxItem>, KnownOutcome>, DriverError> {
        Ok(HashMap::new())
    }

    async fn history(
        &self,
        _line: Id<Line>,
        after: Option<&str>,
        limit: usize,
        _files: &FileClient,
    ) -> Result<HistoryBatch, DriverError> {
        let closed = |_| DriverError { what: "the phones are gone", source: None };
        self.texting.subscribe().wait_for(|texting| *texting).await.map_err(closed)?;
        let first: u64 = after.and_then(|after| after.parse().ok()).unwrap_or(0);
        let next = first + limit as u64;
        let entries = (first..next).map(|number| text(format!("in-{number}"), SystemClock.now()));
        let unreadable =
            |_| DriverError { what: "the contact's number can't be read", source: None };
        let entries = entries.collect::<anyhow::Result<_>>().map_err(unreadable)?;
        Ok(HistoryBatch { position: next.to_string(), entries })
    }

    async fn received(&self, _line: Id<Line>, batch: &HistoryBatch, _results: &[ReceivedEntry]) {
        self.received.fetch_add(batch.entries.len() as u64, Ordering::Relaxed);
    }
}
