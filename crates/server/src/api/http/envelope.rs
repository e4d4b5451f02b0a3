//! The envelope around every answer: the request's id, CORS, and the one form of errors (§1, §3).

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{self, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use switchboard_model::{Code, Problem, page::List};
use tracing::Instrument as _;

use super::{
    access::Access,
    drain::DrainOnDrop,
    host,
    problem::Failure,
    repeated,
    request_id::{REQUEST_ID, RequestId},
};
use crate::{metrics::RequestCounts, openapi::Audience, outage};

/// Headers that most answers have.
const HEADERS: usize = 12;

/// One resource at top level, plus `request_id` (§1).
#[derive(Debug, Serialize)]
pub(crate) struct One<'a, T> {
    #[serde(flatten)]
    pub(crate) resource: &'a T,
    pub(crate) request_id: &'a str,
}

/// Answers with one resource.
pub(crate) fn one<T: Serialize>(status: StatusCode, resource: &T, id: &RequestId) -> Response {
    Rendered::one(status, resource, id).into_response()
}

/// An answer in its bytes: what is remembered of it is what was sent.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Rendered {
    /// One resource at top level, plus `request_id`.
    pub(crate) fn one<T: Serialize>(status: StatusCode, resource: &T, id: &RequestId) -> Self {
        let body = serde_json::to_vec(&One { resource, request_id: id.as_str() })
            .expect("resources are structs with string keys, which always serialise");
        Self { status, body: body.into() }
    }
}

impl IntoResponse for Rendered {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        // With room for all that is added on the way out: the map would grow twice.
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.headers_mut() = headers;
        response
    }
}

/// Answers with a list.
pub(crate) fn list<T: Serialize>(data: Vec<T>, next: Option<String>, id: &RequestId) -> Response {
    let has_more = next.is_some();
    Json(List { data, has_more, next_cursor: next, request_id: id.as_str().to_owned() })
        .into_response()
}

/// The answer to a deletion (§1).
pub(crate) fn deleted(deleted_id: &impl Serialize, id: &RequestId) -> Response {
    #[derive(Serialize)]
    struct Deleted<'a, I> {
        id: &'a I,
        deleted: bool,
    }
    one(StatusCode::OK, &Deleted { id: deleted_id, deleted: true }, id)
}

/// The outermost layer: gives the request its id, answers preflights, turns whatever
/// failed inside, a panic too, into the error envelope, writes the access log and counts the answer.
pub(crate) async fn wrap(
    State(counts): State<Arc<RequestCounts>>,
    request: Request,
    next: Next,
) -> Response {
    let id = RequestId::new();
    let access = Access::begin(&id, &request, &counts);
    let mut response = answer(&id, request, next).instrument(access.span()).await;
    access.answered(response.status());
    mark(response.headers_mut(), &id);
    response
}

