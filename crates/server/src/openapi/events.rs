//! Events (§9): what webhooks are sent, and the data of each event.

use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use switchboard_model::{EventKind, Line, Timestamp, delivery::Delivery, signature::TOLERANCE_MS};

use super::{
    example,
    resources::CONTACT,
    schema::{EXAMPLE_MS, always, example_id, id, millis, object, only, reference},
};

/// The schemas of the deliveries of each event, by name.
pub(super) fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    let bodies = EventKind::ALL.map(body_name);
    let any: Vec<_> = bodies.iter().map(|name| reference(name)).collect();
    let about = "The body of a delivery: that of one of the events.";
    schemas.insert("DeliveryBody".to_owned(), json!({ "description": about, "oneOf": any }));
    schemas.extend(EventKind::ALL.map(|kind| (body_name(kind), delivery_body(kind))));
    schemas
}

/// What the body of this event's deliveries is called.
fn body_name(kind: EventKind) -> String {
    let words = kind.as_str().split('.');
    words.fold(String::new(), |name, word| name + &capitalised(word)) + "Body"
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// The schema of an event's data.
fn data(kind: EventKind) -> &'static str {
    match kind {
        EventKind::MessageReceived | EventKind::MessageSent | EventKind::MessageUpdated => {
            "MessageEvent"
        }
        EventKind::ReactionAdded | EventKind::ReactionRemoved => "ReactionEvent",
        EventKind::TypingStarted | EventKind::TypingStopped => "TypingEvent",
        EventKind::ReceiptRead => "ReceiptEvent",
        EventKind::MessageFailed => "FailedEvent",
        EventKind::LineStatus => "LineStatusEvent",
    }
}

/// The data of an event that did not happen: as in the examples, but on this line and now.
pub(crate) fn sample(
    kind: EventKind,
    schemas: &Map<String, Value>,
    line: Option<&Line>,
    now: Timestamp,
) -> Box<RawValue> {
    let mut data = example::of(&reference(data(kind)), schemas);
    let set = |data: &mut Value, name: &str, value: Value| {
        if let Some(field) = data.get_mut(name) {
            *field = value;
        }
    };
    for name in ["sent_at", "synced_at", "updated_at", "last_read_at", "created_at", "completed_at"]
    {
        set(&mut data, name, now.millis().into());
    }
    match kind {
        EventKind::MessageReceived => {
            set(&mut data, "sender", CONTACT.into());
            set(&mut data, "is_from_me", false.into());
            set(&mut data, "outbox_id", Value::Null);
        }
        EventKind::ReactionAdded => set(&mut data, "added", true.into()),
        EventKind::ReactionRemoved => set(&mut data, "added", false.into()),
        EventKind::TypingStarted => set(&mut data, "is_typing", true.into()),
        EventKind::TypingStopped => set(&mut data, "is_typing", false.into()),
        EventKind::MessageFailed => {
            set(&mut data, "status", "failed".into());
            set(&mut data, "error", "This is a test.".into());
            set(&mut data, "message_id", Value::Null);
        }
        EventKind::LineStatus => {
            if let Some(line) = line {
                let own = json!(line);
                for (name, value) in own.as_object().into_iter().flatten() {
                    set(&mut data, name, value.clone());
                }
            }
        }
        EventKind::MessageSent | EventKind::MessageUpdated | EventKind::ReceiptRead => {}
    }
    if let Some(line) = line {
        set(&mut data, "line_id", json!(line.id));
        set(&mut data, "line_handle", json!(line.handle));
    }
    to_raw_value(&data).expect("an example has only string keys")
}

fn when(kind: EventKind) -> &'static str {
    match kind {
        EventKind::MessageReceived => "Somebody wrote to a line",
        EventKind::MessageSent => "A message went out",
        EventKind::ReactionAdded => "A reaction was given",
        EventKind::ReactionRemoved => "A reaction was taken back",
        EventKind::TypingStarted => "Somebody began to type",
        EventKind::TypingStopped => "Somebody stopped typing",
        EventKind::ReceiptRead => "Somebody read a chat",
        EventKind::MessageFailed => "A write failed",
        EventKind::MessageUpdated => {
            "A message was edited, unsent, delivered or read, or something else became of it"
        }
        EventKind::LineStatus => "A line went up or down",
    }
}

