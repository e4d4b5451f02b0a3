//! Answers to requests with an idempotency key, kept in the transaction of their write. Of two equal requests at the same
//! moment the second waits for the first, wherever it is, and finds its answer.

use sha2::{Digest as _, Sha256};
use switchboard_model::{
    Timestamp,
    idempotency::{IdempotencyScope, REMEMBERED_MS, RememberedAnswer},
};

use super::{
    PostgresStore,
    engine::{
        columns::{Digest, Number, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
};
use crate::{
    Idempotency, IdempotencyRecord, IdempotencyRecordWith, Idempotent, Refusal, Result, StoreError,
    base::seal::{NotSealed, Seal, SealedRow},
};

#[async_trait::async_trait]
impl Idempotency for PostgresStore {
    async fn remembered(
        &self,
        scope: IdempotencyScope,
        now: Timestamp,
    ) -> Result<Option<RememberedAnswer>> {
        let sql = self.read().await?;
        find(&sql, &self.transactions.seal, &scope, now).await
    }

    async fn remember(&self, remember: IdempotencyRecord) -> Result<Idempotent<()>> {
        self.write(move |tx: &Tx| Box::pin(once(tx, Some(remember.clone()), async { Ok(()) })))
            .await
    }

    async fn forget_answers(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |tx: &Tx| Box::pin(forget(tx, before, limit))).await
    }
}

/// Does the work and keeps its answer, unless there is an answer already. Work that is refused leaves none. The first
/// thing in its transaction.
pub(super) async fn once<T>(
    tx: &Tx,
    remember: Option<IdempotencyRecord>,
    work: impl Future<Output = Result<T>>,
) -> Result<Idempotent<T>> {
    match remember {
        None => Ok(Idempotent::Fresh(work.await?)),
        Some(IdempotencyRecord { scope, answer }) => {
            answered(tx, &scope, answer.created_at, work, |_| answer).await
        }
    }
}

/// The same, where the answer is made of what the work has written.
pub(super) async fn once_with<T>(
    tx: &Tx,
    remember: Option<IdempotencyRecordWith<T>>,
    work: impl Future<Output = Result<T>>,
) -> Result<Idempotent<T>> {
    match remember {
        None => Ok(Idempotent::Fresh(work.await?)),
        Some(IdempotencyRecordWith { scope, now, answer }) => {
            answered(tx, &scope, now, work, |done| answer(done)).await
        }
    }
}

async fn answered<T>(
    tx: &Tx,
    scope: &IdempotencyScope,
    now: Timestamp,
    work: impl Future<Output = Result<T>>,
    answer: impl FnOnce(&T) -> RememberedAnswer,
) -> Result<Idempotent<T>> {
    // An equal request waits here until this one's answer is kept; an unequal one of the same number only waits.
    let lock = "select pg_advisory_xact_lock($1)";
    statement::run(&tx.sql, lock, &[&lock_key(scope)]).await?;
    if let Some(earlier) = find(&tx.sql, &tx.seal, scope, now).await? {
        return Ok(Idempotent::Replayed(earlier));
    }
    let done = work.await?;
    let RememberedAnswer { status, body, created_at } = answer(&done);
    let is_secret = scope.is_secret();
    let body = if is_secret { tx.seal.seal(SealedRow::Answer(scope), &body)? } else { body };
    // Replaced where one is there whose time is over; as the youngest, which is forgotten last.
    statement::run(
        &tx.sql,
        "insert into idempotency_keys
           (key_id, operation, idempotency_key, request, status, body, created_at, is_sealed)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (key_id, operation, idempotency_key) do update set
           request = excluded.request, status = excluded.status, body = excluded.body,
           created_at = excluded.created_at, is_sealed = excluded.is_sealed, seq = default",
        &[
            &bits(scope.key_id),
            &scope.operation,
            &scope.idempotency_key,
            &Digest(scope.body),
            &Number(status),
            &body,
            &created_at.0,
            &is_secret,
        ],
    )
    .await?;
    Ok(Idempotent::Fresh(done))
}

fn lock_key(scope: &IdempotencyScope) -> i64 {
    let mut digest = Sha256::new();
    digest.update(scope.key_id.to_bits().to_be_bytes());
    digest.update(scope.operation.as_bytes());
    digest.update([0]);
    digest.update(scope.idempotency_key.as_bytes());
    let digest = digest.finalize();
    i64::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"))
}

pub(super) async fn find(
    sql: &Sql,
    seal: &Seal,
    scope: &IdempotencyScope,
    now: Timestamp,
) -> Result<Option<RememberedAnswer>> {
    let known = statement::first(
        sql,
        "select request, status, body, created_at, is_sealed from idempotency_keys
         where key_id = $1 and operation = $2 and idempotency_key = $3 and created_at > $4",
        &[
            &bits(scope.key_id),
            &scope.operation,
            &scope.idempotency_key,
            &now.0.saturating_sub_unsigned(REMEMBERED_MS),
        ],
        |row| {
            let answer = RememberedAnswer {
                status: row.try_get::<_, Number<_>>(1)?.0,
                body: row.try_get(2)?,
                created_at: Timestamp(row.try_get(3)?),
            };
            Ok((row.try_get::<_, Digest>(0)?.0, answer, row.try_get::<_, bool>(4)?))
        },
    )
    .await?;
    match known {
        None => Ok(None),
        Some((request, mut answer, is_sealed)) if request == scope.body => {
            if is_sealed {
                let opened = seal.open(SealedRow::Answer(scope), &answer.body);
                answer.body = opened.ok_or_else(|| StoreError::from(NotSealed))?;
            }
            Ok(Some(answer))
        }
        Some(_) => Err(Refusal::IdempotencyMismatch.into()),
    }
}

/// Looks from the oldest to the first that is young enough, so that nothing is read in vain.
async fn forget(tx: &Tx, before: Timestamp, limit: usize) -> Result<usize> {
    let oldest = statement::all(
        &tx.sql,
        "select seq, created_at from idempotency_keys order by seq limit $1 for update skip locked",
        &[&statement::limit(limit)],
        |row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?)),
    )
    .await?;
    let old = oldest.into_iter().take_while(|(_, created_at)| *created_at < before.0);
    let old: Vec<i64> = old.map(|(seq, _)| seq).collect();
    let gone = statement::run(&tx.sql, "delete from idempotency_keys where seq = any($1)", &[&old])
        .await?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}
