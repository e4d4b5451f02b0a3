//! Deliveries: durable from the commit of their event, leased to one sender at a time.

pub(super) mod backlog;
pub(super) mod list;
pub(super) mod rounds;

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, params};
use serde_json::value::RawValue;
use switchboard_model::{
    Account, EventKind, Timestamp, Webhook,
    delivery::{AttemptResult, Delivery, DeliveryStatus, DueDelivery, Secrets},
    id::Id,
    page::{Limit, Page},
    time::Now,
    webhook::DisabledReason,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    SqliteStore,
    engine::{
        columns::{Json, Name, Text},
        read_queue::Owner,
        seal::Sealed,
        statement,
        writer::Tx,
    },
    events::Moment,
    idempotency, webhooks,
};
use crate::{
    Backlog, CommittedEvent, Deliveries, DeliveriesCursor, DeliveryFilter, Due, Grant,
    IdempotencyRecord, Idempotent, Result,
};

#[async_trait::async_trait]
impl Deliveries for SqliteStore {
    async fn claim_deliveries(
        &self,
        now: Now,
        lease_until: Timestamp,
        of: Vec<(Id<Webhook>, usize)>,
    ) -> Result<Vec<DueDelivery>> {
        self.writer.run(move |tx| claim(tx, now, lease_until, &of)).await
    }

    async fn release_deliveries(&self, ids: Vec<Id<Delivery>>, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| release(tx.sql, &ids, now)).await
    }

    async fn release_all_deliveries(
        &self,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Vec<Id<Webhook>>> {
        self.writer.run(move |tx| release_all(tx.sql, now, latest)).await
    }

    async fn settle_deliveries(
        &self,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<(Id<Webhook>, DisabledReason)>> {
        self.writer.run(move |tx| settle(tx, &results)).await
    }

    fn hand_over_to(&self, receiver: UnboundedSender<Vec<DueDelivery>>) {
        self.handover.to(receiver);
    }

    async fn due_deliveries(&self, now: Timestamp) -> Result<Due> {
        let list = self.readers.list(Owner::System);
        let (mut all, mut after) = (Due::default(), Some(String::new()));
        while let Some(place) = after {
            let slice = move |sql: &_| due(sql, now, &place);
            let (found, next) = list.ask(slice).await?;
            all.webhooks.extend(found.webhooks);
            all.next_at = all.next_at.into_iter().chain(found.next_at).min();
            after = next;
        }
        Ok(all)
    }

    async fn deliveries_backlog(&self, now: Now) -> Result<Backlog> {
        let scan = self.readers.scan(Owner::System);
        let mut counting = backlog::Counting::new(now);
        while !counting.is_done() {
            counting = scan.ask(move |sql| counting.slice(sql)).await?;
        }
        let disabled = scan.ask(webhooks::count_disabled).await?;
        Ok(Backlog { webhooks: counting.into_webhooks(), disabled })
    }

    async fn deliveries(
        &self,
        account: Id<Account>,
        filter: DeliveryFilter,
        after: Option<DeliveriesCursor>,
        limit: Limit,
        now: Now,
    ) -> Result<Page<Delivery, 3>> {
        let scan = self.readers.scan(account);
        let mut walk = list::Walk::new(account, filter, after, limit, now);
        while !walk.is_done() {
            walk = scan.ask(move |sql| walk.slice(sql)).await?;
        }
        Ok(walk.into_page())
    }

    async fn retry_delivery(
        &self,
        grant: Grant,
        id: Id<Delivery>,
        remember: Option<IdempotencyRecord>,
        now: Now,
    ) -> Result<Idempotent<Id<Webhook>>> {
        self.writer
            .run(move |tx| {
                let retry = |tx: &mut Tx<'_>| rounds::retry(tx.sql, &grant, id, now);
                idempotency::once(tx, remember, retry)
            })
            .await
    }

    async fn give_up_deliveries(&self, now: Now, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| rounds::give_up(tx.sql, now, limit)).await
    }
}

