//! What comes in: a batch of a line's history and the place it ends at, together or not at all.
//! The same guid twice is one message and one event, however often a bridge tells of it.
//!
//! What comes to the sandbox line is the account's that the chat's phone is paired with; of a phone
//! that is paired with nobody, and of groups, it is the line's owner's. So what a phone does about
//! an older account's messages is about nothing that is known.

mod known;

use switchboard_model::{
    Account, Bridge, EventKind, Line, Timestamp,
    event::MessageEvent,
    id::Id,
    link::{
        Inbound, InboundChat, InboundMessage, InboundReaction, MAX_POSITION_BYTES, ReceivedEntry,
    },
};

use super::{
    SqliteStore, bridges, chats,
    engine::writer::Tx,
    events::{self, EventContext},
    files,
    lines::{self, health},
    messages,
    reactions::{
        self, Occurrence,
        twice::{self, Said},
    },
    receipts, sandbox, typing,
};
use crate::{
    Committed, Inbox, KnownHistory, Link, Received, Refusal, Result,
    base::{
        context::CachedLine,
        line_usage::is_silent,
        told::{
            OLD_TYPING, bounded_guid, by_the_line, guid_of_message, guid_of_reaction, new_message,
            pairing_code,
        },
    },
};

#[async_trait::async_trait]
impl Inbox for SqliteStore {
    async fn receive(
        &self,
        link: Link,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
        now: Timestamp,
    ) -> Result<Received> {
        self.publish(move |tx| receive(tx, link, line, &position, entries, now)).await
    }

    async fn known_history(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        guids: Vec<String>,
    ) -> Result<KnownHistory> {
        self.readers.lookup(bridge).ask(move |sql| known::of(sql, bridge, line, guids)).await
    }
}

/// What is about something that is not known here.
const UNKNOWN: ReceivedEntry = ReceivedEntry { chat_id: None, message_id: None };

pub(super) fn receive(
    tx: &mut Tx<'_>,
    link: Link,
    line: Id<Line>,
    position: &str,
    entries: Vec<Inbound>,
    now: Timestamp,
) -> Result<Received> {
    bridges::must_be_newest(tx.sql, link)?;
    let line = tx
        .cache
        .line(tx.sql, line)?
        .filter(|line| line.bridge_id == Some(link.bridge))
        .ok_or(Refusal::LineNotFound)?;
    let mut received = Received::default();
    let committed = &mut received.committed;
    // A contact's clock may be ahead; the line is known no further for that.
    let told_at = entries.iter().filter_map(Inbound::written_at).max().map(|at| at.min(now));
    for entry in entries {
        let result = match entry {
            Inbound::Message(inbound) => message(tx, &line, inbound, false, now, committed)?,
            Inbound::Own(own) => {
                let inbound = by_the_line(&line, own);
                message(tx, &line, inbound, true, now, committed)?
            }
            Inbound::Reaction(inbound) => {
                reaction(tx, &line, link.bridge, inbound, now, committed)?
            }
            Inbound::Typing(inbound) => in_chat(tx, &line, &inbound.chat, |tx, place| {
                let (handle, on) = (inbound.handle.as_str(), inbound.is_typing);
                // Of a history that comes late, as after a take-over: nobody sees any more who typed then.
                if inbound.at < now - OLD_TYPING {
                    return Ok(());
                }
                typing::changed(tx, place, handle, on, inbound.at, now, committed)
            })?,
            Inbound::Read(inbound) => in_chat(tx, &line, &inbound.chat, |tx, place| {
                let handle = inbound.handle.as_str();
                receipts::read(tx, place, handle, inbound.at, now, committed)
            })?,
            Inbound::Update(inbound) => {
                let account = owner(tx, &line, &inbound.chat)?;
                match messages::update(tx, &line, account, inbound, now, committed)? {
                    Some((message, chat)) => {
                        ReceivedEntry { chat_id: Some(chat), message_id: Some(message) }
                    }
                    None => UNKNOWN,
                }
            }
            Inbound::Unreadable => UNKNOWN,
            Inbound::Group { chat } => {
                let chat_id = chats::upsert(tx.sql, &line, owner(tx, &line, &chat)?, &chat)?.id;
                ReceivedEntry { chat_id: Some(chat_id), message_id: None }
            }
        };
        received.results.push(result);
    }
    health::keep(tx.sql, &mut committed.tally, now)?;
    if position.len() <= MAX_POSITION_BYTES {
        lines::set_position(tx.sql, line.id, link.bridge, position, told_at)?;
    }
    Ok(received)
}

/// Whose it is what happens in this chat.
fn owner(tx: &Tx<'_>, line: &CachedLine, chat: &InboundChat) -> Result<Id<Account>> {
    match chat {
        InboundChat::Contact { handle } if line.is_sandbox => {
            Ok(sandbox::account_of(tx.sql, handle)?.unwrap_or(line.account_id))
        }
        _ => Ok(line.account_id),
    }
}

