//! How much is due, for who watches: counted up to a bound, some webhooks at a time.

use switchboard_model::{Timestamp, Webhook, id::Id, time::Now};

use super::due;
use crate::{
    MAX_COUNTED, Result, WebhookBacklog,
    base::deliveries::UNTRIED,
    postgres::engine::{
        columns::{Bits, Number, bits_of},
        connection::Sql,
        statement,
    },
};

/// Webhooks of which one statement counts.
const AT_ONCE: usize = 8;

/// What is due of each active webhook that has anything, by their ids.
pub(super) async fn of_all(sql: &Sql, now: Now) -> Result<Vec<WebhookBacklog>> {
    let (mut counted, mut after) = (Vec::new(), Some(Id::of_nothing()));
    while let Some(place) = after {
        let (rows, next) = due::waiting(sql, place).await?;
        let is_due = |row: &due::WaitingRow| {
            row.has_untried || row.retry_at.is_some_and(|at| at <= now.steady)
        };
        let due = rows.into_iter().filter(|row| row.is_active && is_due(row));
        let webhooks: Vec<_> = due.map(|row| row.webhook).collect();
        for some in webhooks.chunks(AT_ONCE) {
            counted.extend(of(sql, some, now).await?);
        }
        after = next;
    }
    Ok(counted)
}

async fn of(sql: &Sql, webhooks: &[Id<Webhook>], now: Now) -> Result<Vec<WebhookBacklog>> {
    // Those that were not attempted are due at 0, in the order of their events.
    let counted = statement::all(
        sql,
        "select asked.id,
           (select count(*) from (
              select from deliveries
              where status = 'due' and webhook_id = asked.id and due_at <= $2 limit $4) counted),
           (select coalesce(round_at, created_at) from deliveries
              where status = 'due' and webhook_id = asked.id and due_at = $3 order by seq limit 1),
           (select due_at from deliveries
              where status = 'due' and webhook_id = asked.id and due_at > $3 and due_at <= $2
              order by due_at limit 1)
         from unnest($1::uuid[]) asked (id) order by asked.id",
        &[&bits_of(webhooks), &now.steady.0, &UNTRIED.0, &Number(MAX_COUNTED)],
        |row| {
            let (untried, tried): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
            let tried = tried.map(|due_at| now.wall_at(Timestamp(due_at)).0);
            let since = untried.into_iter().chain(tried).min();
            let due = row.try_get::<_, Number<_>>(1)?.0;
            let webhook_id = row.try_get::<_, Bits<_>>(0)?.id();
            Ok(since.map(|since| WebhookBacklog { webhook_id, due, since: Timestamp(since) }))
        },
    )
    .await?;
    Ok(counted.into_iter().flatten().collect())
}
