//! Files that nothing refers to go. Several nodes may do it at once: each takes what no other has.

use switchboard_model::{File, Timestamp, id::Id};

use crate::{
    Result,
    postgres::engine::{columns::Bits, connection::Sql, statement},
};

/// Forgets files from before `before` that nothing ever referred to.
pub(super) async fn never_used(
    sql: &Sql,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<Id<File>>> {
    let picked = statement::all(
        sql,
        "select seq, account_id from files
         where is_referenced = 0 and created_at < $1 order by created_at limit $2
         for update skip locked",
        &[&before.0, &statement::limit(limit)],
        |row| Ok((row.try_get(0)?, row.try_get(1)?)),
    )
    .await?;
    delete(sql, picked).await
}

/// Forgets files to which nothing refers any more since before `before`. What nobody has looked at counts from now.
pub(super) async fn left(
    sql: &Sql,
    now: Timestamp,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<Id<File>>> {
    // Who waits for one of these would wait while holding others.
    statement::run(
        sql,
        "with found as materialized (
           select seq from files where is_referenced = 2 and left_at is null for update skip locked
         )
         update files f set left_at = $1 from found where f.seq = found.seq",
        &[&now.0],
    )
    .await?;
    let picked = statement::all(
        sql,
        "select seq, account_id from files
         where is_referenced = 2 and left_at < $1 order by left_at limit $2
         for update skip locked",
        &[&before.0, &statement::limit(limit)],
        |row| Ok((row.try_get(0)?, row.try_get(1)?)),
    )
    .await?;
    delete(sql, picked).await
}

/// Deletes files whose rows are held: so nothing can begin to refer to them.
async fn delete(
    sql: &Sql,
    picked: Vec<(i64, Bits<switchboard_model::Account>)>,
) -> Result<Vec<Id<File>>> {
    if picked.is_empty() {
        return Ok(Vec::new());
    }
    let (seqs, accounts): (Vec<_>, Vec<_>) = picked.into_iter().unzip();
    // What each account has stored is counted by the trigger, file by file: held before, in one order by all.
    statement::run(
        sql,
        "select from stored_bytes where account_id = any($1) order by account_id for update",
        &[&accounts],
    )
    .await?;
    statement::all(sql, "delete from files where seq = any($1) returning id", &[&seqs], |row| {
        Ok(row.try_get::<_, Bits<_>>(0)?.id())
    })
    .await
}