/// Makes a delivery of the event for each webhook that wants it. They are due when the lease ends: if
/// the caller dies with them, they are claimed like any other.
pub(super) fn lease_new(
    tx: &mut Tx<'_>,
    event: &CommittedEvent,
    moment: Moment,
    leased: &mut Vec<DueDelivery>,
) -> Result<()> {
    let subscribers = tx.known.subscribers(tx.sql, tx.seal, event.account_id)?;
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
            seq: tx.sql.last_insert_rowid(),
            id,
            webhook_id: webhook.webhook_id,
            account_id: event.account_id,
            url: Arc::clone(&webhook.url),
            secrets: Arc::clone(&webhook.secrets),
            event: event.kind,
            chat_id: event.chat_id,
            data: Arc::clone(&event.data),
            attempts: 0,
            since: moment.now,
        });
    }
    Ok(())
}

/// What an attempt needs of a webhook.
struct Endpoint {
    id: Id<Webhook>,
    account_id: Id<Account>,
    url: Arc<str>,
    secrets: Arc<Secrets>,
    events: Vec<EventKind>,
}

/// Why a delivery is given up whose event its webhook names no longer: whoever narrows a webhook and then gives it
/// another URL must not get there what only others may read.
const NO_LONGER_NAMED: &str = "the webhook no longer names this event";

/// Times that a claim looks for more of a webhook of which all that it found was given up.
const CLAIM_PASSES: usize = 8;

pub(super) fn claim(
    tx: &mut Tx<'_>,
    now: Now,
    lease_until: Timestamp,
    of: &[(Id<Webhook>, usize)],
) -> Result<Vec<DueDelivery>> {
    let Tx { sql, known, seal } = tx;
    let mut leased = Vec::new();
    for &(id, most) in of {
        let endpoint = statement::first(
            sql,
            "select account_id, url, secret, previous_secret, previous_until, events from webhooks
             where id = ?1 and is_active = 1",
            params![Text(id)],
            |row| {
                let secrets = known.secrets(seal, id, Sealed::of(row, [2, 3, 4])?)?;
                let account_id = row.get::<_, Text<_>>(0)?.0;
                let events = row.get::<_, Json<_>>(5)?.0;
                Ok(Endpoint { id, account_id, url: row.get(1)?, secrets, events })
            },
        )?;
        let Some(endpoint) = endpoint else { continue };
        for _ in 0..CLAIM_PASSES {
            let (due, given_up) = claim_once(sql, &endpoint, now, lease_until, most)?;
            let is_done = !due.is_empty() || given_up == 0;
            leased.extend(due);
            if is_done {
                break;
            }
        }
    }
    Ok(leased)
}

/// What was leased, and how many were given up instead.
fn claim_once(
    sql: &Connection,
    endpoint: &Endpoint,
    now: Now,
    lease_until: Timestamp,
    most: usize,
) -> Result<(Vec<DueDelivery>, usize)> {
    // A long backlog must not keep back the retries, nor they it.
    let mut due = due_between(sql, endpoint, UNTRIED, UNTRIED, most - most / 4)?;
    due.extend(due_between(sql, endpoint, AFTER_UNTRIED, now.steady, most - due.len())?);
    let (due, unnamed): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|delivery| endpoint.events.contains(&delivery.event));
    for delivery in &due {
        statement::run(
            sql,
            "update deliveries set due_at = ?2, leased = 1 where seq = ?1",
            params![delivery.seq, lease_until.0],
        )?;
    }
    for delivery in &unnamed {
        statement::run(
            sql,
            "update deliveries set status = 'failed', last_error = ?3, finished_at = ?2 where seq = ?1",
            params![delivery.seq, now.wall.0, NO_LONGER_NAMED],
        )?;
    }
    Ok((due, unnamed.len()))
}

/// When a delivery is due that was given back unattempted: always, and before any other.
pub(super) const UNTRIED: Timestamp = Timestamp(0);
const AFTER_UNTRIED: Timestamp = Timestamp(1);

