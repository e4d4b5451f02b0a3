//! What has happened to items, gathered in a transaction and written down at its end, with one statement for each table.

use std::collections::BTreeMap;

use switchboard_model::{
    File, Message, OutboxItem, Timestamp, id::Id, link::Content, outbox::OutboxStatus,
};

use super::{OpenItem, lost};
use crate::{
    Result,
    base::line_usage::Tally,
    postgres::{
        chats::{self, NewestMessage},
        engine::{
            columns::{Name, Number, bits},
            connection::Sql,
            statement,
            transaction::Tx,
        },
        files, lines, messages,
    },
};

/// What an item is from now on. Nobody holds it.
pub(super) struct Change {
    pub(super) seq: i64,
    pub(super) status: OutboxStatus,
    pub(super) attempts: u32,
    pub(super) error: Option<String>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) message_id: Option<Id<Message>>,
}

impl Change {
    pub(super) fn of(item: &OpenItem) -> Self {
        Self {
            seq: item.seq,
            status: item.status,
            attempts: item.attempts,
            error: item.error.clone(),
            completed_at: None,
            message_id: None,
        }
    }
}

#[derive(Default)]
pub(super) struct Changes {
    /// By their `seq`: of one that changes twice, the last counts.
    items: BTreeMap<i64, Change>,
    messages: Vec<Message>,
    /// Messages that were known, and the items that they were sent from.
    linked: Vec<(Id<Message>, Id<OutboxItem>, Option<Timestamp>)>,
    /// As often as an item has held it.
    left: Vec<Id<File>>,
}

impl Changes {
    pub(super) fn item(&mut self, change: Change) {
        self.items.insert(change.seq, change);
    }

    /// A new message, which the line does not have.
    pub(super) fn message(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// A message that was known was sent from an item.
    pub(super) fn linked(&mut self, message: &Message, item: Id<OutboxItem>) {
        self.linked.push((message.id, item, message.delivered_at));
    }

    /// What was to go out holds its files no longer.
    pub(super) fn leave(&mut self, content: &Content) {
        self.left.extend(files::files_of(content));
    }

    /// Rows of chats before those of files, as who accepts locks them.
    pub(super) async fn write(self, tx: &Tx, tally: &mut Tally, now: Timestamp) -> Result<()> {
        let Self { items, messages, linked, left } = self;
        let (_, numbers, (), ()) = tokio::try_join!(
            write_items(&tx.sql, items.values()),
            messages::insert_all(tx, &messages),
            messages::link_all(&tx.sql, &linked),
            lines::health::keep(&tx.sql, tally, now),
        )?;
        let newest = messages.iter().zip(numbers).map(|(message, seq)| {
            Ok(NewestMessage {
                chat: message.chat_id,
                // It was looked for under the line's lock.
                seq: seq.ok_or_else(|| lost("place of a new message"))?,
                sent_at: message.sent_at,
                service: message.service.unwrap_or_default(),
                is_inbound: false,
            })
        });
        let newest = newest.collect::<Result<Vec<_>>>()?;
        tokio::try_join!(
            chats::have_messages(tx, &newest, now),
            files::leave_many(&tx.sql, &left),
        )?;
        Ok(())
    }
}

/// The rows are locked, and were looked at under that lock.
async fn write_items(
    sql: &Sql,
    items: impl ExactSizeIterator<Item = &Change> + Clone,
) -> Result<()> {
    if items.len() == 0 {
        return Ok(());
    }
    let seqs: Vec<_> = items.clone().map(|item| item.seq).collect();
    let statuses: Vec<_> = items.clone().map(|item| Name(item.status)).collect();
    let attempts: Vec<_> = items.clone().map(|item| Number(item.attempts)).collect();
    let errors: Vec<_> = items.clone().map(|item| item.error.as_deref()).collect();
    let ends: Vec<_> = items.clone().map(|item| item.completed_at.map(|at| at.0)).collect();
    let became: Vec<_> = items.clone().map(|item| item.message_id.map(bits)).collect();
    let changed = statement::run(
        sql,
        "update outbox o
         set status = new.status, attempts = new.attempts, error = new.error,
             completed_at = new.completed_at, message_id = new.message_id,
             bridge_id = null, lease_until = null,
             file_id = case when new.status = 'pending' then o.file_id end
         from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::uuid[])
              as new (seq, status, attempts, error, completed_at, message_id)
         where o.seq = new.seq",
        &[&seqs, &statuses, &attempts, &errors, &ends, &became],
    )
    .await?;
    if changed == items.len() as u64 { Ok(()) } else { Err(lost("outbox item")) }
}
