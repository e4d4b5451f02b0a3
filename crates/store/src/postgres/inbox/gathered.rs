//! Messages that came in one after the other: known, placed in their chats, and written all at once.

use std::collections::{HashMap, HashSet};

use switchboard_model::{
    Account, Chat, EventKind, Message, Timestamp,
    event::MessageEvent,
    id::Id,
    link::{InboundMessage, ReceivedEntry},
};

use super::UNKNOWN;
use crate::{
    Committed, Result,
    base::{
        context::CachedLine,
        line_usage::is_silent,
        told::{guid_of_message, new_message},
    },
    postgres::{
        chats::{self, NewestMessage, ToldChats},
        engine::transaction::Tx,
        events::{self, EventContext},
        files, messages, typing,
    },
};

/// A message as it is told, and the guid that it is kept by.
pub(super) struct ToldMessage {
    pub(super) guid: String,
    pub(super) inbound: InboundMessage,
    pub(super) is_from_me: bool,
}

impl ToldMessage {
    pub(super) fn new(inbound: InboundMessage, is_from_me: bool) -> Self {
        Self { guid: guid_of_message(&inbound), inbound, is_from_me }
    }
}

/// What is answered of an entry.
#[derive(Clone, Copy)]
enum Answer {
    Is(ReceivedEntry),
    /// The same as of the entry in this place, which is gathered.
    AsOf(usize),
}

