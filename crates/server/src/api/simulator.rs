//! /simulator/v1: what a test or a person does with virtual phones. Only with the simulator.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::StatusCode;
use serde_json::{Value, json};
use switchboard_model::{
    Chat, Handle, Problem, ReactionType,
    id::{self, Id},
    message::{MAX_TEXT_CHARS, MessageRef},
    simulator::{
        ContactFile, ContactInChat, ContactReaction, ContactText, Fault, FaultMode,
        SimulatedPhones, SimulatorError,
    },
    text::is_blank,
};
use switchboard_store::Messages;

use super::http::{
    body::{self, Body},
    caller::Operator,
    envelope,
    names::{id_of, message_ref},
    problem::Failure,
    query::Query,
    request_id::RequestId,
};

/// The most participants of a simulated group, the line not counted.
const MAX_PARTICIPANTS: usize = 31;

/// The most files of one simulated message.
const MAX_FILES: usize = 10;

/// The virtual phones, if there are any.
#[derive(Clone)]
pub(crate) struct Phones(pub(crate) Option<Arc<dyn SimulatedPhones>>);

impl Phones {
    fn get(&self) -> Result<&dyn SimulatedPhones, Failure> {
        self.0.as_deref().ok_or_else(|| Failure {
            cause: Some("a simulator route without a simulator".to_owned()),
            ..Failure::internal()
        })
    }
}

/// A contact texts a line, with files or without.
pub(crate) async fn text(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (line, from) = (body.required("line")?, body.required("from")?);
    // None, null and an empty list are the same.
    let attached = body
        .field("attachments")
        .filter(|list| list.as_array().is_none_or(|list| !list.is_empty()));
    if attached.is_none() {
        body.required("text")?;
    }
    let (line, from) = (handle(line, "line")?, sender(from, "from")?);
    let text = body.optional_text("text")?.map(str::to_owned);
    text.as_deref().map_or(Ok(()), within_limit)?;
    let chat_id = optional_chat(&body)?;
    let reply_to_guid = body.optional_text("reply_to_guid")?.map(str::to_owned);
    let attachments = attached.map(contact_files).transpose()?.unwrap_or_default();
    let is_audio_message = body.optional_bool("is_audio_message")?.unwrap_or(false);
    if is_audio_message && attachments.len() != 1 {
        let must = "needs exactly one attachment, the voice memo";
        return Err(Problem::invalid_value("is_audio_message", must).into());
    }
    let text =
        ContactText { line, from, text, chat_id, reply_to_guid, attachments, is_audio_message };
    let texted = phones.get()?.text(text).await?;
    Ok(envelope::one(StatusCode::CREATED, &texted, &id))
}

/// The files of a contact's message: `[{data: base64, mime_type, filename?, transcription?}]`.
fn contact_files(list: &Value) -> Result<Vec<ContactFile>, Problem> {
    let must = || {
        let must = "must be a list of {data (base64), mime_type, filename?, transcription?}";
        Problem::invalid_value("attachments", must)
    };
    let file = |file: &Value| {
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        let data = BASE64_STANDARD.decode(text("data")?).ok().filter(|data| !data.is_empty())?;
        Some(ContactFile {
            filename: text("filename").map(str::to_owned),
            mime_type: text("mime_type")?.to_owned(),
            data,
            transcription: text("transcription").map(str::to_owned),
        })
    };
    list.as_array()
        .filter(|files| files.len() <= MAX_FILES)
        .ok_or_else(must)?
        .iter()
        .map(|one| file(one).ok_or_else(must))
        .collect()
}

