//! GET and POST /v1/messages

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Serialize;
use switchboard_model::{
    Code, File, Problem,
    chat::Recipient,
    id::Id,
    message::MAX_TEXT_CHARS,
    page::CursorKey,
    text::{is_blank, trim},
    time::Clock,
};
use switchboard_store::{Chats, Messages, NewContent};

use super::{
    chats::recipient,
    http::{
        body::{self, Body},
        caller::Caller,
        envelope,
        idempotency::IdempotentRequest,
        names::{LineRef, id_of, message_ref},
        problem::Failure,
        query::Query,
        request_id::RequestId,
    },
    outbox::Outgoing,
};
use crate::files::FileBytes;

/// What shows messages.
pub(crate) struct History {
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) chats: Arc<dyn Chats>,
    pub(crate) cursors: Arc<CursorKey>,
    pub(crate) files: Arc<FileBytes>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A chat's messages, newest first, paged.
pub(crate) async fn list(
    State(history): State<Arc<History>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let History { messages, chats, cursors, files, clock } = &*history;
    let (from, to) = (query.required("from")?, query.required("to")?);
    let from = LineRef::parse(from)?;
    let to = recipient(&**chats, &caller, &from, to).await?;
    let limit = query.limit()?;
    let name = match &to {
        Recipient::Contact(handle) => caller.list(format_args!("messages {from} {handle}")),
        Recipient::Chat(chat) => caller.list(format_args!("messages {from} {chat}")),
    };
    let after = query.cursor(cursors, &name)?;
    let line = caller.line(&from).await?;
    let mut page = messages.messages(line.account, line.id, to, after, limit).await?;
    let now = clock.steady();
    page.rows.iter_mut().for_each(|message| files.show_message(message, now));
    Ok(envelope::list(page.rows, page.next.map(|next| next.encode(cursors, &name)), &id))
}

/// Takes a message into the outbox.
pub(crate) async fn send(
    State(outgoing): State<Arc<Outgoing>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let address = outgoing.address(&caller, &body, has_content(&body)).await?;
    let text = text(&body)?;
    let attachment = attachment(&body)?;
    if attachment.is_none() && text.is_none_or(is_blank) {
        let must = "must not be blank when it stands alone";
        return Err(Problem::invalid_value("text", must).into());
    }
    let reply_to = body.optional_text("reply_to")?;
    let answered = reply_to.map(|text| message_ref(text, "reply_to")).transpose()?;
    let attachments: Vec<String> = attachment.iter().map(ToString::to_string).collect();
    let content =
        NewContent::Message { text: text.map(str::to_owned), attachment, reply_to: answered };
    let payload = Original { from: address.from, to: address.to, text, attachments, reply_to };
    outgoing.accept(&caller, in_flight, address, content, &payload).await
}

/// A message has a text or attachments.
fn has_content(body: &Body) -> Result<(), Problem> {
    if body.required("text").is_ok() || has_attachments(body) {
        return Ok(());
    }
    let message = "The 'text' field is required when there are no attachments.";
    Err(Problem::new(Code::MissingRequiredParameter, message).param("text"))
}

/// The request as the caller wrote it.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
}

fn text(body: &Body) -> Result<Option<&str>, Problem> {
    let text = body.optional_text("text")?;
    // Characters are at most as many as bytes: the count is needed only for long texts.
    if let Some(text) = text
        && text.len() > MAX_TEXT_CHARS
        && text.chars().count() > MAX_TEXT_CHARS
    {
        let must = format_args!("must be at most {MAX_TEXT_CHARS} characters long");
        return Err(Problem::invalid_value("text", must));
    }
    Ok(text)
}

/// Whether the field says more than nothing; its form is checked later.
fn has_attachments(body: &Body) -> bool {
    body.required("attachments")
        .is_ok_and(|value| value.as_array().is_none_or(|ids| !ids.is_empty()))
}

/// The attachment, after its form was checked.
fn attachment(body: &Body) -> Result<Option<Id<File>>, Problem> {
    let Some(value) = body.field("attachments") else { return Ok(None) };
    let ids = body::texts(value, "attachments")?;
    if ids.len() > 1 {
        return Err(Problem::invalid_value("attachments", "must hold at most one file id"));
    }
    if ids.iter().any(|id| !trim(id).starts_with("file_")) {
        let must = "must hold ids that start with 'file_'";
        return Err(Problem::invalid_value("attachments", must));
    }
    ids.first().map(|id| id_of(id, "attachments")).transpose()
}
