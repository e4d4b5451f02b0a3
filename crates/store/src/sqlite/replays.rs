//! Replays: events that go to a webhook once more, or for the first time if it was disabled when they happened.

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Replay, Timestamp, Webhook,
    delivery::{Delivery, DeliveryStatus},
    id::Id,
    replay::{MAX_RUNNING, ReplayStatus},
    time::Now,
};

use super::{
    SqliteStore,
    deliveries::{self, rounds},
    engine::{
        columns::{Bits, Json, Name, bits},
        read_queue::Owner,
        statement,
        writer::Tx,
    },
    events, idempotency,
};
use crate::{
    Grant, IdempotencyRecordWith, Idempotent, NewReplay, Refusal, Replays, Result,
    base::deliveries::{PastEvent, Wants, progress},
};

#[async_trait::async_trait]
impl Replays for SqliteStore {
    async fn create_replay(
        &self,
        grant: Grant,
        replay: NewReplay,
        remember: Option<IdempotencyRecordWith<Replay>>,
        now: Timestamp,
    ) -> Result<Idempotent<Replay>> {
        self.writer
            .run(move |tx| {
                let create = |tx: &mut Tx<'_>| create(tx.sql, &grant, &replay, now);
                idempotency::once_with(tx, remember, create)
            })
            .await
    }

    async fn replay(&self, grant: Grant, id: Id<Replay>) -> Result<Option<Replay>> {
        self.readers.lookup(grant.account).ask(move |sql| of_account(sql, &grant, id)).await
    }

    async fn running_replays(
        &self,
        after: Option<Id<Replay>>,
        limit: usize,
    ) -> Result<Vec<Id<Replay>>> {
        self.readers.list(Owner::System).ask(move |sql| running(sql, after, limit)).await
    }

    async fn advance_replay(
        &self,
        id: Id<Replay>,
        limit: usize,
        now: Now,
    ) -> Result<Option<Replay>> {
        self.writer.run(move |tx| advance(tx.sql, id, limit, now)).await
    }

    async fn prune_replays(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| prune(tx.sql, before, limit)).await
    }
}

pub(super) fn create(
    sql: &Connection,
    grant: &Grant,
    new: &NewReplay,
    now: Timestamp,
) -> Result<Replay> {
    let wants = wants(sql, grant.account, new.webhook_id)?.ok_or(Refusal::WebhookNotFound)?;
    grant.must_reach(wants.line_ids.as_deref())?;
    grant.must_read(&wants.events)?;
    if !wants.is_active {
        return Err(Refusal::WebhookDisabled.into());
    }
    let running = statement::first(
        sql,
        "select count(*) from replays where status = 'running' and webhook_id = ?1",
        params![bits(new.webhook_id)],
        |row| row.get::<_, u32>(0),
    )?;
    if running.unwrap_or(0) as usize >= MAX_RUNNING {
        return Err(Refusal::TooManyReplays { max: MAX_RUNNING }.into());
    }
    // One that waits for its webhook to be enabled takes no place: it may wait for ever.
    let of_account = statement::first(
        sql,
        "select count(*) from replays indexed by replays_running
         where status = 'running' and account_id = ?1 and not exists (
           select 1 from webhooks where webhooks.id = replays.webhook_id and is_active = 0)",
        params![bits(grant.account)],
        |row| row.get::<_, u32>(0),
    )?;
    if of_account.unwrap_or(0) >= new.most_of_account {
        return Err(Refusal::TooManyReplaysOfAccount { max: new.most_of_account }.into());
    }
    let first = events::seq_before(sql, new.since)?;
    let last = events::seq_before(sql, new.until)?.max(first);
    statement::run(
        sql,
        "insert into replays (id, account_id, webhook_id, since, until, include_delivered, status,
                first_place, place, last_place, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, 'running', ?7, ?7, ?8, ?9)",
        params![
            bits(new.id),
            bits(grant.account),
            bits(new.webhook_id),
            new.since.0,
            new.until.0,
            new.include_delivered,
            first,
            last,
            now.0,
        ],
    )?;
    Ok(Replay {
        id: new.id,
        webhook_id: new.webhook_id,
        since: new.since,
        until: new.until,
        include_delivered: new.include_delivered,
        status: ReplayStatus::Running,
        progress: 0,
        queued: 0,
        created_at: now,
        finished_at: None,
    })
}

/// What a replay is, and where it is.
struct StoredReplay {
    account: Id<Account>,
    replay: Replay,
    first: i64,
    place: i64,
    last: i64,
}

fn find(sql: &Connection, id: Id<Replay>) -> Result<Option<StoredReplay>> {
    let read = |row: &Row<'_>| {
        let (first, place, last) = (row.get(6)?, row.get(7)?, row.get(8)?);
        let status = row.get::<_, Name<ReplayStatus>>(5)?.0;
        let replay = Replay {
            id,
            webhook_id: row.get::<_, Bits<_>>(1)?.id(),
            since: Timestamp(row.get(2)?),
            until: Timestamp(row.get(3)?),
            include_delivered: row.get(4)?,
            status,
            progress: progress(status, first, place, last),
            queued: row.get::<_, i64>(9)?.unsigned_abs(),
            created_at: Timestamp(row.get(10)?),
            finished_at: row.get::<_, Option<i64>>(11)?.map(Timestamp),
        };
        Ok(StoredReplay { account: row.get::<_, Bits<_>>(0)?.id(), replay, first, place, last })
    };
    statement::first(
        sql,
        "select account_id, webhook_id, since, until, include_delivered, status,
                first_place, place, last_place, queued, created_at, finished_at
         from replays where id = ?1",
        params![bits(id)],
        read,
    )
}