/// An own message is told of as sent, never as received: an agent that answers what is received would answer itself. It
/// is no word of the contact: who must write first still must.
fn message(
    tx: &mut Tx<'_>,
    line: &CachedLine,
    inbound: InboundMessage,
    is_from_me: bool,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<ReceivedEntry> {
    let guid = guid_of_message(&inbound);
    // Asked first, because a bridge that comes back tells much of what is known, and a known
    // message must not even make a chat; nor may a code that was texted long ago pair anew.
    if let Some((id, chat_id)) = messages::known(tx.sql, line.id, &guid)? {
        return Ok(ReceivedEntry { chat_id: Some(chat_id), message_id: Some(id) });
    }
    if line.is_sandbox && !is_from_me {
        pair(tx, &inbound, now, committed)?;
    }
    let account_id = owner(tx, line, &inbound.chat)?;
    let chat = chats::upsert(tx.sql, line, account_id, &inbound.chat)?;
    let chat_id = chat.id;
    let attachments = inbound
        .attachments
        .iter()
        .map(|file| files::receive(tx.sql, line.id, account_id, file.clone()))
        .collect::<Result<_>>()?;
    let (sent_at, service) = (inbound.sent_at, inbound.service);
    let message = new_message(line, chat_id, guid, inbound, attachments, is_from_me, now);
    if let Some(seq) = messages::insert(tx.sql, &message)? {
        let has_received = chat.has_received_inbound;
        if is_from_me {
            let is_silent = is_silent(has_received, chat.last_received_at, now);
            committed.tally.sent(line.id, is_silent);
        } else {
            committed.tally.received(line.id, !has_received && !chat.is_group);
        }
        chats::has_message(tx.sql, chat_id, seq, sent_at, service, !is_from_me, now)?;
    }
    let message_id = Some(message.id);
    let place = EventContext { line, account_id, chat_id };
    typing::wrote(tx, &place, &message.sender, now, committed)?;
    let data = MessageEvent { message, line_handle: line.handle.clone() };
    let kind = if is_from_me { EventKind::MessageSent } else { EventKind::MessageReceived };
    events::publish(tx, place.event(kind, &data), now, committed)?;
    Ok(ReceivedEntry { chat_id: Some(chat_id), message_id })
}

/// Pairs the phone of this chat if the text is somebody's code. The text itself is the first
/// message of the new pair: with it the contact has written first.
fn pair(
    tx: &mut Tx<'_>,
    inbound: &InboundMessage,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    if let Some((code, phone)) = pairing_code(inbound)
        && let Some(account) = sandbox::pair(tx, &code, phone, now, committed)?
    {
        tracing::info!(%account, "a phone is paired with the sandbox");
    }
    Ok(())
}

/// A reaction stands in the chat of its message, wherever the driver says that it came from.
fn reaction(
    tx: &mut Tx<'_>,
    line: &CachedLine,
    bridge: Id<Bridge>,
    inbound: InboundReaction,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<ReceivedEntry> {
    let guid = bounded_guid(inbound.message_guid.clone());
    let target = reactions::target(tx.sql, line.id, &guid)?;
    let account = owner(tx, line, &inbound.chat)?;
    let Some(target) = target.filter(|target| target.account_id == account) else {
        return Ok(UNKNOWN);
    };
    let (message_id, chat_id) = (target.message_id, target.chat_id);
    let guid = guid_of_reaction(&inbound);
    if reactions::is_new(tx.sql, line.id, &guid, message_id)? {
        let occurrence = Occurrence {
            message_id,
            reaction_type: inbound.reaction_type,
            sender: inbound.sender.to_string(),
            added: inbound.added,
            sent_at: inbound.sent_at,
        };
        let place = EventContext { line, account_id: account, chat_id };
        if occurrence.sender == line.handle.as_str() {
            let said = Said { line: line.id, bridge, as_item: false };
            if twice::was_said(tx.sql, said, &occurrence)? {
                return Ok(ReceivedEntry { chat_id: Some(chat_id), message_id: Some(message_id) });
            }
            if line.was_taken_over {
                twice::note(tx.sql, said, &occurrence, now)?;
            }
            if occurrence.added {
                for older in reactions::replaced(tx.sql, &occurrence)? {
                    reactions::happened(tx, &place, older, now, committed)?;
                }
            }
        }
        reactions::happened(tx, &place, occurrence, now, committed)?;
    }
    Ok(ReceivedEntry { chat_id: Some(chat_id), message_id: Some(message_id) })
}

/// Something happens in a chat that must be there already.
fn in_chat(
    tx: &mut Tx<'_>,
    line: &CachedLine,
    chat: &InboundChat,
    happens: impl FnOnce(&mut Tx<'_>, &EventContext<'_>) -> Result<()>,
) -> Result<ReceivedEntry> {
    let account_id = owner(tx, line, chat)?;
    let Some(chat_id) = chats::find_told(tx.sql, line, account_id, chat)? else {
        return Ok(UNKNOWN);
    };
    happens(tx, &EventContext { line, account_id, chat_id })?;
    Ok(ReceivedEntry { chat_id: Some(chat_id), message_id: None })
}
