//! The server between bridges and phones (`android-sms-gateway/server`): private, or somebody else's cloud.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    Phone, cloud_routes,
    device::{App, Device, nano_id},
    outbox::{Outgoing, Step},
    settings::{ServerFaults, ServerTiming},
};
use crate::{
    stamp::now_ms,
    wire::{Listener, Seen, Trouble, Troubles, lock},
};

/// A phone that is registered.
pub(super) struct Registered {
    pub(super) id: String,
    pub(super) device: Arc<Device>,
    pub(super) last_seen: i64,
}

/// A message as the server has it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) device: String,
    pub(super) created: i64,
    pub(super) accepted: Instant,
    /// What the phone is to be given; the phone makes states of it.
    pub(super) message: Outgoing,
    pub(super) fetched: bool,
    pub(super) cancelling: bool,
    /// What the phone reported last.
    pub(super) shown: Value,
    pub(super) changed: Instant,
}

impl Record {
    pub(super) fn state(&self) -> &str {
        self.shown["state"].as_str().unwrap_or("Pending")
    }
}

pub(super) struct ServerState {
    pub(super) timing: ServerTiming,
    pub(super) faults: ServerFaults,
    pub(super) devices: Vec<Registered>,
    pub(super) records: Vec<Record>,
    /// Until when it is remembered that there is no such message.
    pub(super) not_found: HashMap<String, Instant>,
    pub(super) hooks: BTreeMap<String, Value>,
    pub(super) tokens: HashMap<String, i64>,
    pub(super) settings: Value,
}

pub(super) struct Server {
    pub(super) login: Arc<(String, String)>,
    state: Mutex<ServerState>,
    pub(super) troubles: Arc<Troubles>,
}

impl Server {
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut ServerState) -> T) -> T {
        look(&mut lock(&self.state))
    }
}

/// The server, with its differences from a phone: an id is unique for each device only, "not found" is remembered,
/// there is no inbox, and the phone may be far away.
pub struct Cloud {
    server: Arc<Server>,
    listener: Listener,
    syncs: Mutex<Vec<JoinHandle<()>>>,
}

impl Cloud {
    /// A server on a port of its own that knows this user and no phone.
    pub async fn start(user: &str, password: &str) -> io::Result<Self> {
        let server = Arc::new(Server {
            login: Arc::new((user.to_owned(), password.to_owned())),
            state: Mutex::new(ServerState {
                timing: ServerTiming::default(),
                faults: ServerFaults::default(),
                devices: Vec::new(),
                records: Vec::new(),
                not_found: HashMap::new(),
                hooks: BTreeMap::new(),
                tokens: HashMap::new(),
                settings: json!({ "messages": { "processing_order": "LIFO" } }),
            }),
            troubles: Arc::default(),
        });
        let router = cloud_routes::router(&server);
        let listener = Listener::start(router, Arc::clone(&server.troubles)).await?;
        Ok(Self { server, listener, syncs: Mutex::default() })
    }

    /// The base of its calls: `http://127.0.0.1:PORT/api/3rdparty/v1`.
    pub fn url(&self) -> String {
        format!("{}/api/3rdparty/v1", self.listener.url())
    }

    /// Registers a phone. Answers its id here, which is not the one that it has in local mode.
    pub fn register(&self, phone: &Phone) -> String {
        let id = nano_id();
        let device = phone.device();
        device.change(|app| app.cloud_id = Some(id.clone()));
        self.server.look(|state| {
            state.devices.push(Registered {
                id: id.clone(),
                device: Arc::clone(&device),
                last_seen: now_ms(),
            });
        });
        let sync = tokio::spawn(sync(Arc::clone(&self.server), device, id.clone()));
        lock(&self.syncs).push(sync);
        id
    }

    /// Changes how long things take.
    pub fn timing(&self, change: impl FnOnce(&mut ServerTiming)) {
        self.server.look(|state| change(&mut state.timing));
    }

    /// Changes what goes wrong until it is changed again.
    pub fn faults(&self, change: impl FnOnce(&mut ServerFaults)) {
        self.server.look(|state| change(&mut state.faults));
    }

    /// It is remembered from now on that there is no message with this id, as if somebody had just asked.
    pub fn pin_not_found(&self, id: &str) {
        self.server.look(|state| {
            let until = Instant::now() + state.timing.not_found;
            state.not_found.insert(id.to_owned(), until);
        });
    }