fn due_between(
    sql: &Connection,
    endpoint: &Endpoint,
    first: Timestamp,
    last: Timestamp,
    limit: usize,
) -> Result<Vec<DueDelivery>> {
    statement::all(
        sql,
        "select d.seq, d.id, d.attempts, e.kind, e.chat_id, e.data, coalesce(d.round_at, d.created_at)
         from deliveries d indexed by deliveries_due
         cross join events e on e.seq = d.event_seq
         where d.status = 'due' and d.webhook_id = ?1 and d.due_at between ?2 and ?3
         order by d.due_at, d.seq limit ?4",
        params![Text(endpoint.id), first.0, last.0, statement::limit(limit)],
        |row| {
            Ok(DueDelivery {
                seq: row.get(0)?,
                id: row.get::<_, Text<_>>(1)?.0,
                webhook_id: endpoint.id,
                account_id: endpoint.account_id,
                url: Arc::clone(&endpoint.url),
                secrets: Arc::clone(&endpoint.secrets),
                event: row.get::<_, Name<_>>(3)?.0,
                chat_id: row.get::<_, Option<Text<_>>>(4)?.map(|id| id.0),
                data: Arc::from(row.get::<_, Json<Box<RawValue>>>(5)?.0),
                attempts: row.get(2)?,
                since: Timestamp(row.get(6)?),
            })
        },
    )
}

pub(super) fn release(sql: &Connection, ids: &[Id<Delivery>], now: Timestamp) -> Result<()> {
    for id in ids {
        statement::run(
            sql,
            "update deliveries set due_at = iif(attempts = 0, ?3, ?2), leased = 0
             where id = ?1 and status = 'due' and leased = 1",
            params![Text(*id), now.0, UNTRIED.0],
        )?;
    }
    Ok(())
}

pub(super) fn release_all(
    sql: &Connection,
    now: Timestamp,
    latest: Timestamp,
) -> Result<Vec<Id<Webhook>>> {
    statement::run(
        sql,
        "update deliveries indexed by deliveries_due
         set due_at = case when leased = 0 then ?3 when attempts = 0 then ?2 else ?1 end, leased = 0
         where status = 'due' and (leased = 1 or due_at > ?3)",
        params![now.0, UNTRIED.0, latest.0],
    )?;
    let rows = due_by_webhook(sql, now, true)?;
    Ok(rows.into_iter().filter(|row| row.first == UNTRIED).map(|row| row.webhook).collect())
}

/// What waits of one webhook.
struct Waiting {
    webhook: Id<Webhook>,
    /// Whether the webhook was deleted.
    is_gone: bool,
    /// Not if it was disabled or deleted.
    is_active: bool,
    /// When the first is due.
    first: Timestamp,
    /// When the first is due that is not due yet.
    later: Option<Timestamp>,
}

/// The most webhooks that one read steps over.
const WEBHOOKS: usize = 256;

/// Of active webhooks, or of those that are not: disabled or deleted.
fn due_by_webhook(sql: &Connection, now: Timestamp, is_active: bool) -> Result<Vec<Waiting>> {
    let (mut all, mut after) = (Vec::new(), Some(String::new()));
    while let Some(place) = after {
        let rows;
        (rows, after) = due_behind(sql, now, &place)?;
        all.extend(rows.into_iter().filter(|row| row.is_active == is_active));
    }
    Ok(all)
}

/// Of the webhooks behind this one, by their ids; and behind which to go on, if there may be more.
fn due_behind(
    sql: &Connection,
    now: Timestamp,
    webhook: &str,
) -> Result<(Vec<Waiting>, Option<String>)> {
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
           (select d.due_at from deliveries d indexed by deliveries_due
             where d.status = 'due' and d.webhook_id = waiting.webhook_id
             order by d.due_at limit 1),
           (select d.due_at from deliveries d indexed by deliveries_due
             where d.status = 'due' and d.webhook_id = waiting.webhook_id and d.due_at > ?1
             order by d.due_at limit 1)
         from waiting left join webhooks w on w.id = waiting.webhook_id
         where waiting.webhook_id is not null",
        params![now.0, webhook, statement::limit(WEBHOOKS)],
        |row| {
            Ok(Waiting {
                webhook: row.get::<_, Text<_>>(0)?.0,
                is_gone: row.get(1)?,
                is_active: row.get(2)?,
                first: Timestamp(row.get(3)?),
                later: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            })
        },
    )?;
    let last = (rows.len() == WEBHOOKS).then(|| rows.last().map(|row| row.webhook.to_string()));
    Ok((rows, last.flatten()))
}

