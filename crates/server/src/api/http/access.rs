//! The access log: a span for each request, which every line of the log that is written on its behalf carries,
//! and one line when it is answered. The same moments are counted. Never a body, a query, a phone number or a token; of a path only what
//! stands in the table of routes.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use http::{Method, StatusCode};
use switchboard_model::Key;
use tracing::{Span, field::Empty};

use super::request_id::RequestId;
use crate::metrics::{Counted, OTHER, RequestCounts};

/// What the operator names to leave these lines out (docs/monitoring.md): it stays, wherever this file stands.
const TARGET: &str = "switchboard_server::api::access";

/// A request in the log. Dropped before it is answered, it says so: the client has hung up.
#[derive(Debug)]
pub(crate) struct Access<'a> {
    span: Span,
    counted: Counted<'a>,
    began: Instant,
    is_answered: bool,
}

impl<'a> Access<'a> {
    pub(crate) fn begin(id: &RequestId, request: &Request, counts: &'a RequestCounts) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or(OTHER, MatchedPath::as_str);
        // A span costs as much as a fifth of a request. Where only warnings and errors are shown there is none: a failure
        // names its request by itself.
        let span = tracing::info_span!(
            target: TARGET,
            "request",
            request_id = id.as_str(),
            method = method(request.method()),
            route,
            account = Empty,
            key = Empty,
            status = Empty,
            duration_ms = Empty,
        );
        let counted = counts.of_route(request.method(), route);
        Self { span, counted, began: Instant::now(), is_answered: false }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The request is answered: the head of the answer is made. A body may follow for a long time.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.is_answered = true;
        let took = self.began.elapsed();
        self.counted.answered(status, took);
        let duration_ms = millis(took);
        tracing::record_all!(self.span, status = status.as_u16(), duration_ms = duration_ms);
        tracing::info!(target: TARGET, parent: &self.span, "answered");
    }
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.counted.abandoned();
            self.span.record("duration_ms", millis(self.began.elapsed()));
            tracing::info!(target: TARGET, parent: &self.span, "the client hung up before it was answered");
        }
    }
}

/// The current request is made with this key.
pub(crate) fn made_with(key: &Key) {
    let account = key.account_id.map(tracing::field::display);
    let span = Span::current();
    tracing::record_all!(span, account = account, key = %key.id);
}

/// Milliseconds with three decimals.
fn millis(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        _ => OTHER,
    }
}