/// What was told of a line, and the messages of it that are still to be written.
pub(super) struct Gathered<'a> {
    pub(super) tx: &'a Tx,
    line: &'a CachedLine,
    pub(super) now: Timestamp,
    /// Whether anybody types, in whatever chat.
    pub(super) somebody_types: bool,
    pub(super) chats: ToldChats,
    /// By their guids.
    known: HashMap<String, Answer>,
    answers: Vec<Answer>,
    /// The place of each among the entries, and whose it is.
    waiting: Vec<(usize, Id<Account>, ToldMessage)>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(
        tx: &'a Tx,
        line: &'a CachedLine,
        known: Vec<(String, Id<Message>, Id<Chat>)>,
        somebody_types: bool,
        now: Timestamp,
    ) -> Self {
        let known = known.into_iter().map(|(guid, message, chat)| {
            (guid, Answer::Is(ReceivedEntry { chat_id: Some(chat), message_id: Some(message) }))
        });
        Self {
            tx,
            line,
            now,
            somebody_types,
            chats: ToldChats::default(),
            known: known.collect(),
            answers: Vec::new(),
            waiting: Vec::new(),
        }
    }

    pub(super) fn is_known(&self, told: &ToldMessage) -> bool {
        self.known.contains_key(&told.guid)
    }

    /// Answers what is known.
    pub(super) fn repeated(&mut self, told: &ToldMessage) {
        let answer = self.known.get(&told.guid).copied();
        self.answers.push(answer.unwrap_or(Answer::Is(UNKNOWN)));
    }

    /// Gathers what is new, and this account's.
    pub(super) fn add(&mut self, account: Id<Account>, told: ToldMessage) {
        let place = self.answers.len();
        self.known.insert(told.guid.clone(), Answer::AsOf(place));
        self.answers.push(Answer::AsOf(place));
        self.waiting.push((place, account, told));
    }

    pub(super) fn answer(&mut self, entry: ReceivedEntry) {
        self.answers.push(Answer::Is(entry));
    }

    /// What is answered of all entries, once nothing waits any more.
    pub(super) fn results(&self) -> Vec<ReceivedEntry> {
        let answer = |answer: &Answer| match *answer {
            Answer::Is(entry) => entry,
            Answer::AsOf(place) => match self.answers.get(place) {
                Some(Answer::Is(entry)) => *entry,
                _ => UNKNOWN,
            },
        };
        self.answers.iter().map(answer).collect()
    }

    /// Writes what is gathered.
    pub(super) async fn keep(&mut self, committed: &mut Committed) -> Result<()> {
        let new = self.make(committed).await?;
        keep(self.tx, &new, self.now).await
    }

    /// Makes messages of what is gathered, which are still to be written, and tells of them in their order.
    pub(super) async fn make(&mut self, committed: &mut Committed) -> Result<Vec<Message>> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let told = waiting.iter().map(|(_, account, told)| (*account, &told.inbound.chat));
        self.chats.find_or_make(self.tx, self.line.id, told).await?;
        let mut new = Vec::with_capacity(waiting.len());
        for (place, account, told) in waiting {
            let message = self.one(account, told, committed).await?;
            let (chat_id, message_id) = (Some(message.chat_id), Some(message.id));
            self.answers[place] = Answer::Is(ReceivedEntry { chat_id, message_id });
            new.push((account, message));
        }
        self.chats.keep_changes(self.tx).await?;
        self.tell(new, committed).await
    }

    async fn one(
        &mut self,
        account: Id<Account>,
        told: ToldMessage,
        committed: &mut Committed,
    ) -> Result<Message> {
        let ToldMessage { guid, mut inbound, is_from_me } = told;
        let files = std::mem::take(&mut inbound.attachments);
        let mut attachments = Vec::new();
        if !files.is_empty() {
            attachments = files::receive_all(&self.tx.sql, self.line.id, account, files).await?;
        }
        let chat = self.chats.told(account, &inbound.chat)?;
        let has_received = chat.has_received_inbound;
        if is_from_me {
            let is_silent = is_silent(has_received, chat.last_received_at, self.now);
            committed.tally.sent(self.line.id, is_silent);
        } else {
            committed.tally.received(self.line.id, !has_received && !chat.is_group);
            chat.has_received_inbound = true;
            chat.last_received_at = Some(self.now);
        }
        let (line, chat, now) = (self.line, chat.id, self.now);
        Ok(new_message(line, chat, guid, inbound, attachments, is_from_me, now))
    }

    /// An own message is told of as sent, never as received: an agent that answers what is received would answer itself.
    async fn tell(
        &self,
        new: Vec<(Id<Account>, Message)>,
        committed: &mut Committed,
    ) -> Result<Vec<Message>> {
        let (line, now) = (self.line, self.now);
        let mut typing = HashSet::new();
        if self.somebody_types {
            let chats: Vec<_> = new.iter().map(|(_, message)| message.chat_id).collect();
            typing = typing::who_types(&self.tx.sql, &chats).await?;
        }
        let mut kept = Vec::with_capacity(new.len());
        for (account_id, message) in new {
            let place = EventContext { line, account_id, chat_id: message.chat_id };
            if !typing.is_empty() && typing.remove(&(message.chat_id, message.sender.clone())) {
                typing::wrote(self.tx, &place, &message.sender, now, committed).await?;
            }
            let is_from_me = message.is_from_me;
            let kind = if is_from_me { EventKind::MessageSent } else { EventKind::MessageReceived };
            let data = MessageEvent { message, line_handle: line.handle.clone() };
            events::publish(self.tx, place.event(kind, &data), now, committed).await?;
            kept.push(data.message);
        }
        Ok(kept)
    }
}

/// Writes down new messages, and what they do to their chats. An own one is no word of the contact: who must write
/// first still must.
pub(super) async fn keep(tx: &Tx, new: &[Message], now: Timestamp) -> Result<()> {
    let seqs = messages::insert_all(tx, new).await?;
    let newest = new.iter().zip(seqs).filter_map(|(message, seq)| {
        Some(NewestMessage {
            chat: message.chat_id,
            seq: seq?,
            sent_at: message.sent_at,
            service: message.service.unwrap_or_default(),
            is_inbound: !message.is_from_me,
        })
    });
    chats::have_messages(tx, &newest.collect::<Vec<_>>(), now).await
}
