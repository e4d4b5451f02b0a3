//! What belongs to one child: its output, its subscriptions, the poison of its lane.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{failure::Failure, text::render};
use crate::imsg::{settings::Settings, state::Shared};

/// What the child says.
#[derive(Debug)]
pub(crate) enum Said {
    /// On stdout.
    Out(String),
    /// On stderr.
    Err(String),
}

/// A request that was admitted.
#[derive(Debug)]
pub(crate) struct Job {
    /// None is a notification.
    pub id: Option<Value>,
    pub method: String,
    pub params: Map<String, Value>,
}

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Subscriptions of one child; those of the database and those of the helper's events share the ids.
#[derive(Default)]
pub(crate) struct Subscriptions {
    last: u64,
    running: BTreeMap<u64, Option<JoinHandle<()>>>,
    /// Subscriptions whose answer has not been written yet.
    ready: Vec<(u64, Task)>,
    closed: bool,
}

/// One process.
pub(crate) struct Child {
    pub shared: Arc<Shared>,
    pub number: u64,
    /// What it says its version is: `IMSG_VERSION` can have it lie.
    pub version: String,
    /// The Mac's settings, with the version that was installed when it began.
    pub settings: Settings,
    pub database: String,
    said: mpsc::Sender<Said>,
    died: Mutex<Option<oneshot::Sender<()>>>,
    pub outstanding: watch::Sender<usize>,
    poison: Mutex<Option<Value>>,
    subscriptions: Mutex<Subscriptions>,
}

impl Child {
    pub(crate) fn new(
        shared: Arc<Shared>,
        number: u64,
        [installed, version]: [String; 2],
        database: String,
        said: mpsc::Sender<Said>,
        died: oneshot::Sender<()>,
    ) -> Arc<Self> {
        let mut settings = shared.settings.clone();
        settings.version = installed;
        Arc::new(Self {
            shared,
            number,
            version,
            settings,
            database,
            said,
            died: Mutex::new(Some(died)),
            outstanding: watch::Sender::new(0),
            poison: Mutex::new(None),
            subscriptions: Mutex::default(),
        })
    }

    /// Answers a request; a notification is never answered.
    pub(crate) async fn answer(&self, id: Option<&Value>, result: Result<Value, Failure>) {
        let Some(id) = id else { return };
        let answer = match result {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(failure) => json!({ "jsonrpc": "2.0", "id": id, "error": failure.to_json() }),
        };
        self.say(&answer).await;
    }

    /// Sends a notification.
    pub(crate) async fn notify(&self, method: &str, params: &Value) {
        self.say(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    async fn say(&self, value: &Value) {
        // Nobody listens to a child that is gone.
        let _ = self.said.send(Said::Out(render(value))).await;
    }

    pub(crate) async fn noise(&self, line: &str) {
        let _ = self.said.send(Said::Err(line.to_owned())).await;
    }

    /// Dies at once, and never returns.
    pub(crate) async fn die(&self) {
        if let Some(died) = lock(&self.died).take() {
            let _ = died.send(());
        }
        std::future::pending::<()>().await;
    }

    /// Blocks the lane of mutations until this child is restarted.
    pub(crate) fn poison(&self, failure: &Failure) {
        *lock(&self.poison) = Some(failure.data.clone());
    }

    pub(crate) fn check_lane(&self) -> Result<(), Failure> {
        lock(&self.poison).clone().map_or(Ok(()), |earlier| Err(Failure::lane_blocked(earlier)))
    }

    /// Takes an id for a subscription. At most 64, pending ones included.
    pub(crate) fn subscribe(&self, make: impl FnOnce(u64) -> Task) -> Result<u64, Failure> {
        let mut subscriptions = lock(&self.subscriptions);
        if subscriptions.closed {
            return Err(Failure::busy("server is shutting down"));
        }
        if subscriptions.running.len() >= 64 {
            return Err(Failure::busy("subscription limit exceeded"));
        }
        subscriptions.last += 1;
        let id = subscriptions.last;
        subscriptions.running.insert(id, None);
        subscriptions.ready.push((id, make(id)));
        Ok(id)
    }

    /// Starts the subscriptions whose answers are written.
    pub(crate) fn activate(&self) {
        let mut subscriptions = lock(&self.subscriptions);
        for (id, task) in std::mem::take(&mut subscriptions.ready) {
            subscriptions.running.insert(id, Some(tokio::spawn(task)));
        }
    }

    /// Forgets a subscription that has ended by itself.
    pub(crate) fn ended(&self, id: u64) {
        lock(&self.subscriptions).running.remove(&id);
    }

    /// Ends a subscription: nothing of it comes after this.
    pub(crate) async fn unsubscribe(&self, id: u64) {
        let task = lock(&self.subscriptions).running.remove(&id).flatten();
        end(task).await;
    }

    /// Ends all subscriptions, and takes no more.
    pub(crate) async fn close_subscriptions(&self) {
        let running = {
            let mut subscriptions = lock(&self.subscriptions);
            subscriptions.closed = true;
            subscriptions.ready.clear();
            std::mem::take(&mut subscriptions.running)
        };
        for task in running.into_values() {
            end(task).await;
        }
    }
}

async fn end(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        task.abort();
        // Cancelled, as it was told to be.
        let _ = task.await;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
