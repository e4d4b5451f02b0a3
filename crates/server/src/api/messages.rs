//! GET and POST /v1/messages

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use switchboard_model::{
    Code, Handle, OutboxItem, Problem,
    chat::Recipient,
    id::{self, Id},
    message::{MAX_GUID_LEN, MAX_TEXT_CHARS, MessageRef},
    outbox::OutboxStatus,
};
use switchboard_store::Accept;

use crate::{
    api::{
        auth::{Caller, LineRef},
        body::{self, Body},
        envelope::{self, RequestId},
        problem::{Failure, id_of},
        query::Query,
    },
    app::App,
};

/// A chat's messages, newest first, paged.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let (from, to) = (query.required("from")?, query.required("to")?);
    let (from, to) = (LineRef::parse(from)?, recipient(to)?);
    let limit = query.limit()?;
    let name = match &to {
        Recipient::Contact(handle) => format!("messages {from} {handle}"),
        Recipient::Chat(chat) => format!("messages {from} {chat}"),
    };
    let after = query.cursor(&name)?;
    let line = caller.line(&app, &from).await?;
    let page = app.store.messages(line.account, line.id, to, after, limit).await?;
    Ok(envelope::list(page.rows, page.next.map(|next| next.encode(&name)), &id))
}

/// Takes a text into the outbox, durably, and answers at once.
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let (from, to) = (body.required("from")?, body.required("to")?);
    let attached = has_attachments(&body);
    if body.required("text").is_err() && !attached {
        let message = "The 'text' field is required when there are no attachments.";
        let problem = Problem::new(Code::MissingRequiredParameter, message).param("text");
        return Err(problem.into());
    }
    let from = body::text(from, "from")?;
    let line = LineRef::parse(from)?;
    let to = body::text(to, "to")?;
    let chat = recipient(to)?;
    let text = text(&body, attached)?;
    check_attachments(&body)?;
    let reply_to = body.optional_text("reply_to")?;
    let answered = reply_to.map(message_ref).transpose()?;

    let line = caller.line(&app, &line).await?;
    let payload = payload(&Original { from, to, text, reply_to });
    let accept = Accept {
        account_id: line.account,
        line_id: line.id,
        to: chat,
        text: text.to_owned(),
        reply_to: answered,
        attached,
        payload,
    };
    let accepted = app.store.accept(accept, app.clock.now()).await?;
    app.hub.wake(line.id);
    let answer = Pending { id: accepted.id, status: OutboxStatus::Pending };
    Ok(envelope::one(StatusCode::CREATED, &answer, &id))
}

/// What a write is answered with: exactly this, and `request_id` (§6).
#[derive(Debug, Serialize)]
struct Pending {
    id: Id<OutboxItem>,
    status: OutboxStatus,
}

/// The request as the caller wrote it, for GET /v1/outbox.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
}

fn payload(original: &Original<'_>) -> Box<RawValue> {
    to_raw_value(original).expect("texts under fixed names always serialise")
}

fn text(body: &Body, attached: bool) -> Result<&str, Problem> {
    let text = body.optional_text("text")?.unwrap_or_default();
    if text.trim().is_empty() && !attached {
        return Err(Problem::invalid_value("text", "must not be blank when it stands alone"));
    }
    // Characters are at most as many as bytes: the count is needed only for long texts.
    if text.len() > MAX_TEXT_CHARS && text.chars().count() > MAX_TEXT_CHARS {
        let must = format_args!("must be at most {MAX_TEXT_CHARS} characters long");
        return Err(Problem::invalid_value("text", must));
    }
    Ok(text)
}

/// Whether the field says more than nothing; its form is checked later.
fn has_attachments(body: &Body) -> bool {
    body.required("attachments").is_ok_and(|value| value.as_array().is_none_or(|ids| !ids.is_empty()))
}

/// Checks the form of the attachments' ids.
fn check_attachments(body: &Body) -> Result<(), Problem> {
    let Some(value) = body.field("attachments") else { return Ok(()) };
    let ids = body::texts(value, "attachments")?;
    if ids.len() > 1 {
        return Err(Problem::invalid_value("attachments", "must hold at most one file id"));
    }
    if ids.iter().any(|id| !id.starts_with("file_")) {
        let must = "must hold ids that start with 'file_'";
        return Err(Problem::invalid_value("attachments", must));
    }
    Ok(())
}

/// Takes `to`: a phone, an Apple ID, or `cht_…`.
fn recipient(text: &str) -> Result<Recipient, Problem> {
    if text.starts_with("cht_") {
        return id_of(text, "to").map(Recipient::Chat);
    }
    text.parse::<Handle>()
        .map(Recipient::Contact)
        .map_err(|error| Problem::invalid_value("to", format_args!("{error}, or a chat id")))
}

/// Takes a message as a caller names it: `msg_…`, or a guid.
fn message_ref(text: &str) -> Result<MessageRef, Problem> {
    if text.starts_with("msg_") {
        return id_of(text, "reply_to").map(MessageRef::Id);
    }
    if id::has_any_prefix(text) {
        let must = "must be an id that starts with 'msg_', or a guid";
        return Err(Problem::invalid_value("reply_to", must));
    }
    if text.len() > MAX_GUID_LEN {
        // No guid is kept that is longer.
        return Ok(MessageRef::Id(Id::of_nothing()));
    }
    Ok(MessageRef::Guid(text.to_owned()))
}
