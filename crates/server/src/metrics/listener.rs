//! `GET /metrics` and `GET /health`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use switchboard_model::{Code, Problem};

use super::backlog::Standing;
use crate::{
    api::{
        envelope,
        problem::{Failure, chain},
    },
    app::App,
};

/// What Prometheus has read since 2.5, and others too.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The two routes there are.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .fallback(envelope::endpoint_not_found)
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .layer(middleware::from_fn(envelope::wrap_private))
        .with_state(Arc::clone(app))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = match Standing::of(&app).await {
        Ok(standing) => app.metrics.show(&standing),
        Err(error) => {
            tracing::warn!(error = chain(&error), "there are no metrics");
            let message = "The store does not answer.";
            let problem = Problem::new(Code::ServiceUnavailable, message).retry_after(1);
            return Failure::from(problem).into_response();
        }
    };
    match text {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            let cause = Some(format!("metrics can't be shown: {error}"));
            Failure { cause, ..Failure::internal() }.into_response()
        }
    }
}

/// Whether all is well, in short.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    /// Deliveries are overdue through no fault of their endpoints.
    Overdue,
    /// The store does not answer.
    StoreUnavailable,
}

#[derive(Debug, Serialize)]
struct Health {
    status: Status,
    /// For how long the oldest delivery is due, but for those whose endpoint fails or is slow, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_due_age_ms: Option<u64>,
    /// What is too long.
    max_lag_ms: u64,
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let max_lag = app.config.health_max_lag();
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (status, age) = match Standing::of(&app).await {
        Ok(Standing { oldest_due_age: age, .. }) if age > max_lag => (Status::Overdue, Some(age)),
        Ok(Standing { oldest_due_age: age, .. }) => (Status::Ok, Some(age)),
        Err(error) => {
            tracing::warn!(error = chain(&error), "the store does not answer");
            (Status::StoreUnavailable, None)
        }
    };
    let code = match status {
        Status::Ok => StatusCode::OK,
        Status::Overdue | Status::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let health = Health { status, oldest_due_age_ms: age.map(millis), max_lag_ms: millis(max_lag) };
    (code, Json(health)).into_response()
}
