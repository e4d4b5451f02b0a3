//! The second bridge of a line: who may be it, when it takes over, and that it does so once.

use std::time::Duration;

use switchboard_model::{
    Bridge, Line, Timestamp,
    id::Id,
    line::{DriverKind, LineStatus, OfflineReason, OperatorLine},
    time::Now,
};

use super::operator;
use crate::{
    Committed, Refusal, Result, TakeOver,
    base::post_commit::Publishes,
    postgres::{
        bridges,
        engine::{
            columns::{Bits, bits},
            connection::Sql,
            statement,
            transaction::Tx,
        },
        events,
    },
};

/// Refuses a bridge that can't stand by for one that carries a line of this driver.
pub(super) async fn may_stand_by(
    sql: &Sql,
    standby: Id<Bridge>,
    active: Option<Id<Bridge>>,
    driver: DriverKind,
) -> Result<Id<Bridge>> {
    let standby = bridges::must_be_usable(sql, standby, driver).await?;
    if active.is_none_or(|active| active == standby) {
        return Err(Refusal::StandbyCarries.into());
    }
    Ok(standby)
}

pub(super) async fn set(
    tx: &Tx,
    line: Id<Line>,
    standby: Option<Id<Bridge>>,
) -> Result<OperatorLine> {
    tx.lock_line(line).await?;
    let found = operator::find(&tx.sql, line).await?.ok_or(Refusal::LineNotFound)?;
    if let Some(standby) = standby {
        may_stand_by(&tx.sql, standby, found.bridge_id, found.driver).await?;
    }
    statement::run(
        &tx.sql,
        "update lines set standby_ready = standby_ready and standby_bridge_id is not distinct from $2,
                standby_bridge_id = $2
         where id = $1",
        &[&bits(line), &standby.map(bits)],
    ).await?;
    operator::find(&tx.sql, line).await?.ok_or_else(|| Refusal::LineNotFound.into())
}

/// Keeps whether the standby could carry the line now; nothing of a bridge that is not the line's standby.
pub(super) async fn is_ready(
    sql: &Sql,
    standby: Id<Bridge>,
    line: Id<Line>,
    ready: bool,
) -> Result<()> {
    statement::run(
        sql,
        "update lines set standby_ready = $3 where id = $1 and standby_bridge_id = $2 and standby_ready <> $3",
        &[&bits(line), &bits(standby), &ready],
    ).await?;
    Ok(())
}

/// What a take-over has done.
#[derive(Default)]
pub(super) struct TakenOver {
    /// Whether the bridges were in these places.
    pub(super) is_done: bool,
    pub(super) committed: Committed,
}

impl Publishes for TakenOver {
    fn committed(&mut self) -> &mut Committed {
        &mut self.committed
    }
}

/// The grace begins anew with each change: the new bridge has as long as the one before it had. A line whose standby is
/// not ready goes down with the change; of one that is, the new bridge's link says the same as it knows.
pub(super) async fn take_over(
    tx: &Tx,
    TakeOver { line, from, to }: TakeOver,
    now: Timestamp,
) -> Result<TakenOver> {
    tx.lock_line(line).await?;
    let was: Option<(bool, bool)> = statement::first(
        &tx.sql,
        "select online, standby_ready from lines where id = $1 and bridge_id = $2 and standby_bridge_id = $3",
        &[&bits(line), &bits(from), &bits(to)],
        |row| Ok((row.try_get(0)?, row.try_get(1)?)),
    ).await?;
    let Some((was_online, was_ready)) = was else { return Ok(TakenOver::default()) };
    let swapped = statement::run(
        &tx.sql,
        "update lines set bridge_id = $3, standby_bridge_id = $2, standby_ready = false, taken_over = true,
                status_since = case when online then status_since else $4 end
         where id = $1 and bridge_id = $2 and standby_bridge_id = $3",
        &[&bits(line), &bits(from), &bits(to), &now.0],
    ).await?;
    if swapped == 0 {
        return Ok(TakenOver::default());
    }
    let mut committed = Committed::default();
    if was_online && !was_ready {
        let away = LineStatus {
            online: false,
            reason: Some(OfflineReason::Unreachable),
            since: Some(now),
        };
        committed.changed = super::set_status(&tx.sql, to, line, away).await?;
        events::line_status(tx, to, line, false, now, &mut committed).await?;
    }
    Ok(TakenOver { is_done: true, committed })
}

/// See [`crate::Lines::to_take_over`].
pub(super) async fn due(sql: &Sql, now: Now, after: Duration) -> Result<Vec<TakeOver>> {
    statement::all(
        sql,
        "select l.id, l.bridge_id, l.standby_bridge_id
         from lines l
         join bridges active on active.id = l.bridge_id
         join bridges standby on standby.id = l.standby_bridge_id
         where l.standby_bridge_id is not null and l.is_active = true and l.standby_ready = true
           and standby.link_until > $1 and standby.revoked_at is null
           and ((l.online = false and l.status_since <= $2)
                or (active.link_until > 0 and active.link_until <= $3))",
        &[&now.steady.0, &(now.wall - after).0, &(now.steady - after).0],
        |row| {
            Ok(TakeOver {
                line: row.try_get::<_, Bits<_>>(0)?.id(),
                from: row.try_get::<_, Bits<_>>(1)?.id(),
                to: row.try_get::<_, Bits<_>>(2)?.id(),
            })
        },
    )
    .await
}
