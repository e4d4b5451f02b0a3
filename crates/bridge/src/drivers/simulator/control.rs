//! The simulator as people and tests see it: contacts text, edit, react, type and read; groups are made;
//! phones are looked at; lines go wrong.
//!
//! The promise: what has been answered is in the journal and will reach the server, in order.

use std::time::Duration;

use switchboard_model::{
    Chat, Handle, Line, Message, ReactionType, Timestamp,
    id::Id,
    link::{
        Edit, Inbound, InboundChat, InboundReaction, InboundRead, InboundTyping, InboundUpdate,
        ReceivedEntry,
    },
    simulator::{
        ContactInChat, ContactReaction, ContactText, Fault, Phone, PhoneChange, PhoneReaction,
        SimulatedPhones, SimulatedText, SimulatorError,
    },
};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use super::{
    Simulator, State,
    deliver::message_of,
    entry_key,
    journal::{Features, Group, KeptFile, KnownChat, Reacted, ReadBy, Record, Shown, With},
    new_guid,
    phones::MAX_GROUPS,
};

/// Of how many messages it is told that a contact has read them, at one time: the newest.
const MAX_READ_AT_ONCE: usize = 100;

/// Somebody waits for the server to have an entry; who stops waiting leaves nothing behind.
struct Waiter<'a> {
    simulator: &'a Simulator,
    key: String,
    answer: oneshot::Receiver<ReceivedEntry>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.simulator.state().waiting.remove(&self.key);
    }
}

#[async_trait::async_trait]
impl SimulatedPhones for Simulator {
    async fn text(&self, text: ContactText) -> Result<SimulatedText, SimulatorError> {
        let line_id = self.line(&text.line).await?;
        let held = self.keep(text.attachments).await?;
        let (guid, waiter) = {
            let mut state = self.state();
            let mut message = message_of(text.from, text.text, self.clock.now());
            message.chat = state.chat_with(&text.line, &message.sender, text.chat_id)?;
            message.reply_to_guid = text.reply_to_guid;
            message.is_audio_message = text.is_audio_message;
            let guid = message.guid.clone();
            let attachments = held.files.iter().map(|file| file.shown.clone()).collect();
            let shown = vec![Shown::of_contact(&text.line, &message, attachments)];
            let record = Record { shown, ..Record::default() };
            let files = held.files.clone();
            let what = vec![Inbound::Message(message)];
            let waiter = self.enter(&mut state, &text.line, what, files, record)?;
            (guid, waiter)
        };
        let received = self.told(line_id, waiter).await;
        Ok(SimulatedText {
            guid,
            chat_id: received.and_then(|entry| entry.chat_id),
            message_id: received.and_then(|entry| entry.message_id),
        })
    }

    async fn react(
        &self,
        reaction: ContactReaction,
    ) -> Result<Option<Id<Message>>, SimulatorError> {
        let ContactReaction { line, from, message_guid, reaction_type, remove } = reaction;
        let line_id = self.line(&line).await?;
        let waiter = {
            let mut state = self.state();
            let chat = state.chat_of_message(&line, &from, &message_guid)?;
            let occurs = |reaction_type: &ReactionType, added| {
                Inbound::Reaction(InboundReaction {
                    guid: new_guid(),
                    chat: chat.clone(),
                    message_guid: message_guid.clone(),
                    sender: from.clone(),
                    reaction_type: reaction_type.clone(),
                    added,
                    sent_at: self.clock.now(),
                })
            };
            let mut what = Vec::new();
            // A new one takes the place of the old one, and that is gone first.
            let older = state.phones.reaction_of(&from, &message_guid);
            if let Some(older) = older
                && !remove
                && older.reaction_type != reaction_type
            {
                what.push(occurs(&older.reaction_type, false));
            }
            what.push(occurs(&reaction_type, !remove));
            let record = Record {
                reaction: Some(Reacted {
                    message_guid: message_guid.clone(),
                    reaction: PhoneReaction {
                        reaction_type: reaction_type.clone(),
                        from: from.clone(),
                    },
                    removed: remove,
                }),
                ..Record::default()
            };
            self.enter(&mut state, &line, what, Vec::new(), record)?
        };
        Ok(self.told(line_id, waiter).await.and_then(|entry| entry.message_id))
    }

    async fn edit(&self, guid: &str, text: String) -> Result<SimulatedText, SimulatorError> {
        self.change(guid, |change, now| {
            if change.unsent_at.is_some() {
                return Err(SimulatorError::NotAContactsMessage);
            }
            // Later than the last, whatever the clock says: the newest edit is the one that counts.
            let last = change.edited_at.map(|last| last + Duration::from_millis(1));
            (change.text, change.edited_at) = (Some(text), last.max(Some(now)));
            Ok(())
        })
        .await
    }

    async fn unsend(&self, guid: &str) -> Result<SimulatedText, SimulatorError> {
        self.change(guid, |change, now| {
            (change.text, change.unsent_at) = (None, change.unsent_at.or(Some(now)));
            Ok(())
        })
        .await
    }

