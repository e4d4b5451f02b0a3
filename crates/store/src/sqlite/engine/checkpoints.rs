//! Checkpoints, made beside the writer: a thread of its own moves what stands in the log into the database.
//!
//! To move 16 MiB and to flush them takes some 40 ms, during which a writer that did it itself would answer nobody. The
//! thread needs no lock that the writer has. What is committed meanwhile is little: the writer moves that itself, and then
//! its next commit begins the log anew.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Sender, bounded};
use rusqlite::Connection;

use crate::{Result, StoreError};

/// Pages of the log at which a checkpoint begins: 16 MiB.
pub(in crate::sqlite) const EVERY: u32 = 4000;

/// How many pages the log has, as the writer's connection says after each commit.
#[derive(Debug, Clone, Default)]
pub(in crate::sqlite) struct Pages(Arc<AtomicU32>);

impl Pages {
    /// Counts those of this connection, which makes no checkpoints by itself any more.
    pub(in crate::sqlite) fn of(sql: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Self::default();
        let counted = pages.clone();
        sql.wal_hook(Some(move |_: &mut _, pages| {
            counted.0.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(pages)
    }

    fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the thread moves the log with.
pub(in crate::sqlite) struct Beside {
    sql: Connection,
    /// The database, to be flushed: SQLite leaves that to whoever finds nothing committed meanwhile. None where another store
    /// of this process may have the database too: to close a file is to give up all locks that a process has on it.
    database: Option<File>,
}

impl Beside {
    pub(in crate::sqlite) fn open(path: &Path, is_shared: bool) -> Result<Self> {
        let sql = Connection::open(path)?;
        // A connection that never read knows of no log, and would move nothing.
        sql.execute_batch("pragma synchronous = full; select count(*) from sqlite_schema")?;
        let database = (!is_shared).then(|| File::open(path)).transpose();
        let database = database.map_err(|error| StoreError::Database(Box::new(error)))?;
        Ok(Self { sql, database })
    }

    /// Moves what there is, flushes it, and moves what was committed meanwhile.
    fn checkpoint(&self) {
        checkpoint(&self.sql);
        if let Some(database) = &self.database {
            // SQLite does it all the same before the log begins anew, and hears of what is wrong.
            let _ = database.sync_data();
            checkpoint(&self.sql);
        }
    }
}

/// The thread, and when it is to begin.
pub(in crate::sqlite) struct Checkpoints {
    pages: Pages,
    /// Pages between two checkpoints.
    every: u32,
    /// How many pages there were at the last look, and at how many the next checkpoint begins.
    seen: u32,
    next_at: u32,
    begin: Option<Sender<()>>,
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<Beside>>,
    /// Kept until the writer's connection is closed.
    database: Option<File>,
}

impl Checkpoints {
    /// Starts the thread.
    pub(in crate::sqlite) fn start(
        beside: Beside,
        pages: Pages,
        every: u32,
    ) -> std::io::Result<Self> {
        let (begin, begun) = bounded(1);
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let thread = thread::Builder::new().name("sqlite-checkpoint".into());
        let thread = thread.spawn(move || {
            for () in begun {
                beside.checkpoint();
                done.store(true, Ordering::Relaxed);
            }
            beside
        })?;
        let (begin, thread) = (Some(begin), Some(thread));
        Ok(Self { pages, every, seen: 0, next_at: every, begin, is_done, thread, database: None })
    }

    /// Begins one if the log is long enough, and ends one of which little is left: after a commit, on the writer's connection.
    pub(super) fn advance(&mut self, sql: &Connection) {
        let pages = self.pages.now();
        if pages < self.seen {
            // The log has begun anew.
            self.next_at = self.every;
        }
        self.seen = pages;
        if self.is_done.swap(false, Ordering::Relaxed) {
            checkpoint(sql);
            // Where somebody reads from the log it does not begin anew, and goes on growing.
            self.next_at = pages.saturating_add(self.every / 4);
        } else if pages >= self.next_at
            && let Some(begin) = &self.begin
            && begin.try_send(()).is_ok()
        {
            self.next_at = u32::MAX;
        }
    }

    /// Ends the thread, and with it its connection.
    pub(super) fn end(&mut self) {
        drop(self.begin.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Beside { sql, database })) => {
                drop(sql);
                self.database = database;
            }
            Some(Err(_)) => tracing::error!("the thread that makes checkpoints panicked"),
            None => {}
        }
    }
}

/// Moves what nobody reads from the log any more into the database, and flushes it if nobody commits meanwhile. Waits for
/// nobody. Answers how many of the log's pages are in the database then.
fn checkpoint(sql: &Connection) -> Option<u32> {
    let moved = sql.prepare_cached("pragma wal_checkpoint(passive)");
    let moved = moved.and_then(|mut moved| moved.query_row([], |row| row.get(2)));
    // A full disk, most often: whoever writes hears of it.
    moved.inspect_err(|error| tracing::debug!(%error, "a checkpoint failed")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::seal::Seal,
        sqlite::engine::{statement, wal::Log, writer::Writer},
    };

    #[test]
    fn a_connection_beside_the_writers_moves_what_that_has_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut sql = Connection::open(&path).unwrap();
        sql.execute_batch("pragma journal_mode = wal; create table texts (text text) strict")
            .unwrap();
        let pages = Pages::of(&mut sql).unwrap();
        let beside = Beside::open(&path, false).unwrap();
        for _ in 0..3 {
            sql.execute_batch("insert into texts values (hex(randomblob(65536)))").unwrap();
            let (all, moved) = (pages.now(), checkpoint(&beside.sql));
            assert!(all > 30, "{all} pages");
            assert_eq!(moved, Some(all));
        }
    }

    const TEST_EVERY: u32 = 64;
    const COMMITS: i64 = 1000;

    #[tokio::test]
    async fn the_log_begins_anew_again_and_again_while_somebody_writes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut sql = Connection::open(&path).unwrap();
        let create = "create table numbers (id integer primary key, filler blob) strict";
        sql.execute_batch(&format!("pragma journal_mode = wal; {create}")).unwrap();
        let pages = Pages::of(&mut sql).unwrap();
        let checkpoints =
            Checkpoints::start(Beside::open(&path, false).unwrap(), pages.clone(), TEST_EVERY)
                .unwrap();
        let lock = File::create(directory.path().join("lock")).unwrap();
        let log = Log::of(&path, u64::MAX, Some(checkpoints));
        let writer = Writer::start(sql, lock, Arc::new(Seal::new(&[0; 32])), 8, log, None).unwrap();
        let (mut last, mut begun_anew) = (0, 0);
        for _ in 0..COMMITS {
            let insert = "insert into numbers (filler) values (randomblob(100))";
            writer.run(move |tx| statement::run(tx.sql, insert, [])).await.unwrap();
            let now = pages.now();
            begun_anew += u32::from(now < last);
            last = now;
        }
        assert!(begun_anew > 1, "begun anew {begun_anew} times, and {last} pages long");
        writer.close()();
        let wal = path.with_extension("db-wal");
        assert!(!wal.exists(), "the last connection removes the log");
        let sql = Connection::open(&path).unwrap();
        let count: i64 =
            sql.query_row("select count(*) from numbers", [], |row| row.get(0)).unwrap();
        assert_eq!(count, COMMITS);
    }
}
