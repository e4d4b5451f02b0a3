//! SQLite: one file, one process, one writer thread with group commit, a few readers.
//!
//! What is answered is on the disk (`synchronous = full`). A second process is refused by a
//! lock that dies with this one, however it dies.

mod accounts;
mod bridges;
mod chats;
mod clocks;
mod deliveries;
mod engine;
mod events;
mod files;
mod health;
mod idempotency;
mod inbox;
mod keys;
mod lines;
mod messages;
mod outbox;
mod reactions;
mod receipts;
mod replays;
mod sandbox;
mod secrets;
mod typing;
mod webhooks;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use self::engine::{
    open,
    reader::Readers,
    worker_queue,
    writer::{Tx, Writer},
};
use tokio::sync::oneshot;

use crate::{
    Observer, Result, Store,
    base::{
        post_commit::{PostCommit, Publishes},
        seal::Seal,
    },
};

/// The file with the key that secrets are encrypted with, unless another is named.
const SECRET_KEY: &str = "secret-key";

/// The numbers that bound a [`SqliteStore`].
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// Writing commands that may wait; beyond that, [`StoreError::Overloaded`](crate::StoreError::Overloaded).
    pub write_queue: usize,
    /// Reading queries that may wait; beyond that, whoever has most in the queue is refused, in the same way.
    pub read_queue: usize,
    /// Reading queries of one account, bridge or key that may wait; beyond that, the same.
    pub read_queue_of_one: usize,
    /// Threads that read, each with a connection of its own.
    pub readers: usize,
    /// Whether other processes may have the database too. For tests: they are refused otherwise.
    pub is_shared: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            write_queue: 8192,
            read_queue: 2048,
            read_queue_of_one: 1024,
            readers: 2,
            is_shared: false,
        }
    }
}

/// A [`Store`] in one SQLite file. Dropping it ends its threads and waits for them;
/// [`Store::close`] does the same without blocking.
pub struct SqliteStore {
    path: PathBuf,
    options: SqliteOptions,
    writer: Writer,
    readers: Readers,
    post_commit: PostCommit,
    seal: Arc<Seal>,
}

impl SqliteStore {
    /// Opens the database, makes it if it does not exist, and brings it to this version. Its secrets are encrypted
    /// with the key in the file `secret-key` beside it, which is made with it. Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`](crate::StoreError::InUse) at once if another process has it;
    /// [`StoreError::NewerSchema`](crate::StoreError::NewerSchema), and nothing is changed;
    /// [`StoreError::SecretKey`](crate::StoreError::SecretKey) without the key that it is encrypted with;
    /// [`StoreError::Open`](crate::StoreError::Open) for all else.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self> {
        Self::open_with_key(path, &path.with_file_name(SECRET_KEY), options)
    }

    /// As [`SqliteStore::open`], with the key in another file.
    ///
    /// # Errors
    /// The same.
    pub fn open_with_key(path: &Path, key_file: &Path, options: SqliteOptions) -> Result<Self> {
        open::open(path, key_file, options)
    }

    /// Runs a command that may make something known.
    async fn publish<T: Publishes>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run_then(work, self.post_commit.publish()).await
    }

    /// Takes no more work, lets what is queued be finished, and returns when all threads have ended.
    fn end(&self) -> impl FnOnce() + Send + 'static {
        let readers = self.readers.close();
        let end_writer = self.writer.close();
        move || {
            // In this order: the writer's last checkpoint must find nobody reading, and the last connection that is
            // closed removes the log. Were two closed at once, each might take the other for one that stays.
            worker_queue::join(readers);
            end_writer();
        }
    }
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    fn observe(&self, observer: Arc<dyn Observer>) {
        self.post_commit.to(observer);
    }

    async fn close(&self) {
        let end = self.end();
        let (done, ended) = oneshot::channel();
        // A thread only to wait for threads: a runtime's own must not block.
        let waiter = thread::Builder::new().name("sqlite-close".into()).spawn(move || {
            end();
            let _ = done.send(());
        });
        match waiter {
            Ok(_) => drop(ended.await),
            Err(error) => tracing::error!(%error, "nobody waits for the store's threads to end"),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.end()();
    }
}
