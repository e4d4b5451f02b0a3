//! Whether the server does its work: a write and a read that really happen, the writer's thread, the room on
//! the disk, deliveries in time, and how the lines of each driver are.
//!
//! However often it is asked, it looks once a second at most, and begins no second probe while one hangs.

mod backlog;
mod gather;
mod lines;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use switchboard_model::{Timestamp, time::Clock};
use switchboard_store::{LineFigures, Outage, Store, StoreError};
use tokio::{sync::Mutex, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    deliver::Deliver,
    link::Links,
    metrics::{DeliveryLevels, Metrics},
    outage,
    quota::Streams,
};
use backlog::Looked;
pub(crate) use backlog::NoAnswer;
use lines::{DriverReport, GuidanceLooked, LinesLooked, by_driver};

/// How long an answer is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store has for a write and a read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks how the server is.
pub(crate) struct Monitor {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deliver: Arc<Deliver>,
    pub(crate) links: Arc<Links>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) streams: Arc<Streams>,
    /// The server is on its way out.
    pub(crate) stopping: CancellationToken,
    pub(crate) limits: HealthLimits,
    pub(crate) last: Looks,
}

/// From where on it is not well.
#[derive(Debug)]
pub(crate) struct HealthLimits {
    data_dir: PathBuf,
    min_free_bytes: u64,
    max_lag: Duration,
}

impl HealthLimits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            data_dir: config.data_dir.clone(),
            min_free_bytes: config.health_min_disk_free,
            max_lag: config.health_max_lag(),
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.data_dir)
    }
}

/// What was seen last, and the probe that is under way.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    state: Mutex<State>,
    backlog: Looked,
    lines: LinesLooked,
    guidance: GuidanceLooked,
}

#[derive(Debug, Default)]
struct State {
    last: Option<(Instant, Timestamp, Arc<Report>)>,
    probe: Option<JoinHandle<Result<(), StoreError>>>,
}

/// Why the server does not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// It is on its way out.
    Stopping,
    /// The store can't be written and read.
    StoreUnavailable,
    /// The thread that writes has ended.
    WriterStopped,
    /// There is less room on the disk than there has to be.
    DiskLow,
    /// Deliveries are overdue through no fault of their endpoints.
    Overdue,
}

/// What deserves a look and stops nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Warning {
    /// Items wait for lines that are offline.
    LinesOfflineWithPending,
}

/// How the server is.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// `ok`, or the first reason.
    status: Status,
    reasons: Vec<Reason>,
    warnings: Vec<Warning>,
    /// For how long the oldest delivery is due, but for those whose endpoint fails or is slow, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_due_age_ms: Option<u64>,
    /// What is too long.
    max_lag_ms: u64,
    store: StoreReport,
    disk: DiskReport,
    drivers: BTreeMap<&'static str, DriverReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
