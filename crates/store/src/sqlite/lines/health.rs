//! How lines are used: counted a day and line, by one statement a command beside those that keep messages.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Line, Timestamp,
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

/// The messages that a command keeps, counted by line: all of them are written down by one statement at its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Vec<(Id<Line>, Counts)>);

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sent: u32,
    received: u32,
    to_silent: u32,
    new_contacts: u32,
}

impl Tally {
    /// One that goes out, to a contact who may be silent.
    pub(in crate::sqlite) fn sent(&mut self, line: Id<Line>, to_silent: bool) {
        let counts = self.of(line);
        counts.sent += 1;
        counts.to_silent += u32::from(to_silent);
    }

    /// One that comes in, perhaps the first of its contact.
    pub(in crate::sqlite) fn received(&mut self, line: Id<Line>, is_new_contact: bool) {
        let counts = self.of(line);
        counts.received += 1;
        counts.new_contacts += u32::from(is_new_contact);
    }

    /// A command is about few lines.
    fn of(&mut self, line: Id<Line>) -> &mut Counts {
        let known = self.0.iter().position(|(id, _)| *id == line);
        let place = known.unwrap_or_else(|| {
            self.0.push((line, Counts::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// Writes it down, and begins anew.
    pub(in crate::sqlite) fn keep(&mut self, sql: &Connection, now: Timestamp) -> Result<()> {
        for (line, counts) in self.0.drain(..) {
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
}

/// Whether nobody in a chat has written to the line for a day. Of one in which somebody had written before that was kept,
/// nobody knows, and it is taken for no.
pub(in crate::sqlite) fn is_silent(
    has_received_inbound: bool,
    last_received_at: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let since = now.0.saturating_sub_unsigned(SILENT_MS);
    last_received_at.map_or(!has_received_inbound, |at| at.0 < since)
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
