//! What answers hold: the resources of the contract (§6), one line for one field, in its order.
//!
//! A test holds this table against the client's own, `client/src/shape/table.rs`.

use serde_json::{Map, Value, json};
use switchboard_model::{
    Chat, Delivery, EventKind, File, Line, Message, OutboxItem, Reaction, ReadReceipt, Replay,
    TypingIndicator, Webhook,
    delivery::DeliveryStatus,
    event::Event,
    line::{Capability, LineService},
    outbox::{MAX_ATTEMPTS, OutboxStatus},
    replay::ReplayStatus,
    sandbox::DAILY_LIMIT,
    webhook::DisabledReason,
};

use super::schema::{
    EXAMPLE_REQUEST, always, always_or_null, boolean, example_id, extended, id, list, millis,
    nullable, number, object, one_of, optional, or_null, reference, such_as, text,
};

/// The dev server's line, in the examples.
pub(super) const LINE: &str = "+15550100001";
/// Who has written to it.
pub(super) const CONTACT: &str = "+15550100002";

/// A file's URL, in the examples.
const FILE_URL: &str =
    "https://switchboard.example.com/files/download?id=file_…&expires=…&signature=…";

/// The schemas of all resources, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, schema) in [
        ("Line", line()),
        ("Chat", chat()),
        ("Message", message()),
        ("Attachment", attachment()),
        ("Reaction", reaction()),
        ("TypingIndicator", typing()),
        ("ReadReceipt", receipt()),
        ("File", file()),
        ("Accepted", accepted()),
        ("OutboxItem", outbox_item()),
        ("Webhook", webhook()),
        ("CreatedWebhook", created_webhook()),
        ("UpdatedWebhook", updated_webhook()),
        ("RotatedWebhook", rotated_webhook()),
        ("WebhookTest", webhook_test()),
        ("Replay", replay()),
        ("Delivery", delivery()),
        ("Attempt", attempt()),
        ("RetriedDelivery", retried_delivery()),
        ("Deleted", deleted()),
        ("Sandbox", sandbox()),
        ("SandboxUsage", sandbox_usage()),
        ("EventKind", one_of(&EventKind::ALL.map(EventKind::as_str))),
        ("RequestId", request_id()),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
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

fn request_id() -> Value {
    json!({ "type": "string", "pattern": "^req_[0-9a-f]{12,}$", "examples": [EXAMPLE_REQUEST] })
}

fn line() -> Value {
    let services = [LineService::Imessage, LineService::Sms, LineService::Auto];
    let service = such_as(one_of(&services.map(LineService::as_str)), "auto");
    let capabilities = json!(Capability::ALL);
    let capabilities = json!({
        "type": "array",
        "items": { "type": "string", "examples": capabilities },
        "examples": [capabilities],
    });
    object(
        "A phone number or Apple ID that sends and receives.",
        vec![
            always("id", id::<Line>(), "The line's id."),
            always("handle", text(LINE), "A phone number in E.164, or an Apple ID."),
            nullable("label", text("Front desk"), "What its owner calls it."),
            always("service", service, "What it sends by."),
            always("is_active", boolean(true), "Whether it takes part."),
            always(
                "advanced_features",
                boolean(true),
                "Whether audio messages, reactions, typing and read receipts all work.",
            ),
            always("capabilities", capabilities, "What its bridge can do."),
            always("is_sandbox", boolean(false), "Whether it is the shared sandbox line."),
        ],
    )
}

fn chat_service() -> Value {
    one_of(&["iMessage", "SMS"])
}

fn chat() -> Value {
    let participants = such_as(list(&json!({ "type": "string" })), json!([CONTACT]));
    object(
        "One line with one other party, or with a group.",
        vec![
            always("id", id::<Chat>(), "The chat's id: `to` wherever a chat is meant."),
            always("line_id", id::<Line>(), "The line it is on."),
            always("identifier", text(CONTACT), "The other party; of a group, an opaque id."),
            always("service", chat_service(), "What it runs over."),
            nullable("name", such_as(text(""), Value::Null), "The name of a group."),
            nullable("is_group", boolean(false), "Whether it is a group."),
            nullable("participants", participants, "The other parties' handles."),
            always(
                "has_received_inbound",
                boolean(true),
                "Whether anybody in it has ever messaged the line.",
            ),
            nullable("last_message_at", millis(), "When its last message was sent."),
        ],
    )
}