/// A contact reacts to a message, or takes a reaction back.
pub(crate) async fn react(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (line, from) = (body.required("line")?, body.required("from")?);
    let (guid, kind) = (body.required("message_guid")?, body.required("type")?);
    let reaction = ContactReaction {
        line: handle(line, "line")?,
        from: sender(from, "from")?,
        message_guid: body::text(guid, "message_guid")?.to_owned(),
        reaction_type: ReactionType::parse(body::text(kind, "type")?).ok_or_else(|| {
            Problem::invalid_value("type", "must be one of the six kinds, or one emoji")
        })?,
        remove: body.optional_bool("remove")?.unwrap_or(false),
    };
    let message_id = phones.get()?.react(reaction).await?;
    Ok(envelope::one(StatusCode::CREATED, &json!({ "message_id": message_id }), &id))
}

/// The contact who wrote a message edits it.
pub(crate) async fn edit(
    State(phones): State<Phones>,
    State(messages): State<Arc<dyn Messages>>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let ((message, param), text) = (named_message(&body)?, body.required("text")?);
    let message = message_ref(body::text(message, param)?, param)?;
    let text = body::text(text, "text")?;
    within_limit(text)?;
    let guid = guid_of(&*messages, message, param).await?;
    let edited = phones.get()?.edit(&guid, text.to_owned()).await;
    Ok(envelope::one(StatusCode::OK, &edited.map_err(|error| of_message(error, param))?, &id))
}

/// The contact who wrote a message takes it back.
pub(crate) async fn unsend(
    State(phones): State<Phones>,
    State(messages): State<Arc<dyn Messages>>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (message, param) = named_message(&body)?;
    let message = message_ref(body::text(message, param)?, param)?;
    let guid = guid_of(&*messages, message, param).await?;
    let unsent = phones.get()?.unsend(&guid).await;
    Ok(envelope::one(StatusCode::OK, &unsent.map_err(|error| of_message(error, param))?, &id))
}

/// The message that a request names, by id or by guid: as `guid`, or as `message_id`.
fn named_message(body: &Body) -> Result<(&Value, &'static str), Problem> {
    let name = if body.field("guid").is_some() { "guid" } else { "message_id" };
    match body.required(name) {
        Ok(message) => Ok((message, name)),
        Err(_) => Err(Problem::missing_field("guid")),
    }
}

/// Phones know messages by their guid.
async fn guid_of(
    messages: &dyn Messages,
    message: MessageRef,
    param: &'static str,
) -> Result<String, Failure> {
    let guid = match message {
        MessageRef::Guid(guid) => Some(guid),
        MessageRef::Id(id) => messages.guid_of(id).await?,
    };
    guid.ok_or_else(|| of_message(SimulatorError::NotAContactsMessage, param))
}

/// What is wrong with the message that this field names.
fn of_message(error: SimulatorError, param: &'static str) -> Failure {
    match error {
        error @ SimulatorError::NotAContactsMessage => {
            let failure = Failure::from(error);
            Failure { problem: failure.problem.param(param), ..failure }
        }
        error => error.into(),
    }
}

fn within_limit(text: &str) -> Result<(), Problem> {
    if text.chars().count() <= MAX_TEXT_CHARS {
        return Ok(());
    }
    let must = format_args!("must be at most {MAX_TEXT_CHARS} characters long");
    Err(Problem::invalid_value("text", must))
}

/// A contact begins or stops typing.
pub(crate) async fn typing(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let contact = contact(&body)?;
    let on = match body.optional_text("state")? {
        None | Some("on") => true,
        Some("off") => false,
        Some(_) => return Err(Problem::invalid_value("state", "must be 'on' or 'off'").into()),
    };
    phones.get()?.typing(contact, on).await?;
    Ok(envelope::one(StatusCode::CREATED, &json!({ "is_typing": on }), &id))
}

/// A contact reads all that the line wrote.
pub(crate) async fn read(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let contact = contact(&body)?;
    phones.get()?.read(contact).await?;
    Ok(envelope::one(StatusCode::CREATED, &json!({ "read": true }), &id))
}

