//! Files as what they are of a message: attachments, those that come late or are sent after all too.

use rusqlite::{Connection, params};
use switchboard_model::{Account, Attachment, Line, id::Id, link::LinkedFile};

use super::receive;
use crate::{
    Result,
    base::attachments,
    sqlite::engine::{columns::bits, statement},
};

/// The files that a message has from now on, instead of those that it had: what it had already it keeps, and
/// more may be said of it.
pub(in crate::sqlite) fn replace(
    sql: &Connection,
    line: Id<Line>,
    account: Id<Account>,
    before: &[Attachment],
    told: Vec<LinkedFile>,
) -> Result<Vec<Attachment>> {
    let attachment = |told: LinkedFile| match attachments::kept(before, &told) {
        Some(kept) => Ok(kept),
        None => receive(sql, line, account, told),
    };
    told.into_iter().map(attachment).collect()
}

/// The attachment that a file of an item becomes which turns out to have been sent after all. It may be gone meanwhile.
pub(in crate::sqlite) fn take_again(sql: &Connection, file: &LinkedFile) -> Result<Attachment> {
    let taken = statement::run(
        sql,
        "update files set is_referenced = 1, uses = uses + 1, left_at = null where id = ?1",
        params![bits(file.file_id)],
    )?;
    let attachment = attachments::sent(file);
    Ok(Attachment { file_id: attachment.file_id.filter(|_| taken > 0), ..attachment })
}
