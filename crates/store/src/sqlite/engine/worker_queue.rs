//! A bounded queue to threads, and their orderly end.

use std::{
    sync::{Mutex, PoisonError, RwLock},
    thread::JoinHandle,
};

use crossbeam_channel::{Sender, TrySendError};

use crate::{Result, StoreError};

/// Threads that work off one queue. They end when the queue is closed and empty.
pub(in crate::sqlite) struct WorkerQueue<T> {
    queue: RwLock<Option<Sender<T>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T> WorkerQueue<T> {
    pub(in crate::sqlite) fn new(queue: Sender<T>, threads: Vec<JoinHandle<()>>) -> Self {
        Self { queue: RwLock::new(Some(queue)), threads: Mutex::new(threads) }
    }

    /// Queues work. [`StoreError::Overloaded`] at once when the queue is full: to wait here would
    /// only hide the load from those who could shed it.
    pub(in crate::sqlite) fn send(&self, work: T) -> Result<()> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(StoreError::Closed) };
        queue.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }

    /// How much work waits, and whether every thread still runs.
    pub(in crate::sqlite) fn state(&self) -> (usize, bool) {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = queue.is_some() && threads.iter().all(|thread| !thread.is_finished());
        (queue.as_ref().map_or(0, Sender::len), alive)
    }

    /// Why queued work was dropped without an answer.
    pub(in crate::sqlite) fn lost(&self, panicked: &'static str) -> StoreError {
        match *self.queue.read().unwrap_or_else(PoisonError::into_inner) {
            Some(_) => StoreError::Database(panicked.into()),
            None => StoreError::Closed,
        }
    }

    /// Takes no more work.
    pub(in crate::sqlite) fn close(&self) -> Closed<T> {
        Closed {
            queue: self.queue.write().unwrap_or_else(PoisonError::into_inner).take(),
            threads: std::mem::take(
                &mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner),
            ),
        }
    }
}

/// A queue that takes no more work. Its threads finish what is queued, and wait to be joined.
pub(in crate::sqlite) struct Closed<T> {
    queue: Option<Sender<T>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T> Closed<T> {
    /// Lets the threads end, and waits until they have.
    pub(in crate::sqlite) fn join(self) {
        drop(self.queue);
        join(self.threads);
    }
}

/// Waits until these threads of the store have ended.
pub(in crate::sqlite) fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
    }
}
