//! The simulator's API (`/simulator/v1`): its operations, what they take and what they answer.

use http::Method;
use serde_json::{Map, Value, json};
use switchboard_model::{
    Chat,
    Code::{
        self, ChatNotFound, InvalidParameterValue, LineNotFound, MessageNotFound,
        MissingRequiredParameter,
    },
    Message, ReactionType,
    message::MAX_TEXT_CHARS,
    simulator::{FaultMode, Phone, SimulatedText},
};

use super::{
    operations::{
        AnswerKind::One,
        Entry,
        RequestBody::{Json, None},
        entry,
    },
    parameters::{Location, parameter},
    requests::{HANDLE, message_ref},
    resources::{CONTACT, LINE},
    schema::{
        Field, always, boolean, derived, id, list, nullable, number, object, one_of, reference,
        such_as, text,
    },
};

pub(super) const TAGS: [(&str, &str); 3] = [
    ("Contacts", "What contacts do."),
    ("Phones", "What contacts' phones show."),
    ("Lines", "What the line can do, and what goes wrong."),
];

const IN_CHAT: &[Code] =
    &[MissingRequiredParameter, InvalidParameterValue, LineNotFound, ChatNotFound];
const OF_MESSAGE: &[Code] = &[MissingRequiredParameter, InvalidParameterValue, MessageNotFound];
const OF_LINE: &[Code] = &[MissingRequiredParameter, InvalidParameterValue, LineNotFound];

#[rustfmt::skip]
pub(super) fn operations() -> Vec<Entry> {
    let (get, post) = (|| Method::GET, || Method::POST);
    vec![
        entry(
            post(), "/simulator/v1/messages", "textLine", "Contacts", "A contact texts a line",
            "Answers once the server has the message; at once, with nulls, while the line's bridge is away.",
            &[], Json("ContactMessage"), One(201, "SimulatedText"), IN_CHAT,
        ),
        entry(
            post(), "/simulator/v1/messages/edit", "editText", "Contacts", "A contact edits a message",
            "The contact who wrote it.",
            &[], Json("EditMessage"), One(200, "SimulatedText"), OF_MESSAGE,
        ),
        entry(
            post(), "/simulator/v1/messages/unsend", "unsendText", "Contacts", "A contact takes a message back",
            "The contact who wrote it. Doing it again changes nothing.",
            &[], Json("UnsendMessage"), One(200, "SimulatedText"), OF_MESSAGE,
        ),
        entry(
            post(), "/simulator/v1/reactions", "react", "Contacts", "A contact reacts to a message",
            "A new reaction takes the place of the contact's older one.",
            &[], Json("ContactReaction"), One(201, "SimulatedReaction"),
            &[MissingRequiredParameter, InvalidParameterValue, LineNotFound, MessageNotFound],
        ),
        entry(
            post(), "/simulator/v1/typing", "type", "Contacts", "A contact begins or stops typing", "",
            &[], Json("ContactTyping"), One(201, "SimulatedTyping"), IN_CHAT,
        ),
        entry(
            post(), "/simulator/v1/receipts", "read", "Contacts", "A contact reads a chat",
            "All that the line wrote in it.",
            &[], Json("ContactInChat"), One(201, "SimulatedRead"), IN_CHAT,
        ),
        entry(
            post(), "/simulator/v1/groups", "createGroup", "Contacts", "Make a group with a line in it", "",
            &[], Json("CreateGroup"), One(201, "SimulatedGroup"), OF_LINE,
        ),
        entry(
            get(), "/simulator/v1/phones", "getPhone", "Phones", "See what a contact's phone shows",
            "Messages with their files and reactions, oldest first; who types; what was read.",
            &["Handle"], None, One(200, "Phone"), &[MissingRequiredParameter, InvalidParameterValue],
        ),
        entry(
            post(), "/simulator/v1/lines/capabilities", "setCapabilities", "Lines",
            "Give a line the advanced features, or take them away", "",
            &[], Json("LineCapabilities"), One(200, "LineCapabilities"), OF_LINE,
        ),
        entry(
            post(), "/simulator/v1/faults", "setFault", "Lines", "Make a line go wrong, or right again",
            "`offline`: the bridge is away. `reject`: the driver refuses. `slow`: each item takes `ms`. \
             `lose_report`: sent, but the report is lost. `none`: all is well.",
            &[], Json("SetFault"), One(200, "Fault"), OF_LINE,
        ),
    ]
}