/// A result of what is settled, or gone with its webhook, changes nothing. Answers which webhooks this
/// has disabled.
pub(super) fn settle(
    tx: &mut Tx<'_>,
    results: &[AttemptResult],
) -> Result<Vec<(Id<Webhook>, DisabledReason)>> {
    let mut trends: HashMap<(Id<Webhook>, &str), Trend> = HashMap::new();
    for result in results {
        if settle_one(tx.sql, result)? {
            let key = (result.webhook_id, &*result.url);
            trends.entry(key).or_insert_with(|| Trend::new(result.finished_at)).note(result);
        }
    }
    let mut disabled = Vec::new();
    for ((webhook, url), trend) in trends {
        if let Some(reason) = webhooks::note(tx, webhook, url, &trend)? {
            disabled.push((webhook, reason));
        }
    }
    Ok(disabled)
}

/// What some attempts in a row say of a webhook's endpoint.
#[derive(Debug)]
pub(super) struct Trend {
    /// Whether any succeeded.
    pub(super) worked: bool,
    /// When the first failed that failed after the last success.
    pub(super) failing_since: Option<Now>,
    /// When the last ended; it has failed if `failing_since` is there.
    pub(super) now: Now,
    /// Whether the endpoint said that it is gone.
    pub(super) is_gone: bool,
}

impl Trend {
    fn new(now: Now) -> Self {
        Self { worked: false, failing_since: None, now, is_gone: false }
    }

    fn note(&mut self, result: &AttemptResult) {
        self.now = result.finished_at;
        self.is_gone |= result.is_gone;
        if result.error.is_none() {
            self.worked = true;
            self.failing_since = None;
        } else {
            self.failing_since.get_or_insert(result.finished_at);
        }
    }
}

/// Whether it was waited for.
fn settle_one(sql: &Connection, result: &AttemptResult) -> Result<bool> {
    let (status, next) = match (&result.error, result.next_attempt_at) {
        (None, _) => (DeliveryStatus::Delivered, None),
        (Some(_), None) => (DeliveryStatus::Failed, None),
        (Some(_), Some(next)) => (DeliveryStatus::Due, Some(next)),
    };
    let finished = next.is_none().then_some(result.finished_at.wall);
    // Two leases of one delivery, the first over before its attempt was, have the same number.
    let waited_for = statement::run(
        sql,
        "insert or ignore into attempts (delivery_seq, number, started_at, duration_ms, status, answer, error)
         select seq, earlier_attempts + ?3, ?4, ?5, ?6, ?7, ?8 from deliveries
         where seq = ?1 and id = ?2 and status = 'due'",
        params![
            result.seq,
            Text(result.delivery_id),
            result.attempts,
            result.started_at.0,
            i64::try_from(result.duration_ms).unwrap_or(i64::MAX),
            result.status,
            result.answer,
            result.error,
        ],
    )?;
    if waited_for == 0 {
        return Ok(false);
    }
    statement::run(
        sql,
        "update deliveries set status = ?2, attempts = ?3, due_at = coalesce(?4, due_at), leased = 0,
                last_error = ?5, finished_at = ?6
         where seq = ?1",
        params![
            result.seq,
            Name(status),
            result.attempts,
            next.map(Timestamp::millis),
            result.error,
            finished.map(Timestamp::millis),
        ],
    )?;
    Ok(true)
}

/// Of the webhooks behind this one, by their ids; and behind which to go on, if there may be more.
pub(super) fn due(
    sql: &Connection,
    now: Timestamp,
    webhook: &str,
) -> Result<(Due, Option<String>)> {
    let (mut rows, next) = due_behind(sql, now, webhook)?;
    rows.retain(|row| row.is_active);
    let next_at = rows.iter().filter_map(|row| row.later).min();
    let is_due = rows.into_iter().filter(|row| row.first <= now);
    Ok((Due { webhooks: is_due.map(|row| row.webhook).collect(), next_at }, next))
}
