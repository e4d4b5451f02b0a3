//! GET and POST /admin/v1/keys, POST /admin/v1/keys/revoke

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use switchboard_model::{
    Code, Key, Line, Problem, Scope, Scopes, Timestamp,
    id::Id,
    key::RevokedKey,
    secret::{Secret, SecretKind},
    time::Clock,
};
use switchboard_store::{Keys, NewKey, Refusal, Revoked, StoreError};

use crate::{
    api::{
        admin,
        http::{
            body::{self, Body},
            caller::Operator,
            envelope,
            names::id_of,
            problem::Failure,
            request_id::RequestId,
        },
    },
    deliver::Deliver,
    stream::Feeds,
    uncancelled::spawn_uncancelled,
};

/// Every key, without its secret.
pub(crate) async fn list(
    State(keys): State<Arc<dyn Keys>>,
    _: Operator,
    id: RequestId,
) -> Result<Response, Failure> {
    Ok(envelope::list(keys.keys().await?, None, &id))
}

/// Makes a key. The secret is in this answer and never again.
pub(crate) async fn create(
    State(keys): State<Arc<dyn Keys>>,
    State(clock): State<Arc<dyn Clock>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Created<'a> {
        #[serde(flatten)]
        row: &'a Key,
        key: &'a str,
    }
    body.required("name")?;
    let scopes = body.required("scopes")?;
    let account_id = admin::optional_id(&body, "account_id")?;
    let name = admin::name(&body)?;
    let scopes = scopes_of(scopes)?;
    let line_ids = body.field("line_ids").map(line_ids_of).transpose()?;
    let expires_at = body.optional_number("expires_at", 0..=i64::MAX)?.map(Timestamp);
    if expires_at.is_some_and(|end| end <= clock.now()) {
        let must = "must be in the future, in Unix milliseconds: the key would be dead already";
        return Err(Problem::invalid_value("expires_at", must).into());
    }
    let rate_limit = body.optional_number("rate_limit", 1..=i64::from(u32::MAX))?;
    let secret = Secret::from_random(SecretKind::ApiKey, rand::random());
    let key = NewKey {
        account_id,
        name,
        hint: secret.hint(),
        hash: secret.hash(),
        scopes,
        line_ids,
        rate_limit: rate_limit.and_then(|limit| u32::try_from(limit).ok()),
        expires_at,
    };
    let making = spawn_uncancelled(async move {
        let row = keys.create_key(key, clock.now()).await?;
        let account = row.account_id.map(tracing::field::display);
        tracing::info!(by = %operator, action = "keys.create", key = %row.id, account, "admin action");
        Ok(row)
    });
    let made = making.await;
    let row = made.map_err(|error| match error {
        StoreError::Refused(Refusal::LineNotFound) => no_such_line().into(),
        error => Failure::from(error),
    })?;
    Ok(envelope::one(StatusCode::CREATED, &Created { row: &row, key: secret.reveal() }, &id))
}

/// What knows a key for longer than a request.
pub(crate) struct KeyHolders {
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) deliver: Arc<Deliver>,
}

impl KeyHolders {
    /// The key was revoked.
    fn forget(&self, revoked: &Revoked) {
        if let Some(account) = revoked.key.account_id {
            // The live streams of the account look whether it was their key.
            self.feeds.check(account);
        }
        for webhook in &revoked.disabled {
            self.deliver.disabled(*webhook);
        }
    }
}

/// Takes a key's power away, at once. The webhooks that it has made go on, unless they are to be disabled too.
pub(crate) async fn revoke(
    State(keys): State<Arc<dyn Keys>>,
    State(clock): State<Arc<dyn Clock>>,
    State(holders): State<Arc<KeyHolders>>,
    operator: Operator,
    id: RequestId,
    body: Body,
) -> Result<Response, Failure> {
    let key = body.id("id")?;
    let disable_webhooks = body.optional_bool("disable_webhooks")?.unwrap_or(false);
    let revoking = spawn_uncancelled(async move {
        let revoked = keys.revoke_key(key, disable_webhooks, clock.now()).await?;
        let account = revoked.key.account_id.map(tracing::field::display);
        tracing::info!(
            by = %operator,
            action = "keys.revoke",
            key = %revoked.key.id,
            account,
            disabled_webhooks = revoked.disabled.len(),
            "admin action"
        );
        holders.forget(&revoked);
        Ok(revoked)
    });
    let Revoked { key, active_webhooks, disabled } = revoking.await?;
    let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
    let (active_webhooks, disabled_webhooks) = (count(active_webhooks), count(disabled.len()));
    let revoked = RevokedKey { key, active_webhooks, disabled_webhooks };
    Ok(envelope::one(StatusCode::OK, &revoked, &id))
}

/// A list of scopes, or "all".
fn scopes_of(value: &Value) -> Result<Scopes, Problem> {
    if value.as_str() == Some("all") {
        return Ok(Scopes::all());
    }
    let known = || {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        Problem::invalid_value("scopes", format_args!("must be \"all\" or a list of: {known}"))
    };
    let names = body::texts(value, "scopes").map_err(|_| known())?;
    let scopes: Option<Scopes> = names.into_iter().map(Scope::from_name).collect();
    scopes.filter(|scopes| scopes.iter().next().is_some()).ok_or_else(known)
}

fn no_such_line() -> Problem {
    let message = "The key's account has no line with one of these ids. GET /admin/v1/lines lists the lines of all accounts.";
    Problem::new(Code::LineNotFound, message).param("line_ids")
}

fn line_ids_of(value: &Value) -> Result<Vec<Id<Line>>, Problem> {
    let ids = body::texts(value, "line_ids")?;
    if ids.is_empty() {
        let must = "must hold at least one id; leave it out for every line of the account";
        return Err(Problem::invalid_value("line_ids", must));
    }
    ids.into_iter().map(|text| id_of(text, "line_ids")).collect()
}
