//! What came in: the app's inbox, and the phone's own store under it (`IncomingMessagesService.kt`, `ReceiverService.kt`).

use serde_json::{Value, json};

use super::{device::App, settings::Faults};
use crate::{stamp::iso, wire::File};

/// A text or MMS from a contact.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub(super) id: i32,
    pub(super) kind: &'static str,
    pub(super) sender: String,
    /// 1-based.
    pub(super) sim: usize,
    pub(super) text: String,
    pub(super) subject: Option<String>,
    pub(super) files: Vec<File>,
    /// The network's stamp, which may lie days back.
    pub(super) stamp: i64,
}

impl Inbound {
    pub(super) fn is_mms(&self) -> bool {
        self.kind.starts_with("MMS")
    }

    /// As the inbox names it: the kind and a signed number.
    pub(super) fn inbox_id(&self) -> String {
        format!("{}:{}", if self.is_mms() { "mms" } else { "text" }, self.id)
    }

    /// As webhooks name it: the same number in hex.
    pub(super) fn webhook_id(&self) -> String {
        if self.is_mms() { self.id.to_string() } else { format!("{:08x}", self.id) }
    }

    fn shown_sender(&self, faults: &Faults) -> String {
        match self.sender.strip_prefix("+1") {
            Some(national) if faults.national_sender => national.to_owned(),
            _ => self.sender.clone(),
        }
    }
}

/// Java's hash of the sender, the time in seconds, the SIM and the text: 32 bits, so that two texts can share it.
pub(super) fn hash(sender: &str, stamp: i64, sim: usize, text: &str) -> i32 {
    let of = |text: &str| {
        text.encode_utf16()
            .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
    };
    let seconds = stamp / 1_000;
    #[expect(clippy::cast_possible_truncation, reason = "that is what Java does with a Long")]
    let parts = [of(sender), (seconds ^ (seconds >> 32)) as i32, sim as i32, of(text)];
    parts.iter().fold(1_i32, |hash, part| hash.wrapping_mul(31).wrapping_add(*part))
}

impl App {
    /// Takes a message into the inbox. One whose number is there already is thrown away, whatever it says.
    pub(super) fn take_in(&mut self, inbound: Inbound) -> bool {
        if self
            .inbox
            .iter()
            .any(|known| known.inbox_id() == inbound.inbox_id() && known.kind == inbound.kind)
        {
            return false;
        }
        self.inbox.push(inbound);
        true
    }

    pub(super) fn inbox_item(&self, inbound: &Inbound, attachments: bool) -> Value {
        let mut shown = json!({
            "id": inbound.inbox_id(),
            "type": inbound.kind,
            "sender": inbound.shown_sender(&self.faults),
            "contentPreview": preview(inbound),
            "createdAt": iso(inbound.stamp, self.offset_minutes),
            "attachments": [],
        });
        if !self.faults.null_recipient
            && let Some(sim) = self.sims.get(inbound.sim - 1)
        {
            shown["recipient"] = json!(sim.number);
        }
        if !self.faults.sim_null_in_inbox {
            shown["simNumber"] = json!(inbound.sim);
        }
        if attachments {
            let files: Vec<Value> = inbound
                .files
                .iter()
                .enumerate()
                .map(|(part, file)| {
                    json!({ "partId": part + 1, "name": file.name, "size": file.bytes.len(), "contentType": file.mime_type })
                })
                .collect();
            shown["attachments"] = json!(files);
        }
        shown
    }

    /// The event and the payload by which webhooks tell of it.
    pub(super) fn inbound_event(&self, inbound: &Inbound) -> (&'static str, Value) {
        let sender = inbound.shown_sender(&self.faults);
        let mut payload = json!({
            "messageId": inbound.webhook_id(),
            "sender": sender,
            "receivedAt": iso(inbound.stamp, self.offset_minutes),
        });
        if !self.faults.null_recipient
            && let Some(sim) = self.sims.get(inbound.sim - 1)
        {
            payload["recipient"] = json!(sim.number);
        }
        if !self.faults.sim_null_in_webhooks {
            payload["simNumber"] = json!(inbound.sim);
        }
        let event = match inbound.kind {
            "MMS" => {
                payload["transactionId"] = json!(format!("T{}", inbound.id));
                payload["size"] =
                    json!(inbound.files.iter().map(|file| file.bytes.len()).sum::<usize>());
                "mms:received"
            }
            "MMS_DOWNLOADED" => {
                if !inbound.text.is_empty() {
                    payload["body"] = json!(inbound.text);
                }
                let files: Vec<Value> = inbound
                    .files
                    .iter()
                    .enumerate()
                    .map(|(part, file)| {
                        json!({ "partId": part + 1, "contentType": file.mime_type, "name": file.name,
                                "size": file.bytes.len(),
                                "data": data_encoding::BASE64.encode(&file.bytes) })
                    })
                    .collect();
                payload["attachments"] = json!(files);
                "mms:downloaded"
            }
            "DATA_SMS" => {
                payload["data"] = json!(data_encoding::BASE64.encode(inbound.text.as_bytes()));
                "sms:data-received"
            }
            _ => {
                payload["message"] = json!(inbound.text);
                payload["phoneNumber"] = json!(sender);
                "sms:received"
            }
        };
        if inbound.is_mms()
            && let Some(subject) = &inbound.subject
        {
            payload["subject"] = json!(subject);
        }
        (event, payload)
    }
}

/// Of a text all of it, of data its first bytes in hex, of an MMS its body, else its subject.
fn preview(inbound: &Inbound) -> String {
    match inbound.kind {
        "DATA_SMS" => {
            let bytes = inbound.text.as_bytes();
            data_encoding::HEXLOWER.encode(bytes.get(..64).unwrap_or(bytes))
        }
        "MMS" | "MMS_DOWNLOADED" if inbound.text.is_empty() => {
            inbound.subject.clone().unwrap_or_else(|| "MMS content".to_owned())
        }
        _ => inbound.text.clone(),
    }
}
