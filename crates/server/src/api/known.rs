//! POST /bridge/v1/known: what of a line's history is known here, for its bridges.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use switchboard_model::{Problem, link::MAX_BATCH};
use switchboard_store::{Inbox, Refusal};

use super::http::{
    body::{Body, texts},
    caller::Linked,
    envelope,
    problem::Failure,
    request_id::RequestId,
};

#[derive(Serialize)]
struct Known {
    online: bool,
    known: Vec<KnownGuid>,
}

#[derive(Serialize)]
struct KnownGuid {
    guid: String,
    attachments: u64,
}

/// Says which guids are known, and whether the line is online.
pub(crate) async fn known(
    State(inbox): State<Arc<dyn Inbox>>,
    Linked(bridge): Linked,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    body.has_all(&["line_id", "guids"])?;
    let line = body.id("line_id")?;
    let guids = texts(body.required("guids")?, "guids")?;
    if guids.len() > MAX_BATCH {
        let must = format!("must be at most {MAX_BATCH} texts");
        return Err(Problem::invalid_value("guids", must).into());
    }
    let guids = guids.into_iter().map(str::to_owned).collect();
    let history = inbox
        .known_history(bridge.id, line, guids)
        .await
        .map_err(|error| Failure::about(error, &Refusal::LineNotFound, "line_id"))?;
    let known = history.known.into_iter();
    let known = known.map(|(guid, attachments)| KnownGuid { guid, attachments }).collect();
    Ok(envelope::one(StatusCode::OK, &Known { online: history.online, known }, &id))
}
