//! How the server answers: `responses/success.ts` and `responses/errors.ts`.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// An answer or a refusal; both are answers.
pub(super) type Answer = Result<Response, Refusal>;

/// A refusal in the server's envelope.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    kind: &'static str,
    error: String,
    /// `Some(Null)` is there and null.
    data: Option<Value>,
}

impl Refusal {
    fn new(
        status: StatusCode,
        message: &str,
        kind: &'static str,
        error: impl Into<String>,
    ) -> Self {
        Self { status, message: message.to_owned(), kind, error: error.into(), data: None }
    }

    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "You've made a bad request! Please check your request params & body",
            "Validation Error",
            error,
        )
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "You are not authorized to access this resource",
            "Authentication Error",
            "Unauthorized",
        )
    }

    pub(super) fn not_found(error: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "The requested resource was not found",
            "Database Error",
            error,
        )
    }

    /// What was thrown and nobody caught.
    pub(super) fn server(error: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "An unhandled error has occurred!",
            "Server Error",
            error,
        )
    }

    /// A row without its file.
    pub(super) fn not_on_disk(error: &str) -> Self {
        let message = "The server has encountered an error";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message, "Server Error", error)
    }

    pub(super) fn imessage(message: &str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message, "iMessage Error", error)
    }

    pub(super) fn timeout() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "The server took too long to respond",
            "Gateway Timeout",
            "Gateway Timeout",
        )
    }

    pub(super) fn with_data(self, data: Value) -> Self {
        Self { data: Some(data), ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({
            "status": self.status.as_u16(),
            "message": self.message,
            "error": { "type": self.kind, "message": self.error },
        });
        if let Some(data) = self.data {
            body["data"] = data;
        }
        json_response(self.status, &body)
    }
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// 200 with data.
pub(super) fn success(message: &str, data: &Value) -> Answer {
    Ok(json_response(StatusCode::OK, &json!({ "status": 200, "message": message, "data": data })))
}

/// 200 with nothing to tell.
pub(super) fn done(message: &str) -> Answer {
    Ok(json_response(StatusCode::OK, &json!({ "status": 200, "message": message })))
}

/// 200 with a page.
pub(super) fn page(message: &str, data: &Value, metadata: &Value) -> Answer {
    let body = json!({ "status": 200, "message": message, "data": data, "metadata": metadata });
    Ok(json_response(StatusCode::OK, &body))
}

/// Koa's own 404, without an envelope: no route took the request, or a handler answered nothing.
pub(super) fn plain_not_found() -> Response {
    let mut response = Response::new(Body::from("Not Found"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
