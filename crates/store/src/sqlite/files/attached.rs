//! Files as what they are of a message: attachments, those that come late or are sent after all too.

use rusqlite::{Connection, params};
use switchboard_model::{Account, Attachment, Line, id::Id, link::LinkedFile};

use super::receive;
use crate::{
    Result,
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
    let attachment =
        |told: LinkedFile| match before.iter().find(|file| file.file_id == Some(told.file_id)) {
            Some(kept) => {
                let transcription = told.transcription.or_else(|| kept.transcription.clone());
                Ok(Attachment { transcription, ..kept.clone() })
            }
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
    let attachment = attachment(file);
    Ok(Attachment { file_id: attachment.file_id.filter(|_| taken > 0), ..attachment })
}

/// The attachment that a file of an item becomes.
pub(in crate::sqlite) fn attachment(file: &LinkedFile) -> Attachment {
    Attachment {
        filename: file.filename.clone(),
        mime_type: Some(file.mime_type.clone()),
        size: Some(file.size),
        url: None,
        transcription: file.transcription.clone(),
        original: None,
        file_id: Some(file.file_id),
    }
}
