//! GET /v1/lines

use std::sync::Arc;

use axum::{extract::State, response::Response};
use switchboard_model::time::Clock;
use switchboard_store::Lines;

use super::http::{caller::Caller, envelope, problem::Failure, request_id::RequestId};

/// The lines that the key may use, the account's own with how they were used today. How a sandbox line of others was used is
/// not the account's to know.
pub(crate) async fn list(
    State(store): State<Arc<dyn Lines>>,
    State(clock): State<Arc<dyn Clock>>,
    caller: Caller,
    id: RequestId,
) -> Result<Response, Failure> {
    let mut lines = caller.lines().await?;
    if let Some(account) = caller.account() {
        let mut health = store.line_health(account, clock.now()).await?;
        for line in &mut lines {
            line.health = health.remove(&line.id);
        }
    }
    Ok(envelope::list(lines, None, &id))
}
