//! Files: what is known of them. Their bytes are kept elsewhere, under the id.
//!
//! A file is forgotten when nothing ever referred to it, or nothing does any more. What refers to one, and what stops
//! doing so, counts that in its row: whoever forgets it waits for that row, or passes it over, and looks again.

mod attached;
mod forget;

use switchboard_model::{
    Account, Bridge, File, Line, Timestamp,
    file::{ContentHash, StoredFile},
    id::Id,
    link::{Content, LinkedFile},
};
use tokio_postgres::Row;

use super::{
    PostgresStore,
    engine::{
        columns::{Bits, Column, Digest, Number, bits, bits_of},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    idempotency,
};
use crate::{Files, IdempotencyRecord, Idempotent, Refusal, Result};

pub(super) use attached::{receive_all, replace, take_again};

pub(super) use crate::base::attachments::{files_of, sent as attachment};

#[async_trait::async_trait]
impl Files for PostgresStore {
    async fn create_file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        file: StoredFile,
        most: u64,
        remember: Option<IdempotencyRecord>,
    ) -> Result<Idempotent<StoredFile>> {
        self.write(move |tx: &Tx| {
            let upload = upload(&tx.sql, account, lines.clone(), file.clone(), most);
            Box::pin(idempotency::once(tx, remember.clone(), upload))
        })
        .await
    }

    async fn create_bridge_file(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        file: StoredFile,
    ) -> Result<(StoredFile, Id<Account>)> {
        self.write(move |tx: &Tx| Box::pin(create_for_bridge(tx, bridge, line, file.clone()))).await
    }

    async fn stored_bytes(&self, account: Id<Account>) -> Result<u64> {
        let sql = self.read().await?;
        stored_bytes(&sql, account).await
    }

    async fn file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        id: Id<File>,
    ) -> Result<Option<StoredFile>> {
        let sql = self.read().await?;
        of_account(&sql, account, lines.as_deref(), id).await
    }

    async fn signed_file(&self, id: Id<File>) -> Result<Option<StoredFile>> {
        let sql = self.read().await?;
        find(&sql, id).await
    }

    async fn bridge_file(&self, bridge: Id<Bridge>, id: Id<File>) -> Result<Option<StoredFile>> {
        let sql = self.read().await?;
        of_claims(&sql, bridge, id).await
    }

    async fn forget_files(&self, before: Timestamp, limit: usize) -> Result<Vec<Id<File>>> {
        self.write(move |tx: &Tx| Box::pin(forget::never_used(&tx.sql, before, limit))).await
    }

    async fn forget_left_files(
        &self,
        now: Timestamp,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Id<File>>> {
        self.write(move |tx: &Tx| Box::pin(forget::left(&tx.sql, now, before, limit))).await
    }

    async fn known_files(&self, ids: Vec<Id<File>>) -> Result<Vec<Id<File>>> {
        let sql = self.read().await?;
        known(&sql, &ids).await
    }
}

/// Keeps an upload of the account by a key that is restricted to these lines, if to any, if there is room for it.
async fn upload(
    sql: &Sql,
    account: Id<Account>,
    lines: Option<Vec<Id<Line>>>,
    file: StoredFile,
    most: u64,
) -> Result<StoredFile> {
    // Written, though nothing is changed: whoever else uploads waits for it, so that both don't take the same room.
    let stored = statement::first(
        sql,
        "insert into stored_bytes as stored (account_id, bytes) values ($1, 0)
         on conflict (account_id) do update set bytes = stored.bytes
         returning bytes",
        &[&bits(account)],
        |row| row.try_get::<_, i64>(0),
    )
    .await?;
    let stored = count_of(stored);
    if stored.saturating_add(file.size) > most {
        return Err(Refusal::StorageFull { max: most, stored }.into());
    }
    statement::run(
        sql,
        "insert into files (id, account_id, filename, mime_type, size, content, created_at, uploader_line_ids)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &bits(file.id),
            &bits(account),
            &file.filename,
            &file.mime_type,
            &Number(file.size),
            &Digest(file.content.0),
            &file.created_at.0,
            &lines.as_deref().map(bits_of),
        ],
    )
    .await?;
    Ok(file)
}

/// Counted by triggers, whatever becomes of files.
async fn stored_bytes(sql: &Sql, account: Id<Account>) -> Result<u64> {
    let stored = "select bytes from stored_bytes where account_id = $1";
    let stored = statement::first(sql, stored, &[&bits(account)], |row| row.try_get(0)).await?;
    Ok(count_of(stored))
}

fn count_of(stored: Option<i64>) -> u64 {
    stored.map_or(0, |bytes| u64::try_from(bytes).unwrap_or(0))
}

