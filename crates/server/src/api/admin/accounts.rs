//! GET and POST /admin/v1/accounts

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;

use crate::{
    api::{
        admin,
        auth::Operator,
        body::Body,
        envelope::{self, RequestId},
        problem::Failure,
    },
    app::App,
};

/// Every account.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    _: Operator,
    id: RequestId,
) -> Result<Response, Failure> {
    Ok(envelope::list(app.store.accounts().await?, None, &id))
}

/// Makes an account.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    _: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let name = admin::name(&body)?;
    let account = app.store.create_account(name, app.clock.now()).await?;
    Ok(envelope::one(StatusCode::CREATED, &account, &id))
}
