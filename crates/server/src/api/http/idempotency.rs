//! Idempotency-Key on any POST (§10): the same request again gives the first answer, byte for byte.
//!
//! A handler that names [`IdempotentRequest`] in its arguments runs only for a request that was not answered before, and
//! of two at the same time only for one. The answer is remembered in the transaction of the write, so it is there
//! exactly if the write is. Where it depends on what was there before, it is made in the transaction too. What is
//! refused with 4xx is not remembered.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts};
use serde::Serialize;
use switchboard_model::{
    Code, Key, Problem, Timestamp,
    id::Id,
    idempotency::{IdempotencyScope, RememberedAnswer, is_valid},
    time::Clock,
};
use switchboard_store::{
    Idempotency as FirstAnswers, IdempotencyRecord, IdempotencyRecordWith, Idempotent, Refusal,
    StoreError,
};

use super::{
    body::{Body, RawBody},
    caller::Caller,
    envelope::Rendered,
    problem::Failure,
    request_id::RequestId,
};
use crate::uncancelled::uncancelled;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Seconds after which the first request may have its answer.
const RETRY_AFTER: u64 = 1;
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The requests of each caller that are in flight.
type Names = Mutex<HashSet<(Id<Key>, Name)>>;

/// The requests that are in flight, and the answers to those before them.
pub(crate) struct Idempotency {
    answers: Arc<dyn FirstAnswers>,
    clock: Arc<dyn Clock>,
    names: Arc<Names>,
}

/// A request that is to be done once; or any request, if it carries no Idempotency-Key.
pub(crate) struct IdempotentRequest<B = Body> {
    pub(crate) body: B,
    pub(crate) in_flight: InFlight,
}

/// Why a request is not to be carried out.
#[derive(Debug)]
pub(crate) enum NotBegun {
    Refused(Failure),
    /// It was, and this was the answer.
    Replayed(RememberedAnswer),
}

impl<S, B> FromRequest<S> for IdempotentRequest<B>
where
    S: Send + Sync,
    B: RawBody + FromRequest<S, Rejection = Failure>,
    Arc<Idempotency>: FromRef<S>,
{
    type Rejection = NotBegun;

    async fn from_request(request: Request, state: &S) -> Result<Self, NotBegun> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let id = RequestId::from_request_parts(&mut parts, state).await?;
        let name = Name::of(&parts);
        // The body's mistakes come before the key's.
        let body = B::from_request(Request::from_parts(parts, body), state).await?;
        let entered = Idempotency::enter(&Arc::from_ref(state), &caller, id, name?)?;
        let in_flight = entered.begin(body.raw()).await?;
        Ok(Self { body, in_flight })
    }
}

/// What a request calls itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    /// `POST /v1/messages`
    operation: String,
    /// Its Idempotency-Key.
    key: String,
}

impl Name {
    /// None for a request without an Idempotency-Key.
    pub(crate) fn of(parts: &Parts) -> Result<Option<Self>, Problem> {
        let Some(key) = key_of(&parts.headers)? else { return Ok(None) };
        // No segment of a path varies, so it is the one in the table of routes.
        let operation = format!("{} {}", parts.method, parts.uri.path());
        Ok(Some(Self { operation, key }))
    }
}

/// The Idempotency-Key of a request, if it has one.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| is_valid(key));
    let must = "must be 1 to 255 visible ASCII characters";
    key.map(|key| Some(key.to_owned()))
        .ok_or_else(|| Problem::invalid_value("Idempotency-Key", must))
}

impl Idempotency {
    pub(crate) fn new(answers: Arc<dyn FirstAnswers>, clock: Arc<dyn Clock>) -> Self {
        Self { answers, clock, names: Arc::default() }
    }

    /// Enters a request among those in flight. Its body may be on its way still.
    pub(crate) fn enter(
        self: &Arc<Self>,
        caller: &Caller,
        id: RequestId,
        name: Option<Name>,
    ) -> Result<Entered, Problem> {
        let place = |name| InFlightGuard::take(&self.names, (caller.key_id(), name));
        let guard = name.map(place).transpose()?;
        Ok(Entered { id, guard, idempotency: Arc::clone(self) })
    }
}

/// A request's place among those in flight. Whoever writes keeps it until that is committed, for its client may be
/// gone before ([`crate::uncancelled`]).
#[derive(Debug)]
struct InFlightGuard {
    all: Arc<Names>,
    name: (Id<Key>, Name),
}