/// What is to be known of an event beyond its summary.
fn more(kind: EventKind) -> &'static str {
    match kind {
        EventKind::MessageUpdated => {
            "The data is the message as it is now: `edited_at`, `unsent_at`, `delivered_at`, \
             `read_at` and `failed_at` say what became of it; `service` and `attachments` may change. What is \
             known when a message is sent, as that it was delivered at once, is in `message.sent` already. "
        }
        EventKind::MessageSent => {
            "One from the outbox has its `outbox_id`; one that the line's owner wrote on another device has \
             none. The bridge may tell of one from the outbox before it reports it: then it is told first \
             without its `outbox_id`, and once more with it. "
        }
        EventKind::MessageFailed => {
            "When nobody knew whether it was sent and it turns out that it was not, it is told once more, \
             with the true `error`; if it turns out that it was, `message.sent` is told. "
        }
        EventKind::LineStatus => "Or the reason why it is down has changed: `status` has it. ",
        EventKind::ReactionRemoved => {
            "A new reaction takes the place of the same sender's older one: that is removed first. "
        }
        _ => "",
    }
}

fn delivery_body(kind: EventKind) -> Value {
    let about = format!("The body of a delivery of `{}`.", kind.as_str());
    object(
        &about,
        vec![
            always("event", only(kind.as_str()), "What happened."),
            always("data", reference(data(kind)), "What it happened to."),
            always("timestamp", millis(), "When this attempt was signed."),
            always("delivery_id", id::<Delivery>(), "Stays the same over all attempts."),
        ],
    )
}

/// The section `webhooks`: one entry for each event.
pub(super) fn webhooks(schemas: &Map<String, Value>) -> Map<String, Value> {
    EventKind::ALL
        .into_iter()
        .map(|kind| (kind.as_str().to_owned(), json!({ "post": webhook(kind, schemas) })))
        .collect()
}

fn webhook(kind: EventKind, schemas: &Map<String, Value>) -> Value {
    let minutes = TOLERANCE_MS / 60_000;
    let words = kind.as_str().split('.');
    let id = words.fold("on".to_owned(), |name, word| name + &capitalised(word));
    let schema = reference(&body_name(kind));
    let example = example::of(&schema, schemas);
    json!({
        "operationId": id,
        "tags": ["Webhooks"],
        "summary": when(kind),
        "description": format!(
            "{}Sent to webhooks that name `{}`. Read on the live stream with the scope `{}`. Verify the \
             signature over the raw body before you parse it, and refuse a timestamp that is more than \
             {minutes} minutes off. A delivery that is not answered with 2xx is tried again for two \
             days, signed afresh, under the same `delivery_id`.",
            more(kind),
            kind.as_str(),
            kind.scope().as_str(),
        ),
        "security": [],
        "parameters": headers(),
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": schema, "example": example } },
        },
        "responses": { "2XX": { "description": "Received. Anything else is tried again." } },
    })
}

fn headers() -> Vec<Value> {
    let hex = "700c916409df8cefe4a61c3eeeb0b5a6d48c61ec79de96c00ae7e1d2523dc702";
    let seconds = (EXAMPLE_MS / 1000).to_string();
    [
        ("X-Webhook-Timestamp", EXAMPLE_MS.to_string(), "The body's `timestamp`, to the digit."),
        ("X-Webhook-Delivery-Id", example_id::<Delivery>(), "The body's `delivery_id`."),
        (
            "X-Webhook-Signature",
            hex.to_owned(),
            "Lower-case hex of the HMAC-SHA256 of `<timestamp>.<raw body>`, keyed with the UTF-8 \
             bytes of the whole secret.",
        ),
        ("webhook-id", example_id::<Delivery>(), "Standard Webhooks: the body's `delivery_id`."),
        ("webhook-timestamp", seconds, "Standard Webhooks: the timestamp, in **seconds**."),
        (
            "webhook-signature",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=".to_owned(),
            "Standard Webhooks: `v1,` and the base64 of the HMAC-SHA256 of \
             `<id>.<timestamp>.<raw body>`, keyed with what the base64 after `whsec_` holds.",
        ),
    ]
    .into_iter()
    .map(|(name, example, about)| {
        let schema = json!({ "type": "string", "examples": [example] });
        json!({ "name": name, "in": "header", "required": true, "description": about, "schema": schema })
    })
    .collect()
}
