//! Items of which it is told together what came of them: read with one statement, changed one after the other in memory,
//! and written down at the end.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use switchboard_model::{
    Bridge, EventKind, Line, Message, OutboxItem, Timestamp,
    event::FailedEvent,
    id::Id,
    outbox::{MAX_ATTEMPTS, OutboxStep},
};
use tokio_postgres::Row;

use super::{
    OpenItem, lost, open_item, step,
    write::{Change, Changes},
};
use crate::{
    Committed, Result, StoreError,
    base::context::CachedLine,
    postgres::{
        context,
        engine::{
            columns::{Bits, Column, bits_of},
            connection::Sql,
            statement,
            transaction::Tx,
        },
        events::{self, EventContext},
        inbox::keepable_text,
    },
};

/// An item as it stands now.
pub(super) struct Held {
    pub(super) item: OpenItem,
    /// Who has claimed it, if it is claimed.
    pub(super) bridge: Option<Id<Bridge>>,
    /// Until when.
    pub(super) lease_until: Option<Timestamp>,
    created_at: Timestamp,
    /// As it lies.
    payload: String,
}

/// These items, whatever their status, locked until the transaction ends. The locks of their lines are held.
pub(super) async fn hold(sql: &Sql, ids: &[Id<OutboxItem>]) -> Result<Vec<Held>> {
    statement::all(
        sql,
        "select seq, id, account_id, line_id, chat_id, status, attempts, content, to_silent, error,
                bridge_id, lease_until, created_at, payload
         from outbox where id = any($1) order by seq for update",
        &[&bits_of(ids)],
        held,
    )
    .await
}

fn held(row: &Row) -> Column<Held> {
    Ok(Held {
        item: OpenItem { to_silent: row.try_get(8)?, error: row.try_get(9)?, ..open_item(row)? },
        bridge: row.try_get::<_, Option<Bits<_>>>(10)?.map(Bits::id),
        lease_until: row.try_get::<_, Option<i64>>(11)?.map(Timestamp),
        created_at: Timestamp(row.try_get(12)?),
        payload: row.try_get(13)?,
    })
}

/// What a transaction does to items.
pub(super) struct Batch<'t> {
    pub(super) tx: &'t Tx,
    pub(super) now: Timestamp,
    lines: HashMap<Id<Line>, Arc<CachedLine>>,
    pub(super) changes: Changes,
    pub(super) committed: Committed,
}

impl<'t> Batch<'t> {
    /// Of items of these lines, whose locks are held.
    pub(super) async fn of(
        tx: &'t Tx,
        lines: impl IntoIterator<Item = Id<Line>>,
        now: Timestamp,
    ) -> Result<Self> {
        let lines: Vec<_> = lines.into_iter().collect::<HashSet<_>>().into_iter().collect();
        let lines = context::lines(&tx.sql, &lines).await?;
        let lines = lines.into_iter().map(|line| (line.id, line)).collect();
        Ok(Self { tx, now, lines, changes: Changes::default(), committed: Committed::default() })
    }

    /// The line of an item. Lines are never deleted.
    pub(super) fn line_of(&self, item: &OpenItem) -> Result<Arc<CachedLine>> {
        self.lines.get(&item.line_id).cloned().ok_or_else(|| lost("line of an outbox item"))
    }

    /// Messages has the item; it became this message, if it was one.
    pub(super) fn mark_sent(
        &mut self,
        held: &mut Held,
        message: Option<Id<Message>>,
    ) -> Result<()> {
        let item = &mut held.item;
        let (status, attempts) = (item.after(OutboxStep::Send)?, item.taken());
        (item.status, item.attempts, item.error, held.bridge) = (status, attempts, None, None);
        self.changes.item(Change {
            completed_at: Some(self.now),
            message_id: message,
            ..Change::of(&held.item)
        });
        Ok(())
    }

    /// The item waits again.
    pub(super) fn give_back(&mut self, held: &mut Held, attempts: u32) -> Result<()> {
        let item = &mut held.item;
        item.status = step(item.status, OutboxStep::Release)?;
        (item.attempts, held.bridge) = (attempts, None);
        self.changes.item(Change::of(&held.item));
        if !self.committed.released.contains(&held.item.line_id) {
            self.committed.released.push(held.item.line_id);
        }
        Ok(())
    }

    /// Gives the item up, and makes that known.
    pub(super) async fn fail(&mut self, held: &mut Held, attempts: u32, error: &str) -> Result<()> {
        let item = &mut held.item;
        let status = item.after(OutboxStep::Fail)?;
        if !item.was_given_up() {
            self.changes.leave(&item.content);
        }
        // A bridge may say anything: what can't be kept must not stop all that is reported with it.
        let error = keepable_text(error).into_owned();
        (item.status, item.attempts, item.error) = (status, attempts, Some(error));
        held.bridge = None;
        let item = &held.item;
        self.changes.item(Change { completed_at: Some(self.now), ..Change::of(item) });
        let shown = OutboxItem {
            id: item.id,
            status,
            error: item.error.clone(),
            created_at: held.created_at,
            completed_at: Some(self.now),
            line_id: item.line_id,
            payload: serde_json::from_str(&held.payload).map_err(|_| unreadable())?,
            attempts,
            max_attempts: MAX_ATTEMPTS,
            message_id: None,
        };
        let line = self.line_of(item)?;
        let place =
            EventContext { line: &line, account_id: item.account_id, chat_id: item.chat_id };
        let line_handle = line.handle.clone();
        let data = FailedEvent { item: shown, chat_id: item.chat_id, line_handle };
        let event = place.event(EventKind::MessageFailed, &data);
        events::publish(self.tx, event, self.now, &mut self.committed).await
    }

    /// Writes down all that has happened.
    pub(super) async fn end(self) -> Result<Committed> {
        let Self { tx, now, changes, mut committed, .. } = self;
        changes.write(tx, &mut committed.tally, now).await?;
        Ok(committed)
    }
}

fn unreadable() -> StoreError {
    StoreError::Unreadable { what: "the payload of an outbox item".into() }
}