/// Gives a line the advanced features, or takes them away.
pub(crate) async fn capabilities(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let line = handle(body.required("line")?, "line")?;
    let advanced = body
        .optional_bool("advanced_features")?
        .ok_or_else(|| Problem::missing_field("advanced_features"))?;
    phones.get()?.capabilities(&line, advanced).await?;
    let answer = json!({ "line": line, "advanced_features": advanced });
    Ok(envelope::one(StatusCode::OK, &answer, &id))
}

/// What a contact's phone shows.
pub(crate) async fn phone(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let handle = contact_of(query.required("handle")?, "handle")?;
    let phone = phones.get()?.phone(&handle).await;
    Ok(envelope::one(StatusCode::OK, &phone, &id))
}

/// The contact and the chat that a request is about.
fn contact(body: &Body) -> Result<ContactInChat, Problem> {
    let (line, from) = (body.required("line")?, body.required("from")?);
    Ok(ContactInChat {
        line: handle(line, "line")?,
        from: sender(from, "from")?,
        chat_id: optional_chat(body)?,
    })
}

fn optional_chat(body: &Body) -> Result<Option<Id<Chat>>, Problem> {
    body.optional_text("chat_id")?.map(|text| id_of(text, "chat_id")).transpose()
}

/// Makes a group.
pub(crate) async fn group(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (line, participants) = (body.required("line")?, body.required("participants")?);
    let line = handle(line, "line")?;
    let mut handles = Vec::new();
    for text in body::texts(participants, "participants")? {
        let handle = contact_of(text, "participants")?;
        if !handles.contains(&handle) {
            handles.push(handle);
        }
    }
    if handles.is_empty() || handles.len() > MAX_PARTICIPANTS {
        let must = format_args!("must hold 1 to {MAX_PARTICIPANTS} handles");
        return Err(Problem::invalid_value("participants", must).into());
    }
    let name = body.optional_text("name")?.map(str::to_owned);
    let chat_id = phones.get()?.group(&line, name, handles).await?;
    Ok(envelope::one(StatusCode::CREATED, &json!({ "chat_id": chat_id }), &id))
}

/// Makes a line go wrong, or right again.
pub(crate) async fn fault(
    State(phones): State<Phones>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (line, mode) = (body.required("line")?, body.required("mode")?);
    let line = handle(line, "line")?;
    let mode = FaultMode::from_name(body::text(mode, "mode")?).ok_or_else(|| {
        let known = FaultMode::ALL.map(FaultMode::as_str).join(", ");
        Problem::invalid_value("mode", format_args!("must be one of {known}"))
    })?;
    let ms = body.optional_number("ms", 0..=86_400_000)?;
    let count = body.optional_number("count", 1..=i64::from(u32::MAX))?;
    if ms.is_some() && !mode.takes_time() {
        return Err(Problem::invalid_value("ms", "goes with the modes offline and slow").into());
    }
    if count.is_some() && !mode.takes_count() {
        let must = "goes with the modes reject, slow and lose_report";
        return Err(Problem::invalid_value("count", must).into());
    }
    let fault = Fault {
        mode,
        after: ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        count: count.and_then(|count| u32::try_from(count).ok()),
    };
    phones.get()?.fault(&line, fault).await?;
    let answer = json!({ "line": line, "mode": mode, "ms": ms, "count": count });
    Ok(envelope::one(StatusCode::OK, &answer, &id))
}

fn handle(value: &serde_json::Value, name: &'static str) -> Result<Handle, Problem> {
    body::text(value, name)?.parse().map_err(|error| Problem::invalid_value(name, error))
}

fn sender(value: &serde_json::Value, name: &'static str) -> Result<Handle, Problem> {
    contact_of(body::text(value, name)?, name)
}

/// A contact is whoever may write to a line: a sender that can't be dialled may have any name.
fn contact_of(text: &str, name: &'static str) -> Result<Handle, Problem> {
    if is_blank(text) || id::has_any_prefix(text) {
        let must = "must be a phone number, an Apple ID, or the name of a sender";
        return Err(Problem::invalid_value(name, must));
    }
    Ok(Handle::received(text))
}
