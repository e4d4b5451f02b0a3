//! Deliveries: durable from the commit of their event, leased to one sender at a time.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use rusqlite::{Connection, params};
use serde_json::value::RawValue;
use switchboard_model::{
    Timestamp, Webhook,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
    webhook::WebhookSecret,
};

use super::{
    columns::{Json, Name, Text},
    events::Moment,
    statement,
    writer::Tx,
};
use crate::{CommittedEvent, Result};

/// Makes a delivery of the event for each webhook that wants it. They are due when the lease ends: if
/// the caller dies with them, they are claimed like any other.
pub(super) fn lease_new(
    tx: &mut Tx<'_>,
    event: &CommittedEvent,
    moment: Moment,
    leased: &mut Vec<DueDelivery>,
) -> Result<()> {
    let subscribers = tx.known.subscribers(tx.sql, event.account_id)?;
    for webhook in subscribers.iter().filter(|one| one.wants(event.kind, event.line_id)) {
        let id = Id::generate();
        statement::run(
            tx.sql,
            "insert into deliveries (id, webhook_id, account_id, event_seq, status, due_at, leased, created_at)
             values (?1, ?2, ?3, ?4, 'due', ?5, 1, ?6)",
            params![
                Text(id),
                Text(webhook.webhook_id),
                Text(event.account_id),
                event.seq,
                moment.lease_until.0,
                moment.now.0,
            ],
        )?;
        leased.push(DueDelivery {
            id,
            webhook_id: webhook.webhook_id,
            url: Arc::clone(&webhook.url),
            secret: Arc::clone(&webhook.secret),
            event: event.kind,
            chat_id: event.chat_id,
            data: Arc::clone(&event.data),
            attempts: 0,
        });
    }
    Ok(())
}

pub(super) fn claim(
    sql: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    limit: usize,
) -> Result<Vec<DueDelivery>> {
    // A backlog is mostly that of a few webhooks: their URL and secret are kept once.
    let mut webhooks: HashMap<Id<Webhook>, (Arc<str>, Arc<WebhookSecret>)> = HashMap::new();
    let due = statement::all(
        sql,
        "select d.seq, d.id, d.webhook_id, d.attempts, w.url, w.secret, e.kind, e.chat_id, e.data
         from deliveries d indexed by deliveries_due
         cross join webhooks w on w.id = d.webhook_id
         cross join events e on e.seq = d.event_seq
         where d.status = 'due' and d.due_at <= ?1 and w.is_active = 1
         order by d.due_at, d.seq limit ?2",
        params![now.0, statement::limit(limit)],
        |row| {
            let webhook_id = row.get::<_, Text<_>>(2)?.0;
            let (url, secret) = match webhooks.entry(webhook_id) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => {
                    let secret = Arc::new(WebhookSecret::from_stored(row.get(5)?));
                    new.insert((row.get(4)?, secret)).clone()
                }
            };
            let delivery = DueDelivery {
                id: row.get::<_, Text<_>>(1)?.0,
                webhook_id,
                url,
                secret,
                event: row.get::<_, Name<_>>(6)?.0,
                chat_id: row.get::<_, Option<Text<_>>>(7)?.map(|id| id.0),
                data: Arc::from(row.get::<_, Json<Box<RawValue>>>(8)?.0),
                attempts: row.get(3)?,
            };
            Ok((row.get::<_, i64>(0)?, delivery))
        },
    )?;
    let mut leased = Vec::with_capacity(due.len());
    for (seq, delivery) in due {
        statement::run(
            sql,
            "update deliveries set due_at = ?2, leased = 1 where seq = ?1",
            params![seq, lease_until.0],
        )?;
        leased.push(delivery);
    }
    Ok(leased)
}

pub(super) fn release(sql: &Connection, ids: &[Id<Delivery>], now: Timestamp) -> Result<()> {
    for id in ids {
        statement::run(
            sql,
            "update deliveries set due_at = ?2, leased = 0
             where id = ?1 and status = 'due' and leased = 1",
            params![Text(*id), now.0],
        )?;
    }
    Ok(())
}

pub(super) fn release_all(sql: &Connection, now: Timestamp) -> Result<()> {
    statement::run(
        sql,
        "update deliveries indexed by deliveries_due set due_at = ?1, leased = 0
         where status = 'due' and leased = 1",
        params![now.0],
    )?;
    Ok(())
}

/// A result of what is settled, or gone with its webhook, changes nothing.
pub(super) fn settle(sql: &Connection, results: &[AttemptResult]) -> Result<()> {
    for result in results {
        let (status, next) = match (&result.error, result.next_attempt_at) {
            (None, _) => ("delivered", None),
            (Some(_), None) => ("failed", None),
            (Some(_), Some(next)) => ("due", Some(next)),
        };
        let finished = next.is_none().then_some(result.finished_at);
        statement::run(
            sql,
            "update deliveries set status = ?2, attempts = ?3, due_at = coalesce(?4, due_at), leased = 0,
                    last_status = ?5, last_error = ?6, finished_at = ?7
             where id = ?1 and status = 'due'",
            params![
                Text(result.delivery_id),
                status,
                result.attempts,
                next.map(Timestamp::millis),
                result.status,
                result.error,
                finished.map(Timestamp::millis),
            ],
        )?;
    }
    Ok(())
}

pub(super) fn next_at(sql: &Connection) -> Result<Option<Timestamp>> {
    statement::first(
        sql,
        "select d.due_at from deliveries d indexed by deliveries_due
         cross join webhooks w on w.id = d.webhook_id
         where d.status = 'due' and w.is_active = 1 order by d.due_at, d.seq limit 1",
        [],
        |row| Ok(Timestamp(row.get(0)?)),
    )
}

/// Removes what is still due of a webhook that goes. What is over goes with its event.
pub(super) fn forget_due_of(sql: &Connection, webhook: Id<Webhook>) -> Result<()> {
    statement::run(
        sql,
        "delete from deliveries indexed by deliveries_due where status = 'due' and webhook_id = ?1",
        params![Text(webhook)],
    )?;
    Ok(())
}
