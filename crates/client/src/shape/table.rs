//! The tables: one line for one field, in the order of the contract. "ext" marks what
//! Switchboard adds.

use super::{
    Field, Kind,
    Kind::{AnyObject, Bool, Id, List, Millis, Number, Object, OneOf, RequestId, Text},
    Presence, Shape,
};

const fn always(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Always }
}

const fn nullable(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Nullable }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Optional }
}

const fn never(name: &'static str) -> Field {
    Field { name, kind: Text, presence: Presence::Never }
}

const fn shape(name: &'static str, fields: &'static [Field]) -> Shape {
    Shape { name, base: None, fields }
}

const fn extended(name: &'static str, base: &'static Shape, fields: &'static [Field]) -> Shape {
    Shape { name, base: Some(base), fields }
}

const LINE_SERVICE: Kind = OneOf(&["imessage", "sms", "auto"]);
const CHAT_SERVICE: Kind = OneOf(&["iMessage", "SMS"]);
const DRIVER: Kind = OneOf(&["simulator", "imsg", "bluebubbles"]);
const TEXTS: Kind = List(&Text);
const LINE_IDS: Kind = List(&Id("ln_"));

/// Beside every resource that is an answer (§1).
pub(super) static REQUEST_ID: Field = always("request_id", RequestId);

/// A list, without its rows.
pub(super) static LIST: Shape = shape(
    "list",
    &[
        always("data", List(&AnyObject)),
        always("has_more", Bool),
        Field { name: "next_cursor", kind: Text, presence: Presence::AlwaysOrNull },
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
        always("advanced_features", Bool), // ext
        always("capabilities", TEXTS),     // ext
        always("is_sandbox", Bool),        // ext
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

/// The data of message.received and message.sent (§9).
pub static MESSAGE_EVENT: Shape = extended("message", &MESSAGE, &[always("line_handle", Text)]);

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
        // The contract allows its absence; the model does not, so neither does the client.
        optional("created_at", Millis),
        nullable("completed_at", Millis),
        always("line_id", Id("ln_")),
        always("payload", AnyObject),
        always("attempts", Number),
        always("max_attempts", Number),
        nullable("message_id", Id("msg_")), // ext
    ],
);

/// What every answer says of a webhook.
static WEBHOOK: Shape = shape(
    "webhook",
    &[
        always("id", Id("wh_")),
        always("line_ids", LINE_IDS),
        always("url", Text),
        always("events", TEXTS),
        always("is_active", Bool),
    ],
);

/// Webhook, in the answer to its creation: the only one with the secret.
pub static CREATED_WEBHOOK: Shape = extended("webhook", &WEBHOOK, &[always("secret", Text)]);

/// Webhook, in a list.
pub static LISTED_WEBHOOK: Shape = extended("webhook", &WEBHOOK, &[never("secret")]);

/// The body of a delivery (§9).
pub static DELIVERY: Shape = shape(
    "delivery",
    &[
        always("event", Text),
        always("data", AnyObject),
        always("timestamp", Millis),
        always("delivery_id", Id("dlv_")),
    ],
);

/// Account, as the operator sees it.
pub static ACCOUNT: Shape = shape(
    "account",
    &[always("id", Id("acc_")), always("name", Text), always("created_at", Millis)],
);

/// Line, as the operator sees it.
pub static OPERATOR_LINE: Shape = extended(
    "line",
    &LINE,
    &[
        always("account_id", Id("acc_")),
        always("driver", DRIVER),
        nullable("bridge_id", Id("brg_")),
        always("contact_first", Bool),
    ],
);

/// What every answer says of a key.
static ANY_KEY: Shape = shape(
    "key",
    &[
        always("id", Id("key_")),
        nullable("account_id", Id("acc_")),
        always("name", Text),
        always("hint", Text),
        always("scopes", TEXTS),
        nullable("line_ids", LINE_IDS),
        nullable("rate_limit", Number),
        nullable("expires_at", Millis),
        nullable("revoked_at", Millis),
        always("created_at", Millis),
    ],
);

/// Key, in a list: without its secret.
pub static KEY: Shape = extended("key", &ANY_KEY, &[never("key")]);

/// Key, in the answer to its creation.
pub static CREATED_KEY: Shape = extended("key", &ANY_KEY, &[always("key", Text)]);

/// What every answer says of a bridge.
static ANY_BRIDGE: Shape = shape(
    "bridge",
    &[
        always("id", Id("brg_")),
        always("name", Text),
        always("driver", DRIVER),
        nullable("last_seen_at", Millis),
        nullable("revoked_at", Millis),
        always("created_at", Millis),
    ],
);

/// Bridge, in a list: without its token.
pub static BRIDGE: Shape = extended("bridge", &ANY_BRIDGE, &[never("token")]);

/// Bridge, in the answer to its creation.
pub static CREATED_BRIDGE: Shape = extended("bridge", &ANY_BRIDGE, &[always("token", Text)]);

/// What became of a contact's text.
pub static SIMULATED_TEXT: Shape = shape(
    "simulated text",
    &[
        always("guid", Text),
        // Null while the line's bridge is away.
        nullable("chat_id", Id("cht_")),
        nullable("message_id", Id("msg_")),
    ],
);

/// What a contact's phone shows.
pub static PHONE: Shape = shape("phone", &[always("messages", List(&Object(&PHONE_MESSAGE)))]);

/// A message on a contact's phone.
pub static PHONE_MESSAGE: Shape = shape(
    "phone message",
    &[
        always("guid", Text),
        always("line", Text),
        always("from", Text),
        nullable("text", Text),
        nullable("reply_to_guid", Text),
        always("received_at", Millis),
    ],
);

/// A group that was made.
pub static SIMULATED_GROUP: Shape = shape("group", &[always("chat_id", Id("cht_"))]);

/// What goes wrong on a line.
pub static FAULT: Shape = shape(
    "fault",
    &[
        always("line", Text),
        always("mode", OneOf(&["none", "offline", "reject", "slow", "lose_report"])),
        nullable("ms", Number),
        nullable("count", Number),
    ],
);
