//! What answers hold: the resources of the contract (§6), one line for one field, in its order.
//!
//! A test holds this table against the client's own, `client/src/shape/table.rs`.

mod webhooks;

use serde_json::{Map, Value, json};
use switchboard_model::{
    Chat, EventKind, File, Line, Message, OutboxItem, Reaction, ReadReceipt, TypingIndicator,
    Webhook,
    delivery::DeliveryStatus,
    line::{Capability, LineService},
    outbox::{MAX_ATTEMPTS, OutboxStatus},
    replay::ReplayStatus,
    sandbox::DAILY_LIMIT,
    webhook::{CreatorState, DisabledReason},
};

use super::schema::{
    always, always_or_null, any_object, boolean, example_id, id, list, millis, nullable, number,
    object, one_of, only, optional, or_null, reference, such_as, text,
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
        ("Webhook", webhooks::webhook()),
        ("CreatedWebhook", webhooks::created_webhook()),
        ("UpdatedWebhook", webhooks::updated_webhook()),
        ("RotatedWebhook", webhooks::rotated_webhook()),
        ("WebhookTest", webhooks::webhook_test()),
        ("Replay", webhooks::replay()),
        ("Delivery", webhooks::delivery()),
        ("Attempt", webhooks::attempt()),
        ("RetriedDelivery", webhooks::retried_delivery()),
        ("Deleted", deleted()),
        ("Sandbox", sandbox()),
        ("SandboxUsage", sandbox_usage()),
        ("WebhookCreator", webhooks::creator()),
        ("CreatorState", one_of(&CreatorState::ALL.map(CreatorState::as_str))),
        ("ChatService", one_of(&["iMessage", "SMS"])),
        ("DeliveryStatus", one_of(&DeliveryStatus::ALL.map(DeliveryStatus::as_str))),
        ("DisabledReason", one_of(&DisabledReason::ALL.map(DisabledReason::as_str))),
        ("EventKind", one_of(&EventKind::ALL.map(EventKind::as_str))),
        ("LineService", line_service()),
        ("OutboxStatus", outbox_status()),
        (
            "ReplayStatus",
            one_of(&[ReplayStatus::Running, ReplayStatus::Done].map(ReplayStatus::as_str)),
        ),
        ("SandboxStatus", one_of(&["missing", "pending", "active"])),
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

pub(super) fn line_service() -> Value {
    let services = [LineService::Imessage, LineService::Sms, LineService::Auto];
    one_of(&services.map(LineService::as_str))
}

fn outbox_status() -> Value {
    use OutboxStatus::{Claimed, Failed, Pending, Sent};
    one_of(&[Pending, Claimed, Sent, Failed].map(OutboxStatus::as_str))
}

pub(super) fn line() -> Value {
    let service = such_as(reference("LineService"), "auto");
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

fn chat() -> Value {
    let participants = such_as(list(&json!({ "type": "string" })), json!([CONTACT]));
    object(
        "One line with one other party, or with a group.",
        vec![
            always("id", id::<Chat>(), "The chat's id: `to` wherever a chat is meant."),
            always("line_id", id::<Line>(), "The line it is on."),
            always(
                "identifier",
                text(CONTACT),
                "The other party: a phone number in E.164, an Apple ID, or the name of a sender that can't be dialled; of a group, an opaque id.",
            ),
            always("service", reference("ChatService"), "What it runs over."),
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
            nullable("service", reference("ChatService"), "What it ran over."),
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
            always("status", only(OutboxStatus::Pending.as_str()), "Always pending here."),
        ],
    )
}

fn outbox_item() -> Value {
    let payload =
        such_as(any_object(), json!({ "from": LINE, "to": CONTACT, "text": "Until six." }));
    object(
        "Where a write is on its way: `pending` → `claimed` → `sent` or `failed`.",
        vec![
            always("id", id::<OutboxItem>(), "The item's id."),
            always("status", such_as(reference("OutboxStatus"), "sent"), "Where it is on its way."),
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
    let status = such_as(reference("SandboxStatus"), "pending");
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
