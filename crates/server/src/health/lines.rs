//! What the store says of lines and what waits for them, a second old at most.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;
use switchboard_model::{Timestamp, line::Guidance};
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

/// For how long it is good enough to know which lines are used too much: that is a look at each line.
const GUIDANCE_FRESH: Duration = Duration::from_secs(5);

/// How many lines are over each number that is borne, as the store last said.
#[derive(Debug, Default)]
pub(super) struct GuidanceLooked(Mutex<Option<(Instant, OverGuidance)>>);

/// So many lines over each.
pub(super) type OverGuidance = [(Guidance, u64); Guidance::ALL.len()];

impl GuidanceLooked {
    pub(super) async fn look(
        &self,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<OverGuidance, NoAnswer> {
        let mut last = self.0.lock().await;
        if let Some((at, over)) = &*last
            && at.elapsed() < GUIDANCE_FRESH
        {
            return Ok(*over);
        }
        let health = timeout(PATIENCE, store.operator_line_health(now)).await??;
        let over = Guidance::ALL.map(|one| {
            let lines = health.values().filter(|health| health.over.contains(&one)).count();
            (one, u64::try_from(lines).unwrap_or(u64::MAX))
        });
        *last = Some((Instant::now(), over));
        Ok(over)
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
