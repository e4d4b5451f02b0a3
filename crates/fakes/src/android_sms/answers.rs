//! What both modes answer, and whom they answer.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::device::nano_id;

/// An answer or a refusal; both are answers.
pub(super) type Answer = Result<Response, Refused>;

/// A status, in words or without.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    message: Option<String>,
}

impl Refused {
    pub(super) fn new(status: u16, message: &str) -> Self {
        Self { status, message: Some(message.to_owned()) }
    }

    pub(super) fn bare(status: u16) -> Self {
        Self { status, message: None }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self.message {
            Some(message) => refused(self.status, &message),
            None => empty(self.status),
        }
    }
}

pub(super) fn json_answer(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A status with nothing.
pub(super) fn empty(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// A refusal in words.
pub(super) fn refused(status: u16, message: &str) -> Response {
    json_answer(status, &json!({ "message": message }))
}

/// A page, with how many there are in all.
pub(super) fn listed(items: &[Value], total: usize) -> Response {
    let mut response = json_answer(200, &json!(items));
    response.headers_mut().insert("x-total-count", HeaderValue::from(total));
    response
}

/// The date of an answer, by this clock.
pub(super) fn dated(mut response: Response, unix_ms: i64) -> Response {
    let since = std::time::Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + since);
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Who calls: by user and password, or by a token that was given out and has not ended.
pub(super) fn knows(
    headers: &HeaderMap,
    login: &Arc<(String, String)>,
    tokens: &HashMap<String, i64>,
    now: i64,
) -> bool {
    let Some(given) = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok())
    else {
        return false;
    };
    if let Some(token) = given.strip_prefix("Bearer ") {
        return tokens.get(token).is_some_and(|ends| *ends > now);
    }
    let wanted = BASE64.encode(format!("{}:{}", login.0, login.1).as_bytes());
    given.strip_prefix("Basic ").is_some_and(|given| given == wanted)
}

/// A new token, in force for a quarter of an hour unless the body says otherwise.
pub(super) fn token(tokens: &mut HashMap<String, i64>, body: &Value, now: i64) -> Response {
    let ttl = body.get("ttl").and_then(Value::as_i64).unwrap_or(900);
    let (access, refresh) = (format!("eyJ{}", nano_id()), format!("eyJ{}", nano_id()));
    tokens.insert(access.clone(), now + ttl * 1_000);
    tokens.insert(refresh.clone(), now + 30 * 86_400_000);
    json_answer(
        201,
        &json!({ "id": nano_id(), "token_type": "Bearer", "access_token": access,
                 "refresh_token": refresh, "expires_at": crate::stamp::iso(now + ttl * 1_000, 0) }),
    )
}

/// The settings with these changes; groups keep what is not named.
pub(super) fn merge(settings: &mut Value, changes: &Value) {
    match (settings, changes) {
        (Value::Object(settings), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(settings.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        (setting, change) => *setting = change.clone(),
    }
}
