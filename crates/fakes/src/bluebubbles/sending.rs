//! `message/…`: sending, reacting, editing, unsending (`messageRouter.ts`, `messageValidator.ts`).

use std::sync::Arc;

use axum::extract::State as Extract;
use serde_json::{Value, json};

use super::{
    database::Message,
    envelope::{Answer, Refusal, success},
    input::Input,
    outgoing::{Outgoing, reaction_number},
    render::{self, Form},
    send::{self, Failed, gate},
    state::{Inner, State},
};

const METHODS: &[&str] = &["apple-script", "private-api"];

/// A `tempGuid` on its way; it is forgotten when the request ends, and the same one sends again.
struct Sending {
    inner: Arc<Inner>,
    temp_guid: Option<String>,
}

impl Sending {
    fn begin(inner: &Arc<Inner>, temp_guid: Option<&String>, words: &str) -> Result<Self, Refusal> {
        if let Some(temp_guid) = temp_guid {
            let is_new = inner.look(|state| state.sending.insert(temp_guid.clone()));
            if !is_new {
                return Err(Refusal::bad_request(words));
            }
        }
        Ok(Self { inner: Arc::clone(inner), temp_guid: temp_guid.cloned() })
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(temp_guid) = &self.temp_guid {
            self.inner.look(|state| state.sending.remove(temp_guid));
        }
    }
}

pub(super) fn sent_form(state: &State, row: &Message) -> Value {
    render::message(&state.db, &state.mac, row, Form::SENT)
}

/// What a send that did not end well is answered.
pub(super) fn refused(inner: &Inner, failed: Failed, message: &str, noun: &str) -> Refusal {
    match failed {
        Failed::Thrown(error) => Refusal::imessage(message, error),
        Failed::Promise(row) => {
            let data = inner.look(|state| {
                let row = row.as_ref().and_then(|guid| state.db.message(guid));
                row.map_or(Value::Null, |row| {
                    let form = Form { attributed_body: false, summary: false, ..Form::SENT };
                    render::message(&state.db, &state.mac, row, form)
                })
            });
            Refusal::imessage(
                message,
                format!("Failed to send {noun}! See attached message error code."),
            )
            .with_data(data)
        }
    }
}

pub(super) async fn text(Extract(inner): Extract<Arc<Inner>>, input: Input) -> Answer {
    let chat = input.required("chatGuid")?;
    let temp_guid = input.text("tempGuid")?;
    if !input.fields.contains_key("message") {
        return Err(Refusal::bad_request("The message field must be present."));
    }
    let message = input.text("message")?;
    let method = input.one_of("method", METHODS)?;
    let effect = input.text("effectId")?;
    let subject = input.text("subject")?;
    let reply_to = input.text("selectedMessageGuid")?;
    let part = input.number("partIndex", 0, i64::MAX)?.unwrap_or(0);
    let scan = matches!(input.get("ddScan"), Some(Value::Bool(true)));
    let body = input.get("attributedBody").is_some();
    // Any of these needs the helper, whatever method was named.
    let private = effect.is_some() || subject.is_some() || reply_to.is_some() || scan || body;
    let method = if private || method.as_deref() == Some("private-api") {
        "private-api"
    } else {
        "apple-script"
    };
    if method == "apple-script" {
        if temp_guid.is_none() {
            return Err(Refusal::bad_request(
                "A 'tempGuid' is required when sending via AppleScript",
            ));
        }
        if message.is_none() {
            return Err(Refusal::bad_request(
                "A 'message' is required when sending via AppleScript",
            ));
        }
    } else if message.is_none() && subject.is_none() {
        return Err(Refusal::bad_request(
            "A 'message' or 'subject' is required when sending via the Private API",
        ));
    }
    let words = format!(
        "Message is already queued to be sent! (Temp GUID: {})",
        temp_guid.as_deref().unwrap_or_default()
    );
    let _sending = Sending::begin(&inner, temp_guid.as_ref(), &words)?;
    let out = Outgoing {
        kind: "text",
        method,
        chat,
        text: message,
        subject,
        effect,
        reply_to,
        part,
        temp_guid,
        ..Outgoing::default()
    };
    answer_text(&inner, out).await
}

/// Sends a text or a message of parts. A row with an error is thrown inside the handler's own `try`, so its data is lost.
async fn answer_text(inner: &Arc<Inner>, out: Outgoing) -> Answer {
    let temp_guid = out.temp_guid.clone();
    let guid = send::send(inner, out)
        .await
        .map_err(|failed| refused(inner, failed, "Message Send Error", "message"))?;
    let (mut data, error) = inner.look(|state| {
        let row = state.db.message(&guid);
        (row.map(|row| sent_form(state, row)).unwrap_or_default(), row.map_or(0, |row| row.error))
    });
    if error != 0 {
        return Err(Refusal::imessage(
            "Message Send Error",
            "[500] Message sent with an error. See attached message",
        ));
    }
    if let Some(temp_guid) = temp_guid {
        data["tempGuid"] = json!(temp_guid);
    }
    success("Message sent!", &data)
}

