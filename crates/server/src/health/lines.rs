//! What the store says of lines and what waits for them, a second old at most.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;
use switchboard_model::Timestamp;
use switchboard_store::{LineFigures, Store};
use tokio::{sync::Mutex, time::timeout};

use super::{backlog::NoAnswer, millis};
use crate::link::OnlineLines;

/// How long an answer of the store is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store has for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store's last answer. Whoever wants another waits for who has asked.
#[derive(Debug, Default)]
pub(super) struct LinesLooked(Mutex<Option<(Instant, LineFigures)>>);

impl LinesLooked {
    pub(super) async fn look(&self, store: &dyn Store) -> Result<LineFigures, NoAnswer> {
        let mut last = self.0.lock().await;
        if let Some((at, figures)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(figures.clone());
        }
        let figures = timeout(PATIENCE, store.line_figures()).await??;
        *last = Some((Instant::now(), figures.clone()));
        Ok(figures)
    }
}

/// The lines of one driver.
#[derive(Debug, Default, Serialize)]
pub(super) struct DriverReport {
    pub(super) lines: u64,
    pub(super) online: u64,
    /// Items that wait for them.
    pub(super) pending: u64,
    /// For how long the oldest of them does.
    pub(super) oldest_pending_age_ms: u64,
    /// Lines that are offline while something waits for them.
    pub(super) offline_with_pending: u64,
}

/// How the lines of each driver are.
pub(super) fn by_driver(
    figures: &LineFigures,
    online: &OnlineLines,
    now: Timestamp,
) -> BTreeMap<&'static str, DriverReport> {
    let mut drivers = BTreeMap::<_, DriverReport>::new();
    for figures in &figures.drivers {
        let driver = drivers.entry(figures.driver.as_str()).or_default();
        driver.lines = figures.lines;
        driver.pending = figures.pending;
    }
    for (driver, online) in online.count() {
        drivers.entry(driver.as_str()).or_default().online = online;
    }
    for waiting in &figures.waiting {
        let driver = drivers.entry(waiting.driver.as_str()).or_default();
        let age = millis(now.since(waiting.since));
        driver.oldest_pending_age_ms = driver.oldest_pending_age_ms.max(age);
        driver.offline_with_pending += u64::from(!online.has(waiting.line_id));
    }
    drivers
}
