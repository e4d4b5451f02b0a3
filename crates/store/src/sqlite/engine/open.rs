//! Opening: the lock, the schema, the connections and how they are set.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    checkpoints::{self, Beside, Checkpoints, Pages},
    migrations,
    reader::Readers,
    statement,
    wal::{self, Log},
    writer::Writer,
};
use crate::{
    Result, StoreError,
    base::{post_commit::PostCommit, seal::Seal},
    sqlite::{SqliteOptions, SqliteStore, secrets},
};

/// How long a connection waits for another one of this process. Only a checkpoint makes it wait.
pub(in crate::sqlite) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Full: what is committed survives a loss of power. Foreign keys: see the schema.
/// The numbers: a page cache of 8 MiB; no checkpoints by itself ([`checkpoints`]); the log's
/// file is cut to [`wal::LIMIT`] when it begins anew.
const WRITER: &str = "
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma foreign_keys = off;
    pragma temp_store = memory;
    pragma cache_size = -8192;
    pragma wal_autocheckpoint = 0;
    pragma mmap_size = 0;
";

/// A page cache of 2 MiB each.
const READER: &str = "
    pragma query_only = on;
    pragma temp_store = memory;
    pragma cache_size = -2048;
    pragma mmap_size = 0;
";

pub(in crate::sqlite) fn open(
    path: &Path,
    key_file: &Path,
    options: SqliteOptions,
) -> Result<SqliteStore> {
    let lock = lock(path, options.is_shared)?;
    // SQLite gives its log and its index the mode of the database.
    private(path).map_err(|error| named(path, StoreError::Database(Box::new(error))))?;
    let (mut writer, seal) = writing(path, key_file).map_err(|error| named(path, error))?;
    let seal = Arc::new(seal);
    let readers = (0..options.readers.max(1))
        .map(|_| reading(path))
        .collect::<Result<Vec<_>>>()
        .map_err(|error| named(path, error))?;
    let cannot_start = |error| named(path, StoreError::Database(Box::new(error)));
    let pages = Pages::of(&mut writer).map_err(|error| named(path, error.into()))?;
    let beside = Beside::open(path, options.is_shared).map_err(|error| named(path, error))?;
    let checkpoints =
        Checkpoints::start(beside, pages, checkpoints::EVERY).map_err(cannot_start)?;
    let log = Log::of(path, wal::LIMIT, Some(checkpoints));
    let post_commit = PostCommit::default();
    let sharing = options.is_shared.then(|| post_commit.clone());
    Ok(SqliteStore {
        path: path.to_owned(),
        options,
        writer: Writer::start(writer, lock, Arc::clone(&seal), options.write_queue, log, sharing)
            .map_err(cannot_start)?,
        readers: Readers::start(readers, options.read_queue, options.read_queue_of_one)
            .map_err(cannot_start)?,
        post_commit,
        seal,
    })
}

/// The lock of the operating system on a file beside the database. It ends with the process,
/// also with one that is killed, so there is nothing to clean up.
fn lock(path: &Path, is_shared: bool) -> Result<File> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let cannot = |error| named(path, StoreError::Database(Box::new(error)));
    let file = private(beside.as_ref()).map_err(cannot)?;
    let locked = if is_shared { file.try_lock_shared() } else { file.try_lock() };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::InUse { path: path.display().to_string() })
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Opens a file, as it is; one that is made is its owner's alone.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// A database that is refused is left as it was.
fn writing(path: &Path, key_file: &Path) -> Result<(Connection, Seal)> {
    let mut sql = Connection::open(path)?;
    prepare_once(&sql)?;
    sql.busy_timeout(BUSY_TIMEOUT)?;
    migrations::refuse_newer(&sql, path)?;
    let seal = secrets::unlock(&sql, key_file)?;
    sql.execute_batch(WRITER)?;
    sql.execute_batch(&format!("pragma journal_size_limit = {}", wal::LIMIT))?;
    migrations::apply(&mut sql)?;
    secrets::seal_clear(&mut sql, &seal)?;
    Ok((sql, seal))
}

fn reading(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    prepare_once(&sql)?;
    sql.busy_timeout(BUSY_TIMEOUT)?;
    sql.execute_batch(READER)?;
    Ok(sql)
}

/// Lets a statement be prepared once, and then only run: SQLite would plan each `limit ?` anew for each value that it is
/// given. The guarantee of stable plans is SQLite's own (QPSG).
fn prepare_once(sql: &Connection) -> rusqlite::Result<()> {
    sql.set_prepared_statement_cache_capacity(statement::KEPT);
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Says which file it was about.
fn named(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Database(source) => {
            StoreError::Open { path: path.display().to_string(), source }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_is_prepared_once_whatever_its_limit() {
        let sql = Connection::open_in_memory().unwrap();
        prepare_once(&sql).unwrap();
        sql.execute_batch("create table t (n integer primary key) strict").unwrap();
        let text = "select n from t where ?2 = 0 or n > ?2 order by n limit ?1";
        for (limit, after) in [(1, 0), (2, 1), (3, 0)] {
            let mut statement = sql.prepare_cached(text).unwrap();
            let mut rows = statement.query([limit, after]).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        let statement = sql.prepare_cached(text).unwrap();
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        assert_eq!(statement.get_status(StatementStatus::Run), 3);
    }
}
