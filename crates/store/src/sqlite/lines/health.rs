//! How lines are used: counted a day and line, by one statement beside those that keep a message.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Chat, Line, Timestamp,
    id::Id,
    line::{LineHealth, SILENT_MS, UNANSWERED},
};

use crate::{
    Result,
    sqlite::engine::{
        columns::{Bits, bits},
        statement,
    },
};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// How long the days are kept.
const KEPT_DAYS: i64 = 31;
/// As far as contacts who do not answer are counted, of one line.
const MAX_COUNTED: usize = 1000;
/// Lines that the operator is told of.
const MAX_LINES: usize = 10_000;

/// A message comes into this chat, or goes out. Before the chat is told of it: what counts is how it was until now.
pub(in crate::sqlite) fn count(
    sql: &Connection,
    line: Id<Line>,
    chat: Id<Chat>,
    is_inbound: bool,
    now: Timestamp,
) -> Result<()> {
    let silent_since = now.0.saturating_sub_unsigned(SILENT_MS);
    statement::run(
        sql,
        "insert into line_days (day, line_id, sent, received, to_silent, new_contacts,
                                minute, minute_sent, busiest_minute)
         select ?1, ?2, not ?4, ?4,
                not ?4 and coalesce(last_received_at < ?5, not has_received_inbound),
                ?4 and not has_received_inbound and not is_group,
                ?6, not ?4, not ?4
         from chats where id = ?3
         on conflict (day, line_id) do update set
           sent = sent + excluded.sent,
           received = received + excluded.received,
           to_silent = to_silent + excluded.to_silent,
           new_contacts = new_contacts + excluded.new_contacts,
           minute_sent = excluded.sent + iif(minute = excluded.minute, minute_sent, 0),
           busiest_minute = max(busiest_minute,
                                excluded.sent + iif(minute = excluded.minute, minute_sent, 0)),
           minute = excluded.minute",
        params![
            now.0.div_euclid(DAY_MS),
            bits(line),
            bits(chat),
            is_inbound,
            silent_since,
            now.0.div_euclid(MINUTE_MS),
        ],
    )?;
    Ok(())
}

/// How each line of this account, or of all, is used today; a line of which nothing was counted is used by nobody.
pub(in crate::sqlite) fn of(
    sql: &Connection,
    account: Option<Id<Account>>,
    now: Timestamp,
) -> Result<HashMap<Id<Line>, LineHealth>> {
    let id = |row: &Row<'_>| Ok(row.get::<_, Bits<Line>>(0)?.id());
    let lines: Vec<Id<Line>> = match account {
        Some(account) => {
            let own = "select id from lines where account_id = ?1";
            statement::all(sql, own, params![bits(account)], id)?
        }
        None => {
            let all = "select id from lines order by seq limit ?1";
            statement::all(sql, all, [statement::limit(MAX_LINES)], id)?
        }
    };
    let one = |line: &Id<Line>| {
        let counted = statement::first(
            sql,
            "select sent, received, busiest_minute, to_silent, new_contacts
             from line_days where day = ?1 and line_id = ?2",
            params![now.0.div_euclid(DAY_MS), bits(*line)],
            day,
        )?;
        let unanswered: Option<u32> = statement::first(
            sql,
            "select count(*) from (
               select 1 from chats indexed by chats_unanswered
               where line_id = ?1 and unanswered > 5 and is_group = 0 limit ?2)",
            params![bits(*line), statement::limit(MAX_COUNTED)],
            |row| row.get(0),
        )?;
        let since = Timestamp(now.0.div_euclid(DAY_MS) * DAY_MS);
        let unanswered_contacts = unanswered.unwrap_or(0).into();
        let counted = counted.unwrap_or_default();
        Ok((*line, LineHealth { since, unanswered_contacts, ..counted }.judged()))
    };
    lines.iter().map(one).collect()
}

/// Forgets days that nobody asks for any more.
pub(in crate::sqlite) fn forget(sql: &Connection, now: Timestamp) -> Result<()> {
    let oldest = now.0.div_euclid(DAY_MS) - KEPT_DAYS;
    statement::run(sql, "delete from line_days where day < ?1", [oldest])?;
    Ok(())
}

fn day(row: &Row<'_>) -> rusqlite::Result<LineHealth> {
    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(LineHealth {
        sent: count(0)?,
        received: count(1)?,
        busiest_minute: count(2)?,
        to_silent: count(3)?,
        new_contacts: count(4)?,
        ..LineHealth::default()
    })
}

/// What the statements above have as a number.
const _: () = assert!(UNANSWERED == 5);
