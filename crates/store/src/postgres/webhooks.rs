//! Webhooks: where the events of an account go.

mod rotation;
mod state;

use switchboard_model::{
    Account, EventKind, Line, Scopes, Timestamp, Webhook,
    id::Id,
    time::Now,
    webhook::{
        CreatedBy, CreatorState, MAX_PER_ACCOUNT, RotatedWebhook, UpdatedWebhook, WebhookSecret,
    },
};
use tokio_postgres::Row;

use super::{
    PostgresStore,
    engine::{
        columns::{Bits, Column, Json, Name, Number, bits, bits_of, ids, sealed},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    idempotency, lines,
};
use crate::{
    Endpoint, Grant, IdempotencyRecordWith, Idempotent, NewWebhook, News, Refusal, Result,
    WebhookChanges, Webhooks, base::seal::Seal,
};
use state::{illegal, missed_since};

pub(super) use state::{count_disabled, disable_made_by, made_by, set_standings, to_be_noted};

#[async_trait::async_trait]
impl Webhooks for PostgresStore {
    async fn create_webhook(
        &self,
        webhook: NewWebhook,
        remember: Option<IdempotencyRecordWith<Webhook>>,
        now: Timestamp,
    ) -> Result<Idempotent<Webhook>> {
        self.write(move |tx: &Tx| {
            let (webhook, remember) = (webhook.clone(), remember.clone());
            Box::pin(
                async move { idempotency::once_with(tx, remember, create(tx, webhook, now)).await },
            )
        })
        .await
    }

    async fn webhooks(&self, account: Id<Account>, now: Timestamp) -> Result<Vec<Webhook>> {
        let sql = self.read().await?;
        of_account(&sql, account, now).await
    }

    async fn update_webhook(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        changes: WebhookChanges,
        remember: Option<IdempotencyRecordWith<UpdatedWebhook>>,
        now: Timestamp,
    ) -> Result<Idempotent<UpdatedWebhook>> {
        self.write_then(
            move |tx: &Tx| {
                let (grant, changes, remember) = (grant.clone(), changes.clone(), remember.clone());
                Box::pin(async move {
                    let update = update(tx, &grant, id, &changes, now);
                    idempotency::once_with(tx, remember, update).await
                })
            },
            self.webhooks_changed(move |_| [id]),
        )
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
        self.write_then(
            move |tx: &Tx| {
                let (grant, secret, remember) = (grant.clone(), secret.clone(), remember.clone());
                Box::pin(async move {
                    let rotate = rotation::rotate(tx, &grant, id, secret, until, now);
                    idempotency::once_with(tx, remember, rotate).await
                })
            },
            self.webhooks_changed(move |_| [id]),
        )
        .await
    }

    async fn endpoint(&self, grant: Grant, id: Id<Webhook>) -> Result<Endpoint> {
        let sql = self.read().await?;
        endpoint(&sql, &self.transactions.seal, &grant, id).await
    }

    async fn delete_webhook(&self, grant: Grant, id: Id<Webhook>) -> Result<()> {
        self.write_then(
            move |tx: &Tx| {
                let grant = grant.clone();
                Box::pin(async move { delete(tx, &grant, id).await })
            },
            self.webhooks_changed(move |()| [id]),
        )
        .await
    }

    async fn forget_secrets(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |tx: &Tx| Box::pin(rotation::forget_secrets(tx, now, limit))).await
    }
}

impl PostgresStore {
    /// What is to be done with what a transaction has changed of webhooks: who owns them is told.
    pub(super) fn webhooks_changed<T, W, I>(&self, which: W) -> impl FnOnce(&mut T) + use<T, W, I>
    where
        W: FnOnce(&T) -> I,
        I: IntoIterator<Item = Id<Webhook>>,
    {
        let wake = self.wake.queue();
        move |done| {
            let webhooks = which(done).into_iter().collect();
            wake.committed(0, News { webhooks, ..News::default() });
        }
    }
}

