//! Webhooks: where the events of an account go.

mod rotation;

use rusqlite::{Connection, Row, params};
use std::sync::Arc;
use switchboard_model::{
    Account, EventKind, Key, Line, Scopes, Timestamp, Webhook,
    id::Id,
    time::Now,
    webhook::{
        CreatedBy, CreatorState, DisabledReason, IllegalStep, MAX_PER_ACCOUNT, RotatedWebhook,
        SILENCE_MS, UpdatedWebhook, WebhookSecret, WebhookState, WebhookStep,
    },
};

use super::{
    SqliteStore,
    deliveries::OutcomeSummary,
    engine::{
        columns::{Bits, Json, Name, bits},
        seal::{Seal, Sealed},
        statement,
        writer::Tx,
    },
    idempotency, lines,
};
use crate::{
    Endpoint, Grant, IdempotencyRecordWith, Idempotent, NewWebhook, Refusal, Result, StoreError,
    WebhookChanges, Webhooks,
};

#[async_trait::async_trait]
impl Webhooks for SqliteStore {
    async fn create_webhook(
        &self,
        webhook: NewWebhook,
        remember: Option<IdempotencyRecordWith<Webhook>>,
        now: Timestamp,
    ) -> Result<Idempotent<Webhook>> {
        self.writer
            .run(move |tx| idempotency::once_with(tx, remember, |tx| create(tx, webhook, now)))
            .await
    }

    async fn webhooks(&self, account: Id<Account>, now: Timestamp) -> Result<Vec<Webhook>> {
        self.readers.list(account).ask(move |sql| of_account(sql, account, now)).await
    }

    async fn update_webhook(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        changes: WebhookChanges,
        remember: Option<IdempotencyRecordWith<UpdatedWebhook>>,
        now: Timestamp,
    ) -> Result<Idempotent<UpdatedWebhook>> {
        self.writer
            .run(move |tx| {
                let update = |tx: &mut Tx<'_>| update(tx, &grant, id, &changes, now);
                idempotency::once_with(tx, remember, update)
            })
            .await
    }

    async fn rotate_secret(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        secret: WebhookSecret,
        until: Timestamp,
        remember: Option<IdempotencyRecordWith<RotatedWebhook>>,
        now: Now,
    ) -> Result<Idempotent<RotatedWebhook>> {
        self.writer
            .run(move |tx| {
                let rotate = |tx: &mut Tx<'_>| rotation::rotate(tx, &grant, id, secret, until, now);
                idempotency::once_with(tx, remember, rotate)
            })
            .await
    }

    async fn endpoint(&self, grant: Grant, id: Id<Webhook>) -> Result<Endpoint> {
        let seal = Arc::clone(&self.seal);
        let account = grant.account;
        let find = move |sql: &_| endpoint(sql, &seal, &grant, id);
        self.readers.lookup(account).ask(find).await
    }

    async fn delete_webhook(&self, grant: Grant, id: Id<Webhook>) -> Result<()> {
        self.writer.run(move |tx| delete(tx, &grant, id)).await
    }

    async fn forget_secrets(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| rotation::forget_secrets(tx, now, limit)).await
    }
}

pub(super) fn create(tx: &mut Tx<'_>, new: NewWebhook, now: Timestamp) -> Result<Webhook> {
    let have = statement::first(
        tx.sql,
        "select count(*) from webhooks where account_id = ?1",
        params![bits(new.account_id)],
        |row| row.get::<_, u32>(0),
    )?;
    if have.unwrap_or(0) as usize >= MAX_PER_ACCOUNT {
        return Err(Refusal::TooManyWebhooks { max: MAX_PER_ACCOUNT }.into());
    }
    if let Some(wanted) = &new.line_ids {
        lines::must_belong(tx.sql, new.account_id, wanted)?;
    }
    statement::run(
        tx.sql,
        "insert into webhooks (id, account_id, line_ids, url, events, secret, created_by, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            bits(new.id),
            bits(new.account_id),
            new.line_ids.as_ref().map(Json),
            new.url,
            Json(&new.events),
            tx.seal.webhook_secret(new.id, new.secret.reveal())?,
            new.created_by.map(bits),
            now.0,
        ],
    )?;
    tx.cache.forget_webhooks(new.account_id);
    let Found { webhook, .. } = find(tx.sql, new.account_id, new.id, now)?;
    Ok(Webhook { secret: Some(new.secret), ..webhook })
}

