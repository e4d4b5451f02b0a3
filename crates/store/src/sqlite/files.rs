//! Files: what is known of them. Their bytes are kept elsewhere, under the id.
//!
//! A file is forgotten when nothing ever referred to it, or nothing does any more. What refers to one, and what stops
//! doing so, counts that in the same transaction, so that neither can miss the other.

mod attached;

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Attachment, Bridge, File, Line, Timestamp,
    file::{ContentHash, StoredFile},
    id::Id,
    link::{Content, LinkedFile},
};

use super::{
    SqliteStore,
    engine::{
        columns::{Bits, bits, hex_list},
        read_queue::Owner,
        statement,
        writer::Tx,
    },
    idempotency,
};
use crate::{
    Files, IdempotencyRecord, Idempotent, Refusal, Result,
    base::attachments::{self, KnownFile},
};

pub(super) use attached::{replace, take_again};

pub(super) use crate::base::attachments::sent as attachment;

#[async_trait::async_trait]
impl Files for SqliteStore {
    async fn create_file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        file: StoredFile,
        most: u64,
        remember: Option<IdempotencyRecord>,
    ) -> Result<Idempotent<StoredFile>> {
        self.writer
            .run(move |tx| {
                idempotency::once(tx, remember, |tx| upload(tx.sql, account, lines, file, most))
            })
            .await
    }

    async fn create_bridge_file(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        file: StoredFile,
    ) -> Result<(StoredFile, Id<Account>)> {
        self.writer.run(move |tx| create_for_bridge(tx, bridge, line, file)).await
    }

    async fn stored_bytes(&self, account: Id<Account>) -> Result<u64> {
        self.readers.lookup(account).ask(move |sql| stored_bytes(sql, account)).await
    }

    async fn file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        id: Id<File>,
    ) -> Result<Option<StoredFile>> {
        self.readers
            .lookup(account)
            .ask(move |sql| of_account(sql, account, lines.as_deref(), id))
            .await
    }

    async fn signed_file(&self, id: Id<File>) -> Result<Option<StoredFile>> {
        self.readers.lookup(Owner::SignedUrl).ask(move |sql| find(sql, id)).await
    }

    async fn bridge_file(&self, bridge: Id<Bridge>, id: Id<File>) -> Result<Option<StoredFile>> {
        self.readers.lookup(bridge).ask(move |sql| of_claims(sql, bridge, id)).await
    }

    async fn forget_files(&self, before: Timestamp, limit: usize) -> Result<Vec<Id<File>>> {
        self.writer.run(move |tx| forget(tx.sql, before, limit)).await
    }

    async fn forget_left_files(
        &self,
        now: Timestamp,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Id<File>>> {
        self.writer.run(move |tx| forget_left(tx.sql, now, before, limit)).await
    }

    async fn known_files(&self, ids: Vec<Id<File>>) -> Result<Vec<Id<File>>> {
        self.readers.list(Owner::System).ask(move |sql| known(sql, &ids)).await
    }
}

/// Where a file comes from.
enum Origin {
    /// A bridge, for this line.
    Line(Id<Line>),
    /// A key, which is restricted to these lines, if to any.
    Upload(Option<Vec<Id<Line>>>),
}

/// Keeps an upload of the account by a key that is restricted to these lines, if to any, if there is room for it.
pub(super) fn upload(
    sql: &Connection,
    account: Id<Account>,
    lines: Option<Vec<Id<Line>>>,
    file: StoredFile,
    most: u64,
) -> Result<StoredFile> {
    let stored = stored_bytes(sql, account)?;
    if stored.saturating_add(file.size) > most {
        return Err(Refusal::StorageFull { max: most, stored }.into());
    }
    create(sql, account, Origin::Upload(lines), file)
}

/// Counted by triggers, whatever becomes of files.
pub(super) fn stored_bytes(sql: &Connection, account: Id<Account>) -> Result<u64> {
    let stored = statement::first(
        sql,
        "select bytes from stored_bytes where account_id = ?1",
        params![bits(account)],
        |row| row.get::<_, i64>(0),
    )?;
    Ok(stored.map_or(0, |bytes| u64::try_from(bytes).unwrap_or(0)))
}

