//! The readers: a few read-only connections, each on a thread of its own.
//!
//! A reader sees every commit that was answered before it was asked, and one state of the
//! database from its first statement to its last.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{lane::Lane, statement};
use crate::{Result, StoreError};

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The queue to the reader threads.
pub(super) struct Readers(Lane<Question>);

impl Readers {
    /// Starts one thread for each connection.
    pub(super) fn start(connections: Vec<Connection>, queue: usize) -> std::io::Result<Self> {
        let (sender, questions) = crossbeam_channel::bounded::<Question>(queue);
        let mut threads = Vec::with_capacity(connections.len());
        for (number, sql) in connections.into_iter().enumerate() {
            let questions = questions.clone();
            let name = format!("sqlite-reader-{number}");
            threads.push(thread::Builder::new().name(name).spawn(move || {
                while let Ok(question) = questions.recv() {
                    question(&sql);
                }
            })?);
        }
        Ok(Self(Lane::new(sender, threads)))
    }

    /// Asks the database.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Box::new(move |sql| {
            // A caller that has gone away needs no answer.
            let _ = reply.send(in_one_state(sql, work));
        }))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Takes no more questions; the threads end when they have answered what is queued.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        self.0.close()
    }
}

fn in_one_state<T>(sql: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    statement::run(sql, "begin", [])?;
    let answer = catch_unwind(AssertUnwindSafe(|| work(sql)))
        .unwrap_or_else(|_| Err(StoreError::Database("a query panicked".into())));
    // Nothing was written; this only lets go of the state, so that the log can be cut.
    statement::run(sql, "rollback", [])?;
    answer
}
