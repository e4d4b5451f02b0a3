//! The write-ahead log, kept short.
//!
//! SQLite begins the log anew when nobody reads from it any more. Reads that overlap leave no such moment, and
//! the log grows for as long as they come. So past a bound the writer makes the moment: it stops writing and
//! waits for those who read. Whoever begins to read meanwhile reads the database alone and is not in its way.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::checkpoints::Checkpoints;

/// Bytes of the log past which the writer begins it anew, and to which its file is cut then. Four times what a
/// checkpoint leaves when nobody reads for long.
pub(in crate::sqlite) const LIMIT: u64 = 64 * 1024 * 1024;
/// How long the writer waits for those who read, for each [`LIMIT`] that the log has: the longer it is, the
/// more it costs to read and to keep.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest that it waits: so long does nobody write.
const MAX_PATIENCE: Duration = Duration::from_secs(2);
/// The pause after it has waited in vain, as a multiple of that: most of the time is for writing.
const PAUSE: u32 = 4;

/// The log's file.
pub(in crate::sqlite) struct Log {
    path: PathBuf,
    limit: u64,
    try_again_at: Option<Instant>,
    /// None where the writer's connection makes them by itself.
    checkpoints: Option<Checkpoints>,
}

impl Log {
    /// The log of the database at this path.
    pub(in crate::sqlite) fn of(
        database: &std::path::Path,
        limit: u64,
        checkpoints: Option<Checkpoints>,
    ) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), limit, try_again_at: None, checkpoints }
    }

    /// One that is left alone.
    #[cfg(test)]
    pub(in crate::sqlite) fn unbounded() -> Self {
        Self::of(std::path::Path::new(""), u64::MAX, None)
    }

    /// Makes checkpoints, and begins the log anew if it is too long all the same: after a commit, when nobody waits for an
    /// answer any more.
    pub(in crate::sqlite) fn keep_short(&mut self, sql: &Connection) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.advance(sql);
        }
        let Ok(bytes) = bytes(&self.path) else { return };
        if bytes <= self.limit {
            return;
        }
        let now = Instant::now();
        if self.try_again_at.is_some_and(|at| now < at) {
            return;
        }
        let times = u32::try_from(bytes / self.limit).unwrap_or(u32::MAX);
        let patience = PATIENCE.saturating_mul(times).min(MAX_PATIENCE);
        match begin_anew(sql, patience) {
            // The next commit begins at the front, and cuts the file.
            Ok(true) => self.try_again_at = None,
            Ok(false) => self.try_again_at = Some(Instant::now() + patience * PAUSE),
            Err(error) => {
                // A full disk, most often: whoever writes hears of it.
                tracing::debug!(%error, bytes, "the log could not be begun anew");
                self.try_again_at = Some(Instant::now() + MAX_PATIENCE * PAUSE);
            }
        }
    }

    /// No other connection of the writer has the database after this.
    pub(super) fn end(&mut self) {
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.end();
        }
    }
}

/// Bytes of the file; of one that is not there, none.
pub(in crate::sqlite) fn bytes(path: &std::path::Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(file) => Ok(file.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Whether nobody reads from the log any more, and all of it is in the database.
fn begin_anew(sql: &Connection, patience: Duration) -> rusqlite::Result<bool> {
    sql.busy_timeout(patience)?;
    let busy = sql.query_row("pragma wal_checkpoint(restart)", [], |row| row.get::<_, bool>(0));
    sql.busy_timeout(super::open::BUSY_TIMEOUT)?;
    Ok(!busy?)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        mem,
        path::Path,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;
    use crate::{
        base::seal::Seal,
        sqlite::engine::{statement, writer::Writer},
    };

    /// How long one read of the test takes.
    const READ: Duration = Duration::from_millis(40);
    const TEST_LIMIT: u64 = 2 * 1024 * 1024;
    const ROW: i64 = 64 * 1024;
    /// How long the writer may take to find the moment. It finds it within a second on a machine at rest.
    const DEADLINE: Duration = Duration::from_secs(60);

    /// Reads all the time: one read begins before the other ends, so that somebody always reads.
    #[expect(clippy::disallowed_methods, reason = "a read that takes its time")]
    fn read_without_pause(path: &Path, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
        let [mut now, mut next] = [(), ()].map(|()| Connection::open(path).unwrap());
        for sql in [&now, &next] {
            sql.busy_timeout(DEADLINE).unwrap();
        }
        let begin = "begin; select count(*) from texts";
        now.execute_batch(begin).unwrap();
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(READ);
                next.execute_batch(begin).unwrap();
                now.execute_batch("rollback").unwrap();
                mem::swap(&mut now, &mut next);
            }
        })
    }

    #[tokio::test]
    async fn the_log_is_cut_while_somebody_always_reads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let sql = Connection::open(&path).unwrap();
        let create = "create table texts (id integer primary key, text)";
        sql.execute_batch(&format!(
            "pragma journal_mode = wal; pragma journal_size_limit = {TEST_LIMIT}; {create}"
        ))
        .unwrap();
        let log = Log::of(&path, TEST_LIMIT, None);
        let lock = File::create(directory.path().join("lock")).unwrap();
        let writer = Writer::start(sql, lock, Arc::new(Seal::new(&[0; 32])), 8, log, None).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let reader = read_without_pause(&path, Arc::clone(&stop));
        let wal = directory.path().join("a.db-wal");
        let (began, mut before, mut cut) = (Instant::now(), 0, 0);
        while cut < 3 {
            writer
                .run(move |tx| {
                    let text = "insert or replace into texts values (1, randomblob(?1))";
                    statement::run(tx.sql, text, [ROW])
                })
                .await
                .unwrap();
            let log = bytes(&wal).unwrap();
            cut += u32::from(log < before);
            before = log;
            assert!(began.elapsed() < DEADLINE, "cut {cut} times, and {log} bytes long");
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    }
}
