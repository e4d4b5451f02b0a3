//! An Android phone with the SMS Gateway app (`capcom6/android-sms-gateway`), and its private server
//! (`android-sms-gateway/server`), on loopback, in the test's own process.
//!
//! [`Phone`] is the phone with the server that the app runs on it (local mode); [`Cloud`] is the server between,
//! with phones registered. A phone can be both at once: each way lists its own messages alone.
//! [`Phone::received_by`] is what a contact's phone really shows, and [`Phone::carried_out`] every text that
//! Android sent; both know better than any answer.
//!
//! Times are real and short ([`Timing`]); what goes wrong is ordered by [`Faults`], [`SendFault`],
//! [`ServerFaults`] and [`Trouble`].

mod answers;
mod cloud;
mod cloud_routes;
mod device;
mod hooks;
mod inbox;
mod local;
mod outbox;
mod refresh;
mod request;
mod settings;
mod worker;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::JoinHandle;

pub use cloud::Cloud;
pub use device::{CarriedOut, Shown};
pub use settings::{Faults, SendFault, ServerFaults, ServerTiming, Sim, Timing};

use crate::wire::{File, Listener, Seen, Trouble, lock};
use device::{App, Device, nano_id};
use inbox::{Inbound, hash};

/// A phone with the app, and the app's own server. Both stop when it is dropped.
pub struct Phone {
    device: Arc<Device>,
    listener: Arc<Listener>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Phone {
    /// A phone with one SIM, whose app knows this user.
    pub async fn start(user: &str, password: &str) -> io::Result<Self> {
        let device = Device::new();
        let login = Arc::new((user.to_owned(), password.to_owned()));
        let router = local::router(&local::Local { device: Arc::clone(&device), login });
        let listener = Arc::new(Listener::start(router, Arc::clone(&device.troubles)).await?);
        let tasks = vec![
            tokio::spawn(Arc::clone(&device).work()),
            tokio::spawn(hooks::run(Arc::clone(&device))),
            tokio::spawn(die_with_the_app(Arc::clone(&device), Arc::clone(&listener))),
        ];
        Ok(Self { device, listener, tasks: Mutex::new(tasks) })
    }

    fn device(&self) -> Arc<Device> {
        Arc::clone(&self.device)
    }

    /// Where the app listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Its id in local mode.
    pub fn id(&self) -> String {
        self.device.look(|app| app.id.clone())
    }

    /// The key that signs webhooks.
    pub fn signing_key(&self) -> String {
        self.device.look(|app| app.signing_key.clone())
    }

    /// Changes the SIMs.
    pub fn sims(&self, change: impl FnOnce(&mut Vec<Sim>)) {
        self.device.change(|app| change(&mut app.sims));
    }

    /// The phone's clock is this far ahead, in milliseconds, or behind.
    pub fn clock(&self, skew_ms: i64) {
        self.device.change(|app| app.skew_ms = skew_ms);
    }

    /// The phone's offset from UTC, in minutes.
    pub fn time_zone(&self, offset_minutes: i64) {
        self.device.change(|app| app.offset_minutes = offset_minutes);
    }

    /// Changes how long things take.
    pub fn timing(&self, change: impl FnOnce(&mut Timing)) {
        self.device.change(|app| change(&mut app.timing));
    }

    /// Changes what goes wrong until it is changed again.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        self.device.change(|app| change(&mut app.faults));
    }

    /// What goes wrong with the next send that has no fault yet; called again, with the one after it.
    pub fn fail_send(&self, fault: SendFault) {
        self.device.change(|app| app.send_faults.push_back(fault));
    }

    /// The next requests whose path contains this, so many, meet a trouble on their way.
    pub fn trouble(&self, path: &str, times: usize, trouble: Trouble) {
        self.device.troubles.add(None, path, times, trouble);
    }

    /// The same, for one method.
    pub fn trouble_with(&self, method: http::Method, path: &str, times: usize, trouble: Trouble) {
        self.device.troubles.add(Some(method), path, times, trouble);
    }

    /// No request meets a trouble any more.
    pub fn no_trouble(&self) {
        self.device.troubles.clear();
    }

