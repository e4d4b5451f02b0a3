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

/// Bytes of the log past which the writer begins it anew, and to which its file is cut then. Four times what a
/// checkpoint leaves when nobody reads for long.
pub(super) const LIMIT: u64 = 64 * 1024 * 1024;
/// How long the writer waits for those who read, for each [`LIMIT`] that the log has: the longer it is, the
/// more it costs to read and to keep.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest that it waits: so long does nobody write.
const MAX_PATIENCE: Duration = Duration::from_secs(2);
/// The pause after it has waited in vain, as a multiple of that: most of the time is for writing.
const PAUSE: u32 = 4;

/// The log's file.
pub(super) struct Log {
    path: PathBuf,
    limit: u64,
    try_again_at: Option<Instant>,
}

impl Log {
    /// The log of the database at this path.
    pub(super) fn of(database: &std::path::Path, limit: u64) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), limit, try_again_at: None }
    }

    /// One that is left alone.
    #[cfg(test)]
    pub(super) fn unbounded() -> Self {
        Self::of(std::path::Path::new(""), u64::MAX)
    }

    /// Begins the log anew if it is too long: after a commit, when nobody waits for an answer any more.
    pub(super) fn keep_short(&mut self, sql: &Connection) {
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
}

/// Bytes of the file; of one that is not there, none.
pub(super) fn bytes(path: &std::path::Path) -> io::Result<u64> {
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
        path::Path,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;
    use crate::sqlite::{statement, writer::Writer};

    /// How long one read of the test takes; there are always two under way, which began at different times.
    const READ: Duration = Duration::from_millis(40);
    const TEST_LIMIT: u64 = 2 * 1024 * 1024;
    /// What is written in all to a log that nobody begins anew.
    const WRITTEN: u64 = 48 * 1024 * 1024;
    /// The longest that the log may take to be begun anew a few times: a machine may be slow.
    const DEADLINE: Duration = Duration::from_secs(120);
    const ROW: u64 = 64 * 1024;

    #[expect(clippy::disallowed_methods, reason = "a read that takes its time")]
    fn read_in_turns(path: &Path, first: Duration, stop: &AtomicBool) {
        let sql = Connection::open(path).unwrap();
        sql.busy_timeout(Duration::from_secs(5)).unwrap();
        thread::sleep(first);
        while !stop.load(Ordering::Relaxed) {
            sql.execute_batch("begin; select count(*) from texts").unwrap();
            thread::sleep(READ);
            sql.execute_batch("rollback").unwrap();
        }
    }

    /// What was seen while others read all the time.
    #[derive(Default)]
    struct Seen {
        written: u64,
        /// The longest that the log ever was.
        longest: u64,
        /// How often it was begun anew.
        cuts: usize,
    }

    /// Writes until that is enough.
    async fn write(limit: u64, is_enough: impl Fn(&Seen) -> bool) -> Seen {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let sql = Connection::open(&path).unwrap();
        let create = "create table texts (id integer primary key, text)";
        sql.execute_batch(&format!(
            "pragma journal_mode = wal; pragma journal_size_limit = {limit}; {create}"
        ))
        .unwrap();
        let log = Log::of(&path, limit);
        let lock = File::create(directory.path().join("lock")).unwrap();
        let writer = Writer::start(sql, lock, 8, log).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let wal = directory.path().join("a.db-wal");
        let readers = [Duration::ZERO, READ / 2].map(|first| {
            let (path, stop) = (path.clone(), Arc::clone(&stop));
            thread::spawn(move || read_in_turns(&path, first, &stop))
        });
        let (mut seen, mut before) = (Seen::default(), 0);
        while !is_enough(&seen) {
            let row = seen.written / ROW % 16;
            writer
                .run(move |tx| {
                    let text = "insert or replace into texts values (?1, randomblob(?2))";
                    statement::run(tx.sql, text, [row.cast_signed(), ROW.cast_signed()])
                })
                .await
                .unwrap();
            let now = bytes(&wal).unwrap();
            seen.written += ROW;
            seen.longest = seen.longest.max(now);
            seen.cuts += usize::from(now < before);
            before = now;
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
        seen
    }

    #[tokio::test]
    async fn reads_that_overlap_do_not_let_the_log_grow() {
        let began = Instant::now();
        write(TEST_LIMIT, |seen| {
            assert!(began.elapsed() < DEADLINE, "the log came to {} bytes", seen.longest);
            seen.cuts == 3
        })
        .await;
    }

    #[tokio::test]
    async fn without_the_bound_they_would() {
        let unbounded = write(u64::MAX / 4, |seen| seen.written >= WRITTEN).await.longest;
        assert!(unbounded > WRITTEN / 4 * 3, "the log came to {unbounded} bytes");
    }
}
