//! What comes in: a batch of a line's history and the place it ends at, together or not at all.
//! The same guid twice is one message and one event, however often a bridge tells of it.
//!
//! What comes to the sandbox line is the account's that the chat's phone is paired with; of a phone
//! that is paired with nobody, and of groups, it is the line's owner's. So what a phone does about
//! an older account's messages is about nothing that is known.

mod gathered;
mod known;
mod texts;

use switchboard_model::{
    Account, Bridge, Line, Timestamp,
    id::Id,
    link::{Inbound, InboundChat, InboundReaction, MAX_POSITION_BYTES, ReceivedEntry},
};

use self::gathered::{Gathered, ToldMessage};
pub(super) use self::texts::{keepable_guid, keepable_text};
use super::{
    PostgresStore, bridges,
    chats::{self, ToldChats},
    context,
    engine::transaction::Tx,
    events::EventContext,
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
        told::{OLD_TYPING, bounded_guid, by_the_line, guid_of_reaction, pairing_code},
    },
};

#[async_trait::async_trait]
impl Inbox for PostgresStore {
    async fn receive(
        &self,
        link: Link,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
        now: Timestamp,
    ) -> Result<Received> {
        self.publish(move |tx: &Tx| {
            let (position, entries) = (position.clone(), entries.clone());
            Box::pin(async move { receive(tx, link, line, &position, entries, now).await })
        })
        .await
    }

    async fn known_history(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        guids: Vec<String>,
    ) -> Result<KnownHistory> {
        let sql = &self.read().await?;
        known::of(sql, bridge, line, guids).await
    }
}

/// What is about something that is not known here.
const UNKNOWN: ReceivedEntry = ReceivedEntry { chat_id: None, message_id: None };

/// An entry, read as far as its line allows.
enum Entry {
    Message(ToldMessage),
    Other(Inbound),
}

/// Messages are gathered and written together, until something comes between that may ask for them.
pub(super) async fn receive(
    tx: &Tx,
    link: Link,
    line: Id<Line>,
    position: &str,
    entries: Vec<Inbound>,
    now: Timestamp,
) -> Result<Received> {
    tx.lock_line(line).await?;
    let ((), line, somebody_types, ()) = tokio::try_join!(
        bridges::must_be_newest(&tx.sql, link),
        context::line(&tx.sql, line),
        context::anybody_types(&tx.sql),
        tx.expect_places(),
    )?;
    let line =
        line.filter(|line| line.bridge_id == Some(link.bridge)).ok_or(Refusal::LineNotFound)?;
    let mut committed = Committed::default();
    // A contact's clock may be ahead; the line is known no further for that.
    let told_at = entries.iter().filter_map(Inbound::written_at).max().map(|at| at.min(now));
    let entries: Vec<_> = entries.into_iter().map(|entry| read(&line, entry)).collect();
    let messages = entries.iter().filter_map(|entry| match entry {
        Entry::Message(told) => Some(told.guid.as_str()),
        Entry::Other(_) => None,
    });
    let guids: Vec<_> = messages.collect();
    let known = messages::known_of(&tx.sql, line.id, &guids).await?;
    let mut gathered = Gathered::new(tx, &line, known, somebody_types, now);
    for entry in entries {
        match entry {
            // Asked first, because a bridge that comes back tells much of what is known, and a known
            // message must not even make a chat; nor may a code that was texted long ago pair anew.
            Entry::Message(told) if gathered.is_known(&told) => gathered.repeated(&told),
            Entry::Message(told) => {
                if line.is_sandbox && !told.is_from_me {
                    pair(&mut gathered, &told, &mut committed).await?;
                }
                gathered.add(owner(tx, &line, &told.inbound.chat).await?, told);
            }
            Entry::Other(Inbound::Unreadable) => gathered.answer(UNKNOWN),
            Entry::Other(other) => {
                gathered.somebody_types |= matches!(&other, Inbound::Typing(_));
                gathered.keep(&mut committed).await?;
                let chats = &mut gathered.chats;
                let answer = single(tx, &line, link.bridge, chats, other, now, &mut committed);
                let answer = answer.await?;
                gathered.answer(answer);
            }
        }
    }
    let new = gathered.make(&mut committed).await?;
    tokio::try_join!(
        gathered::keep(tx, &new, now),
        health::keep(&tx.sql, &mut committed.tally, now),
        async {
            if position.len() > MAX_POSITION_BYTES || position.contains('\0') {
                return Ok(());
            }
            lines::set_position(&tx.sql, line.id, link.bridge, position, told_at).await
        },
    )?;
    Ok(Received { results: gathered.results(), committed })
}

fn read(line: &CachedLine, entry: Inbound) -> Entry {
    match texts::keepable(entry) {
        Inbound::Message(inbound) => Entry::Message(ToldMessage::new(inbound, false)),
        Inbound::Own(own) => Entry::Message(ToldMessage::new(by_the_line(line, own), true)),
        other => Entry::Other(other),
    }
}

