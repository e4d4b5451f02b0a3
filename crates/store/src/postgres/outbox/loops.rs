//! Two programs that answer each other would never end: a line may be told how often it may answer in one chat.
//!
//! An answer is the first message of the line after somebody has written. They are counted from the first of a window on,
//! in the row of the chat: so a restart forgets nothing, and several servers count together.

use switchboard_model::{Chat, Timestamp, id::Id};

use crate::{
    Result,
    base::{
        context::CachedLine,
        loops::{Counted, Run},
    },
    postgres::engine::{
        columns::{Number, bits},
        statement,
        transaction::Tx,
    },
};

/// Counts what is about to be accepted, on a line that has a limit. Refuses it while the line must rest; answers whether
/// it must from now on. The row of the chat is locked.
pub(super) async fn count(
    tx: &Tx,
    line: &CachedLine,
    chat: Id<Chat>,
    now: Timestamp,
) -> Result<bool> {
    let Some(limit) = line.loop_limit else { return Ok(false) };
    let run = statement::first(
        &tx.sql,
        "select has_received_inbound and not is_answered, answers, answers_from from chats where id = $1",
        &[&bits(chat)],
        |row| {
            let (answers, from) = (row.try_get::<_, Number<_>>(1)?.0, Timestamp(row.try_get(2)?));
            Ok(Run { is_answer: row.try_get(0)?, answers, from })
        },
    )
    .await?;
    let Some(run) = run else { return Ok(false) };
    let Some(Counted { answers, from, must_rest }) = run.count(limit, now)? else {
        return Ok(false);
    };
    statement::run(
        &tx.sql,
        "update chats set is_answered = true, answers = $2, answers_from = $3 where id = $1",
        &[&bits(chat), &Number(answers), &from.0],
    )
    .await?;
    Ok(must_rest)
}