/// The headers that every answer has.
fn mark(headers: &mut HeaderMap, id: &RequestId) {
    headers.reserve(3);
    headers.insert(REQUEST_ID, id.header());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

/// As [`wrap`], for a listener that no page of the web is to read from.
pub(crate) async fn wrap_private(
    counts: State<Arc<RequestCounts>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = wrap(counts, request, next).await;
    response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    response
}

/// The whole answer, in its bytes, to what came on a connection and never was a request: it is the last one there.
pub(crate) fn outside(problem: &Problem, date_line: Option<&str>, counts: &RequestCounts) -> Bytes {
    let id = RequestId::new();
    let status = StatusCode::from_u16(problem.code.status()).expect("the catalogue has real ones");
    tracing::debug!(request_id = id.as_str(), status = status.as_u16(), "no request could be read");
    counts.unread(status);
    let body = serde_json::to_string(&problem.envelope(id.as_str().to_owned()))
        .expect("an envelope has string keys, which always serialise");
    let mut headers = HeaderMap::new();
    mark(&mut headers, &id);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut answer = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in &headers {
        let value = value.to_str().expect("all of them were made of ASCII here");
        answer.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    if let Some(date) = date_line {
        answer.extend([date, "\r\n"]);
    }
    answer.extend(["\r\n", &body]);
    answer.into()
}

async fn answer(id: &RequestId, mut request: Request, next: Next) -> Response {
    if let Err(problem) = host::check(&request).and_then(|()| repeated::check(request.headers())) {
        let path = request.uri().path().to_owned();
        // What is left of the request is read beside the answer.
        drop(DrainOnDrop::watch(request));
        return render(problem.into(), &HeaderMap::new(), id, &path);
    }
    if request.method() == Method::OPTIONS {
        return preflight(request.headers(), request.uri().path());
    }
    request.extensions_mut().insert(*id);
    let uri = request.uri().clone();
    // `AssertUnwindSafe`: the store's commands are transactions; nothing half-done outlives a panic.
    match AssertUnwindSafe(next.run(DrainOnDrop::watch(request))).catch_unwind().await {
        Ok(mut response) => match response.extensions_mut().remove::<Failure>() {
            Some(failure) => render(failure, response.headers(), id, uri.path()),
            None => response,
        },
        Err(panic) => {
            let panic = panic_text(&*panic);
            tracing::error!(
                request_id = id.as_str(),
                path = uri.path(),
                panic,
                "a handler panicked"
            );
            render(Failure::internal(), &HeaderMap::new(), id, uri.path())
        }
    }
}

const EXPOSED: &str = "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, \
     RateLimit, RateLimit-Policy, Retry-After, Idempotent-Replayed";

/// 204 with no authentication, for any origin and path (§1).
fn preflight(asked: &HeaderMap, path: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    // The one path that takes PATCH is an extension; all others have what the contract says.
    let methods = match path {
        "/v1/webhooks" => "GET, POST, PATCH, DELETE, OPTIONS",
        _ => "GET, POST, DELETE, OPTIONS",
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let usual = || HeaderValue::from_static("Authorization, Content-Type");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or_else(usual));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    headers.insert(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    response
}

/// The answer's body for a failure; headers that inner layers have set stay.
fn render(failure: Failure, inner: &HeaderMap, id: &RequestId, path: &str) -> Response {
    if let (Some(cause), Some((storage, outage))) = (&failure.cause, failure.outage) {
        outage::tell(storage, outage, "a request failed", cause);
    } else if let Some(cause) = &failure.cause {
        // The one place where internal errors are logged.
        tracing::error!(request_id = id.as_str(), path, error = cause.as_str(), "a request failed");
    }
    let problem = failure.problem;
    let status = StatusCode::from_u16(problem.code.status()).expect("the catalogue has real ones");
    let mut response = (status, Json(problem.envelope(id.as_str().to_owned()))).into_response();
    let headers = response.headers_mut();
    for (name, value) in inner {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            headers.insert(name, value.clone());
        }
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// No such path. Whoever opens the server's address in a browser is sent to the documentation, if it is there.
pub(crate) async fn endpoint_not_found(
    request: Request,
    documentation: Option<Audience>,
) -> Response {
    let path = request.uri().path();
    if let Some(audience) = documentation
        && path == "/"
        && request.method().is_safe()
        && wants_html(request.headers())
    {
        return Redirect::to(audience.page_path()).into_response();
    }
    let message =
        format!("There is no endpoint '{path}'. Check the path; the API begins with /v1.");
    Failure::from(Problem::new(Code::EndpointNotFound, message)).into_response()
}

/// Whether the caller names HTML itself, as browsers do: `*/*` is what programs say.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

/// The path exists, but not with this method. axum has set the Allow header.
pub(crate) async fn method_not_allowed(request: Request) -> Failure {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("'{path}' does not take {method}. The Allow header names what it takes.");
    Problem::new(Code::MethodNotAllowed, message).into()
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}