fn create(
    sql: &Connection,
    account: Id<Account>,
    origin: Origin,
    file: StoredFile,
) -> Result<StoredFile> {
    let (line, uploader_lines) = match origin {
        Origin::Line(line) => (Some(line), None),
        Origin::Upload(lines) => (None, lines),
    };
    statement::run(
        sql,
        "insert into files (id, account_id, line_id, filename, mime_type, size, content, created_at,
                            uploader_line_ids)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            bits(file.id),
            bits(account),
            line.map(bits),
            file.filename,
            file.mime_type,
            i64::try_from(file.size).unwrap_or(i64::MAX),
            file.content.0,
            file.created_at.0,
            uploader_lines.as_deref().map(hex_list),
        ],
    )?;
    Ok(file)
}

/// On the sandbox line nobody can say yet whose it will be: it is the line's owner's until the message
/// that it came with is known.
pub(super) fn create_for_bridge(
    tx: &mut Tx<'_>,
    bridge: Id<Bridge>,
    line: Id<Line>,
    file: StoredFile,
) -> Result<(StoredFile, Id<Account>)> {
    let line = tx
        .cache
        .line(tx.sql, line)?
        .filter(|line| line.bridge_id == Some(bridge))
        .ok_or(Refusal::LineNotFound)?;
    Ok((create(tx.sql, line.account_id, Origin::Line(line.id), file)?, line.account_id))
}

/// Whether a key that is restricted to the lines in `?3` may have a file; null is no restriction.
macro_rules! reached {
    ($($sql:literal),+) => {
        concat!(
            $($sql,)+
            " and (?3 is null
                   or line_id in (select unhex(value) from json_each(?3))
                   or exists (select 1 from json_each(sent_line_ids) sent
                              where sent.value in (select value from json_each(?3)))
                   or line_id is null and uploader_line_ids is null and sent_line_ids is null
                   or uploader_line_ids is not null
                      and not exists (select 1 from json_each(uploader_line_ids) theirs
                                      where theirs.value not in (select value from json_each(?3))))"
        )
    };
}

pub(super) fn of_account(
    sql: &Connection,
    account: Id<Account>,
    lines: Option<&[Id<Line>]>,
    id: Id<File>,
) -> Result<Option<StoredFile>> {
    statement::first(
        sql,
        reached!(
            "select id, filename, mime_type, size, content, created_at from files
             where id = ?1 and account_id = ?2"
        ),
        params![bits(id), bits(account), lines.map(hex_list)],
        file,
    )
}

pub(super) fn find(sql: &Connection, id: Id<File>) -> Result<Option<StoredFile>> {
    statement::first(
        sql,
        "select id, filename, mime_type, size, content, created_at from files where id = ?1",
        params![bits(id)],
        file,
    )
}

pub(super) fn of_claims(
    sql: &Connection,
    bridge: Id<Bridge>,
    id: Id<File>,
) -> Result<Option<StoredFile>> {
    statement::first(
        sql,
        "select id, filename, mime_type, size, content, created_at from files
         where id = ?1 and exists (
           select 1 from outbox indexed by outbox_files
           where file_id = ?1 and bridge_id = ?2 and status = 'claimed')",
        params![bits(id), bits(bridge)],
        file,
    )
}

/// The file that an account sends on this line, by a key that may be restricted to some. From now on something
/// refers to it, and it is this line's too.
pub(super) fn send(
    sql: &Connection,
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
                     sent_line_ids = case
                       when exists (select 1 from json_each(sent_line_ids) where value = hex(?4))
                       then sent_line_ids
                       else json_insert(coalesce(sent_line_ids, '[]'), '$[#]', hex(?4)) end
                 where id = ?1 and account_id = ?2"
            ),
            " returning filename, mime_type, size"
        ),
        params![bits(id), bits(account), lines.map(hex_list), bits(line)],
        |row| {
            Ok(LinkedFile {
                file_id: id,
                filename: row.get(0)?,
                mime_type: row.get(1)?,
                size: row.get::<_, i64>(2)?.unsigned_abs(),
                transcription: None,
                original: None,
            })
        },
    )?
    .ok_or_else(|| Refusal::FileNotFound.into())
}

