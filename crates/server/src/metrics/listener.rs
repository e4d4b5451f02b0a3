//! `GET /metrics`, and the two of the main listener that tell how the server is.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::CONTENT_TYPE;
use switchboard_model::{Code, Problem};

use super::backlog::Standing;
use crate::{
    api::{
        self, envelope,
        problem::{Failure, chain},
    },
    app::App,
};

/// What Prometheus has read since 2.5, and others too.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes there are.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(api::health::ready))
        .route("/live", get(api::health::live))
        .fallback(|request| envelope::endpoint_not_found(request, None))
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