pub(super) fn of_account(
    sql: &Connection,
    grant: &Grant,
    id: Id<Replay>,
) -> Result<Option<Replay>> {
    let found = find(sql, id)?.filter(|found| found.account == grant.account);
    let Some(StoredReplay { replay, .. }) = found else { return Ok(None) };
    if grant.lines.is_some() {
        match wants(sql, grant.account, replay.webhook_id)? {
            Some(wants) => grant.must_reach(wants.line_ids.as_deref())?,
            None => return Ok(None),
        }
    }
    Ok(Some(replay))
}

pub(super) fn running(
    sql: &Connection,
    after: Option<Id<Replay>>,
    limit: usize,
) -> Result<Vec<Id<Replay>>> {
    // One that was forgotten meanwhile is before all others.
    let place = statement::first(
        sql,
        "select seq from replays where id = ?1",
        params![after.map(bits)],
        |row| row.get::<_, i64>(0),
    )?;
    let place = place.unwrap_or(0);
    let mut running = running_between(sql, place + 1, i64::MAX, limit)?;
    let rest = limit - running.len();
    running.extend(running_between(sql, 0, place, rest)?);
    Ok(running)
}

/// Those of disabled webhooks wait.
fn running_between(
    sql: &Connection,
    first: i64,
    last: i64,
    limit: usize,
) -> Result<Vec<Id<Replay>>> {
    statement::all(
        sql,
        "select id from replays indexed by replays_running
         where status = 'running' and seq between ?1 and ?2 and not exists (
           select 1 from webhooks where webhooks.id = replays.webhook_id and is_active = 0)
         order by seq limit ?3",
        params![first, last, statement::limit(limit)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

pub(super) fn advance(
    sql: &Connection,
    id: Id<Replay>,
    limit: usize,
    now: Now,
) -> Result<Option<Replay>> {
    let Some(StoredReplay { account, mut replay, first, mut place, last }) = find(sql, id)? else {
        return Ok(None);
    };
    if replay.status == ReplayStatus::Done {
        return Ok(Some(replay));
    }
    let mut at_the_end = true;
    if let Some(wants) = wants(sql, account, replay.webhook_id)? {
        // It keeps its place, and goes on once the webhook is enabled.
        if !wants.is_active {
            return Ok(Some(replay));
        }
        let events = events_between(sql, account, place, last, limit)?;
        at_the_end = events.len() < limit;
        for event in events {
            place = event.seq;
            if wants.event(&event) && make_due(sql, account, &replay, event.seq, now.wall)? {
                replay.queued += 1;
            }
        }
    }
    if at_the_end {
        replay.status = ReplayStatus::Done;
        replay.finished_at = Some(now.wall);
    }
    replay.progress = progress(replay.status, first, place, last);
    statement::run(
        sql,
        "update replays set place = ?2, queued = ?3, status = ?4, finished_at = ?5, aged_from = ?6
         where id = ?1",
        params![
            bits(id),
            place,
            i64::try_from(replay.queued).unwrap_or(i64::MAX),
            Name(replay.status),
            replay.finished_at.map(Timestamp::millis),
            at_the_end.then_some(now.steady.0),
        ],
    )?;
    Ok(Some(replay))
}

/// None once it was deleted.
fn wants(sql: &Connection, account: Id<Account>, webhook: Id<Webhook>) -> Result<Option<Wants>> {
    statement::first(
        sql,
        "select line_ids, events, is_active from webhooks where id = ?1 and account_id = ?2",
        params![bits(webhook), bits(account)],
        |row| {
            Ok(Wants {
                is_active: row.get(2)?,
                line_ids: row.get::<_, Option<Json<_>>>(0)?.map(|ids| ids.0),
                events: row.get::<_, Json<_>>(1)?.0,
            })
        },
    )
}

fn events_between(
    sql: &Connection,
    account: Id<Account>,
    after: i64,
    up_to: i64,
    limit: usize,
) -> Result<Vec<PastEvent>> {
    statement::all(
        sql,
        "select seq, kind, line_id from events indexed by events_by_account
         where account_id = ?1 and seq > ?2 and seq <= ?3 order by seq limit ?4",
        params![bits(account), after, up_to, statement::limit(limit)],
        |row| {
            let (kind, line) = (row.get::<_, Name<_>>(1)?.0, row.get::<_, Bits<_>>(2)?.id());
            Ok(PastEvent { seq: row.get(0)?, kind, line })
        },
    )
}

/// Whether the event goes out by this.
fn make_due(
    sql: &Connection,
    account: Id<Account>,
    replay: &Replay,
    event: i64,
    now: Timestamp,
) -> Result<bool> {
    let known = statement::first(
        sql,
        "select seq, status from deliveries indexed by deliveries_by_event
         where event_seq = ?1 and webhook_id = ?2 and account_id = ?3",
        params![event, bits(replay.webhook_id), bits(account)],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Name<_>>(1)?.0)),
    )?;
    match known {
        None => {
            let id = Id::<Delivery>::generate();
            deliveries::insert(sql, id, replay.webhook_id, account, event, now)?;
        }
        Some((_, DeliveryStatus::Due)) => return Ok(false),
        Some((_, DeliveryStatus::Delivered)) if !replay.include_delivered => return Ok(false),
        Some((seq, DeliveryStatus::Delivered | DeliveryStatus::Failed)) => {
            rounds::begin(sql, seq, now)?;
        }
    }
    Ok(true)
}

pub(super) fn prune(sql: &Connection, before: Timestamp, limit: usize) -> Result<usize> {
    statement::run(
        sql,
        "delete from replays where seq in (
           select seq from replays indexed by replays_done
           where status = 'done' and aged_from < ?1 limit ?2)",
        params![before.0, statement::limit(limit)],
    )
}
