//! Webhooks, and what becomes of what goes to them.

use serde_json::Value;
use switchboard_model::{
    Delivery, Key, Line, Replay, Webhook, delivery::DeliveryStatus, event::Event,
};

use crate::openapi::schema::{
    always, always_or_null, boolean, extended, id, list, millis, number, object, only, optional,
    reference, such_as, text,
};

pub(super) fn webhook() -> Value {
    object(
        "Where events are delivered to.",
        vec![
            always("id", id::<Webhook>(), "The webhook's id."),
            always("line_ids", list(&id::<Line>()), "The lines whose events it gets."),
            always("url", text("https://agent.example.com/hook"), "Where they go."),
            always("events", list(&reference("EventKind")), "Which events it gets."),
            always("is_active", boolean(true), "Whether it gets any."),
            optional(
                "failing_since",
                millis(),
                "Since when nothing but failures came of its deliveries; absent while it works. \
                 After 5 days it is disabled.",
            ),
            optional("disabled_at", millis(), "When it was disabled; absent while it is active."),
            optional(
                "disabled_reason",
                reference("DisabledReason"),
                "Why it was disabled: by hand, because it failed for 5 days, or because it answered 410. \
                 Absent while it is active.",
            ),
            optional(
                "created_by",
                reference("WebhookCreator"),
                "The key that made it: webhooks outlive their keys.",
            ),
        ],
    )
}

pub(super) fn creator() -> Value {
    object(
        "The key that made a webhook.",
        vec![
            always_or_null(
                "key_id",
                id::<Key>(),
                "The key's id; null for a webhook that was made before this was kept.",
            ),
            always(
                "state",
                reference("CreatorState"),
                "Whether the key could still make it, or was revoked, has expired, or lacks the read scope of an \
                 event that the webhook names.",
            ),
        ],
    )
}

pub(super) fn updated_webhook() -> Value {
    extended(
        "Webhook",
        "A webhook that was changed.",
        vec![optional(
            "missed_since",
            millis(),
            "When this has enabled it: since when it has missed events. A replay with this as `since` \
             sends them.",
        )],
    )
}

pub(super) fn rotated_webhook() -> Value {
    let secret = text("whsec_pYhOJ1yFtLh2dTq6vGsM0kZ8xN4aWcUeRbI7oEjK3lQ=");
    extended(
        "Webhook",
        "A webhook, with its new secret: this answer is the only one that shows it.",
        vec![
            always("secret", secret, "What its deliveries are signed with."),
            always(
                "previous_secret_expires_at",
                millis(),
                "Until when the secret before it is valid, too.",
            ),
        ],
    )
}

pub(super) fn webhook_test() -> Value {
    let none = |schema| such_as(schema, Value::Null);
    object(
        "What came of a try.",
        vec![
            always("delivery_id", id::<Delivery>(), "The `delivery_id` that was sent."),
            always("event", reference("EventKind"), "What was said to have happened."),
            always("ok", boolean(true), "Whether the endpoint took it: it answered 2xx."),
            always_or_null("status", number(200), "The status of its answer."),
            always("duration_ms", number(42), "How long it took."),
            always_or_null("answer", text("ok"), "The start of its answer."),
            always_or_null("error", none(text("")), "Why it did not succeed."),
        ],
    )
}

pub(super) fn replay() -> Value {
    object(
        "Events that are sent again, or for the first time to a webhook that has missed them.",
        vec![
            always("id", id::<Replay>(), "The replay's id."),
            always("webhook_id", id::<Webhook>(), "The webhook that gets the events."),
            always("since", millis(), "From the events of this time on."),
            always("until", millis(), "Up to, and without, those of this time."),
            always(
                "include_delivered",
                boolean(false),
                "Whether what was delivered goes out, too.",
            ),
            always("status", reference("ReplayStatus"), "Where it stands."),
            always("progress", number(0), "How much of its events were looked at, in percent."),
            always("queued", number(0), "How many deliveries it has made due."),
            always("created_at", millis(), "When it was asked for."),
            always_or_null(
                "finished_at",
                such_as(millis(), Value::Null),
                "When all its deliveries were due.",
            ),
        ],
    )
}

pub(super) fn delivery() -> Value {
    let none = |schema| such_as(schema, Value::Null);
    object(
        "One event on its way to one webhook.",
        vec![
            always("id", id::<Delivery>(), "The `delivery_id`, the same over all attempts."),
            always("webhook_id", id::<Webhook>(), "Where it goes to; may be deleted by now."),
            always("event_id", id::<Event>(), "The event that it tells of."),
            always("event", reference("EventKind"), "What happened."),
            always(
                "status",
                such_as(reference("DeliveryStatus"), "delivered"),
                "`due` now or later, `delivered`, or `failed`: given up.",
            ),
            always("attempts", list(&reference("Attempt")), "Every attempt, the first one first."),
            always_or_null("next_attempt_at", none(millis()), "When the next attempt is due."),
            always_or_null("error", none(text("")), "Why it failed, or fails."),
            always(
                "created_at",
                millis(),
                "When it was made: with its event, or by a replay of one that was missed.",
            ),
            always_or_null("finished_at", millis(), "When it was delivered or given up."),
        ],
    )
}

pub(super) fn attempt() -> Value {
    let none = |schema| such_as(schema, Value::Null);
    object(
        "One try to deliver.",
        vec![
            always("number", number(1), "From 1, counted over retries by hand and replays, too."),
            always("started_at", millis(), "When it was signed and sent."),
            always("duration_ms", number(42), "How long it took."),
            always_or_null("status", number(200), "The status of the answer; null without one."),
            always_or_null("answer", text("ok"), "The start of the answer's body."),
            always_or_null("error", none(text("")), "Why it did not succeed."),
        ],
    )
}

pub(super) fn retried_delivery() -> Value {
    object(
        "A delivery that was made due.",
        vec![
            always("id", id::<Delivery>(), "The delivery's id."),
            always("status", only(DeliveryStatus::Due.as_str()), "Always due here."),
        ],
    )
}

pub(super) fn created_webhook() -> Value {
    let secret = text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw1Zb0dC0mq6A=");
    extended(
        "Webhook",
        "A webhook, with its secret: this answer is the only one that shows it.",
        vec![always("secret", secret, "What its deliveries are signed with.")],
    )
}
