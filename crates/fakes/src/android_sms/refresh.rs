//! Reading the phone's own store of texts into the inbox (`ReceiverService.export`).

use serde_json::{Value, json};

use super::{device::App, inbox::Inbound};
use crate::stamp::parse_iso;

/// How many messages a batch has at most.
const BATCH: usize = 100;

/// Reads a period. What the inbox has already is skipped, and so is never told again.
pub(super) fn run(app: &mut App, body: &Value, told_by_default: bool) -> Result<(), String> {
    let time = |name: &str| body.get(name).and_then(Value::as_str).and_then(parse_iso);
    let (Some(since), Some(until)) = (time("since"), time("until")) else {
        return Err("since and until are required".to_owned());
    };
    if since > until {
        return Err("since must be before until".to_owned());
    }
    let types: Vec<&str> = match body.get("messageTypes").and_then(Value::as_array) {
        Some(types) => types.iter().filter_map(Value::as_str).collect(),
        None => vec!["SMS"],
    };
    let delivery = if app.faults.newer {
        body.get("webhookDelivery").and_then(Value::as_str).unwrap_or("Disabled").to_owned()
    } else {
        let told = body.get("triggerWebhooks").and_then(Value::as_bool).unwrap_or(told_by_default);
        if told { "Individual" } else { "Disabled" }.to_owned()
    };
    let mut found: Vec<Inbound> = app
        .store
        .iter()
        .filter(|item| (since..=until).contains(&item.stamp))
        .filter(|item| types.iter().any(|kind| item.kind.starts_with(kind)))
        .cloned()
        .collect();
    found.sort_by_key(|item| item.stamp);
    let mut new = Vec::new();
    for item in found {
        if app.take_in(item.clone()) {
            new.push(item);
        }
    }
    match delivery.as_str() {
        "Individual" => {
            for item in &new {
                let (event, payload) = app.inbound_event(item);
                app.tell(event, &payload);
            }
        }
        "Batch" => batches(app, &new),
        _ => {}
    }
    Ok(())
}

/// Up to a hundred payloads of one kind in an event, in order of time.
fn batches(app: &mut App, new: &[Inbound]) {
    for (single, batch) in [
        ("sms:received", "sms:batch:received"),
        ("sms:data-received", "sms:batch:data-received"),
        ("mms:received", "mms:batch:received"),
        ("mms:downloaded", "mms:batch:downloaded"),
    ] {
        let payloads: Vec<Value> = new
            .iter()
            .map(|item| app.inbound_event(item))
            .filter(|(event, _)| *event == single)
            .map(|(_, payload)| payload)
            .collect();
        for messages in payloads.chunks(BATCH) {
            app.tell(batch, &json!({ "messages": messages }));
        }
    }
}
