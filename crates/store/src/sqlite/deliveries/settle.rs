//! What came of attempts.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use switchboard_model::{
    Timestamp, Webhook,
    delivery::{AttemptResult, DeliveryStatus},
    id::Id,
    webhook::DisabledReason,
};

use crate::{
    Result,
    base::{deliveries::UNTRIED, outcomes::OutcomeSummary},
    sqlite::{
        engine::{
            columns::{Name, bits},
            statement,
            writer::Tx,
        },
        webhooks,
    },
};

/// A result of what is settled, or gone with its webhook, changes nothing. Answers which webhooks this
/// has disabled.
pub(in crate::sqlite) fn settle(
    tx: &mut Tx<'_>,
    results: &[AttemptResult],
) -> Result<Vec<(Id<Webhook>, DisabledReason)>> {
    let mut summaries: HashMap<(Id<Webhook>, &str), OutcomeSummary> = HashMap::new();
    for result in results {
        let counts = match &result.error {
            None => delivered(tx.sql, result)?,
            Some(error) => failed(tx.sql, result, error)?,
        };
        if counts {
            let key = (result.webhook_id, &*result.url);
            summaries
                .entry(key)
                .or_insert_with(|| OutcomeSummary::new(result.finished_at))
                .note(result);
        }
    }
    let mut disabled = Vec::new();
    for ((webhook, url), summary) in summaries {
        if let Some(reason) = webhooks::note(tx, webhook, url, &summary)? {
            disabled.push((webhook, reason));
        }
    }
    Ok(disabled)
}

/// An attempt worked. It is a part of its delivery's row: one statement. Whether it was waited for.
fn delivered(sql: &Connection, result: &AttemptResult) -> Result<bool> {
    let changed = statement::run(
        sql,
        "update deliveries set status = ?4, attempts = ?3, last_error = null, finished_at = ?5,
                started_at = ?6, duration_ms = ?7, answer_status = ?8, answer = ?9
         where seq = ?1 and id = ?2 and status = 'due' and attempts = ?3 - 1",
        params![
            result.seq,
            bits(result.delivery_id),
            result.attempts,
            Name(DeliveryStatus::Delivered),
            result.finished_at.wall.0,
            result.started_at.0,
            duration_ms(result),
            result.status,
            result.answer,
        ],
    )?;
    Ok(changed > 0)
}

/// An attempt failed. Whether it was waited for.
fn failed(sql: &Connection, result: &AttemptResult, error: &str) -> Result<bool> {
    let noted = statement::run(
        sql,
        "insert into attempts (delivery_seq, number, started_at, duration_ms, status, answer, error)
         select seq, earlier_attempts + ?3, ?4, ?5, ?6, ?7, ?8 from deliveries
         where seq = ?1 and id = ?2 and status = 'due' and attempts = ?3 - 1",
        params![
            result.seq,
            bits(result.delivery_id),
            result.attempts,
            result.started_at.0,
            duration_ms(result),
            result.status,
            result.answer,
            error,
        ],
    )?;
    if noted == 0 {
        return Ok(false);
    }
    let status = match result.next_attempt_at {
        Some(_) => DeliveryStatus::Due,
        None => DeliveryStatus::Failed,
    };
    // Nothing that was attempted is due among what was not.
    let next = result.next_attempt_at.map(|next| next.0.max(UNTRIED.0 + 1));
    let finished = next.is_none().then_some(result.finished_at.wall);
    statement::run(
        sql,
        "update deliveries set status = ?2, attempts = ?3, due_at = coalesce(?4, due_at), last_error = ?5,
                finished_at = ?6
         where seq = ?1",
        params![
            result.seq,
            Name(status),
            result.attempts,
            next,
            error,
            finished.map(Timestamp::millis),
        ],
    )?;
    Ok(true)
}

fn duration_ms(result: &AttemptResult) -> i64 {
    i64::try_from(result.duration_ms).unwrap_or(i64::MAX)
}