pub(super) fn parameters() -> Map<String, Value> {
    let handle = parameter("handle", &Location::Query, true, contact(), "The contact.");
    [("Handle".to_owned(), handle)].into_iter().collect()
}

/// The schemas of what is taken and answered, by name.
pub(super) fn schemas() -> Map<String, Value> {
    let mut all = derived!(SimulatedText, Phone);
    for (name, schema) in [
        ("ContactMessage", contact_message()),
        ("ContactText", contact_text()),
        ("ContactFiles", contact_files()),
        ("ContactFile", contact_file()),
        ("EditMessage", edit_message()),
        ("EditByGuid", changed("guid", true)),
        ("EditById", changed("message_id", true)),
        ("UnsendMessage", unsend_message()),
        ("UnsendByGuid", changed("guid", false)),
        ("UnsendById", changed("message_id", false)),
        ("ContactReaction", contact_reaction()),
        ("ReactionName", one_of(&ReactionType::NAMED.each_ref().map(ReactionType::as_str))),
        ("ContactTyping", contact_typing()),
        ("TypingState", one_of(&["on", "off"])),
        ("ContactInChat", object("A contact in a chat.", in_chat())),
        ("CreateGroup", create_group()),
        ("LineCapabilities", line_capabilities()),
        ("SetFault", fault("What is to go wrong on a line.")),
        ("FaultMode", one_of(&FaultMode::ALL.map(FaultMode::as_str))),
        ("Fault", fault("What goes wrong on a line.")),
        ("SimulatedReaction", simulated_reaction()),
        ("SimulatedTyping", simulated_typing()),
        ("SimulatedRead", simulated_read()),
        ("SimulatedGroup", simulated_group()),
    ] {
        all.insert(name.to_owned(), schema);
    }
    all
}

fn handle(example: &str) -> Value {
    json!({ "type": "string", "pattern": HANDLE, "examples": [example] })
}

/// No pattern: a sender may have any name.
fn contact() -> Value {
    json!({ "type": "string", "minLength": 1, "examples": [CONTACT] })
}

fn line_and_from() -> Vec<Field> {
    vec![always("line", handle(LINE), "The line."), always("from", contact(), "The contact.")]
}

fn chat_id() -> Field {
    let chat = such_as(id::<Chat>(), Value::Null);
    nullable("chat_id", chat, "The group that it happens in; left out for the chat of the two.")
}

fn in_chat() -> Vec<Field> {
    let mut fields = line_and_from();
    fields.push(chat_id());
    fields
}

fn text_of_message() -> Value {
    json!({ "type": "string", "maxLength": MAX_TEXT_CHARS, "examples": ["Is the shop open?"] })
}

fn reply_to_guid() -> Field {
    nullable("reply_to_guid", such_as(text(""), Value::Null), "The message that it answers.")
}

fn contact_message() -> Value {
    json!({
        "description": "What a contact sends: text, files, or both.",
        "anyOf": [reference("ContactText"), reference("ContactFiles")],
        "examples": [{ "line": LINE, "from": CONTACT, "text": "Is the shop open?" }],
    })
}

fn contact_text() -> Value {
    let mut files = list(&reference("ContactFile"));
    files["maxItems"] = 10.into();
    let mut fields = in_chat();
    fields.extend([
        always("text", text_of_message(), "What it says."),
        nullable("attachments", such_as(files, json!([])), "Its files."),
        reply_to_guid(),
    ]);
    object("A text, perhaps with files.", fields)
}

fn contact_files() -> Value {
    let mut files = list(&reference("ContactFile"));
    files["minItems"] = 1.into();
    files["maxItems"] = 10.into();
    let mut fields = in_chat();
    fields.extend([
        nullable("text", text_of_message(), "What it says beside them."),
        always("attachments", files, "Its files."),
        nullable("is_audio_message", boolean(false), "Whether its one file is a voice memo."),
        reply_to_guid(),
    ]);
    object("Files, perhaps with a text.", fields)
}

