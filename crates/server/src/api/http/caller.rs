//! Who calls, and what that caller may touch.
//!
//! A handler that names [`Caller`], [`Operator`] or [`Linked`] in its arguments runs only behind the gate that made it
//! ([`super::auth`]); and a line is had only from [`Caller::line`].

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use switchboard_model::{
    Account, Bridge, Code, EventKind, Key, Line, Problem, Scope, Scopes, id::Id, secret::SecretHash,
};
use switchboard_store::{Grant, StoreError};

use super::{
    names::LineRef,
    problem::{Failure, lacks, line_not_found},
    request_id::RequestId,
};
use crate::{auth_cache::AuthCache, requests::Peer, stream::KeyInUse};

/// The program that calls, with its key.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    key: Arc<Key>,
    hash: SecretHash,
    /// The sandbox line, which the restriction of a key does not bar.
    sandbox: Option<Id<Line>>,
    auth_cache: Arc<AuthCache>,
}

impl Caller {
    /// Whoever has shown `key`, which was just looked up.
    pub(super) async fn new(
        key: Arc<Key>,
        hash: SecretHash,
        auth_cache: &Arc<AuthCache>,
    ) -> Result<Self, StoreError> {
        let sandbox = auth_cache.sandbox_line().await?.map(|line| line.id);
        Ok(Self { key, hash, sandbox, auth_cache: Arc::clone(auth_cache) })
    }

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

    /// The key, for those who are let in for longer and look again.
    pub(crate) fn key_in_use(&self) -> KeyInUse {
        KeyInUse { hash: self.hash, expires_at: self.key.expires_at }
    }

    /// What the key lets its caller touch of the account; none for a key of no account.
    pub(crate) async fn grant(&self) -> Result<Option<Grant>, StoreError> {
        let Some(account) = self.account() else { return Ok(None) };
        let lines = self.restricted_lines().await?;
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
    pub(crate) async fn lines(&self) -> Result<Vec<Line>, StoreError> {
        let Some(account) = self.account() else {
            let sandbox = self.auth_cache.sandbox_line().await?;
            return Ok(sandbox.as_deref().cloned().into_iter().collect());
        };
        let lines = self.auth_cache.lines(account).await?;
        Ok(lines.iter().filter(|line| self.reaches(line)).cloned().collect())
    }

    /// The lines that the key is restricted to, with the sandbox line; none if it may use all.
    pub(crate) async fn restricted_lines(&self) -> Result<Option<Vec<Id<Line>>>, StoreError> {
        if self.key.line_ids.is_none() {
            return Ok(None);
        }
        let Some(account) = self.account() else {
            let sandbox = self.auth_cache.sandbox_line().await?;
            return Ok(Some(sandbox.iter().map(|line| line.id).collect()));
        };
        let lines = self.auth_cache.lines(account).await?;
        Ok(Some(lines.iter().filter(|line| self.reaches(line)).map(|line| line.id).collect()))
    }

    fn reaches(&self, line: &Line) -> bool {
        line.is_sandbox || self.key.may_use(line.id)
    }

    /// The line that `from` names, if it is the account's and the key may use it.
    pub(crate) async fn line(&self, from: &LineRef) -> Result<OwnLine, Failure> {
        let Some(account) = self.account() else {
            let sandbox = self.auth_cache.sandbox_line().await?.filter(|line| from.names(line));
            return match sandbox {
                Some(_) => Err(self.owner().err().unwrap_or_else(line_not_found).into()),
                None => Err(line_not_found().into()),
            };
        };
        let lines = self.auth_cache.lines(account).await?;
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

/// The operator of this server. Made only by the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operator {
    peer: Option<Peer>,
}

impl Operator {
    pub(super) fn new(peer: Option<Peer>) -> Self {
        Self { peer }
    }
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
        impl<S: Send + Sync> FromRequestParts<S> for $what {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
                parts.extensions.get::<Self>().cloned().ok_or_else(|| Failure {
                    cause: Some(concat!("no ", stringify!($what), " beside the request").to_owned()),
                    ..Failure::internal()
                })
            }
        }
    )+};
}

from_gate!(Caller, Operator, Linked, RequestId);
