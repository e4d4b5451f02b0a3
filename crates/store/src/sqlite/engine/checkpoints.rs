//! Checkpoints, made beside the writer: a thread of its own moves what stands in the log into the database.
//!
//! To move 16 MiB and to flush them takes some 40 ms, during which a writer that did it itself would answer nobody. The
//! thread needs no lock that the writer has. What is committed meanwhile is moved in further passes, each shorter than the
//! one before, until one has left nothing: then the writer's next commit begins the log anew.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rusqlite::Connection;

/// Pages of the log at which a checkpoint begins: 16 MiB.
pub(in crate::sqlite) const EVERY: u32 = 4000;

/// The most passes of one checkpoint. Where somebody reads from the log for long, none leaves nothing.
const PASSES: usize = 32;
/// The pause between two passes: the log begins anew only with a commit that begins in one.
const PAUSE: Duration = Duration::from_millis(2);

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

/// A connection beside the writer's. Its flushes are the writer's: what was moved may be written over in the log.
pub(in crate::sqlite) fn beside(path: &Path) -> rusqlite::Result<Connection> {
    let sql = Connection::open(path)?;
    // A connection that never read knows of no log, and would move nothing.
    sql.execute_batch("pragma synchronous = full; select count(*) from sqlite_schema")?;
    Ok(sql)
}

/// The thread, and when it is to begin.
pub(in crate::sqlite) struct Checkpoints {
    pages: Pages,
    /// Pages between two checkpoints.
    every: u32,
    /// At how many pages the next one begins.
    next_at: u32,
    begin: Option<Sender<()>>,
    is_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread with a connection of its own.
    pub(in crate::sqlite) fn start(
        sql: Connection,
        pages: Pages,
        every: u32,
    ) -> std::io::Result<Self> {
        let (begin, begun) = bounded(1);
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let thread = thread::Builder::new().name("sqlite-checkpoint".into());
        let counted = pages.clone();
        let thread = thread.spawn(move || serve(&sql, &counted, &begun, &done))?;
        let (begin, thread) = (Some(begin), Some(thread));
        Ok(Self { pages, every, next_at: every, begin, is_done, thread })
    }

    /// Begins one if the log is long enough: after a commit.
    pub(super) fn begin_if_due(&mut self) {
        let pages = self.pages.now();
        if self.is_done.swap(false, Ordering::Relaxed) {
            // Where somebody reads from the log it has not begun anew, and goes on growing.
            self.next_at =
                if pages < self.every { self.every } else { pages.saturating_add(self.every / 4) };
        }
        if pages >= self.next_at
            && let Some(begin) = &self.begin
            && begin.try_send(()).is_ok()
        {
            self.next_at = u32::MAX;
        }
    }

    /// Ends the thread, and with it its connection.
    pub(super) fn end(&mut self) {
        drop(self.begin.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that makes checkpoints panicked");
        }
    }
}

fn serve(sql: &Connection, pages: &Pages, begun: &Receiver<()>, is_done: &AtomicBool) {
    for () in begun {
        for _ in 0..PASSES {
            let before = pages.now();
            let moved = checkpoint(sql);
            // Nobody writes meanwhile, but by the end of the store.
            if begun.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let now = pages.now();
            if now < before || moved == Some(now) {
                break;
            }
        }
        is_done.store(true, Ordering::Relaxed);
    }
}

/// Moves what nobody reads from the log any more into the database, and flushes it if that is all there is. Waits for nobody.
/// Answers how many of the log's pages are in the database then.
fn checkpoint(sql: &Connection) -> Option<u32> {
    let moved = sql.prepare_cached("pragma wal_checkpoint(passive)");
    let moved = moved.and_then(|mut moved| moved.query_row([], |row| row.get(2)));
    // A full disk, most often: whoever writes hears of it.
    moved.inspect_err(|error| tracing::debug!(%error, "a checkpoint failed")).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sqlite::engine::{seal::Seal, statement, wal::Log, writer::Writer};

    #[test]
    fn a_connection_beside_the_writers_moves_what_that_has_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut sql = Connection::open(&path).unwrap();
        sql.execute_batch("pragma journal_mode = wal; create table texts (text text) strict")
            .unwrap();
        let pages = Pages::of(&mut sql).unwrap();
        let beside = beside(&path).unwrap();
        for _ in 0..3 {
            sql.execute_batch("insert into texts values (hex(randomblob(65536)))").unwrap();
            let (all, moved) = (pages.now(), checkpoint(&beside));
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
            Checkpoints::start(beside(&path).unwrap(), pages.clone(), TEST_EVERY).unwrap();
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