fn message() -> Value {
    let none = |schema| such_as(schema, Value::Null);
    let item = id::<OutboxItem>();
    object(
        "A message, inbound or sent.",
        vec![
            always("id", id::<Message>(), "The message's id."),
            always("line_id", id::<Line>(), "The line it came to or went out by."),
            always("chat_id", id::<Chat>(), "The chat it stands in."),
            always(
                "guid",
                text("8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1"),
                "Its identity in Messages itself. Taken wherever a message id is taken.",
            ),
            always("sender", text(CONTACT), "Who wrote it; of our own messages, the line."),
            nullable(
                "text",
                text("Is the shop open?"),
                "Null when there are only attachments, and once it was taken back.",
            ),
            always(
                "attachments",
                such_as(list(&reference("Attachment")), json!([])),
                "Its files; may be empty, and is once it was taken back.",
            ),
            nullable("service", chat_service(), "What it ran over."),
            always("is_from_me", boolean(false), "Whether the line wrote it."),
            nullable("is_audio_message", boolean(false), "Whether it is a voice memo."),
            always("sent_at", millis(), "When it was written, by Messages' clock."),
            always("synced_at", millis(), "When this server came to know it."),
            nullable("outbox_id", none(item), "The outbox item it was sent from."),
            nullable("reply_to_guid", none(text("")), "The `guid` of the message it answers."),
            nullable("edited_at", none(millis()), "When who wrote it last changed its text."),
            nullable(
                "unsent_at",
                none(millis()),
                "When who wrote it took it back. Nothing of it is shown any more.",
            ),
            nullable(
                "delivered_at",
                none(millis()),
                "When the other party's phone had it, if known.",
            ),
            nullable("read_at", none(millis()), "When the other party read it, if known."),
        ],
    )
}

fn attachment() -> Value {
    object(
        "A file on a message.",
        vec![
            nullable("filename", text("menu.pdf"), "Its name."),
            nullable("mime_type", text("application/pdf"), "Its type."),
            nullable("size", number(48_213), "Its size in bytes."),
            nullable("url", text(FILE_URL), "Where to download it, with no key. Signed; expires."),
            nullable(
                "transcription",
                such_as(text(""), Value::Null),
                "What is said in a voice memo, when known.",
            ),
        ],
    )
}

fn reaction() -> Value {
    object(
        "What somebody thinks of a message. Each occurrence, a removal too, has its own id.",
        vec![
            always("id", id::<Reaction>(), "The reaction's id."),
            always("message_id", id::<Message>(), "The message it is about."),
            always(
                "type",
                text("love"),
                "`love`, `like`, `dislike`, `laugh`, `emphasize`, `question`, or one emoji.",
            ),
            always("sender", text(CONTACT), "Whose it is."),
            always("is_from_me", boolean(false), "Whether the line gave it."),
            always("added", boolean(true), "False once it was taken back."),
            always("sent_at", millis(), "When it was given or taken back, by Messages' clock."),
            always("synced_at", millis(), "When this server came to know it."),
        ],
    )
}

fn typing() -> Value {
    object(
        "Who is typing.",
        vec![
            always("id", id::<TypingIndicator>(), "The indicator's id."),
            always("chat_id", id::<Chat>(), "The chat it is in."),
            always("handle", text(CONTACT), "Who types; the line's own handle when it does."),
            always("is_typing", boolean(true), "Goes off by itself after 60 seconds."),
            always("updated_at", millis(), "When it last changed."),
        ],
    )
}

fn receipt() -> Value {
    object(
        "Up to when somebody has read a chat.",
        vec![
            always("id", id::<ReadReceipt>(), "The receipt's id."),
            always("chat_id", id::<Chat>(), "The chat that was read."),
            always("handle", text(CONTACT), "Who read it; the line's own handle when it did."),
            always("last_read_at", millis(), "When they last read it."),
            always("synced_at", millis(), "When this server came to know it."),
        ],
    )
}

fn file() -> Value {
    object(
        "A file that was uploaded to be sent.",
        vec![
            always("id", id::<File>(), "The file's id, for `attachments` and `audio_message`."),
            nullable("url", text(FILE_URL), "Where to download it, with no key. Signed; expires."),
            nullable("filename", text("menu.pdf"), "Its name, made safe."),
            always("mime_type", text("application/pdf"), "Its type, found from its bytes."),
            always("size", number(48_213), "Its size in bytes."),
        ],
    )
}

