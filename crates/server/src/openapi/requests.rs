//! What requests hold: their bodies (§7), one line for one field, in the order of the checks.

use serde_json::{Map, Value, json};
use switchboard_model::{
    Chat, Delivery, File, Line, Message, ReactionType, Webhook,
    id::{Kind, PREFIXES},
    message::MAX_TEXT_CHARS,
    webhook::{MAX_PER_ACCOUNT, MAX_URL_LEN},
};

use super::{
    resources::{CONTACT, LINE},
    schema::{
        EXAMPLE_MS, Field, always, boolean, example_id, id, known, list, millis, nullable, object,
        one_of, reference, such_as,
    },
};

/// The schemas of all bodies, by name; and of what their fields have in common.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, schema) in [
        ("LineRef", line_ref()),
        ("Recipient", recipient()),
        ("MessageRef", message_ref()),
        ("ReactionName", one_of(&ReactionType::NAMED.each_ref().map(ReactionType::as_str))),
        ("SendMessage", send_message()),
        ("SendText", send_text()),
        ("SendFile", send_file()),
        ("SendAudioMessage", send_audio_message()),
        ("SendReaction", send_reaction()),
        ("SendTyping", send_typing()),
        ("TypingState", one_of(&["on", "off"])),
        ("SendReceipt", object("The whole chat is read.", from_and_to())),
        ("CreateWebhook", create_webhook()),
        ("UpdateWebhook", update_webhook()),
        ("DeleteWebhook", delete_webhook()),
        ("WebhookId", webhook_id()),
        ("CreateReplay", create_replay()),
        ("RetryDelivery", retry_delivery()),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
}

/// What lines' handles have in them. Wider than the truth: which numbers a country has, no pattern says.
pub(super) const HANDLE: &str = "[+＋@＠]";

/// One of the caller's lines.
fn line_ref() -> Value {
    json!({
        "type": "string",
        "format": "line",
        "pattern": format!("{HANDLE}|^ln_"),
        "description": "One of your lines: its phone number in E.164 (spaces, dots, dashes, brackets and marks of \
                        direction are forgiven, a missing `+` is not), its Apple ID, or its id.",
        "examples": [LINE, example_id::<Line>()],
    })
}

/// No pattern: a sender may have any name.
fn recipient() -> Value {
    json!({
        "type": "string",
        "format": "recipient",
        "minLength": 1,
        "description": "Whom it is for: a phone number in E.164, an Apple ID, or the id of a chat. A group is named \
                        only by its id. A sender that can't be dialled (a short code, `BANK`, `urn:biz:…`) can be \
                        answered under the name that its messages have.",
        "examples": [CONTACT, example_id::<Chat>()],
    })
}

/// An id of another kind is no guid.
fn no_other_id() -> String {
    let others: Vec<_> =
        PREFIXES.iter().copied().filter(|prefix| *prefix != Message::PREFIX).collect();
    format!("(?!{})", others.join("|"))
}

pub(super) fn message_ref() -> Value {
    json!({
        "type": "string",
        "format": "message",
        "pattern": format!(r"^{}[^\u0000]+$", no_other_id()),
        "description": "A message: its id, or its `guid`.",
        "examples": [example_id::<Message>()],
    })
}

fn from_and_to() -> Vec<Field> {
    vec![
        always("from", reference("LineRef"), "The line: its phone number, its Apple ID or its id."),
        always(
            "to",
            reference("Recipient"),
            "Whom it is for: a phone number, an Apple ID, or the id of a chat.",
        ),
    ]
}

fn reply_to() -> Field {
    let about =
        "The message that it answers: its id, or its `guid`. An empty text is the same as none.";
    let message = json!({
        "type": "string",
        "format": "message-or-none",
        "pattern": format!(r"^{}[^\u0000]*$", no_other_id()),
        "examples": [example_id::<Message>()],
    });
    nullable("reply_to", message, about)
}

/// Characters that show nothing, as `switchboard_model::text` has them, in the form of a pattern's class. Those beyond
/// U+FFFF are left out: not every program reads them in a class.
const INVISIBLE: &str = concat!(
    r"\s\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f",
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc",
);

/// Text, an attachment, or both: one schema for each that must be there. Generators make types of these, and none of
/// `anyOf` beside `properties`.
fn send_message() -> Value {
    json!({
        "description": "A message to send: text, an attachment, or both.",
        "anyOf": [reference("SendText"), reference("SendFile")],
        "examples": [{ "from": LINE, "to": CONTACT, "text": "Until six." }],
    })
}

fn send_text() -> Value {
    let text = message_text(&format!(r"^[^\u0000]*[^{INVISIBLE}][^\u0000]*$"));
    let about = format!("What it says, at most {MAX_TEXT_CHARS} characters. Not blank.");
    let mut fields = from_and_to();
    fields.extend([
        always("text", text, &about),
        nullable("attachments", attachments(0), ATTACHMENTS),
        reply_to(),
    ]);
    object("A message with a text.", fields)
}

