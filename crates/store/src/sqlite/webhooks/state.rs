//! A webhook is enabled and disabled: by hand, with the key that made it, or for what its endpoint answers.

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Key, Timestamp, Webhook,
    id::Id,
    webhook::{DisabledReason, IllegalStep, WebhookState, WebhookStep},
};

use super::{Found, find};
use crate::{
    Result, StoreError,
    base::{
        deliveries::LOOKED_AT_FOR_MISSED,
        outcomes::{OutcomeSummary, Standing},
    },
    sqlite::engine::{
        columns::{Bits, Name, bits},
        statement,
        writer::Tx,
    },
};

pub(super) fn set_state(sql: &Connection, id: Id<Webhook>, state: WebhookState) -> Result<()> {
    statement::run(
        sql,
        "update webhooks set is_active = ?2, failing_since = ?3, disabled_at = ?4, disabled_reason = ?5,
                failing_from = iif(?3 is null, null, failing_from)
         where id = ?1",
        params![
            bits(id),
            state.is_active,
            state.failing_since.map(Timestamp::millis),
            state.disabled_at.map(Timestamp::millis),
            state.disabled_reason.map(Name),
        ],
    )?;
    Ok(())
}

pub(super) fn illegal(step: IllegalStep) -> StoreError {
    StoreError::Database(Box::new(step))
}

/// The active webhooks that a key of this account has made.
pub(in crate::sqlite) fn made_by(
    sql: &Connection,
    account: Id<Account>,
    key: Id<Key>,
) -> Result<Vec<Id<Webhook>>> {
    statement::all(
        sql,
        "select id from webhooks where account_id = ?1 and created_by = ?2 and is_active = 1 order by seq",
        params![bits(account), bits(key)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

/// Disables them, as by hand.
pub(in crate::sqlite) fn disable_made_by(
    tx: &mut Tx<'_>,
    account: Id<Account>,
    key: Id<Key>,
    now: Timestamp,
) -> Result<Vec<Id<Webhook>>> {
    let made = made_by(tx.sql, account, key)?;
    for id in &made {
        let Found { webhook, .. } = find(tx.sql, account, *id, now)?;
        let state = webhook.state().after(WebhookStep::Disable, now).map_err(illegal)?;
        set_state(tx.sql, *id, state)?;
    }
    if !made.is_empty() {
        tx.cache.forget_webhooks(account);
    }
    Ok(made)
}

/// Since when a webhook in this state has missed events; none if it is active.
pub(super) fn missed_since(
    sql: &Connection,
    id: Id<Webhook>,
    state: WebhookState,
) -> Result<Option<Timestamp>> {
    let WebhookState { failing_since, disabled_at: Some(disabled_at), .. } = state else {
        return Ok(None);
    };
    let began = failing_since.map_or(disabled_at, |since| since.min(disabled_at));
    // An event is older than the failure of its first attempt, and than a webhook that was disabled
    // before all its attempts were made.
    let oldest = statement::first(
        sql,
        "select e.created_at from (
           select event_seq, finished_at from deliveries indexed by deliveries_failed
           where status = 'failed' and webhook_id = ?1 order by event_seq limit ?3) d
         cross join events e on e.seq = d.event_seq
         where d.finished_at >= ?2 limit 1",
        params![bits(id), began.0, statement::limit(LOOKED_AT_FOR_MISSED)],
        |row| Ok(Timestamp(row.get(0)?)),
    )?;
    Ok(Some(oldest.map_or(began, |oldest| oldest.min(began))))
}

/// How many are not active.
pub(in crate::sqlite) fn count_disabled(sql: &Connection) -> Result<u64> {
    let count =
        statement::first(sql, "select count(*) from webhooks where is_active = 0", [], |row| {
            row.get::<_, u32>(0)
        })?;
    Ok(count.map_or(0, u64::from))
}

/// Notes what attempts have said of a webhook; disables it if that is enough. Attempts at a URL that it does not
/// have any more say nothing of it.
pub(in crate::sqlite) fn note(
    tx: &mut Tx<'_>,
    id: Id<Webhook>,
    url: &str,
    summary: &OutcomeSummary,
) -> Result<Option<DisabledReason>> {
    let known = statement::first(
        tx.sql,
        "select is_active, failing_since, disabled_at, disabled_reason, failing_from, last_failed_at,
                account_id
         from webhooks where id = ?1 and url = ?2",
        params![bits(id), url],
        |row| Ok((standing(row)?, row.get::<_, Bits<_>>(6)?.id())),
    )?;
    let Some((before, account)) = known else { return Ok(None) };
    let mut noted = before;
    let disabled = noted.note(summary);
    if noted != before {
        statement::run(
            tx.sql,
            "update webhooks set is_active = ?2, failing_since = ?3, disabled_at = ?4, disabled_reason = ?5,
                    failing_from = ?6, last_failed_at = ?7
             where id = ?1",
            params![
                bits(id),
                noted.state.is_active,
                noted.state.failing_since.map(Timestamp::millis),
                noted.state.disabled_at.map(Timestamp::millis),
                noted.state.disabled_reason.map(Name),
                noted.failing_from.map(Timestamp::millis),
                noted.last_failed_at.map(Timestamp::millis),
            ],
        )?;
    }
    if disabled.is_some() {
        tx.cache.forget_webhooks(account);
    }
    Ok(disabled)
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        state: WebhookState {
            is_active: row.get(0)?,
            failing_since: row.get::<_, Option<i64>>(1)?.map(Timestamp),
            disabled_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
            disabled_reason: row.get::<_, Option<Name<_>>>(3)?.map(|reason| reason.0),
        },
        failing_from: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        last_failed_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}
