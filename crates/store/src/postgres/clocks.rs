//! Where the clocks stood, and how old rows are by the steady one.
//!
//! Rows are stamped by the wall clock, which may be set. So that no stamp alone deletes anything, the places that
//! events and outbox items have reached are noted now and then by the steady clock: what is behind a mark is younger
//! than it, and what is before it is older. Nothing of this is paid for by who writes events or items.

use crate::postgres::engine::{connection::Sql, transaction::Tx};
use std::time::Duration;

use switchboard_model::Timestamp;
use tokio_postgres::Row;

use super::{PostgresStore, engine::statement, events};
use crate::{Clocks, Cutoff, Result, SavedClock};

#[async_trait::async_trait]
impl Clocks for PostgresStore {
    async fn saved_clock(&self) -> Result<Option<SavedClock>> {
        let sql = &self.read().await?;
        saved(sql).await
    }

    async fn save_clock(&self, clock: SavedClock) -> Result<()> {
        self.write(move |tx: &Tx| {
            let clock = clock.clone();
            Box::pin(async move { save(&tx.sql, &clock).await })
        })
        .await
    }

    async fn mark(&self, now: Timestamp, before: Timestamp) -> Result<()> {
        self.write(move |tx: &Tx| Box::pin(async move { mark(&tx.sql, now, before).await })).await
    }
}

pub(super) async fn saved(sql: &Sql) -> Result<Option<SavedClock>> {
    statement::first(sql, "select wall, steady, machine, boot, unverified from clock", &[], |row| {
        Ok(SavedClock {
            wall: Timestamp(row.try_get(0)?),
            steady: Timestamp(row.try_get(1)?),
            machine: Timestamp(row.try_get(2)?),
            boot: row.try_get(3)?,
            unverified: Duration::from_millis(row.try_get::<_, i64>(4)?.unsigned_abs()),
        })
    })
    .await
}

pub(super) async fn save(sql: &Sql, clock: &SavedClock) -> Result<()> {
    statement::run(
        sql,
        "insert into clock (id, wall, steady, machine, boot, unverified) values (1, $1, $2, $3, $4, $5)
         on conflict (id) do update set wall = excluded.wall, steady = excluded.steady,
           machine = excluded.machine, boot = excluded.boot, unverified = excluded.unverified",
        &[&clock.wall.0, &clock.steady.0, &clock.machine.0, &clock.boot, &i64::try_from(clock.unverified.as_millis()).unwrap_or(i64::MAX)],
    ).await?;
    Ok(())
}

/// Of two at the same moment the first stands: with the other, what came in between might count as older.
pub(super) async fn mark(sql: &Sql, now: Timestamp, before: Timestamp) -> Result<()> {
    let event = events::newest(sql).await?;
    let item = statement::first(sql, "select max(seq) from outbox", &[], |row| {
        row.try_get::<_, Option<i64>>(0)
    })
    .await?;
    statement::run(
        sql,
        "insert into marks (at, event_seq, item_seq) values ($1, $2, $3) on conflict (at) do nothing",
        &[&now.0, &event, &item.flatten().unwrap_or(0)],
    ).await?;
    statement::run(
        sql,
        "delete from marks where at < (select max(at) from marks where at <= $1)",
        &[&before.0],
    )
    .await?;
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
    pub(super) async fn events(sql: &Sql, cutoff: Cutoff) -> Result<Self> {
        Self::by(sql, "event_seq", cutoff).await
    }

    /// Outbox items from before `cutoff`.
    pub(super) async fn items(sql: &Sql, cutoff: Cutoff) -> Result<Self> {
        Self::by(sql, "item_seq", cutoff).await
    }

    async fn by(sql: &Sql, place: &str, cutoff: Cutoff) -> Result<Self> {
        let at: statement::Params<'_> = &[&cutoff.steady.0];
        let read = |row: &Row| row.try_get::<_, i64>(0);
        let last = format!("select {place} from marks where at <= $1 order by at desc limit 1");
        let next = format!("select {place} from marks where at > $1 order by at limit 1");
        Ok(Self {
            stamped_before: cutoff.wall,
            certain: statement::first(sql, &last, at, read).await?.unwrap_or(0),
            possible: statement::first(sql, &next, at, read).await?.unwrap_or(i64::MAX),
        })
    }

    /// Whether the row at this place, with this stamp, is among them.
    pub(super) fn has(self, seq: i64, stamp: Timestamp) -> bool {
        seq <= self.certain || (seq <= self.possible && stamp < self.stamped_before)
    }
}
