//! What the store says of lines and what waits for them, a second old at most.

use std::time::{Duration, Instant};

use switchboard_store::LineFigures;
use tokio::{sync::Mutex, time::timeout};

use super::backlog::NoAnswer;
use crate::app::App;

/// How long an answer of the store is good enough.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store has for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store's last answer. Whoever wants another waits for who has asked.
#[derive(Debug, Default)]
pub(crate) struct LinesLooked(Mutex<Option<(Instant, LineFigures)>>);

impl LinesLooked {
    pub(crate) async fn look(&self, app: &App) -> Result<LineFigures, NoAnswer> {
        let mut last = self.0.lock().await;
        if let Some((at, figures)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(figures.clone());
        }
        let figures = timeout(PATIENCE, app.store.line_figures()).await??;
        *last = Some((Instant::now(), figures.clone()));
        Ok(figures)
    }
}
