//! What people do: contacts write, react, edit, type; the owner writes and reads on other devices.

use std::time::Duration;

use serde_json::json;

use super::{
    Server, chats,
    database::Message,
    groups::{self, Change},
    outgoing::{
        Fate, Outgoing, files, hand_over, reaction_number, reaction_text, with_signs, write,
    },
    send::{direct_chat, private_api},
    sending::{write_edit, write_unsend},
    state::new_guid,
    webhooks::{self, Event},
};
use crate::{
    stamp::{apple_now, apple_ns},
    wire::File,
};
use tokio::time::Instant;

/// A message that somebody writes.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    text: Option<String>,
    subject: Option<String>,
    files: Vec<File>,
    late_files: bool,
    is_audio: bool,
    chat: Option<String>,
    service: Option<String>,
    reply_to: Option<String>,
    effect: Option<String>,
    at_ms: Option<i64>,
    unjoined: bool,
    notified: bool,
    unreadable: bool,
    balloon: Option<String>,
}

impl Incoming {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }

    /// A file alone.
    pub fn file(name: &str, mime_type: &str, bytes: impl Into<bytes::Bytes>) -> Self {
        Self::default().with_file(name, mime_type, bytes)
    }

    /// One file more.
    #[must_use]
    pub fn with_file(
        mut self,
        name: &str,
        mime_type: &str,
        bytes: impl Into<bytes::Bytes>,
    ) -> Self {
        self.files.push(File {
            name: name.to_owned(),
            mime_type: mime_type.to_owned(),
            bytes: bytes.into(),
        });
        self
    }

    /// Its files are not there yet: see [`Server::finish_files`].
    #[must_use]
    pub fn files_late(self) -> Self {
        Self { late_files: true, ..self }
    }

    /// It is a voice memo.
    #[must_use]
    pub fn audio(self) -> Self {
        Self { is_audio: true, ..self }
    }

    /// In this chat, instead of the one with its writer alone.
    #[must_use]
    pub fn chat(self, guid: &str) -> Self {
        Self { chat: Some(guid.to_owned()), ..self }
    }

    /// By this service instead of iMessage: `SMS`, `RCS`.
    #[must_use]
    pub fn service(self, service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..self }
    }

    /// In reply to this message.
    #[must_use]
    pub fn reply_to(self, guid: &str) -> Self {
        Self { reply_to: Some(guid.to_owned()), ..self }
    }

    /// With a subject line.
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }

    /// With an effect.
    #[must_use]
    pub fn effect(self, effect: &str) -> Self {
        Self { effect: Some(effect.to_owned()), ..self }
    }

    /// Dated so, in Unix milliseconds: cloud back-fill has new rows with old dates.
    #[must_use]
    pub fn at(self, unix_ms: i64) -> Self {
        Self { at_ms: Some(unix_ms), ..self }
    }

    /// Its row does not stand in its chat yet: see [`Server::join`].
    #[must_use]
    pub fn unjoined(self) -> Self {
        Self { unjoined: true, ..self }
    }

    /// Its row says that the recipient was notified all the same, so it is told again each hour.
    #[must_use]
    pub fn notified(self) -> Self {
        Self { notified: true, ..self }
    }

    /// Its row breaks the server: each list that would hold it is a 500.
    #[must_use]
    pub fn unreadable(self) -> Self {
        Self { unreadable: true, ..self }
    }

    /// It is the preview of a link, or another app's message.
    #[must_use]
    pub fn balloon(self, bundle: &str) -> Self {
        Self { balloon: Some(bundle.to_owned()), ..self }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The message's guid.
    pub guid: String,
    /// Its chat's guid.
    pub chat: String,
    /// Its row.
    pub rowid: i64,
}

impl Server {
    /// A contact writes a text.
    pub fn contact_writes(&self, from: &str, text: &str) -> Written {
        self.receive(from, Incoming::text(text))
    }

