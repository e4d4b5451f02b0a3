//! Whether anybody else has written to the database.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;

use super::{statement, writer_cache::WriterCache};
use crate::base::post_commit::PostCommit;

/// Whether another process has written, or somebody by hand: SQLite counts what it did not write by this connection.
#[derive(Debug, Default)]
pub(super) struct Others {
    version: Option<i64>,
    has_written: bool,
}

impl Others {
    /// What is cached is read anew if they have: within a transaction nobody can write any more.
    pub(super) fn look(&mut self, sql: &Connection, cache: &mut WriterCache) {
        let version = statement::first(sql, "pragma data_version", [], |row| row.get::<_, i64>(0));
        let version = version.ok().flatten();
        if version.is_none() || version != self.version {
            self.has_written |= self.version.is_some();
            self.version = version;
            cache.forget_all();
        }
    }

    /// Tells the observer, if they have.
    pub(super) fn tell(&mut self, sharing: Option<&PostCommit>) {
        let has_written = std::mem::take(&mut self.has_written);
        if let Some(sharing) = sharing
            && has_written
            && catch_unwind(AssertUnwindSafe(|| sharing.foreign_commit())).is_err()
        {
            tracing::error!("what follows another process's commit panicked");
        }
    }
}
