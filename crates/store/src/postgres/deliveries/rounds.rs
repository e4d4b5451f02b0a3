//! What becomes of deliveries beside their attempts: a new round of them, or none at all any more.

use switchboard_model::{
    EventKind, Line, Timestamp, Webhook,
    delivery::{Delivery, DeliveryStatus},
    id::Id,
    time::Now,
};
use tokio_postgres::Row;

use super::due;
use crate::{
    Grant, Owned, Refusal, Result,
    base::deliveries::{DISABLED, KEPT_ATTEMPTS, NO_LONGER_NAMED, UNTRIED},
    postgres::engine::{
        columns::{Bits, Column, Json, Name, Number, bits},
        connection::Sql,
        statement::{self, Params},
        transaction::Tx,
    },
};

/// Begins a new round of attempts of these deliveries, which are locked: each at this place. It is the end of the
/// webhook's log: what is replayed in event order goes out in event order. Its new place also tells it from the round
/// before: what an attempt of that one still reports finds nothing.
pub(in crate::postgres) async fn begin(
    sql: &Sql,
    rounds: &[(i64, i64)],
    now: Timestamp,
) -> Result<()> {
    if rounds.is_empty() {
        return Ok(());
    }
    let (seqs, places): (Vec<i64>, Vec<i64>) = rounds.iter().copied().unzip();
    statement::run(
        sql,
        "insert into attempts (delivery_seq, number, started_at, duration_ms, status, answer)
         select seq, earlier_attempts + attempts, started_at, duration_ms, answer_status, answer
         from deliveries where seq = any($1) and started_at is not null",
        &[&seqs],
    )
    .await?;
    statement::run(
        sql,
        "delete from attempts a using (
           select delivery_seq, max(number) - $2 as last from attempts
           where delivery_seq = any($1) group by delivery_seq) too_old
         where a.delivery_seq = too_old.delivery_seq and a.number <= too_old.last",
        &[&seqs, &Number(KEPT_ATTEMPTS)],
    )
    .await?;
    let (moved, with_them): (Params<'_>, Params<'_>) =
        (&[&seqs, &places, &UNTRIED.0, &now.0], &[&seqs, &places]);
    tokio::try_join!(
        statement::run(
            sql,
            "update deliveries d set seq = round.place, status = 'due', due_at = $3, finished_at = null,
                    earlier_attempts = earlier_attempts + attempts, attempts = 0, round_at = $4,
                    started_at = null, duration_ms = null, answer_status = null, answer = null
             from unnest($1::bigint[], $2::bigint[]) as round (seq, place) where d.seq = round.seq",
            moved,
        ),
        statement::run(
            sql,
            "update attempts a set delivery_seq = round.place
             from unnest($1::bigint[], $2::bigint[]) as round (seq, place)
             where a.delivery_seq = round.seq",
            with_them,
        ),
    )?;
    Ok(())
}

/// Answers whose it is, and its new place if a round has begun.
pub(super) async fn retry(
    tx: &Tx,
    grant: &Grant,
    id: Id<Delivery>,
    now: Now,
) -> Result<(Id<Webhook>, Option<i64>)> {
    // Its event stays: whoever forgets events locks them before asking whether anything of them is due.
    let found = statement::first(
        &tx.sql,
        "select e.line_id, w.is_active, d.webhook_id, e.kind from deliveries d
         join events e on e.seq = d.event_seq
         left join webhooks w on w.id = d.webhook_id
         where d.id = $1 and d.account_id = $2 for key share of e",
        &[&bits(id), &bits(grant.account)],
        Found::of,
    )
    .await?;
    let lines = grant.lines.as_deref();
    let found = found.filter(|found| lines.is_none_or(|lines| lines.contains(&found.line)));
    let Found { is_active, webhook, event, .. } = found.ok_or(Refusal::DeliveryNotFound)?;
    grant.must_read(&[event])?;
    if is_active != Some(true) {
        return Err(Refusal::WebhookDisabled.into());
    }
    let locked = statement::first(
        &tx.sql,
        "select seq, status from deliveries where id = $1 for update",
        &[&bits(id)],
        |row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, Name<DeliveryStatus>>(1)?.0)),
    )
    .await?;
    let (seq, status) = locked.ok_or(Refusal::DeliveryNotFound)?;
    if status != DeliveryStatus::Due {
        let place = tx.next_place().await?;
        begin(&tx.sql, &[(seq, place)], now.wall).await?;
        return Ok((webhook, Some(place)));
    }
    // What was not attempted in its round is due in its turn.
    statement::run(
        &tx.sql,
        "update deliveries set due_at = $2 where seq = $1 and due_at > $2",
        &[&seq, &now.steady.0],
    )
    .await?;
    Ok((webhook, None))
}

