//! A driver made of a connector and the ledger.
//!
//! The promise is the driver's: an attempt stands in the ledger before the connector has it, so an item is handed over at
//! most once, whatever dies; and of what was handed over without an answer the connector finds out what came of it, at
//! the server's question and, of what stays unknown, again and again for a day.

mod background;
mod late;
mod outgoing;
mod patience;
mod standing_by;
mod truths;
mod upload;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use switchboard_model::{
    Line, OutboxItem, Timestamp,
    causes::chain,
    id::Id,
    line::{DriverKind, OfflineReason},
    link::{CarriedLine, Content, Outcome, ReceivedEntry, Report, SendItem},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, warn};

use crate::{
    connector::{Attempt, Connector, Verdict},
    convert::{ConversionTools, Conversions, Converter},
    driver::{Admission, Asked, Driver, DriverError, HistoryBatch, KnownOutcome, LineStatuses},
    files::FileClient,
    ledger::{Begun, Known, Ledger, LedgerError, now},
};
use outgoing::OutgoingFiles;
use patience::Patience;
use upload::Uploaded;

/// How long a connector may take to find out what came of one attempt.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(20);
/// The pause after the ledger could not be written.
const LEDGER_PAUSE: Duration = Duration::from_secs(1);

/// A connector with a memory.
pub struct Ledgered<C> {
    connector: Arc<C>,
    ledger: Ledger,
    lines: watch::Sender<Arc<Vec<CarriedLine>>>,
    statuses: watch::Sender<LineStatuses>,
    all: Arc<Semaphore>,
    per_line: Mutex<HashMap<Id<Line>, Arc<Semaphore>>>,
    outgoing: OutgoingFiles,
    uploaded: Uploaded,
    patience: Patience,
    converter: Option<Converter>,
    history_since: Option<Timestamp>,
    /// What came of items and could not be written down yet: the disk is full, for example.
    unfinished: Mutex<HashMap<Id<OutboxItem>, Outcome>>,
    /// The work in the background ends with this.
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl<C: Connector> Ledgered<C> {
    /// A driver that keeps its ledger in this folder. A line begins when it is first assigned: what Messages had before is
    /// history. `history_since` is when the first lines of a new ledger begin instead. Files go as they are. Blocks; call it
    /// within a runtime.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger can't be opened.
    pub fn start(
        connector: C,
        dir: &Path,
        history_since: impl Into<Option<Timestamp>>,
    ) -> Result<Arc<Self>, LedgerError> {
        Self::open(connector, dir, history_since.into(), None)
    }

    /// The same, and files that not everybody can show or play are converted, both ways.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger or the folder beside it can't be opened.
    pub fn start_converting(
        connector: C,
        dir: &Path,
        history_since: impl Into<Option<Timestamp>>,
        tools: ConversionTools,
    ) -> Result<Arc<Self>, LedgerError> {
        Self::open(connector, dir, history_since.into(), Some(tools))
    }

    fn open(
        connector: C,
        dir: &Path,
        history_since: Option<Timestamp>,
        tools: Option<ConversionTools>,
    ) -> Result<Arc<Self>, LedgerError> {
        let ledger = Ledger::open(dir)?;
        let converter = |tools| Converter::open(tools, dir.join("converted"));
        let converter = tools.map(converter).transpose()?;
        let connector = Arc::new(connector);
        let driver = Arc::new(Self {
            all: Arc::new(Semaphore::new(connector.concurrency().bridge)),
            per_line: Mutex::default(),
            outgoing: OutgoingFiles::open(dir.join("outgoing"))?,
            uploaded: Uploaded::default(),
            patience: Patience::default(),
            converter,
            lines: watch::Sender::default(),
            statuses: watch::Sender::default(),
            unfinished: Mutex::default(),
            tasks: Mutex::default(),
            connector,
            ledger,
            history_since,
        });
        let tasks = vec![
            AbortOnDropHandle::new(tokio::spawn(background::observe(Arc::downgrade(&driver)))),
            AbortOnDropHandle::new(tokio::spawn(background::look_into(Arc::downgrade(&driver)))),
            AbortOnDropHandle::new(tokio::spawn(late::look_for_files(Arc::downgrade(&driver)))),
            AbortOnDropHandle::new(tokio::spawn(background::follow_storage(Arc::downgrade(
                &driver,
            )))),
            AbortOnDropHandle::new(tokio::spawn(background::follow_health(Arc::downgrade(
                &driver,
            )))),
        ];
        *driver.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(driver)
    }

    fn carried(&self, line: Id<Line>) -> Option<CarriedLine> {
        self.lines.borrow().iter().find(|one| one.id == line).cloned()
    }

    fn is_online(&self, line: Id<Line>) -> bool {
        self.statuses.borrow().get(&line).is_some_and(|status| status.online)
    }

    fn slots_of(&self, line: Id<Line>) -> Arc<Semaphore> {
        let mut lines = self.per_line.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = || Arc::new(Semaphore::new(self.connector.concurrency().line));
        Arc::clone(lines.entry(line).or_insert_with(slots))
    }

    fn tell_statuses(&self) {
        // Looked at under the lock of what was told: an older look must not be told last.
        self.statuses.send_if_modified(|told| {
            let lines = Arc::clone(&self.lines.borrow());
            let health = self.connector.health().borrow().clone();
            let is_failing = self.ledger.is_failing();
            let of_line = |line: &CarriedLine| {
                let mut status = health.of(&line.handle).clone();
                if status.online && status.reason.is_none() && self.patience.is_said(line.id) {
                    status.reason = Some(OfflineReason::Other);
                }
                if is_failing {
                    // Nothing is sent and nothing told that can't be written down; a standby may.
                    (status.online, status.reason) =
                        (false, Some(OfflineReason::StorageUnavailable));
                }
                (line.id, status)
            };
            let now: LineStatuses = lines.iter().map(of_line).collect();
            let is_new = *told != now;
            *told = now;
            is_new
        });
    }

    async fn hand_over(&self, item: SendItem, files: &FileClient) -> Outcome {
        let Some(line) = self.carried(item.line_id) else { return Outcome::Released };
        let (id, limit) = (item.id, self.connector.send_timeout(&item));
        let mut outgoing = match self.outgoing.fetch(&item, files).await {
            Ok(outgoing) => outgoing,
            Err(problem) => return problem.outcome(),
        };
        if let Some(converter) = &self.converter
            && self.connector.wants_opus_memos()
            && let Content::Message { is_audio_message: true, .. } = item.content
            && let Err(problem) = outgoing.make_memos(converter).await
        {
            // Nothing was begun, and trying again by itself would end the same.
            return Outcome::Failed { error: problem.to_string() };
        }
        // One that was given back must not count as under way any more.
        self.finish_late().await;
        self.connector.turn(&item).await;
        let mark = self.connector.mark(&item).await;
        let begun = match self.ledger.begin(item.clone(), mark.clone(), now()).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(known)) => {
                warn!(item = %id, "the server gave an item that was handed over before");
                return known;
            }
            Err(error) => {
                error!(item = %id, error = chain(&error), "nothing is sent that can't be written down first");
                // It comes round, and does so rarely.
                sleep(LEDGER_PAUSE).await;
                return Outcome::Released;
            }
        };
        let attempt = Attempt {
            item,
            line: line.handle,
            service: line.service,
            token: begun.token,
            begun_at: begun.begun_at,
            mark,
            files: outgoing.files(),
        };
        let outcome = timeout(limit, self.connector.send(&attempt, &self.ledger)).await;
        let outcome = outcome.unwrap_or_else(|_elapsed| {
            warn!(item = %id, "Messages did not finish an item in time");
            Outcome::Unknown
        });
        if let Err(error) = self.ledger.finish(id, outcome.clone(), now()).await {
            // Until it is, it counts as begun: if the server asks the next process, Messages is asked.
            error!(item = %id, error = chain(&error), "what came of an item could not be written down");
            self.unfinished().insert(id, outcome.clone());
        }
        if outcome == Outcome::Released {
            // Given back while the link is up, it comes round at once.
            sleep(LEDGER_PAUSE).await;
        }
        outcome
    }

    /// Writes down what could not be when it was over.
    async fn finish_late(&self) {
        let unfinished = self.unfinished().clone();
        for (id, outcome) in unfinished {
            match self.ledger.finish(id, outcome, now()).await {
                Ok(()) => drop(self.unfinished().remove(&id)),
                Err(error) => {
                    warn!(item = %id, error = chain(&error), "what came of an item still can't be written down");
                    return;
                }
            }
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, HashMap<Id<OutboxItem>, Outcome>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of an attempt, by what Messages has.
    async fn find_out(&self, begun: &Begun) -> Verdict {
        timeout(VERIFY_TIMEOUT, self.connector.verify(begun, &self.ledger))
            .await
            .unwrap_or(Verdict::Open)
    }
}

#[async_trait::async_trait]
impl<C: Connector> Driver for Ledgered<C> {
    fn kind(&self) -> DriverKind {
        self.connector.kind()
    }

    fn statuses(&self) -> watch::Receiver<LineStatuses> {
        self.statuses.subscribe()
    }

    fn send_timeout(&self, item: &SendItem) -> Duration {
        // The connector's part is timed from when it is begun.
        let converting = self.converter.as_ref().map_or(Duration::ZERO, Converter::within);
        self.connector.send_timeout(item) + outgoing::FETCH_WITHIN + converting
    }

    fn conversions(&self) -> Option<watch::Receiver<Conversions>> {
        self.converter.as_ref().map(Converter::counts)
    }

    async fn admit(&self, line: Id<Line>) -> Admission {
        let of_line = self.slots_of(line);
        // Neither is ever closed.
        let of_line: Option<OwnedSemaphorePermit> = of_line.acquire_owned().await.ok();
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok();
        Admission::holding((of_line, of_all))
    }

    async fn assign_lines(&self, lines: Vec<CarriedLine>) {
        self.uploaded.clear();
        self.patience.pause(&lines.iter().map(|line| line.id).collect::<Vec<_>>());
        {
            let mut per_line = self.per_line.lock().unwrap_or_else(PoisonError::into_inner);
            per_line.retain(|id, _| lines.iter().any(|line| line.id == *id));
        }
        // At once, however long Messages can't be read: what comes from now on is theirs.
        let begun = self.ledger.begin_lines(lines.clone(), now(), self.history_since).await;
        if let Err(error) = begun {
            warn!(
                error = chain(&error),
                "when lines began could not be written down; they begin when it can"
            );
        }
        if let Err(error) = self.ledger.note_roles(lines.clone()).await {
            let error = chain(&error);
            warn!(error, "which lines this bridge carries could not be written down");
        }
        self.lines.send_replace(Arc::new(lines));
        self.tell_statuses();
    }

    async fn send(&self, item: SendItem, files: &FileClient) -> Outcome {
        self.hand_over(item, files).await
    }

    async fn welcomed(&self, bridge: &str, epoch: i64) -> Result<(), DriverError> {
        self.ledger.welcomed(bridge.to_owned(), epoch).await.map_err(unreadable)
    }

    async fn reconcile(
        &self,
        asked: &[Asked],
    ) -> Result<HashMap<Id<OutboxItem>, KnownOutcome>, DriverError> {
        let known = self.ledger.known(asked.to_vec()).await.map_err(unreadable)?;
        let (mut outcomes, mut open) = (HashMap::new(), Vec::new());
        for (id, of_it) in known {
            match of_it {
                Known::Outcome(outcome) => {
                    outcomes.insert(id, outcome);
                }
                Known::Begun(begun) => open.push(begun),
            }
        }
        let verdicts = join_all(open.iter().map(|begun| self.find_out(begun))).await;
        for (begun, verdict) in open.iter().zip(verdicts) {
            let id = begun.item.id;
            let (noted, answer) = match verdict {
                Verdict::NeverStarted => (Outcome::Released, KnownOutcome::NeverStarted),
                Verdict::Finished(outcome) => (outcome.clone(), KnownOutcome::Finished(outcome)),
                Verdict::Open => (Outcome::Unknown, KnownOutcome::Finished(Outcome::Unknown)),
            };
            self.ledger.finish(id, noted, now()).await.map_err(unreadable)?;
            outcomes.insert(id, answer);
        }
        Ok(outcomes)
    }

    async fn resolved(&self, told: &HashSet<Id<OutboxItem>>) -> Vec<Report> {
        truths::of(&self.ledger, told).await
    }

    async fn acknowledged(&self, ids: &[Id<OutboxItem>]) {
        if let Err(error) = self.ledger.acknowledged(ids.to_vec()).await {
            // It is told again with the next link, and is known there then.
            warn!(
                error = chain(&error),
                "what the server has acknowledged could not be written down"
            );
        }
    }

    async fn history(
        &self,
        line: Id<Line>,
        after: Option<&str>,
        limit: usize,
        files: &FileClient,
    ) -> Result<HistoryBatch, DriverError> {
        let mut changes = self.ledger.observations_of(line);
        loop {
            changes.borrow_and_update();
            let waiting = self.ledger.waiting(line, after, limit).await.map_err(unreadable)?;
            if !waiting.is_empty() {
                return self.batch(line, waiting, files).await;
            }
            if changes.changed().await.is_err() {
                return Err(DriverError { what: "the ledger is closed", source: None });
            }
        }
    }

    async fn stand_by(&self, line: Id<Line>, files: &FileClient) {
        self.keep_what_is_unknown(line, files).await;
    }

    async fn received(&self, line: Id<Line>, batch: &HistoryBatch, _results: &[ReceivedEntry]) {
        self.uploaded.forget(line);
        if let Err(error) = self.ledger.received(line, &batch.position).await {
            warn!(%line, error = chain(&error), "what the server has received stays in the ledger for now");
        }
    }
}

fn unreadable(error: LedgerError) -> DriverError {
    DriverError { what: "the ledger can't be read or written", source: Some(Box::new(error)) }
}

impl<C> std::fmt::Debug for Ledgered<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledgered").field("dir", &self.outgoing.dir()).finish_non_exhaustive()
    }
}
