//! Where the clocks stood, and how old rows are by the steady one.
//!
//! Rows are stamped by the wall clock, which may be set. So that no stamp alone deletes anything, the places that
//! events and outbox items have reached are noted now and then by the steady clock: what is behind a mark is younger
//! than it, and what is before it is older. Nothing of this is paid for by who writes events or items.

use std::time::Duration;

use rusqlite::{Connection, params};
use switchboard_model::Timestamp;

use super::{
    SqliteStore,
    engine::{read_queue::Owner, statement},
    events,
};
use crate::{Clocks, Cutoff, Result, SavedClock};

#[async_trait::async_trait]
impl Clocks for SqliteStore {
    async fn saved_clock(&self) -> Result<Option<SavedClock>> {
        self.readers.list(Owner::System).ask(saved).await
    }

    async fn save_clock(&self, clock: SavedClock) -> Result<()> {
        self.writer.run(move |tx| save(tx.sql, &clock)).await
    }

    async fn mark(&self, now: Timestamp, before: Timestamp) -> Result<()> {
        self.writer.run(move |tx| mark(tx.sql, now, before)).await
    }
}

pub(super) fn saved(sql: &Connection) -> Result<Option<SavedClock>> {
    statement::first(sql, "select wall, steady, machine, boot, unverified from clock", [], |row| {
        Ok(SavedClock {
            wall: Timestamp(row.get(0)?),
            steady: Timestamp(row.get(1)?),
            machine: Timestamp(row.get(2)?),
            boot: row.get(3)?,
            unverified: Duration::from_millis(row.get::<_, i64>(4)?.unsigned_abs()),
        })
    })
}

pub(super) fn save(sql: &Connection, clock: &SavedClock) -> Result<()> {
    statement::run(
        sql,
        "insert or replace into clock (id, wall, steady, machine, boot, unverified)
         values (1, ?1, ?2, ?3, ?4, ?5)",
        params![
            clock.wall.0,
            clock.steady.0,
            clock.machine.0,
            clock.boot,
            i64::try_from(clock.unverified.as_millis()).unwrap_or(i64::MAX),
        ],
    )?;
    Ok(())
}

/// Of two at the same moment the first stands: with the other, what came in between might count as older.
pub(super) fn mark(sql: &Connection, now: Timestamp, before: Timestamp) -> Result<()> {
    let event = events::newest(sql)?;
    let item = statement::first(sql, "select max(seq) from outbox", [], |row| {
        row.get::<_, Option<i64>>(0)
    })?;
    statement::run(
        sql,
        "insert or ignore into marks (at, event_seq, item_seq) values (?1, ?2, ?3)",
        params![now.0, event, item.flatten().unwrap_or(0)],
    )?;
    statement::run(
        sql,
        "delete from marks where at < (select max(at) from marks where at <= ?1)",
        params![before.0],
    )?;
    Ok(())
}

/// The rows that are from before a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Older {
    stamped_before: Timestamp,
    /// Up to this place rows are older for certain.
    certain: i64,
    /// Up to this place they may be; those behind it are younger for certain.
    possible: i64,
}

impl Older {
    /// Events from before `cutoff`.
    pub(super) fn events(sql: &Connection, cutoff: Cutoff) -> Result<Self> {
        Self::by(sql, "event_seq", cutoff)
    }

    /// Outbox items from before `cutoff`.
    pub(super) fn items(sql: &Connection, cutoff: Cutoff) -> Result<Self> {
        Self::by(sql, "item_seq", cutoff)
    }

    fn by(sql: &Connection, place: &str, cutoff: Cutoff) -> Result<Self> {
        let at = params![cutoff.steady.0];
        let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let last = format!("select {place} from marks where at <= ?1 order by at desc limit 1");
        let next = format!("select {place} from marks where at > ?1 order by at limit 1");
        Ok(Self {
            stamped_before: cutoff.wall,
            certain: statement::first(sql, &last, at, read)?.unwrap_or(0),
            possible: statement::first(sql, &next, at, read)?.unwrap_or(i64::MAX),
        })
    }

    /// Whether the row at this place, with this stamp, is among them.
    pub(super) fn has(self, seq: i64, stamp: Timestamp) -> bool {
        seq <= self.certain || (seq <= self.possible && stamp < self.stamped_before)
    }
}
