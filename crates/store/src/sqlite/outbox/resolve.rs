//! What turns out later of items that failed because nobody knew what had come of them.

use rusqlite::{Connection, params};
use switchboard_model::{
    OutboxItem, Timestamp,
    id::Id,
    link::{Outcome, Report},
};

use super::{
    OpenItem, open_item,
    settle::{SentAs, sent},
};
use crate::{
    Committed, Link, Result,
    sqlite::{
        bridges,
        engine::{columns::bits, statement, writer::Tx},
        lines,
    },
};

pub(super) fn resolve(
    tx: &mut Tx<'_>,
    link: Link,
    reports: Vec<Report>,
    now: Timestamp,
) -> Result<Committed> {
    bridges::must_be_newest(tx.sql, link)?;
    let mut committed = Committed::default();
    for Report { id, outcome } in reports {
        resolve_one(tx, link, id, outcome, now, &mut committed)?;
    }
    lines::health::keep(tx.sql, &mut committed.tally, now)?;
    Ok(committed)
}

/// Takes what turned out of one item; nothing of an item whose fate is known.
pub(super) fn resolve_one(
    tx: &mut Tx<'_>,
    link: Link,
    id: Id<OutboxItem>,
    outcome: Outcome,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let Some(item) = given_up(tx.sql, id)? else { return Ok(()) };
    let line = super::line_of(tx, &item)?;
    let was_sent = matches!(outcome, Outcome::Sent { .. });
    let is_open = item.status.resolve(item.error.as_deref(), was_sent).is_ok();
    // The bridge that it was handed to may be the line's standby by now.
    let is_of_line = [line.bridge_id, line.standby_bridge_id].contains(&Some(link.bridge));
    if !is_of_line || !is_open {
        tracing::debug!(item = %id, bridge = %link.bridge, "later truth came for an item whose fate is known");
        return Ok(());
    }
    match outcome {
        Outcome::Sent { guid, sent_at, service, delivered_at } => {
            let sent_as = SentAs { guid, sent_at, service, delivered_at };
            sent(tx, link.bridge, &item, sent_as, now, committed)
        }
        // Still nobody knows.
        Outcome::Failed { error } if item.error.as_ref() == Some(&error) => Ok(()),
        Outcome::Failed { error } => super::fail(tx, &item, item.taken(), &error, now, committed),
        Outcome::Done { .. } | Outcome::Unknown | Outcome::Released => Ok(()),
    }
}

fn given_up(sql: &Connection, id: Id<OutboxItem>) -> Result<Option<OpenItem>> {
    statement::first(
        sql,
        "select seq, id, account_id, line_id, chat_id, status, attempts, content, to_silent, error
         from outbox where id = ?1 and status = 'failed'",
        params![bits(id)],
        |row| Ok(OpenItem { to_silent: row.get(8)?, error: row.get(9)?, ..open_item(row)? }),
    )
}
