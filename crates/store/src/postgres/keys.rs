//! Keys, and how much of their hour is used.

use switchboard_model::{
    Key, Timestamp,
    id::Id,
    key::{KeyUsage, RATE_WINDOW_MS},
    secret::SecretHash,
};
use tokio_postgres::Row;

use super::{
    PostgresStore, accounts,
    engine::{
        columns::{Bits, Column, Digest, Json, Number, bits, bits_of, ids},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    lines, webhooks,
};
use crate::{Changed, Keys, NewKey, Refusal, Result, Revoked};

#[async_trait::async_trait]
impl Keys for PostgresStore {
    async fn create_key(&self, key: NewKey, now: Timestamp) -> Result<Key> {
        self.write(move |tx: &Tx| {
            let key = key.clone();
            Box::pin(async move { create(&tx.sql, key, now).await })
        })
        .await
    }

    async fn find_key(
        &self,
        hash: SecretHash,
        _known: Option<Id<Key>>,
    ) -> Result<Option<(Key, Option<KeyUsage>)>> {
        let sql = &self.read().await?;
        find(sql, hash).await
    }

    async fn keys(&self) -> Result<Vec<Key>> {
        let sql = &self.read().await?;
        all(sql).await
    }

    async fn revoke_key(
        &self,
        id: Id<Key>,
        disable_webhooks: bool,
        now: Timestamp,
    ) -> Result<Revoked> {
        let changed = self.changed(|(_, hash): &(Revoked, _)| [Changed::Key(*hash)]);
        let disabled =
            self.webhooks_changed(|(revoked, _): &(Revoked, _)| revoked.disabled.clone());
        let revoked = self
            .write_then(
                move |tx: &Tx| Box::pin(async move { revoke(tx, id, disable_webhooks, now).await }),
                |done| {
                    changed(done);
                    disabled(done);
                },
            )
            .await;
        revoked.map(|(revoked, _)| revoked)
    }

    async fn add_usage(&self, usage: Vec<KeyUsage>) -> Result<Vec<KeyUsage>> {
        self.write(move |tx: &Tx| {
            let usage = usage.clone();
            Box::pin(async move { add_usage(&tx.sql, &usage).await })
        })
        .await
    }
}

pub(super) async fn create(sql: &Sql, new: NewKey, now: Timestamp) -> Result<Key> {
    if let Some(account) = new.account_id {
        accounts::must_exist(sql, account).await?;
    }
    if let Some(wanted) = &new.line_ids {
        // A key of no account has no lines to be restricted to.
        let account = new.account_id.ok_or(Refusal::LineNotFound)?;
        lines::must_belong(sql, account, wanted).await?;
    }
    let key = Key {
        id: Id::generate(),
        account_id: new.account_id,
        name: new.name,
        hint: new.hint,
        scopes: new.scopes,
        line_ids: new.line_ids,
        rate_limit: new.rate_limit,
        expires_at: new.expires_at,
        revoked_at: None,
        created_at: now,
    };
    statement::run(
        sql,
        "insert into keys
         (id, account_id, hash, name, hint, scopes, line_ids, rate_limit, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            &bits(key.id),
            &key.account_id.map(bits),
            &Digest(new.hash.0),
            &key.name,
            &key.hint,
            &Json(&key.scopes),
            &key.line_ids.as_deref().map(bits_of),
            &key.rate_limit.map(Number),
            &key.expires_at.map(Timestamp::millis),
            &now.0,
        ],
    )
    .await?;
    Ok(key)
}

pub(super) async fn find(sql: &Sql, hash: SecretHash) -> Result<Option<(Key, Option<KeyUsage>)>> {
    statement::first(
        sql,
        "select id, account_id, name, hint, scopes, line_ids, rate_limit, expires_at, revoked_at, created_at,
                window_start, used
         from keys left join key_usage on key_id = id where hash = $1",
        &[&Digest(hash.0)],
        |row| {
            let key = key(row)?;
            let usage = match row.try_get::<_, Option<i64>>(10)? {
                None => None,
                Some(start) => Some(KeyUsage {
                    key_id: key.id,
                    window_start: Timestamp(start),
                    used: row.try_get::<_, Number<_>>(11)?.0,
                }),
            };
            Ok((key, usage))
        },
    ).await
}

pub(super) async fn all(sql: &Sql) -> Result<Vec<Key>> {
    statement::all(
        sql,
        "select id, account_id, name, hint, scopes, line_ids, rate_limit, expires_at, revoked_at, created_at
         from keys order by seq",
        &[],
        key,
    ).await
}

pub(super) async fn revoke(
    tx: &Tx,
    id: Id<Key>,
    disable_webhooks: bool,
    now: Timestamp,
) -> Result<(Revoked, SecretHash)> {
    let (key, hash) = statement::first(
        &tx.sql,
        "update keys set revoked_at = coalesce(revoked_at, $2) where id = $1
         returning id, account_id, name, hint, scopes, line_ids, rate_limit, expires_at, revoked_at, created_at, hash",
        &[&bits(id), &now.0],
        |row| Ok((key(row)?, SecretHash(row.try_get::<_, Digest>(10)?.0))),
    ).await?
    .ok_or(Refusal::KeyNotFound)?;
    // A key of no account has made none.
    let (active_webhooks, disabled) = match key.account_id {
        Some(account) if disable_webhooks => {
            (0, webhooks::disable_made_by(tx, account, id, now).await?)
        }
        Some(account) => (webhooks::made_by(&tx.sql, account, id).await?.len(), Vec::new()),
        None => (0, Vec::new()),
    };
    Ok((Revoked { key, active_webhooks, disabled }, hash))
}

/// An hour that began before the one that is kept is that one too, if they overlap: its process did not know of the
/// other yet. Of one key twice, the sum.
pub(super) async fn add_usage(sql: &Sql, usage: &[KeyUsage]) -> Result<Vec<KeyUsage>> {
    // Locked in the order of the keys, whoever adds.
    let mut usage: Vec<_> = usage.iter().collect();
    usage.sort_unstable_by_key(|one| one.key_id);
    let (keys, starts): (Vec<_>, Vec<_>) =
        usage.iter().map(|one| (bits(one.key_id), one.window_start.0)).unzip();
    let used: Vec<_> = usage.iter().map(|one| Number(one.used)).collect();
    statement::all(
        sql,
        "insert into key_usage as kept (key_id, window_start, used)
         select * from unnest($1::uuid[], $2::bigint[], $3::bigint[])
         on conflict (key_id) do update set
           used = case when excluded.window_start >= kept.window_start + $4 then excluded.used
                       when excluded.window_start <= kept.window_start - $4 then kept.used
                       else kept.used + excluded.used end,
           window_start = case when excluded.window_start >= kept.window_start + $4 then excluded.window_start
                               else kept.window_start end
         returning key_id, window_start, used",
        &[&keys, &starts, &used, &Number(RATE_WINDOW_MS)],
        |row| {
            Ok(KeyUsage {
                key_id: row.try_get::<_, Bits<_>>(0)?.id(),
                window_start: Timestamp(row.try_get(1)?),
                used: row.try_get::<_, Number<_>>(2)?.0,
            })
        },
    )
    .await
}

fn key(row: &Row) -> Column<Key> {
    Ok(Key {
        id: row.try_get::<_, Bits<_>>(0)?.id(),
        account_id: row.try_get::<_, Option<Bits<_>>>(1)?.map(Bits::id),
        name: row.try_get(2)?,
        hint: row.try_get(3)?,
        scopes: row.try_get::<_, Json<_>>(4)?.0,
        line_ids: ids(row, 5)?,
        rate_limit: row.try_get::<_, Option<Number<_>>>(6)?.map(|limit| limit.0),
        expires_at: row.try_get::<_, Option<i64>>(7)?.map(Timestamp),
        revoked_at: row.try_get::<_, Option<i64>>(8)?.map(Timestamp),
        created_at: Timestamp(row.try_get(9)?),
    })
}
