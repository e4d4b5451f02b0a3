//! All that the Mac is, behind one lock.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use serde_json::Value;
use tokio::sync::{broadcast, watch};

use super::{
    database::Database,
    fault::{Fault, Stage},
    gate::{Automation, Helper, Protection},
    phone::Phone,
    settings::{MacOs, Settings},
};

/// Something that imsg has really done in Messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// The method that asked for it.
    pub method: String,
    /// The child that asked, counted from 1.
    pub child: u64,
    /// The guid of the chat.
    pub chat: String,
    /// The guid of the message that it made or changed.
    pub guid: Option<String>,
    /// The text, reaction, name or address.
    pub text: String,
}

/// What befalls all subscriptions at once.
#[derive(Debug, Clone)]
pub(crate) enum Disturbance {
    /// The buffer is full.
    Overflow,
    /// The source fails; the text of the `error` notification.
    Error(String),
    /// The event log fails; `code` and `message` of `bridge.events.error`.
    EventsError(String, String),
}

/// What is so for all subscriptions until it is changed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WatchFaults {
    pub silent: bool,
    pub duplicates: bool,
    pub reversed: bool,
}

/// The state of the Mac.
#[derive(Debug)]
pub(crate) struct State {
    pub db: Database,
    /// Why `chat.db` can't be opened.
    pub db_error: Option<String>,
    pub automation: Automation,
    pub helper: Helper,
    pub protection: Protection,
    /// Library validation of macOS, which keeps the helper out of Messages.
    pub validation: bool,
    pub phones: BTreeMap<String, Phone>,
    pub mutations: Vec<Mutation>,
    /// Guids that tracked sends have reserved.
    pub reserved: BTreeSet<String>,
    pub faults: BTreeMap<String, VecDeque<Fault>>,
    pub watch: WatchFaults,
    pub held: Option<Stage>,
    pub waiting: usize,
    pub macos: MacOs,
    pub version: String,
    /// Whether each child says something harmless on stderr.
    pub noise: bool,
    /// Whether children refuse to start: an update in progress.
    pub broken: bool,
    /// The Mac sleeps: nothing begins.
    pub asleep: bool,
    /// Groups get guids with `;-;` (macOS 26).
    pub groups_as_direct: bool,
    pub children: u64,
    pub running: BTreeSet<u64>,
    pub calls: BTreeMap<String, u64>,
    pub files: u64,
    /// Chats that rows will be joined to, by ROWID.
    pub unjoined: BTreeMap<i64, i64>,
}

/// The Mac, as its parts share it.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    pub events: broadcast::Sender<Value>,
    pub disturb: broadcast::Sender<Disturbance>,
    pub settings: Settings,
    pub dir: PathBuf,
    /// How many writes a watch has looked at.
    pub watched: AtomicU64,
    /// How many rows watches have dropped because they belonged to no chat.
    pub dropped: AtomicU64,
}

impl Shared {
    pub(crate) fn new(settings: Settings, dir: PathBuf) -> Arc<Self> {
        let state = State {
            // A database that has been in use for long.
            db: Database::new(4100),
            db_error: None,
            automation: Automation::Granted,
            helper: Helper::Present,
            protection: Protection::Disabled,
            validation: false,
            phones: BTreeMap::new(),
            mutations: Vec::new(),
            reserved: BTreeSet::new(),
            faults: BTreeMap::new(),
            watch: WatchFaults::default(),
            held: None,
            waiting: 0,
            macos: settings.macos,
            version: settings.version.clone(),
            noise: true,
            broken: false,
            asleep: false,
            groups_as_direct: false,
            children: 0,
            running: BTreeSet::new(),
            calls: BTreeMap::new(),
            files: 0,
            unjoined: BTreeMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(4096),
            disturb: broadcast::Sender::new(16),
            settings,
            dir,
            watched: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, and wakes whoever waits for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Tells of each change from here on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns once the condition holds.
    pub(crate) async fn until(&self, holds: impl Fn(&State) -> bool) {
        let mut changes = self.changes();
        while !self.look(&holds) {
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }

    /// Waits as long as this stage is held.
    pub(crate) async fn pass(&self, stage: Stage) {
        if self.look(|state| state.held != Some(stage)) {
            return;
        }
        let _waiting = Waiting::new(self);
        self.until(|state| state.held != Some(stage)).await;
    }

    /// The next fault of a method, which is used up by this.
    pub(crate) fn fault(&self, method: &str) -> Option<Fault> {
        let any =
            self.look(|state| state.faults.get(method).is_some_and(|queue| !queue.is_empty()));
        any.then(|| self.change(|state| state.faults.get_mut(method)?.pop_front())).flatten()
    }
}

/// Counts one that is held, for as long as it is.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.change(|state| state.waiting += 1);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting -= 1);
    }
}
