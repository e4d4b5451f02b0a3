//! GET and POST /v1/typing

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Serialize;
use switchboard_model::{Problem, time::Clock};
use switchboard_store::{Chats, NewContent, Typing};

use super::{
    chats::recipient,
    http::{
        body, caller::Caller, envelope, idempotency::IdempotentRequest, names::LineRef,
        problem::Failure, query::Query, request_id::RequestId,
    },
    outbox::Outgoing,
};

/// Who types in a chat, or did.
pub(crate) async fn list(
    State(typing): State<Arc<dyn Typing>>,
    State(chats): State<Arc<dyn Chats>>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let (from, to) = (query.required("from")?, query.required("to")?);
    let from = LineRef::parse(from)?;
    let to = recipient(&*chats, &caller, &from, to).await?;
    let line = caller.line(&from).await?;
    let typing = typing.typing(line.account, line.id, to, clock.now()).await?;
    Ok(envelope::list(typing, None, &id))
}

/// Takes "the line types" into the outbox, or "it stopped".
pub(crate) async fn send(
    State(outgoing): State<Arc<Outgoing>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let address = outgoing.address(&caller, &body, Ok(())).await?;
    // An empty one is no state, and not the same as none.
    let state = body.field("state").map(|value| body::text(value, "state")).transpose()?;
    let on = match state {
        None | Some("on") => true,
        Some("off") => false,
        Some(_) => return Err(Problem::invalid_value("state", "must be 'on' or 'off'").into()),
    };
    let payload = Original { from: address.from, to: address.to, state };
    outgoing.accept(&caller, in_flight, address, NewContent::Typing { on }, &payload).await
}

/// The request as the caller wrote it.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}
