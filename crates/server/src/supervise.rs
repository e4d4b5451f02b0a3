//! No part of the server is half alive: a task that panics is begun anew, or the server says that it has failed.
//!
//! What keeps its state in the store, or in structures that a panic can't leave half-changed, is begun anew
//! ([`Supervisor::restart`]). The tasks of the delivery engine share a state in memory of which nothing is
//! known after a panic: a new process finds all of it in the store, so the server asks for one ([`Vital`]).

use std::{panic::AssertUnwindSafe, sync::Arc, thread, time::Duration};

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The pause before a task that has panicked is begun anew: one that panics each time must not fill the log.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The tasks of a server that live as long as it does.
#[derive(Debug)]
pub(crate) struct Supervisor {
    tasks: TaskTracker,
    failure: FailedPart,
}

/// Which part of the server has failed, if one has.
#[derive(Debug, Clone)]
pub(crate) struct FailedPart(Arc<watch::Sender<Option<&'static str>>>);

impl Supervisor {
    pub(crate) fn new() -> Self {
        Self { tasks: TaskTracker::new(), failure: FailedPart(Arc::new(watch::Sender::new(None))) }
    }

    /// Runs a task that is begun anew when it panics. After `stop` it gets one last time.
    pub(crate) fn restart<F>(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        begin: impl Fn() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = stop.clone();
        self.tasks.spawn(async move {
            loop {
                let is_last = stop.is_cancelled();
                if AssertUnwindSafe(begin()).catch_unwind().await.is_ok() {
                    return;
                }
                tracing::error!(task = name, "a task panicked");
                if is_last {
                    return;
                }
                let _ = stop.run_until_cancelled(tokio::time::sleep(RESTART_PAUSE)).await;
            }
        });
    }

    /// Runs a task whose panic the server does not survive.
    pub(crate) fn vital(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let vital = self.failure.guard(name);
        self.tasks.spawn(async move {
            let _vital = vital;
            task.await;
        });
    }

    pub(crate) fn failure(&self) -> &FailedPart {
        &self.failure
    }

    /// Waits until all tasks have ended.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl FailedPart {
    /// For as long as this lives, a panic means that the server has failed.
    pub(crate) fn guard(&self, name: &'static str) -> Vital {
        Vital { name, failure: self.clone() }
    }

    /// Returns when a part has failed, with its name.
    pub(crate) async fn wait(&self) -> &'static str {
        let mut failure = self.0.subscribe();
        let failed = failure.wait_for(Option::is_some).await.ok().and_then(|name| *name);
        match failed {
            Some(name) => name,
            // Not while the sender is borrowed.
            None => std::future::pending().await,
        }
    }
}

/// A part of the server that must not panic.
#[derive(Debug)]
pub(crate) struct Vital {
    name: &'static str,
    failure: FailedPart,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(task = self.name, "a task panicked that the server can't do without");
            self.failure.0.send_replace(Some(self.name));
        }
    }
}