/// A webhook, and the lines that were chosen for it: none for every line of the account.
struct Found {
    webhook: Webhook,
    chosen: Option<Vec<Id<Line>>>,
}

impl Found {
    fn of(row: &Row<'_>, all_lines: &[Id<Line>], now: Timestamp) -> rusqlite::Result<Self> {
        let chosen = row.get::<_, Option<Json<Vec<Id<Line>>>>>(1)?.map(|ids| ids.0);
        let events = row.get::<_, Json<Vec<EventKind>>>(3)?.0;
        let key_id = row.get::<_, Option<Bits<_>>>(8)?.map(Bits::id);
        let state = match row.get::<_, Option<Json<Scopes>>>(11)? {
            None => CreatorState::Unknown,
            Some(Json(scopes)) => {
                let time = |column| Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp));
                let revoked_at: rusqlite::Result<_> = time(9);
                CreatorState::of(revoked_at?, time(10)?, &scopes, &events, now)
            }
        };
        let webhook = Webhook {
            id: row.get::<_, Bits<_>>(0)?.id(),
            line_ids: chosen.clone().unwrap_or_else(|| all_lines.to_vec()),
            url: row.get(2)?,
            events,
            is_active: row.get(4)?,
            failing_since: row.get::<_, Option<i64>>(5)?.map(Timestamp),
            disabled_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
            disabled_reason: row.get::<_, Option<Name<_>>>(7)?.map(|reason| reason.0),
            created_by: Some(CreatedBy { key_id, state }),
            secret: None,
        };
        Ok(Self { webhook, chosen })
    }
}

fn find(sql: &Connection, account: Id<Account>, id: Id<Webhook>, now: Timestamp) -> Result<Found> {
    let all_lines = lines::ids_of_account(sql, account)?;
    let found = statement::first(
        sql,
        "select w.id, w.line_ids, url, events, is_active, failing_since, disabled_at, disabled_reason,
                created_by, k.revoked_at, k.expires_at, k.scopes
         from webhooks w left join keys k on k.id = w.created_by
         where w.id = ?1 and w.account_id = ?2",
        params![bits(id), bits(account)],
        |row| Found::of(row, &all_lines, now),
    )?;
    found.ok_or_else(|| Refusal::WebhookNotFound.into())
}

pub(super) fn of_account(
    sql: &Connection,
    account: Id<Account>,
    now: Timestamp,
) -> Result<Vec<Webhook>> {
    let all_lines = lines::ids_of_account(sql, account)?;
    statement::all(
        sql,
        "select w.id, w.line_ids, url, events, is_active, failing_since, disabled_at, disabled_reason,
                created_by, k.revoked_at, k.expires_at, k.scopes
         from webhooks w left join keys k on k.id = w.created_by
         where w.account_id = ?1 order by w.seq",
        params![bits(account)],
        |row| Ok(Found::of(row, &all_lines, now)?.webhook),
    )
}

/// Only its own row: what is due of it may be any number of rows, and is removed a little at a time by
/// `rounds::give_up`.
pub(super) fn delete(tx: &mut Tx<'_>, grant: &Grant, id: Id<Webhook>) -> Result<()> {
    let chosen = statement::first(
        tx.sql,
        "delete from webhooks where id = ?1 and account_id = ?2 returning line_ids",
        params![bits(id), bits(grant.account)],
        |row| Ok(row.get::<_, Option<Json<Vec<Id<Line>>>>>(0)?.map(|ids| ids.0)),
    )?;
    // What is refused is rolled back.
    grant.must_reach(chosen.ok_or(Refusal::WebhookNotFound)?.as_deref())?;
    tx.cache.forget_webhooks(grant.account);
    Ok(())
}