/// What is no message is taken in by itself.
async fn single(
    tx: &Tx,
    line: &CachedLine,
    bridge: Id<Bridge>,
    known: &mut ToldChats,
    entry: Inbound,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<ReceivedEntry> {
    Ok(match entry {
        Inbound::Reaction(inbound) => reaction(tx, line, bridge, inbound, now, committed).await?,
        Inbound::Typing(inbound) => match in_chat(tx, line, &inbound.chat).await? {
            // Of a history that comes late, as after a take-over: nobody sees any more who typed then.
            Some(place) if inbound.at >= now - OLD_TYPING => {
                let (handle, on) = (inbound.handle.as_str(), inbound.is_typing);
                typing::changed(tx, &place, handle, on, inbound.at, now, committed).await?;
                about(&place)
            }
            place => place.as_ref().map_or(UNKNOWN, about),
        },
        Inbound::Read(inbound) => match in_chat(tx, line, &inbound.chat).await? {
            Some(place) => {
                let handle = inbound.handle.as_str();
                receipts::read(tx, &place, handle, inbound.at, now, committed).await?;
                about(&place)
            }
            None => UNKNOWN,
        },
        Inbound::Update(inbound) => {
            let account = owner(tx, line, &inbound.chat).await?;
            match messages::update(tx, line, account, inbound, now, committed).await? {
                Some((message, chat)) => {
                    ReceivedEntry { chat_id: Some(chat), message_id: Some(message) }
                }
                None => UNKNOWN,
            }
        }
        Inbound::Group { chat } => {
            let account = owner(tx, line, &chat).await?;
            known.find_or_make(tx, line.id, [(account, &chat)].into_iter()).await?;
            let chat_id = known.told(account, &chat)?.id;
            known.keep_changes(tx).await?;
            ReceivedEntry { chat_id: Some(chat_id), message_id: None }
        }
        Inbound::Message(_) | Inbound::Own(_) | Inbound::Unreadable => UNKNOWN,
    })
}

/// Whose it is what happens in this chat.
async fn owner(tx: &Tx, line: &CachedLine, chat: &InboundChat) -> Result<Id<Account>> {
    match chat {
        InboundChat::Contact { handle } if line.is_sandbox => {
            Ok(sandbox::account_of(&tx.sql, handle).await?.unwrap_or(line.account_id))
        }
        _ => Ok(line.account_id),
    }
}

/// Pairs the phone of this chat if the text is somebody's code. The text itself is the first
/// message of the new pair: with it the contact has written first.
async fn pair(
    gathered: &mut Gathered<'_>,
    told: &ToldMessage,
    committed: &mut Committed,
) -> Result<()> {
    let Some((code, phone)) = pairing_code(&told.inbound) else { return Ok(()) };
    // Whoever had the phone before has what it wrote until then.
    gathered.keep(committed).await?;
    if let Some(account) = sandbox::pair(gathered.tx, &code, phone, gathered.now, committed).await?
    {
        tracing::info!(%account, "a phone is paired with the sandbox");
    }
    Ok(())
}

/// A reaction stands in the chat of its message, wherever the driver says that it came from.
async fn reaction(
    tx: &Tx,
    line: &CachedLine,
    bridge: Id<Bridge>,
    inbound: InboundReaction,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<ReceivedEntry> {
    let guid = bounded_guid(inbound.message_guid.clone());
    let target = reactions::target(&tx.sql, line.id, &guid).await?;
    let account = owner(tx, line, &inbound.chat).await?;
    let Some(target) = target.filter(|target| target.account_id == account) else {
        return Ok(UNKNOWN);
    };
    let (message_id, chat_id) = (target.message_id, target.chat_id);
    let guid = guid_of_reaction(&inbound);
    if reactions::is_new(&tx.sql, line.id, &guid, message_id).await? {
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
            if twice::was_said(&tx.sql, said, &occurrence).await? {
                return Ok(ReceivedEntry { chat_id: Some(chat_id), message_id: Some(message_id) });
            }
            if line.was_taken_over {
                twice::note(&tx.sql, said, &occurrence, now).await?;
            }
            if occurrence.added {
                for older in reactions::replaced(&tx.sql, &occurrence).await? {
                    reactions::happened(tx, &place, older, now, committed).await?;
                }
            }
        }
        reactions::happened(tx, &place, occurrence, now, committed).await?;
    }
    Ok(ReceivedEntry { chat_id: Some(chat_id), message_id: Some(message_id) })
}

/// The chat that something happens in, which must be there already.
async fn in_chat<'a>(
    tx: &Tx,
    line: &'a CachedLine,
    chat: &InboundChat,
) -> Result<Option<EventContext<'a>>> {
    let account_id = owner(tx, line, chat).await?;
    let chat_id = chats::find_told(&tx.sql, line, account_id, chat).await?;
    Ok(chat_id.map(|chat_id| EventContext { line, account_id, chat_id }))
}

/// What is about a chat.
fn about(place: &EventContext<'_>) -> ReceivedEntry {
    ReceivedEntry { chat_id: Some(place.chat_id), message_id: None }
}
