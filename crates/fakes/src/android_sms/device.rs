//! The phone with the app on it: what it holds, and how a text leaves it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    hooks::{Due, Hook},
    inbox::Inbound,
    outbox::{Outgoing, Source, Step},
    settings::{Faults, SendFault, Sim, Timing},
};
use crate::{
    stamp::{iso, now_ms},
    wire::{Troubles, lock},
};

/// A text as a contact's phone shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The number that it came from.
    pub from: String,
    /// What it says.
    pub text: String,
    /// The names and sizes of what came with it.
    pub files: Vec<(String, usize)>,
    /// The id that the caller gave. No phone shows it; it is here for tests.
    pub id: String,
}

/// A text that Android sent, in order. Two with the same id are a text that went out twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedOut {
    /// The message's id.
    pub id: String,
    /// Whom it went to.
    pub to: String,
    /// What it says.
    pub text: String,
    /// The SIM, 1-based.
    pub sim: usize,
}

#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    /// Its id on the server, if it is registered there.
    pub(super) cloud_id: Option<String>,
    pub(super) name: String,
    pub(super) created: i64,
    pub(super) sims: Vec<Sim>,
    pub(super) skew_ms: i64,
    pub(super) offset_minutes: i64,
    pub(super) signing_key: String,
    pub(super) settings: Value,
    pub(super) timing: Timing,
    pub(super) faults: Faults,
    pub(super) send_faults: VecDeque<SendFault>,
    /// The app runs. If it does not, nothing is sent, served or told.
    pub(super) running: bool,
    /// The phone is out of reach of every network.
    pub(super) away: bool,
    pub(super) outbox: Vec<Outgoing>,
    pub(super) inbox: Vec<Inbound>,
    /// The phone's own store of texts, which a refresh reads.
    pub(super) store: Vec<Inbound>,
    /// What waits in the network for a phone that is away.
    pub(super) in_network: Vec<Inbound>,
    pub(super) next_mms: i32,
    pub(super) hooks: Vec<Hook>,
    pub(super) due: Vec<Due>,
    pub(super) tokens: HashMap<String, i64>,
    pub(super) contacts: BTreeMap<String, Vec<Shown>>,
    pub(super) carried_out: Vec<CarriedOut>,
    last_number: u64,
}

impl App {
    /// The phone's clock.
    pub(super) fn now(&self) -> i64 {
        now_ms() + self.skew_ms
    }

    pub(super) fn outgoing(&self, id: &str) -> Option<&Outgoing> {
        self.outbox.iter().find(|message| message.id == id)
    }

    pub(super) fn outgoing_mut(&mut self, id: &str) -> Option<&mut Outgoing> {
        self.outbox.iter_mut().find(|message| message.id == id)
    }

    /// Puts a message into the queue; `false` if its id is known.
    pub(super) fn enqueue(&mut self, mut message: Outgoing) -> bool {
        if self.outgoing(&message.id).is_some() {
            return false;
        }
        self.last_number += 1;
        message.number = self.last_number;
        self.outbox.push(message);
        true
    }

    /// The message whose turn it is: by priority, then the newest first unless the settings say FIFO.
    pub(super) fn next(&self) -> Option<String> {
        if !self.running || self.away || self.faults.hold {
            return None;
        }
        let fifo = self.settings["messages"]["processing_order"] == json!("FIFO");
        self.outbox
            .iter()
            .filter(|message| message.step() == Step::Pending && !message.begun)
            .filter(|message| message.not_before.is_none_or(|at| at <= self.now()))
            .max_by_key(|message| {
                let number = i64::try_from(message.number).unwrap_or(i64::MAX);
                (message.priority, if fifo { -number } else { number })
            })
            .map(|message| message.id.clone())
    }

    /// Takes a recipient's message a step on and tells of it.
    pub(super) fn advance(&mut self, id: &str, recipient: usize, step: Step, error: Option<&str>) {
        let (now, offset) = (self.now(), self.offset_minutes);
        let Some(message) = self.outgoing_mut(id) else { return };
        let advanced = message.advance(recipient, step, error, now);
        // A receipt comes for each part: told again although nothing is new.
        if !advanced && step != Step::Delivered {
            return;
        }
        let Some(number) = message.recipients.get(recipient).map(|of| of.number.clone()) else {
            return;
        };
        let at = iso(now, offset);
        let parts = message.content.text().encode_utf16().count().div_ceil(160).max(1);
        let (event, mut payload) = match step {
            Step::Sent => ("sms:sent", json!({ "partsCount": parts, "sentAt": at })),
            Step::Delivered => ("sms:delivered", json!({ "deliveredAt": at })),
            Step::Failed => ("sms:failed", json!({ "reason": error, "failedAt": at })),
            Step::Cancelled => ("sms:cancelled", json!({ "cancelledAt": at })),
            _ => return,
        };
        payload["messageId"] = json!(id);
        payload["recipient"] = json!(number);
        self.tell(event, &payload);
    }