async fn create(tx: &Tx, new: NewWebhook, now: Timestamp) -> Result<Webhook> {
    must_have_room(&tx.sql, new.account_id).await?;
    if let Some(wanted) = &new.line_ids {
        lines::must_belong(&tx.sql, new.account_id, wanted).await?;
    }
    statement::run(
        &tx.sql,
        "insert into webhooks (id, account_id, line_ids, url, events, secret, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &bits(new.id),
            &bits(new.account_id),
            &new.line_ids.as_deref().map(bits_of),
            &new.url,
            &Json(&new.events),
            &tx.seal.webhook_secret(new.id, new.secret.reveal())?,
            &new.created_by.map(bits),
            &now.0,
        ],
    )
    .await?;
    let Found { webhook, .. } = find(&tx.sql, new.account_id, new.id, now).await?;
    Ok(Webhook { secret: Some(new.secret), ..webhook })
}

/// Refuses one more than an account may have, however many are made at the same time.
async fn must_have_room(sql: &Sql, account: Id<Account>) -> Result<()> {
    hold_account(sql, account).await?;
    let have = "select count(*) from webhooks where account_id = $1";
    let read = |row: &Row| row.try_get::<_, Number<usize>>(0);
    let have = statement::first(sql, have, &[&bits(account)], read).await?;
    if have.is_some_and(|have| have.0 >= MAX_PER_ACCOUNT) {
        return Err(Refusal::TooManyWebhooks { max: MAX_PER_ACCOUNT }.into());
    }
    Ok(())
}

/// Whatever else counts what the account has waits until the transaction ends.
pub(super) async fn hold_account(sql: &Sql, account: Id<Account>) -> Result<()> {
    let hold = "select from accounts where id = $1 for no key update";
    statement::run(sql, hold, &[&bits(account)]).await?;
    Ok(())
}

/// A webhook, and the lines that were chosen for it: none for every line of the account.
struct Found {
    webhook: Webhook,
    chosen: Option<Vec<Id<Line>>>,
}

impl Found {
    fn of(row: &Row, all_lines: &[Id<Line>], now: Timestamp) -> Column<Self> {
        let chosen = ids(row, 1)?;
        let events = row.try_get::<_, Json<Vec<EventKind>>>(3)?.0;
        let key_id = row.try_get::<_, Option<Bits<_>>>(8)?.map(Bits::id);
        let state = match row.try_get::<_, Option<Json<Scopes>>>(11)? {
            None => CreatorState::Unknown,
            Some(Json(scopes)) => {
                let time = |column| Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp));
                let revoked_at: Column<_> = time(9);
                CreatorState::of(revoked_at?, time(10)?, &scopes, &events, now)
            }
        };
        let webhook = Webhook {
            id: row.try_get::<_, Bits<_>>(0)?.id(),
            line_ids: chosen.clone().unwrap_or_else(|| all_lines.to_vec()),
            url: row.try_get(2)?,
            events,
            is_active: row.try_get(4)?,
            failing_since: row.try_get::<_, Option<i64>>(5)?.map(Timestamp),
            disabled_at: row.try_get::<_, Option<i64>>(6)?.map(Timestamp),
            disabled_reason: row.try_get::<_, Option<Name<_>>>(7)?.map(|reason| reason.0),
            created_by: Some(CreatedBy { key_id, state }),
            secret: None,
        };
        Ok(Self { webhook, chosen })
    }
}

const SHOWN: &str =
    "select w.id, w.line_ids, url, events, is_active, failing_since, disabled_at, disabled_reason,
            created_by, k.revoked_at, k.expires_at, k.scopes
     from webhooks w left join keys k on k.id = w.created_by";

async fn find(sql: &Sql, account: Id<Account>, id: Id<Webhook>, now: Timestamp) -> Result<Found> {
    find_with(sql, account, id, now, "").await
}

/// It stays as it is found until the transaction ends.
async fn find_to_change(
    sql: &Sql,
    account: Id<Account>,
    id: Id<Webhook>,
    now: Timestamp,
) -> Result<Found> {
    find_with(sql, account, id, now, " for update of w").await
}

