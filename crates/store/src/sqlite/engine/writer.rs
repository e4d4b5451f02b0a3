//! The one writer: group commit with no timer.
//!
//! A thread of its own takes commands from a bounded queue. Whatever has gathered while it was
//! busy goes into one transaction, each command that makes several writes in a savepoint of its own; then one commit,
//! with one fsync, and only then the answers. A lone caller waits for one fsync; a crowd shares it. A
//! command that fails or panics takes back its own work and nobody else's. When the
//! commit fails, nothing of the batch was kept and every caller is told.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    others::Others, outage, statement, wal::Log, worker_queue::WorkerQueue,
    writer_cache::WriterCache,
};
use crate::{
    Outage, Result, StoreError,
    base::{post_commit::PostCommit, seal::Seal, vitals::Vitals},
};

/// The most commands of one transaction: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 512;

/// How often an idle writer looks whether another process has written.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a command writes with.
pub(in crate::sqlite) struct Tx<'a> {
    /// The open transaction.
    pub(in crate::sqlite) sql: &'a Connection,
    /// What every command asks for and what hardly ever changes.
    pub(in crate::sqlite) cache: &'a mut WriterCache,
    /// What secrets are encrypted with.
    pub(in crate::sqlite) seal: &'a Seal,
    /// Whether what the command writes can be taken back by itself.
    has_savepoint: bool,
}

impl Tx<'_> {
    /// Lets what follows be taken back if the command fails. A command of [`Writer::run_single`] asks for it before the
    /// first of several writes; others have it.
    pub(in crate::sqlite) fn savepoint(&mut self) -> Result<()> {
        if !self.has_savepoint {
            statement::run(self.sql, "savepoint command", [])?;
            self.has_savepoint = true;
        }
        Ok(())
    }
}

/// The queue to the writer thread.
pub(in crate::sqlite) struct Writer {
    queue: WorkerQueue<Box<dyn Job>>,
    vitals: Arc<Vitals>,
}

impl Writer {
    /// Starts the thread. It holds `lock` for as long as it has the database open.
    pub(in crate::sqlite) fn start(
        sql: Connection,
        lock: File,
        seal: Arc<Seal>,
        queue: usize,
        mut log: Log,
        sharing: Option<PostCommit>,
    ) -> std::io::Result<Self> {
        let vitals = Arc::new(Vitals::default());
        let counted = Arc::clone(&vitals);
        let (sender, commands): (Sender<Box<dyn Job>>, _) = crossbeam_channel::bounded(queue);
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(move || {
            // Commands that panic are caught one by one; whatever else panics must not end the thread.
            while catch_unwind(AssertUnwindSafe(|| {
                serve(&sql, &seal, &commands, &mut log, &counted, sharing.as_ref());
            }))
            .is_err()
            {
                tracing::error!("the writer of the database panicked, and goes on");
            }
            // In this order: the lock must not be free while the database is still open.
            drop(sql);
            drop(log);
            drop(lock);
        })?;
        Ok(Self { queue: WorkerQueue::new(sender, vec![thread]), vitals })
    }

    /// Commands that wait, and whether there is a thread to run them.
    pub(in crate::sqlite) fn queue(&self) -> (usize, bool) {
        self.queue.state()
    }

    /// What it has counted.
    pub(in crate::sqlite) fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// Runs a command and answers once it is committed.
    pub(in crate::sqlite) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_then(work, |_| {}).await
    }

    /// Runs a command and answers once it is committed; before that, `then` sees what it has made, in the
    /// order of the commits and whether or not the caller still waits. It must not take long. If it panics, the
    /// caller has its answer all the same: what is committed stands.
    pub(in crate::sqlite) async fn run_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
        then: impl FnOnce(&mut T) + Send + 'static,
    ) -> Result<T> {
        self.send(work, then, false).await
    }

    /// Runs a command that makes one write, as its last step, and may fail only before it: SQLite takes back a
    /// statement that fails. It costs no savepoint. One that turns out to need more asks [`Tx::savepoint`] first.
    pub(in crate::sqlite) async fn run_single<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send(work, |_| {}, true).await
    }

    async fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
        then: impl FnOnce(&mut T) + Send + 'static,
        is_single: bool,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let work = Some(work);
        self.queue.send(Box::new(Command { work, outcome: None, then, reply, is_single }))?;
        answer.await.unwrap_or_else(|_| Err(self.queue.lost("the writer panicked")))
    }

    /// Takes no more commands. What it returns lets the thread end when it has finished what is queued, and waits for it.
    pub(in crate::sqlite) fn close(&self) -> impl FnOnce() + Send + 'static {
        let queue = self.queue.close();
        move || queue.join()
    }
}

