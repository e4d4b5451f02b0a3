//! The readers: a few read-only connections, each on a thread of its own.
//!
//! A reader sees every commit that was answered before it was asked, and one state of the
//! database from its first statement to its last. What is long is asked in slices, each a question of
//! its own; [`read_queue`](super::read_queue) says whose is next.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    read_queue::{Bounds, Cost, Owner, ReadQueue},
    statement,
};
use crate::{Result, StoreError};

/// Asked with a connection, or with none: then there is no room for it.
type Question = Box<dyn FnOnce(Option<&Connection>) + Send>;

/// The reader threads and the queue to them.
pub(in crate::sqlite) struct Readers {
    queue: Arc<ReadQueue<Question>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Questions of one owner and one cost.
pub(in crate::sqlite) struct Asking<'a> {
    readers: &'a Readers,
    owner: Owner,
    cost: Cost,
}

impl Readers {
    /// Starts one thread for each connection.
    pub(in crate::sqlite) fn start(
        connections: Vec<Connection>,
        waiting: usize,
        of_one: usize,
    ) -> std::io::Result<Self> {
        // One thread is left to those who don't scan; a lone one has to do both.
        let scans = connections.len().saturating_sub(1).max(1);
        let queue = Arc::new(ReadQueue::new(Bounds { waiting, of_one, scans }));
        let mut threads = Vec::with_capacity(connections.len());
        for (number, sql) in connections.into_iter().enumerate() {
            let queue = Arc::clone(&queue);
            let name = format!("sqlite-reader-{number}");
            threads.push(thread::Builder::new().name(name).spawn(move || serve(&sql, &queue))?);
        }
        Ok(Self { queue, threads: Mutex::new(threads) })
    }

    /// Finds a few rows by their keys.
    pub(in crate::sqlite) fn lookup(&self, owner: impl Into<Owner>) -> Asking<'_> {
        Asking { readers: self, owner: owner.into(), cost: Cost::Lookup }
    }

    /// Reads a page of rows that lie together.
    pub(in crate::sqlite) fn list(&self, owner: impl Into<Owner>) -> Asking<'_> {
        Asking { readers: self, owner: owner.into(), cost: Cost::List }
    }

    /// Reads a slice of a walk over many rows.
    pub(in crate::sqlite) fn scan(&self, owner: impl Into<Owner>) -> Asking<'_> {
        Asking { readers: self, owner: owner.into(), cost: Cost::Scan }
    }

    /// Takes no more questions; the threads end when they have answered what is queued.
    pub(in crate::sqlite) fn close(&self) -> Vec<JoinHandle<()>> {
        self.queue.close();
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Asking<'_> {
    /// Asks the database.
    pub(in crate::sqlite) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let evicted = self.readers.queue.push(
            self.owner,
            self.cost,
            Box::new(move |sql| {
                // Whoever has gone away needs no answer.
                if reply.is_closed() {
                    return;
                }
                let found = sql.map_or(Err(StoreError::Overloaded), |sql| in_one_state(sql, work));
                let _ = reply.send(found);
            }),
        )?;
        if let Some(question) = evicted {
            question(None);
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Answers until the queue is closed. Nothing that a question does ends the thread.
fn serve(sql: &Connection, queue: &ReadQueue<Question>) {
    while let Some((cost, question)) = queue.next() {
        let answered = catch_unwind(AssertUnwindSafe(|| question(Some(sql))));
        if cost == Cost::Scan {
            queue.scanned();
        }
        if answered.is_err() {
            tracing::error!("a question to the store panicked outside of its query");
        }
    }
}

fn in_one_state<T>(sql: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    // A rollback that failed must not make every later question fail.
    if !sql.is_autocommit() {
        statement::run(sql, "rollback", [])?;
    }
    statement::run(sql, "begin", [])?;
    let answer = catch_unwind(AssertUnwindSafe(|| work(sql)))
        .unwrap_or_else(|_| Err(StoreError::Database("a query panicked".into())));
    // Nothing was written; this only lets go of the state, so that the log can be cut.
    statement::run(sql, "rollback", [])?;
    answer
}
