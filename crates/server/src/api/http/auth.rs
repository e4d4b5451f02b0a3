//! Who may: the gate in front of every route, and what a caller may touch behind it.
//!
//! A handler that names [`Caller`], [`Operator`] or [`Linked`] in its arguments runs only
//! behind the gate that made it; and a line is had only from [`Caller::line`].

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use switchboard_model::{
    Account, Bridge, Code, EventKind, Handle, Key, Line, Problem, Scope, Scopes, Timestamp,
    id::Id,
    secret::{self, Secret, SecretHash, SecretKind},
    text::trim,
};
use switchboard_store::Grant;

use crate::{
    api::http::{
        access,
        envelope::RequestId,
        problem::{Failure, id_of, line_not_found},
    },
    app::App,
    requests::Peer,
    routes::Access,
    wrong_tokens::TooMany,
};

/// What a route's gate needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) app: Arc<App>,
    pub(crate) access: Access,
}

/// Authentication → hourly limit → scope, in this order (§3), before the body is looked at.
pub(crate) async fn authorize(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Response {
    let admitted = match gate.access {
        Access::Key(scope) => return with_key(&gate.app, Some(scope), request, next).await,
        Access::AnyKey => return with_key(&gate.app, None, request, next).await,
        Access::SignedUrl | Access::Public => Ok(()),
        Access::Operator => {
            let peer = peer_of(&request);
            operator(&gate.app, request.headers(), peer).await.map(|operator| {
                request.extensions_mut().insert(operator);
            })
        }
        Access::Bridge => bridge(&gate.app, request.headers()).await.map(|bridge| {
            request.extensions_mut().insert(Linked(bridge));
        }),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

async fn with_key(
    app: &Arc<App>,
    scope: Option<Scope>,
    mut request: Request,
    next: Next,
) -> Response {
    let (key, hash) = match key(app, request.headers()).await {
        Ok(found) => found,
        Err(failure) => return failure.into_response(),
    };
    access::made_with(&key);
    let limit = key.rate_limit.unwrap_or(app.config.rate_limit);
    let standing = app.limiter.count(key.id, limit, app.clock.steady());
    let mut response = if standing.is_exceeded() {
        let seconds = standing.reset();
        let message = format!(
            "This key has used its {limit} requests of this hour. Try again in {seconds} seconds."
        );
        Failure::from(Problem::new(Code::RateLimitExceeded, message).retry_after(seconds))
            .into_response()
    } else if let Some(scope) = scope.filter(|scope| !key.scopes.contains(*scope)) {
        Failure::from(lacks(scope)).into_response()
    } else {
        match app.auth_cache.sandbox_line().await {
            Ok(sandbox) => {
                let sandbox = sandbox.map(|line| line.id);
                request.extensions_mut().insert(Caller { key, hash, sandbox });
                next.run(request).await
            }
            Err(error) => Failure::from(error).into_response(),
        }
    };
    standing.write(response.headers_mut());
    response
}

/// The key lacks this scope.
pub(crate) fn lacks(scope: Scope) -> Problem {
    let message = format!("This key lacks the scope '{}'.", scope.as_str());
    Problem::new(Code::InsufficientScope, message)
}

/// The bearer token of a request.
fn bearer<'a>(headers: &'a HeaderMap, what: &str) -> Result<&'a str, Problem> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        let message =
            format!("Send {what} in the header 'Authorization: Bearer …' of every request.");
        return Err(Problem::new(Code::MissingApiKey, message));
    };
    // Some programs put more round a key than ASCII has: the no-break space of a web page.
    std::str::from_utf8(header.as_bytes())
        .ok()
        .and_then(|text| text.trim().split_once([' ', '\t']))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| secret::bare(token))
        .ok_or_else(|| {
            let message = format!("The Authorization header must be 'Bearer ' and {what}.");
            Problem::new(Code::InvalidApiKey, message)
        })
}

async fn key(app: &App, headers: &HeaderMap) -> Result<(Arc<Key>, SecretHash), Failure> {
    let refused = |message: &'static str| Failure::from(Problem::new(Code::InvalidApiKey, message));
    let token = bearer(headers, "your API key")?;
    // The checksum tells a mistyped key without a look-up.
    let secret = Secret::parse(SecretKind::ApiKey, token).ok_or_else(|| {
        refused("This is no API key: check that you copied all of it, from 'sk_live_' on.")
    })?;
    let hash = secret.hash();
    let (key, usage) = app
        .auth_cache
        .key(hash)
        .await?
        .ok_or_else(|| refused("This API key is not known to this server."))?;
    if let Some(usage) = usage {
        app.limiter.restore(usage);
    }
    if !key.is_valid_at(app.clock.now()) {
        return Err(refused("This API key has expired or was revoked."));
    }
    Ok((key, hash))
}