    /// A contact writes.
    ///
    /// # Panics
    ///
    /// If the chat that it names is not there.
    pub fn receive(&self, from: &str, message: Incoming) -> Written {
        self.inner.change(|state| {
            let service = message.service.clone().unwrap_or_else(|| "iMessage".to_owned());
            let chat = message.chat.clone().unwrap_or_else(|| direct_chat(state, from, &service));
            let chat_row = state.db.chat(&chat).expect("a chat that is there").rowid;
            let handle = state.db.handle(from, &service);
            let transfer = if message.late_files { 0 } else { 5 };
            let attachments = files(state, &message.files, false, transfer);
            let text = if message.files.is_empty() {
                message.text.clone()
            } else {
                Some(with_signs(message.text.as_deref(), message.files.len()))
            };
            let guid = new_guid();
            let row = Message {
                guid: guid.clone(),
                part_count: i64::from(message.text.is_some())
                    + i64::try_from(message.files.len()).unwrap_or(0),
                text,
                subject: message.subject,
                handle,
                service,
                date: message.at_ms.map_or_else(apple_now, apple_ns),
                is_finished: true,
                is_audio: message.is_audio,
                did_notify: message.notified,
                balloon: message.balloon,
                effect: message.effect,
                thread_part: message.reply_to.as_ref().map(|_| "0:0:1".to_owned()),
                thread_guid: message.reply_to,
                chat: chat_row,
                joined: !message.unjoined,
                attachments,
                unreadable: message.unreadable,
                ..Message::default()
            };
            write(&self.inner, state, row);
            let rowid = state.db.message(&guid).expect("it was just written").rowid;
            Written { guid, chat, rowid }
        })
    }

    /// The owner writes from another device: the contacts get it, and its row comes by the cloud.
    ///
    /// # Panics
    ///
    /// If the chat is not there.
    pub fn owner_writes(&self, chat: &str, text: &str) -> Written {
        let out = Outgoing {
            kind: "text",
            method: "device",
            chat: chat.to_owned(),
            text: Some(text.to_owned()),
            ..Outgoing::default()
        };
        let fate = self.inner.look(|state| Fate { row: Some(Duration::ZERO), ..Fate::sent(state) });
        let guid = hand_over(&self.inner, &out, fate);
        self.inner.look(|state| {
            // It is no send of the server's.
            state.carried_out.retain(|send| send.guid != guid);
            let rowid = state.db.message(&guid).expect("the chat is there").rowid;
            Written { guid, chat: chat.to_owned(), rowid }
        })
    }

    /// A contact reacts: `love` … `question`, `-love` … to take it back, or an emoji (`-🔥` to take it back).
    pub fn contact_reacts(&self, from: &str, to: &str, reaction: &str) -> Option<Written> {
        self.inner.change(|state| {
            let target = state.db.message(to)?.clone();
            let (kind, emoji) = match reaction_number(reaction) {
                Some(kind) => (kind, None),
                None => match reaction.strip_prefix('-') {
                    Some(emoji) => (3006, Some(emoji.to_owned())),
                    None => (2006, Some(reaction.to_owned())),
                },
            };
            let text = reaction_text(state, to, kind, emoji.as_deref());
            let guid = new_guid();
            let chat = state.db.chats.get(&target.chat)?.guid.clone();
            let handle = state.db.handle(from, &target.service);
            let rowid = state.db.put(Message {
                guid: guid.clone(),
                text: Some(text),
                handle,
                service: target.service,
                date: apple_now(),
                is_finished: true,
                associated_guid: Some(format!("p:0/{to}")),
                associated_type: Some(kind),
                associated_emoji: emoji,
                part_count: 1,
                chat: target.chat,
                joined: true,
                ..Message::default()
            });
            Some(Written { guid, chat, rowid })
        })
    }

    /// The writer edits a message.
    pub fn edit(&self, guid: &str, text: &str) {
        self.inner.change(|state| write_edit(state, guid, text));
    }

    /// The writer takes a message back.
    pub fn unsend(&self, guid: &str) {
        self.inner.change(|state| write_unsend(state, guid));
    }

    /// The writer takes the first part of a message back; the rest stays.
    pub fn unsend_part(&self, guid: &str) {
        let now = apple_now();
        self.inner.change(|state| {
            state.db.change(guid, |row| {
                row.retracted_parts = vec![0];
                row.part_count = (row.part_count - 1).max(1);
                row.date_edited = now;
            })
        });
    }

    /// An own message reaches the contact's device.
    pub fn delivered(&self, guid: &str) {
        self.inner.change(|state| {
            state.db.change(guid, |row| {
                row.is_delivered = true;
                row.date_delivered = apple_now();
            })
        });
    }