    async fn typing(&self, contact: ContactInChat, on: bool) -> Result<(), SimulatorError> {
        let at = self.clock.now();
        self.happens(&contact, |chat| {
            let handle = contact.from.clone();
            Inbound::Typing(InboundTyping { chat, handle, is_typing: on, at })
        })
        .await
    }

    async fn read(&self, contact: ContactInChat) -> Result<(), SimulatorError> {
        let at = self.clock.now();
        let ContactInChat { line, from, chat_id } = contact;
        let line_id = self.line(&line).await?;
        let waiter = {
            let mut state = self.state();
            let chat = state.chat_with(&line, &from, chat_id)?;
            let mut record = Record::default();
            let mut what =
                vec![Inbound::Read(InboundRead { chat: chat.clone(), handle: from.clone(), at })];
            // In a group nobody's reading is the message's.
            if let InboundChat::Contact { .. } = chat {
                let unread = state.phones.unread(&from, &line, MAX_READ_AT_ONCE);
                record.read_by = unread.last().cloned().map(|guid| ReadBy {
                    contact: from,
                    line: line.clone(),
                    guid,
                });
                what.extend(unread.into_iter().map(|guid| {
                    let read_at = Some(at);
                    Inbound::Update(InboundUpdate {
                        read_at,
                        ..InboundUpdate::of(chat.clone(), guid)
                    })
                }));
            }
            self.enter(&mut state, &line, what, Vec::new(), record)?
        };
        self.told(line_id, waiter).await;
        Ok(())
    }

    async fn capabilities(&self, line: &Handle, advanced: bool) -> Result<(), SimulatorError> {
        let line_id = self.line(line).await?;
        let mut state = self.state();
        let features = Some(Features { line: line.clone(), advanced });
        state.commit(Record { features, ..Record::default() }).map_err(SimulatorError::Journal)?;
        self.lines.set_advanced(line_id, advanced);
        Ok(())
    }

    async fn phone(&self, handle: &Handle) -> Phone {
        self.state().phones.phone(handle, self.clock.now())
    }

    async fn group(
        &self,
        line: &Handle,
        name: Option<String>,
        participants: Vec<Handle>,
    ) -> Result<Id<Chat>, SimulatorError> {
        let line_id = self.line(line).await?;
        let mut others: Vec<Handle> = Vec::with_capacity(participants.len());
        for participant in participants {
            if participant != *line && !others.contains(&participant) {
                others.push(participant);
            }
        }
        // It would be kept, and nobody would learn its chat's id.
        if !self.lines.is_online(line_id) {
            return Err(SimulatorError::Offline);
        }
        let identifier = format!("simulated-group-{}", Uuid::now_v7());
        let group = Group { identifier, line: line.clone(), name, participants: others };
        let waiter = {
            let mut state = self.state();
            if state.phones.group_count() >= MAX_GROUPS {
                return Err(SimulatorError::Full);
            }
            let what = vec![Inbound::Group { chat: group.as_chat() }];
            let record = Record { group: Some(group), ..Record::default() };
            self.enter(&mut state, line, what, Vec::new(), record)?
        };
        self.lines.wake(line_id);
        let received = self.confirmed(waiter).await;
        received.and_then(|entry| entry.chat_id).ok_or(SimulatorError::NotLinked)
    }

    async fn fault(&self, line: &Handle, fault: Fault) -> Result<(), SimulatorError> {
        let line_id = self.line(line).await?;
        if self.lines.set(line_id, fault) { Ok(()) } else { Err(SimulatorError::LineNotFound) }
    }
}

impl Simulator {
    /// The line with this handle. Right after the start it waits for the server to say which there are.
    async fn line(&self, handle: &Handle) -> Result<Id<Line>, SimulatorError> {
        timeout(self.options.confirm_timeout, self.lines.known())
            .await
            .map_err(|_elapsed| SimulatorError::NotLinked)?;
        self.lines.id_of(handle).ok_or(SimulatorError::LineNotFound)
    }

    /// Who wrote a message changes it.
    async fn change(
        &self,
        guid: &str,
        alter: impl FnOnce(&mut PhoneChange, Timestamp) -> Result<(), SimulatorError> + Send,
    ) -> Result<SimulatedText, SimulatorError> {
        let (line, ..) = self.state().contacts_message(guid)?;
        let line_id = self.line(&line).await?;
        let waiter = {
            let mut state = self.state();
            let (_, chat, mut change) = state.contacts_message(guid)?;
            alter(&mut change, self.clock.now())?;
            let text = change.text.clone();
            let update = InboundUpdate {
                edit: change
                    .edited_at
                    .filter(|_| change.unsent_at.is_none())
                    .map(|edited_at| Edit { text, edited_at }),
                unsent_at: change.unsent_at,
                ..InboundUpdate::of(chat, guid)
            };
            let record = Record { change: Some(change), ..Record::default() };
            self.enter(&mut state, &line, vec![Inbound::Update(update)], Vec::new(), record)?
        };
        let received = self.told(line_id, waiter).await;
        Ok(SimulatedText {
            guid: guid.to_owned(),
            chat_id: received.and_then(|entry| entry.chat_id),
            message_id: received.and_then(|entry| entry.message_id),
        })
    }

