//! Answers to requests with an idempotency key, kept in the transaction of their write. Two equal
//! requests at the same moment are two commands of the one writer: the second finds the first one's answer.

use rusqlite::{Connection, params};
use std::sync::Arc;
use switchboard_model::{
    Timestamp,
    idempotency::{IdempotencyScope, REMEMBERED_MS, RememberedAnswer},
};

use super::{
    SqliteStore,
    engine::{columns::bits, statement, writer::Tx},
};
use crate::{
    Idempotency, IdempotencyRecord, IdempotencyRecordWith, Idempotent, Refusal, Result,
    base::seal::{NotSealed, Seal, SealedRow},
};

#[async_trait::async_trait]
impl Idempotency for SqliteStore {
    async fn remembered(
        &self,
        scope: IdempotencyScope,
        now: Timestamp,
    ) -> Result<Option<RememberedAnswer>> {
        let seal = Arc::clone(&self.seal);
        let key = scope.key_id;
        let find = move |sql: &_| find(sql, &seal, &scope, now);
        self.readers.lookup(key).ask(find).await
    }

    async fn remember(&self, remember: IdempotencyRecord) -> Result<Idempotent<()>> {
        self.writer.run(move |tx| once(tx, Some(remember), |_| Ok(()))).await
    }

    async fn forget_answers(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| forget(tx.sql, before, limit)).await
    }
}

/// Does the work and keeps its answer, unless there is an answer already. Work that is refused leaves none.
pub(super) fn once<T>(
    tx: &mut Tx<'_>,
    remember: Option<IdempotencyRecord>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
) -> Result<Idempotent<T>> {
    match remember {
        None => Ok(Idempotent::Fresh(work(tx)?)),
        Some(IdempotencyRecord { scope, answer }) => {
            answered(tx, &scope, answer.created_at, work, |_| answer)
        }
    }
}

/// The same, where the answer is made of what the work has written.
pub(super) fn once_with<T>(
    tx: &mut Tx<'_>,
    remember: Option<IdempotencyRecordWith<T>>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
) -> Result<Idempotent<T>> {
    match remember {
        None => Ok(Idempotent::Fresh(work(tx)?)),
        Some(IdempotencyRecordWith { scope, now, answer }) => {
            answered(tx, &scope, now, work, |done| answer(done))
        }
    }
}

fn answered<T>(
    tx: &mut Tx<'_>,
    scope: &IdempotencyScope,
    now: Timestamp,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
    answer: impl FnOnce(&T) -> RememberedAnswer,
) -> Result<Idempotent<T>> {
    if let Some(earlier) = find(tx.sql, tx.seal, scope, now)? {
        return Ok(Idempotent::Replayed(earlier));
    }
    let done = work(tx)?;
    let RememberedAnswer { status, body, created_at } = answer(&done);
    let is_secret = scope.is_secret();
    let body = if is_secret { tx.seal.seal(SealedRow::Answer(scope), &body)? } else { body };
    // Replaced where one is there whose time is over.
    statement::run(
        tx.sql,
        "insert or replace into idempotency_keys
         (key_id, operation, idempotency_key, request, status, body, created_at, is_sealed)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            bits(scope.key_id),
            scope.operation,
            scope.idempotency_key,
            scope.body,
            status,
            body,
            created_at.0,
            is_secret,
        ],
    )?;
    Ok(Idempotent::Fresh(done))
}

pub(super) fn find(
    sql: &Connection,
    seal: &Seal,
    scope: &IdempotencyScope,
    now: Timestamp,
) -> Result<Option<RememberedAnswer>> {
    let known = statement::first(
        sql,
        "select request, status, body, created_at, is_sealed from idempotency_keys
         where key_id = ?1 and operation = ?2 and idempotency_key = ?3 and created_at > ?4",
        params![
            bits(scope.key_id),
            scope.operation,
            scope.idempotency_key,
            now.0.saturating_sub_unsigned(REMEMBERED_MS),
        ],
        |row| {
            let mut body: Vec<u8> = row.get(2)?;
            if row.get(4)? {
                body = seal.open(SealedRow::Answer(scope), &body).ok_or(NotSealed)?;
            }
            let (status, created_at) = (row.get(1)?, Timestamp(row.get(3)?));
            let answer = RememberedAnswer { status, body, created_at };
            Ok((row.get::<_, [u8; 32]>(0)?, answer))
        },
    )?;
    match known {
        None => Ok(None),
        Some((request, answer)) if request == scope.body => Ok(Some(answer)),
        Some(_) => Err(Refusal::IdempotencyMismatch.into()),
    }
}

/// Looks from the oldest to the first that is young enough, so that nothing is read in vain.
pub(super) fn forget(sql: &Connection, before: Timestamp, limit: usize) -> Result<usize> {
    let oldest = statement::all(
        sql,
        "select seq, created_at from idempotency_keys order by seq limit ?1",
        params![statement::limit(limit)],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    )?;
    let mut gone = 0;
    for (seq, _) in oldest.into_iter().take_while(|(_, created_at)| *created_at < before.0) {
        gone += statement::run(sql, "delete from idempotency_keys where seq = ?1", params![seq])?;
    }
    Ok(gone)
}
