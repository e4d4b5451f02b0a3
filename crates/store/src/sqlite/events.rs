//! Events: the spine that everything which listens reads. An event and its deliveries are
//! committed together with what they tell of.

use std::sync::Arc;

use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use switchboard_model::{
    Account, Bridge, Chat, EventKind, Line, Timestamp,
    event::{Event, LineStatusEvent},
    id::Id,
};

use super::{
    SqliteStore,
    clocks::Older,
    deliveries,
    engine::{
        columns::{Bits, Json, Name, bits},
        statement,
        writer::Tx,
    },
    lines,
};
use crate::{
    Committed, CommittedEvent, Cutoff, EventPosition, Events, EventsAfter, Pruned, Result,
    base::context::CachedLine,
};

#[async_trait::async_trait]
impl Events for SqliteStore {
    async fn events_after(
        &self,
        account: Id<Account>,
        after: EventPosition,
        lines: Option<Vec<Id<Line>>>,
        kinds: Vec<EventKind>,
        limit: usize,
    ) -> Result<EventsAfter> {
        self.readers
            .scan(account)
            .ask(move |sql| self::after(sql, account, after.0, lines.as_deref(), &kinds, limit))
            .await
    }

    async fn new_events(
        &self,
        account: Id<Account>,
        after: EventPosition,
        limit: usize,
    ) -> Result<EventsAfter> {
        self.readers
            .list(account)
            .ask(move |sql| self::after(sql, account, after.0, None, &EventKind::ALL, limit))
            .await
    }

    async fn event_position(
        &self,
        account: Id<Account>,
        since: Option<Timestamp>,
    ) -> Result<EventPosition> {
        self.readers
            .lookup(account)
            .ask(move |sql| since.map_or_else(|| newest(sql), |since| seq_before(sql, since)))
            .await
            .map(EventPosition)
    }

