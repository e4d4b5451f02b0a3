//! Files as what they are of a message: attachments, those that come late or are sent after all too.

use std::collections::HashMap;

use switchboard_model::{Account, Attachment, File, Line, id::Id, link::LinkedFile};

use crate::{
    Result,
    base::attachments::{self, KnownFile},
    postgres::engine::{
        columns::{Bits, bits, bits_of},
        connection::Sql,
        statement,
    },
};

/// The attachments that files become which came to a line, in a chat of this account.
///
/// Only a file that a bridge has uploaded for this line, and that is not another account's
/// already: a bridge can't give away what it was not given. Of any other, the attachment says what the
/// driver says and can't be downloaded; the message is not lost for that.
pub(in crate::postgres) async fn receive_all(
    sql: &Sql,
    line: Id<Line>,
    account: Id<Account>,
    told: Vec<LinkedFile>,
) -> Result<Vec<Attachment>> {
    // One that names itself as its original has none.
    let original_of = |file: &LinkedFile| {
        file.original.clone().filter(|original| original.file_id != file.file_id)
    };
    let of = |file: &LinkedFile| {
        [original_of(file).map(|original| original.file_id), Some(file.file_id)]
    };
    let ids: Vec<_> = told.iter().flat_map(of).flatten().collect();
    let known = take_in(sql, line, account, &ids).await?;
    let received = |file: LinkedFile| {
        let original = original_of(&file)
            .map(|told| (known.get(&told.file_id).cloned(), told))
            .map(|(known, told)| attachments::original(told, known));
        let known = known.get(&file.file_id).cloned();
        attachments::received(file, known, original)
    };
    Ok(told.into_iter().map(received).collect())
}

/// What is known of files that came to a line. From now on something refers to them: as often as they are named.
async fn take_in(
    sql: &Sql,
    line: Id<Line>,
    account: Id<Account>,
    ids: &[Id<File>],
) -> Result<HashMap<Id<File>, KnownFile>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    // Held in one order by all, so that no two wait for each other.
    let known: HashMap<_, _> = statement::all(
        sql,
        "with told as (
           select id, count(*) as uses from unnest($1::uuid[]) id group by id
         ), held as materialized (
           select f.seq, told.uses from told join files f on f.id = told.id
           where f.line_id = $2 and (f.is_referenced = 0 or f.account_id = $3)
           order by f.id for update of f
         )
         update files f
         set is_referenced = 1, uses = f.uses + held.uses, left_at = null, account_id = $3
         from held where f.seq = held.seq
         returning f.id, f.filename, f.mime_type, f.size",
        &[&bits_of(ids), &bits(line), &bits(account)],
        |row| {
            let known = KnownFile {
                filename: row.try_get(1)?,
                mime_type: row.try_get(2)?,
                size: row.try_get::<_, i64>(3)?.unsigned_abs(),
            };
            Ok((row.try_get::<_, Bits<_>>(0)?.id(), known))
        },
    )
    .await?
    .into_iter()
    .collect();
    for id in ids.iter().filter(|id| !known.contains_key(*id)) {
        tracing::warn!(file = %id, %line, "a message names a file that was not uploaded for its line");
    }
    Ok(known)
}

/// The files that a message has from now on, instead of those that it had: what it had already it keeps, and
/// more may be said of it.
pub(in crate::postgres) async fn replace(
    sql: &Sql,
    line: Id<Line>,
    account: Id<Account>,
    before: &[Attachment],
    told: Vec<LinkedFile>,
) -> Result<Vec<Attachment>> {
    let kept: Vec<_> = told.iter().map(|told| attachments::kept(before, told)).collect();
    let new = told.into_iter().zip(&kept).filter(|(_, kept)| kept.is_none());
    let new = receive_all(sql, line, account, new.map(|(told, _)| told).collect()).await?;
    let mut new = new.into_iter();
    Ok(kept.into_iter().filter_map(|kept| kept.or_else(|| new.next())).collect())
}

/// The attachment that a file of an item becomes which turns out to have been sent after all. It may be gone meanwhile.
pub(in crate::postgres) async fn take_again(sql: &Sql, file: &LinkedFile) -> Result<Attachment> {
    let taken = statement::run(
        sql,
        "update files set is_referenced = 1, uses = uses + 1, left_at = null where id = $1",
        &[&bits(file.file_id)],
    )
    .await?;
    let attachment = attachments::sent(file);
    Ok(Attachment { file_id: attachment.file_id.filter(|_| taken > 0), ..attachment })
}
