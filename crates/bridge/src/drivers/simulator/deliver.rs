//! What a line sends, put on the phones: with one record, so all of it or nothing.

use std::time::Duration;

use switchboard_model::{
    Handle, OutboxItem, Timestamp,
    chat::Service,
    id::Id,
    link::{Content, Inbound, InboundChat, InboundMessage, LinkedFile, Outcome, Report, SendItem},
    simulator::{ALWAYS_FAILS, ECHOES, NEVER_ANSWERS, PhoneFile, PhoneMessage, PhoneReaction},
};
use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    JOURNAL_PAUSE, Simulator, State,
    faults::FaultOutcome,
    journal::{KnownChat, Reacted, ReadUpTo, Record, Shown, With},
    new_guid,
};
use crate::files::{FileClient, FileError};

const REFUSED: &str = "The simulator refused the message (fault mode 'reject').";
const CONTACT_FAILS: &str = "The simulated contact +15005550001 fails every message.";
const NO_GROUP: &str = "The simulator knows no such group.";
const NO_MESSAGE: &str = "The simulator knows no such message in this chat.";
const NOT_ADVANCED: &str = "The simulated line does not have the advanced features now.";

/// How long an item waits whose attachments find no room.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// What is about to become true.
struct Prepared {
    record: Record,
    outcome: Outcome,
    /// The chat in which the line begins or stops typing.
    typing: Option<(With, bool)>,
}

impl Simulator {
    /// How long an item may take.
    pub(super) fn limit(&self, item: &SendItem) -> Duration {
        let usual = self.options.send_timeout.saturating_add(self.lines.delay(item.line_id));
        if attachments_of(&item.content).is_empty() || is_to(item, NEVER_ANSWERS) {
            usual
        } else {
            usual.saturating_add(self.options.fetch_timeout)
        }
    }

    /// See [`Driver::send`](crate::Driver::send).
    pub(super) async fn carry_out(&self, item: SendItem, files: &FileClient) -> Outcome {
        if let Some(outcome) = self.state().phones.outcome(item.id) {
            return outcome.clone();
        }
        let Some(line) = self.lines.handle_of(item.line_id) else { return Outcome::Released };
        let mut report_lost = false;
        match self.lines.next_fault(item.line_id) {
            FaultOutcome::Good => {}
            FaultOutcome::Away => return Outcome::Released,
            FaultOutcome::Refused => return self.fail(item.id, REFUSED),
            FaultOutcome::Late(delay) => sleep(delay).await,
            FaultOutcome::ReportLost => report_lost = true,
        }
        if is_to(&item, NEVER_ANSWERS) {
            std::future::pending::<()>().await;
        }
        if is_to(&item, ALWAYS_FAILS) {
            return self.fail(item.id, CONTACT_FAILS);
        }
        let attachments = match self.fetch(attachments_of(&item.content), files).await {
            Ok(attachments) => attachments,
            Err(problem) => {
                warn!(item = %item.id, %problem, "the attachments of an item can't be fetched");
                return match problem.outcome() {
                    Outcome::Failed { error } => self.fail(item.id, &error),
                    other => other,
                };
            }
        };
        self.deliver(item, line, attachments, report_lost).await
    }

