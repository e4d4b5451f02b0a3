//! The second bridge of a line: who may be it, when it takes over, and that it does so once.

use std::time::Duration;

use rusqlite::{Connection, params};
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
    sqlite::{
        bridges,
        engine::{
            columns::{Bits, bits},
            statement,
            writer::Tx,
        },
        events,
    },
};

/// Refuses a bridge that can't stand by for one that carries a line of this driver.
pub(super) fn may_stand_by(
    sql: &Connection,
    standby: Id<Bridge>,
    active: Option<Id<Bridge>>,
    driver: DriverKind,
) -> Result<Id<Bridge>> {
    let standby = bridges::must_be_usable(sql, standby, driver)?;
    if active.is_none_or(|active| active == standby) {
        return Err(Refusal::StandbyCarries.into());
    }
    Ok(standby)
}

pub(super) fn set(
    tx: &mut Tx<'_>,
    line: Id<Line>,
    standby: Option<Id<Bridge>>,
) -> Result<OperatorLine> {
    let found = operator::find(tx.sql, line)?.ok_or(Refusal::LineNotFound)?;
    if let Some(standby) = standby {
        may_stand_by(tx.sql, standby, found.bridge_id, found.driver)?;
    }
    statement::run(
        tx.sql,
        "update lines set standby_ready = iif(standby_bridge_id is ?2, standby_ready, 0), standby_bridge_id = ?2
         where id = ?1",
        params![bits(line), standby.map(bits)],
    )?;
    tx.cache.forget_line(line);
    operator::find(tx.sql, line)?.ok_or_else(|| Refusal::LineNotFound.into())
}

/// Keeps whether the standby could carry the line now; nothing of a bridge that is not the line's standby.
pub(super) fn is_ready(
    sql: &Connection,
    standby: Id<Bridge>,
    line: Id<Line>,
    ready: bool,
) -> Result<()> {
    statement::run(
        sql,
        "update lines set standby_ready = ?3 where id = ?1 and standby_bridge_id = ?2 and standby_ready <> ?3",
        params![bits(line), bits(standby), ready],
    )?;
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
pub(super) fn take_over(
    tx: &mut Tx<'_>,
    TakeOver { line, from, to }: TakeOver,
    now: Timestamp,
) -> Result<TakenOver> {
    let was: Option<(bool, bool)> = statement::first(
        tx.sql,
        "select online, standby_ready from lines where id = ?1 and bridge_id = ?2 and standby_bridge_id = ?3",
        params![bits(line), bits(from), bits(to)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((was_online, was_ready)) = was else { return Ok(TakenOver::default()) };
    let swapped = statement::run(
        tx.sql,
        "update lines set bridge_id = ?3, standby_bridge_id = ?2, standby_ready = 0, taken_over = 1,
                status_since = iif(online = 1, status_since, ?4)
         where id = ?1 and bridge_id = ?2 and standby_bridge_id = ?3",
        params![bits(line), bits(from), bits(to), now.0],
    )?;
    if swapped == 0 {
        return Ok(TakenOver::default());
    }
    tx.cache.forget_line(line);
    let mut committed = Committed::default();
    if was_online && !was_ready {
        let away = LineStatus {
            online: false,
            reason: Some(OfflineReason::Unreachable),
            since: Some(now),
        };
        committed.changed = super::set_status(tx.sql, to, line, away)?;
        events::line_status(tx, to, line, false, now, &mut committed)?;
    }
    Ok(TakenOver { is_done: true, committed })
}

/// See [`crate::Lines::to_take_over`].
pub(super) fn due(sql: &Connection, now: Now, after: Duration) -> Result<Vec<TakeOver>> {
    statement::all(
        sql,
        "select l.id, l.bridge_id, l.standby_bridge_id
         from lines l indexed by lines_by_standby
         cross join bridges active on active.id = l.bridge_id
         cross join bridges standby on standby.id = l.standby_bridge_id
         where l.standby_bridge_id is not null and l.is_active = 1 and l.standby_ready = 1
           and standby.link_until > ?1 and standby.revoked_at is null
           and ((l.online = 0 and l.status_since <= ?2)
                or (active.link_until > 0 and active.link_until <= ?3))",
        params![now.steady.0, (now.wall - after).0, (now.steady - after).0],
        |row| {
            Ok(TakeOver {
                line: row.get::<_, Bits<_>>(0)?.id(),
                from: row.get::<_, Bits<_>>(1)?.id(),
                to: row.get::<_, Bits<_>>(2)?.id(),
            })
        },
    )
}
