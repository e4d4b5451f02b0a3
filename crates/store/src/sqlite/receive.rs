//! What comes in: a batch of a line's history and the place it ends at, together or not at all.
//! The same guid twice is one message and one event, however often a bridge tells of it.

use serde_json::value::to_raw_value;
use switchboard_model::{
    Bridge, EventKind, Line, Message,
    event::MessageEvent,
    id::Id,
    link::{Inbound, InboundMessage, ReceivedEntry},
};

use super::{
    chats,
    events::{self, Moment, NewEvent},
    known::KnownLine,
    lines,
    messages::{self, bounded_guid},
    writer::Tx,
};
use crate::{Committed, Received, Refusal, Result};

pub(super) fn receive(
    tx: &mut Tx<'_>,
    bridge: Id<Bridge>,
    line: Id<Line>,
    position: &str,
    entries: Vec<Inbound>,
    moment: Moment,
) -> Result<Received> {
    let line = tx
        .known
        .line(tx.sql, line)?
        .filter(|line| line.bridge_id == Some(bridge))
        .ok_or(Refusal::LineNotFound)?;
    let mut received = Received::default();
    for entry in entries {
        let result = match entry {
            Inbound::Group { chat } => {
                ReceivedEntry { chat_id: chats::met(tx.sql, &line, chat)?, message_id: None }
            }
            Inbound::Message(inbound) => {
                message(tx, &line, inbound, moment, &mut received.committed)?
            }
        };
        received.results.push(result);
    }
    lines::set_position(tx.sql, line.id, position)?;
    Ok(received)
}

fn message(
    tx: &mut Tx<'_>,
    line: &KnownLine,
    inbound: InboundMessage,
    moment: Moment,
    committed: &mut Committed,
) -> Result<ReceivedEntry> {
    let guid = bounded_guid(inbound.guid);
    // Asked first, because a bridge that comes back tells much of what is known, and a known
    // message must not even make a chat.
    if let Some((id, chat_id)) = messages::known(tx.sql, line.id, &guid)? {
        return Ok(ReceivedEntry { chat_id, message_id: Some(id) });
    }
    let chat_id = chats::met(tx.sql, line, inbound.chat)?;
    let message = Message {
        id: Id::generate(),
        line_id: line.id,
        chat_id,
        guid,
        sender: inbound.sender.to_string(),
        text: inbound.text,
        attachments: Vec::new(),
        service: Some(inbound.service),
        is_from_me: false,
        is_audio_message: Some(false),
        sent_at: inbound.sent_at,
        synced_at: moment.now,
        outbox_id: None,
        reply_to_guid: inbound.reply_to_guid.map(bounded_guid),
    };
    if let Some(seq) = messages::insert(tx.sql, &message)? {
        chats::has_message(tx.sql, chat_id, seq, inbound.sent_at, inbound.service, true)?;
    }
    let message_id = Some(message.id);
    let data = MessageEvent { message, line_handle: line.handle.clone() };
    let event = NewEvent {
        line,
        chat_id: Some(chat_id),
        kind: EventKind::MessageReceived,
        data: to_raw_value(&data).expect("a message has only string keys"),
    };
    events::publish(tx, event, moment, committed)?;
    Ok(ReceivedEntry { chat_id, message_id })
}