/// The address that a request comes from.
fn peer_of(request: &Request) -> Option<Peer> {
    request.extensions().get().copied()
}

/// A right token passes at once; the answer to a wrong one is delayed for the address that it comes from.
async fn operator(app: &App, headers: &HeaderMap, peer: Option<Peer>) -> Result<Operator, Failure> {
    let wrong = match bearer(headers, "the operator token") {
        Ok(token) if SecretHash::of(token).matches(&app.operator) => return Ok(Operator { peer }),
        Ok(_) => {
            let message = "This is not the operator token of this server.";
            Problem::new(Code::InvalidApiKey, message)
        }
        // No token is no guess.
        Err(problem) if problem.code == Code::MissingApiKey => return Err(problem.into()),
        Err(problem) => problem,
    };
    match app.wrong_tokens.came(peer, app.clock.steady()).await {
        Ok(()) => Err(wrong.into()),
        Err(TooMany { retry_after }) => {
            let message =
                "Too many wrong operator tokens have come from your address. Try again later.";
            Err(Problem::new(Code::RateLimitExceeded, message).retry_after(retry_after).into())
        }
    }
}

async fn bridge(app: &App, headers: &HeaderMap) -> Result<Bridge, Failure> {
    let refused = || {
        let message = "This bridge token is unknown or was revoked. 'switchboard admin bridges \
                       create' makes a new one.";
        Failure::from(Problem::new(Code::InvalidApiKey, message))
    };
    let token = bearer(headers, "the bridge's token")?;
    let secret = Secret::parse(SecretKind::Bridge, token).ok_or_else(refused)?;
    let found = app.store.find_bridge(secret.hash(), app.clock.now()).await?;
    found.filter(|bridge| bridge.revoked_at.is_none()).ok_or_else(refused)
}

/// The program that calls, with its key.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    key: Arc<Key>,
    hash: SecretHash,
    /// The sandbox line, which the restriction of a key does not bar.
    sandbox: Option<Id<Line>>,
}

impl Caller {
    /// The account that the key belongs to.
    pub(crate) fn account(&self) -> Option<Id<Account>> {
        self.key.account_id
    }

    /// What the cursors of a list are bound to: the list with its filters, and whose it is.
    pub(crate) fn list(&self, name: std::fmt::Arguments<'_>) -> String {
        match self.account() {
            Some(account) => format!("{account} {name}"),
            None => name.to_string(),
        }
    }

    /// Which key it is.
    pub(crate) fn key_id(&self) -> Id<Key> {
        self.key.id
    }

    /// By what the cache knows the key: for those who are let in for longer, and look again.
    pub(crate) fn key_hash(&self) -> SecretHash {
        self.hash
    }

    /// When the key expires, if it ever does.
    pub(crate) fn key_expires_at(&self) -> Option<Timestamp> {
        self.key.expires_at
    }

    /// What the key lets its caller touch of the account; none for a key of no account.
    pub(crate) async fn grant(&self, app: &App) -> Result<Option<Grant>, Failure> {
        let Some(account) = self.account() else { return Ok(None) };
        let lines = self.restricted_lines(app).await?;
        Ok(Some(Grant { account, lines, scopes: self.key.scopes.clone() }))
    }

