//! Transactions: begun, done, and kept or not; done again where another one was in the way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::Pool;
use futures_util::future::BoxFuture;
use switchboard_model::{Line, id::Id};
use tokio::sync::OnceCell;

use super::{connection::Connection, failure, statement};
use crate::{
    Outage, Result, StoreError,
    base::{seal::Seal, vitals::Vitals},
};

/// How often a transaction is tried before its caller hears that others are in its way.
const TRIES: u32 = 5;
/// How long it waits after the first try; each time twice as long.
const PAUSE: Duration = Duration::from_millis(5);

/// A transaction. An error of a statement ends it: whoever gets one passes it on.
pub(in crate::postgres) struct Tx {
    pub(in crate::postgres) sql: Connection,
    pub(in crate::postgres) seal: Arc<Seal>,
    /// The next place of an event or delivery.
    next_place: OnceCell<AtomicI64>,
}

/// What is done in a transaction: perhaps more than once.
pub(in crate::postgres) trait Work<T>:
    for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static
{
}

impl<T, W> Work<T> for W where
    W: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static
{
}

impl Tx {
    /// A place for one more event or delivery, behind all that are committed. The first time, the locks of all lines
    /// that the transaction is about must be held.
    pub(in crate::postgres) async fn next_place(&self) -> Result<i64> {
        Ok(self.places().await?.fetch_add(1, Relaxed))
    }

    /// Asks where the places of this transaction begin, so that the first event waits for no answer. The locks of all
    /// lines that the transaction is about are held.
    pub(in crate::postgres) async fn expect_places(&self) -> Result<()> {
        self.places().await.map(|_| ())
    }

    async fn places(&self) -> Result<&AtomicI64> {
        let first = async || {
            let place = "select first_place()";
            let first = statement::first(&self.sql, place, &[], |row| row.try_get(0)).await?;
            let none = || StoreError::Unreadable { what: "the base of places is gone".into() };
            Ok::<_, StoreError>(AtomicI64::new(first.ok_or_else(none)?))
        };
        self.next_place.get_or_try_init(first).await
    }

    /// Holds these lines until the transaction ends. What is written of one line is written by one transaction at a
    /// time, and what was read of it under its lock stays so. Before anything else of the transaction: numbers of
    /// transactions are given with their first write, and are to rise with the commits of a line.
    pub(in crate::postgres) async fn lock_lines(&self, lines: &[Id<Line>]) -> Result<()> {
        let mut keys: Vec<i64> = lines.iter().map(|line| lock_key(*line)).collect();
        // In one order for all, so that no two wait for each other.
        keys.sort_unstable();
        keys.dedup();
        let lock = "select pg_advisory_xact_lock(key) from unnest($1::bigint[]) key";
        statement::run(&self.sql, lock, &[&keys]).await?;
        Ok(())
    }

    pub(in crate::postgres) async fn lock_line(&self, line: Id<Line>) -> Result<()> {
        let lock = "select pg_advisory_xact_lock($1)";
        statement::run(&self.sql, lock, &[&lock_key(line)]).await?;
        Ok(())
    }
}

/// Two lines with the same key only wait for each other.
fn lock_key(line: Id<Line>) -> i64 {
    let bits = line.to_bits();
    ((bits >> 64) as u64 ^ bits as u64) as i64
}

/// What runs transactions.
#[derive(Clone)]
pub(in crate::postgres) struct Transactions {
    pub(in crate::postgres) pool: Pool,
    pub(in crate::postgres) seal: Arc<Seal>,
    pub(in crate::postgres) vitals: Arc<Vitals>,
}

impl Transactions {
    /// Does the work and keeps it.
    pub(in crate::postgres) async fn run<T>(&self, work: &impl Work<T>) -> Result<T> {
        let mut tries = 1;
        loop {
            match self.once(work).await {
                Ok(done) => return Ok(done),
                Err(failed) if tries < TRIES && failed.can_be_done_again() => {
                    tokio::time::sleep(PAUSE * 2u32.pow(tries - 1)).await;
                    tries += 1;
                }
                Err(Failed::Kept(error) | Failed::NotKept(error)) => return Err(error),
            }
        }
    }

    async fn once<T>(&self, work: &impl Work<T>) -> std::result::Result<T, Failed> {
        let sql = Connection::of(&self.pool).await?;
        let tx = Tx { sql, seal: Arc::clone(&self.seal), next_place: OnceCell::new() };
        let began = Instant::now();
        tx.sql.begins();
        // Sent together with the first statement of the work.
        let (begun, done) = tokio::join!(tx.sql.batch_execute("begin"), work(&tx));
        let done = begun.map_err(StoreError::from).and(done);
        match done {
            Ok(done) => match tx.sql.batch_execute("commit").await {
                Ok(()) => {
                    tx.sql.ended();
                    self.vitals.committed(1, began.elapsed(), true);
                    Ok(done)
                }
                Err(error) => {
                    self.vitals.committed(1, began.elapsed(), false);
                    Err(commit_failed(error))
                }
            },
            Err(error) => {
                if tx.sql.batch_execute("rollback").await.is_ok() {
                    tx.sql.ended();
                }
                Err(Failed::NotKept(error))
            }
        }
    }
}

/// Why a transaction is not known to be kept.
enum Failed {
    /// It was not.
    NotKept(StoreError),
    /// It may have been.
    Kept(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::NotKept(error)
    }
}

impl Failed {
    fn can_be_done_again(&self) -> bool {
        let Self::NotKept(StoreError::Database(source) | StoreError::Unavailable { source, .. }) =
            self
        else {
            return false;
        };
        source
            .downcast_ref::<tokio_postgres::Error>()
            .is_some_and(|error| failure::is_conflict(error) || failure::is_lost(error))
    }
}

/// A commit whose answer did not come.
#[derive(Debug, thiserror::Error)]
#[error(
    "the connection was lost while a transaction was committed: nobody knows whether it was kept"
)]
struct CommitUnknown(#[source] tokio_postgres::Error);

fn commit_failed(error: tokio_postgres::Error) -> Failed {
    if failure::is_lost(&error) {
        let source = Box::new(CommitUnknown(error));
        return Failed::Kept(StoreError::Unavailable { outage: Outage::CommitUnknown, source });
    }
    Failed::NotKept(error.into())
}
