//! Events: the spine that everything which listens reads. An event and its deliveries are
//! committed together with what they tell of.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use switchboard_model::{
    Account, Bridge, Chat, EventKind, Line, Timestamp,
    event::{Event, LineStatusEvent},
    id::Id,
};
use tokio::time::sleep;

use super::{
    PostgresStore,
    clocks::Older,
    context, deliveries,
    engine::{
        columns::{Bits, Json, Name, bits},
        connection::Sql,
        statement::{self, Params},
        transaction::Tx,
    },
    lines,
};
use crate::{
    Committed, CommittedEvent, Cutoff, EventPosition, Events, EventsAfter, Pruned, Result,
    base::context::CachedLine,
};

#[async_trait::async_trait]
impl Events for PostgresStore {
    async fn events_after(
        &self,
        account: Id<Account>,
        after: EventPosition,
        lines: Option<Vec<Id<Line>>>,
        kinds: Vec<EventKind>,
        limit: usize,
    ) -> Result<EventsAfter> {
        let sql = self.read().await?;
        self::after(&sql, account, after.0, lines.as_deref(), &kinds, limit).await
    }

    async fn new_events(
        &self,
        account: Id<Account>,
        after: EventPosition,
        limit: usize,
    ) -> Result<EventsAfter> {
        let sql = self.read().await?;
        self::after(&sql, account, after.0, None, &EventKind::ALL, limit).await
    }

    async fn event_position(
        &self,
        account: Id<Account>,
        since: Option<Timestamp>,
    ) -> Result<EventPosition> {
        let sql = self.read().await?;
        let position = match since {
            None => newest_of(&sql, account).await,
            Some(since) => seq_before(&sql, since).await,
        };
        position.map(EventPosition)
    }

    fn events_between(&self, _: EventPosition, _: EventPosition) -> Option<u64> {
        None
    }

    async fn prune_events(
        &self,
        before: Cutoff,
        after: EventPosition,
        limit: usize,
    ) -> Result<Pruned> {
        self.write(move |tx: &Tx| Box::pin(prune(tx, before, after.0, limit))).await
    }
}

/// In which chat something happens, and whose that is.
pub(super) struct EventContext<'a> {
    pub(super) line: &'a CachedLine,
    pub(super) account_id: Id<Account>,
    pub(super) chat_id: Id<Chat>,
}

impl<'a> EventContext<'a> {
    /// The event that this has happened here.
    pub(super) fn event(&self, kind: EventKind, data: &impl Serialize) -> NewEvent<'a> {
        NewEvent {
            line: self.line,
            account_id: self.account_id,
            chat_id: Some(self.chat_id),
            kind,
            data: to_raw_value(data).expect("what the model calls data has only string keys"),
        }
    }
}

/// What happened.
pub(super) struct NewEvent<'a> {
    pub(super) line: &'a CachedLine,
    /// Whose the chat is.
    pub(super) account_id: Id<Account>,
    pub(super) chat_id: Option<Id<Chat>>,
    pub(super) kind: EventKind,
    pub(super) data: Box<RawValue>,
}

/// Adds the event to what will be written down when the transaction ends ([`keep`]), and made known after it. The
/// line's lock is held.
pub(super) async fn publish(
    tx: &Tx,
    new: NewEvent<'_>,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    committed.events.push(CommittedEvent {
        position: EventPosition(tx.next_place().await?),
        id: Id::generate(),
        account_id: new.account_id,
        line_id: new.line.id,
        chat_id: new.chat_id,
        kind: new.kind,
        data: Arc::from(new.data),
        created_at: now,
    });
    Ok(())
}

