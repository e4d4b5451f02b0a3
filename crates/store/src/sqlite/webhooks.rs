//! Webhooks: where the events of an account go.

mod rotation;
mod state;

use rusqlite::{Connection, Row, params};
use std::sync::Arc;
use switchboard_model::{
    Account, EventKind, Line, Scopes, Timestamp, Webhook,
    id::Id,
    time::Now,
    webhook::{
        CreatedBy, CreatorState, MAX_PER_ACCOUNT, RotatedWebhook, UpdatedWebhook, WebhookSecret,
    },
};

use super::{
    SqliteStore,
    engine::{
        columns::{Bits, Json, Name, bits, sealed},
        statement,
        writer::Tx,
    },
    idempotency, lines,
};
use crate::{
    Endpoint, Grant, IdempotencyRecordWith, Idempotent, NewWebhook, Refusal, Result,
    WebhookChanges, Webhooks, base::seal::Seal,
};
use state::{illegal, missed_since, set_state};

pub(super) use state::{count_disabled, disable_made_by, made_by, note};

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
    let missed_since = match changes.is_active {
        Some(true) => missed_since(tx.sql, id, webhook.state())?,
        _ => None,
    };
    let state = changes.applied_to(webhook.state(), now).map_err(illegal)?;
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
                secrets: seal.secrets(id, &sealed(row, [1, 2, 3])?)?,
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
