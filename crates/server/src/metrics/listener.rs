//! `GET /metrics`, and the two of the main listener that tell how the server is.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{
    HeaderMap,
    header::{ACCEPT, CONTENT_TYPE},
};

use super::{
    backlog::{NoAnswer, Standing},
    gather,
    text::Format,
};
use crate::{
    api::{
        self,
        http::{envelope, problem::Failure},
    },
    app::App,
    outage,
    telemetry::chain,
};

/// The path of the figures.
pub(crate) const PATH: &str = "/metrics";

/// The routes there are.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route(PATH, get(metrics))
        .route("/health", get(api::health::ready))
        .route("/live", get(api::health::live))
        .fallback(|request| envelope::endpoint_not_found(request, None))
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app.metrics.requests),
            envelope::wrap_private,
        ))
        .with_state(Arc::clone(app))
}

/// What the process knows is shown while the store is out, too: then it is wanted most.
async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let format = Format::asked(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    let standing = Standing::of(&app).await;
    match &standing {
        Ok(standing) => app.metrics.stand(standing),
        Err(NoAnswer::Store(error)) => outage::report(error, "some metrics are missing"),
        Err(error) => tracing::warn!(error = chain(error), "some metrics are missing"),
    }
    let gathered = gather::figures(&app, standing.is_ok()).await;
    match app.metrics.show(gathered, format) {
        Ok(text) => ([(CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            let cause = Some(format!("metrics can't be shown: {error}"));
            Failure { cause, ..Failure::internal() }.into_response()
        }
    }
}