/// Writes down the events that a transaction has gathered, and their deliveries.
pub(super) async fn keep(tx: &Tx, committed: &mut Committed) -> Result<()> {
    let events = &committed.events;
    if events.is_empty() {
        return Ok(());
    }
    let mut accounts: Vec<_> = events.iter().map(|event| event.account_id).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let (seqs, ids): (Vec<i64>, Vec<_>) =
        events.iter().map(|event| (event.position.0, bits(event.id))).unzip();
    let (of, on): (Vec<_>, Vec<_>) =
        events.iter().map(|event| (bits(event.account_id), bits(event.line_id))).unzip();
    let (within, kinds): (Vec<_>, Vec<_>) =
        events.iter().map(|event| (event.chat_id.map(bits), Name(event.kind))).unzip();
    let (at, data): (Vec<_>, Vec<_>) =
        events.iter().map(|event| (event.created_at.0, event.data.get())).unzip();
    let rows: Params<'_> = &[&seqs, &ids, &of, &on, &within, &kinds, &at, &data];
    let (_, subscribers) = tokio::try_join!(
        statement::run(
            &tx.sql,
            "insert into events (seq, id, account_id, line_id, chat_id, kind, created_at, data)
             select * from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                                  $7::bigint[], $8::text[])",
            rows,
        ),
        context::subscribers(&tx.sql, &tx.seal, &accounts),
    )?;
    committed.deliveries = deliveries::make(tx, events, &subscribers).await?;
    Ok(())
}

/// Tells that a line went up or down. That is its owner's to know, also of the sandbox line.
pub(super) async fn line_status(
    tx: &Tx,
    bridge: Id<Bridge>,
    id: Id<Line>,
    online: bool,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let (shown, line) =
        tokio::try_join!(lines::of_bridge(&tx.sql, bridge, id), context::line(&tx.sql, id))?;
    let (Some(shown), Some(line)) = (shown, line) else { return Ok(()) };
    let data = LineStatusEvent { line: shown, online, line_handle: line.handle.clone() };
    let event = NewEvent {
        line: &line,
        account_id: line.account_id,
        chat_id: None,
        kind: EventKind::LineStatus,
        data: to_raw_value(&data).expect("a line has only string keys"),
    };
    publish(tx, event, now, committed).await
}

/// The most events that one read looks at, and the most bytes of those that it takes. One event is taken however large
/// it is.
const LOOKED_AT: usize = 500;
const MAX_BYTES: usize = 64 * 1024;

pub(super) async fn after(
    sql: &Sql,
    account: Id<Account>,
    mut seq: i64,
    lines: Option<&[Id<Line>]>,
    kinds: &[EventKind],
    limit: usize,
) -> Result<EventsAfter> {
    // Of one statement, so of one moment: what is committed behind the newest is found by the next look.
    let found = statement::all(
        sql,
        "select e.seq, e.kind, e.line_id, e.id, e.chat_id, e.created_at, e.data, newest.seq
         from (select horizon() - 1 as seq) newest
         left join lateral (
           select * from events
           where account_id = $1 and seq > $2 and seq <= newest.seq order by seq limit $3) e on true
         order by e.seq",
        &[&bits(account), &seq, &statement::limit(LOOKED_AT)],
        |row| {
            let event = match row.try_get::<_, Option<i64>>(0)? {
                None => None,
                Some(seq) => Some(CommittedEvent {
                    position: EventPosition(seq),
                    kind: row.try_get::<_, Name<_>>(1)?.0,
                    line_id: row.try_get::<_, Bits<_>>(2)?.id(),
                    id: row.try_get::<_, Bits<_>>(3)?.id(),
                    account_id: account,
                    chat_id: row.try_get::<_, Option<Bits<_>>>(4)?.map(Bits::id),
                    created_at: Timestamp(row.try_get(5)?),
                    data: Arc::from(row.try_get::<_, Json<Box<RawValue>>>(6)?.0),
                }),
            };
            Ok((event, row.try_get::<_, i64>(7)?))
        },
    )
    .await?;
    let newest = found.first().map_or(0, |(_, newest)| *newest);
    let (mut events, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    for event in found.into_iter().filter_map(|(event, _)| event) {
        if events.len() == limit || bytes >= MAX_BYTES {
            return Ok(EventsAfter { events, position: EventPosition(seq), has_more: true });
        }
        looked_at += 1;
        seq = event.position.0;
        if !kinds.contains(&event.kind) || !lines.is_none_or(|lines| lines.contains(&event.line_id))
        {
            continue;
        }
        bytes += event.data.get().len();
        events.push(event);
    }
    let has_more = looked_at == LOOKED_AT;
    if !has_more {
        seq = seq.max(newest);
    }
    Ok(EventsAfter { events, position: EventPosition(seq), has_more })
}

/// The newest place that can be read.
pub(super) async fn newest(sql: &Sql) -> Result<i64> {
    let newest = "select horizon() - 1";
    Ok(statement::first(sql, newest, &[], |row| row.try_get(0)).await?.unwrap_or(0))
}

/// How long it is waited for what is committed and can't be read yet; asked anew so often.
const READABLE_WITHIN: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_millis(2);

/// The newest place that can be read, once all events of this account are that are committed now: who reads from there on
/// is told of nothing that has happened before.
async fn newest_of(sql: &Sql, account: Id<Account>) -> Result<i64> {
    let newest = "select horizon() - 1, coalesce((
                    select seq from events where account_id = $1 order by seq desc limit 1), 0)";
    let began = Instant::now();
    loop {
        let found = statement::first(sql, newest, &[&bits(account)], |row| {
            Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?))
        })
        .await?;
        let (readable, committed) = found.unwrap_or((0, 0));
        if committed <= readable || began.elapsed() > READABLE_WITHIN {
            return Ok(readable);
        }
        sleep(ASK_EVERY).await;
    }
}

