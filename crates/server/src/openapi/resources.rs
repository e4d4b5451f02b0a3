//! The schemas of resources: those of `model`'s own types, and of what only an answer is made of.

use serde_json::{Map, Value, json};
use switchboard_model::{
    Chat, File, Line, Message, OutboxItem, Reaction, ReadReceipt, Replay, Sandbox, TypingIndicator,
    Webhook,
    delivery::{Delivery, DeliveryStatus},
    event::{FailedEvent, LineStatusEvent, MessageEvent},
    outbox::OutboxStatus,
    reaction::ReactionEvent,
    receipt::ReceiptEvent,
    typing::TypingEvent,
    webhook::{UpdatedWebhook, WebhookTest},
};

use super::schema::{
    always, boolean, derived, example_id, extended, id, list, millis, object, only, or_null,
    reference, such_as, text,
};

/// The dev server's line, in the examples.
pub(super) const LINE: &str = "+15550100001";
/// Who has written to it.
pub(super) const CONTACT: &str = "+15550100002";

/// The schemas of all resources, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all = derived!(
        Line,
        Chat,
        Message,
        Reaction,
        TypingIndicator,
        ReadReceipt,
        File,
        OutboxItem,
        Webhook,
        UpdatedWebhook,
        WebhookTest,
        Replay,
        Delivery,
        Sandbox,
        MessageEvent,
        ReactionEvent,
        TypingEvent,
        ReceiptEvent,
        FailedEvent,
        LineStatusEvent,
    );
    let secret = |example| always("secret", text(example), "What its deliveries are signed with.");
    for (name, schema) in [
        (
            "Accepted",
            object(
                "The answer to a write: accepted, durably; the line's bridge sends it.",
                vec![
                    always("id", id::<OutboxItem>(), "The item, for `GET /v1/outbox`."),
                    always("status", only(OutboxStatus::Pending.as_str()), "Always pending here."),
                ],
            ),
        ),
        (
            "CreatedWebhook",
            extended(
                "Webhook",
                "A webhook, with its secret: this answer is the only one that shows it.",
                vec![secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw1Zb0dC0mq6A=")],
            ),
        ),
        (
            "RotatedWebhook",
            extended(
                "Webhook",
                "A webhook, with its new secret: this answer is the only one that shows it.",
                vec![
                    secret("whsec_pYhOJ1yFtLh2dTq6vGsM0kZ8xN4aWcUeRbI7oEjK3lQ="),
                    always(
                        "previous_secret_expires_at",
                        millis(),
                        "Until when the secret before it is valid, too.",
                    ),
                ],
            ),
        ),
        (
            "RetriedDelivery",
            object(
                "A delivery that was made due.",
                vec![
                    always("id", id::<Delivery>(), "The delivery's id."),
                    always("status", only(DeliveryStatus::Due.as_str()), "Always due here."),
                ],
            ),
        ),
        (
            "Deleted",
            object(
                "The answer to a deletion.",
                vec![
                    always("id", text(&example_id::<Webhook>()), "What was deleted."),
                    always("deleted", boolean(true), "Always true."),
                ],
            ),
        ),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
}

/// What the answer that is one resource is called.
pub(super) fn response_name(name: &str) -> String {
    format!("{name}Response")
}

/// What a list of these is called.
pub(super) fn list_name(row: &str) -> String {
    format!("{row}List")
}

/// The schema of an answer that is one resource: the object itself, plus `request_id` (§1).
pub(super) fn one(name: &str) -> Value {
    let beside = object("", vec![always("request_id", reference("RequestId"), REQUEST)]);
    json!({ "allOf": [reference(name), without_description(beside)] })
}

/// The schema of a list (§1). Only some lists have more than one page (§5).
pub(super) fn page(row: &str, paged: bool) -> Value {
    let (more, next) = if paged {
        (boolean(false), or_null(text("AQAAAZt22l0aAAAAAAAAACo")))
    } else {
        (json!({ "const": false }), json!({ "type": "null" }))
    };
    let next = such_as(next, Value::Null);
    object(
        "A list.",
        vec![
            always("data", list(&reference(row)), "The rows."),
            always("has_more", more, "Whether there are more."),
            always("next_cursor", next, "The `cursor` of the next page; null on the last."),
            always("request_id", reference("RequestId"), REQUEST),
        ],
    )
}

pub(super) const REQUEST: &str =
    "Names this request; also in the header `X-Request-Id` and in the server's log.";

fn without_description(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("description");
    }
    schema
}
