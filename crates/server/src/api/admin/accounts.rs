//! GET and POST /admin/v1/accounts

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use switchboard_model::time::Clock;
use switchboard_store::Accounts;

use crate::{
    api::{
        admin,
        http::{body::Body, caller::Operator, envelope, problem::Failure, request_id::RequestId},
    },
    uncancelled::spawn_uncancelled,
};

/// Every account.
pub(crate) async fn list(
    State(accounts): State<Arc<dyn Accounts>>,
    _: Operator,
    id: RequestId,
) -> Result<Response, Failure> {
    Ok(envelope::list(accounts.accounts().await?, None, &id))
}

/// Makes an account.
pub(crate) async fn create(
    State(accounts): State<Arc<dyn Accounts>>,
    State(clock): State<Arc<dyn Clock>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let name = admin::name(&body)?;
    let making = spawn_uncancelled(async move {
        let account = accounts.create_account(name, clock.now()).await?;
        tracing::info!(by = %operator, action = "accounts.create", account = %account.id, "admin action");
        Ok(account)
    });
    let account = making.await?;
    Ok(envelope::one(StatusCode::CREATED, &account, &id))
}
