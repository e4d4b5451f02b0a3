//! What the app is to send: its table of messages and their states (`MessagesDao.kt`, `MessagesService.kt`).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::stamp::iso;

/// Where a message stands. In this order when many recipients are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Pending,
    Cancelling,
    Cancelled,
    Processed,
    Sent,
    Delivered,
    Failed,
}

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Cancelling => "Cancelling",
            Self::Cancelled => "Cancelled",
            Self::Processed => "Processed",
            Self::Sent => "Sent",
            Self::Delivered => "Delivered",
            Self::Failed => "Failed",
        }
    }
}

/// Which way a message came; each way lists its own alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Local,
    Cloud,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Text(String),
    Data { base64: String, port: i64 },
    Mms { text: Option<String>, files: Vec<(String, Bytes)> },
}

impl Content {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Data { base64, .. } => base64.clone(),
            Self::Mms { text, .. } => text.clone().unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Recipient {
    pub(super) number: String,
    pub(super) step: Step,
    pub(super) error: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) id: String,
    pub(super) source: Source,
    pub(super) content: Content,
    pub(super) recipients: Vec<Recipient>,
    pub(super) sim: Option<usize>,
    pub(super) report: bool,
    /// The phone's time after which it fails instead of going out.
    pub(super) valid_until: Option<i64>,
    /// The phone's time before which it waits.
    pub(super) not_before: Option<i64>,
    pub(super) priority: i64,
    pub(super) created: i64,
    /// In order of arrival.
    pub(super) number: u64,
    /// Each state and when it was first reached, by the phone's clock.
    pub(super) states: Vec<(Step, i64)>,
    /// Android has it.
    pub(super) begun: bool,
}

impl Outgoing {
    /// The state of all recipients together.
    pub(super) fn step(&self) -> Step {
        for step in [Step::Pending, Step::Cancelling, Step::Cancelled, Step::Processed] {
            if self.recipients.iter().any(|recipient| recipient.step == step) {
                return step;
            }
        }
        for step in [Step::Failed, Step::Delivered] {
            if self.recipients.iter().all(|recipient| recipient.step == step) {
                return step;
            }
        }
        Step::Sent
    }

    /// A recipient's message gets on. What failed stays failed.
    pub(super) fn advance(
        &mut self,
        recipient: usize,
        step: Step,
        error: Option<&str>,
        now: i64,
    ) -> bool {
        let Some(of) = self.recipients.get_mut(recipient) else { return false };
        if of.step == Step::Failed || of.step == step {
            return false;
        }
        of.step = step;
        of.error = error.map(str::to_owned);
        let step = self.step();
        if self.states.iter().all(|(reached, _)| *reached != step) {
            self.states.push((step, now));
        }
        true
    }

    /// As the app shows it; null fields are left out.
    pub(super) fn shown(&self, device: &str, content: bool, offset: i64) -> Value {
        let mut shown = json!({
            "id": self.id,
            "deviceId": device,
            "state": self.step().name(),
            "isHashed": false,
            "isEncrypted": false,
        });
        if content {
            match &self.content {
                Content::Text(text) => shown["textMessage"] = json!({ "text": text }),
                Content::Data { base64, port } => {
                    shown["dataMessage"] = json!({ "data": base64, "port": port });
                }
                Content::Mms { text, files } => {
                    shown["mmsMessage"] = json!({ "attachments": files.len() });
                    if let Some(text) = text {
                        shown["mmsMessage"]["text"] = json!(text);
                    }
                }
            }
        }
        let recipients: Vec<Value> = self
            .recipients
            .iter()
            .map(|recipient| {
                let mut shown =
                    json!({ "phoneNumber": recipient.number, "state": recipient.step.name() });
                if let Some(error) = &recipient.error {
                    shown["error"] = json!(error);
                }
                shown
            })
            .collect();
        shown["recipients"] = json!(recipients);
        let states: Map<String, Value> = self
            .states
            .iter()
            .map(|(step, at)| (step.name().to_owned(), json!(iso(*at, offset))))
            .collect();
        shown["states"] = Value::Object(states);
        shown
    }
}