    /// Fetches attachments as a phone does. Only what it shows of them is kept.
    async fn fetch(
        &self,
        attachments: &[LinkedFile],
        files: &FileClient,
    ) -> Result<Vec<PhoneFile>, FileError> {
        let deadline = Instant::now() + self.options.fetch_timeout;
        let mut fetched = Vec::with_capacity(attachments.len());
        for file in attachments {
            let dir = self.state().files.dir().to_owned();
            // Gone again when it has been read, or when this call is dropped.
            let draft = match NamedTempFile::new_in(dir) {
                Ok(draft) => draft,
                Err(error) => {
                    // The item goes back and comes round again.
                    sleep(DISK_PAUSE).await;
                    return Err(FileError::Disk(error));
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let hash = files.fetch(file, draft.path(), left).await?;
            fetched.push(PhoneFile {
                filename: file.filename.clone(),
                mime_type: file.mime_type.clone(),
                size: file.size,
                sha256: hash.to_string(),
            });
        }
        Ok(fetched)
    }

    /// Writes down a certain failure, so that reconciliation says the same.
    fn fail(&self, id: Id<OutboxItem>, error: &str) -> Outcome {
        let outcome = Outcome::Failed { error: error.to_owned() };
        let report = Some(Report { id, outcome: outcome.clone() });
        if let Err(error) = self.state().commit(Record { outcome: report, ..Record::default() }) {
            self.tell_unwritable(&error);
        }
        outcome
    }

    /// Puts an item on the phones as soon as that can be written down. One that can't be for long goes back
    /// to the server: nothing of it was begun, and a full disk is no reason to fail a message.
    async fn deliver(
        &self,
        item: SendItem,
        line: Handle,
        attachments: Vec<PhoneFile>,
        report_lost: bool,
    ) -> Outcome {
        // Before the link loses its patience, and reports that nobody knows what came of it.
        let give_back_at = Instant::now() + self.limit(&item) / 2;
        loop {
            match self.put(&item, &line, &attachments, report_lost) {
                Ok(outcome) => return outcome,
                Err(error) => self.tell_unwritable(&error),
            }
            if Instant::now() >= give_back_at {
                return Outcome::Released;
            }
            sleep(JOURNAL_PAUSE).await;
        }
    }

    /// Puts an item on the phones, and answers what came of it.
    fn put(
        &self,
        item: &SendItem,
        line: &Handle,
        attachments: &[PhoneFile],
        report_lost: bool,
    ) -> std::io::Result<Outcome> {
        let (id, line_id, now) = (item.id, item.line_id, self.clock.now());
        let mut state = self.state();
        let Prepared { mut record, mut outcome, typing } =
            match state.prepare(item, line, attachments, now) {
                Ok(prepared) => prepared,
                Err(why) => {
                    drop(state);
                    return Ok(self.fail(id, why));
                }
            };
        if report_lost {
            outcome = Outcome::Unknown;
        }
        record.outcome = Some(Report { id, outcome: outcome.clone() });
        let echoes = !record.entries.is_empty();
        state.commit(record)?;
        if let Some((with, on)) = typing {
            state.phones.type_in(line.clone(), with, on, now);
        }
        drop(state);
        if echoes {
            self.lines.wake(line_id);
        }
        Ok(outcome)
    }
}

impl State {
    /// What an item makes true, or why it can't.
    fn prepare(
        &self,
        item: &SendItem,
        line: &Handle,
        attachments: &[PhoneFile],
        now: Timestamp,
    ) -> Result<Prepared, &'static str> {
        let needs_more = match &item.content {
            Content::Message { is_audio_message, .. } => *is_audio_message,
            Content::Reaction { .. } | Content::Typing { .. } | Content::Read => true,
        };
        if needs_more && !self.phones.is_advanced(line) {
            return Err(NOT_ADVANCED);
        }
        let (on, with) = if item.is_group {
            let group = self.phones.group(&item.identifier).ok_or(NO_GROUP)?;
            (group.participants.clone(), With::Group(item.identifier.clone()))
        } else {
            let contact = Handle::received(&item.identifier);
            (vec![contact.clone()], With::Contact(contact))
        };
        let mut record = Record::default();
        if self.phones.chat(item.chat_id).is_none() {
            let chat = KnownChat { id: item.chat_id, line: line.clone(), with: with.clone() };
            record.chats.push(chat);
        }
        let (mut outcome, mut typing) = (Outcome::Done { at: now }, None);
        match &item.content {
            Content::Message { text, reply_to_guid, is_audio_message, attachments: _ } => {
                let guid = new_guid();
                let service = Service::IMessage;
                // With the report, so that it costs no entry of its own: it is on the phone at once.
                let delivered_at = Some(now);
                outcome = Outcome::Sent { guid: guid.clone(), sent_at: now, service, delivered_at };
                let echo = text.clone().filter(|_| is_echo(&with));
                let message = PhoneMessage {
                    guid,
                    line: line.clone(),
                    from: line.clone(),
                    text: text.clone(),
                    reply_to_guid: reply_to_guid.clone(),
                    received_at: now,
                    attachments: attachments.to_vec(),
                    is_audio_message: *is_audio_message,
                    reactions: Vec::new(),
                    edited_at: None,
                    unsent_at: None,
                };
                record.shown.push(Shown { on, with: with.clone(), message });
                if let (Some(text), With::Contact(contact)) = (echo, with) {
                    self.echo(&mut record, line, contact, text, now);
                }
            }
            Content::Reaction { message_guid, reaction_type, remove } => {
                let message = self.phones.message(message_guid).ok_or(NO_MESSAGE)?;
                if message.message.line != *line || message.with != with {
                    return Err(NO_MESSAGE);
                }
                let reaction =
                    PhoneReaction { reaction_type: reaction_type.clone(), from: line.clone() };
                let (message_guid, removed) = (message_guid.clone(), *remove);
                record.reaction = Some(Reacted { message_guid, reaction, removed });
            }
            Content::Typing { on } => typing = Some((with, *on)),
            Content::Read => {
                record.read = Some(ReadUpTo { line: line.clone(), with, at: now });
            }
        }
        Ok(Prepared { record, outcome, typing })
    }

    /// Adds the answer of a contact that echoes, if there is room for it.
    fn echo(
        &self,
        record: &mut Record,
        line: &Handle,
        contact: Handle,
        text: String,
        now: Timestamp,
    ) {
        let echo = message_of(contact, Some(text), now);
        let shown = Shown::of_contact(line, &echo, Vec::new());
        let echo = vec![Inbound::Message(echo)];
        if let Some(entries) = self.phones.histories.next_entries(line, echo) {
            record.entries = entries;
            record.shown.push(shown);
        }
    }
}

impl Shown {
    /// A contact's message, on the phones of all who are in its chat.
    pub(super) fn of_contact(
        line: &Handle,
        message: &InboundMessage,
        attachments: Vec<PhoneFile>,
    ) -> Self {
        let on = match &message.chat {
            InboundChat::Contact { handle } => vec![handle.clone()],
            InboundChat::Group { participants, .. } => participants.clone(),
        };
        let with = With::from(&message.chat);
        let message = PhoneMessage {
            guid: message.guid.clone(),
            line: line.clone(),
            from: message.sender.clone(),
            text: message.text.clone(),
            reply_to_guid: message.reply_to_guid.clone(),
            received_at: message.sent_at,
            attachments,
            is_audio_message: message.is_audio_message,
            reactions: Vec::new(),
            edited_at: None,
            unsent_at: None,
        };
        Self { on, with, message }
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
        attachments: Vec::new(),
        is_audio_message: false,
    }
}

fn attachments_of(content: &Content) -> &[LinkedFile] {
    match content {
        Content::Message { attachments, .. } => attachments,
        Content::Reaction { .. } | Content::Typing { .. } | Content::Read => &[],
    }
}

fn is_to(item: &SendItem, contact: &str) -> bool {
    !item.is_group && item.identifier == contact
}

fn is_echo(with: &With) -> bool {
    matches!(with, With::Contact(contact) if contact.as_str() == ECHOES)
}
