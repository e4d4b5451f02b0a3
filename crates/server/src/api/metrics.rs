//! GET /metrics, on a listener of its own

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap,
    header::{ACCEPT, CONTENT_TYPE},
};

use switchboard_model::causes::chain;

use crate::{
    api::http::problem::Failure,
    health::{Monitor, NoAnswer},
    metrics::{Format, Metrics},
    outage,
};

/// What the process knows is shown while the store is out, too: then it is wanted most.
pub(crate) async fn show(
    State(monitor): State<Arc<Monitor>>,
    State(metrics): State<Arc<Metrics>>,
    headers: HeaderMap,
) -> Response {
    let format = Format::asked(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    let levels = monitor.delivery_levels().await;
    match &levels {
        Ok(levels) => metrics.stand(levels),
        Err(NoAnswer::Store(error)) => outage::report(error, "some metrics are missing"),
        Err(error) => tracing::warn!(error = chain(error), "some metrics are missing"),
    }
    let gathered = monitor.figures(levels.is_ok()).await;
    match metrics.show(gathered, format) {
        Ok(text) => ([(CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            let cause = Some(format!("metrics can't be shown: {error}"));
            Failure { cause, ..Failure::internal() }.into_response()
        }
    }
}
