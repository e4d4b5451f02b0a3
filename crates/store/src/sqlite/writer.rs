//! The one writer: group commit with no timer.
//!
//! A thread of its own takes commands from a bounded queue. Whatever has gathered while it was
//! busy goes into one transaction, each command in a savepoint of its own; then one commit, with
//! one fsync, and only then the answers. A lone caller waits for one fsync; a crowd shares it. A
//! command that fails or panics takes back its own work and nobody else's. When the
//! commit fails, nothing of the batch was kept and every caller is told.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{known::Known, lane::Lane, statement};
use crate::{Result, StoreError};

/// The most commands of one transaction: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 512;

/// What a command writes with.
pub(super) struct Tx<'a> {
    /// The open transaction.
    pub(super) sql: &'a Connection,
    /// What every command asks for and what hardly ever changes.
    pub(super) known: &'a mut Known,
}

/// The queue to the writer thread.
pub(super) struct Writer(Lane<Box<dyn Job>>);

impl Writer {
    /// Starts the thread. It holds `lock` for as long as it has the database open.
    pub(super) fn start(sql: Connection, lock: File, queue: usize) -> std::io::Result<Self> {
        let (sender, commands): (Sender<Box<dyn Job>>, _) = crossbeam_channel::bounded(queue);
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(move || {
            serve(&sql, &commands);
            // In this order: the lock must not be free while the database is still open.
            drop(sql);
            drop(lock);
        })?;
        Ok(Self(Lane::new(sender, vec![thread])))
    }

    /// Runs a command and answers once it is committed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_then(work, |_| {}).await
    }

    /// Runs a command and answers once it is committed; before that, `then` sees what it has made, in the
    /// order of the commits and whether or not the caller still waits. It must not take long, nor panic.
    pub(super) async fn run_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
        then: impl FnOnce(&mut T) + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Box::new(Command { work: Some(work), outcome: None, then, reply }))?;
        // The queue is gone with all that was in it: the store closed meanwhile.
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Takes no more commands; the thread ends when it has finished what is queued.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        self.0.close()
    }
}

/// A command, whatever it answers.
trait Job: Send {
    /// Does the work; whether it is to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;

    /// Tells the caller.
    fn answer(self: Box<Self>, committed: &Committed);
}

type Committed = std::result::Result<(), Arc<BatchError>>;

struct Command<W, F, T> {
    work: Option<W>,
    outcome: Option<Result<T>>,
    then: F,
    reply: oneshot::Sender<Result<T>>,
}

impl<W, F, T> Job for Command<W, F, T>
where
    W: FnOnce(&mut Tx<'_>) -> Result<T> + Send,
    F: FnOnce(&mut T) + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        // Unwind safe: what it wrote is rolled back, and what it may have left in `known` is forgotten.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx)))
            .unwrap_or_else(|_| Err(StoreError::Database("a command panicked".into())));
        let kept = outcome.is_ok();
        self.outcome = Some(outcome);
        kept
    }

    fn answer(self: Box<Self>, committed: &Committed) {
        let mut outcome = match (self.outcome, committed) {
            // A refusal stands, whatever became of the others.
            (Some(Err(error)), _) => Err(error),
            (Some(outcome), Ok(())) => outcome,
            (_, Err(error)) => Err(StoreError::Database(Box::new(Arc::clone(error)))),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        if let Ok(made) = &mut outcome {
            (self.then)(made);
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
    GivenUp,
}

fn serve(sql: &Connection, commands: &Receiver<Box<dyn Job>>) {
    let mut known = Known::default();
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while let Ok(first) = commands.recv() {
        batch.push(first);
        batch.extend(commands.try_iter().take(MAX_BATCH - 1));
        let committed = commit_together(sql, &mut known, &mut batch).map_err(Arc::new);
        if let Err(error) = &committed {
            tracing::error!(commands = batch.len(), %error, "a transaction failed");
            known.forget();
            if !sql.is_autocommit()
                && let Err(error) = sql.execute_batch("rollback")
            {
                tracing::error!(%error, "a failed transaction could not be rolled back");
            }
        }
        for job in batch.drain(..) {
            job.answer(&committed);
        }
    }
    // Leaves one file behind and a quick start. Whatever stays in the log is read at the next start.
    if let Err(error) = sql.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())) {
        tracing::warn!(%error, "the last checkpoint failed");
    }
}

fn commit_together(
    sql: &Connection,
    known: &mut Known,
    batch: &mut [Box<dyn Job>],
) -> std::result::Result<(), BatchError> {
    // Immediate, because a deferred transaction that turns into a writing one may fail at once.
    statement::run(sql, "begin immediate", [])?;
    for job in batch {
        statement::run(sql, "savepoint command", [])?;
        known.begin();
        if !job.run(&mut Tx { sql, known }) {
            if sql.is_autocommit() {
                return Err(BatchError::GivenUp);
            }
            statement::run(sql, "rollback to command", [])?;
            known.rolled_back();
        }
        statement::run(sql, "release command", [])?;
    }
    statement::run(sql, "commit", [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::Refusal;

    #[tokio::test]
    async fn in_one_batch_a_failure_and_a_panic_take_back_only_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let lock = File::create(directory.path().join("lock")).unwrap();
        let sql = Connection::open(directory.path().join("a.db")).unwrap();
        sql.execute_batch("create table numbers (number)").unwrap();
        let writer = Writer::start(sql, lock, 8).unwrap();
        let add = |number: i64, outcome: fn() -> Result<()>| {
            writer.run(move |tx| {
                statement::run(tx.sql, "insert into numbers values (?1)", [number])?;
                outcome()
            })
        };
        // The first holds the writer until the others are queued: they share a transaction.
        let (go, gate) = mpsc::channel();
        let held = writer.run(move |_| {
            gate.recv().expect("the test opens the gate");
            Ok(())
        });
        let open = async { go.send(()).expect("the writer waits at the gate") };
        let (held, first, refused, panicked, last, ()) = tokio::join!(
            held,
            add(1, || Ok(())),
            add(2, || Err(Refusal::LineNotFound.into())),
            add(3, || panic!("as it must be in this test")),
            add(4, || Ok(())),
            open,
        );
        assert!(held.is_ok() && first.is_ok() && last.is_ok());
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::LineNotFound))));
        assert!(matches!(panicked, Err(StoreError::Database(_))));
        let numbers = writer
            .run(|tx| {
                statement::all(tx.sql, "select number from numbers", [], |row| row.get::<_, i64>(0))
            })
            .await;
        assert_eq!(numbers.unwrap(), [1, 4]);
        for thread in writer.close() {
            thread.join().unwrap();
        }
        assert!(matches!(add(5, || Ok(())).await, Err(StoreError::Closed)));
    }
}
