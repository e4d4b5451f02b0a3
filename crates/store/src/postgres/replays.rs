//! Replays: events that go to a webhook once more, or for the first time if it was disabled when they happened.

use std::{collections::HashMap, time::Duration};

use switchboard_model::{
    Account, Replay, Timestamp, Webhook,
    delivery::DeliveryStatus,
    id::Id,
    replay::{MAX_RUNNING, ReplayStatus},
    time::Now,
};
use tokio::time::sleep;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    deliveries::{self, NewDelivery, rounds},
    engine::{
        columns::{Bits, Column, Json, Name, Number, bits, ids},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    events, idempotency, webhooks,
};
use crate::{
    Grant, IdempotencyRecordWith, Idempotent, NewReplay, News, Refusal, Replays, Result,
    base::deliveries::{PastEvent, Wants, progress},
};

#[async_trait::async_trait]
impl Replays for PostgresStore {
    async fn create_replay(
        &self,
        grant: Grant,
        replay: NewReplay,
        remember: Option<IdempotencyRecordWith<Replay>>,
        now: Timestamp,
    ) -> Result<Idempotent<Replay>> {
        let wake = self.wake.queue();
        self.write_then(
            move |tx: &Tx| {
                let (grant, replay, remember) = (grant.clone(), replay.clone(), remember.clone());
                Box::pin(async move {
                    let create = create(&tx.sql, &grant, &replay, now);
                    idempotency::once_with(tx, remember, create).await
                })
            },
            move |_| wake.committed(0, News { replays: true, ..News::default() }),
        )
        .await
    }

    async fn replay(&self, grant: Grant, id: Id<Replay>) -> Result<Option<Replay>> {
        let sql = self.read().await?;
        of_account(&sql, &grant, id).await
    }

    async fn running_replays(
        &self,
        after: Option<Id<Replay>>,
        limit: usize,
    ) -> Result<Vec<Id<Replay>>> {
        let sql = self.read().await?;
        running(&sql, after, limit).await
    }

    async fn advance_replay(
        &self,
        id: Id<Replay>,
        limit: usize,
        now: Now,
    ) -> Result<Option<Replay>> {
        let due_again = self.due_again(|advanced: &Option<Advanced>| {
            let advanced = advanced.as_ref()?;
            Some((advanced.replay.webhook_id, advanced.last_made?))
        });
        let advance =
            self.write_then(move |tx: &Tx| Box::pin(advance(tx, id, limit, now)), due_again);
        let advanced = advance.await?;
        if advanced.as_ref().is_some_and(|advanced| !advanced.has_moved) {
            // Another process leads it on, or what comes next can't be read yet: whoever asks would only ask again.
            sleep(STANDS_STILL).await;
        }
        Ok(advanced.map(|advanced| advanced.replay))
    }

    async fn prune_replays(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.write(move |tx: &Tx| Box::pin(prune(&tx.sql, before, limit))).await
    }
}