pub(super) fn update(
    tx: &mut Tx<'_>,
    grant: &Grant,
    id: Id<Webhook>,
    changes: &WebhookChanges,
    now: Timestamp,
) -> Result<UpdatedWebhook> {
    let Found { webhook, chosen } = find(tx.sql, grant.account, id, now)?;
    grant.must_reach(chosen.as_deref())?;
    if changes.let_events_go() {
        grant.must_read(changes.events.as_ref().unwrap_or(&webhook.events))?;
    }
    let mut state = webhook.state();
    let missed_since = match changes.is_active {
        Some(true) => missed_since(tx.sql, id, state)?,
        _ => None,
    };
    let redirect = changes.url.as_ref().map(|_| WebhookStep::Redirect);
    let switch = changes.is_active.map(|on| match on {
        true => WebhookStep::Enable,
        false => WebhookStep::Disable,
    });
    for step in redirect.into_iter().chain(switch) {
        state = state.after(step, now).map_err(illegal)?;
    }
    statement::run(
        tx.sql,
        "update webhooks set url = coalesce(?2, url), events = coalesce(?3, events) where id = ?1",
        params![bits(id), changes.url, changes.events.as_ref().map(Json)],
    )?;
    set_state(tx.sql, id, state)?;
    tx.cache.forget_webhooks(grant.account);
    // Read back, because who made it may lack a scope of what it gets now.
    let Found { webhook, .. } = find(tx.sql, grant.account, id, now)?;
    Ok(UpdatedWebhook { webhook, missed_since })
}

fn set_state(sql: &Connection, id: Id<Webhook>, state: WebhookState) -> Result<()> {
    statement::run(
        sql,
        "update webhooks set is_active = ?2, failing_since = ?3, disabled_at = ?4, disabled_reason = ?5,
                failing_from = iif(?3 is null, null, failing_from)
         where id = ?1",
        params![
            bits(id),
            state.is_active,
            state.failing_since.map(Timestamp::millis),
            state.disabled_at.map(Timestamp::millis),
            state.disabled_reason.map(Name),
        ],
    )?;
    Ok(())
}

/// From the columns `is_active`, `failing_since`, `disabled_at`, `disabled_reason`.
fn state(row: &Row<'_>) -> rusqlite::Result<WebhookState> {
    Ok(WebhookState {
        is_active: row.get(0)?,
        failing_since: row.get::<_, Option<i64>>(1)?.map(Timestamp),
        disabled_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        disabled_reason: row.get::<_, Option<Name<_>>>(3)?.map(|reason| reason.0),
    })
}

fn illegal(step: IllegalStep) -> StoreError {
    StoreError::Database(Box::new(step))
}