/// The attachment that a file becomes which came to a line, in a chat of this account.
///
/// Only a file that a bridge has uploaded for this line, and that is not another account's
/// already: a bridge can't give away what it was not given. Of any other, the attachment says what the
/// driver says and can't be downloaded; the message is not lost for that.
pub(super) fn receive(
    sql: &Connection,
    line: Id<Line>,
    account: Id<Account>,
    told: LinkedFile,
) -> Result<Attachment> {
    let original = match told.original.clone() {
        // One that names itself is none.
        Some(original) if original.file_id != told.file_id => {
            let known = take_in(sql, line, account, original.file_id)?;
            Some(attachments::original(original, known))
        }
        _ => None,
    };
    let known = take_in(sql, line, account, told.file_id)?;
    Ok(attachments::received(told, known, original))
}

/// What is known of a file that came to a line: its name, its type, its size. From now on something refers to it.
fn take_in(
    sql: &Connection,
    line: Id<Line>,
    account: Id<Account>,
    id: Id<File>,
) -> Result<Option<KnownFile>> {
    let known = statement::first(
        sql,
        "update files set is_referenced = 1, uses = uses + 1, left_at = null, account_id = ?3
         where id = ?1 and line_id = ?2 and (is_referenced = 0 or account_id = ?3)
         returning filename, mime_type, size",
        params![bits(id), bits(line), bits(account)],
        |row| {
            Ok(KnownFile {
                filename: row.get(0)?,
                mime_type: row.get(1)?,
                size: row.get::<_, i64>(2)?.unsigned_abs(),
            })
        },
    )?;
    if known.is_none() {
        tracing::warn!(file = %id, %line, "a message names a file that was not uploaded for its line");
    }
    Ok(known)
}

/// A message or an item does not refer to this file any more.
pub(super) fn leave(sql: &Connection, id: Id<File>) -> Result<()> {
    statement::run(
        sql,
        "update files set uses = uses - 1, is_referenced = iif(uses = 1, 2, is_referenced)
         where id = ?1 and uses > 0",
        params![bits(id)],
    )?;
    Ok(())
}

/// What goes out refers to its files no more: it has failed, or became a message that has its own.
pub(super) fn leave_all_of(sql: &Connection, content: &Content) -> Result<()> {
    attachments::files_of(content).try_for_each(|file| leave(sql, file))
}

/// Forgets files to which nothing refers any more since before `before`. What nobody has looked at counts from now.
pub(super) fn forget_left(
    sql: &Connection,
    now: Timestamp,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<Id<File>>> {
    statement::run(
        sql,
        "update files indexed by files_left set left_at = ?1 where is_referenced = 2 and left_at is null",
        params![now.0],
    )?;
    statement::all(
        sql,
        "delete from files where seq in (
           select seq from files indexed by files_left
           where is_referenced = 2 and left_at < ?1 order by left_at limit ?2)
         returning id",
        params![before.0, statement::limit(limit)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

pub(super) fn forget(sql: &Connection, before: Timestamp, limit: usize) -> Result<Vec<Id<File>>> {
    statement::all(
        sql,
        "delete from files where seq in (
           select seq from files indexed by files_unreferenced
           where is_referenced = 0 and created_at < ?1 order by created_at limit ?2)
         returning id",
        params![before.0, statement::limit(limit)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

pub(super) fn known(sql: &Connection, ids: &[Id<File>]) -> Result<Vec<Id<File>>> {
    let mut known = Vec::new();
    for id in ids {
        let params = params![bits(*id)];
        known.extend(statement::first(sql, "select 1 from files where id = ?1", params, |_| {
            Ok(*id)
        })?);
    }
    Ok(known)
}

fn file(row: &Row<'_>) -> rusqlite::Result<StoredFile> {
    Ok(StoredFile {
        id: row.get::<_, Bits<_>>(0)?.id(),
        filename: row.get(1)?,
        mime_type: row.get(2)?,
        size: row.get::<_, i64>(3)?.unsigned_abs(),
        content: ContentHash(row.get(4)?),
        created_at: Timestamp(row.get(5)?),
    })
}
