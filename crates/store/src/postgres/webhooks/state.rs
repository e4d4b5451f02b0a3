//! A webhook is enabled and disabled: by hand, with the key that made it, or for what its endpoint answers.

use switchboard_model::{
    Account, Key, Timestamp, Webhook,
    id::Id,
    webhook::{DisabledReason, IllegalStep, WebhookState, WebhookStep},
};
use tokio_postgres::Row;

use crate::{
    Result, StoreError,
    base::{deliveries::LOOKED_AT_FOR_MISSED, outcomes::Standing},
    postgres::engine::{
        columns::{Bits, Column, Name, Number, bits, bits_of},
        connection::Sql,
        statement,
        transaction::Tx,
    },
};

/// Since when a webhook in this state has missed events; none if it is active.
pub(super) async fn missed_since(
    sql: &Sql,
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
           select event_seq from (
             select event_seq, finished_at from deliveries
             where status = 'failed' and webhook_id = $1 order by event_seq limit $3) looked_at
           where finished_at >= $2 order by event_seq limit 1) d
         join events e on e.seq = d.event_seq",
        &[&bits(id), &began.0, &statement::limit(LOOKED_AT_FOR_MISSED)],
        |row| Ok(Timestamp(row.try_get(0)?)),
    )
    .await?;
    Ok(Some(oldest.map_or(began, |oldest| oldest.min(began))))
}

/// How many are not active.
pub(in crate::postgres) async fn count_disabled(sql: &Sql) -> Result<u64> {
    let count = "select count(*) from webhooks where not is_active";
    let count = statement::first(sql, count, &[], |row| row.try_get::<_, Number<u64>>(0)).await?;
    Ok(count.map_or(0, |count| count.0))
}

/// The active webhooks that a key of this account has made.
pub(in crate::postgres) async fn made_by(
    sql: &Sql,
    account: Id<Account>,
    key: Id<Key>,
) -> Result<Vec<Id<Webhook>>> {
    statement::all(
        sql,
        "select id from webhooks where account_id = $1 and created_by = $2 and is_active order by seq",
        &[&bits(account), &bits(key)],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await
}

/// Disables them, as by hand; answers which, the oldest first.
pub(in crate::postgres) async fn disable_made_by(
    tx: &Tx,
    account: Id<Account>,
    key: Id<Key>,
    now: Timestamp,
) -> Result<Vec<Id<Webhook>>> {
    let mut made = statement::all(
        &tx.sql,
        "select is_active, failing_since, disabled_at, disabled_reason, failing_from, last_failed_at, id, seq
         from webhooks where account_id = $1 and created_by = $2 and is_active
         order by id for update",
        &[&bits(account), &bits(key)],
        |row| Ok((row.try_get::<_, i64>(7)?, row.try_get::<_, Bits<_>>(6)?.id(), standing(row)?)),
    )
    .await?;
    made.sort_unstable_by_key(|(seq, ..)| *seq);
    let disable = |(_, id, standing): &(i64, Id<Webhook>, Standing)| {
        let state = standing.state.after(WebhookStep::Disable, now).map_err(illegal)?;
        Ok((*id, standing.in_state(state)))
    };
    set_standings(&tx.sql, &made.iter().map(disable).collect::<Result<Vec<_>>>()?).await?;
    Ok(made.into_iter().map(|(_, id, _)| id).collect())
}

pub(super) fn illegal(step: IllegalStep) -> StoreError {
    StoreError::Database(Box::new(step))
}

/// Where these webhooks go and how they stand: those that are said to fail, or that these attempts may say it of. They
/// stay so until the transaction ends. Of the others nothing is to be noted, whatever has worked.
pub(in crate::postgres) async fn to_be_noted(
    sql: &Sql,
    of: &[Id<Webhook>],
    that_failed: &[Id<Webhook>],
) -> Result<Vec<(Id<Webhook>, String, Standing)>> {
    statement::all(
        sql,
        "select is_active, failing_since, disabled_at, disabled_reason, failing_from, last_failed_at, id, url
         from webhooks where id = any($1) and (failing_since is not null or id = any($2))
         order by id for update",
        &[&bits_of(of), &bits_of(that_failed)],
        |row| Ok((row.try_get::<_, Bits<_>>(6)?.id(), row.try_get(7)?, standing(row)?)),
    )
    .await
}

fn standing(row: &Row) -> Column<Standing> {
    let time = |column| Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp));
    Ok(Standing {
        state: WebhookState {
            is_active: row.try_get(0)?,
            failing_since: time(1)?,
            disabled_at: time(2)?,
            disabled_reason: row.try_get::<_, Option<Name<_>>>(3)?.map(|reason| reason.0),
        },
        failing_from: time(4)?,
        last_failed_at: time(5)?,
    })
}

/// Webhooks, which are locked, stand like this now.
pub(in crate::postgres) async fn set_standings(
    sql: &Sql,
    standings: &[(Id<Webhook>, Standing)],
) -> Result<()> {
    if standings.is_empty() {
        return Ok(());
    }
    let (ids, active): (Vec<_>, Vec<bool>) =
        standings.iter().map(|(id, standing)| (bits(*id), standing.state.is_active)).unzip();
    let times = |of: fn(&Standing) -> Option<Timestamp>| -> Vec<Option<i64>> {
        standings.iter().map(|(_, standing)| of(standing).map(Timestamp::millis)).collect()
    };
    let reasons: Vec<Option<Name<DisabledReason>>> =
        standings.iter().map(|(_, standing)| standing.state.disabled_reason.map(Name)).collect();
    statement::run(
        sql,
        "update webhooks w set is_active = now.is_active, failing_since = now.failing_since,
                disabled_at = now.disabled_at, disabled_reason = now.disabled_reason,
                failing_from = now.failing_from, last_failed_at = now.last_failed_at
         from unnest($1::uuid[], $2::boolean[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
              as now (id, is_active, failing_since, disabled_at, disabled_reason, failing_from, last_failed_at)
         where w.id = now.id",
        &[
            &ids,
            &active,
            &times(|one| one.state.failing_since),
            &times(|one| one.state.disabled_at),
            &reasons,
            &times(|one| one.failing_from),
            &times(|one| one.last_failed_at),
        ],
    )
    .await?;
    Ok(())
}
