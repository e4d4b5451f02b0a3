//! GET /v1/outbox

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use switchboard_model::{Code, OutboxItem, Problem, id::Id};

use crate::{
    api::http::{
        auth::Caller,
        envelope::{self, RequestId},
        problem::{Failure, id_of},
        query::Query,
    },
    app::App,
};

/// Where an item is on its way.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    query: Query,
) -> Result<Response, Failure> {
    let item: Id<OutboxItem> = id_of(query.required("id")?, "id")?;
    let account = caller.account().ok_or_else(not_found)?;
    let item = app.store.outbox_item(account, item).await?.ok_or_else(not_found)?;
    caller.check_line(item.line_id)?;
    Ok(envelope::one(StatusCode::OK, &item, &id))
}

fn not_found() -> Problem {
    Problem::new(Code::OutboxItemNotFound, "There is no outbox item with this id.").param("id")
}
