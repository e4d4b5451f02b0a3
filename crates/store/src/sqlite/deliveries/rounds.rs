//! What becomes of deliveries beside their attempts: a new round of them, or none at all any more.

use rusqlite::{Connection, params};
use switchboard_model::{
    EventKind, Line, Timestamp, Webhook,
    delivery::{Delivery, DeliveryStatus},
    id::Id,
    time::Now,
};

use super::due_by_webhook;
use crate::{
    Grant, Refusal, Result,
    sqlite::engine::{
        columns::{Name, Text},
        statement,
    },
};

/// Why a delivery is given up whose webhook gets nothing any more.
const DISABLED: &str = "the webhook was disabled";

/// The attempts that a delivery keeps over a new round, however often it is retried by hand.
const KEPT_ATTEMPTS: u32 = 90;

/// Begins a new round of attempts at the wall time `now`, the first of them due at the steady `due_at`. It takes its place behind all other
/// deliveries: what is replayed in event order goes out in event order. Its new place also tells
/// it from the round before: what an attempt of that one still reports finds nothing.
pub(in crate::sqlite) fn begin(
    sql: &Connection,
    seq: i64,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    statement::run(
        sql,
        "delete from attempts where delivery_seq = ?1 and number <= (
           select max(number) - ?2 from attempts where delivery_seq = ?1)",
        params![seq, KEPT_ATTEMPTS],
    )?;
    let last = statement::first(sql, "select max(seq) from deliveries", [], |row| row.get(0))?;
    let place = last.unwrap_or(seq) + 1;
    statement::run(
        sql,
        "update deliveries set seq = ?2, status = 'due', due_at = ?3, leased = 0, finished_at = null,
                earlier_attempts = earlier_attempts + attempts, attempts = 0, round_at = ?4
         where seq = ?1",
        params![seq, place, due_at.0, now.0],
    )?;
    statement::run(
        sql,
        "update attempts set delivery_seq = ?2 where delivery_seq = ?1",
        params![seq, place],
    )?;
    Ok(())
}

pub(in crate::sqlite) fn retry(
    sql: &Connection,
    grant: &Grant,
    id: Id<Delivery>,
    now: Now,
) -> Result<Id<Webhook>> {
    let found = statement::first(
        sql,
        "select d.seq, d.status, e.line_id, w.is_active, d.webhook_id, e.kind from deliveries d
         cross join events e on e.seq = d.event_seq
         left join webhooks w on w.id = d.webhook_id
         where d.id = ?1 and d.account_id = ?2",
        params![Text(id), Text(grant.account)],
        |row| {
            Ok(Found {
                seq: row.get(0)?,
                status: row.get::<_, Name<_>>(1)?.0,
                line: row.get::<_, Text<_>>(2)?.0,
                is_active: row.get(3)?,
                webhook: row.get::<_, Text<_>>(4)?.0,
                event: row.get::<_, Name<_>>(5)?.0,
            })
        },
    )?;
    let lines = grant.lines.as_deref();
    let found = found.filter(|found| lines.is_none_or(|lines| lines.contains(&found.line)));
    let Found { seq, status, is_active, webhook, event, .. } =
        found.ok_or(Refusal::DeliveryNotFound)?;
    grant.must_read(&[event])?;
    if is_active != Some(true) {
        return Err(Refusal::WebhookDisabled.into());
    }
    if status != DeliveryStatus::Due {
        begin(sql, seq, now.steady, now.wall)?;
        return Ok(webhook);
    }
    // What is leased is on its way already; what was given back unattempted is due in its turn.
    statement::run(
        sql,
        "update deliveries set due_at = ?2 where seq = ?1 and leased = 0 and due_at > ?2",
        params![seq, now.steady.0],
    )?;
    Ok(webhook)
}

/// A delivery that is to be tried again.
struct Found {
    seq: i64,
    status: DeliveryStatus,
    line: Id<Line>,
    /// None once its webhook was deleted.
    is_active: Option<bool>,
    webhook: Id<Webhook>,
    event: EventKind,
}

pub(in crate::sqlite) fn give_up(sql: &Connection, now: Now, limit: usize) -> Result<usize> {
    let mut given_up = 0;
    for waiting in due_by_webhook(sql, now.steady, false)? {
        let rest = limit - given_up;
        given_up += if waiting.is_gone {
            remove(sql, waiting.webhook, rest)?
        } else {
            fail(sql, waiting.webhook, now, rest)?
        };
        if given_up == limit {
            break;
        }
    }
    Ok(given_up)
}

/// What is due of a webhook that is disabled fails.
fn fail(sql: &Connection, webhook: Id<Webhook>, now: Now, limit: usize) -> Result<usize> {
    // A lease that is over is nobody's: whoever had it was told that the webhook is disabled.
    statement::run(
        sql,
        "update deliveries set status = 'failed', leased = 0, last_error = ?3, finished_at = ?2
         where seq in (select seq from deliveries indexed by deliveries_due
           where status = 'due' and webhook_id = ?1 and (leased = 0 or due_at <= ?5) limit ?4)",
        params![Text(webhook), now.wall.0, DISABLED, statement::limit(limit), now.steady.0],
    )
}

/// What is due of a webhook that was deleted goes, whoever has it: what an attempt of it still reports finds
/// nothing. What is over goes with its event.
fn remove(sql: &Connection, webhook: Id<Webhook>, limit: usize) -> Result<usize> {
    let due = statement::all(
        sql,
        "select seq from deliveries indexed by deliveries_due
         where status = 'due' and webhook_id = ?1 limit ?2",
        params![Text(webhook), statement::limit(limit)],
        |row| row.get::<_, i64>(0),
    )?;
    for seq in &due {
        statement::run(sql, "delete from attempts where delivery_seq = ?1", params![seq])?;
        statement::run(sql, "delete from deliveries where seq = ?1", params![seq])?;
    }
    Ok(due.len())
}