async fn create(sql: &Sql, grant: &Grant, new: &NewReplay, now: Timestamp) -> Result<Replay> {
    // However many are made at the same time, there are not more than may be.
    webhooks::hold_account(sql, grant.account).await?;
    let wants = wants(sql, grant.account, new.webhook_id, "").await?;
    let wants = wants.ok_or(Refusal::WebhookNotFound)?;
    grant.must_reach(wants.line_ids.as_deref())?;
    grant.must_read(&wants.events)?;
    if !wants.is_active {
        return Err(Refusal::WebhookDisabled.into());
    }
    let count = |row: &Row| row.try_get::<_, Number<u32>>(0);
    let running = statement::first(
        sql,
        "select count(*) from replays where status = 'running' and webhook_id = $1",
        &[&bits(new.webhook_id)],
        count,
    )
    .await?;
    if running.is_some_and(|running| running.0 as usize >= MAX_RUNNING) {
        return Err(Refusal::TooManyReplays { max: MAX_RUNNING }.into());
    }
    // One that waits for its webhook to be enabled takes no place: it may wait for ever.
    let of_account = statement::first(
        sql,
        "select count(*) from replays
         where status = 'running' and account_id = $1 and not exists (
           select from webhooks where webhooks.id = replays.webhook_id and not is_active)",
        &[&bits(grant.account)],
        count,
    )
    .await?;
    if of_account.is_some_and(|running| running.0 >= new.most_of_account) {
        return Err(Refusal::TooManyReplaysOfAccount { max: new.most_of_account }.into());
    }
    let first = events::seq_before(sql, new.since).await?;
    let last = last_place(sql, grant.account, new.until).await?.max(first);
    statement::run(
        sql,
        "insert into replays (id, account_id, webhook_id, since, until, include_delivered, status,
                first_place, place, last_place, created_at)
         values ($1, $2, $3, $4, $5, $6, 'running', $7, $7, $8, $9)",
        &[
            &bits(new.id),
            &bits(grant.account),
            &bits(new.webhook_id),
            &new.since.0,
            &new.until.0,
            &new.include_delivered,
            &first,
            &last,
            &now.0,
        ],
    )
    .await?;
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

/// The place of the last event that there is now and that is old enough, even if it can't be read in its order yet: the
/// replay is not done before it was.
async fn last_place(sql: &Sql, account: Id<Account>, until: Timestamp) -> Result<i64> {
    let readable = events::seq_before(sql, until).await?;
    let last = statement::first(
        sql,
        "select max(seq) from events where account_id = $1 and seq > $2 and seq >= horizon() and created_at < $3",
        &[&bits(account), &readable, &until.0],
        |row| row.try_get::<_, Option<i64>>(0),
    )
    .await?;
    Ok(last.flatten().unwrap_or(readable))
}

/// What a replay is, and where it is.
struct StoredReplay {
    account: Id<Account>,
    replay: Replay,
    first: i64,
    place: i64,
    last: i64,
}