async fn find_with(
    sql: &Sql,
    account: Id<Account>,
    id: Id<Webhook>,
    now: Timestamp,
    lock: &str,
) -> Result<Found> {
    let all_lines = lines::ids_of_account(sql, account).await?;
    let one = format!("{SHOWN} where w.id = $1 and w.account_id = $2{lock}");
    let found = statement::first(sql, &one, &[&bits(id), &bits(account)], |row| {
        Found::of(row, &all_lines, now)
    })
    .await?;
    found.ok_or_else(|| Refusal::WebhookNotFound.into())
}

pub(super) async fn of_account(
    sql: &Sql,
    account: Id<Account>,
    now: Timestamp,
) -> Result<Vec<Webhook>> {
    let all_lines = lines::ids_of_account(sql, account).await?;
    let all = format!("{SHOWN} where w.account_id = $1 order by w.seq");
    statement::all(sql, &all, &[&bits(account)], |row| Ok(Found::of(row, &all_lines, now)?.webhook))
        .await
}

/// Only its own row: what is due of it may be any number of rows, and is removed a little at a time by
/// `rounds::give_up`.
async fn delete(tx: &Tx, grant: &Grant, id: Id<Webhook>) -> Result<()> {
    let chosen = statement::first(
        &tx.sql,
        "delete from webhooks where id = $1 and account_id = $2 returning line_ids",
        &[&bits(id), &bits(grant.account)],
        |row| ids(row, 0),
    )
    .await?;
    // What is refused is rolled back.
    grant.must_reach(chosen.ok_or(Refusal::WebhookNotFound)?.as_deref())?;
    Ok(())
}

async fn update(
    tx: &Tx,
    grant: &Grant,
    id: Id<Webhook>,
    changes: &WebhookChanges,
    now: Timestamp,
) -> Result<UpdatedWebhook> {
    let Found { webhook, chosen } = find_to_change(&tx.sql, grant.account, id, now).await?;
    grant.must_reach(chosen.as_deref())?;
    if changes.let_events_go() {
        grant.must_read(changes.events.as_ref().unwrap_or(&webhook.events))?;
    }
    let missed_since = match changes.is_active {
        Some(true) => missed_since(&tx.sql, id, webhook.state()).await?,
        _ => None,
    };
    let state = changes.applied_to(webhook.state(), now).map_err(illegal)?;
    statement::run(
        &tx.sql,
        "update webhooks set url = coalesce($2, url), events = coalesce($3, events), is_active = $4,
                failing_since = $5, disabled_at = $6, disabled_reason = $7,
                failing_from = case when $5::bigint is not null then failing_from end
         where id = $1",
        &[
            &bits(id),
            &changes.url,
            &changes.events.as_ref().map(Json),
            &state.is_active,
            &state.failing_since.map(Timestamp::millis),
            &state.disabled_at.map(Timestamp::millis),
            &state.disabled_reason.map(Name),
        ],
    )
    .await?;
    // Read back, because who made it may lack a scope of what it gets now.
    let Found { webhook, .. } = find(&tx.sql, grant.account, id, now).await?;
    Ok(UpdatedWebhook { webhook, missed_since })
}

async fn endpoint(sql: &Sql, seal: &Seal, grant: &Grant, id: Id<Webhook>) -> Result<Endpoint> {
    let found = statement::first(
        sql,
        "select url, secret, previous_secret, previous_until, line_ids, events from webhooks
         where id = $1 and account_id = $2",
        &[&bits(id), &bits(grant.account)],
        |row| {
            let (url, events) = (row.try_get::<_, String>(0)?, row.try_get::<_, Json<_>>(5)?.0);
            Ok((url, sealed(row, [1, 2, 3])?, ids(row, 4)?, events))
        },
    )
    .await?;
    let (url, sealed, line_ids, events) = found.ok_or(Refusal::WebhookNotFound)?;
    let endpoint = Endpoint { url, secrets: seal.secrets(id, &sealed)?, line_ids, events };
    grant.must_reach(endpoint.line_ids.as_deref())?;
    grant.must_read(&endpoint.events)?;
    Ok(endpoint)
}
