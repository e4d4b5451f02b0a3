//! How the store is doing: what its writer counts, a write and a read that prove that it works, and what waits in it.

use rusqlite::Connection;
use switchboard_model::{Timestamp, line::DriverKind};

use super::{
    SqliteStore,
    engine::{
        columns::{Bits, Name},
        read_queue::Owner,
        statement, wal,
        writer::Tx,
    },
};
use crate::{
    DriverFigures, Health, LineFigures, MAX_PENDING_COUNTED, ReasonFigures, Result, StoreError,
    StoreStats, WaitingLine,
};

#[async_trait::async_trait]
impl Health for SqliteStore {
    fn stats(&self) -> StoreStats {
        let (write_queue, writer_alive) = self.writer.queue();
        let vitals = self.writer.vitals();
        let size = |suffix: &str| {
            let mut path = self.path.as_os_str().to_owned();
            path.push(suffix);
            wal::bytes(path.as_ref()).unwrap_or(0)
        };
        StoreStats {
            write_queue,
            write_queue_max: self.options.write_queue,
            writer_alive,
            commands: vitals.commands(),
            failed_commits: vitals.failed(),
            commits: vitals.commits(),
            database_bytes: size(""),
            wal_bytes: Some(size("-wal")),
        }
    }

    async fn probe(&self, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| write_probe(tx, now)).await?;
        // Another probe may have been faster; what counts is that something is there.
        let found = self.readers.lookup(Owner::System).ask(read_probe).await?;
        found.map(|_| ()).ok_or_else(|| StoreError::Unreadable { what: "the probe".into() })
    }

    async fn line_figures(&self) -> Result<LineFigures> {
        self.readers.scan(Owner::System).ask(lines).await
    }
}

/// Lines with something pending whose oldest item is looked at.
const MAX_LINES: usize = 10_000;

/// Writes the one row of its table.
pub(super) fn write_probe(tx: &mut Tx<'_>, now: Timestamp) -> Result<()> {
    statement::run(tx.sql, "insert or replace into probe (id, at) values (1, ?1)", [now.0])?;
    Ok(())
}

/// Reads it.
pub(super) fn read_probe(sql: &Connection) -> Result<Option<Timestamp>> {
    statement::first(sql, "select at from probe where id = 1", [], |row| Ok(Timestamp(row.get(0)?)))
}

/// What there is of each driver. Bounded, however much waits.
pub(super) fn lines(sql: &Connection) -> Result<LineFigures> {
    let mut drivers: Vec<DriverFigures> = statement::all(
        sql,
        "select driver, count(*) from lines where is_active = 1 group by driver",
        [],
        |row| {
            let (driver, lines) = (row.get::<_, Name<_>>(0)?.0, row.get::<_, u32>(1)?.into());
            Ok(DriverFigures { driver, lines, pending: 0 })
        },
    )?;
    let reasons = statement::all(
        sql,
        "select driver, online, offline_reason, count(*) from lines
         where is_active = 1 and (online = 0 or offline_reason is not null)
         group by driver, online, offline_reason",
        [],
        |row| {
            Ok(ReasonFigures {
                driver: row.get::<_, Name<_>>(0)?.0,
                online: row.get(1)?,
                reason: row.get::<_, Option<Name<_>>>(2)?.map(|reason| reason.0),
                lines: row.get::<_, u32>(3)?.into(),
            })
        },
    )?;
    let pending = statement::all(
        sql,
        "select l.driver, sum(p.count) from (
           select line_id, count(*) as count from (
             select line_id from outbox indexed by outbox_pending
             where status = 'pending' order by line_id limit ?1)
           group by line_id) p
         join lines l on l.id = p.line_id group by l.driver",
        [statement::limit(MAX_PENDING_COUNTED)],
        |row| Ok((row.get::<_, Name<DriverKind>>(0)?.0, u64::from(row.get::<_, u32>(1)?))),
    )?;
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
        "with recursive waiting (line_id) as (
           select * from (select line_id from outbox indexed by outbox_pending
             where status = 'pending' order by line_id limit 1)
           union all
           select (select o.line_id from outbox o indexed by outbox_pending
             where o.status = 'pending' and o.line_id > waiting.line_id
             order by o.line_id limit 1)
           from waiting where waiting.line_id is not null limit ?1
         )
         select l.id, l.driver, (select o.created_at from outbox o indexed by outbox_pending
           where o.status = 'pending' and o.line_id = waiting.line_id order by o.seq limit 1)
         from waiting join lines l on l.id = waiting.line_id",
        [statement::limit(MAX_LINES)],
        |row| {
            Ok(WaitingLine {
                line_id: row.get::<_, Bits<_>>(0)?.id(),
                driver: row.get::<_, Name<_>>(1)?.0,
                since: Timestamp(row.get(2)?),
            })
        },
    )?;
    Ok(LineFigures { drivers, reasons, waiting })
}
