//! How lines are used: counted a day and line, by one statement a command beside those that keep messages.

use std::collections::HashMap;

use switchboard_model::{Account, Line, Timestamp, id::Id, line::LineHealth};

use crate::{
    Result,
    base::line_usage::{Counts, DAY_MS, KEPT_DAYS, MAX_COUNTED, MAX_LINES, MINUTE_MS, Tally},
    postgres::engine::{
        columns::{Bits, Number, bits},
        connection::Sql,
        statement,
    },
};

/// Writes down the messages that a transaction has kept.
pub(in crate::postgres) async fn keep(sql: &Sql, tally: &mut Tally, now: Timestamp) -> Result<()> {
    let mut counted = tally.take();
    if counted.is_empty() {
        return Ok(());
    }
    counted.sort_unstable_by_key(|(line, _)| *line);
    let lines: Vec<_> = counted.iter().map(|(line, _)| bits(*line)).collect();
    let column = |of: fn(&Counts) -> u32| -> Vec<i64> {
        counted.iter().map(|(_, counts)| i64::from(of(counts))).collect()
    };
    statement::run(
        sql,
        "insert into line_days as kept (day, line_id, sent, received, to_silent, new_contacts,
                                        minute, minute_sent, busiest_minute)
         select $1, line_id, sent, received, to_silent, new_contacts, $2, sent, sent
         from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
              as new (line_id, sent, received, to_silent, new_contacts)
         on conflict (day, line_id) do update set
           sent = kept.sent + excluded.sent,
           received = kept.received + excluded.received,
           to_silent = kept.to_silent + excluded.to_silent,
           new_contacts = kept.new_contacts + excluded.new_contacts,
           minute_sent = excluded.sent
             + case when kept.minute = excluded.minute then kept.minute_sent else 0 end,
           busiest_minute = greatest(kept.busiest_minute, excluded.sent
             + case when kept.minute = excluded.minute then kept.minute_sent else 0 end),
           minute = excluded.minute",
        &[
            &now.0.div_euclid(DAY_MS),
            &now.0.div_euclid(MINUTE_MS),
            &lines,
            &column(|counts| counts.sent),
            &column(|counts| counts.received),
            &column(|counts| counts.to_silent),
            &column(|counts| counts.new_contacts),
        ],
    )
    .await?;
    Ok(())
}

/// How each line of this account, or of all, is used today; a line of which nothing was counted is used by nobody.
pub(in crate::postgres) async fn of(
    sql: &Sql,
    account: Option<Id<Account>>,
    now: Timestamp,
) -> Result<HashMap<Id<Line>, LineHealth>> {
    let today = now.0.div_euclid(DAY_MS);
    let lines = statement::all(
        sql,
        "select l.id, coalesce(d.sent, 0), coalesce(d.received, 0), coalesce(d.busiest_minute, 0),
                coalesce(d.to_silent, 0), coalesce(d.new_contacts, 0),
                (select count(*) from (
                   select from chats
                   where line_id = l.id and unanswered > 5 and not is_group limit $3) silent)
         from (select id, seq from lines
               where $1::uuid is null or account_id = $1 order by seq limit $4) l
         left join line_days d on d.day = $2 and d.line_id = l.id",
        &[&account.map(bits), &today, &statement::limit(MAX_COUNTED), &statement::limit(MAX_LINES)],
        |row| {
            let count = |column| row.try_get::<_, Number<u64>>(column).map(|count| count.0);
            let health = LineHealth {
                since: Timestamp(today * DAY_MS),
                sent: count(1)?,
                received: count(2)?,
                busiest_minute: count(3)?,
                to_silent: count(4)?,
                new_contacts: count(5)?,
                unanswered_contacts: count(6)?,
                ..LineHealth::default()
            };
            Ok((row.try_get::<_, Bits<_>>(0)?.id(), health.judged()))
        },
    )
    .await?;
    Ok(lines.into_iter().collect())
}

/// Forgets days that nobody asks for any more.
pub(in crate::postgres) async fn forget(sql: &Sql, now: Timestamp) -> Result<()> {
    let oldest = now.0.div_euclid(DAY_MS) - KEPT_DAYS;
    statement::run(sql, "delete from line_days where day < $1", &[&oldest]).await?;
    Ok(())
}
