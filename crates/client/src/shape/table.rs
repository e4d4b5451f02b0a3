//! The tables of the contract: one line for one field, in its order. "ext" marks what
//! Switchboard adds.

use super::{
    Field, Kind,
    Kind::{AnyObject, Bool, Id, List, Millis, Names, Number, Object, OneOf, RequestId, Text},
    Shape, always, always_or_null, extended, never, nullable, optional, ours, shape,
};

const LINE_SERVICE: Kind = OneOf(&["imessage", "sms", "auto"]);
const CHAT_SERVICE: Kind = OneOf(&["iMessage", "SMS"]);
const CAPABILITIES: Kind =
    Names(&["audio_messages", "replies", "reactions", "typing", "read_receipts"]);
const EVENTS: Kind = Names(&[
    "message.received",
    "message.sent",
    "reaction.added",
    "reaction.removed",
    "typing.started",
    "typing.stopped",
    "receipt.read",
    "message.failed",
    "message.updated",
    "line.status",
]);
pub(super) const TEXTS: Kind = List(&Text);
pub(super) const LINE_IDS: Kind = List(&Id("ln_"));

/// Beside every resource that is an answer (§1).
pub(super) static REQUEST_ID: Field = always("request_id", RequestId);

/// A list, without its rows.
pub(super) static LIST: Shape = shape(
    "list",
    &[
        always("data", List(&AnyObject)),
        always("has_more", Bool),
        always_or_null("next_cursor", Text),
    ],
);

/// An error answer.
pub(super) static ERROR_ENVELOPE: Shape = shape("answer", &[always("error", Object(&ERROR))]);

/// The inner part of an error answer.
pub static ERROR: Shape = shape(
    "error",
    &[always("type", Text), always("code", Text), always("message", Text), optional("param", Text)],
);

/// The answer to a deletion.
pub static DELETED: Shape = shape("deletion", &[always("id", Text), always("deleted", Bool)]);

/// Line.
pub static LINE: Shape = shape(
    "line",
    &[
        always("id", Id("ln_")),
        always("handle", Text),
        nullable("label", Text),
        always("service", LINE_SERVICE),
        always("is_active", Bool),
        ours("advanced_features", Bool),    // ext
        ours("capabilities", CAPABILITIES), // ext
        ours("is_sandbox", Bool),           // ext
    ],
);

/// Chat.
pub static CHAT: Shape = shape(
    "chat",
    &[
        always("id", Id("cht_")),
        always("line_id", Id("ln_")),
        always("identifier", Text),
        always("service", CHAT_SERVICE),
        nullable("name", Text),
        nullable("is_group", Bool),
        nullable("participants", TEXTS),
        always("has_received_inbound", Bool),
        nullable("last_message_at", Millis),
    ],
);

/// Message.
pub static MESSAGE: Shape = shape(
    "message",
    &[
        always("id", Id("msg_")),
        always("line_id", Id("ln_")),
        always("chat_id", Id("cht_")),
        always("guid", Text),
        always("sender", Text),
        nullable("text", Text),
        always("attachments", List(&Object(&ATTACHMENT))),
        nullable("service", CHAT_SERVICE),
        always("is_from_me", Bool),
        nullable("is_audio_message", Bool),
        always("sent_at", Millis),
        always("synced_at", Millis),
        nullable("outbox_id", Id("obx_")),
        nullable("reply_to_guid", Text),
        nullable("edited_at", Millis),    // ext
        nullable("unsent_at", Millis),    // ext
        nullable("delivered_at", Millis), // ext
        nullable("read_at", Millis),      // ext
    ],
);

/// Attachment.
pub static ATTACHMENT: Shape = shape(
    "attachment",
    &[
        nullable("filename", Text),
        nullable("mime_type", Text),
        nullable("size", Number),
        nullable("url", Text),
        nullable("transcription", Text),
    ],
);

/// The data of message.received, message.sent and message.updated (§9).
pub static MESSAGE_EVENT: Shape = extended("message", &MESSAGE, &[always("line_handle", Text)]);

/// Reaction.
pub static REACTION: Shape = shape(
    "reaction",
    &[
        always("id", Id("rxn_")),
        always("message_id", Id("msg_")),
        always("type", Text),
        always("sender", Text),
        always("is_from_me", Bool),
        always("added", Bool),
        always("sent_at", Millis),
        always("synced_at", Millis),
    ],
);

/// The data of reaction.added and reaction.removed (§9).
pub static REACTION_EVENT: Shape =
    extended("reaction", &REACTION, &[always("chat_id", Id("cht_")), always("line_handle", Text)]);

/// TypingIndicator.
pub static TYPING: Shape = shape(
    "typing indicator",
    &[
        always("id", Id("ind_")),
        always("chat_id", Id("cht_")),
        always("handle", Text),
        always("is_typing", Bool),
        always("updated_at", Millis),
    ],
);

/// The data of typing.started and typing.stopped (§9).
pub static TYPING_EVENT: Shape =
    extended("typing indicator", &TYPING, &[always("line_handle", Text)]);

/// ReadReceipt.
pub static RECEIPT: Shape = shape(
    "read receipt",
    &[
        always("id", Id("rcp_")),
        always("chat_id", Id("cht_")),
        always("handle", Text),
        always("last_read_at", Millis),
        always("synced_at", Millis),
    ],
);

/// The data of receipt.read (§9).
pub static RECEIPT_EVENT: Shape =
    extended("read receipt", &RECEIPT, &[always("line_handle", Text)]);

/// File.
pub static FILE: Shape = shape(
    "file",
    &[
        always("id", Id("file_")),
        nullable("url", Text),
        nullable("filename", Text),
        always("mime_type", Text),
        always("size", Number),
    ],
);