/// A command, whatever it answers.
trait Job: Send {
    /// Whether it makes one write at most, unless it asks for a savepoint.
    fn is_single(&self) -> bool;

    /// Does the work; an error if it is not to be kept, and what kept the database from it if something did.
    fn run(&mut self, tx: &mut Tx<'_>) -> std::result::Result<(), Option<Outage>>;

    /// Tells the caller.
    fn answer(self: Box<Self>, committed: &BatchResult);
}

type BatchResult = std::result::Result<(), Arc<BatchError>>;

struct Command<W, F, T> {
    work: Option<W>,
    outcome: Option<Result<T>>,
    then: F,
    reply: oneshot::Sender<Result<T>>,
    is_single: bool,
}

impl<W, F, T> Job for Command<W, F, T>
where
    W: FnOnce(&mut Tx<'_>) -> Result<T> + Send,
    F: FnOnce(&mut T) + Send,
    T: Send,
{
    fn is_single(&self) -> bool {
        self.is_single
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> std::result::Result<(), Option<Outage>> {
        let Some(work) = self.work.take() else { return Err(None) };
        // Unwind safe: what it wrote is rolled back, and what it may have left in `cache` is forgotten.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx)))
            .unwrap_or_else(|_| Err(StoreError::Database("a command panicked".into())));
        let kept = match &outcome {
            Ok(_) => Ok(()),
            Err(StoreError::Unavailable { outage, .. }) => Err(Some(*outage)),
            Err(_) => Err(None),
        };
        self.outcome = Some(outcome);
        kept
    }

    fn answer(self: Box<Self>, committed: &BatchResult) {
        let mut outcome = match (self.outcome, committed) {
            // A refusal stands, whatever became of the others.
            (Some(Err(error)), _) => Err(error),
            (Some(outcome), Ok(())) => outcome,
            (_, Err(error)) => Err(error.told()),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        if let Ok(made) = &mut outcome {
            let then = self.then;
            // Unwind safe: what it may have left undone is found in the database later.
            if catch_unwind(AssertUnwindSafe(|| then(made))).is_err() {
                tracing::error!("what follows a commit panicked");
            }
        }
        // A caller that has gone away needs no answer.
        let _ = self.reply.send(outcome);
    }
}

/// Why a whole batch failed.
#[derive(Debug, thiserror::Error)]
enum BatchError {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Disk full and the like: SQLite rolls back more than the statement that met it.
    #[error("the database gave up the transaction")]
    GivenUp(Option<Outage>),
    /// A command without a savepoint failed behind its write: only all can be taken back.
    #[error("a command failed after it had written")]
    CannotTakeBack,
}

impl BatchError {
    /// What kept the database from its work, if that may pass.
    fn outage(&self) -> Option<Outage> {
        match self {
            Self::Sql(error) => outage::of(error),
            Self::Store(StoreError::Unavailable { outage, .. }) => Some(*outage),
            Self::Store(_) => None,
            Self::GivenUp(outage) => *outage,
            Self::CannotTakeBack => None,
        }
    }

    /// As each caller is told.
    fn told(self: &Arc<Self>) -> StoreError {
        let source = Box::new(Arc::clone(self));
        match self.outage() {
            Some(outage) => StoreError::Unavailable { outage, source },
            None => StoreError::Database(source),
        }
    }
}

fn serve(
    sql: &Connection,
    seal: &Seal,
    commands: &Receiver<Box<dyn Job>>,
    log: &mut Log,
    vitals: &Vitals,
    sharing: Option<&PostCommit>,
) {
    let mut cache = WriterCache::default();
    let mut others = Others::default();
    roll_back(sql);
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut outages = Outages::default();
    loop {
        let first = match sharing {
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => commands.recv_timeout(LOOK_EVERY),
        };
        let first = match first {
            Ok(first) => first,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                others.look(sql, &mut cache);
                others.tell(sharing);
                continue;
            }
        };
        batch.push(first);
        batch.extend(commands.try_iter().take(MAX_BATCH - 1));
        let began = Instant::now();
        let committed =
            commit_together(sql, seal, &mut cache, &mut others, &mut batch).map_err(Arc::new);
        match &committed {
            Ok(0) => outages.works(),
            Ok(kept_from_work) => outages.failed(*kept_from_work),
            Err(error) => match error.outage() {
                Some(_) => outages.failed(batch.len()),
                None => tracing::error!(commands = batch.len(), %error, "a transaction failed"),
            },
        }
        if committed.is_err() {
            cache.forget_all();
            roll_back(sql);
        }
        let committed = committed.map(|_| ());
        vitals.committed(batch.len(), began.elapsed(), committed.is_ok());
        // Before any answer: what another process has committed came before this batch.
        others.tell(sharing);
        for job in batch.drain(..) {
            job.answer(&committed);
        }
        log.keep_short(sql);
    }
    log.end();
    // Leaves one file behind and a quick start. Whatever stays in the log is read at the next start.
    if let Err(error) = sql.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())) {
        tracing::warn!(%error, "the last checkpoint failed");
    }
}

/// The database has worked for so long without an outage before the log says that it does: on a disk that is
/// just full, small transactions succeed between large ones that fail.
const QUIET: Duration = Duration::from_secs(5);

/// Tells the log when an outage is over. That there is one is told by those whose work it kept.
#[derive(Debug, Default)]
struct Outages {
    /// Since when it lasts, when it was met last, and how many commands it has failed.
    now: Option<(Instant, Instant, usize)>,
}

impl Outages {
    fn failed(&mut self, commands: usize) {
        let now = Instant::now();
        let (_, last, failed) = self.now.get_or_insert((now, now, 0));
        *last = now;
        *failed += commands;
    }