fn contact_file() -> Value {
    let data = json!({ "type": "string", "contentEncoding": "base64", "minLength": 4, "examples": ["JVBERi0xLjcK"] });
    object(
        "A file that a contact sends.",
        vec![
            always("data", data, "Its bytes, in base64."),
            always("mime_type", text("application/pdf"), "Its type."),
            nullable("filename", text("menu.pdf"), "Its name."),
            nullable(
                "transcription",
                such_as(text(""), Value::Null),
                "What is said in a voice memo.",
            ),
        ],
    )
}

fn edit_message() -> Value {
    json!({
        "description": "The message that a contact edits, by its guid or its id, and its new text.",
        "anyOf": [reference("EditByGuid"), reference("EditById")],
    })
}

fn unsend_message() -> Value {
    json!({
        "description": "The message that a contact takes back, by its guid or its id.",
        "anyOf": [reference("UnsendByGuid"), reference("UnsendById")],
    })
}

/// A message named by this field, and its new text if it gets one.
fn changed(name: &'static str, is_edit: bool) -> Value {
    let mut message = message_ref();
    if name == "guid" {
        message["examples"] = json!(["8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1"]);
    }
    let mut fields = vec![always(name, message, "The message.")];
    if is_edit {
        fields.push(always("text", text_of_message(), "What it says from now on."));
    }
    object("A message that a contact wrote.", fields)
}

fn contact_reaction() -> Value {
    let kind = json!({
        "anyOf": [
            reference("ReactionName"),
            { "type": "string", "format": "emoji", "minLength": 1, "maxLength": 32 },
        ],
        "examples": ["love"],
    });
    let mut fields = line_and_from();
    fields.extend([
        always("message_guid", text("8A1F3C52-7D4E-4B1A-9C60-2E5F7A90B3D1"), "The message."),
        always("type", kind, "One of the six kinds, or one emoji."),
        nullable("remove", boolean(false), "Whether it is taken back."),
    ]);
    object("A reaction of a contact.", fields)
}

fn contact_typing() -> Value {
    let mut fields = in_chat();
    fields.push(nullable("state", reference("TypingState"), "`on` if left out."));
    object("A contact types, or stopped.", fields)
}

fn create_group() -> Value {
    let mut participants = list(&contact());
    participants["minItems"] = 1.into();
    object(
        "A group to make.",
        vec![
            always("line", handle(LINE), "The line that is in it."),
            always("participants", participants, "The contacts; at most 31."),
            nullable("name", text("Family"), "Its name."),
        ],
    )
}

fn line_capabilities() -> Value {
    let about = "Whether audio messages, reactions, typing and read receipts all work.";
    object(
        "What a line can do.",
        vec![
            always("line", handle(LINE), "The line."),
            always("advanced_features", boolean(true), about),
        ],
    )
}

fn fault(about: &str) -> Value {
    let mut ms = such_as(number(1000), Value::Null);
    ms["maximum"] = 86_400_000.into();
    let mut count = such_as(number(1), Value::Null);
    count["maximum"] = u32::MAX.into();
    object(
        about,
        vec![
            always("line", handle(LINE), "The line."),
            always("mode", such_as(reference("FaultMode"), "offline"), "How."),
            nullable(
                "ms",
                ms,
                "With `offline`: for how long. With `slow`: how long an item takes.",
            ),
            nullable(
                "count",
                count,
                "With `reject`, `slow` and `lose_report`: for so many items; left out until it is changed.",
            ),
        ],
    )
}

fn simulated_reaction() -> Value {
    let about = "The message that it is about; null while the line's bridge is away.";
    object("A contact has reacted.", vec![nullable("message_id", id::<Message>(), about)])
}

fn simulated_typing() -> Value {
    object(
        "A contact types, or stopped.",
        vec![always("is_typing", boolean(true), "Which of them.")],
    )
}

fn simulated_read() -> Value {
    object("A contact has read.", vec![always("read", boolean(true), "Always true.")])
}

fn simulated_group() -> Value {
    object("A group that was made.", vec![always("chat_id", id::<Chat>(), "Its chat.")])
}