    /// A contact does something in a chat that leaves nothing on a phone.
    async fn happens(
        &self,
        contact: &ContactInChat,
        what: impl FnOnce(InboundChat) -> Inbound + Send,
    ) -> Result<(), SimulatorError> {
        let line_id = self.line(&contact.line).await?;
        let waiter = {
            let mut state = self.state();
            let chat = state.chat_with(&contact.line, &contact.from, contact.chat_id)?;
            self.enter(&mut state, &contact.line, vec![what(chat)], Vec::new(), Record::default())?
        };
        self.told(line_id, waiter).await;
        Ok(())
    }

    /// Puts entries in a line's history, together with what else becomes true; the files are the
    /// last one's. That is also the one that is waited for, and the waiter is registered under the same
    /// lock, so that no answer is too early.
    fn enter(
        &self,
        state: &mut State,
        line: &Handle,
        what: Vec<Inbound>,
        files: Vec<KeptFile>,
        record: Record,
    ) -> Result<Waiter<'_>, SimulatorError> {
        let entries = state.phones.histories.next_entries(line, what);
        // It keeps no more than it promised; what does not fit is refused, not dropped.
        let mut entries = entries.ok_or(SimulatorError::Full)?;
        let last = entries.last_mut().expect("nobody enters nothing");
        last.files = files;
        let key = entry_key(line, last.at.n, &last.what).into_owned();
        state.commit(Record { entries, ..record }).map_err(SimulatorError::Journal)?;
        let (sender, answer) = oneshot::channel();
        state.waiting.insert(key.clone(), sender);
        Ok(Waiter { simulator: self, key, answer })
    }

    /// What the server made of an entry; none, at once, while the line's bridge is away.
    async fn told(&self, line: Id<Line>, waiter: Waiter<'_>) -> Option<ReceivedEntry> {
        self.lines.wake(line);
        if self.lines.is_online(line) { self.confirmed(waiter).await } else { None }
    }

    async fn confirmed(&self, mut waiter: Waiter<'_>) -> Option<ReceivedEntry> {
        timeout(self.options.confirm_timeout, &mut waiter.answer).await.ok()?.ok()
    }
}

impl State {
    /// The chat that a contact means: the 1:1 chat with the line, or the group with this id.
    fn chat_with(
        &self,
        line: &Handle,
        from: &Handle,
        chat_id: Option<Id<Chat>>,
    ) -> Result<InboundChat, SimulatorError> {
        let Some(chat_id) = chat_id else {
            return Ok(InboundChat::Contact { handle: from.clone() });
        };
        match self.phones.chat(chat_id) {
            Some(KnownChat { line: of, with, .. }) if of == line => {
                self.chat_if_in(from, with).ok_or(SimulatorError::ChatNotFound)
            }
            _ => Err(SimulatorError::ChatNotFound),
        }
    }

    /// The chat in which a message stands, if the contact is in it.
    fn chat_of_message(
        &self,
        line: &Handle,
        from: &Handle,
        guid: &str,
    ) -> Result<InboundChat, SimulatorError> {
        let shown = self.phones.message(guid).filter(|shown| shown.message.line == *line);
        shown
            .and_then(|shown| self.chat_if_in(from, &shown.with))
            .ok_or(SimulatorError::MessageNotFound)
    }

    /// A message that a contact wrote: to which line, in which chat, and how phones show it now.
    fn contacts_message(
        &self,
        guid: &str,
    ) -> Result<(Handle, InboundChat, PhoneChange), SimulatorError> {
        let shown = self.phones.message(guid);
        let shown = shown.filter(|shown| shown.message.from != shown.message.line);
        let chat = shown.and_then(|shown| self.chat_if_in(&shown.message.from, &shown.with));
        let (Some(shown), Some(chat)) = (shown, chat) else {
            return Err(SimulatorError::NotAContactsMessage);
        };
        let unchanged = || PhoneChange {
            message_guid: guid.to_owned(),
            text: shown.message.text.clone(),
            edited_at: None,
            unsent_at: None,
        };
        let change = self.phones.change(guid).cloned().unwrap_or_else(unchanged);
        Ok((shown.message.line.clone(), chat, change))
    }

    fn chat_if_in(&self, from: &Handle, with: &With) -> Option<InboundChat> {
        if !self.phones.is_in(from, with) {
            return None;
        }
        match with {
            With::Contact(handle) => Some(InboundChat::Contact { handle: handle.clone() }),
            With::Group(identifier) => self.phones.group(identifier).map(Group::as_chat),
        }
    }
}
