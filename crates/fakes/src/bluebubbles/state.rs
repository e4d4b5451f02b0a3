//! All that the server and its Mac know, behind one lock.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    database::Database,
    phones::Phones,
    settings::{Faults, Mac, SendFault, Timing},
    watcher::Watcher,
    webhooks::Webhooks,
};
use crate::wire::{File, Troubles, lock};

/// What Messages carried out for the server, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedOut {
    /// `text`, `attachment`, `multipart` or `reaction`.
    pub kind: &'static str,
    /// `apple-script` or `private-api`.
    pub method: &'static str,
    /// The chat's guid, as the Mac has it.
    pub chat: String,
    /// The guid that Messages gave.
    pub guid: String,
    /// The text, or the reaction.
    pub text: String,
    /// The caller's `tempGuid`.
    pub temp_guid: Option<String>,
}

/// An action that the helper got (`PrivateApiService.ts`), with the chat that it names.
#[derive(Debug, Clone)]
pub struct HelperAction {
    /// `send-message`, `start-typing`, …
    pub action: &'static str,
    /// The chat's guid.
    pub chat: String,
    /// When.
    pub at: Instant,
}

/// A send that waits for its row (`messagePromise.ts`).
#[derive(Debug)]
pub(super) struct Awaiting {
    /// The part of the chat's guid after the service.
    pub(super) identifier: String,
    /// The text without all but ASCII letters and digits; a file's name without extension.
    pub(super) key: String,
    pub(super) is_file: bool,
    pub(super) not_before: i64,
    pub(super) until: Instant,
    pub(super) temp_guid: Option<String>,
    /// Told the guid of the row that matched, and whether it is an error.
    pub(super) found: Option<oneshot::Sender<(String, bool)>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) mac: Mac,
    pub(super) timing: Timing,
    pub(super) faults: Faults,
    pub(super) db: Database,
    pub(super) phones: Phones,
    pub(super) carried_out: Vec<CarriedOut>,
    pub(super) helper_actions: Vec<HelperAction>,
    pub(super) send_faults: VecDeque<SendFault>,
    /// The `tempGuid`s that are on their way (`sendCache`); gone when the request ends.
    pub(super) sending: HashSet<String>,
    pub(super) awaiting: Vec<Awaiting>,
    pub(super) webhooks: Webhooks,
    pub(super) watcher: Watcher,
    pub(super) uploads: HashMap<String, File>,
    pub(super) typing_told: HashMap<String, Instant>,
    /// Who is not on iMessage.
    pub(super) unavailable: HashSet<String>,
}

pub(super) struct Inner {
    pub(super) password: String,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// Held for some time by each action of the helper.
    pub(super) helper: Arc<tokio::sync::Mutex<()>>,
    pub(super) http: reqwest::Client,
    pub(super) troubles: Arc<Troubles>,
}

impl Inner {
    pub(super) fn new(password: &str) -> Self {
        Self {
            password: password.to_owned(),
            state: Mutex::new(State {
                mac: Mac::default(),
                timing: Timing::default(),
                faults: Faults::default(),
                db: Database::new(),
                phones: Phones::default(),
                carried_out: Vec::new(),
                helper_actions: Vec::new(),
                send_faults: VecDeque::new(),
                sending: HashSet::new(),
                awaiting: Vec::new(),
                webhooks: Webhooks::default(),
                watcher: Watcher::default(),
                uploads: HashMap::new(),
                typing_told: HashMap::new(),
                unavailable: HashSet::new(),
            }),
            changed: watch::Sender::new(0),
            helper: Arc::default(),
            http: reqwest::Client::new(),
            troubles: Arc::default(),
        }
    }

    /// Looks, without waking the watcher.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut lock(&self.state))
    }

    /// Changes what Messages' database holds; the watcher hears of it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.send_modify(|version| *version += 1);
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn timing(&self) -> Timing {
        self.look(|state| state.timing.clone())
    }

    /// Waits until this is so, at most so long.
    pub(super) async fn until(&self, limit: Duration, so: impl Fn(&State) -> bool) -> bool {
        let mut changes = self.changes();
        tokio::time::timeout(limit, async {
            while !self.look(|state| so(state)) {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
        .await
        .is_ok()
    }

    /// Does this after a pause; at once if there is none.
    pub(super) fn after(
        self: &Arc<Self>,
        pause: Duration,
        act: impl FnOnce(&mut State) + Send + 'static,
    ) {
        if pause.is_zero() {
            self.change(act);
            return;
        }
        let inner = Arc::clone(self);
        self.spawn(async move {
            tokio::time::sleep(pause).await;
            inner.change(act);
        });
    }

    /// What Messages does goes on even if the server stops.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}

/// A guid as Messages makes them.
pub(super) fn new_guid() -> String {
    uuid::Uuid::now_v7().hyphenated().to_string().to_uppercase()
}
