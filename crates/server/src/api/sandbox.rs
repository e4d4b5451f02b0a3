//! GET, POST and DELETE /v1/sandbox (§11)

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Request, State},
    response::Response,
};
use http::StatusCode;
use switchboard_model::{Account, Code, Problem, id::Id, sandbox::activation_code, time::Clock};
use switchboard_store::{Refusal, Sandboxes, StoreError};

use super::http::{
    body::{BodyLimits, RawBody, Unread},
    caller::Caller,
    envelope,
    idempotency::IdempotentRequest,
    problem::Failure,
    request_id::RequestId,
};
use crate::{publish::Publisher, uncancelled::spawn_uncancelled};

/// The sandbox as the caller's account sees it.
pub(crate) async fn show(
    State(sandboxes): State<Arc<dyn Sandboxes>>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let sandbox = sandboxes.sandbox(caller.owner()?, clock.now()).await.map_err(no_sandbox)?;
    Ok(envelope::one(StatusCode::OK, &sandbox, &id))
}

/// Makes sure that there is a code to text, or a paired phone.
pub(crate) async fn ensure(
    State(sandboxes): State<Arc<dyn Sandboxes>>,
    State(clock): State<Arc<dyn Clock>>,
    IdempotentRequest { body: OfOwner { account, .. }, in_flight }: IdempotentRequest<OfOwner>,
) -> Result<Response, Failure> {
    let now = clock.now();
    let code = activation_code(rand::random());
    let ensuring = in_flight.answer_with(StatusCode::OK, |record| async move {
        sandboxes.ensure_sandbox(account, code, record, now).await
    });
    ensuring.await.map_err(no_sandbox)
}

/// A body that says nothing, of a caller with an account.
pub(crate) struct OfOwner {
    account: Id<Account>,
    body: Unread,
}

impl RawBody for OfOwner {
    fn raw(&self) -> &[u8] {
        self.body.raw()
    }
}

impl<S> FromRequest<S> for OfOwner
where
    S: Send + Sync,
    BodyLimits: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let body = Unread::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { account: caller.owner()?, body })
    }
}

/// Ends the pairing and rolls a new code.
pub(crate) async fn reset(
    State(sandboxes): State<Arc<dyn Sandboxes>>,
    State(publisher): State<Arc<Publisher>>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let code = activation_code(rand::random());
    let account = caller.owner()?;
    let resetting = spawn_uncancelled(async move {
        let now = clock.now();
        let (sandbox, committed) = sandboxes.reset_sandbox(account, code, now).await?;
        publisher.publish(committed);
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