impl StoredReplay {
    fn of(row: &Row) -> Column<Self> {
        let (first, place, last) = (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
        let status = row.try_get::<_, Name<ReplayStatus>>(5)?.0;
        let replay = Replay {
            id: row.try_get::<_, Bits<_>>(12)?.id(),
            webhook_id: row.try_get::<_, Bits<_>>(1)?.id(),
            since: Timestamp(row.try_get(2)?),
            until: Timestamp(row.try_get(3)?),
            include_delivered: row.try_get(4)?,
            status,
            progress: progress(status, first, place, last),
            queued: row.try_get::<_, Number<_>>(9)?.0,
            created_at: Timestamp(row.try_get(10)?),
            finished_at: row.try_get::<_, Option<i64>>(11)?.map(Timestamp),
        };
        Ok(Self { account: row.try_get::<_, Bits<_>>(0)?.id(), replay, first, place, last })
    }
}

async fn find(sql: &Sql, id: Id<Replay>, lock: &str) -> Result<Option<StoredReplay>> {
    let one = format!(
        "select account_id, webhook_id, since, until, include_delivered, status,
                first_place, place, last_place, queued, created_at, finished_at, id
         from replays where id = $1{lock}"
    );
    statement::first(sql, &one, &[&bits(id)], StoredReplay::of).await
}

async fn of_account(sql: &Sql, grant: &Grant, id: Id<Replay>) -> Result<Option<Replay>> {
    let found = find(sql, id, "").await?.filter(|found| found.account == grant.account);
    let Some(StoredReplay { replay, .. }) = found else { return Ok(None) };
    if grant.lines.is_some() {
        match wants(sql, grant.account, replay.webhook_id, "").await? {
            Some(wants) => grant.must_reach(wants.line_ids.as_deref())?,
            None => return Ok(None),
        }
    }
    Ok(Some(replay))
}

async fn running(sql: &Sql, after: Option<Id<Replay>>, limit: usize) -> Result<Vec<Id<Replay>>> {
    // One that was forgotten meanwhile is before all others.
    let place = match after {
        Some(after) => {
            let seq = "select seq from replays where id = $1";
            statement::first(sql, seq, &[&bits(after)], |row| row.try_get(0)).await?.unwrap_or(0)
        }
        None => 0,
    };
    let mut running = running_between(sql, place + 1, i64::MAX, limit).await?;
    let rest = limit - running.len();
    running.extend(running_between(sql, 0, place, rest).await?);
    Ok(running)
}

/// Those of disabled webhooks wait.
async fn running_between(
    sql: &Sql,
    first: i64,
    last: i64,
    limit: usize,
) -> Result<Vec<Id<Replay>>> {
    statement::all(
        sql,
        "select id from replays
         where status = 'running' and seq between $1 and $2 and not exists (
           select from webhooks where webhooks.id = replays.webhook_id and not is_active)
         order by seq limit $3",
        &[&first, &last, &statement::limit(limit)],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await
}

/// How long one that can't be led on now is left alone.
const STANDS_STILL: Duration = Duration::from_millis(20);

/// A replay that was led on.
struct Advanced {
    replay: Replay,
    /// The last place that it has given.
    last_made: Option<i64>,
    /// Whether it has come any further, or to its end.
    has_moved: bool,
}

impl From<StoredReplay> for Advanced {
    fn from(found: StoredReplay) -> Self {
        let has_moved = found.replay.status == ReplayStatus::Done;
        Self { replay: found.replay, last_made: None, has_moved }
    }
}

/// One that another process leads on at this moment is left to it.
async fn advance(tx: &Tx, id: Id<Replay>, limit: usize, now: Now) -> Result<Option<Advanced>> {
    let Some(found) = find(&tx.sql, id, " for update skip locked").await? else {
        return Ok(find(&tx.sql, id, "").await?.map(Advanced::from));
    };
    if found.replay.status == ReplayStatus::Done {
        return Ok(Some(found.into()));
    }
    // Its other replays wait: of one event it has one delivery, whoever makes it.
    let wants =
        wants(&tx.sql, found.account, found.replay.webhook_id, " for no key update").await?;
    let found_at = found.place;
    let (mut at_the_end, mut place, mut made) = (true, found_at, Vec::new());
    if let Some(wants) = wants {
        // It keeps its place, and goes on once the webhook is enabled.
        if !wants.is_active {
            return Ok(Some(found.into()));
        }
        let (events, is_last) =
            events_between(&tx.sql, found.account, place, found.last, limit).await?;
        at_the_end = is_last;
        place = events.last().map_or(place, |event| event.seq);
        let wanted = events.iter().filter(|event| wants.event(event)).map(|event| event.seq);
        made = make_due(tx, &found, &wanted.collect::<Vec<_>>(), now.wall).await?;
    }
    let StoredReplay { mut replay, first, last, .. } = found;
    replay.queued += made.len() as u64;
    if at_the_end {
        replay.status = ReplayStatus::Done;
        replay.finished_at = Some(now.wall);
    }
    replay.progress = progress(replay.status, first, place, last);
    statement::run(
        &tx.sql,
        "update replays set place = $2, queued = $3, status = $4, finished_at = $5, aged_from = $6
         where id = $1",
        &[
            &bits(id),
            &place,
            &Number(replay.queued),
            &Name(replay.status),
            &replay.finished_at.map(Timestamp::millis),
            &at_the_end.then_some(now.steady.0),
        ],
    )
    .await?;
    let has_moved = at_the_end || place > found_at;
    Ok(Some(Advanced { replay, last_made: made.last().copied(), has_moved }))
}

/// None once it was deleted.
async fn wants(
    sql: &Sql,
    account: Id<Account>,
    webhook: Id<Webhook>,
    lock: &str,
) -> Result<Option<Wants>> {
    let one = format!(
        "select line_ids, events, is_active from webhooks where id = $1 and account_id = $2{lock}"
    );
    statement::first(sql, &one, &[&bits(webhook), &bits(account)], |row| {
        let (line_ids, events) = (ids(row, 0)?, row.try_get::<_, Json<_>>(1)?.0);
        Ok(Wants { is_active: row.try_get(2)?, line_ids, events })
    })
    .await
}

/// The next events that can be read in their order, and whether there are no more up to the end.
async fn events_between(
    sql: &Sql,
    account: Id<Account>,
    after: i64,
    up_to: i64,
    limit: usize,
) -> Result<(Vec<PastEvent>, bool)> {
    let found = statement::all(
        sql,
        "select e.seq, e.kind, e.line_id, readable.place > $3
         from (select horizon() as place) readable
         left join lateral (
           select seq, kind, line_id from events
           where account_id = $1 and seq > $2 and seq <= $3 and seq < readable.place
           order by seq limit $4) e on true
         order by e.seq",
        &[&bits(account), &after, &up_to, &statement::limit(limit)],
        |row| {
            let event = match row.try_get(0)? {
                None => None,
                Some(seq) => Some(PastEvent {
                    seq,
                    kind: row.try_get::<_, Name<_>>(1)?.0,
                    line: row.try_get::<_, Bits<_>>(2)?.id(),
                }),
            };
            Ok((event, row.try_get::<_, bool>(3)?))
        },
    )
    .await?;
    let is_readable = found.first().is_some_and(|(_, is_readable)| *is_readable);
    let events: Vec<_> = found.into_iter().filter_map(|(event, _)| event).collect();
    let is_last = is_readable && events.len() < limit;
    Ok((events, is_last))
}

/// Makes those of these events go out that are to, in their order; answers the places that they have now.
async fn make_due(tx: &Tx, of: &StoredReplay, events: &[i64], now: Timestamp) -> Result<Vec<i64>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    // They stay: whoever forgets events locks them before asking whether anything of them is due.
    let events = statement::all(
        &tx.sql,
        "select seq from events where seq = any($1) order by seq for key share",
        &[&events],
        |row| row.try_get::<_, i64>(0),
    )
    .await?;
    let known = statement::all(
        &tx.sql,
        "select event_seq, seq, status from deliveries
         where event_seq = any($1) and webhook_id = $2 and account_id = $3 order by seq for update",
        &[&events, &bits(of.replay.webhook_id), &bits(of.account)],
        |row| {
            let status = row.try_get::<_, Name<DeliveryStatus>>(2)?.0;
            Ok((row.try_get::<_, i64>(0)?, (row.try_get::<_, i64>(1)?, status)))
        },
    )
    .await?;
    let known: HashMap<i64, (i64, DeliveryStatus)> = known.into_iter().collect();
    let (mut places, mut new, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        match known.get(&event) {
            Some((_, DeliveryStatus::Due)) => continue,
            Some((_, DeliveryStatus::Delivered)) if !of.replay.include_delivered => continue,
            Some((seq, _)) => rounds.push((*seq, tx.next_place().await?)),
            None => new.push(NewDelivery {
                seq: tx.next_place().await?,
                id: Id::generate(),
                webhook: of.replay.webhook_id,
                account: of.account,
                event,
                at: now,
            }),
        }
        let made = new.last().map(|one| one.seq).max(rounds.last().map(|(_, place)| *place));
        places.extend(made);
    }
    deliveries::insert(tx, &new).await?;
    rounds::begin(&tx.sql, &rounds, now).await?;
    Ok(places)
}

async fn prune(sql: &Sql, before: Timestamp, limit: usize) -> Result<usize> {
    let gone = statement::run(
        sql,
        "delete from replays where seq in (
           select seq from replays
           where status = 'done' and aged_from < $1 limit $2 for update skip locked)",
        &[&before.0, &statement::limit(limit)],
    )
    .await?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}
