//! The simulator as the link sees it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use switchboard_model::{
    Handle, Line, OutboxItem,
    chat::Service,
    id::Id,
    line::DriverKind,
    link::{
        CarriedLine, Content, Inbound, InboundChat, InboundMessage, Outcome, ReceivedEntry, Report,
        SendItem,
    },
    simulator::{ALWAYS_FAILS, ECHOES, NEVER_ANSWERS, PhoneMessage},
    time::Timestamp,
};
use tokio::{sync::watch, time::sleep};
use tracing::error;

use super::{
    Book, Simulator, entry_key,
    faults::Fortune,
    journal::{KnownChat, Place, Record, Shown, With},
    new_guid,
};
use crate::driver::{Driver, DriverError, Fate, HistoryBatch, LineStatuses};

const REFUSED: &str = "The simulator refused the message (fault mode 'reject').";
const CONTACT_FAILS: &str = "The simulated contact +15005550001 fails every message.";
const NO_CONTACT: &str = "The simulator knows no phone with this handle.";
const NO_GROUP: &str = "The simulator knows no such group.";
const NO_JOURNAL: &str = "The simulator's journal can't be written.";

#[async_trait::async_trait]
impl Driver for Simulator {
    fn kind(&self) -> DriverKind {
        DriverKind::Simulator
    }

    fn statuses(&self) -> watch::Receiver<LineStatuses> {
        self.lines.statuses()
    }

    fn send_timeout(&self, item: &SendItem) -> Duration {
        self.options.send_timeout.saturating_add(self.lines.delay(item.line_id))
    }

    async fn carry(&self, lines: Vec<CarriedLine>) {
        let mut book = self.book();
        for line in &lines {
            if let Err(error) = book.catch_up(line) {
                error!(line = %line.id, %error, "the simulator's journal can't be written");
            }
        }
        drop(book);
        self.lines.carry(&lines);
    }

    async fn send(&self, item: SendItem) -> Outcome {
        if let Some(outcome) = self.book().phones.outcome(item.id) {
            return outcome.clone();
        }
        let Some(line) = self.lines.handle_of(item.line_id) else { return Outcome::Released };
        let mut report_lost = false;
        match self.lines.draw(item.line_id) {
            Fortune::Good => {}
            Fortune::Away => return Outcome::Released,
            Fortune::Refused => return self.fail(item.id, REFUSED),
            Fortune::Late(delay) => sleep(delay).await,
            Fortune::ReportLost => report_lost = true,
        }
        if !item.is_group && item.identifier == NEVER_ANSWERS {
            std::future::pending::<()>().await;
        }
        if !item.is_group && item.identifier == ALWAYS_FAILS {
            return self.fail(item.id, CONTACT_FAILS);
        }
        self.deliver(item, line, report_lost)
    }

    async fn recall(
        &self,
        ids: &[Id<OutboxItem>],
    ) -> Result<HashMap<Id<OutboxItem>, Fate>, DriverError> {
        let book = self.book();
        let fate = |id| match book.phones.outcome(id) {
            Some(outcome) => Fate::Finished(outcome.clone()),
            None => Fate::NeverStarted,
        };
        Ok(ids.iter().map(|id| (*id, fate(*id))).collect())
    }

    async fn history(
        &self,
        line: Id<Line>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<HistoryBatch, DriverError> {
        loop {
            let (handle, online, stirred) = self
                .lines
                .reader(line)
                .ok_or(DriverError { what: "the line is not carried", source: None })?;
            if online {
                let book = self.book();
                let after = book.parse_position(after);
                if let Some((last, entries)) = book.phones.entries_after(&handle, after, limit) {
                    return Ok(HistoryBatch { position: book.position(last), entries });
                }
            }
            // A permit is kept if it stirs between the look and the wait.
            stirred.notified().await;
        }
    }

    async fn received(&self, line: Id<Line>, batch: &HistoryBatch, results: &[ReceivedEntry]) {
        let Some(handle) = self.lines.handle_of(line) else { return };
        let mut book = self.book();
        let n = book.parse_position(Some(&batch.position));
        let mut record =
            Record { received: Some(Place { line: handle.clone(), n }), ..Record::default() };
        let mut waiters = Vec::new();
        for (entry, result) in batch.entries.iter().zip(results) {
            if book.phones.chat(result.chat_id).is_none()
                && !record.chats.iter().any(|known| known.id == result.chat_id)
            {
                let with = match entry {
                    Inbound::Message(InboundMessage { chat, .. }) | Inbound::Group { chat } => chat,
                };
                let with = match with {
                    InboundChat::Contact { handle } => With::Contact(handle.clone()),
                    InboundChat::Group { identifier, .. } => With::Group(identifier.clone()),
                };
                record.chats.push(KnownChat { id: result.chat_id, line: handle.clone(), with });
            }
            let waiter = entry_key(entry).and_then(|key| book.waiting.remove(key));
            waiters.extend(waiter.map(|waiter| (waiter, *result)));
        }
        if let Err(error) = book.commit(record) {
            error!(%line, %error, "the simulator's journal can't be written");
        }
        drop(book);
        for (waiter, result) in waiters {
            // Who has stopped waiting needs no answer.
            let _ = waiter.send(result);
        }
    }
}

impl Simulator {
    /// Books a certain failure, so that a recall says the same.
    fn fail(&self, id: Id<OutboxItem>, error: &str) -> Outcome {
        let outcome = Outcome::Failed { error: error.to_owned() };
        let report = Some(Report { id, outcome: outcome.clone() });
        if let Err(error) = self.book().commit(Record { outcome: report, ..Record::default() }) {
            error!(item = %id, %error, "the simulator's journal can't be written");
        }
        outcome
    }

