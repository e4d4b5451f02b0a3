//! GET /bridge/v1/link: a bridge dials in

use std::sync::Arc;

use axum::{
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use switchboard_model::{
    Code, Problem,
    link::{MAX_FRAME_BYTES, READ_BYTES},
};

use crate::{
    api::http::{caller::Linked, problem::Failure},
    link::{self, Bridges},
};

/// Makes the connection a link.
pub(crate) async fn connect(
    State(bridges): State<Arc<Bridges>>,
    Linked(bridge): Linked,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|_| {
        let message = "This endpoint speaks WebSocket; bridges dial it by themselves.";
        Problem::new(Code::InvalidParameterValue, message)
    })?;
    Ok(upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .on_upgrade(move |socket| link::run(bridges, bridge, socket)))
}
