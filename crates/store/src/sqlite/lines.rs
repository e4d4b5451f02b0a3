//! Lines: whose they are, who carries them, how far their history is known.

pub(super) mod health;
mod operator;
mod standby;

use std::{collections::HashMap, time::Duration};

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Bridge, Handle, Line, Timestamp,
    id::Id,
    line::{Capability, DriverKind, LineHealth, LineStatus, OfflineReason, OperatorLine},
    link::{CarriedLine, LineRole},
    time::Now,
};

use super::{
    SqliteStore, accounts, bridges,
    engine::{
        columns::{Bits, Json, Name, Shown, StoredHandle, bits},
        read_queue::Owner,
        statement,
        writer::Tx,
    },
    events,
};
use crate::{
    Changed, Committed, LineChanges, Lines, Link, NewLine, Refusal, Result, TakeOver,
    lines::unknown_since,
};

#[async_trait::async_trait]
impl Lines for SqliteStore {
    async fn create_line(&self, line: NewLine) -> Result<OperatorLine> {
        let changed = self
            .post_commit
            .changed(|made: &OperatorLine| [changed(made.account_id, made.line.is_sandbox)]);
        self.writer.run_then(move |tx| create(tx.sql, line), changed).await
    }

    async fn update_line(&self, line: Id<Line>, changes: LineChanges) -> Result<OperatorLine> {
        self.writer.run(move |tx| operator::update(tx, line, changes)).await
    }

    async fn operator_lines(&self, steady: Timestamp) -> Result<Vec<OperatorLine>> {
        self.readers.scan(Owner::System).ask(move |sql| operator::all(sql, steady)).await
    }

    async fn lines(&self, account: Id<Account>) -> Result<Vec<Line>> {
        self.readers.lookup(account).ask(move |sql| of_account(sql, account)).await
    }

    async fn set_capabilities(
        &self,
        link: Link,
        line: Id<Line>,
        capabilities: Vec<Capability>,
    ) -> Result<bool> {
        let changed = self.post_commit.changed(|changed: &Option<Changed>| *changed);
        let set = move |tx: &mut Tx<'_>| set_capabilities(tx, link, line, &capabilities);
        Ok(self.writer.run_then(set, changed).await?.is_some())
    }

    async fn set_standby(
        &self,
        line: Id<Line>,
        standby: Option<Id<Bridge>>,
    ) -> Result<OperatorLine> {
        self.writer.run(move |tx| standby::set(tx, line, standby)).await
    }

    async fn take_over(&self, take_over: TakeOver, now: Timestamp) -> Result<Option<Committed>> {
        let done = self.publish(move |tx| standby::take_over(tx, take_over, now)).await?;
        Ok(done.is_done.then_some(done.committed))
    }

    async fn to_take_over(&self, now: Now, after: Duration) -> Result<Vec<TakeOver>> {
        self.readers.scan(Owner::System).ask(move |sql| standby::due(sql, now, after)).await
    }

    async fn carried_lines(&self, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>> {
        self.readers.list(bridge).ask(move |sql| carried_by(sql, bridge)).await
    }

    async fn line_status(
        &self,
        link: Link,
        line: Id<Line>,
        online: bool,
        reason: Option<OfflineReason>,
        now: Timestamp,
    ) -> Result<Committed> {
        self.publish(move |tx| {
            bridges::must_be_newest(tx.sql, link)?;
            let status = LineStatus { online, reason, since: Some(now) };
            let mut committed = Committed::default();
            if let Some(changed) = set_status(tx.sql, link.bridge, line, status)? {
                committed.changed = Some(changed);
                events::line_status(tx, link.bridge, line, online, now, &mut committed)?;
            } else {
                standby::is_ready(tx.sql, link.bridge, line, online)?;
            }
            Ok(committed)
        })
        .await
    }

    async fn line_health(
        &self,
        account: Id<Account>,
        now: Timestamp,
    ) -> Result<HashMap<Id<Line>, LineHealth>> {
        self.readers.list(account).ask(move |sql| health::of(sql, Some(account), now)).await
    }

    async fn operator_line_health(&self, now: Timestamp) -> Result<HashMap<Id<Line>, LineHealth>> {
        self.readers.scan(Owner::System).ask(move |sql| health::of(sql, None, now)).await
    }

    async fn forget_line_days(&self, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| health::forget(tx.sql, now)).await
    }

    async fn all_lines_away(&self, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| all_away(tx.sql, now)).await
    }
}