pub(super) async fn attachment(Extract(inner): Extract<Arc<Inner>>, mut input: Input) -> Answer {
    let chat = input.required("chatGuid")?;
    let temp_guid = input.text("tempGuid")?;
    let method = input.one_of("method", METHODS)?;
    let name = input.required("name")?;
    input.one_of("isAudioMessage", &["true", "false", "0", "1"])?;
    // Only the literal word counts.
    let is_audio = input.text("isAudioMessage")?.as_deref() == Some("true");
    let effect = input.text("effectId")?;
    let subject = input.text("subject")?;
    let reply_to = input.text("selectedMessageGuid")?;
    let part = input.number("partIndex", 0, i64::MAX)?.unwrap_or(0);
    let private = effect.is_some() || subject.is_some() || reply_to.is_some();
    let method = if private || method.as_deref() == Some("private-api") {
        "private-api"
    } else {
        "apple-script"
    };
    if method == "apple-script" && temp_guid.is_none() {
        return Err(Refusal::bad_request("A 'tempGuid' is required when sending via AppleScript"));
    }
    let words = "Attachment is already queued to be sent!";
    let _sending = Sending::begin(&inner, temp_guid.as_ref(), words)?;
    let Some(mut file) = input.files.remove("attachment").filter(|file| !file.bytes.is_empty())
    else {
        return Err(Refusal::bad_request("Attachment not provided or was empty!"));
    };
    // What is converted here is no voice memo to a phone: it shows 0 s, or a file. Only a ready one plays.
    let mut plays = is_audio && method == "private-api" && name.ends_with(".caf");
    file.name = name;
    if is_audio && let Some(stem) = file.name.strip_suffix(".mp3") {
        file.name = format!("{stem}.caf");
        file.mime_type = "audio/x-caf".to_owned();
        plays = false;
    }
    let out = Outgoing {
        kind: "attachment",
        method,
        chat,
        files: vec![file],
        is_audio: plays,
        subject,
        effect,
        reply_to,
        part,
        temp_guid,
        ..Outgoing::default()
    };
    let guid = send::send(&inner, out)
        .await
        .map_err(|failed| refused(&inner, failed, "Attachment Send Error", "attachment"))?;
    let data = inner
        .look(|state| state.db.message(&guid).map(|row| sent_form(state, row)))
        .unwrap_or_default();
    success("Attachment sent!", &data)
}

pub(super) async fn multipart(Extract(inner): Extract<Arc<Inner>>, input: Input) -> Answer {
    gate(&inner)?;
    let chat = input.required("chatGuid")?;
    let temp_guid = input.text("tempGuid")?;
    let Some(Value::Array(parts)) = input.get("parts").filter(|parts| *parts != &json!([])) else {
        return Err(Refusal::bad_request("The parts field is required."));
    };
    let (mut text, mut files) = (String::new(), Vec::new());
    for part in parts {
        if !part.is_object() {
            return Err(Refusal::bad_request("Each part must be a dictionary"));
        }
        let index = part.get("partIndex").filter(|index| !index.is_null());
        let Some(index) = index else {
            return Err(Refusal::bad_request("Each part must have a partIndex"));
        };
        if !index.is_number() {
            return Err(Refusal::bad_request("Each partIndex must be a number"));
        }
        let field = |name: &str| part.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
        let (words, path, name) = (field("text"), field("attachment"), field("name"));
        if words.is_none() && path.is_none() {
            return Err(Refusal::bad_request("Each part must have either a text or attachment"));
        }
        if let Some(path) = path {
            let Some(name) = name else {
                return Err(Refusal::bad_request("Each attachment must have a name"));
            };
            let Some(mut file) = inner.look(|state| state.uploads.get(path).cloned()) else {
                return Err(Refusal::bad_request(format!("Attachment '{path}' does not exist")));
            };
            file.name = name.to_owned();
            files.push(file);
        }
        if field("mention").is_some() && words.is_none() {
            return Err(Refusal::bad_request("A mention must have text"));
        }
        text.push_str(words.unwrap_or_default());
    }
    let words = "Message is already queued to be sent!";
    let _sending = Sending::begin(&inner, temp_guid.as_ref(), words)?;
    let out = Outgoing {
        kind: "multipart",
        method: "private-api",
        chat,
        text: Some(text).filter(|text| !text.is_empty()),
        files,
        subject: input.text("subject")?,
        effect: input.text("effectId")?,
        reply_to: input.text("selectedMessageGuid")?,
        part: input.number("partIndex", 0, i64::MAX)?.unwrap_or(0),
        temp_guid,
        ..Outgoing::default()
    };
    answer_text(&inner, out).await
}

pub(super) async fn react(Extract(inner): Extract<Arc<Inner>>, input: Input) -> Answer {
    gate(&inner)?;
    let chat = input.required("chatGuid")?;
    let target = input.required("selectedMessageGuid")?;
    let reaction = input.required("reaction")?;
    let Some(kind) = reaction_number(&reaction) else {
        return Err(Refusal::bad_request("The selected reaction is invalid."));
    };
    let part = input.number("partIndex", 0, i64::MAX)?.unwrap_or(0);
    if inner.look(|state| state.db.message(&target).is_none()) {
        return Err(Refusal::bad_request("Selected message does not exist!"));
    }
    let out = Outgoing {
        kind: "reaction",
        method: "private-api",
        chat,
        text: Some(reaction),
        part,
        reaction: Some((target, kind)),
        ..Outgoing::default()
    };
    let guid = send::send(&inner, out)
        .await
        .map_err(|failed| refused(&inner, failed, "Reaction Send Error", "reaction"))?;
    let data = inner
        .look(|state| state.db.message(&guid).map(|row| sent_form(state, row)))
        .unwrap_or_default();
    success("Reaction sent!", &data)
}
