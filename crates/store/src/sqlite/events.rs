//! Events: the spine that everything which listens reads. An event and its deliveries are
//! committed together with what they tell of.

use std::sync::Arc;

use rusqlite::{Connection, params};
use serde_json::value::RawValue;
use switchboard_model::{Chat, EventKind, Timestamp, id::Id};

use super::{
    columns::{Name, Text},
    deliveries,
    known::KnownLine,
    statement,
    writer::Tx,
};
use crate::{Committed, CommittedEvent, Result};

/// When a command runs, and how long the caller holds what it makes.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) lease_until: Timestamp,
}

/// What happened.
pub(super) struct NewEvent<'a> {
    pub(super) line: &'a KnownLine,
    pub(super) chat_id: Option<Id<Chat>>,
    pub(super) kind: EventKind,
    pub(super) data: Box<RawValue>,
}

/// Writes the event and its deliveries down, and adds both to what will be made known.
pub(super) fn publish(
    tx: &mut Tx<'_>,
    new: NewEvent<'_>,
    moment: Moment,
    committed: &mut Committed,
) -> Result<()> {
    let id = Id::generate();
    statement::run(
        tx.sql,
        "insert into events (id, account_id, line_id, chat_id, kind, created_at, data)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            Text(id),
            Text(new.line.account_id),
            Text(new.line.id),
            new.chat_id.map(Text),
            Name(new.kind),
            moment.now.0,
            new.data.get(),
        ],
    )?;
    let event = CommittedEvent {
        seq: tx.sql.last_insert_rowid(),
        id,
        account_id: new.line.account_id,
        line_id: new.line.id,
        chat_id: new.chat_id,
        kind: new.kind,
        data: Arc::from(new.data),
        created_at: moment.now,
    };
    deliveries::lease_new(tx, &event, moment, &mut committed.deliveries)?;
    committed.events.push(event);
    Ok(())
}

/// Goes from the oldest to the first that is young enough, so that nothing is read in vain.
pub(super) fn prune(sql: &Connection, before: Timestamp, limit: usize) -> Result<usize> {
    let mut old = Vec::new();
    {
        let mut oldest = sql.prepare_cached(
            "select seq, created_at, exists (
               select 1 from deliveries where event_seq = events.seq and status = 'due')
             from events order by seq",
        )?;
        let mut rows = oldest.query([])?;
        while old.len() < limit
            && let Some(row) = rows.next()?
            && row.get::<_, i64>(1)? < before.0
        {
            let is_still_tried: bool = row.get(2)?;
            if !is_still_tried {
                old.push(row.get::<_, i64>(0)?);
            }
        }
    }
    for seq in &old {
        statement::run(sql, "delete from deliveries where event_seq = ?1", params![seq])?;
        statement::run(sql, "delete from events where seq = ?1", params![seq])?;
    }
    Ok(old.len())
}