pub(super) fn create(sql: &Connection, new: NewLine) -> Result<OperatorLine> {
    accounts::must_exist(sql, new.account_id)?;
    if new.is_sandbox && sandbox_line(sql)?.is_some() {
        return Err(Refusal::SandboxExists.into());
    }
    let bridge_id = match (new.driver, new.bridge_id) {
        (driver, Some(bridge)) => Some(bridges::must_be_usable(sql, bridge, driver)?),
        (DriverKind::Simulator, None) => bridges::simulator(sql)?,
        (_, None) => None,
    };
    let standby_bridge_id = match new.standby_bridge_id {
        Some(standby) => Some(standby::may_stand_by(sql, standby, bridge_id, new.driver)?),
        None => None,
    };
    let line = OperatorLine {
        line: Line {
            id: Id::generate(),
            handle: new.handle,
            label: new.label,
            service: new.service,
            is_active: true,
            advanced_features: false,
            // What it can do is the bridge's to say.
            capabilities: Vec::new(),
            is_sandbox: new.is_sandbox,
            status: LineStatus::default(),
            health: None,
        },
        account_id: new.account_id,
        driver: new.driver,
        bridge_id,
        standby_bridge_id,
        standby_ready: standby_bridge_id.map(|_| false),
        contact_first: new.contact_first,
        loop_limit: new.loop_limit,
    };
    let made = statement::run(
        sql,
        "insert into lines (id, account_id, handle, label, service, driver, bridge_id, contact_first, is_sandbox,
                            loop_limit, standby_bridge_id)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) on conflict (handle) do nothing",
        params![
            bits(line.line.id),
            bits(line.account_id),
            line.line.handle.as_str(),
            line.line.label,
            Name(line.line.service),
            Name(line.driver),
            line.bridge_id.map(bits),
            line.contact_first,
            line.line.is_sandbox,
            line.loop_limit.map(Shown),
            line.standby_bridge_id.map(bits),
        ],
    )?;
    if made == 0 {
        return Err(Refusal::LineExists.into());
    }
    Ok(line)
}

