//! What may be attempted now, and of whom: reads, which the delivery engine makes.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use serde_json::value::RawValue;
use switchboard_model::{
    Account, EventKind, Timestamp, Webhook,
    delivery::{DueDelivery, Secrets},
    id::Id,
};

use crate::{
    DueDeliveries, DueQuery, Result, StoreError,
    base::{deliveries::UNTRIED, seal::Seal},
    sqlite::engine::{
        columns::{Bits, Json, Name, bits, sealed},
        statement,
    },
};

/// What an attempt needs of a webhook.
struct Endpoint {
    id: Id<Webhook>,
    account_id: Id<Account>,
    url: Arc<str>,
    secrets: Arc<Secrets>,
    events: Vec<EventKind>,
}

/// A row that can't be read keeps its own webhook back, and no other.
pub(super) fn of_readable(
    sql: &Connection,
    seal: &Seal,
    query: &DueQuery,
    now: Timestamp,
) -> Result<DueDeliveries> {
    match of(sql, seal, query, now) {
        Err(error @ (StoreError::Database(_) | StoreError::Unreadable { .. })) => {
            let webhook = query.webhook_id;
            tracing::error!(%webhook, %error, "the deliveries of a webhook can't be read");
            Ok(DueDeliveries { is_active: false, ..nothing(webhook) })
        }
        done => done,
    }
}

fn nothing(webhook_id: Id<Webhook>) -> DueDeliveries {
    DueDeliveries {
        webhook_id,
        is_active: true,
        untried: Vec::new(),
        more_from: None,
        retries: Vec::new(),
        next_retry_at: None,
        unnamed: Vec::new(),
    }
}

fn of(sql: &Connection, seal: &Seal, query: &DueQuery, now: Timestamp) -> Result<DueDeliveries> {
    let webhook_id = query.webhook_id;
    let mut due = nothing(webhook_id);
    let Some(endpoint) = endpoint(sql, seal, webhook_id)? else {
        return Ok(DueDeliveries { is_active: false, ..due });
    };
    if query.untried > 0 {
        due.untried = untried(sql, &endpoint, query.from, query.untried)?;
        let last = due.untried.last().filter(|_| due.untried.len() == query.untried);
        due.more_from = last.map(|delivery| delivery.seq + 1);
    }
    if query.retries > 0 {
        due.retries = retries(sql, &endpoint, now, query.retries)?;
        due.next_retry_at = if due.retries.len() < query.retries {
            next_retry(sql, webhook_id, now)?
        } else {
            Some(now)
        };
    }
    for deliveries in [&mut due.untried, &mut due.retries] {
        deliveries.retain(|delivery| {
            let is_named = endpoint.events.contains(&delivery.event);
            if !is_named {
                due.unnamed.push(delivery.seq);
            }
            is_named
        });
    }
    Ok(due)
}

/// None of one that is not active.
fn endpoint(sql: &Connection, seal: &Seal, id: Id<Webhook>) -> Result<Option<Endpoint>> {
    statement::first(
        sql,
        "select account_id, url, secret, previous_secret, previous_until, events from webhooks
         where id = ?1 and is_active = 1",
        params![bits(id)],
        |row| {
            Ok(Endpoint {
                id,
                account_id: row.get::<_, Bits<_>>(0)?.id(),
                url: row.get(1)?,
                secrets: Arc::new(seal.secrets(id, &sealed(row, [2, 3, 4])?)?),
                events: row.get::<_, Json<_>>(5)?.0,
            })
        },
    )
}

fn untried(
    sql: &Connection,
    endpoint: &Endpoint,
    from: i64,
    limit: usize,
) -> Result<Vec<DueDelivery>> {
    statement::all(
        sql,
        "select d.seq, d.id, d.attempts, e.kind, e.chat_id, e.data, coalesce(d.round_at, d.created_at)
         from deliveries d indexed by deliveries_due
         cross join events e on e.seq = d.event_seq
         where d.status = 'due' and d.webhook_id = ?1 and d.due_at = ?2 and d.seq >= ?3
         order by d.seq limit ?4",
        params![bits(endpoint.id), UNTRIED.0, from, statement::limit(limit)],
        |row| delivery(row, endpoint),
    )
}

