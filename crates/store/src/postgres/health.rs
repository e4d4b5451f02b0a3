//! How the store is doing: what its writer counts, a write and a read that prove that it works, and what waits in it.

use std::sync::atomic::Ordering::Relaxed;

use switchboard_model::{Timestamp, line::DriverKind};

use super::{
    PostgresStore,
    engine::{
        columns::{Bits, Name, Number},
        connection::Sql,
        statement,
        transaction::Tx,
    },
};
use crate::{
    DriverFigures, Health, LineFigures, MAX_PENDING_COUNTED, ReasonFigures, Result, StoreError,
    StoreStats, WaitingLine,
};

#[async_trait::async_trait]
impl Health for PostgresStore {
    fn stats(&self) -> StoreStats {
        let (pool, vitals) = (&self.transactions.pool, &self.transactions.vitals);
        StoreStats {
            write_queue: pool.status().waiting,
            write_queue_max: MAX_WAITING,
            writer_alive: !pool.is_closed(),
            commands: vitals.commands(),
            failed_commits: vitals.failed(),
            commits: vitals.commits(),
            database_bytes: self.size.load(Relaxed),
            wal_bytes: None,
        }
    }

    async fn probe(&self, now: Timestamp) -> Result<()> {
        let probing = self.write(move |tx: &Tx| Box::pin(write_probe(tx, now)));
        self.size.store(probing.await?, Relaxed);
        let sql = self.read().await?;
        // Another probe may have been faster; what counts is that something is there.
        let found = read_probe(&sql).await?;
        found.map(|_| ()).ok_or_else(|| StoreError::Unreadable { what: "the probe".into() })
    }

    async fn line_figures(&self) -> Result<LineFigures> {
        let sql = self.read().await?;
        lines(&sql).await
    }
}

/// Callers that may wait for a connection, for who watches: none is refused before its time is over.
const MAX_WAITING: usize = 8192;

/// Lines with something pending whose oldest item is looked at.
const MAX_LINES: usize = 10_000;

/// Writes the one row of its table; answers the bytes of the database.
pub(super) async fn write_probe(tx: &Tx, now: Timestamp) -> Result<u64> {
    statement::run(
        &tx.sql,
        "insert into probe (id, at) values (1, $1) on conflict (id) do update set at = excluded.at",
        &[&now.0],
    )
    .await?;
    bytes(&tx.sql).await
}

/// The bytes of the database.
pub(super) async fn bytes(sql: &Sql) -> Result<u64> {
    let size = "select pg_database_size(current_database())";
    let size = statement::first(sql, size, &[], |row| row.try_get::<_, Number<_>>(0)).await?;
    Ok(size.map_or(0, |size| size.0))
}

/// Reads it.
pub(super) async fn read_probe(sql: &Sql) -> Result<Option<Timestamp>> {
    statement::first(sql, "select at from probe where id = 1", &[], |row| {
        Ok(Timestamp(row.try_get(0)?))
    })
    .await
}

/// What there is of each driver. Bounded, however much waits.
pub(super) async fn lines(sql: &Sql) -> Result<LineFigures> {
    let mut drivers: Vec<DriverFigures> = statement::all(
        sql,
        "select driver, count(*) from lines where is_active = true group by driver",
        &[],
        |row| {
            let (driver, lines) =
                (row.try_get::<_, Name<_>>(0)?.0, row.try_get::<_, Number<_>>(1)?.0);
            Ok(DriverFigures { driver, lines, pending: 0 })
        },
    )
    .await?;
    let reasons = statement::all(
        sql,
        "select driver, online, offline_reason, count(*) from lines
         where is_active = true and (online = false or offline_reason is not null)
         group by driver, online, offline_reason",
        &[],
        |row| {
            Ok(ReasonFigures {
                driver: row.try_get::<_, Name<_>>(0)?.0,
                online: row.try_get(1)?,
                reason: row.try_get::<_, Option<Name<_>>>(2)?.map(|reason| reason.0),
                lines: row.try_get::<_, Number<_>>(3)?.0,
            })
        },
    )
    .await?;
    let pending = statement::all(
        sql,
        "select l.driver, sum(p.count)::bigint from (
           select line_id, count(*) as count from (
             select line_id from outbox
             where status = 'pending' order by line_id limit $1) pending
           group by line_id) p
         join lines l on l.id = p.line_id group by l.driver",
        &[&statement::limit(MAX_PENDING_COUNTED)],
        |row| Ok((row.try_get::<_, Name<DriverKind>>(0)?.0, row.try_get::<_, Number<_>>(1)?.0)),
    )
    .await?;
    for (driver, pending) in pending {
        match drivers.iter_mut().find(|figures| figures.driver == driver) {
            Some(figures) => figures.pending = pending,
            // None of its lines is active any more.
            None => drivers.push(DriverFigures { driver, lines: 0, pending }),
        }
    }
    // Steps from line to line and looks at the first item of each: a backlog is not read.
    let waiting = statement::all(
        sql,
        "with recursive waiting (line_id, number) as (
           (select line_id, 1::bigint from outbox where status = 'pending' order by line_id, seq limit 1)
           union all
           select next.line_id, waiting.number + 1 from waiting cross join lateral (
             select line_id from outbox
             where status = 'pending' and line_id > waiting.line_id order by line_id, seq limit 1) next
           where waiting.number < $1
         )
         select l.id, l.driver, (
           select o.created_at from outbox o
           where o.status = 'pending' and o.line_id = waiting.line_id order by o.seq limit 1)
         from waiting join lines l on l.id = waiting.line_id",
        &[&statement::limit(MAX_LINES)],
        |row| {
            Ok(WaitingLine {
                line_id: row.try_get::<_, Bits<_>>(0)?.id(),
                driver: row.try_get::<_, Name<_>>(1)?.0,
                since: Timestamp(row.try_get(2)?),
            })
        },
    ).await?;
    Ok(LineFigures { drivers, reasons, waiting })
}