    /// The scopes of the key.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.key.scopes
    }

    /// Refuses events that the key may not read (§2).
    pub(crate) fn check_events(&self, events: &[EventKind]) -> Result<(), Problem> {
        match events.iter().find(|event| !self.has(event.scope())) {
            Some(event) => Err(lacks(event.scope())),
            None => Ok(()),
        }
    }

    /// Whether the key has this scope.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.key.scopes.contains(scope)
    }

    /// The lines that the key may use: its account's, and the sandbox line, which every key reaches (§2).
    pub(crate) async fn lines(&self, app: &App) -> Result<Vec<Line>, Failure> {
        let lines = match self.account() {
            Some(account) => app.auth_cache.lines(account).await?,
            None => {
                let sandbox = app.auth_cache.sandbox_line().await?;
                return Ok(sandbox.as_deref().cloned().into_iter().collect());
            }
        };
        Ok(lines.iter().filter(|line| self.reaches(line)).cloned().collect())
    }

    /// The lines that the key is restricted to, with the sandbox line; none if it may use all.
    pub(crate) async fn restricted_lines(
        &self,
        app: &App,
    ) -> Result<Option<Vec<Id<Line>>>, Failure> {
        if self.key.line_ids.is_none() {
            return Ok(None);
        }
        Ok(Some(self.lines(app).await?.iter().map(|line| line.id).collect()))
    }

    fn reaches(&self, line: &Line) -> bool {
        line.is_sandbox || self.key.may_use(line.id)
    }

    /// The line that `from` names, if it is the account's and the key may use it.
    pub(crate) async fn line(&self, app: &App, from: &LineRef) -> Result<OwnLine, Failure> {
        let Some(account) = self.account() else {
            let sandbox = app.auth_cache.sandbox_line().await?.filter(|line| from.names(line));
            return match sandbox {
                Some(_) => Err(self.owner().err().unwrap_or_else(line_not_found).into()),
                None => Err(line_not_found().into()),
            };
        };
        let lines = app.auth_cache.lines(account).await?;
        let line = lines.iter().find(|line| from.names(line)).ok_or_else(line_not_found)?;
        self.check_line(line.id)?;
        Ok(OwnLine { account, id: line.id })
    }

    /// Refuses a line that the key is not for. Every key is for the sandbox line (§2).
    pub(crate) fn check_line(&self, line: Id<Line>) -> Result<(), Problem> {
        if self.key.may_use(line) || self.sandbox == Some(line) {
            Ok(())
        } else {
            let message = "This key is restricted to other lines.";
            Err(Problem::new(Code::LineNotAccessible, message))
        }
    }

    /// The account, where nothing can be done without one.
    pub(crate) fn owner(&self) -> Result<Id<Account>, Problem> {
        self.account().ok_or_else(|| {
            let message = "This key belongs to no account, so there is no line it may use.";
            Problem::new(Code::SandboxRequiresOwner, message)
        })
    }
}

/// A line that the caller may touch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnLine {
    pub(crate) account: Id<Account>,
    pub(crate) id: Id<Line>,
}

/// A line as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LineRef {
    Id(Id<Line>),
    Handle(Handle),
}

impl LineRef {
    /// Whether it names this line.
    fn names(&self, line: &Line) -> bool {
        match self {
            Self::Handle(handle) => line.handle == *handle,
            Self::Id(id) => line.id == *id,
        }
    }

    /// Takes `from`: a handle, or `ln_…`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        Self::parse_as(text, "from")
    }

    /// The same, where the parameter has this name.
    pub(crate) fn parse_as(text: &str, param: &'static str) -> Result<Self, Problem> {
        if trim(text).starts_with("ln_") {
            return id_of(text, param).map(Self::Id);
        }
        let handle: Result<Handle, _> = text.parse();
        handle.map(Self::Handle).map_err(|error| {
            let must = format_args!("{error}, or the id of a line (ln_…)");
            Problem::invalid_value(param, must)
        })
    }
}

/// As the caller named it: a cursor is bound to that, so it can be judged before the line is looked up.
impl std::fmt::Display for LineRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Handle(handle) => handle.fmt(f),
        }
    }
}

/// The operator of this server. Made only by the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operator {
    peer: Option<Peer>,
}

/// As the log says who did something.
impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.peer {
            Some(Peer(address)) => write!(f, "operator at {address}"),
            None => f.write_str("operator"),
        }
    }
}

/// The bridge that dials in. Made only by the gate.
#[derive(Debug, Clone)]
pub(crate) struct Linked(pub(crate) Bridge);

/// Takes what the gate, or the envelope, has put beside the request. Missing, it is our
/// own mistake: a route behind the wrong gate; a test of the table finds it.
macro_rules! from_gate {
    ($($what:ty),+) => {$(
        impl FromRequestParts<Arc<App>> for $what {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Failure> {
                parts.extensions.get::<Self>().cloned().ok_or_else(|| Failure {
                    cause: Some(concat!("no ", stringify!($what), " beside the request").to_owned()),
                    ..Failure::internal()
                })
            }
        }
    )+};
}

from_gate!(Caller, Operator, Linked, RequestId);