    fn works(&mut self) {
        if let Some((since, last, commands)) = self.now
            && last.elapsed() > QUIET
        {
            let seconds = since.elapsed().as_secs();
            tracing::warn!(seconds, commands, "the database works again");
            self.now = None;
        }
    }
}

/// Ends a transaction that a failure or a panic has left open.
fn roll_back(sql: &Connection) {
    if !sql.is_autocommit()
        && let Err(error) = sql.execute_batch("rollback")
    {
        tracing::error!(%error, "a failed transaction could not be rolled back");
    }
}

/// Answers how many commands an outage kept from their work.
fn commit_together(
    sql: &Connection,
    seal: &Seal,
    cache: &mut WriterCache,
    others: &mut Others,
    batch: &mut [Box<dyn Job>],
) -> std::result::Result<usize, BatchError> {
    let mut kept_from_work = 0;
    // Immediate, because a deferred transaction that turns into a writing one may fail at once.
    statement::run(sql, "begin immediate", [])?;
    others.look(sql, cache);
    for job in batch {
        cache.begin();
        let written = sql.total_changes();
        let mut tx = Tx { sql, cache, seal, has_savepoint: false };
        if !job.is_single() {
            tx.savepoint()?;
        }
        let outcome = job.run(&mut tx);
        let has_savepoint = tx.has_savepoint;
        if let Err(outage) = outcome {
            if sql.is_autocommit() {
                return Err(BatchError::GivenUp(outage));
            }
            kept_from_work += usize::from(outage.is_some());
            if has_savepoint {
                statement::run(sql, "rollback to command", [])?;
            } else if sql.total_changes() != written {
                return Err(BatchError::CannotTakeBack);
            }
            cache.rolled_back();
        }
        if has_savepoint {
            statement::run(sql, "release command", [])?;
        }
    }
    statement::run(sql, "commit", [])?;
    Ok(kept_from_work)
}

#[cfg(test)]
mod tests;
