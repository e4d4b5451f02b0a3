//! What came of items: outbox, message, chat, event and deliveries, together or not at all.

use serde_json::value::to_raw_value;
use switchboard_model::{
    Bridge, EventKind, Message, Timestamp,
    chat::Service,
    event::MessageEvent,
    id::Id,
    link::{Content, Outcome},
    outbox::MAY_HAVE_BEEN_HANDED_OVER,
};

use super::{
    chats,
    events::{self, Moment, NewEvent},
    messages::{self, bounded_guid},
    outbox::{self, OpenItem},
    writer::Tx,
};
use crate::{Committed, Result, SettleReport};

pub(super) fn settle(
    tx: &mut Tx<'_>,
    bridge: Id<Bridge>,
    reports: Vec<SettleReport>,
    moment: Moment,
) -> Result<Committed> {
    let mut committed = Committed::default();
    for report in reports {
        let Some(item) = outbox::held_by(tx.sql, bridge, report.id)? else {
            tracing::debug!(item = %report.id, %bridge, "a report came for an item that is not claimed");
            continue;
        };
        let taken = item.attempts + 1;
        match report.outcome {
            Outcome::Sent { guid, sent_at, service } => {
                sent(tx, &item, guid, sent_at, service, moment, &mut committed)?;
            }
            Outcome::Failed { error } => {
                outbox::fail(tx, &item, taken, &error, moment, &mut committed)?;
            }
            Outcome::Unknown => {
                let error = MAY_HAVE_BEEN_HANDED_OVER;
                outbox::fail(tx, &item, taken, error, moment, &mut committed)?;
            }
            Outcome::Released => {
                let counts = report.counts_as_attempt;
                outbox::release(tx, &item, counts, moment, &mut committed)?;
            }
        }
    }
    Ok(committed)
}

fn sent(
    tx: &mut Tx<'_>,
    item: &OpenItem,
    guid: String,
    sent_at: Timestamp,
    service: Service,
    moment: Moment,
    committed: &mut Committed,
) -> Result<()> {
    let line = outbox::line_of(tx, item)?;
    let Content::Message { text, reply_to_guid } = &item.content;
    let message = Message {
        id: Id::generate(),
        line_id: item.line_id,
        chat_id: item.chat_id,
        guid: bounded_guid(guid),
        sender: line.handle.to_string(),
        text: Some(text.clone()),
        attachments: Vec::new(),
        service: Some(service),
        is_from_me: true,
        is_audio_message: Some(false),
        sent_at,
        synced_at: moment.now,
        outbox_id: Some(item.id),
        reply_to_guid: reply_to_guid.clone(),
    };
    let message = match messages::insert(tx.sql, &message)? {
        Some(seq) => {
            chats::has_message(tx.sql, item.chat_id, seq, sent_at, service, false)?;
            message
        }
        // The line's history told of it first: the same message, not a second one.
        None => messages::link(tx.sql, item.line_id, &message.guid, item.id)?,
    };
    outbox::mark_sent(tx.sql, item, message.id, moment.now)?;
    let data = MessageEvent { message, line_handle: line.handle.clone() };
    let event = NewEvent {
        line: &line,
        chat_id: Some(data.message.chat_id),
        kind: EventKind::MessageSent,
        data: to_raw_value(&data).expect("a message has only string keys"),
    };
    events::publish(tx, event, moment, committed)
}