/// The answer to a write: exactly these.
pub static ACCEPTED: Shape =
    shape("outbox item", &[always("id", Id("obx_")), always("status", OneOf(&["pending"]))]);

/// OutboxItem, as GET /v1/outbox shows it.
pub static OUTBOX_ITEM: Shape = shape(
    "outbox item",
    &[
        always("id", Id("obx_")),
        always("status", OneOf(&["pending", "claimed", "sent", "failed"])),
        nullable("error", Text),
        optional("created_at", Millis),
        nullable("completed_at", Millis),
        always("line_id", Id("ln_")),
        always("payload", AnyObject),
        always("attempts", Number),
        always("max_attempts", Number),
        nullable("message_id", Id("msg_")), // ext
    ],
);

/// The data of message.failed (§9): the item, and where it was to go.
pub static FAILED_EVENT: Shape = extended(
    "outbox item",
    &OUTBOX_ITEM,
    &[always("chat_id", Id("cht_")), always("line_handle", Text)],
);

/// The data of line.status (§9): the line, and whether its bridge is there.
pub static LINE_STATUS_EVENT: Shape =
    extended("line", &LINE, &[always("online", Bool), always("line_handle", Text)]);

/// The key that made a webhook (ext).
pub static WEBHOOK_CREATOR: Shape = shape(
    "webhook's maker",
    &[
        always_or_null("key_id", Id("key_")),
        always("state", OneOf(&["active", "revoked", "expired", "insufficient_scope", "unknown"])),
    ],
);

/// What every answer says of a webhook.
static WEBHOOK: Shape = shape(
    "webhook",
    &[
        always("id", Id("wh_")),
        always("line_ids", LINE_IDS),
        always("url", Text),
        always("events", EVENTS),
        always("is_active", Bool),
        optional("failing_since", Millis), // ext
        optional("disabled_at", Millis),   // ext
        optional("disabled_reason", OneOf(&["manual", "failing", "gone"])), // ext
        optional("created_by", Object(&WEBHOOK_CREATOR)), // ext
    ],
);

/// Webhook, in the answer to its creation: the only one with the secret.
pub static CREATED_WEBHOOK: Shape = extended("webhook", &WEBHOOK, &[always("secret", Text)]);

/// Webhook, in a list.
pub static LISTED_WEBHOOK: Shape = extended("webhook", &WEBHOOK, &[never("secret")]);

/// Webhook, in the answer to a change (ext).
pub static UPDATED_WEBHOOK: Shape =
    extended("webhook", &WEBHOOK, &[never("secret"), optional("missed_since", Millis)]);

/// Webhook, in the answer to a rotation of its secret (ext).
pub static ROTATED_WEBHOOK: Shape = extended(
    "webhook",
    &WEBHOOK,
    &[always("secret", Text), always("previous_secret_expires_at", Millis)],
);

/// What came of trying a webhook (ext).
pub static WEBHOOK_TEST: Shape = shape(
    "webhook test",
    &[
        always("delivery_id", Id("dlv_")),
        always("event", Text),
        always("ok", Bool),
        always_or_null("status", Number),
        always("duration_ms", Number),
        always_or_null("answer", Text),
        always_or_null("error", Text),
    ],
);

/// Replay (ext).
pub static REPLAY: Shape = shape(
    "replay",
    &[
        always("id", Id("rpl_")),
        always("webhook_id", Id("wh_")),
        always("since", Millis),
        always("until", Millis),
        always("include_delivered", Bool),
        always("status", OneOf(&["running", "done"])),
        always("progress", Number),
        always("queued", Number),
        always("created_at", Millis),
        always_or_null("finished_at", Millis),
    ],
);

/// Delivery, as GET /v1/deliveries shows it (ext).
pub static DELIVERY: Shape = shape(
    "delivery",
    &[
        always("id", Id("dlv_")),
        always("webhook_id", Id("wh_")),
        always("event_id", Id("evt_")),
        always("event", Text),
        always("status", OneOf(&["due", "delivered", "failed"])),
        always("attempts", List(&Object(&ATTEMPT))),
        always_or_null("next_attempt_at", Millis),
        always_or_null("error", Text),
        always("created_at", Millis),
        always_or_null("finished_at", Millis),
    ],
);

/// One try to deliver (ext).
pub static ATTEMPT: Shape = shape(
    "attempt",
    &[
        always("number", Number),
        always("started_at", Millis),
        always("duration_ms", Number),
        always_or_null("status", Number),
        always_or_null("answer", Text),
        always_or_null("error", Text),
    ],
);

/// The answer to a retry: exactly these (ext).
pub static RETRIED_DELIVERY: Shape =
    shape("delivery", &[always("id", Id("dlv_")), always("status", OneOf(&["due"]))]);

/// The body of a delivery (§9).
pub static DELIVERY_BODY: Shape = shape(
    "delivery",
    &[
        always("event", Text),
        always("data", AnyObject),
        always("timestamp", Millis),
        always("delivery_id", Id("dlv_")),
    ],
);

/// The state of the sandbox (§11).
pub static SANDBOX: Shape = shape(
    "sandbox",
    &[
        always("status", OneOf(&["missing", "pending", "active"])),
        always_or_null("activation_code", Text),
        always("sandbox_line_handle", Text),
        always_or_null("contact_identifier", Text),
        always_or_null("activated_at", Millis),
        always("usage", Object(&SANDBOX_USAGE)),
    ],
);

/// What an account has used of its sandbox day.
pub static SANDBOX_USAGE: Shape = shape(
    "sandbox usage",
    &[
        always("used", Number),
        always("limit", Number),
        always("remaining", Number),
        always("resets_at", Millis),
    ],
);