    fn events_between(&self, earlier: EventPosition, later: EventPosition) -> Option<u64> {
        Some(u64::try_from(later.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    async fn prune_events(
        &self,
        before: Cutoff,
        after: EventPosition,
        limit: usize,
    ) -> Result<Pruned> {
        self.writer.run(move |tx| prune(tx.sql, before, after.0, limit)).await
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

/// Writes the event and its deliveries down, and adds both to what will be made known.
pub(super) fn publish(
    tx: &mut Tx<'_>,
    new: NewEvent<'_>,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let id = Id::generate();
    statement::run(
        tx.sql,
        "insert into events (id, account_id, line_id, chat_id, kind, created_at, data)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            bits(id),
            bits(new.account_id),
            bits(new.line.id),
            new.chat_id.map(bits),
            Name(new.kind),
            now.0,
            new.data.get(),
        ],
    )?;
    let event = CommittedEvent {
        position: EventPosition(tx.sql.last_insert_rowid()),
        id,
        account_id: new.account_id,
        line_id: new.line.id,
        chat_id: new.chat_id,
        kind: new.kind,
        data: Arc::from(new.data),
        created_at: now,
    };
    deliveries::make(tx, &event, &mut committed.deliveries)?;
    committed.events.push(event);
    Ok(())
}

/// Tells that a line went up or down. That is its owner's to know, also of the sandbox line.
pub(super) fn line_status(
    tx: &mut Tx<'_>,
    bridge: Id<Bridge>,
    id: Id<Line>,
    online: bool,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let (Some(shown), Some(line)) =
        (lines::of_bridge(tx.sql, bridge, id)?, tx.cache.line(tx.sql, id)?)
    else {
        return Ok(());
    };
    let data = LineStatusEvent { line: shown, online, line_handle: line.handle.clone() };
    let event = NewEvent {
        line: &line,
        account_id: line.account_id,
        chat_id: None,
        kind: EventKind::LineStatus,
        data: to_raw_value(&data).expect("a line has only string keys"),
    };
    publish(tx, event, now, committed)
}

/// The most events that one read looks at, and the most bytes of those that it takes: another reader waits
/// no longer than this takes. One event is taken however large it is.
const LOOKED_AT: usize = 500;
const MAX_BYTES: usize = 64 * 1024;

pub(super) fn after(
    sql: &Connection,
    account: Id<Account>,
    mut seq: i64,
    lines: Option<&[Id<Line>]>,
    kinds: &[EventKind],
    limit: usize,
) -> Result<EventsAfter> {
    // Asked before the events: what is committed in between is found by the next look.
    let newest = newest(sql)?;
    let mut found = sql.prepare_cached(
        "select seq, kind, line_id, id, chat_id, created_at, data
         from events indexed by events_by_account
         where account_id = ?1 and seq > ?2 order by seq limit ?3",
    )?;
    let mut found = found.query(params![bits(account), seq, statement::limit(LOOKED_AT)])?;
    let (mut events, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    while let Some(row) = found.next()? {
        if events.len() == limit || bytes >= MAX_BYTES {
            return Ok(EventsAfter { events, position: EventPosition(seq), has_more: true });
        }
        looked_at += 1;
        seq = row.get(0)?;
        let (kind, line_id) = (row.get::<_, Name<_>>(1)?.0, row.get::<_, Bits<_>>(2)?.id());
        if !kinds.contains(&kind) || !lines.is_none_or(|lines| lines.contains(&line_id)) {
            continue;
        }
        let data: Arc<RawValue> = Arc::from(row.get::<_, Json<Box<RawValue>>>(6)?.0);
        bytes += data.get().len();
        events.push(CommittedEvent {
            position: EventPosition(seq),
            id: row.get::<_, Bits<_>>(3)?.id(),
            account_id: account,
            line_id,
            chat_id: row.get::<_, Option<Bits<_>>>(4)?.map(Bits::id),
            kind,
            data,
            created_at: Timestamp(row.get(5)?),
        });
    }
    let has_more = looked_at == LOOKED_AT;
    if !has_more {
        seq = seq.max(newest);
    }
    Ok(EventsAfter { events, position: EventPosition(seq), has_more })
}

/// The number of the newest event. Not that of the newest row: that may be pruned, and its number must not come
/// twice.
pub(super) fn newest(sql: &Connection) -> Result<i64> {
    let newest = statement::first(
        sql,
        "select seq from sqlite_sequence where name = 'events'",
        [],
        |row| row.get::<_, i64>(0),
    )?;
    Ok(newest.unwrap_or(0))
}

/// The number before the first event at or after `since`; the newest if there is none. Halves what is left: times have no
/// index, because they rise with the numbers. Where the clock was set back they don't, and the number found is one
/// of those where events begin to be young enough.
pub(super) fn seq_before(sql: &Connection, since: Timestamp) -> Result<i64> {
    let newest = newest(sql)?;
    // Events up to `old` are too old; those behind `young` are young enough, or there are none.
    let (mut old, mut young, mut first_young) = (0, newest, None);
    while old < young {
        let middle = old + (young - old) / 2;
        let next = statement::first(
            sql,
            "select seq, created_at from events where seq > ?1 order by seq limit 1",
            params![middle],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )?;
        match next {
            Some((seq, created_at)) if created_at < since.0 => old = seq,
            found => {
                first_young = found.map(|(seq, _)| seq).or(first_young);
                young = middle;
            }
        }
    }
    Ok(first_young.map_or(newest, |seq| seq - 1))
}

/// The number of this event. Halves what is left: ids have no index, because they rise with the numbers. An event
/// from a time after the clock was set back, over a restart, may not be found.
pub(super) fn seq_of(sql: &Connection, id: Id<Event>) -> Result<Option<i64>> {
    // Events up to `before` have smaller ids; those behind `last` have larger ones.
    let (mut before, mut last) = (0, newest(sql)?);
    while before < last {
        let middle = before + (last - before) / 2;
        let next = statement::first(
            sql,
            "select seq, id from events where seq > ?1 and seq <= ?2 order by seq limit 1",
            params![middle, last],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Bits<Event>>(1)?.id())),
        )?;
        match next {
            Some((seq, found)) if found == id => return Ok(Some(seq)),
            Some((seq, found)) if found < id => before = seq,
            _ => last = middle,
        }
    }
    Ok(None)
}

/// Goes on from a number to the first that is young enough, so that nothing is read in vain. What is looked at
/// counts, not what goes: any number of old events may be kept by deliveries that are still tried.
pub(super) fn prune(sql: &Connection, before: Cutoff, after: i64, limit: usize) -> Result<Pruned> {
    let older = Older::events(sql, before)?;
    let looked_at = statement::all(
        sql,
        "select seq, created_at, exists (
           select 1 from deliveries where event_seq = events.seq and status = 'due')
         from events where seq > ?1 order by seq limit ?2",
        params![after, statement::limit(limit)],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?)),
    )?;
    let mut pruned = Pruned { gone: 0, next: None };
    if looked_at.len() == limit {
        pruned.next = looked_at.last().map(|&(seq, ..)| EventPosition(seq));
    }
    for (seq, created_at, is_still_tried) in looked_at {
        if !older.has(seq, Timestamp(created_at)) {
            pruned.next = None;
            break;
        }
        if is_still_tried {
            continue;
        }
        statement::run(
            sql,
            "delete from attempts where delivery_seq in (
               select seq from deliveries where event_seq = ?1)",
            params![seq],
        )?;
        statement::run(sql, "delete from deliveries where event_seq = ?1", params![seq])?;
        statement::run(sql, "delete from events where seq = ?1", params![seq])?;
        pruned.gone += 1;
    }
    Ok(pruned)
}