    /// Every request that came to the app's server, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.device.troubles.seen()
    }

    /// What this contact's phone shows, oldest first.
    pub fn received_by(&self, person: &str) -> Vec<Shown> {
        self.device.look(|app| app.contacts.get(person).cloned().unwrap_or_default())
    }

    /// Every text that Android sent, in order.
    pub fn carried_out(&self) -> Vec<CarriedOut> {
        self.device.look(|app| app.carried_out.clone())
    }

    /// Every inbox id, as the app has them.
    pub fn inbox(&self) -> Vec<String> {
        self.device.look(|app| app.inbox.iter().map(Inbound::inbox_id).collect())
    }

    /// A contact writes to the first SIM.
    pub fn contact_writes(&self, from: &str, text: &str) {
        self.receive(from, text, 1, None);
    }

    /// A contact writes to a SIM (1-based). The network may have stamped it long ago.
    pub fn receive(&self, from: &str, text: &str, sim: usize, stamp_ms: Option<i64>) {
        self.device.change(|app| {
            let stamp = stamp_ms.unwrap_or_else(crate::stamp::now_ms);
            let id = hash(from, stamp, sim, text);
            app.arrive(inbound(id, "SMS", from, sim, text, stamp));
        });
    }

    /// A contact sends data, not text.
    pub fn receive_data(&self, from: &str, bytes: &str) {
        self.device.change(|app| {
            let stamp = crate::stamp::now_ms();
            let id = hash(from, stamp, 1, bytes);
            app.arrive(inbound(id, "DATA_SMS", from, 1, bytes, stamp));
        });
    }

    /// A contact sends an MMS: first a notice, then, unless `only_notice`, its content.
    pub fn receive_mms(
        &self,
        from: &str,
        body: &str,
        subject: Option<&str>,
        files: &[File],
        only_notice: bool,
    ) {
        self.device.change(|app| {
            let (id, stamp) = (app.next_mms, crate::stamp::now_ms());
            app.next_mms += 1;
            let content = Inbound {
                subject: subject.map(str::to_owned),
                files: files.to_vec(),
                ..inbound(id, "MMS_DOWNLOADED", from, 1, body, stamp)
            };
            let notice =
                Inbound { kind: "MMS", text: String::new(), files: Vec::new(), ..content.clone() };
            app.arrive(notice);
            if !only_notice {
                app.arrive(content);
            }
        });
    }

    /// The phone is out of reach, or back. Texts to it wait in the network meanwhile, and keep their stamp.
    pub async fn away(&self, away: bool) -> io::Result<()> {
        self.device.change(|app| app.away = away);
        if away {
            self.listener.stop().await;
            return Ok(());
        }
        self.device.change(|app| {
            for inbound in std::mem::take(&mut app.in_network) {
                app.arrive(inbound);
            }
        });
        self.listener.start_again().await
    }

    /// The app is killed. What comes in meanwhile is in the phone's own store alone.
    pub async fn kill_app(&self) {
        self.device.change(|app| app.running = false);
        self.listener.stop().await;
    }

    /// Whether the app runs.
    pub fn app_runs(&self) -> bool {
        self.device.look(|app| app.running)
    }

    /// The app starts. What was not noted as handed over goes out again.
    pub async fn start_app(&self) -> io::Result<()> {
        self.listener.start_again().await?;
        self.device.change(|app| {
            app.running = true;
            let sims = app.shown_device("")["simCards"].clone();
            app.tell("app:started", &serde_json::json!({ "simCards": sims }));
        });
        Ok(())
    }

    /// The app tells that it is there, as at its interval.
    pub fn ping(&self) {
        self.device.change(|app| {
            app.tell("system:ping", &serde_json::json!({ "health": { "status": "pass" } }));
        });
    }

    /// The app's database is gone: no message, no inbox. The phone's own store of texts stays. With `reinstalled`
    /// the app is new as well: another device id, another time of its installation, no webhook.
    pub fn wipe(&self, reinstalled: bool) {
        self.device.change(|app| {
            app.outbox.clear();
            app.inbox.clear();
            app.due.clear();
            if reinstalled {
                app.id = nano_id();
                app.created = crate::stamp::now_ms();
                app.hooks.clear();
            }
        });
    }

    /// Waits until this holds of the phone, at most so long.
    pub async fn until(&self, limit: Duration, so: impl Fn(&Self) -> bool) -> bool {
        let mut changes = self.device.changes();
        tokio::time::timeout(limit, async {
            while !so(self) {
                let _ = tokio::time::timeout(Duration::from_millis(10), changes.changed()).await;
            }
        })
        .await
        .is_ok()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// An app that is killed serves nothing.
async fn die_with_the_app(device: Arc<Device>, listener: Arc<Listener>) {
    let mut changes = device.changes();
    let mut ran = true;
    loop {
        let runs = device.look(|app| app.running);
        if ran && !runs {
            listener.stop().await;
        }
        ran = runs;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn inbound(id: i32, kind: &'static str, from: &str, sim: usize, text: &str, stamp: i64) -> Inbound {
    Inbound {
        id,
        kind,
        sender: from.to_owned(),
        sim,
        text: text.to_owned(),
        subject: None,
        files: Vec::new(),
        stamp,
    }
}

impl App {
    /// A message reaches the phone, and the app if it runs.
    fn arrive(&mut self, inbound: Inbound) {
        if self.away {
            self.in_network.push(inbound);
            return;
        }
        self.store.push(inbound.clone());
        if self.running && self.take_in(inbound.clone()) {
            let (event, payload) = self.inbound_event(&inbound);
            self.tell(event, &payload);
        }
    }
}