    /// Puts a message on the phones of those it is for: one record, so all of it or nothing.
    fn deliver(&self, item: SendItem, line: Handle, report_lost: bool) -> Outcome {
        let Content::Message { text, reply_to_guid } = item.content;
        let (guid, now) = (new_guid(), self.clock.now());
        let mut book = self.book();
        let (on, with) = if item.is_group {
            let Some(group) = book.phones.group(&item.identifier) else {
                drop(book);
                return self.fail(item.id, NO_GROUP);
            };
            (group.participants.clone(), With::Group(item.identifier))
        } else {
            let Ok(contact) = item.identifier.parse::<Handle>() else {
                drop(book);
                return self.fail(item.id, NO_CONTACT);
            };
            (vec![contact.clone()], With::Contact(contact))
        };
        let entry = match &with {
            With::Contact(contact) if contact.as_str() == ECHOES => {
                let echo = message_of(contact.clone(), Some(text.clone()), now);
                book.phones.next_entry(&line, Inbound::Message(echo))
            }
            _ => None,
        };
        let echoes = entry.is_some();
        let chats = match book.phones.chat(item.chat_id) {
            Some(_) => Vec::new(),
            None => vec![KnownChat { id: item.chat_id, line: line.clone(), with }],
        };
        let outcome = if report_lost {
            Outcome::Unknown
        } else {
            Outcome::Sent { guid: guid.clone(), sent_at: now, service: Service::IMessage }
        };
        let message = Arc::new(PhoneMessage {
            guid,
            line: line.clone(),
            from: line,
            text: Some(text),
            reply_to_guid,
            received_at: now,
        });
        let committed = book.commit(Record {
            outcome: Some(Report { id: item.id, outcome: outcome.clone() }),
            shown: Some(Shown { on, message }),
            entry,
            chats,
            ..Record::default()
        });
        drop(book);
        if let Err(error) = committed {
            error!(item = %item.id, %error, "the simulator's journal can't be written");
            return Outcome::Failed { error: NO_JOURNAL.to_owned() };
        }
        if echoes {
            self.lines.stir(item.line_id);
        }
        outcome
    }
}

impl Book {
    /// Takes note of what the server has of a line. What it has of which we never
    /// heard (the answer was lost with a socket) is told again where we need the answer.
    fn catch_up(&mut self, line: &CarriedLine) -> std::io::Result<()> {
        let n = self.parse_position(line.position.as_deref());
        if n > self.phones.received(&line.handle) {
            let received = Some(Place { line: line.handle.clone(), n });
            self.commit(Record { received, ..Record::default() })?;
        }
        for group in self.phones.unconfirmed_groups(&line.handle) {
            let entry =
                self.phones.next_entry(&line.handle, Inbound::Group { chat: group.as_chat() });
            self.commit(Record { entry, ..Record::default() })?;
        }
        Ok(())
    }
}

/// A new message from a contact in its 1:1 chat.
pub(super) fn message_of(from: Handle, text: Option<String>, now: Timestamp) -> InboundMessage {
    InboundMessage {
        guid: new_guid(),
        chat: InboundChat::Contact { handle: from.clone() },
        sender: from,
        text,
        sent_at: now,
        service: Service::IMessage,
        reply_to_guid: None,
    }
}
