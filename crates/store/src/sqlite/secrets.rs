//! The server's own secrets, by their name: what it signs with, and what tells whether a key is the database's. And the
//! way to a database in which every secret is encrypted.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use switchboard_model::{
    Key, Webhook,
    idempotency::{IdempotencyScope, SECRET_OPERATIONS},
};

use super::{
    SqliteStore,
    engine::{columns::Bits, statement, writer::Tx},
};
use crate::{
    Result, ServerSecrets, StoreError,
    base::{
        seal::{self, Seal, SealedRow},
        secret_key::{self, SecretKeyProblem},
    },
};

#[async_trait::async_trait]
impl ServerSecrets for SqliteStore {
    async fn file_url_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.writer.run(move |tx| of_server(tx, FILE_URLS, fresh)).await
    }

    async fn cursor_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.writer.run(move |tx| of_server(tx, CURSORS, fresh)).await
    }
}

/// The URLs of files.
pub(super) const FILE_URLS: &str = "file urls";
/// The cursors of lists.
pub(super) const CURSORS: &str = "cursors";
/// A known text, sealed: tells whether a key is the database's.
const CHECK: &str = "key check";
const CHECKED: &[u8] = b"switchboard";
/// Kept once nothing that an older version wrote is in clear.
const ALL_SEALED: &str = "all sealed";
/// The largest database, in bytes, that is rewritten after its secrets were sealed. That takes time at the start, and as
/// much of the disk again.
const MAX_VACUUMED: i64 = 256 * 1024 * 1024;
/// Rows that are sealed in one transaction.
const BATCH: usize = 500;

/// The database's key, which is made if the database has none yet. Changes nothing in the database.
pub(super) fn unlock(sql: &Connection, key_file: &Path) -> Result<Seal> {
    let refused = |problem| StoreError::SecretKey { path: key_file.display().to_string(), problem };
    let check = check(sql)?;
    let seal = Seal::new(&secret_key::read_or_make(key_file, check.is_none()).map_err(refused)?);
    match check {
        Some(check) if seal.open(SealedRow::Server(CHECK), &check).is_none() => {
            Err(refused(SecretKeyProblem::Wrong))
        }
        _ => Ok(seal),
    }
}

/// None if the database has no key yet. It may be of any version, or empty.
fn check(sql: &Connection) -> Result<Option<Vec<u8>>> {
    let table = "select 1 from sqlite_schema where type = 'table' and name = 'secrets'";
    match statement::first(sql, table, [], |_| Ok(()))? {
        Some(()) => kept(sql, CHECK),
        None => Ok(None),
    }
}

/// Binds a database of this version to its key, and seals what an older version kept in clear.
pub(super) fn seal_clear(sql: &mut Connection, seal: &Seal) -> Result<()> {
    if kept(sql, CHECK)?.is_none() {
        keep(sql, CHECK, &seal.seal(SealedRow::Server(CHECK), CHECKED)?)?;
    }
    if kept(sql, ALL_SEALED)?.is_none() {
        sql.execute_batch("pragma secure_delete = on")?;
        let is_all_sealed = seal_all(sql, seal)?;
        sql.execute_batch("pragma secure_delete = off")?;
        if is_all_sealed {
            keep(sql, ALL_SEALED, &[1])?;
        }
    }
    Ok(())
}

fn kept(sql: &Connection, name: &str) -> Result<Option<Vec<u8>>> {
    statement::first(sql, "select secret from secrets where name = ?1", [name], |row| row.get(0))
}

fn keep(sql: &Connection, name: &str, secret: &[u8]) -> Result<()> {
    statement::run(
        sql,
        "insert into secrets (name, secret) values (?1, ?2)
         on conflict (name) do update set secret = excluded.secret",
        params![name, secret],
    )?;
    Ok(())
}

/// What the server signs with for this purpose; the one given if there was none.
pub(super) fn of_server(tx: &Tx<'_>, name: &str, fresh: [u8; 32]) -> Result<[u8; 32]> {
    match kept(tx.sql, name)? {
        Some(sealed) => tx
            .seal
            .open(SealedRow::Server(name), &sealed)
            .and_then(|secret| secret.try_into().ok())
            .ok_or_else(|| StoreError::Unreadable { what: format!("the secret '{name}'") }),
        None => {
            keep(tx.sql, name, &tx.seal.seal(SealedRow::Server(name), &fresh)?)?;
            Ok(fresh)
        }
    }
}

/// In batches: a process that is killed goes on at its next start. Unused space of the database's pages has copies too, so
/// the database is rewritten, unless it is too large for that. Answers whether there is nothing left to do.
fn seal_all(sql: &mut Connection, seal: &Seal) -> Result<bool> {
    let mut sealed = 0;
    let batches: [SealBatch; 3] = [seal_webhooks, seal_answers, seal_servers];
    for batch in batches {
        let mut after = Some(0);
        while let Some(place) = after {
            let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (count, next) = batch(&tx, seal, place)?;
            tx.commit()?;
            (sealed, after) = (sealed + count, next);
        }
    }
    if sealed > 0 {
        tracing::info!(sealed, "encrypted the secrets that an older version kept in clear");
    }
    if is_new(sql)? {
        return Ok(true);
    }
    let (is_rewritten, is_log_cut) = (rewrite(sql)?, cut_log(sql)?);
    Ok(is_rewritten && is_log_cut)
}

