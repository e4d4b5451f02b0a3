//! What came of items: outbox, message, chat, event and deliveries, together or not at all.

use switchboard_model::{
    Bridge, EventKind, Message, Timestamp,
    chat::Service,
    event::MessageEvent,
    id::Id,
    link::{Content, Outcome},
    outbox::{IDENTITY_OF_ANOTHER, MAY_HAVE_BEEN_HANDED_OVER},
};

use super::{OpenItem, resolve};
use crate::{
    Committed, Link, Result, SettleReport,
    sqlite::{
        bridges, chats,
        engine::writer::Tx,
        events::{self, EventContext},
        files, lines,
        messages::{self, bounded_guid},
        reactions::{
            self, Occurrence,
            twice::{self, Said},
        },
        receipts, typing,
    },
};

pub(super) fn settle(
    tx: &mut Tx<'_>,
    link: Link,
    reports: Vec<SettleReport>,
    now: Timestamp,
) -> Result<Committed> {
    bridges::must_be_newest(tx.sql, link)?;
    let bridge = link.bridge;
    let mut committed = Committed::default();
    for report in reports {
        let Some(item) = super::held_by(tx.sql, bridge, report.id)? else {
            // Its lease may have run out: then it was given up, and this is the truth.
            resolve::resolve_one(tx, link, report.id, report.outcome, now, &mut committed)?;
            continue;
        };
        let taken = item.taken();
        match report.outcome {
            Outcome::Sent { guid, sent_at, service, delivered_at } => {
                let sent_as = SentAs { guid, sent_at, service, delivered_at };
                sent(tx, bridge, &item, sent_as, now, &mut committed)?;
            }
            Outcome::Done { at } => done(tx, bridge, &item, at, now, &mut committed)?,
            Outcome::Failed { error } => {
                super::fail(tx, &item, taken, &error, now, &mut committed)?;
            }
            Outcome::Unknown => {
                let error = MAY_HAVE_BEEN_HANDED_OVER;
                super::fail(tx, &item, taken, error, now, &mut committed)?;
            }
            Outcome::Released => {
                let counts = report.counts_as_attempt;
                super::release(tx, &item, counts, now, &mut committed)?;
            }
        }
    }
    lines::health::keep(tx.sql, &mut committed.tally, now)?;
    Ok(committed)
}

/// What the driver says of a message that it has sent.
pub(super) struct SentAs {
    pub(super) guid: String,
    pub(super) sent_at: Timestamp,
    pub(super) service: Service,
    pub(super) delivered_at: Option<Timestamp>,
}

pub(super) fn sent(
    tx: &mut Tx<'_>,
    bridge: Id<Bridge>,
    item: &OpenItem,
    SentAs { guid, sent_at, service, delivered_at }: SentAs,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let Content::Message { text, attachments, is_audio_message, reply_to_guid } = &item.content
    else {
        // Called a message by mistake: it was done all the same.
        return done(tx, bridge, item, sent_at, now, committed);
    };
    if guid.trim().is_empty() {
        // An identity that is none's: the second message without one would be the first.
        return done(tx, bridge, item, sent_at, now, committed);
    }
    let line = super::line_of(tx, item)?;
    let guid = bounded_guid(guid);
    let attachments = if item.was_given_up() && messages::known(tx.sql, line.id, &guid)?.is_none() {
        let again = attachments.iter().map(|file| files::take_again(tx.sql, file));
        again.collect::<Result<_>>()?
    } else {
        attachments.iter().map(files::attachment).collect()
    };
    let message = Message {
        id: Id::generate(),
        line_id: item.line_id,
        chat_id: item.chat_id,
        guid,
        sender: line.handle.to_string(),
        text: text.clone(),
        attachments,
        service: Some(service),
        is_from_me: true,
        is_audio_message: Some(*is_audio_message),
        sent_at,
        synced_at: now,
        outbox_id: Some(item.id),
        reply_to_guid: reply_to_guid.clone(),
        edited_at: None,
        unsent_at: None,
        delivered_at,
        read_at: None,
        failed_at: None,
        error: None,
    };
    let message = match messages::insert(tx.sql, &message)? {
        Some(seq) => {
            committed.tally.sent(item.line_id, item.to_silent);
            chats::has_message(tx.sql, item.chat_id, seq, sent_at, service, false, now)?;
            message
        }
        // The line's history told of it first: the same message, not a second one. Unless it is somebody else's,
        // or was sent from another item: a bridge can't make one message of another.
        None => match messages::link(tx.sql, &message, item.id)? {
            Some(linked) => {
                // It has its own files.
                leave_files(tx, item)?;
                linked
            }
            None => {
                tracing::warn!(item = %item.id, "a bridge reports an item as a message that is another");
                let error = IDENTITY_OF_ANOTHER;
                return super::fail(tx, item, item.taken(), error, now, committed);
            }
        },
    };
    super::mark_sent(tx.sql, item, Some(message.id), now)?;
    let place = EventContext { line: &line, account_id: item.account_id, chat_id: message.chat_id };
    typing::wrote(tx, &place, line.handle.as_str(), now, committed)?;
    let data = MessageEvent { message, line_handle: line.handle.clone() };
    events::publish(tx, place.event(EventKind::MessageSent, &data), now, committed)
}

/// What is no message has happened: in the chat it looks as if the line's own handle had done it.
fn done(
    tx: &mut Tx<'_>,
    bridge: Id<Bridge>,
    item: &OpenItem,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    super::mark_sent(tx.sql, item, None, now)?;
    let line = super::line_of(tx, item)?;
    let place = EventContext { line: &line, account_id: item.account_id, chat_id: item.chat_id };
    let handle = line.handle.as_str();
    match &item.content {
        // It is out, and to fail it would invite to send it again; but without its guid it is
        // nothing that could be shown. The line's history may yet tell of it.
        Content::Message { .. } => {
            tracing::warn!(item = %item.id, "a driver sent a message and did not say which it became");
            leave_files(tx, item)?;
            typing::wrote(tx, &place, handle, now, committed)
        }
        Content::Reaction { message_guid, reaction_type, remove } => {
            let known = messages::known(tx.sql, item.line_id, message_guid)?;
            let Some((message_id, _)) = known else { return Ok(()) };
            let occurrence = Occurrence {
                message_id,
                reaction_type: reaction_type.clone(),
                sender: handle.into(),
                added: !remove,
                sent_at: at,
            };
            let said = Said { line: item.line_id, bridge, as_item: true };
            if twice::was_said(tx.sql, said, &occurrence)? {
                // The other bridge has told of it as the line's own.
                return Ok(());
            }
            twice::note(tx.sql, said, &occurrence, now)?;
            if occurrence.added {
                for older in reactions::replaced(tx.sql, &occurrence)? {
                    reactions::happened(tx, &place, older, now, committed)?;
                }
            }
            reactions::happened(tx, &place, occurrence, now, committed)
        }
        Content::Typing { on } => typing::changed(tx, &place, handle, *on, at, now, committed),
        Content::Read => receipts::read(tx, &place, handle, at, now, committed),
    }
}

/// The item holds its files no longer.
fn leave_files(tx: &Tx<'_>, item: &OpenItem) -> Result<()> {
    if item.was_given_up() { Ok(()) } else { files::leave_all_of(tx.sql, &item.content) }
}
