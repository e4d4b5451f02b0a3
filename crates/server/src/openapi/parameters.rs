//! What requests carry beside their bodies: the query, and headers.

use serde_json::{Map, Value, json};
use switchboard_model::{
    Delivery, File, OutboxItem, Replay, Webhook, event,
    file::MAX_NAME_BYTES,
    idempotency::MAX_KEY_LEN,
    page::{DEFAULT_LIMIT, MAX_LIMIT},
};

use super::{
    requests,
    schema::{EXAMPLE_MS, id, known, reference},
};

pub(super) enum Location {
    Query,
    /// A query parameter that may be repeated.
    Repeated,
    Header,
}

/// Every parameter, by the name under which operations refer to it.
pub(super) fn all() -> Map<String, Value> {
    use Location::{Header, Query, Repeated};
    let limit = json!({
        "type": "integer",
        "minimum": 1,
        "default": DEFAULT_LIMIT,
        "examples": [20],
    });
    let limit_about = format!("How many rows, at most {MAX_LIMIT}; more is taken as {MAX_LIMIT}.");
    let cursor = json!({ "type": "string", "format": "cursor" });
    let key = json!({
        "type": "string",
        "format": "idempotency-key",
        "pattern": "^[!-~]+$",
        "minLength": 1,
        "maxLength": MAX_KEY_LEN,
        "examples": ["5d1f3c0a-9f0e-4c62-b1d4-7e2a8c9f6b10"],
    });
    let key_about = format!(
        "Makes the request safe to repeat: within 24 hours the same request under the same key is \
         done once, and its first answer is given again. 1 to {MAX_KEY_LEN} visible ASCII characters."
    );
    let name = json!({
        "type": "string",
        "format": "filename",
        "examples": ["menu.pdf"],
    });
    let name_about = format!(
        "The file's name: UTF-8 or Latin-1 as it is, or percent-encoded UTF-8. Made safe: only its last \
         component is kept, at most {MAX_NAME_BYTES} bytes."
    );
    let place = json!({ "type": "integer", "format": "int64", "minimum": 0, "examples": [0] });
    let since =
        json!({ "type": "integer", "format": "int64", "minimum": 0, "examples": [EXAMPLE_MS] });
    let text = |example| json!({ "type": "string", "examples": [example] });
    let signed = |format, example| json!({ "type": "string", "format": format, "minLength": 1, "examples": [example] });
    let mut file = id::<File>();
    file["format"] = "file".into();
    let etag = "\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"";
    let events = reference("EventKind");
    let rows = [
        ("From", "from", Query, true, reference("LineRef"), "The line."),
        (
            "FromOrAll",
            "from",
            Query,
            true,
            requests::line_or_all(),
            "The line; empty for every line that the key may use.",
        ),
        ("To", "to", Query, true, reference("Recipient"), "The other party, or the chat."),
        ("Limit", "limit", Query, false, limit, limit_about.as_str()),
        (
            "Cursor",
            "cursor",
            Query,
            false,
            cursor,
            "The `next_cursor` of the page before, of this very list with the same filters.",
        ),
        (
            "MessageId",
            "message_id",
            Query,
            true,
            reference("MessageRef"),
            "The message: its id, or its `guid`.",
        ),
        ("OutboxItemId", "id", Query, true, id::<OutboxItem>(), "The item's id."),
        ("ReplayId", "id", Query, true, known::<Replay>("replay"), "The replay's id."),
        ("DeliveryId", "id", Query, false, known::<Delivery>("delivery"), "This delivery."),
        (
            "DeliveryWebhook",
            "webhook_id",
            Query,
            false,
            known::<Webhook>("webhook"),
            "Deliveries of this webhook; it may be deleted by now.",
        ),
        (
            "DeliveryStatus",
            "status",
            Query,
            false,
            reference("DeliveryStatus"),
            "Deliveries that stand here.",
        ),
        ("DeliveryEvent", "event", Query, false, events.clone(), "Deliveries of such events."),
        (
            "DeliveryEventId",
            "event_id",
            Query,
            false,
            id::<event::Event>(),
            "Deliveries of this event.",
        ),
        (
            "DeliverySince",
            "since",
            Query,
            false,
            since.clone(),
            "Deliveries of events from this time on, in Unix milliseconds.",
        ),
        (
            "DeliveryUntil",
            "until",
            Query,
            false,
            since.clone(),
            "Deliveries of events before this time, in Unix milliseconds.",
        ),
        ("FileId", "id", Query, true, file, "The file's id."),
        (
            "Expires",
            "expires",
            Query,
            true,
            signed("expires", "1767312000"),
            "Until when the URL works, in Unix seconds.",
        ),
        (
            "Signature",
            "signature",
            Query,
            true,
            signed("signature", "3q2-7w…"),
            "What proves that this server made the URL.",
        ),
        (
            "Since",
            "since",
            Query,
            false,
            since,
            "Events from this time on, in Unix milliseconds; without it, from now on.",
        ),
        (
            "Event",
            "event",
            Repeated,
            false,
            events,
            "An event that is wanted. Without it: `message.received`, `message.sent`, `reaction.added`, `reaction.removed`, as far as the key may read them.",
        ),
        (
            "EventLine",
            "line",
            Repeated,
            false,
            reference("LineRef"),
            "A line whose events are wanted; without it, every line that the key may use.",
        ),
        ("IdempotencyKey", "Idempotency-Key", Header, false, key, key_about.as_str()),
        ("Filename", "X-Filename", Header, false, name, name_about.as_str()),
        (
            "LastEventId",
            "Last-Event-ID",
            Header,
            false,
            place,
            "The `id` of the last event that was received: the stream goes on after it, without a gap or a repeat. Goes before `since`.",
        ),
        (
            "Range",
            "Range",
            Header,
            false,
            text("bytes=0-99"),
            "The part that is wanted (RFC 9110 §14.2).",
        ),
        (
            "IfRange",
            "If-Range",
            Header,
            false,
            text(etag),
            "The part is wanted only if the bytes are still these.",
        ),
        (
            "IfNoneMatch",
            "If-None-Match",
            Header,
            false,
            text(etag),
            "The bytes are wanted only if they are not these.",
        ),
    ];
    rows.into_iter()
        .map(|(name, wire, location, required, schema, about)| {
            (name.to_owned(), parameter(wire, &location, required, schema, about))
        })
        .collect()
}

pub(super) fn parameter(
    name: &str,
    location: &Location,
    required: bool,
    schema: Value,
    about: &str,
) -> Value {
    let mut parameter = json!({ "name": name, "description": about, "required": required });
    parameter["in"] = match location {
        Location::Query | Location::Repeated => "query".into(),
        Location::Header => "header".into(),
    };
    parameter["schema"] = match location {
        Location::Repeated => json!({ "type": "array", "items": schema }),
        Location::Query | Location::Header => schema,
    };
    parameter
}
