//! GET /v1/chats, and chats as callers name them

use std::sync::Arc;

use axum::{extract::State, response::Response};
use switchboard_model::{Handle, Problem, chat::Recipient, page::CursorKey, text::trim};
use switchboard_store::Chats;

use super::http::{
    caller::Caller,
    envelope,
    names::{LineRef, id_of},
    problem::Failure,
    query::Query,
    request_id::RequestId,
};

/// A line's chats, latest activity first, paged.
pub(crate) async fn list(
    State(chats): State<Arc<dyn Chats>>,
    State(cursors): State<Arc<CursorKey>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let from = LineRef::parse(query.required("from")?)?;
    let limit = query.limit()?;
    let name = caller.list(format_args!("chats {from}"));
    let after = query.cursor(&cursors, &name)?;
    let line = caller.line(&from).await?;
    let page = chats.chats(line.account, line.id, after, limit).await?;
    Ok(envelope::list(page.rows, page.next.map(|next| next.encode(&cursors, &name)), &id))
}

/// Takes `to`: a phone, an Apple ID, a sender that has written to the line, or `cht_…`. A sender may have any
/// name; one that has no form of its own is taken only if the caller has a chat with it.
pub(super) async fn recipient(
    chats: &dyn Chats,
    caller: &Caller,
    from: &LineRef,
    text: &str,
) -> Result<Recipient, Failure> {
    if trim(text).starts_with("cht_") {
        return Ok(id_of(text, "to").map(Recipient::Chat)?);
    }
    let error = match Handle::contact(text) {
        Ok(handle) => return Ok(Recipient::Contact(handle)),
        Err(error) => error,
    };
    // A line that is not the caller's is told in its turn, which is after this one.
    if let Ok(line) = caller.line(from).await {
        let sender = Handle::received(text);
        if chats.has_chat_with(line.account, line.id, sender.clone()).await? {
            return Ok(Recipient::Contact(sender));
        }
    }
    Err(Problem::invalid_value("to", format_args!("{error}, or a chat id")).into())
}
