//! GET /bridge/v1/link: a bridge dials in

use std::sync::Arc;

use axum::{
    extract::{
        State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
};
use switchboard_model::{
    Code, Problem,
    link::{MAX_FRAME_BYTES, OLDEST_PROTOCOL, PROTOCOL, PROTOCOL_HEADER, READ_BYTES},
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
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(refuse(&rejection)),
    };
    Ok(upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .on_upgrade(move |socket| link::run(bridges, bridge, socket)))
}

/// What is no WebSocket. Who asks for one of a version that there is not has come through all proxies as a bridge would,
/// and is told which versions of the link are spoken here: `switchboard bridge doctor` asks so.
fn refuse(rejection: &WebSocketUpgradeRejection) -> Response {
    let message = "This endpoint speaks WebSocket; bridges dial it by themselves.";
    let refusal = Failure::from(Problem::new(Code::InvalidParameterValue, message));
    match rejection {
        WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_) => {
            let spoken = format!("{OLDEST_PROTOCOL}-{PROTOCOL}");
            ([(PROTOCOL_HEADER, spoken)], refusal).into_response()
        }
        _ => refusal.into_response(),
    }
}