impl InFlightGuard {
    fn take(all: &Arc<Names>, name: (Id<Key>, Name)) -> Result<Self, Problem> {
        if !all.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            let message =
                "The first request with this Idempotency-Key is still in flight. Try again.";
            return Err(Problem::new(Code::IdempotencyInProgress, message).retry_after(RETRY_AFTER));
        }
        Ok(Self { all: Arc::clone(all), name })
    }

    /// What the request is remembered by, with this body.
    fn scope(&self, body: &[u8]) -> IdempotencyScope {
        let (caller, Name { operation, key }) = &self.name;
        IdempotencyScope::new(*caller, operation.clone(), key.clone(), body)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// A request among those in flight whose body is not known yet.
pub(crate) struct Entered {
    id: RequestId,
    guard: Option<InFlightGuard>,
    idempotency: Arc<Idempotency>,
}

impl Entered {
    /// Whether there was a request with this key. If this is the same one, its answer is that of the first time.
    pub(crate) async fn is_known(&self) -> Result<bool, Failure> {
        let Some(guard) = &self.guard else { return Ok(false) };
        let Idempotency { answers, clock, .. } = &*self.idempotency;
        match answers.remembered(guard.scope(b""), clock.retention()).await {
            Ok(answer) => Ok(answer.is_some()),
            Err(StoreError::Refused(Refusal::IdempotencyMismatch)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins it with this body, unless it was answered before.
    pub(crate) async fn begin(self, body: &[u8]) -> Result<InFlight, NotBegun> {
        let Self { id, guard, idempotency } = self;
        let begun_at = idempotency.clock.steady();
        let answers = Arc::clone(&idempotency.answers);
        let Some(guard) = guard else {
            return Ok(InFlight { id, begun_at, once: None, answers });
        };
        let scope = guard.scope(body);
        let now = idempotency.clock.retention();
        if let Some(answer) = answers.remembered(scope.clone(), now).await? {
            return Err(NotBegun::Replayed(answer));
        }
        Ok(InFlight { id, begun_at, once: Some((scope, guard)), answers })
    }
}

/// A request that is carried out now, for the first time. It answers with what it writes, and whatever it writes is
/// written to its end, even if the client hangs up.
pub(crate) struct InFlight {
    id: RequestId,
    /// By the steady clock.
    begun_at: Timestamp,
    once: Option<(IdempotencyScope, InFlightGuard)>,
    answers: Arc<dyn FirstAnswers>,
}

impl InFlight {
    /// Answers with `resource`, which is known before it is written.
    pub(crate) async fn answer<T, E, W>(
        self,
        status: StatusCode,
        resource: &impl Serialize,
        write: impl FnOnce(Option<IdempotencyRecord>) -> W,
    ) -> Result<Response, E>
    where
        T: Send + 'static,
        E: Send + 'static,
        W: Future<Output = Result<Idempotent<T>, E>> + Send + 'static,
    {
        let rendered = Rendered::one(status, resource, &self.id);
        let (scope, guard) = self.once.unzip();
        let answer = || remembered(&rendered, self.begun_at);
        let writing = write(scope.map(|scope| IdempotencyRecord { scope, answer: answer() }));
        Ok(match until_committed(guard, writing).await? {
            Idempotent::Fresh(_) => rendered.into_response(),
            Idempotent::Replayed(answer) => replay(answer),
        })
    }

    /// Answers with what is written: the answer is made in the transaction.
    pub(crate) async fn answer_with<T, W>(
        self,
        status: StatusCode,
        write: impl FnOnce(Option<IdempotencyRecordWith<T>>) -> W,
    ) -> Result<Response, StoreError>
    where
        T: Serialize + Send + 'static,
        W: Future<Output = Result<Idempotent<T>, StoreError>> + Send + 'static,
    {
        let (id, now) = (self.id, self.begun_at);
        let render = move |written: &T| Rendered::one(status, written, &id);
        let (scope, guard) = self.once.unzip();
        let writing = write(scope.map(|scope| {
            let answer = Arc::new(move |written: &T| remembered(&render(written), now));
            IdempotencyRecordWith { scope, now, answer }
        }));
        Ok(match until_committed(guard, writing).await? {
            Idempotent::Fresh(written) => render(&written).into_response(),
            Idempotent::Replayed(answer) => replay(answer),
        })
    }

    /// Answers with what came of work that writes nothing. It is remembered all the same: a client that hangs up and
    /// asks again would have the work done again.
    pub(crate) async fn answer_after<T: Serialize + Send + 'static>(
        self,
        status: StatusCode,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<Response, Failure> {
        let (id, now, answers) = (self.id, self.begun_at, self.answers);
        let (scope, guard) = self.once.unzip();
        let working = async move {
            let rendered = Rendered::one(status, &work.await?, &id);
            let Some(scope) = scope else { return Ok(rendered.into_response()) };
            let answer = remembered(&rendered, now);
            Ok::<_, Failure>(match answers.remember(IdempotencyRecord { scope, answer }).await? {
                Idempotent::Fresh(()) => rendered.into_response(),
                Idempotent::Replayed(answer) => replay(answer),
            })
        };
        until_committed(guard, working).await
    }
}

/// Does the work to its end, in flight until then.
fn until_committed<T: Send + 'static>(
    guard: Option<InFlightGuard>,
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send {
    uncancelled(async move {
        let _guard = guard;
        work.await
    })
}

fn remembered(answer: &Rendered, now: Timestamp) -> RememberedAnswer {
    RememberedAnswer { status: answer.status.as_u16(), body: answer.body.to_vec(), created_at: now }
}

/// The first answer once more.
fn replay(answer: RememberedAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = Rendered { status, body: answer.body.into() }.into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

impl IntoResponse for NotBegun {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(failure) => failure.into_response(),
            Self::Replayed(answer) => replay(answer),
        }
    }
}

impl From<Failure> for NotBegun {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<Problem> for NotBegun {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem.into())
    }
}

impl From<StoreError> for NotBegun {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}
