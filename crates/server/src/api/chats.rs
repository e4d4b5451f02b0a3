//! GET /v1/chats

use std::sync::Arc;

use axum::{extract::State, response::Response};

use crate::{
    api::http::{
        auth::{Caller, LineRef},
        envelope::{self, RequestId},
        problem::Failure,
        query::Query,
    },
    app::App,
};

/// A line's chats, latest activity first, paged.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let from = LineRef::parse(query.required("from")?)?;
    let limit = query.limit()?;
    let name = caller.list(format_args!("chats {from}"));
    let after = query.cursor(&app.cursors, &name)?;
    let line = caller.line(&app, &from).await?;
    let page = app.store.chats(line.account, line.id, after, limit).await?;
    Ok(envelope::list(page.rows, page.next.map(|next| next.encode(&app.cursors, &name)), &id))
}
