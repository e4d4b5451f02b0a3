//! GET, POST and DELETE /v1/sandbox (§11)

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use switchboard_model::{Code, Problem, Sandbox, sandbox::activation_code};
use switchboard_store::{Idempotent, Refusal, StoreError};

use crate::{
    api::http::{
        auth::Caller,
        body::Unread,
        envelope::{self, Rendered, RequestId},
        idempotency,
        problem::Failure,
    },
    app::App,
    uncancelled::spawn_uncancelled,
};

/// The sandbox as the caller's account sees it.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let sandbox = app.store.sandbox(caller.owner()?, app.clock.now()).await.map_err(no_sandbox)?;
    Ok(envelope::one(StatusCode::OK, &sandbox, &id))
}

/// Makes sure that there is a code to text, or a paired phone.
pub(crate) async fn ensure(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
    headers: HeaderMap,
    body: Unread,
) -> Result<Response, Failure> {
    let account = caller.owner()?;
    let idempotent =
        match idempotency::begin(&app, &caller, &headers, "POST /v1/sandbox", &body.0).await? {
            Ok(idempotent) => idempotent,
            Err(first_answer) => return Ok(first_answer),
        };
    let now = app.clock.now();
    let code = activation_code(rand::random());
    let render = move |sandbox: &Sandbox| Rendered::one(StatusCode::OK, sandbox, &id);
    let record = idempotent.record_with(render.clone());
    let ensuring = spawn_uncancelled(async move {
        let _in_flight = idempotent;
        app.store.ensure_sandbox(account, code, record, now).await
    });
    Ok(match ensuring.await.map_err(no_sandbox)? {
        Idempotent::Fresh(sandbox) => render(&sandbox).into_response(),
        Idempotent::Replayed(answer) => idempotency::replay(answer),
    })
}

/// Ends the pairing and rolls a new code.
pub(crate) async fn reset(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let code = activation_code(rand::random());
    let account = caller.owner()?;
    let resetting = spawn_uncancelled(async move {
        let now = app.clock.now();
        let (sandbox, committed) = app.store.reset_sandbox(account, code, now).await?;
        app.publish(committed);
        Ok(sandbox)
    });
    let sandbox = resetting.await.map_err(no_sandbox)?;
    Ok(envelope::one(StatusCode::OK, &sandbox, &id))
}

/// The caller has named no line: it is the server that has none.
fn no_sandbox(error: StoreError) -> Failure {
    match error {
        StoreError::Refused(Refusal::LineNotFound) => {
            let message = "This server has no sandbox line. Its operator makes one with 'switchboard \
                           admin lines create --sandbox'.";
            Problem::new(Code::LineNotFound, message).into()
        }
        error => error.into(),
    }
}