/// On the sandbox line nobody can say yet whose it will be: it is the line's owner's until the message
/// that it came with is known.
async fn create_for_bridge(
    tx: &Tx,
    bridge: Id<Bridge>,
    line: Id<Line>,
    file: StoredFile,
) -> Result<(StoredFile, Id<Account>)> {
    let account = statement::first(
        &tx.sql,
        "insert into files (id, account_id, line_id, filename, mime_type, size, content, created_at)
         select $1::uuid, account_id, id, $4::text, $5::text, $6::bigint, $7::bytea, $8::bigint
         from lines where id = $2 and bridge_id = $3
         returning account_id",
        &[
            &bits(file.id),
            &bits(line),
            &bits(bridge),
            &file.filename,
            &file.mime_type,
            &Number(file.size),
            &Digest(file.content.0),
            &file.created_at.0,
        ],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await?;
    Ok((file, account.ok_or(Refusal::LineNotFound)?))
}

/// Whether a key that is restricted to the lines in `$3` may have a file; null is no restriction.
macro_rules! reached {
    ($($sql:literal),+) => {
        concat!(
            $($sql,)+
            " and ($3::uuid[] is null
                   or line_id = any($3)
                   or sent_line_ids && $3
                   or line_id is null and uploader_line_ids is null and sent_line_ids is null
                   or uploader_line_ids <@ $3)"
        )
    };
}

async fn of_account(
    sql: &Sql,
    account: Id<Account>,
    lines: Option<&[Id<Line>]>,
    id: Id<File>,
) -> Result<Option<StoredFile>> {
    statement::first(
        sql,
        reached!(
            "select id, filename, mime_type, size, content, created_at from files
             where id = $1 and account_id = $2"
        ),
        &[&bits(id), &bits(account), &lines.map(bits_of)],
        file,
    )
    .await
}

async fn find(sql: &Sql, id: Id<File>) -> Result<Option<StoredFile>> {
    statement::first(
        sql,
        "select id, filename, mime_type, size, content, created_at from files where id = $1",
        &[&bits(id)],
        file,
    )
    .await
}

async fn of_claims(sql: &Sql, bridge: Id<Bridge>, id: Id<File>) -> Result<Option<StoredFile>> {
    statement::first(
        sql,
        "select id, filename, mime_type, size, content, created_at from files
         where id = $1 and exists (
           select from outbox where file_id = $1 and bridge_id = $2 and status = 'claimed')",
        &[&bits(id), &bits(bridge)],
        file,
    )
    .await
}

/// The file that an account sends on this line, by a key that may be restricted to some. From now on something
/// refers to it, and it is this line's too.
pub(super) async fn send(
    sql: &Sql,
    account: Id<Account>,
    line: Id<Line>,
    lines: Option<&[Id<Line>]>,
    id: Id<File>,
) -> Result<LinkedFile> {
    statement::first(
        sql,
        concat!(
            reached!(
                "update files
                 set is_referenced = 1, uses = uses + 1, left_at = null,
                     sent_line_ids = case when $4::uuid = any(sent_line_ids) then sent_line_ids
                                          else array_append(sent_line_ids, $4) end
                 where id = $1 and account_id = $2"
            ),
            " returning filename, mime_type, size"
        ),
        &[&bits(id), &bits(account), &lines.map(bits_of), &bits(line)],
        |row| {
            Ok(LinkedFile {
                file_id: id,
                filename: row.try_get(0)?,
                mime_type: row.try_get(1)?,
                size: row.try_get::<_, i64>(2)?.unsigned_abs(),
                transcription: None,
                original: None,
            })
        },
    )
    .await?
    .ok_or_else(|| Refusal::FileNotFound.into())
}

/// A message or an item does not refer to this file any more.
pub(super) async fn leave(sql: &Sql, id: Id<File>) -> Result<()> {
    leave_many(sql, &[id]).await
}

/// What goes out refers to its files no more: it has failed, or became a message that has its own.
pub(super) async fn leave_all_of(sql: &Sql, content: &Content) -> Result<()> {
    leave_many(sql, &files_of(content).collect::<Vec<_>>()).await
}

/// What referred to these files does so no more; to one that is named twice, two did.
pub(super) async fn leave_many(sql: &Sql, ids: &[Id<File>]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    // Held in one order by all, so that no two wait for each other.
    statement::run(
        sql,
        "with gone as (
           select id, count(*) as uses from unnest($1::uuid[]) id group by id
         ), held as materialized (
           select f.seq, gone.uses from gone join files f on f.id = gone.id order by f.id for update of f
         )
         update files f
         set uses = greatest(f.uses - held.uses, 0),
             is_referenced = case when f.uses <= held.uses then 2 else f.is_referenced end
         from held where f.seq = held.seq and f.uses > 0",
        &[&bits_of(ids)],
    )
    .await?;
    Ok(())
}

async fn known(sql: &Sql, ids: &[Id<File>]) -> Result<Vec<Id<File>>> {
    statement::all(sql, "select id from files where id = any($1)", &[&bits_of(ids)], |row| {
        Ok(row.try_get::<_, Bits<_>>(0)?.id())
    })
    .await
}

fn file(row: &Row) -> Column<StoredFile> {
    Ok(StoredFile {
        id: row.try_get::<_, Bits<_>>(0)?.id(),
        filename: row.try_get(1)?,
        mime_type: row.try_get(2)?,
        size: row.try_get::<_, i64>(3)?.unsigned_abs(),
        content: ContentHash(row.try_get::<_, Digest>(4)?.0),
        created_at: Timestamp(row.try_get(5)?),
    })
}
