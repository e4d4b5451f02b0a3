//! GET and POST /v1/reactions

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use serde::Serialize;
use switchboard_model::{Problem, ReactionType};
use switchboard_store::NewContent;

use crate::{
    api::{
        http::{
            auth::{Caller, LineRef},
            body::{self, Body},
            envelope::{self, RequestId},
            problem::{Failure, message_not_found},
            query::Query,
        },
        outgoing::{self, Outgoing, message_ref, recipient},
    },
    app::App,
};

/// What was said about a message, removed reactions with `added: false`.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let message = message_ref(query.required("message_id")?, "message_id")?;
    let missing = || message_not_found().param("message_id");
    let account = caller.account().ok_or_else(missing)?;
    let found = app.store.find_messages(account, message).await?;
    let mut refused = missing();
    for (line, message) in found {
        match caller.check_line(line) {
            Ok(()) => {
                let reactions = app.store.reactions(account, message).await?;
                return Ok(envelope::list(reactions, None, &id));
            }
            Err(problem) => refused = problem,
        }
    }
    Err(refused.into())
}

/// Takes a reaction into the outbox.
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let begun = outgoing::begin(&app, &caller, &id, &headers, "POST /v1/reactions", body.raw());
    let request = match begun.await? {
        Ok(request) => request,
        Err(first_answer) => return Ok(first_answer),
    };
    let (from, to) = (body.required("from")?, body.required("to")?);
    let (message, kind) = (body.required("message_id")?, body.required("type")?);
    let from = body::text(from, "from")?;
    let line = LineRef::parse(from)?;
    let to = body::text(to, "to")?;
    let chat = recipient(&app, &caller, &line, to).await?;
    let message_id = body::text(message, "message_id")?;
    let message = message_ref(message_id, "message_id")?;
    let kind = body::text(kind, "type")?;
    let reaction_type = ReactionType::parse(kind).ok_or_else(|| {
        let named = ReactionType::NAMED.map(|one| one.to_string()).join(", ");
        Problem::invalid_value("type", format_args!("must be one of {named}, or one emoji"))
    })?;
    let remove = body.optional_bool("remove")?;
    let content = NewContent::Reaction { message, reaction_type, remove: remove.unwrap_or(false) };
    let payload = &Original { from, to, message_id, reaction_type: kind, remove };
    let outgoing = Outgoing {
        from: line,
        to: chat,
        content,
        payload,
        message_param: "message_id",
        file_param: "",
    };
    request.accept(outgoing).await
}

/// The request as the caller wrote it.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
    message_id: &'a str,
    #[serde(rename = "type")]
    reaction_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<bool>,
}
