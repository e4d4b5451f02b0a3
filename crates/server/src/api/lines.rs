//! GET /v1/lines

use std::sync::Arc;

use axum::{extract::State, response::Response};

use crate::{
    api::http::{
        auth::Caller,
        envelope::{self, RequestId},
        problem::Failure,
    },
    app::App,
};

/// The lines that the key may use.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    Ok(envelope::list(caller.lines(&app).await?, None, &id))
}
