//! The simulator as people and tests see it: they text, make groups, look at phones, break lines.
//!
//! The promise: what has been answered is in the journal and will reach the server, in order.

use std::sync::Arc;

use switchboard_model::{
    Chat, Handle, Line,
    id::Id,
    link::{Inbound, ReceivedEntry},
    simulator::{ContactText, Fault, PhoneMessage, SimulatedPhones, SimulatedText, SimulatorError},
};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use super::{
    Book, Simulator,
    driver::message_of,
    journal::{Group, Record, Shown, With},
    phones::MAX_GROUPS,
};

/// Somebody waits for the server to have an entry; who stops waiting leaves nothing behind.
struct Waiter<'a> {
    simulator: &'a Simulator,
    key: String,
    answer: oneshot::Receiver<ReceivedEntry>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.simulator.book().waiting.remove(&self.key);
    }
}

#[async_trait::async_trait]
impl SimulatedPhones for Simulator {
    async fn text(&self, text: ContactText) -> Result<SimulatedText, SimulatorError> {
        let line_id = self.line(&text.line).await?;
        let mut message = message_of(text.from.clone(), text.text.clone(), self.clock.now());
        message.reply_to_guid.clone_from(&text.reply_to_guid);
        let guid = message.guid.clone();
        let waiter = {
            let mut book = self.book();
            let group = book.chat_of(&text)?;
            let mut shown = None;
            if let Some(group) = group {
                let on = group.participants.iter().filter(|one| **one != text.from).cloned();
                shown = Some(Shown {
                    on: on.collect(),
                    message: Arc::new(PhoneMessage {
                        guid: guid.clone(),
                        line: text.line.clone(),
                        from: text.from,
                        text: text.text,
                        reply_to_guid: text.reply_to_guid,
                        received_at: message.sent_at,
                    }),
                });
                message.chat = group.as_chat();
            }
            let entry = book.phones.next_entry(&text.line, Inbound::Message(message));
            let entry = Some(entry.ok_or(SimulatorError::Full)?);
            book.commit(Record { entry, shown, ..Record::default() })
                .map_err(SimulatorError::Journal)?;
            self.wait_for(&mut book, guid.clone())
        };
        self.lines.stir(line_id);
        let received =
            if self.lines.is_online(line_id) { self.confirmed(waiter).await } else { None };
        Ok(SimulatedText {
            guid,
            chat_id: received.map(|entry| entry.chat_id),
            message_id: received.and_then(|entry| entry.message_id),
        })
    }

    async fn phone(&self, handle: &Handle) -> Vec<PhoneMessage> {
        self.book().phones.shown_on(handle)
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
        let group = Group {
            identifier: identifier.clone(),
            line: line.clone(),
            name,
            participants: others,
        };
        let waiter = {
            let mut book = self.book();
            if book.phones.group_count() >= MAX_GROUPS {
                return Err(SimulatorError::Full);
            }
            let entry = book.phones.next_entry(line, Inbound::Group { chat: group.as_chat() });
            let entry = Some(entry.ok_or(SimulatorError::Full)?);
            book.commit(Record { group: Some(group), entry, ..Record::default() })
                .map_err(SimulatorError::Journal)?;
            self.wait_for(&mut book, identifier)
        };
        self.lines.stir(line_id);
        let received = self.confirmed(waiter).await;
        received.map(|entry| entry.chat_id).ok_or(SimulatorError::NotLinked)
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

    /// Registered under the same lock as the entry, so that no answer is too early.
    fn wait_for(&self, book: &mut Book, key: String) -> Waiter<'_> {
        let (sender, answer) = oneshot::channel();
        book.waiting.insert(key.clone(), sender);
        Waiter { simulator: self, key, answer }
    }

    async fn confirmed(&self, mut waiter: Waiter<'_>) -> Option<ReceivedEntry> {
        timeout(self.options.confirm_timeout, &mut waiter.answer).await.ok()?.ok()
    }
}

impl Book {
    /// The group in which a text is said; none for the 1:1 chat.
    fn chat_of(&self, text: &ContactText) -> Result<Option<Group>, SimulatorError> {
        let Some(chat_id) = text.chat_id else { return Ok(None) };
        match self.phones.chat(chat_id) {
            Some((line, With::Contact(contact))) if *line == text.line && *contact == text.from => {
                Ok(None)
            }
            Some((line, With::Group(identifier))) if *line == text.line => {
                let group = self.phones.group(identifier).filter(|group| group.has(&text.from));
                group.cloned().map(Some).ok_or(SimulatorError::ChatNotFound)
            }
            _ => Err(SimulatorError::ChatNotFound),
        }
    }
}
