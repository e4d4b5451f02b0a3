//! What the bridge knows durably: what was handed to Messages, what was observed there, how far each source was read.
//!
//! One SQLite file, shared by all drivers that have no memory of their own. The promises: an attempt is on the disk before
//! it reaches Messages, so absence means that nothing was begun of what was claimed since this ledger is there; the same thing observed twice is one
//! observation, for ever; and how far a source was read moves in the transaction of what was read there.
//! What was begun, observed or finished is flushed at each commit: what Messages has sent can't be taken back by a power cut.

mod attempts;
mod beginnings;
mod copies;
mod followed;
mod groups;
mod late_files;
mod links;
mod observations;
mod own;
mod reactions;
mod sources;
mod standing_by;
mod storage;
mod texts;

use std::{
    collections::HashMap,
    fs::OpenOptions,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, config::DbConfig};
use switchboard_model::{Line, Timestamp, id::Id};
use tokio::sync::watch;
use tracing::warn;

pub(crate) use attempts::Known;
pub use attempts::{Begun, NewAttempt};
pub use beginnings::{Beginning, Beginnings};
pub use followed::{Follow, Followed};
pub(crate) use late_files::LateFiles;
pub use observations::{Observation, ObservedFile, Recorded, WaitingObservation};
pub use own::{OwnRow, Ownership};
pub use sources::Cursor;
pub use storage::try_to_write;
pub use texts::{Said, Text};

/// The version of the schema.
const VERSION: i64 = 4;
/// How long finished attempts are kept: longer than a server can ask for them, or a person look for them.
const KEPT: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);

/// The open ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    sql: Arc<Mutex<Connection>>,
    /// The file beside it, which tells an older copy.
    mark: Arc<copies::Mark>,
    /// The name of its life.
    epoch: Arc<Mutex<Arc<str>>>,
    /// Whether a link began since it was opened.
    was_welcomed: Arc<AtomicBool>,
    dir: Arc<Path>,
    storage: Arc<storage::Storage>,
    /// Wakes who waits for observations of a line.
    observed: Arc<Mutex<HashMap<Id<Line>, watch::Sender<()>>>>,
    /// Wakes who waits for what turns out later.
    turned_out: watch::Sender<()>,
}

