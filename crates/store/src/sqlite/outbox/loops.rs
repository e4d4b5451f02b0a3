//! Two programs that answer each other would never end: a line may be told how often it may answer in one chat.
//!
//! An answer is the first message of the line after somebody has written. They are counted from the first of a window on,
//! in the row of the chat: so a restart forgets nothing, and several servers count together.

use rusqlite::params;
use switchboard_model::{Chat, Timestamp, id::Id};

use crate::{
    Result,
    base::{
        context::CachedLine,
        loops::{Counted, Run},
    },
    sqlite::engine::{columns::bits, statement, writer::Tx},
};

/// Counts what is about to be accepted, on a line that has a limit. Refuses it while the line must rest; answers whether
/// it must from now on.
pub(super) fn count(
    tx: &mut Tx<'_>,
    line: &CachedLine,
    chat: Id<Chat>,
    now: Timestamp,
) -> Result<bool> {
    let Some(limit) = line.loop_limit else { return Ok(false) };
    let run = statement::first(
        tx.sql,
        "select seq, has_received_inbound and not is_answered, answers, answers_from from chats where id = ?1",
        params![bits(chat)],
        |row| {
            let (answers, from) = (row.get(2)?, Timestamp(row.get(3)?));
            Ok((row.get::<_, i64>(0)?, Run { is_answer: row.get(1)?, answers, from }))
        },
    )?;
    let Some((seq, run)) = run else { return Ok(false) };
    let Some(Counted { answers, from, must_rest }) = run.count(limit, now)? else {
        return Ok(false);
    };
    tx.savepoint()?;
    statement::run(
        tx.sql,
        "update chats set is_answered = 1, answers = ?2, answers_from = ?3 where seq = ?1",
        params![seq, answers, from.0],
    )?;
    Ok(must_rest)
}