fn retries(
    sql: &Connection,
    endpoint: &Endpoint,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueDelivery>> {
    statement::all(
        sql,
        "select d.seq, d.id, d.attempts, e.kind, e.chat_id, e.data, coalesce(d.round_at, d.created_at)
         from deliveries d indexed by deliveries_due
         cross join events e on e.seq = d.event_seq
         where d.status = 'due' and d.webhook_id = ?1 and d.due_at > ?2 and d.due_at <= ?3
         order by d.due_at, d.seq limit ?4",
        params![bits(endpoint.id), UNTRIED.0, now.0, statement::limit(limit)],
        |row| delivery(row, endpoint),
    )
}

fn next_retry(sql: &Connection, webhook: Id<Webhook>, now: Timestamp) -> Result<Option<Timestamp>> {
    statement::first(
        sql,
        "select due_at from deliveries indexed by deliveries_due
         where status = 'due' and webhook_id = ?1 and due_at > ?2 order by due_at limit 1",
        params![bits(webhook), now.0.max(UNTRIED.0)],
        |row| Ok(Timestamp(row.get(0)?)),
    )
}

fn delivery(row: &Row<'_>, endpoint: &Endpoint) -> rusqlite::Result<DueDelivery> {
    Ok(DueDelivery {
        seq: row.get(0)?,
        id: row.get::<_, Bits<_>>(1)?.id(),
        webhook_id: endpoint.id,
        account_id: endpoint.account_id,
        url: Arc::clone(&endpoint.url),
        secrets: Arc::clone(&endpoint.secrets),
        event: row.get::<_, Name<_>>(3)?.0,
        chat_id: row.get::<_, Option<Bits<_>>>(4)?.map(Bits::id),
        data: Arc::from(row.get::<_, Json<Box<RawValue>>>(5)?.0),
        attempts: row.get(2)?,
        since: Timestamp(row.get(6)?),
    })
}

pub(super) fn bring_forward(sql: &Connection, latest: Timestamp) -> Result<()> {
    statement::run(
        sql,
        "update deliveries indexed by deliveries_due set due_at = ?1
         where status = 'due' and due_at > ?1",
        params![latest.0],
    )?;
    Ok(())
}

/// What waits of one webhook.
pub(super) struct WaitingRow {
    pub(super) webhook: Id<Webhook>,
    /// Whether the webhook was deleted.
    pub(super) is_deleted: bool,
    /// Not if it was disabled or deleted.
    pub(super) is_active: bool,
    pub(super) has_untried: bool,
    /// When the first retry is due.
    pub(super) retry_at: Option<Timestamp>,
}

/// The most webhooks that one read steps over.
const WEBHOOKS: usize = 256;

/// Of the webhooks behind this one, by their ids; and behind which to go on, if there may be more. All are behind
/// [`Id::of_nothing`].
pub(super) fn waiting(
    sql: &Connection,
    webhook: Id<Webhook>,
) -> Result<(Vec<WaitingRow>, Option<Id<Webhook>>)> {
    // Steps from webhook to webhook, and looks at two places of each: a backlog is not read.
    let rows = statement::all(
        sql,
        "with recursive waiting (webhook_id, number) as (
           select * from (select webhook_id, 1 from deliveries indexed by deliveries_due
             where status = 'due' and webhook_id > ?2 order by webhook_id limit 1)
           union all
           select (select d.webhook_id from deliveries d indexed by deliveries_due
             where d.status = 'due' and d.webhook_id > waiting.webhook_id
             order by d.webhook_id limit 1), number + 1
           from waiting where waiting.webhook_id is not null and number < ?3
         )
         select waiting.webhook_id, w.id is null, coalesce(w.is_active, 0),
           exists (select 1 from deliveries d indexed by deliveries_due
             where d.status = 'due' and d.webhook_id = waiting.webhook_id and d.due_at = ?1),
           (select d.due_at from deliveries d indexed by deliveries_due
             where d.status = 'due' and d.webhook_id = waiting.webhook_id and d.due_at > ?1
             order by d.due_at limit 1)
         from waiting left join webhooks w on w.id = waiting.webhook_id
         where waiting.webhook_id is not null",
        params![UNTRIED.0, bits(webhook), statement::limit(WEBHOOKS)],
        |row| {
            Ok(WaitingRow {
                webhook: row.get::<_, Bits<_>>(0)?.id(),
                is_deleted: row.get(1)?,
                is_active: row.get(2)?,
                has_untried: row.get(3)?,
                retry_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            })
        },
    )?;
    let last = (rows.len() == WEBHOOKS).then(|| rows.last().map(|row| row.webhook));
    Ok((rows, last.flatten()))
}
