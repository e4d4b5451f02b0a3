//! GET /v1/openapi.json and GET /docs: the API, described to programs and to people.

use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::openapi;

/// It changes only with the version of the server, but a proxy can't know when that is.
const CACHED: &str = "public, max-age=300";

/// The OpenAPI document.
pub(crate) async fn document() -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHED)];
    (headers, openapi::text()).into_response()
}

/// The same as a page.
pub(crate) async fn page() -> Response {
    let page = openapi::page();
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, page.policy.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, CACHED),
    ];
    (headers, page.html.clone()).into_response()
}