    /// Android sends: the contact has it.
    pub(super) fn carry_out(&mut self, id: &str, recipient: usize, piece: bool) {
        let Some(message) = self.outgoing(id) else { return };
        let Some(to) = message.recipients.get(recipient).map(|of| of.number.clone()) else {
            return;
        };
        let sim = message.sim.unwrap_or(1);
        let mut text = message.content.text();
        if piece {
            text = text.chars().take(153).collect();
        }
        let files = match &message.content {
            super::outbox::Content::Mms { files, .. } => {
                files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect()
            }
            _ => Vec::new(),
        };
        let from = self.sims.get(sim - 1).map(|sim| sim.number.clone()).unwrap_or_default();
        let shown = Shown { from, text: text.clone(), files, id: id.to_owned() };
        self.contacts.entry(to.clone()).or_default().push(shown);
        self.carried_out.push(CarriedOut { id: id.to_owned(), to, text, sim });
    }

    /// Those of one way alone, newest first.
    pub(super) fn listed(&self, source: Source) -> Vec<&Outgoing> {
        let mut all: Vec<&Outgoing> =
            self.outbox.iter().filter(|message| message.source == source).collect();
        all.sort_by_key(|message| std::cmp::Reverse((message.created, message.number)));
        all
    }

    /// The device, as both modes list it.
    pub(super) fn shown_device(&self, id: &str) -> Value {
        let sims: Vec<Value> = self
            .sims
            .iter()
            .enumerate()
            .map(|(slot, sim)| {
                let mut shown = json!({
                    "slotIndex": slot, "simNumber": slot + 1, "carrierName": sim.carrier,
                    "iccid": format!("890126{slot:013}"),
                });
                if sim.knows_number {
                    shown["phoneNumber"] = json!(sim.number);
                }
                shown
            })
            .collect();
        let time = |at| iso(at, self.offset_minutes);
        json!({ "id": id, "name": self.name, "createdAt": time(self.created),
                "updatedAt": time(self.now()), "lastSeen": time(self.now()), "simCards": sims })
    }
}

pub(super) struct Device {
    app: Mutex<App>,
    changed: watch::Sender<u64>,
    pub(super) troubles: Arc<Troubles>,
}

impl Device {
    pub(super) fn new() -> Arc<Self> {
        let app = App {
            id: nano_id(),
            cloud_id: None,
            name: "Google/Pixel".to_owned(),
            created: now_ms(),
            sims: vec![Sim {
                number: "+14155550199".to_owned(),
                knows_number: true,
                carrier: "Carrier".to_owned(),
            }],
            skew_ms: 0,
            offset_minutes: 60,
            signing_key: "k3yOf8ch".to_owned(),
            settings: json!({
                "messages": { "processing_order": "LIFO", "send_interval_min": null, "send_interval_max": null,
                              "limit_period": "Disabled", "limit_value": null, "sim_selection_mode": "OSDefault" },
                "webhooks": { "internet_required": true, "retry_count": 15 },
                "ping": { "interval_seconds": null },
                "logs": { "lifetime_days": 30 },
            }),
            timing: Timing::default(),
            faults: Faults::default(),
            send_faults: VecDeque::new(),
            running: true,
            away: false,
            outbox: Vec::new(),
            inbox: Vec::new(),
            store: Vec::new(),
            in_network: Vec::new(),
            next_mms: 1,
            hooks: Vec::new(),
            due: Vec::new(),
            tokens: HashMap::new(),
            contacts: BTreeMap::new(),
            carried_out: Vec::new(),
            last_number: 0,
        };
        Arc::new(Self {
            app: Mutex::new(app),
            changed: watch::Sender::new(0),
            troubles: Arc::default(),
        })
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut App) -> T) -> T {
        look(&mut lock(&self.app))
    }

    /// Changes something that the workers wait for.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut App) -> T) -> T {
        let result = change(&mut lock(&self.app));
        self.changed.send_modify(|version| *version += 1);
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// An id as the app makes them: 21 letters.
pub(super) fn nano_id() -> String {
    let bytes = [uuid::Uuid::now_v7().into_bytes(), uuid::Uuid::now_v7().into_bytes()].concat();
    let mut id = data_encoding::BASE64URL_NOPAD.encode(&bytes).replace(['-', '_'], "x");
    // The end of it is random, the beginning a time.
    id.split_off(id.len() - 21)
}