/// The place before the first event at or after `since`; the newest if there is none. Halves what is left: times have no
/// index, because they rise with the places. Where a clock was set back, or that of one process is ahead of another's, they
/// don't quite, and the place found is one of those where events begin to be young enough.
pub(super) async fn seq_before(sql: &Sql, since: Timestamp) -> Result<i64> {
    // Events up to `old` are too old; those behind `young` are young enough, or there are none.
    let found = statement::first(
        sql,
        "with recursive search (old, young, first_young) as (
           select 0::bigint, horizon() - 1, null::bigint
           union all
           select case when next.created_at < $1 then next.seq else s.old end,
                  case when next.created_at < $1 then s.young else s.old + (s.young - s.old) / 2 end,
                  case when next.created_at < $1 then s.first_young else coalesce(next.seq, s.first_young) end
           from search s
           left join lateral (
             select seq, created_at from events
             where seq > s.old + (s.young - s.old) / 2 and seq < horizon() order by seq limit 1) next on true
           where s.old < s.young
         )
         select coalesce(first_young - 1, horizon() - 1) from search where old >= young",
        &[&since.0],
        |row| row.try_get(0),
    )
    .await?;
    Ok(found.unwrap_or(0))
}

/// The place of this event.
pub(super) async fn seq_of(sql: &Sql, id: Id<Event>) -> Result<Option<i64>> {
    let seq = "select seq from events where id = $1";
    statement::first(sql, seq, &[&bits(id)], |row| row.try_get(0)).await
}

/// Goes on from a place to the first that is young enough, so that nothing is read in vain. What is looked at
/// counts, not what goes: any number of old events may be kept by deliveries that are still tried.
///
/// The events are locked before it is asked whether their deliveries are still tried: who makes one due again holds its
/// event.
pub(super) async fn prune(tx: &Tx, before: Cutoff, after: i64, limit: usize) -> Result<Pruned> {
    let older = Older::events(&tx.sql, before).await?;
    let looked_at = statement::all(
        &tx.sql,
        "select seq, created_at from events
         where seq > $1 and seq < horizon() order by seq limit $2 for update",
        &[&after, &statement::limit(limit)],
        |row| Ok((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?)),
    )
    .await?;
    let mut next = None;
    if looked_at.len() == limit {
        next = looked_at.last().map(|&(seq, _)| EventPosition(seq));
    }
    let is_old = |&(seq, created_at): &(i64, i64)| older.has(seq, Timestamp(created_at));
    let old: Vec<i64> = looked_at.iter().copied().take_while(is_old).map(|(seq, _)| seq).collect();
    if old.len() < looked_at.len() {
        next = None;
    }
    let gone = statement::all(
        &tx.sql,
        "select seq from unnest($1::bigint[]) old (seq)
         where not exists (select from deliveries d where d.event_seq = old.seq and d.status = 'due')",
        &[&old],
        |row| row.try_get::<_, i64>(0),
    )
    .await?;
    statement::run(
        &tx.sql,
        "delete from attempts a using deliveries d where a.delivery_seq = d.seq and d.event_seq = any($1)",
        &[&gone],
    )
    .await?;
    statement::run(&tx.sql, "delete from deliveries where event_seq = any($1)", &[&gone]).await?;
    statement::run(&tx.sql, "delete from events where seq = any($1)", &[&gone]).await?;
    Ok(Pruned { gone: gone.len(), next })
}
