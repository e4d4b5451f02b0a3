//! GET and POST /v1/typing

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use serde::Serialize;
use switchboard_model::Problem;
use switchboard_store::NewContent;

use crate::{
    api::{
        http::{
            auth::{Caller, LineRef},
            body::{self, Body},
            envelope::{self, RequestId},
            problem::Failure,
            query::Query,
        },
        outgoing::{self, Outgoing, recipient},
    },
    app::App,
};

/// Who types in a chat, or did.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let (from, to) = (query.required("from")?, query.required("to")?);
    let from = LineRef::parse(from)?;
    let to = recipient(&app, &caller, &from, to).await?;
    let line = caller.line(&app, &from).await?;
    let typing = app.store.typing(line.account, line.id, to, app.clock.now()).await?;
    Ok(envelope::list(typing, None, &id))
}

/// Takes "the line types" into the outbox, or "it stopped".
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let begun = outgoing::begin(&app, &caller, &id, &headers, "POST /v1/typing", body.raw());
    let request = match begun.await? {
        Ok(request) => request,
        Err(first_answer) => return Ok(first_answer),
    };
    let (from, to) = (body.required("from")?, body.required("to")?);
    let from = body::text(from, "from")?;
    let line = LineRef::parse(from)?;
    let to = body::text(to, "to")?;
    let chat = recipient(&app, &caller, &line, to).await?;
    // An empty one is no state, and not the same as none.
    let state = body.field("state").map(|value| body::text(value, "state")).transpose()?;
    let on = match state {
        None | Some("on") => true,
        Some("off") => false,
        Some(_) => return Err(Problem::invalid_value("state", "must be 'on' or 'off'").into()),
    };
    let outgoing = Outgoing {
        from: line,
        to: chat,
        content: NewContent::Typing { on },
        payload: &Original { from, to, state },
        message_param: "",
        file_param: "",
    };
    request.accept(outgoing).await
}

/// The request as the caller wrote it.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}
