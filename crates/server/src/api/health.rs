//! GET /health and GET /live: whether to send requests here, and whether to restart this process.
//!
//! They ask for no key and tell counts only, by driver: nothing of an account.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CACHE_CONTROL};
use serde_json::json;

use crate::health::Monitor;

/// Whether the server does its work. Asked often, it looks no oftener than once a second.
pub(crate) async fn ready(State(monitor): State<Arc<Monitor>>) -> Response {
    let report = monitor.look().await;
    let status = if report.is_well() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(&*report)).into_response()
}

/// Whether the process is as good as a new one: it answers, and the thread that writes is there. What a restart
/// does not mend, a full disk for instance, is no reason for one.
pub(crate) async fn live(State(monitor): State<Arc<Monitor>>) -> Response {
    let (code, status) = if monitor.is_alive() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "writer_stopped")
    };
    (code, [(CACHE_CONTROL, "no-store")], Json(json!({ "status": status }))).into_response()
}
