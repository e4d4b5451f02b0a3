//! The gate in front of every route: it decides who may, and hands on who that is ([`super::caller`]).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header::AUTHORIZATION};
use switchboard_model::{
    Bridge, Code, Key, Problem, Scope,
    secret::{self, Secret, SecretHash, SecretKind},
    time::Clock,
};
use switchboard_store::Bridges;

use super::{
    access,
    caller::{Caller, Linked, Operator},
    problem::{Failure, lacks},
    rate_limit::RateLimitHeaders,
};
use crate::{
    auth_cache::AuthCache,
    limiter::Limiter,
    operation::Access,
    requests::Peer,
    wrong_tokens::{TooMany, WrongTokens},
};

/// What callers are judged by.
pub(crate) struct Gatekeeper {
    pub(crate) auth_cache: Arc<AuthCache>,
    pub(crate) bridges: Arc<dyn Bridges>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) wrong_tokens: WrongTokens,
    pub(crate) operator: SecretHash,
    /// The hourly limit of a key that has none of its own.
    pub(crate) rate_limit: u32,
    pub(crate) rate_limit_headers: RateLimitHeaders,
}

/// The gate of one route.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) keeper: Arc<Gatekeeper>,
    pub(crate) access: Access,
}

/// Authentication → hourly limit → scope, in this order (§3), before the body is looked at.
pub(crate) async fn authorize(
    State(Gate { keeper, access }): State<Gate>,
    mut request: Request,
    next: Next,
) -> Response {
    let admitted = match access {
        Access::Key(scope) => return keeper.with_key(Some(scope), request, next).await,
        Access::AnyKey => return keeper.with_key(None, request, next).await,
        Access::SignedUrl | Access::Public => Ok(()),
        Access::Operator => {
            let peer = request.extensions().get().copied();
            keeper.operator(request.headers(), peer).await.map(|operator| {
                request.extensions_mut().insert(operator);
            })
        }
        Access::Bridge => keeper.bridge(request.headers()).await.map(|bridge| {
            request.extensions_mut().insert(Linked(bridge));
        }),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

impl Gatekeeper {
    async fn with_key(&self, scope: Option<Scope>, mut request: Request, next: Next) -> Response {
        let (key, hash) = match self.key(request.headers()).await {
            Ok(found) => found,
            Err(failure) => return failure.into_response(),
        };
        access::made_with(&key);
        let limit = key.rate_limit.unwrap_or(self.rate_limit);
        let standing = self.limiter.count(key.id, limit, self.clock.steady());
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
            match Caller::new(key, hash, &self.auth_cache).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    next.run(request).await
                }
                Err(error) => Failure::from(error).into_response(),
            }
        };
        self.rate_limit_headers.write(standing, response.headers_mut());
        response
    }

    async fn key(&self, headers: &HeaderMap) -> Result<(Arc<Key>, SecretHash), Failure> {
        let refused =
            |message: &'static str| Failure::from(Problem::new(Code::InvalidApiKey, message));
        let token = bearer(headers, "your API key")?;
        // The checksum tells a mistyped key without a look-up.
        let secret = Secret::parse(SecretKind::ApiKey, token).ok_or_else(|| {
            refused("This is no API key: check that you copied all of it, from 'sk_live_' on.")
        })?;
        let hash = secret.hash();
        let (key, usage) = self
            .auth_cache
            .key(hash)
            .await?
            .ok_or_else(|| refused("This API key is not known to this server."))?;
        if let Some(usage) = usage {
            self.limiter.restore(usage);
        }
        if !key.is_valid_at(self.clock.now()) {
            return Err(refused("This API key has expired or was revoked."));
        }
        Ok((key, hash))
    }

    /// A right token passes at once; the answer to a wrong one is delayed for the address that it comes from.
    async fn operator(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<Operator, Failure> {
        let wrong = match bearer(headers, "the operator token") {
            Ok(token) if SecretHash::of(token).matches(&self.operator) => {
                return Ok(Operator::new(peer));
            }
            Ok(_) => {
                let message = "This is not the operator token of this server.";
                Problem::new(Code::InvalidApiKey, message)
            }
            // No token is no guess.
            Err(problem) if problem.code == Code::MissingApiKey => return Err(problem.into()),
            Err(problem) => problem,
        };
        match self.wrong_tokens.came(peer, self.clock.steady()).await {
            Ok(()) => Err(wrong.into()),
            Err(TooMany { retry_after }) => {
                let message =
                    "Too many wrong operator tokens have come from your address. Try again later.";
                Err(Problem::new(Code::RateLimitExceeded, message).retry_after(retry_after).into())
            }
        }
    }

    async fn bridge(&self, headers: &HeaderMap) -> Result<Bridge, Failure> {
        let refused = || {
            let message = "This bridge token is unknown or was revoked. 'switchboard admin bridges \
                           create' makes a new one.";
            Failure::from(Problem::new(Code::InvalidApiKey, message))
        };
        let token = bearer(headers, "the bridge's token")?;
        let secret = Secret::parse(SecretKind::Bridge, token).ok_or_else(refused)?;
        let found = self.bridges.find_bridge(secret.hash(), self.clock.now()).await?;
        found.filter(|bridge| bridge.revoked_at.is_none()).ok_or_else(refused)
    }
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