    /// The phone was last seen so long ago.
    pub fn last_seen(&self, device: &str, ago: Duration) {
        self.server.look(|state| {
            for known in state.devices.iter_mut().filter(|known| known.id == device) {
                known.last_seen = now_ms() - i64::try_from(ago.as_millis()).unwrap_or(0);
            }
        });
    }

    /// The server is stopped; phones go on with what they have.
    pub async fn stop(&self) {
        self.listener.stop().await;
    }

    /// The server starts on the same port. Its memory of what was not found is gone.
    pub async fn start_again(&self) -> io::Result<()> {
        self.server.look(|state| state.not_found.clear());
        self.listener.start_again().await
    }

    /// The next requests whose path contains this, so many, meet a trouble on their way.
    pub fn trouble(&self, path: &str, times: usize, trouble: Trouble) {
        self.server.troubles.add(None, path, times, trouble);
    }

    /// The same, for one method.
    pub fn trouble_with(&self, method: http::Method, path: &str, times: usize, trouble: Trouble) {
        self.server.troubles.add(Some(method), path, times, trouble);
    }

    /// Every request that came, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.server.troubles.seen()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        for sync in lock(&self.syncs).drain(..) {
            sync.abort();
        }
    }
}

/// Carries messages to a phone and its reports back, whenever it can be reached.
async fn sync(server: Arc<Server>, device: Arc<Device>, id: String) {
    let mut changes = device.changes();
    loop {
        let _ = tokio::time::timeout(Duration::from_millis(3), changes.changed()).await;
        // First the device's lock is asked, then the server's, and never both at once.
        let reached = device.look(|app| app.running && !app.away);
        if !reached {
            continue;
        }
        let (fetch, cancel, asked) = server.look(|state| {
            let (push, no_push) = (state.timing.push, state.faults.no_push);
            for known in state.devices.iter_mut().filter(|known| known.id == id && !no_push) {
                known.last_seen = now_ms();
            }
            let mut fetch = Vec::new();
            let (mut cancel, mut asked) = (Vec::new(), Vec::new());
            for record in state.records.iter_mut().filter(|record| record.device == id) {
                if !record.fetched && !no_push && record.accepted.elapsed() >= push {
                    record.fetched = true;
                    fetch.push(record.message.clone());
                }
                if record.fetched {
                    asked.push(record.id.clone());
                }
                if record.cancelling && record.fetched {
                    record.cancelling = false;
                    cancel.push(record.id.clone());
                }
            }
            (fetch, cancel, asked)
        });
        let work = !fetch.is_empty() || !cancel.is_empty();
        let act = |app: &mut App| {
            for message in fetch {
                app.enqueue(message);
            }
            for message in cancel {
                let waits =
                    app.outgoing(&message).is_some_and(|m| m.step() == Step::Pending && !m.begun);
                if waits {
                    super::local::cancelled(app, &message);
                }
            }
        };
        if work {
            device.change(act);
        }
        let reports: Vec<(String, Value)> = device.look(|app| {
            let shown = |id: &String| {
                let message = app.outgoing(id)?;
                Some((
                    id.clone(),
                    message.shown(app.cloud_id.as_deref()?, true, app.offset_minutes),
                ))
            };
            asked.iter().filter_map(shown).collect()
        });
        server.look(|state| {
            if !state.faults.no_reports {
                report(state, &id, reports);
            }
        });
    }
}

/// What a phone reports. It tells of *Pending* as *Processed*.
fn report(state: &mut ServerState, device: &str, reports: Vec<(String, Value)>) {
    for (id, mut shown) in reports {
        let record =
            state.records.iter_mut().find(|record| record.id == id && record.device == device);
        let Some(record) = record else { continue };
        if shown["state"] == "Pending" {
            shown["state"] = json!("Processed");
            for recipient in shown["recipients"].as_array_mut().into_iter().flatten() {
                recipient["state"] = json!("Processed");
            }
        }
        if record.state() == "Cancelling" && shown["state"] == "Processed" {
            continue;
        }
        if record.shown != shown {
            record.shown = shown;
            record.changed = Instant::now();
        }
    }
}
