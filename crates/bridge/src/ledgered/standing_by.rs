//! A line that another bridge carries: its history is kept here in case that one dies, and only what the server may lack.

use std::time::Duration;

use switchboard_model::{Line, causes::chain, id::Id, link::MAX_BATCH, throttle::Throttle};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::Ledgered;
use crate::{
    connector::Connector,
    files::{FileClient, FileError},
    ledger::{LedgerError, now},
};

/// How long the other bridge has to tell of what was just observed.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// How often the server is asked when nothing new was observed.
const ASKED_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often it is said that it can't be.
const SAID_EVERY: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Server(#[from] FileError),
}

impl<C: Connector> Ledgered<C> {
    /// Asks the server, for ever, what it knows, and keeps the rest.
    pub(super) async fn keep_what_is_unknown(&self, line: Id<Line>, files: &FileClient) {
        let said = Throttle::new(SAID_EVERY);
        let mut changes = self.ledger.observations_of(line);
        loop {
            changes.borrow_and_update();
            match self.forget_what_is_known(line, files).await {
                Ok(0) => {}
                Ok(removed) => debug!(%line, removed, "the server knows what was kept of the line"),
                Err(error) => {
                    if let Some(held_back) = said.pass(std::time::Instant::now()) {
                        warn!(%line, error = chain(&error), held_back, "all that happens on the line is kept: the server does not say what it knows");
                    }
                }
            }
            let _ = timeout(ASKED_EVERY, changes.changed()).await;
            sleep(TOLD_WITHIN).await;
        }
    }

    async fn forget_what_is_known(
        &self,
        line: Id<Line>,
        files: &FileClient,
    ) -> Result<usize, AskError> {
        let (mut after, mut removed) = (0, 0);
        loop {
            let page = self.ledger.stood_by(line, after, MAX_BATCH).await?;
            let Some(last) = page.last() else { return Ok(removed) };
            after = last.n;
            let guids: Vec<&str> = page.iter().filter_map(|one| one.guid()).collect();
            let history = files.known(line, &guids).await?;
            let told = page.into_iter().map(|one| {
                let known = one.guid().and_then(|guid| history.known.get(guid)).copied();
                let told = one.told(history.online, known);
                (one, told)
            });
            removed += self.ledger.keep_unknown(line, told.collect(), now()).await?;
        }
    }
}
