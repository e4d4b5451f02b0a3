//! GET and POST /v1/receipts

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::HeaderMap;
use serde::Serialize;
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

/// Who has read a chat up to when.
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
    let receipts = app.store.receipts(line.account, line.id, to).await?;
    Ok(envelope::list(receipts, None, &id))
}

/// Takes "the whole chat is read" into the outbox.
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let begun = outgoing::begin(&app, &caller, &id, &headers, "POST /v1/receipts", body.raw());
    let request = match begun.await? {
        Ok(request) => request,
        Err(first_answer) => return Ok(first_answer),
    };
    let (from, to) = (body.required("from")?, body.required("to")?);
    let from = body::text(from, "from")?;
    let line = LineRef::parse(from)?;
    let to = body::text(to, "to")?;
    let chat = recipient(&app, &caller, &line, to).await?;
    let outgoing = Outgoing {
        from: line,
        to: chat,
        content: NewContent::Read,
        payload: &Original { from, to },
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
}