fn send_file() -> Value {
    let about =
        format!("What it says beside the file, if anything; at most {MAX_TEXT_CHARS} characters.");
    let mut fields = from_and_to();
    fields.extend([
        nullable("text", message_text(r"^[^\u0000]*$"), &about),
        always("attachments", attachments(1), ATTACHMENTS),
        reply_to(),
    ]);
    object("A message with an attachment.", fields)
}

const ATTACHMENTS: &str = "The id of a file from `POST /v1/files`; at most one.";

fn message_text(pattern: &str) -> Value {
    json!({
        "type": "string",
        "maxLength": MAX_TEXT_CHARS,
        "pattern": pattern,
        "examples": ["Until six."],
    })
}

fn attachments(least: usize) -> Value {
    let mut attachments = list(&such_as(id::<File>(), example_id::<File>()));
    attachments["maxItems"] = 1.into();
    if least > 0 {
        attachments["minItems"] = least.into();
    }
    attachments
}

fn send_audio_message() -> Value {
    let mut file = id::<File>();
    file["format"] = "voice-memo".into();
    let mut fields = from_and_to();
    fields.extend([
        always(
            "audio_message",
            file,
            "A voice memo from `POST /v1/files`: m4a, aac, mp3, wav, caf or aiff.",
        ),
        reply_to(),
    ]);
    object("A voice memo to send.", fields)
}

fn send_reaction() -> Value {
    let kind = json!({
        "anyOf": [
            reference("ReactionName"),
            { "type": "string", "format": "emoji", "minLength": 1, "maxLength": 32 },
        ],
        "examples": ["love"],
    });
    let mut fields = from_and_to();
    fields.extend([
        always("message_id", reference("MessageRef"), "The message it is about."),
        always("type", kind, "One of the six kinds, or one emoji."),
        nullable("remove", boolean(false), "Take the reaction back."),
    ]);
    object("A reaction to give, or to take back.", fields)
}

fn send_typing() -> Value {
    let about = "Whether the line types; `on` if left out. Goes off by itself after 60 s.";
    let mut fields = from_and_to();
    fields.push(nullable("state", reference("TypingState"), about));
    object("The line types, or stopped.", fields)
}

fn webhook_url() -> Value {
    json!({
        "type": "string",
        "format": "uri",
        "pattern": "^https?://",
        "maxLength": MAX_URL_LEN,
        "examples": ["https://agent.example.com/hook"],
    })
}

fn url_about() -> String {
    format!(
        "Where deliveries go, at most {MAX_URL_LEN} bytes. `https` only, and no private, loopback \
         or reserved address, unless the operator allows it; no user name or password."
    )
}

fn webhook_events() -> Value {
    let mut events = list(&reference("EventKind"));
    events["minItems"] = 1.into();
    events["examples"] = json!([["message.received", "message.sent"]]);
    events
}

const EVENTS: &str = "Which events it gets: only those that are named here.";

fn create_webhook() -> Value {
    let about = format!("A webhook to make. An account has at most {MAX_PER_ACCOUNT}.");
    object(
        &about,
        vec![
            always("from", line_or_all(), "The line; empty for every line that the key may use."),
            always("url", webhook_url(), &url_about()),
            always("events", webhook_events(), EVENTS),
        ],
    )
}

fn update_webhook() -> Value {
    let about = "Whether it gets any: false disables it, true enables it again.";
    object(
        "What to change of a webhook.",
        vec![
            always("id", known::<Webhook>("webhook"), "The webhook's id."),
            nullable("url", webhook_url(), &url_about()),
            nullable("events", webhook_events(), EVENTS),
            nullable("is_active", boolean(true), about),
        ],
    )
}

/// A webhook that is there. One to delete is not named so: it may be deleted already.
fn webhook_id() -> Value {
    let id = known::<Webhook>("webhook");
    object("A webhook.", vec![always("id", id, "The webhook's id.")])
}

fn delete_webhook() -> Value {
    object("A webhook to delete.", vec![always("id", id::<Webhook>(), "The webhook's id.")])
}

fn create_replay() -> Value {
    let mut since = millis();
    since["minimum"] = 0.into();
    let mut until = since.clone();
    until["examples"] = json!([EXAMPLE_MS + 3_600_000]);
    object(
        "Which events to send again.",
        vec![
            always("id", known::<Webhook>("webhook"), "The webhook's id."),
            always("since", since, "From the events of this time on."),
            nullable(
                "until",
                until,
                "Up to, and without, those of this time; without it, to the last.",
            ),
            nullable(
                "include_delivered",
                boolean(false),
                "Whether what was delivered goes out again, too.",
            ),
        ],
    )
}

fn retry_delivery() -> Value {
    object(
        "A delivery to try again.",
        vec![always("id", known::<Delivery>("delivery"), "The delivery's id.")],
    )
}

/// `from` of webhooks: empty means all.
pub(super) fn line_or_all() -> Value {
    json!({
        "type": "string",
        "format": "line-or-all",
        "pattern": format!("{HANDLE}|^ln_|^$"),
        "description": "One of your lines, or empty.",
        "examples": [LINE],
    })
}