fn accepted() -> Value {
    object(
        "The answer to a write: accepted, durably; the line's bridge sends it.",
        vec![
            always("id", id::<OutboxItem>(), "The item, for `GET /v1/outbox`."),
            always("status", one_of(&[OutboxStatus::Pending.as_str()]), "Always pending here."),
        ],
    )
}

fn outbox_item() -> Value {
    use OutboxStatus::{Claimed, Failed, Pending, Sent};
    let statuses = [Pending, Claimed, Sent, Failed].map(OutboxStatus::as_str);
    let payload = json!({
        "type": "object",
        "examples": [{ "from": LINE, "to": CONTACT, "text": "Until six." }],
    });
    object(
        "Where a write is on its way: `pending` → `claimed` → `sent` or `failed`.",
        vec![
            always("id", id::<OutboxItem>(), "The item's id."),
            always("status", such_as(one_of(&statuses), "sent"), "Where it is on its way."),
            nullable("error", such_as(text(""), Value::Null), "Why it failed."),
            optional("created_at", millis(), "When it was accepted."),
            nullable("completed_at", millis(), "When it was sent or failed."),
            always("line_id", id::<Line>(), "The line it goes out by."),
            always("payload", payload, "The original request."),
            always("attempts", number(1), "How often a bridge has taken it."),
            always("max_attempts", number(MAX_ATTEMPTS.into()), "How often one may."),
            nullable("message_id", id::<Message>(), "The message it became."),
        ],
    )
}

fn webhook() -> Value {
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
                one_of(&DisabledReason::ALL.map(DisabledReason::as_str)),
                "Why it was disabled: by hand, because it failed for 5 days, or because it answered 410. \
                 Absent while it is active.",
            ),
        ],
    )
}

fn updated_webhook() -> Value {
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

fn rotated_webhook() -> Value {
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

fn webhook_test() -> Value {
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

fn replay() -> Value {
    let statuses = [ReplayStatus::Running, ReplayStatus::Done].map(ReplayStatus::as_str);
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
            always("status", one_of(&statuses), "Where it stands."),
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

fn delivery() -> Value {
    let none = |schema| such_as(schema, Value::Null);
    let statuses = DeliveryStatus::ALL.map(DeliveryStatus::as_str);
    object(
        "One event on its way to one webhook.",
        vec![
            always("id", id::<Delivery>(), "The `delivery_id`, the same over all attempts."),
            always("webhook_id", id::<Webhook>(), "Where it goes to; may be deleted by now."),
            always("event_id", id::<Event>(), "The event that it tells of."),
            always("event", reference("EventKind"), "What happened."),
            always(
                "status",
                such_as(one_of(&statuses), "delivered"),
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

fn attempt() -> Value {
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

fn retried_delivery() -> Value {
    object(
        "A delivery that was made due.",
        vec![
            always("id", id::<Delivery>(), "The delivery's id."),
            always("status", one_of(&[DeliveryStatus::Due.as_str()]), "Always due here."),
        ],
    )
}

fn created_webhook() -> Value {
    let secret = text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw1Zb0dC0mq6A=");
    extended(
        "Webhook",
        "A webhook, with its secret: this answer is the only one that shows it.",
        vec![always("secret", secret, "What its deliveries are signed with.")],
    )
}

fn deleted() -> Value {
    object(
        "The answer to a deletion.",
        vec![
            always("id", text(&example_id::<Webhook>()), "What was deleted."),
            always("deleted", boolean(true), "Always true."),
        ],
    )
}

fn sandbox() -> Value {
    let status = such_as(one_of(&["missing", "pending", "active"]), "pending");
    let none = |schema| such_as(schema, Value::Null);
    object(
        "The shared sandbox line, as this account sees it.",
        vec![
            always("status", status, "How far the account is."),
            always_or_null("activation_code", text("K7PWX2QD"), "What to text to the line."),
            always("sandbox_line_handle", text("+15550100000"), "The shared line."),
            always_or_null("contact_identifier", none(text("")), "The paired phone."),
            always_or_null("activated_at", none(millis()), "Since when it is paired."),
            always("usage", reference("SandboxUsage"), "What is used of the day."),
        ],
    )
}

fn sandbox_usage() -> Value {
    let limit = u64::from(DAILY_LIMIT);
    object(
        "What an account has used of its sandbox day.",
        vec![
            always("used", number(3), "Messages of this UTC day."),
            always("limit", number(limit), "The most of a day."),
            always("remaining", number(limit - 3), "What is left."),
            always("resets_at", millis(), "When the day ends: 00:00 UTC."),
        ],
    )
}