/// Why the ledger can't do its work. No text of it quotes a message or a number.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The folder or the file can't be made or opened.
    #[error("the ledger {path} can't be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another process has it.
    #[error("another bridge has the ledger {0}: give each its own data directory")]
    InUse(PathBuf),
    /// A newer version of this program wrote it.
    #[error("the ledger {0} is of a newer version of this program")]
    Newer(PathBuf),
    /// SQLite failed: the disk is full, for example.
    #[error("the ledger can't be read or written")]
    Sql(#[from] rusqlite::Error),
    /// Nothing can be written where it is.
    #[error("the ledger's folder can't be written")]
    Storage(#[source] std::io::Error),
    /// A row makes no sense.
    #[error("a row of the ledger can't be understood")]
    Row(#[from] serde_json::Error),
    /// The work was dropped: the process ends.
    #[error("the ledger is closed")]
    Closed,
}

type Result<T> = std::result::Result<T, LedgerError>;

impl Ledger {
    /// Opens the ledger in this folder, or makes both. It is this process's alone until it is dropped. Blocks.
    ///
    /// # Errors
    /// [`LedgerError`], and nothing is changed.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("ledger.db");
        let cannot = |source: Box<dyn std::error::Error + Send + Sync>| LedgerError::Open {
            path: path.clone(),
            source,
        };
        private_dir(dir).map_err(|error| cannot(error.into()))?;
        // Made before SQLite makes it, for its owner alone: texts and numbers stand in it.
        private_file().open(&path).map_err(|error| cannot(error.into()))?;
        let mut sql = Connection::open(&path).map_err(|error| cannot(error.into()))?;
        sql.busy_timeout(std::time::Duration::from_millis(200))?;
        sql.set_prepared_statement_cache_capacity(64);
        // A statement is prepared once, not for each value of its limit.
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Exclusive: a second process would hand over what this one has handed over.
        let set_up =
            "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full;
             pragma fullfsync = on; pragma foreign_keys = on; begin exclusive; commit;";
        sql.execute_batch(set_up).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                LedgerError::InUse(path.clone())
            }
            _ => cannot(error.into()),
        })?;
        let version: i64 = sql.query_row("pragma user_version", [], |row| row.get(0))?;
        if version > VERSION {
            return Err(LedgerError::Newer(path));
        }
        if version < VERSION {
            let tx = sql.transaction()?;
            if version == 0 {
                tx.execute_batch(include_str!("ledger/schema.sql"))?;
                let epoch = uuid::Uuid::now_v7().simple().to_string();
                tx.execute("insert into ledger (epoch) values (?1)", [epoch])?;
            }
            if version < 2 {
                tx.execute_batch(include_str!("ledger/texts.sql"))?;
            }
            if version < 3 {
                tx.execute_batch(include_str!("ledger/links.sql"))?;
                tx.execute_batch(include_str!("ledger/parts.sql"))?;
                links::adopt_earlier(&tx)?;
                tx.execute_batch(include_str!("ledger/late_files.sql"))?;
            }
            // New in the fourth version.
            tx.execute_batch(include_str!("ledger/copies.sql"))?;
            tx.execute_batch(include_str!("ledger/told.sql"))?;
            tx.pragma_update(None, "user_version", VERSION)?;
            tx.commit()?;
        }
        let mark = copies::Mark::open(dir).map_err(|error| cannot(error.into()))?;
        let before = now() - KEPT;
        let (is_copy, epoch) = in_transaction(&mut sql, Some(&mark), |tx| {
            let is_copy = copies::forget_if_copied(tx, &path, &mark)?;
            attempts::look_into_unfinished(tx, now())?;
            attempts::prune(tx, before)?;
            let epoch = first(tx, "select epoch from ledger", [], |row| row.get::<_, String>(0))?;
            Ok((is_copy, epoch.unwrap_or_default()))
        })?;
        mark.flush(dir);
        if is_copy {
            warn!(
                "the ledger is a copy: what was being sent is not known, and what waits is told again"
            );
        }
        Ok(Self {
            sql: Arc::new(Mutex::new(sql)),
            mark: Arc::new(mark),
            epoch: Arc::new(Mutex::new(epoch.into())),
            was_welcomed: Arc::default(),
            dir: dir.into(),
            storage: Arc::default(),
            observed: Arc::default(),
            turned_out: watch::Sender::new(()),
        })
    }

    /// Wakes when something was observed on this line.
    pub(crate) fn observations_of(&self, line: Id<Line>) -> watch::Receiver<()> {
        self.observed().entry(line).or_default().subscribe()
    }

    /// Wakes when the truth about an unknown outcome may have turned out.
    pub(crate) fn later_truths(&self) -> watch::Receiver<()> {
        self.turned_out.subscribe()
    }

    /// Removes what is long over.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn prune(&self, now: Timestamp) -> Result<()> {
        let given_up = self
            .transact(move |tx| {
                attempts::prune(tx, now - KEPT)?;
                late_files::prune(tx, now)
            })
            .await?;
        if given_up > 0 {
            warn!(
                given_up,
                "messages stay without some of their files, which could not be had for days"
            );
        }
        Ok(())
    }

    fn observed(&self) -> MutexGuard<'_, HashMap<Id<Line>, watch::Sender<()>>> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_line(&self, line: Id<Line>) {
        if let Some(waiters) = self.observed().get(&line) {
            waiters.send_replace(());
        }
    }

    fn wake_later_truths(&self) {
        self.turned_out.send_replace(());
    }

    /// Does work in one transaction, on a thread that may block.
    async fn transact<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.transact_then(work, |_, _| {}).await
    }

    /// The same, and what follows from it, whether or not anybody still waits for the answer.
    async fn transact_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
        then: impl FnOnce(&Self, &T) + Send + 'static,
    ) -> Result<T> {
        let ledger = self.clone();
        let worked = move || {
            let made = ledger.blocking(work)?;
            then(&ledger, &made);
            Ok(made)
        };
        tokio::task::spawn_blocking(worked).await.unwrap_or(Err(LedgerError::Closed))
    }

    /// The same for what may be undone by a power cut, and does no harm then: it is flushed with what comes next.
    async fn transact_unflushed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ledger = self.clone();
        let unflushed = move || {
            let mut sql = ledger.sql();
            sql.pragma_update(None, "synchronous", "normal")?;
            let made = in_transaction(&mut sql, None, work);
            sql.pragma_update(None, "synchronous", "full")?;
            ledger.storage.note(made)
        };
        tokio::task::spawn_blocking(unflushed).await.unwrap_or(Err(LedgerError::Closed))
    }

    fn blocking<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let made = in_transaction(&mut self.sql(), Some(&self.mark), work);
        self.storage.note(made)
    }

    /// The name of its life.
    fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.epoch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin_life(&self, epoch: &str) {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = epoch.into();
    }

    fn sql(&self) -> MutexGuard<'_, Connection> {
        self.sql.lock().unwrap_or_else(|poisoned| {
            // The transaction that panicked was rolled back as it was dropped; it may have been one that is not flushed.
            let sql = poisoned.into_inner();
            let flushed = sql.pragma_update(None, "synchronous", "full");
            if flushed.is_ok() {
                self.sql.clear_poison();
            }
            sql
        })
    }
}

/// With a mark the commit is flushed, and counted if anything changes.
fn in_transaction<T>(
    sql: &mut Connection,
    mark: Option<&copies::Mark>,
    work: impl FnOnce(&Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let tx = sql.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let before = tx.total_changes();
    let made = work(&tx)?;
    let mark = mark.filter(|_| tx.total_changes() > before);
    let counted = mark.map(|mark| Ok::<_, LedgerError>((mark, copies::count(&tx)?))).transpose()?;
    tx.commit()?;
    if let Some((mark, state)) = counted {
        mark.write(&state);
    }
    Ok(made)
}

/// The wall clock of this machine, which also stamps what the programs on it show: tests move those stamps, not this.
#[expect(clippy::disallowed_methods, reason = "the one place where a bridge looks at the clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// One row, if there is one.
fn first<T>(
    tx: &Transaction<'_>,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    Ok(tx.prepare_cached(sql)?.query_row(params, read).optional()?)
}

fn run(tx: &Transaction<'_>, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
    Ok(tx.prepare_cached(sql)?.execute(params)?)
}

fn private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("epoch", &self.epoch()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