/// The active webhooks that a key of this account has made.
pub(super) fn made_by(
    sql: &Connection,
    account: Id<Account>,
    key: Id<Key>,
) -> Result<Vec<Id<Webhook>>> {
    statement::all(
        sql,
        "select id from webhooks where account_id = ?1 and created_by = ?2 and is_active = 1 order by seq",
        params![bits(account), bits(key)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

/// Disables them, as by hand.
pub(super) fn disable_made_by(
    tx: &mut Tx<'_>,
    account: Id<Account>,
    key: Id<Key>,
    now: Timestamp,
) -> Result<Vec<Id<Webhook>>> {
    let made = made_by(tx.sql, account, key)?;
    for id in &made {
        let Found { webhook, .. } = find(tx.sql, account, *id, now)?;
        let state = webhook.state().after(WebhookStep::Disable, now).map_err(illegal)?;
        set_state(tx.sql, *id, state)?;
    }
    if !made.is_empty() {
        tx.cache.forget_webhooks(account);
    }
    Ok(made)
}

/// Deliveries of a webhook that are looked at to find the oldest event that it missed: by one index, so that the
/// writer is held for some milliseconds at most.
const LOOKED_AT: usize = 100_000;

/// Since when a webhook in this state has missed events; none if it is active.
fn missed_since(
    sql: &Connection,
    id: Id<Webhook>,
    state: WebhookState,
) -> Result<Option<Timestamp>> {
    let WebhookState { failing_since, disabled_at: Some(disabled_at), .. } = state else {
        return Ok(None);
    };
    let began = failing_since.map_or(disabled_at, |since| since.min(disabled_at));
    // An event is older than the failure of its first attempt, and than a webhook that was disabled
    // before all its attempts were made.
    let oldest = statement::first(
        sql,
        "select e.created_at from (
           select event_seq, finished_at from deliveries indexed by deliveries_failed
           where status = 'failed' and webhook_id = ?1 order by event_seq limit ?3) d
         cross join events e on e.seq = d.event_seq
         where d.finished_at >= ?2 limit 1",
        params![bits(id), began.0, statement::limit(LOOKED_AT)],
        |row| Ok(Timestamp(row.get(0)?)),
    )?;
    Ok(Some(oldest.map_or(began, |oldest| oldest.min(began))))
}

/// How many are not active.
pub(super) fn count_disabled(sql: &Connection) -> Result<u64> {
    let count =
        statement::first(sql, "select count(*) from webhooks where is_active = 0", [], |row| {
            row.get::<_, u32>(0)
        })?;
    Ok(count.map_or(0, u64::from))
}

pub(super) fn endpoint(
    sql: &Connection,
    seal: &Seal,
    grant: &Grant,
    id: Id<Webhook>,
) -> Result<Endpoint> {
    let endpoint = statement::first(
        sql,
        "select url, secret, previous_secret, previous_until, line_ids, events from webhooks
         where id = ?1 and account_id = ?2",
        params![bits(id), bits(grant.account)],
        |row| {
            Ok(Endpoint {
                url: row.get(0)?,
                secrets: seal.secrets(id, &Sealed::of(row, [1, 2, 3])?)?,
                line_ids: row.get::<_, Option<Json<_>>>(4)?.map(|ids| ids.0),
                events: row.get::<_, Json<_>>(5)?.0,
            })
        },
    )?;
    let endpoint = endpoint.ok_or(Refusal::WebhookNotFound)?;
    grant.must_reach(endpoint.line_ids.as_deref())?;
    grant.must_read(&endpoint.events)?;
    Ok(endpoint)
}

/// Notes what attempts have said of a webhook; disables it if that is enough. Attempts at a URL that it does not
/// have any more say nothing of it.
pub(super) fn note(
    tx: &mut Tx<'_>,
    id: Id<Webhook>,
    url: &str,
    summary: &OutcomeSummary,
) -> Result<Option<DisabledReason>> {
    let since = summary.failing_since.map(|since| since.wall.0);
    let from = summary.failing_since.map(|since| since.steady.0);
    // Two failures with a long silence between them are not days of failures.
    let is_anew = from.map(|from| from - SILENCE_MS);
    let noted = statement::first(
        tx.sql,
        "update webhooks set last_failed_at = ?3,
                failing_since = iif(?4 or failing_since is null or last_failed_at < ?5, ?2, failing_since),
                failing_from = iif(?4 or failing_from is null or last_failed_at < ?5, ?7, failing_from)
         where id = ?1 and url = ?6 and (?2 is not null or failing_since is not null)
         returning is_active, failing_since, disabled_at, disabled_reason, failing_from",
        params![
            bits(id),
            since,
            since.map(|_| summary.now.steady.0),
            summary.worked,
            is_anew,
            url,
            from
        ],
        state_and_age,
    )?;
    let reason = if summary.is_gone {
        DisabledReason::Gone
    } else if since.is_some() {
        DisabledReason::Failing
    } else {
        return Ok(None);
    };
    let now = match noted {
        Some(noted) => Some(noted),
        // It was gone and then worked.
        None => statement::first(
            tx.sql,
            "select is_active, failing_since, disabled_at, disabled_reason, failing_from
             from webhooks where id = ?1 and url = ?2",
            params![bits(id), url],
            state_and_age,
        )?,
    };
    let Some((now, failing_from)) = now else { return Ok(None) };
    // For how long it fails is counted by the steady clock, and shown by the other.
    let judged_at = match (now.failing_since, failing_from) {
        (Some(since), Some(from)) => since + summary.now.steady.since(from),
        _ => summary.now.wall,
    };
    let Ok(disabled) = now.after(WebhookStep::GiveUp(reason), judged_at) else { return Ok(None) };
    set_state(tx.sql, id, WebhookState { disabled_at: Some(summary.now.wall), ..disabled })?;
    tx.cache.forget();
    Ok(Some(reason))
}

/// The state, and since when it fails by the steady clock.
fn state_and_age(row: &Row<'_>) -> rusqlite::Result<(WebhookState, Option<Timestamp>)> {
    Ok((state(row)?, row.get::<_, Option<i64>>(4)?.map(Timestamp)))
}
