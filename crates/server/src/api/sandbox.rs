//! GET, POST and DELETE /v1/sandbox (§11)

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use switchboard_model::sandbox::activation_code;
use switchboard_store::StoreError;

use crate::{
    api::{
        auth::Caller,
        envelope::{self, RequestId},
        problem::Failure,
    },
    app::App,
};

/// The sandbox as the caller's account sees it.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let sandbox = app.store.sandbox(caller.owner()?, app.clock.now()).await?;
    Ok(envelope::one(StatusCode::OK, &sandbox, &id))
}

/// Makes sure that there is a code to text, or a paired phone. Doing it again changes nothing.
pub(crate) async fn ensure(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let code = activation_code(rand::random());
    let sandbox = app.store.ensure_sandbox(caller.owner()?, code, app.clock.now()).await?;
    Ok(envelope::one(StatusCode::OK, &sandbox, &id))
}

/// Ends the pairing and rolls a new code.
pub(crate) async fn reset(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let code = activation_code(rand::random());
    let account = caller.owner()?;
    // A task of its own: a caller that hangs up must not keep what was committed from being made known.
    let resetting = tokio::spawn(async move {
        let now = app.clock.now();
        let lease = app.deliver.lease_until(now);
        let (sandbox, committed) = app.store.reset_sandbox(account, code, now, lease).await?;
        app.publish(committed);
        Ok::<_, StoreError>(sandbox)
    });
    let sandbox = resetting.await.unwrap_or(Err(StoreError::Closed))?;
    Ok(envelope::one(StatusCode::OK, &sandbox, &id))
}
