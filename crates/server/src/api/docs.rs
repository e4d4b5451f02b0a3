//! The API, described to programs (`openapi.json`) and to people (`/docs`).

use std::future::{Ready, ready};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use crate::openapi::{Audience, Documents};

/// It changes only with the version of the server, but a proxy can't know when that is.
const CACHED: &str = "public, max-age=300";

/// Answers with the OpenAPI document for these callers.
pub(crate) fn document(audience: Audience) -> impl Fn(State<Documents>) -> Ready<Response> + Clone {
    move |State(documents)| {
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHED)];
        ready((headers, documents.text(audience)).into_response())
    }
}

/// Answers with the same as a page.
pub(crate) fn page(audience: Audience) -> impl Fn(State<Documents>) -> Ready<Response> + Clone {
    move |State(documents)| {
        let page = documents.page(audience);
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, page.policy.as_str()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, CACHED),
        ];
        ready((headers, page.html.clone()).into_response())
    }
}
