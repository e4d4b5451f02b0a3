//! GET and POST /admin/v1/accounts

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;

use crate::{
    api::{
        admin,
        http::{
            auth::Operator,
            body::Body,
            envelope::{self, RequestId},
            problem::Failure,
        },
    },
    app::App,
    uncancelled::spawn_uncancelled,
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
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let name = admin::name(&body)?;
    let making = spawn_uncancelled(async move {
        let account = app.store.create_account(name, app.clock.now()).await?;
        tracing::info!(by = %operator, action = "accounts.create", account = %account.id, "admin action");
        Ok(account)
    });
    let account = making.await?;
    Ok(envelope::one(StatusCode::CREATED, &account, &id))
}