/// A database that never had a secret.
fn is_new(sql: &Connection) -> Result<bool> {
    let any =
        "select 1 from accounts union all select 1 from secrets where name not in (?1, ?2) limit 1";
    Ok(statement::first(sql, any, [CHECK, ALL_SEALED], |_| Ok(()))?.is_none())
}

/// Leaves nothing in unused space. False if the next start is to try again.
fn rewrite(sql: &Connection) -> Result<bool> {
    let pages: i64 = sql.query_row("pragma page_count", [], |row| row.get(0))?;
    let page: i64 = sql.query_row("pragma page_size", [], |row| row.get(0))?;
    if pages.saturating_mul(page) > MAX_VACUUMED {
        tracing::warn!(
            "copies of secrets may still be in unused space of this large database: stop the server and run \
             'sqlite3 switchboard.db vacuum' once, or rotate the secrets"
        );
        return Ok(true);
    }
    // In memory it would take as much of that.
    let rewritten = sql.execute_batch("pragma temp_store = file; vacuum");
    sql.execute_batch("pragma temp_store = memory")?;
    if let Err(error) = &rewritten {
        tracing::warn!(
            %error,
            "copies of secrets may still be in unused space: the database could not be rewritten, which takes its size \
             on the disk again; the next start tries it again"
        );
    }
    Ok(rewritten.is_ok())
}

/// The log has pages as they were before. False if the next start is to try again.
fn cut_log(sql: &Connection) -> Result<bool> {
    let is_busy: bool = sql.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
    if is_busy {
        tracing::warn!(
            "copies of secrets are still in the database's log, since another process reads the database; the next \
             start tries again to remove them"
        );
    }
    Ok(!is_busy)
}

/// How many rows were sealed, and where to go on.
type Batch = (usize, Option<i64>);
/// Seals the rows behind a place.
type SealBatch = fn(&Connection, &Seal, i64) -> Result<Batch>;

fn next_after(places: &[i64]) -> Option<i64> {
    places.last().copied().filter(|_| places.len() == BATCH)
}

fn seal_webhooks(sql: &Connection, seal: &Seal, after: i64) -> Result<Batch> {
    let rows = statement::all(
        sql,
        "select seq, id, secret, previous_secret from webhooks where seq > ?1 order by seq limit ?2",
        params![after, statement::limit(BATCH)],
        |row| {
            let id = row.get::<_, Bits<Webhook>>(1)?.id();
            Ok((row.get(0)?, id, row.get::<_, String>(2)?, row.get::<_, Option<String>>(3)?))
        },
    )?;
    let mut count = 0;
    for (seq, id, secret, previous) in &rows {
        // After a kill some are sealed already.
        let sealed = |text: &String| match seal::is_clear(text) {
            true => seal.webhook_secret(*id, text),
            false => Ok(text.clone()),
        };
        count += statement::run(
            sql,
            "update webhooks set secret = ?2, previous_secret = ?3
             where seq = ?1 and (secret is not ?2 or previous_secret is not ?3)",
            params![seq, sealed(secret)?, previous.as_ref().map(sealed).transpose()?],
        )?;
    }
    Ok((count, next_after(&rows.iter().map(|row| row.0).collect::<Vec<_>>())))
}

fn seal_answers(sql: &Connection, seal: &Seal, after: i64) -> Result<Batch> {
    let [create, rotate] = SECRET_OPERATIONS;
    let rows = statement::all(
        sql,
        "select seq, key_id, operation, idempotency_key, body from idempotency_keys
         where seq > ?1 and operation in (?2, ?3) and is_sealed = 0 order by seq limit ?4",
        params![after, create, rotate, statement::limit(BATCH)],
        |row| {
            let scope = IdempotencyScope {
                key_id: row.get::<_, Bits<Key>>(1)?.id(),
                operation: row.get(2)?,
                idempotency_key: row.get(3)?,
                body: [0; 32],
            };
            Ok((row.get::<_, i64>(0)?, scope, row.get::<_, Vec<u8>>(4)?))
        },
    )?;
    for (seq, scope, body) in &rows {
        statement::run(
            sql,
            "update idempotency_keys set body = ?2, is_sealed = 1 where seq = ?1",
            params![seq, seal.seal(SealedRow::Answer(scope), body)?],
        )?;
    }
    Ok((rows.len(), next_after(&rows.iter().map(|row| row.0).collect::<Vec<_>>())))
}

/// They are few: one batch.
fn seal_servers(sql: &Connection, seal: &Seal, _: i64) -> Result<Batch> {
    let rows = statement::all(
        sql,
        "select name, secret from secrets where name not in (?1, ?2) and length(secret) = 32",
        params![CHECK, ALL_SEALED],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    for (name, secret) in &rows {
        keep(sql, name, &seal.seal(SealedRow::Server(name), secret)?)?;
    }
    Ok((rows.len(), None))
}