    /// An own message is delivered, and the row has no date of it: it is told again each hour.
    pub fn delivered_without_date(&self, guid: &str) {
        self.inner.change(|state| state.db.change(guid, |row| row.is_delivered = true));
    }

    /// The contact reads an own message.
    pub fn read_by_contact(&self, guid: &str) {
        self.inner.change(|state| state.db.change(guid, |row| row.date_read = apple_now()));
    }

    /// An own message that was sent turns out to have failed. Nobody is told.
    pub fn fails(&self, guid: &str, error: i64) {
        self.inner.change(|state| {
            state.db.change(guid, |row| {
                row.error = error;
                row.is_sent = false;
            })
        });
    }

    /// The owner reads a chat on another device.
    pub fn owner_reads(&self, chat: &str) {
        self.inner.change(|state| chats::mark_read(state, chat));
        let event =
            Event::new("chat-read-status-changed", json!({ "chatGuid": chat, "read": true }));
        webhooks::tell(&self.inner, vec![event]);
    }

    /// A contact begins or stops typing in the chat of two. Told only with the private API, and at most so often.
    pub fn contact_types(&self, from: &str, typing: bool) {
        let told = self.inner.look(|state| {
            private_api(state).ok()?;
            if state.mac.only_facetime_helper {
                return None;
            }
            let guid = state.db.direct_chat(from)?.guid.clone();
            let repeat = state.timing.typing_repeat;
            let soon = state.typing_told.get(&guid).is_some_and(|at| at.elapsed() < repeat);
            if typing && soon {
                return None;
            }
            if typing {
                state.typing_told.insert(guid.clone(), Instant::now());
            }
            Some(guid)
        });
        if let Some(guid) = told {
            let data = json!({ "display": typing, "guid": guid });
            webhooks::tell(&self.inner, vec![Event::new("typing-indicator", data)]);
        }
    }

    /// This handle is on iMessage, or not. Who is not gets nothing: rows of sends to them say 22.
    pub fn available(&self, person: &str, available: bool) {
        self.inner.look(|state| {
            if available {
                state.unavailable.remove(person);
            } else {
                state.unavailable.insert(person.to_owned());
            }
        });
    }

    /// The account loses aliases.
    pub fn aliases_removed(&self, aliases: &[&str]) {
        let data = json!({ "aliases": aliases });
        webhooks::tell(&self.inner, vec![Event::new("imessage-aliases-removed", data)]);
    }

    /// A chat with this person that nobody has written in; answers its guid.
    pub fn direct_chat(&self, person: &str) -> String {
        self.inner.change(|state| direct_chat(state, person, "iMessage"))
    }

    /// A chat with this person by SMS; answers its guid.
    pub fn sms_chat(&self, person: &str) -> String {
        self.inner.change(|state| direct_chat(state, person, "SMS"))
    }

    /// A group; answers its guid.
    pub fn group(&self, people: &[&str], name: Option<&str>) -> String {
        let people: Vec<String> = people.iter().map(|&person| person.to_owned()).collect();
        self.inner.change(|state| chats::group(state, &people, name, "iMessage"))
    }

    /// A group is renamed, by a contact or by the owner on another device. Answers the guid of the row that says so.
    pub fn group_renamed(&self, chat: &str, by: Option<&str>, name: &str) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, by, &Change::Renamed(name.to_owned())))
    }

    /// Somebody is added to a group.
    pub fn group_added(&self, chat: &str, by: Option<&str>, person: &str) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, by, &Change::Added(person.to_owned())))
    }

    /// Somebody is removed from a group.
    pub fn group_removed(&self, chat: &str, by: Option<&str>, person: &str) -> Option<String> {
        self.inner
            .change(|state| groups::write(state, chat, by, &Change::Removed(person.to_owned())))
    }

    /// A contact leaves a group.
    pub fn group_left(&self, chat: &str, person: &str) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, Some(person), &Change::Left))
    }

    /// A group's picture is set, or taken away.
    pub fn group_icon(&self, chat: &str, by: Option<&str>, set: bool) -> Option<String> {
        self.inner.change(|state| groups::write(state, chat, by, &Change::Icon(set)))
    }
}
