//! Idempotency-Key on any POST (§10): the same request again gives the first answer, byte for byte.
//!
//! The answer is remembered in the transaction of the write, so it is there exactly if the write is. Where it depends
//! on what was there before, it is made in the transaction too. What is refused with 4xx is not remembered.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use switchboard_model::{
    Code, Key, Problem, Timestamp,
    id::Id,
    idempotency::{IdempotencyScope, RememberedAnswer, is_valid},
};
use switchboard_store::{IdempotencyRecord, IdempotencyRecordWith, Refusal, StoreError};

use crate::{
    api::http::{auth::Caller, envelope::Rendered, problem::Failure},
    app::App,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Seconds after which the first request may have its answer.
const RETRY_AFTER: u64 = 1;
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Names of requests: key, and operation with idempotency key.
type Names = Mutex<HashSet<(Id<Key>, String)>>;

/// The requests that are in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Arc<Names>);

/// A request's place among those in flight. Whoever writes keeps it until that is committed, for its client may be
/// gone before ([`crate::uncancelled::spawn_uncancelled`]).
#[derive(Debug)]
struct InFlightGuard {
    all: Arc<Names>,
    name: (Id<Key>, String),
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// A request that is to be done once; or any request, if it carries no Idempotency-Key.
#[derive(Debug)]
pub(crate) struct IdempotentRequest {
    scope: Option<IdempotencyScope>,
    /// When it was begun, by the steady clock.
    begun_at: Timestamp,
    _place: Option<InFlightGuard>,
}

/// The Idempotency-Key of a request, if it has one.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| is_valid(key));
    let must = "must be 1 to 255 visible ASCII characters";
    key.map(|key| Some(key.to_owned()))
        .ok_or_else(|| Problem::invalid_value("Idempotency-Key", must))
}

/// Begins a request with this body. `Ok(Err(…))` is the answer of its first time.
pub(crate) async fn begin(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    operation: &'static str,
    body: &[u8],
) -> Result<Result<IdempotentRequest, Response>, Failure> {
    enter(app, caller, headers, operation)?.begin(app, body).await
}

/// A request among those in flight whose body is not known yet.
#[derive(Debug)]
pub(crate) struct InFlightRequest {
    operation: &'static str,
    key: Option<(String, InFlightGuard)>,
}

/// Enters a request whose body takes its time among those in flight.
pub(crate) fn enter(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    operation: &'static str,
) -> Result<InFlightRequest, Problem> {
    let Some(key) = key_of(headers)? else { return Ok(InFlightRequest { operation, key: None }) };
    let name = (caller.key_id(), format!("{operation} {key}"));
    let all = Arc::clone(&app.in_flight.0);
    if !all.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
        let message = "The first request with this Idempotency-Key is still in flight. Try again.";
        return Err(Problem::new(Code::IdempotencyInProgress, message).retry_after(RETRY_AFTER));
    }
    Ok(InFlightRequest { operation, key: Some((key, InFlightGuard { all, name })) })
}

impl InFlightRequest {
    /// Whether there was a request with this key. If this is the same one, its answer is that of the first time.
    pub(crate) async fn is_known(&self, app: &App) -> Result<bool, Failure> {
        let Some((key, place)) = &self.key else { return Ok(false) };
        let scope =
            IdempotencyScope::new(place.name.0, self.operation.to_owned(), key.clone(), b"");
        match app.store.remembered(scope, app.clock.retention()).await {
            Ok(answer) => Ok(answer.is_some()),
            Err(StoreError::Refused(Refusal::IdempotencyMismatch)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins it with this body. `Ok(Err(…))` is the answer of its first time.
    pub(crate) async fn begin(
        self,
        app: &App,
        body: &[u8],
    ) -> Result<Result<IdempotentRequest, Response>, Failure> {
        let begun_at = app.clock.steady();
        let Some((key, place)) = self.key else {
            return Ok(Ok(IdempotentRequest { scope: None, begun_at, _place: None }));
        };
        let scope = IdempotencyScope::new(place.name.0, self.operation.to_owned(), key, body);
        if let Some(answer) = app.store.remembered(scope.clone(), app.clock.retention()).await? {
            return Ok(Err(replay(answer)));
        }
        Ok(Ok(IdempotentRequest { scope: Some(scope), begun_at, _place: Some(place) }))
    }
}

impl IdempotentRequest {
    /// What the transaction is to remember, where its answer is known before it.
    pub(crate) fn record(&self, answer: &Rendered) -> Option<IdempotencyRecord> {
        let answer = remembered(answer, self.begun_at);
        self.scope.clone().map(|scope| IdempotencyRecord { scope, answer })
    }

    /// What the transaction is to remember, where its answer is made of what it has written.
    pub(crate) fn record_with<T>(
        &self,
        answer: impl FnOnce(&T) -> Rendered + Send + 'static,
    ) -> Option<IdempotencyRecordWith<T>> {
        let now = self.begun_at;
        let answer = Box::new(move |written: &T| remembered(&answer(written), now));
        self.scope.clone().map(|scope| IdempotencyRecordWith { scope, now, answer })
    }
}

fn remembered(answer: &Rendered, now: Timestamp) -> RememberedAnswer {
    RememberedAnswer { status: answer.status.as_u16(), body: answer.body.to_vec(), created_at: now }
}

/// The first answer once more.
pub(crate) fn replay(answer: RememberedAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = Rendered { status, body: answer.body.into() }.into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
