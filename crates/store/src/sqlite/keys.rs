//! Keys, and how much of their hour is used.

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Key, Timestamp,
    id::Id,
    key::{KeyUsage, RATE_WINDOW_MS},
    secret::SecretHash,
};

use super::{
    SqliteStore, accounts,
    engine::{
        columns::{Bits, Json, bits},
        read_queue::Owner,
        statement,
        writer::Tx,
    },
    lines, webhooks,
};
use crate::{Changed, Keys, NewKey, Refusal, Result, Revoked};

#[async_trait::async_trait]
impl Keys for SqliteStore {
    async fn create_key(&self, key: NewKey, now: Timestamp) -> Result<Key> {
        self.writer.run(move |tx| create(tx.sql, key, now)).await
    }

    async fn find_key(
        &self,
        hash: SecretHash,
        known: Option<Id<Key>>,
    ) -> Result<Option<(Key, Option<KeyUsage>)>> {
        let owner = known.map_or(Owner::UnknownKey, Owner::Key);
        self.readers.lookup(owner).ask(move |sql| find(sql, hash)).await
    }

    async fn keys(&self) -> Result<Vec<Key>> {
        self.readers.scan(Owner::System).ask(all).await
    }

    async fn revoke_key(
        &self,
        id: Id<Key>,
        disable_webhooks: bool,
        now: Timestamp,
    ) -> Result<Revoked> {
        let changed = self.post_commit.changed(|(_, hash): &(_, _)| [Changed::Key(*hash)]);
        let revoked =
            self.writer.run_then(move |tx| revoke(tx, id, disable_webhooks, now), changed).await;
        revoked.map(|(revoked, _)| revoked)
    }

    async fn add_usage(&self, usage: Vec<KeyUsage>) -> Result<Vec<KeyUsage>> {
        self.writer.run(move |tx| add_usage(tx.sql, &usage)).await
    }
}

pub(super) fn create(sql: &Connection, new: NewKey, now: Timestamp) -> Result<Key> {
    if let Some(account) = new.account_id {
        accounts::must_exist(sql, account)?;
    }
    if let Some(wanted) = &new.line_ids {
        // A key of no account has no lines to be restricted to.
        let account = new.account_id.ok_or(Refusal::LineNotFound)?;
        lines::must_belong(sql, account, wanted)?;
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
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            bits(key.id),
            key.account_id.map(bits),
            new.hash.0,
            key.name,
            key.hint,
            Json(&key.scopes),
            key.line_ids.as_ref().map(Json),
            key.rate_limit,
            key.expires_at.map(Timestamp::millis),
            now.0,
        ],
    )?;
    Ok(key)
}

pub(super) fn find(sql: &Connection, hash: SecretHash) -> Result<Option<(Key, Option<KeyUsage>)>> {
    statement::first(
        sql,
        "select id, account_id, name, hint, scopes, line_ids, rate_limit, expires_at, revoked_at, created_at,
                window_start, used
         from keys left join key_usage on key_id = id where hash = ?1",
        params![hash.0],
        |row| {
            let key = key(row)?;
            let usage = match row.get::<_, Option<i64>>(10)? {
                None => None,
                Some(start) => Some(KeyUsage {
                    key_id: key.id,
                    window_start: Timestamp(start),
                    used: row.get(11)?,
                }),
            };
            Ok((key, usage))
        },
    )
}

pub(super) fn all(sql: &Connection) -> Result<Vec<Key>> {
    statement::all(
        sql,
        "select id, account_id, name, hint, scopes, line_ids, rate_limit, expires_at, revoked_at, created_at
         from keys order by seq",
        [],
        key,
    )
}

pub(super) fn revoke(
    tx: &mut Tx<'_>,
    id: Id<Key>,
    disable_webhooks: bool,
    now: Timestamp,
) -> Result<(Revoked, SecretHash)> {
    let (key, hash) = statement::first(
        tx.sql,
        "update keys set revoked_at = coalesce(revoked_at, ?2) where id = ?1
         returning id, account_id, name, hint, scopes, line_ids, rate_limit, expires_at, revoked_at, created_at, hash",
        params![bits(id), now.0],
        |row| Ok((key(row)?, SecretHash(row.get(10)?))),
    )?
    .ok_or(Refusal::KeyNotFound)?;
    // A key of no account has made none.
    let (active_webhooks, disabled) = match key.account_id {
        Some(account) if disable_webhooks => (0, webhooks::disable_made_by(tx, account, id, now)?),
        Some(account) => (webhooks::made_by(tx.sql, account, id)?.len(), Vec::new()),
        None => (0, Vec::new()),
    };
    Ok((Revoked { key, active_webhooks, disabled }, hash))
}

/// An hour that began before the one that is kept is that one too, if they overlap: its process did not know of the
/// other yet.
pub(super) fn add_usage(sql: &Connection, usage: &[KeyUsage]) -> Result<Vec<KeyUsage>> {
    let mut add = sql.prepare_cached(
        "insert into key_usage (key_id, window_start, used) values (?1, ?2, ?3)
         on conflict (key_id) do update set
           used = case when excluded.window_start >= window_start + ?4 then excluded.used
                       when excluded.window_start <= window_start - ?4 then used
                       else used + excluded.used end,
           window_start = iif(excluded.window_start >= window_start + ?4, excluded.window_start, window_start)
         returning window_start, used",
    )?;
    let mut kept = Vec::with_capacity(usage.len());
    for one in usage {
        let params = params![bits(one.key_id), one.window_start.0, one.used, RATE_WINDOW_MS];
        kept.push(add.query_row(params, |row| {
            Ok(KeyUsage {
                key_id: one.key_id,
                window_start: Timestamp(row.get(0)?),
                used: row.get(1)?,
            })
        })?);
    }
    Ok(kept)
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        id: row.get::<_, Bits<_>>(0)?.id(),
        account_id: row.get::<_, Option<Bits<_>>>(1)?.map(Bits::id),
        name: row.get(2)?,
        hint: row.get(3)?,
        scopes: row.get::<_, Json<_>>(4)?.0,
        line_ids: row.get::<_, Option<Json<_>>>(5)?.map(|ids| ids.0),
        rate_limit: row.get(6)?,
        expires_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        revoked_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        created_at: Timestamp(row.get(9)?),
    })
}
