//! Webhooks, which the phone itself sends in both modes (`WebHooksService.kt`, `SendWebhookWorker.kt`).
//!
//! One worker empties the queue, so one slow receiver holds up all; what fails is tried again after a pause
//! that doubles, signed anew, and after the last try it is gone for ever.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::Instant;

use super::{
    device::{App, Device, nano_id},
    outbox::Source,
};

/// A registration.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) event: String,
    pub(super) source: Source,
}

impl Hook {
    pub(super) fn shown(&self) -> Value {
        json!({ "id": self.id, "url": self.url, "event": self.event })
    }
}

/// What waits to be told.
#[derive(Debug, Clone)]
pub(super) struct Due {
    url: String,
    body: Value,
    tries: u32,
    at: Instant,
}

const EVENTS: &[&str] = &[
    "sms:received",
    "sms:data-received",
    "mms:received",
    "mms:downloaded",
    "sms:sent",
    "sms:delivered",
    "sms:failed",
    "sms:cancelled",
    "system:ping",
    "app:started",
    "sms:batch:received",
    "sms:batch:data-received",
    "mms:batch:received",
    "mms:batch:downloaded",
];

impl App {
    /// Registers a webhook; the same id again is the same registration. Says what is wrong with it.
    pub(super) fn register(
        &mut self,
        source: Source,
        body: &Value,
        plain: bool,
    ) -> Result<Value, &'static str> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let (Some(url), Some(event)) = (text("url"), text("event")) else {
            return Err("url and event are required");
        };
        let on_itself = url.starts_with("http://127.0.0.1");
        if !(url.starts_with("https://") || (on_itself && plain)) {
            return Err("url must start with https:// or http://127.0.0.1");
        }
        if !EVENTS.contains(&event) {
            return Err("Unknown event");
        }
        let id = text("id").map_or_else(nano_id, str::to_owned);
        let hook = Hook { id: id.clone(), url: url.to_owned(), event: event.to_owned(), source };
        let shown = hook.shown();
        self.hooks.retain(|hook| hook.id != id);
        self.hooks.push(hook);
        Ok(shown)
    }

    /// Puts an event into the queue of everybody who registered for it. Its id is new for each.
    pub(super) fn tell(&mut self, event: &str, payload: &Value) {
        let hooks: Vec<Hook> =
            self.hooks.iter().filter(|hook| hook.event == event).cloned().collect();
        for hook in hooks {
            if self.faults.webhooks_lost {
                continue;
            }
            if self.faults.lose_webhooks > 0 {
                self.faults.lose_webhooks -= 1;
                continue;
            }
            let device = match hook.source {
                Source::Local => self.id.clone(),
                Source::Cloud => self.cloud_id.clone().unwrap_or_default(),
            };
            let body = json!({ "id": nano_id(), "webhookId": hook.id, "event": event,
                               "deviceId": device, "payload": payload });
            let due = Due { url: hook.url, body, tries: 0, at: Instant::now() };
            if self.faults.webhooks_twice {
                self.due.push(due.clone());
            }
            self.due.push(due);
        }
    }

    /// The next webhook to send, and how long to wait if none is due.
    fn next_due(&mut self) -> Result<Due, Duration> {
        let waits = Duration::from_millis(50);
        let internet_required = self.settings["webhooks"]["internet_required"] != json!(false);
        if !self.running || (self.faults.no_internet && internet_required) {
            return Err(waits);
        }
        let now = Instant::now();
        let ready = self.due.iter().enumerate().filter(|(_, due)| due.at <= now);
        let at = if self.faults.webhooks_reversed {
            ready.max_by_key(|(at, due)| (due.at, *at))
        } else {
            ready.min_by_key(|(at, due)| (due.at, *at))
        };
        match at.map(|(at, _)| at) {
            Some(at) => Ok(self.due.remove(at)),
            None => Err(self
                .due
                .iter()
                .map(|due| due.at.saturating_duration_since(now))
                .min()
                .unwrap_or(waits)
                .min(waits)),
        }
    }

    /// The time by the phone's clock and the signature over body and time.
    fn sign(&self, body: &[u8]) -> (String, String) {
        let timestamp = (self.now() / 1_000).to_string();
        let key = if self.faults.sign_wrongly { "another key" } else { self.signing_key.as_str() };
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
        mac.update(body);
        mac.update(timestamp.as_bytes());
        let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        (timestamp, signature)
    }
}

/// Empties the queue for as long as the phone exists.
pub(super) async fn run(device: Arc<Device>) {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client without settings of its own");
    let mut wakes = device.changes();
    loop {
        let next = device.look(App::next_due);
        let mut due = match next {
            Ok(due) => due,
            Err(wait) => {
                let _ = tokio::time::timeout(wait, wakes.changed()).await;
                continue;
            }
        };
        let body = due.body.to_string();
        let (timestamp, signature, timing) = device.look(|app| {
            let (timestamp, signature) = app.sign(body.as_bytes());
            (timestamp, signature, app.timing.clone())
        });
        let answer = http
            .post(&due.url)
            .header("content-type", "application/json")
            .header("x-timestamp", timestamp)
            .header("x-signature", signature)
            .timeout(timing.webhook_answer)
            .body(body)
            .send()
            .await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            continue;
        }
        due.tries += 1;
        device.look(|app| {
            let most = app.settings["webhooks"]["retry_count"].as_u64().unwrap_or(15);
            if u64::from(due.tries) <= most {
                due.at = Instant::now() + timing.webhook_retry * 2_u32.pow(due.tries.min(20) - 1);
                app.due.push(due);
            }
        });
    }
}