enum Status {
    Ok(Well),
    Red(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Well {
    Ok,
}

#[derive(Debug, Serialize)]
struct StoreReport {
    works: bool,
    /// What keeps it, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    outage: Option<&'static str>,
    /// What the write and the read took.
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_ms: Option<u64>,
    writer_alive: bool,
    /// Commands that wait to be written.
    write_queue: usize,
}

#[derive(Debug, Serialize)]
struct DiskReport {
    /// Bytes; null where the system does not say.
    free_bytes: Option<u64>,
    min_free_bytes: u64,
}

impl Report {
    pub(crate) fn is_well(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl Monitor {
    /// How the server is: now, or a moment ago.
    pub(crate) async fn look(&self) -> Arc<Report> {
        let mut state = self.last.state.lock().await;
        let now = self.clock.now();
        let is_fresh = |at: Instant, then: Timestamp| {
            at.elapsed() < FRESH && now.since(then) < FRESH && then.since(now) < FRESH
        };
        if let Some((at, then, report)) = &state.last
            && is_fresh(*at, *then)
            && report.reasons.contains(&Reason::Stopping) == self.stopping.is_cancelled()
        {
            return Arc::clone(report);
        }
        let report = Arc::new(self.report(&mut state, now).await);
        state.last = Some((Instant::now(), now, Arc::clone(&report)));
        report
    }

    /// Whether the process is as good as a new one.
    pub(crate) fn is_alive(&self) -> bool {
        self.store.stats().writer_alive || self.stopping.is_cancelled()
    }

    /// How deliveries stand now.
    pub(crate) async fn delivery_levels(&self) -> Result<DeliveryLevels, NoAnswer> {
        self.last.backlog.levels(&*self.store, &self.deliver, self.clock.both()).await
    }

    async fn report(&self, state: &mut State, now: Timestamp) -> Report {
        let began = Instant::now();
        let probed = state.probe(&self.store, now).await;
        let probe_ms = probed.is_ok().then(|| millis(began.elapsed()));
        let stats = self.store.stats();
        let mut reasons = Vec::new();
        if self.stopping.is_cancelled() {
            reasons.push(Reason::Stopping);
        }
        // Whoever can't write may still read, and the rest of the report says what for.
        let levels = self.delivery_levels().await;
        let lines = self.last.lines.look(&*self.store).await;
        let works = probed.is_ok() && levels.is_ok() && lines.is_ok();
        if !works {
            reasons.push(Reason::StoreUnavailable);
        }
        if !stats.writer_alive {
            reasons.push(Reason::WriterStopped);
        }
        let HealthLimits { min_free_bytes, max_lag, .. } = self.limits;
        let free_bytes = self.limits.free_bytes();
        if free_bytes.is_some_and(|free| free < min_free_bytes) {
            reasons.push(Reason::DiskLow);
        }
        let oldest_due_age = levels.ok().map(|levels| levels.oldest_due_age);
        if oldest_due_age.is_some_and(|age| age > max_lag) {
            reasons.push(Reason::Overdue);
        }
        let drivers = lines.map(|lines| self.drivers(&lines)).unwrap_or_default();
        let waits_offline = drivers.values().any(|driver| driver.offline_with_pending > 0);
        Report {
            status: reasons.first().map_or(Status::Ok(Well::Ok), |reason| Status::Red(*reason)),
            reasons,
            warnings: waits_offline
                .then_some(Warning::LinesOfflineWithPending)
                .into_iter()
                .collect(),
            oldest_due_age_ms: oldest_due_age.map(millis),
            max_lag_ms: millis(max_lag),
            store: StoreReport {
                works,
                outage: probed.err().flatten().map(Outage::as_str),
                probe_ms,
                writer_alive: stats.writer_alive,
                write_queue: stats.write_queue,
            },
            disk: DiskReport { free_bytes, min_free_bytes },
            drivers,
        }
    }

    fn drivers(&self, figures: &LineFigures) -> BTreeMap<&'static str, DriverReport> {
        by_driver(figures, &self.links.online, self.clock.now())
    }
}

impl State {
    /// A write and a read. An error says what keeps the store, if it knows.
    async fn probe(
        &mut self,
        store: &Arc<dyn Store>,
        now: Timestamp,
    ) -> Result<(), Option<Outage>> {
        let probe = self.probe.get_or_insert_with(|| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.probe(now).await })
        });
        // One that hangs is asked again the next time, so that there is never more than one.
        let Ok(ended) = timeout(PATIENCE, probe).await else { return Err(None) };
        self.probe = None;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                outage::report(&error, "the store does not work");
                match error {
                    StoreError::Unavailable { outage, .. } => Err(Some(outage)),
                    _ => Err(None),
                }
            }
            Err(_) => Err(None),
        }
    }
}

/// Bytes that this process may still write on the volume of this directory.
fn free_bytes(directory: &Path) -> Option<u64> {
    let volume = rustix::fs::statvfs(directory).ok()?;
    Some(volume.f_bavail.saturating_mul(volume.f_frsize))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
