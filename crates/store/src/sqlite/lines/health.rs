//! How lines are used: counted a day and line, by one statement a command beside those that keep messages.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};
use switchboard_model::{Account, Line, Timestamp, id::Id, line::LineHealth};

use crate::{
    Result,
    base::line_usage::{DAY_MS, KEPT_DAYS, MAX_COUNTED, MAX_LINES, MINUTE_MS, Tally},
    sqlite::engine::{
        columns::{Bits, bits},
        statement,
    },
};

/// Writes down the messages that a command has kept.
pub(in crate::sqlite) fn keep(sql: &Connection, tally: &mut Tally, now: Timestamp) -> Result<()> {
    for (line, counts) in tally.take() {
        statement::run(
                sql,
                "insert into line_days (day, line_id, sent, received, to_silent, new_contacts,
                                        minute, minute_sent, busiest_minute)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?3, ?3)
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
                    counts.sent,
                    counts.received,
                    counts.to_silent,
                    counts.new_contacts,
                    now.0.div_euclid(MINUTE_MS),
                ],
            )?;
    }
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
