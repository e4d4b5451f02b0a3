//! GET and POST /v1/receipts

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Serialize;
use switchboard_store::{Chats, NewContent, Receipts};

use super::{
    chats::recipient,
    http::{
        caller::Caller, envelope, idempotency::IdempotentRequest, names::LineRef, problem::Failure,
        query::Query, request_id::RequestId,
    },
    outbox::Outgoing,
};

/// Who has read a chat up to when.
pub(crate) async fn list(
    State(receipts): State<Arc<dyn Receipts>>,
    State(chats): State<Arc<dyn Chats>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let (from, to) = (query.required("from")?, query.required("to")?);
    let from = LineRef::parse(from)?;
    let to = recipient(&*chats, &caller, &from, to).await?;
    let line = caller.line(&from).await?;
    let receipts = receipts.receipts(line.account, line.id, to).await?;
    Ok(envelope::list(receipts, None, &id))
}

/// Takes "the whole chat is read" into the outbox.
pub(crate) async fn send(
    State(outgoing): State<Arc<Outgoing>>,
    caller: Caller,
    IdempotentRequest { body, in_flight }: IdempotentRequest,
) -> Result<Response, Failure> {
    let address = outgoing.address(&caller, &body, Ok(())).await?;
    let payload = Original { from: address.from, to: address.to };
    outgoing.accept(&caller, in_flight, address, NewContent::Read, &payload).await
}

/// The request as the caller wrote it.
#[derive(Debug, Serialize)]
struct Original<'a> {
    from: &'a str,
    to: &'a str,
}
