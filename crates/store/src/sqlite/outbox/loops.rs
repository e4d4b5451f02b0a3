//! Two programs that answer each other would never end: a line may be told how often it may answer in one chat.
//!
//! An answer is the first message of the line after somebody has written. They are counted from the first of a window on,
//! in the row of the chat: so a restart forgets nothing, and several servers count together.

use rusqlite::params;
use switchboard_model::{Chat, Timestamp, id::Id};

use crate::{
    Refusal, Result,
    sqlite::engine::{columns::bits, statement, writer::Tx, writer_cache::CachedLine},
};

/// What is counted of a chat.
struct Run {
    seq: i64,
    is_answer: bool,
    answers: u32,
    from: Timestamp,
}

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
            Ok(Run { seq: row.get(0)?, is_answer: row.get(1)?, answers, from })
        },
    )?;
    let Some(run) = run else { return Ok(false) };
    // The clock may have been set back, or another server's be a little behind.
    let is_over = u128::from(run.from.0.abs_diff(now.0)) >= limit.window().as_millis();
    let before = if is_over { 0 } else { run.answers };
    if before >= limit.answers() {
        return Err(Refusal::LoopLimit { limit, until: run.from + limit.window() }.into());
    }
    if !run.is_answer {
        return Ok(false);
    }
    let answers = before + 1;
    let must_rest = answers == limit.answers();
    let from = if before == 0 || must_rest { now } else { run.from };
    tx.savepoint()?;
    statement::run(
        tx.sql,
        "update chats set is_answered = 1, answers = ?2, answers_from = ?3 where seq = ?1",
        params![run.seq, answers, from.0],
    )?;
    Ok(must_rest)
}