/// A delivery that is to be tried again.
struct Found {
    line: Id<Line>,
    /// None once its webhook was deleted.
    is_active: Option<bool>,
    webhook: Id<Webhook>,
    event: EventKind,
}

impl Found {
    fn of(row: &Row) -> Column<Self> {
        Ok(Self {
            line: row.try_get::<_, Bits<_>>(0)?.id(),
            is_active: row.try_get(1)?,
            webhook: row.try_get::<_, Bits<_>>(2)?.id(),
            event: row.try_get::<_, Name<_>>(3)?.0,
        })
    }
}

pub(super) async fn give_up(
    sql: &Sql,
    now: Now,
    owned: &Owned,
    under_way: &[i64],
    limit: usize,
) -> Result<usize> {
    let (mut given_up, mut after) = (0, Some(Id::of_nothing()));
    while let Some(place) = after {
        let (rows, next) = due::waiting(sql, place).await?;
        let own = |row: &due::WaitingRow| !row.is_active && owned.has(row.webhook);
        for waiting in rows.into_iter().filter(own) {
            let rest = limit - given_up;
            given_up += if waiting.is_deleted {
                remove(sql, waiting.webhook, rest).await?
            } else {
                fail(sql, waiting.webhook, now, under_way, rest).await?
            };
            if given_up == limit {
                return Ok(given_up);
            }
        }
        after = next;
    }
    Ok(given_up)
}

/// What is due of a webhook that is disabled fails, but for what is under way: its attempt says what becomes of it.
async fn fail(
    sql: &Sql,
    webhook: Id<Webhook>,
    now: Now,
    under_way: &[i64],
    limit: usize,
) -> Result<usize> {
    // It may have been enabled since it was looked for, and is not while this goes on.
    let active = "select is_active from webhooks where id = $1 for share";
    let read = |row: &Row| row.try_get::<_, bool>(0);
    if statement::first(sql, active, &[&bits(webhook)], read).await? == Some(true) {
        return Ok(0);
    }
    let failed = statement::run(
        sql,
        "update deliveries set status = 'failed', last_error = $3, finished_at = $2
         where seq in (
           select seq from deliveries
           where status = 'due' and webhook_id = $1 and seq <> all($5) limit $4 for update skip locked)",
        &[&bits(webhook), &now.wall.0, &DISABLED, &statement::limit(limit), &under_way],
    )
    .await?;
    Ok(usize::try_from(failed).unwrap_or(usize::MAX))
}

/// Those of these deliveries, by their places, that their webhook does not name.
pub(super) async fn give_up_unnamed(
    sql: &Sql,
    webhook: Id<Webhook>,
    of: &[i64],
    now: Now,
) -> Result<()> {
    // It may have been given its events back since they were read, and is not while this goes on.
    let named = "select events from webhooks where id = $1 for share";
    let named = statement::first(sql, named, &[&bits(webhook)], |row| {
        Ok(row.try_get::<_, Json<Vec<EventKind>>>(0)?.0)
    })
    .await?;
    let named: Vec<_> = named.unwrap_or_default().into_iter().map(Name).collect();
    statement::run(
        sql,
        "update deliveries set status = 'failed', last_error = $4, finished_at = $3
         where seq in (
           select d.seq from deliveries d join events e on e.seq = d.event_seq
           where d.seq = any($2) and d.webhook_id = $1 and d.status = 'due' and e.kind <> all($5)
           order by d.seq for update of d)",
        &[&bits(webhook), &of, &now.wall.0, &NO_LONGER_NAMED, &named],
    )
    .await?;
    Ok(())
}

/// What is due of a webhook that was deleted goes, whoever has it: what an attempt of it still reports finds
/// nothing. What is over goes with its event.
async fn remove(sql: &Sql, webhook: Id<Webhook>, limit: usize) -> Result<usize> {
    let due = statement::all(
        sql,
        "select seq from deliveries
         where status = 'due' and webhook_id = $1 limit $2 for update skip locked",
        &[&bits(webhook), &statement::limit(limit)],
        |row| row.try_get::<_, i64>(0),
    )
    .await?;
    let gone: Params<'_> = &[&due];
    tokio::try_join!(
        statement::run(sql, "delete from attempts where delivery_seq = any($1)", gone),
        statement::run(sql, "delete from deliveries where seq = any($1)", gone),
    )?;
    Ok(due.len())
}
