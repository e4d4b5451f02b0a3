//! GET /v1/lines

use axum::response::Response;

use super::http::{caller::Caller, envelope, problem::Failure, request_id::RequestId};

/// The lines that the key may use.
pub(crate) async fn list(caller: Caller, id: RequestId) -> Result<Response, Failure> {
    Ok(envelope::list(caller.lines().await?, None, &id))
}
