//! Lines: whose they are, who carries them, how far their history is known.

pub(super) mod health;
mod operator;
mod standby;

use std::{collections::HashMap, time::Duration};

use switchboard_model::{
    Account, Bridge, Handle, Line, Timestamp,
    id::Id,
    line::{Capability, DriverKind, LineHealth, LineStatus, OfflineReason, OperatorLine},
    link::{CarriedLine, LineRole},
    time::Now,
};
use tokio_postgres::Row;

use super::{
    PostgresStore, accounts, bridges,
    engine::{
        columns::{Bits, Column, Json, Name, Shown, StoredHandle, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    events,
};
use crate::{
    Changed, Committed, LineChanges, Lines, Link, NewLine, Refusal, Result, TakeOver,
    lines::unknown_since,
};

#[async_trait::async_trait]
impl Lines for PostgresStore {
    async fn create_line(&self, line: NewLine) -> Result<OperatorLine> {
        let changed =
            self.changed(|made: &OperatorLine| [changed(made.account_id, made.line.is_sandbox)]);
        self.write_then(
            move |tx: &Tx| {
                let line = line.clone();
                Box::pin(async move { create(&tx.sql, line).await })
            },
            changed,
        )
        .await
    }

    async fn update_line(&self, line: Id<Line>, changes: LineChanges) -> Result<OperatorLine> {
        self.write(move |tx: &Tx| {
            Box::pin(async move { operator::update(tx, line, changes).await })
        })
        .await
    }

    async fn operator_lines(&self, steady: Timestamp) -> Result<Vec<OperatorLine>> {
        let sql = &self.read().await?;
        operator::all(sql, steady).await
    }

    async fn lines(&self, account: Id<Account>) -> Result<Vec<Line>> {
        let sql = &self.read().await?;
        of_account(sql, account).await
    }

    async fn set_capabilities(
        &self,
        link: Link,
        line: Id<Line>,
        capabilities: Vec<Capability>,
    ) -> Result<bool> {
        let changed = self.changed(|changed: &Option<Changed>| *changed);
        let set = self.write_then(
            move |tx: &Tx| {
                let capabilities = capabilities.clone();
                Box::pin(async move { set_capabilities(tx, link, line, &capabilities).await })
            },
            changed,
        );
        Ok(set.await?.is_some())
    }

    async fn set_standby(
        &self,
        line: Id<Line>,
        standby: Option<Id<Bridge>>,
    ) -> Result<OperatorLine> {
        self.write(move |tx: &Tx| Box::pin(async move { standby::set(tx, line, standby).await }))
            .await
    }

    async fn take_over(&self, take_over: TakeOver, now: Timestamp) -> Result<Option<Committed>> {
        let done = self
            .publish(move |tx: &Tx| {
                Box::pin(async move { standby::take_over(tx, take_over, now).await })
            })
            .await?;
        Ok(done.is_done.then_some(done.committed))
    }

    async fn to_take_over(&self, now: Now, after: Duration) -> Result<Vec<TakeOver>> {
        let sql = &self.read().await?;
        standby::due(sql, now, after).await
    }

    async fn carried_lines(&self, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>> {
        let sql = &self.read().await?;
        carried_by(sql, bridge).await
    }

    async fn line_status(
        &self,
        link: Link,
        line: Id<Line>,
        online: bool,
        reason: Option<OfflineReason>,
        now: Timestamp,
    ) -> Result<Committed> {
        self.publish(move |tx: &Tx| {
            Box::pin(async move {
                tx.lock_line(line).await?;
                bridges::must_be_newest(&tx.sql, link).await?;
                let status = LineStatus { online, reason, since: Some(now) };
                let mut committed = Committed::default();
                if let Some(changed) = set_status(&tx.sql, link.bridge, line, status).await? {
                    committed.changed = Some(changed);
                    events::line_status(tx, link.bridge, line, online, now, &mut committed).await?;
                } else {
                    standby::is_ready(&tx.sql, link.bridge, line, online).await?;
                }
                Ok(committed)
            })
        })
        .await
    }

    async fn line_health(
        &self,
        account: Id<Account>,
        now: Timestamp,
    ) -> Result<HashMap<Id<Line>, LineHealth>> {
        let sql = &self.read().await?;
        health::of(sql, Some(account), now).await
    }

    async fn operator_line_health(&self, now: Timestamp) -> Result<HashMap<Id<Line>, LineHealth>> {
        let sql = &self.read().await?;
        health::of(sql, None, now).await
    }

    async fn forget_line_days(&self, now: Timestamp) -> Result<()> {
        self.write(move |tx: &Tx| Box::pin(async move { health::forget(&tx.sql, now).await })).await
    }

    async fn all_lines_away(&self, now: Timestamp) -> Result<()> {
        self.write(move |tx: &Tx| Box::pin(async move { all_away(&tx.sql, now).await })).await
    }
}

pub(super) async fn create(sql: &Sql, new: NewLine) -> Result<OperatorLine> {
    accounts::must_exist(sql, new.account_id).await?;
    if new.is_sandbox {
        // Of two at the same moment, the second finds the first one's.
        statement::run(sql, "lock table lines in share row exclusive mode", &[]).await?;
        if sandbox_line(sql).await?.is_some() {
            return Err(Refusal::SandboxExists.into());
        }
    }
    let bridge_id = match (new.driver, new.bridge_id) {
        (driver, Some(bridge)) => Some(bridges::must_be_usable(sql, bridge, driver).await?),
        (DriverKind::Simulator, None) => bridges::simulator(sql).await?,
        (_, None) => None,
    };
    let standby_bridge_id = match new.standby_bridge_id {
        Some(standby) => Some(standby::may_stand_by(sql, standby, bridge_id, new.driver).await?),
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
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (handle) do nothing",
        &[&bits(line.line.id), &bits(line.account_id), &line.line.handle.as_str(), &line.line.label, &Name(line.line.service), &Name(line.driver), &line.bridge_id.map(bits), &line.contact_first, &line.line.is_sandbox, &line.loop_limit.map(Shown), &line.standby_bridge_id.map(bits)],
    ).await?;
    if made == 0 {
        return Err(Refusal::LineExists.into());
    }
    Ok(line)
}

/// The account of the line with this handle.
pub(super) async fn owner(sql: &Sql, handle: &Handle) -> Result<Option<Id<Account>>> {
    statement::first(
        sql,
        "select account_id from lines where handle = $1",
        &[&handle.as_str()],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await
}

pub(super) async fn of_account(sql: &Sql, account: Id<Account>) -> Result<Vec<Line>> {
    statement::all(
        sql,
        "select id, handle, label, service, is_active, capabilities, is_sandbox, online, offline_reason,
                status_since
         from lines where account_id = $1 or is_sandbox = true order by seq",
        &[&bits(account)],
        line,
    ).await
}

pub(super) async fn sandbox_line(sql: &Sql) -> Result<Option<Line>> {
    statement::first(
        sql,
        "select id, handle, label, service, is_active, capabilities, is_sandbox, online, offline_reason,
                status_since
         from lines where is_sandbox = true",
        &[],
        line,
    ).await
}

/// The ids of an account's lines and of the sandbox line, oldest first.
pub(super) async fn ids_of_account(sql: &Sql, account: Id<Account>) -> Result<Vec<Id<Line>>> {
    statement::all(
        sql,
        "select id from lines where account_id = $1 or is_sandbox = true order by seq",
        &[&bits(account)],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await
}

/// Refuses lines that are neither this account's nor the sandbox line.
pub(super) async fn must_belong(
    sql: &Sql,
    account: Id<Account>,
    wanted: &[Id<Line>],
) -> Result<()> {
    let own = ids_of_account(sql, account).await?;
    if wanted.iter().all(|line| own.contains(line)) {
        Ok(())
    } else {
        Err(Refusal::LineNotFound.into())
    }
}

/// A bridge says it each time that it links up: only what is new is told.
pub(super) async fn set_capabilities(
    tx: &Tx,
    link: Link,
    line: Id<Line>,
    capabilities: &[Capability],
) -> Result<Option<Changed>> {
    bridges::must_be_newest(&tx.sql, link).await?;
    let changed = statement::first(
        &tx.sql,
        "update lines set capabilities = $3, capabilities_told = true
         where id = $1 and bridge_id = $2 and (capabilities <> $3 or not capabilities_told)
         returning account_id, is_sandbox",
        &[&bits(line), &bits(link.bridge), &Json(capabilities)],
        |row| Ok(changed(row.try_get::<_, Bits<_>>(0)?.id(), row.try_get(1)?)),
    )
    .await?;
    Ok(changed)
}

/// Whose line it is, if it is this bridge's. What is the same as before keeps its time.
async fn set_status(
    sql: &Sql,
    bridge: Id<Bridge>,
    line: Id<Line>,
    status: LineStatus,
) -> Result<Option<Changed>> {
    statement::first(
        sql,
        "update lines set online = $3, offline_reason = $4,
                status_since = case when online = $3 and offline_reason is not distinct from $4
                               then coalesce(status_since, $5) else $5 end,
                began_at = coalesce(began_at, $5)
         where id = $1 and bridge_id = $2
         returning account_id, is_sandbox",
        &[
            &bits(line),
            &bits(bridge),
            &status.online,
            &status.reason.map(Name),
            &status.since.map(|at| at.0),
        ],
        |row| Ok(changed(row.try_get::<_, Bits<_>>(0)?.id(), row.try_get(1)?)),
    )
    .await
}

async fn all_away(sql: &Sql, now: Timestamp) -> Result<()> {
    statement::run(
        sql,
        "update lines set online = false, offline_reason = $1, status_since = $2 where online = true",
        &[&Name(OfflineReason::Unreachable), &now.0],
    ).await?;
    statement::run(sql, "update lines set standby_ready = false where standby_ready = true", &[])
        .await?;
    Ok(())
}

/// What is to be read anew after a change of a line.
pub(super) fn changed(account: Id<Account>, is_sandbox: bool) -> Changed {
    if is_sandbox { Changed::SandboxLine } else { Changed::Lines(account) }
}

/// The line with this id, if this bridge carries it.
pub(super) async fn of_bridge(sql: &Sql, bridge: Id<Bridge>, id: Id<Line>) -> Result<Option<Line>> {
    statement::first(
        sql,
        "select id, handle, label, service, is_active, capabilities, is_sandbox, online, offline_reason,
                status_since
         from lines where id = $1 and bridge_id = $2",
        &[&bits(id), &bits(bridge)],
        line,
    ).await
}

pub(super) async fn carried_by(sql: &Sql, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>> {
    statement::all(
        sql,
        "select id, handle, service, position, coalesce(lines.bridge_id = $1, false), began_at,
                (select max(told_at) from line_positions told where told.line_id = lines.id)
         from lines
         left join line_positions p on p.line_id = lines.id and p.bridge_id = $1
         where (lines.bridge_id = $1 or standby_bridge_id = $1) and is_active order by seq",
        &[&bits(bridge)],
        |row| {
            Ok(CarriedLine {
                id: row.try_get::<_, Bits<_>>(0)?.id(),
                handle: row.try_get::<_, StoredHandle>(1)?.0,
                service: row.try_get::<_, Name<_>>(2)?.0,
                position: row.try_get(3)?,
                role: if row.try_get(4)? { LineRole::Active } else { LineRole::Standby },
                since: unknown_since(row.try_get(5)?, row.try_get(6)?),
            })
        },
    )
    .await
}

/// Keeps how far the line's history is known, and when the newest of it was written.
pub(super) async fn set_position(
    sql: &Sql,
    line: Id<Line>,
    bridge: Id<Bridge>,
    position: &str,
    told_at: Option<Timestamp>,
) -> Result<()> {
    statement::run(
        sql,
        "insert into line_positions as known (line_id, bridge_id, position, told_at) values ($1, $2, $3, $4)
         on conflict (line_id, bridge_id) do update set position = excluded.position,
                told_at = greatest(known.told_at, excluded.told_at)",
        &[&bits(line), &bits(bridge), &position, &told_at.map(|at| at.0)],
    ).await?;
    Ok(())
}

fn line(row: &Row) -> Column<Line> {
    let capabilities = row.try_get::<_, Json<Vec<Capability>>>(5)?.0;
    Ok(Line {
        id: row.try_get::<_, Bits<_>>(0)?.id(),
        handle: row.try_get::<_, StoredHandle>(1)?.0,
        label: row.try_get(2)?,
        service: row.try_get::<_, Name<_>>(3)?.0,
        is_active: row.try_get(4)?,
        advanced_features: Capability::are_advanced(&capabilities),
        capabilities,
        is_sandbox: row.try_get(6)?,
        status: LineStatus {
            online: row.try_get(7)?,
            reason: row.try_get::<_, Option<Name<_>>>(8)?.map(|reason| reason.0),
            since: row.try_get::<_, Option<i64>>(9)?.map(Timestamp),
        },
        health: None,
    })
}
