//! Whether the ledger can be written.
//!
//! The promise: while it can't be, somebody knows. A failed write is noted where it fails; between writes it is tried, because
//! a full disk is to be known before something comes that has to be written down. That it works again counts once nothing
//! has failed for a while: of a disk that is nearly full, small writes work and large ones fail.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::ErrorCode;
use switchboard_model::causes::chain;
use tokio::{sync::watch, time::Instant};
use tracing::{error, info};

use super::{Ledger, LedgerError, Result, run};

/// How much room there must be: a page of what was read, with what it moves.
const ROOM: usize = 64 * 1024;
/// For how long nothing may have failed before it counts as working again.
const WORKS_AFTER: Duration = Duration::from_secs(10);

/// What is known of it.
#[derive(Default)]
pub(super) struct Storage {
    failing: watch::Sender<bool>,
    failed_at: Mutex<Option<Instant>>,
}

impl Storage {
    /// Notes it if this says that the ledger can't be written, or not even read.
    pub(super) fn note<T>(&self, made: Result<T>) -> Result<T> {
        if let Err(error) = &made
            && is_of_storage(error)
        {
            *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            if !self.failing.send_replace(true) {
                error!(
                    error = chain(error),
                    "the ledger can't be written: the lines are offline until it can"
                );
            }
        }
        made
    }

    fn works(&self) {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        if failed_at.is_none_or(|at| at.elapsed() >= WORKS_AFTER)
            && self.failing.send_replace(false)
        {
            info!("the ledger can be written again");
        }
    }
}

impl Ledger {
    /// Whether it can't be written, now and at each change.
    pub(crate) fn failing(&self) -> watch::Receiver<bool> {
        self.storage.failing.subscribe()
    }

    /// Whether it can't be written.
    pub(crate) fn is_failing(&self) -> bool {
        *self.storage.failing.borrow()
    }

    /// Tries whether there is room, and, where it failed before, whether it can be written.
    pub(crate) async fn try_storage(&self) {
        let ledger = self.clone();
        let trying = move || {
            let room = ledger.storage.note(try_to_write(&ledger.dir).map_err(LedgerError::Storage));
            let written = room.and_then(|()| match ledger.is_failing() {
                true => {
                    ledger.blocking(|tx| run(tx, "update ledger set epoch = epoch", [])).map(drop)
                }
                false => Ok(()),
            });
            if written.is_ok() {
                ledger.storage.works();
            }
        };
        // It ends with the process at the latest, and what it found is noted.
        let _ = tokio::task::spawn_blocking(trying).await;
    }
}

/// Whether it is what holds the ledger that fails, and not what was asked of it.
fn is_of_storage(error: &LedgerError) -> bool {
    match error {
        LedgerError::Storage(_) => true,
        LedgerError::Sql(error) => matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
            )
        ),
        _ => false,
    }
}

/// Writes some KiB into this folder, and leaves nothing of it. An empty file would need no room, and say nothing. Blocks.
///
/// # Errors
/// Why it can't be written.
pub fn try_to_write(dir: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(dir)?;
    file.write_all(&[0x5a; ROOM])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Recorded;

    #[tokio::test]
    async fn a_ledger_without_room_says_so_and_recovers() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        ledger.try_storage().await;
        assert!(!ledger.is_failing());
        let pages: i64 = ledger.sql().query_row("pragma page_count", [], |row| row.get(0)).unwrap();
        let limit = |pages: i64| {
            let sql = format!("pragma max_page_count = {pages}");
            let _: i64 = ledger.sql().query_row(&sql, [], |row| row.get(0)).unwrap();
        };
        limit(pages);
        let large = crate::ledger::Cursor { identity: String::new(), place: "x".repeat(100_000) };
        let record = || Recorded { cursor: Some(("test", large.clone())), ..Recorded::default() };
        let error = ledger.record(record()).await.unwrap_err();
        assert!(chain(&error).contains("full"), "{}", chain(&error));
        assert!(ledger.is_failing());
        // What is small works, and says nothing of what does not.
        ledger.try_storage().await;
        assert!(ledger.is_failing());
        limit(1 << 20);
        *ledger.storage.failed_at.lock().unwrap() = Instant::now().checked_sub(WORKS_AFTER);
        ledger.try_storage().await;
        assert!(!ledger.is_failing());
        ledger.record(record()).await.unwrap();
    }

    #[tokio::test]
    async fn a_ledger_whose_folder_is_gone_says_so_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("bridge");
        let ledger = Ledger::open(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        ledger.try_storage().await;
        assert!(ledger.is_failing());
    }
}