/// The account of the line with this handle.
pub(super) fn owner(sql: &Connection, handle: &Handle) -> Result<Option<Id<Account>>> {
    statement::first(
        sql,
        "select account_id from lines where handle = ?1",
        params![handle.as_str()],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

pub(super) fn of_account(sql: &Connection, account: Id<Account>) -> Result<Vec<Line>> {
    statement::all(
        sql,
        "select id, handle, label, service, is_active, capabilities, is_sandbox, online, offline_reason,
                status_since
         from lines where account_id = ?1 or is_sandbox = 1 order by seq",
        params![bits(account)],
        line,
    )
}

pub(super) fn sandbox_line(sql: &Connection) -> Result<Option<Line>> {
    statement::first(
        sql,
        "select id, handle, label, service, is_active, capabilities, is_sandbox, online, offline_reason,
                status_since
         from lines where is_sandbox = 1",
        [],
        line,
    )
}

/// The ids of an account's lines and of the sandbox line, oldest first.
pub(super) fn ids_of_account(sql: &Connection, account: Id<Account>) -> Result<Vec<Id<Line>>> {
    statement::all(
        sql,
        "select id from lines where account_id = ?1 or is_sandbox = 1 order by seq",
        params![bits(account)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

/// Refuses lines that are neither this account's nor the sandbox line.
pub(super) fn must_belong(
    sql: &Connection,
    account: Id<Account>,
    wanted: &[Id<Line>],
) -> Result<()> {
    let own = ids_of_account(sql, account)?;
    if wanted.iter().all(|line| own.contains(line)) {
        Ok(())
    } else {
        Err(Refusal::LineNotFound.into())
    }
}

/// A bridge says it each time that it links up: only what is new makes the writer forget.
pub(super) fn set_capabilities(
    tx: &mut Tx<'_>,
    link: Link,
    line: Id<Line>,
    capabilities: &[Capability],
) -> Result<Option<Changed>> {
    bridges::must_be_newest(tx.sql, link)?;
    let changed = statement::first(
        tx.sql,
        "update lines set capabilities = ?3, capabilities_told = 1
         where id = ?1 and bridge_id = ?2 and (capabilities is not ?3 or capabilities_told = 0)
         returning account_id, is_sandbox",
        params![bits(line), bits(link.bridge), Json(capabilities)],
        |row| Ok(changed(row.get::<_, Bits<_>>(0)?.id(), row.get(1)?)),
    )?;
    if changed.is_some() {
        tx.cache.forget_line(line);
    }
    Ok(changed)
}

/// Whose line it is, if it is this bridge's. What is the same as before keeps its time.
fn set_status(
    sql: &Connection,
    bridge: Id<Bridge>,
    line: Id<Line>,
    status: LineStatus,
) -> Result<Option<Changed>> {
    statement::first(
        sql,
        "update lines set online = ?3, offline_reason = ?4,
                status_since = iif(online is ?3 and offline_reason is ?4, coalesce(status_since, ?5), ?5),
                began_at = coalesce(began_at, ?5)
         where id = ?1 and bridge_id = ?2
         returning account_id, is_sandbox",
        params![
            bits(line),
            bits(bridge),
            status.online,
            status.reason.map(Name),
            status.since.map(|at| at.0)
        ],
        |row| Ok(changed(row.get::<_, Bits<_>>(0)?.id(), row.get(1)?)),
    )
}

fn all_away(sql: &Connection, now: Timestamp) -> Result<()> {
    statement::run(
        sql,
        "update lines set online = 0, offline_reason = ?1, status_since = ?2 where online = 1",
        params![Name(OfflineReason::Unreachable), now.0],
    )?;
    statement::run(sql, "update lines set standby_ready = 0 where standby_ready = 1", [])?;
    Ok(())
}

/// What is to be read anew after a change of a line.
pub(super) fn changed(account: Id<Account>, is_sandbox: bool) -> Changed {
    if is_sandbox { Changed::SandboxLine } else { Changed::Lines(account) }
}

/// The line with this id, if this bridge carries it.
pub(super) fn of_bridge(
    sql: &Connection,
    bridge: Id<Bridge>,
    id: Id<Line>,
) -> Result<Option<Line>> {
    statement::first(
        sql,
        "select id, handle, label, service, is_active, capabilities, is_sandbox, online, offline_reason,
                status_since
         from lines where id = ?1 and bridge_id = ?2",
        params![bits(id), bits(bridge)],
        line,
    )
}

pub(super) fn carried_by(sql: &Connection, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>> {
    statement::all(
        sql,
        "select id, handle, service, position, lines.bridge_id is ?1, began_at,
                (select max(told_at) from line_positions told where told.line_id = lines.id)
         from lines
         left join line_positions p on p.line_id = lines.id and p.bridge_id = ?1
         where (lines.bridge_id = ?1 or standby_bridge_id = ?1) and is_active = 1 order by seq",
        params![bits(bridge)],
        |row| {
            Ok(CarriedLine {
                id: row.get::<_, Bits<_>>(0)?.id(),
                handle: row.get::<_, StoredHandle>(1)?.0,
                service: row.get::<_, Name<_>>(2)?.0,
                position: row.get(3)?,
                role: if row.get(4)? { LineRole::Active } else { LineRole::Standby },
                since: unknown_since(row.get(5)?, row.get(6)?),
            })
        },
    )
}

/// Keeps how far the line's history is known, and when the newest of it was written.
pub(super) fn set_position(
    sql: &Connection,
    line: Id<Line>,
    bridge: Id<Bridge>,
    position: &str,
    told_at: Option<Timestamp>,
) -> Result<()> {
    statement::run(
        sql,
        "insert into line_positions (line_id, bridge_id, position, told_at) values (?1, ?2, ?3, ?4)
         on conflict do update set position = excluded.position,
                told_at = max(coalesce(told_at, excluded.told_at), coalesce(excluded.told_at, told_at))",
        params![bits(line), bits(bridge), position, told_at.map(|at| at.0)],
    )?;
    Ok(())
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    let capabilities = row.get::<_, Json<Vec<Capability>>>(5)?.0;
    Ok(Line {
        id: row.get::<_, Bits<_>>(0)?.id(),
        handle: row.get::<_, StoredHandle>(1)?.0,
        label: row.get(2)?,
        service: row.get::<_, Name<_>>(3)?.0,
        is_active: row.get(4)?,
        advanced_features: Capability::are_advanced(&capabilities),
        capabilities,
        is_sandbox: row.get(6)?,
        status: LineStatus {
            online: row.get(7)?,
            reason: row.get::<_, Option<Name<_>>>(8)?.map(|reason| reason.0),
            since: row.get::<_, Option<i64>>(9)?.map(Timestamp),
        },
        health: None,
    })
}
