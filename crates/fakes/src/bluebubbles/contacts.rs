//! What people do: contacts write, react, edit, type; the owner writes and reads on other devices.

use std::time::Duration;

use serde_json::json;

use super::{
    Server, chats,
    database::Message,
    editing::{write_edit, write_unsend},
    incoming::{Incoming, Written},
    outgoing::{
        Fate, Outgoing, files, hand_over, reaction_number, reaction_text, with_signs, write,
    },
    send::{direct_chat, private_api},
    state::new_guid,
    webhooks::{self, Event},
};
use crate::stamp::{apple_now, apple_ns};
use tokio::time::Instant;

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
                own: message.own,
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
        self.owner_writes_by(chat, text, None)
    }

    /// The same, by this own address of a Mac that has several.
    ///
    /// # Panics
    ///
    /// If the chat is not there.
    pub fn owner_writes_as(&self, chat: &str, text: &str, own: &str) -> Written {
        self.owner_writes_by(chat, text, Some(own.to_owned()))
    }

    fn owner_writes_by(&self, chat: &str, text: &str, own: Option<String>) -> Written {
        let out = Outgoing {
            own,
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
        self.react(Some(from), to, reaction)
    }

    /// The owner reacts from another device.
    pub fn owner_reacts(&self, to: &str, reaction: &str) -> Option<Written> {
        self.react(None, to, reaction)
    }

    fn react(&self, from: Option<&str>, to: &str, reaction: &str) -> Option<Written> {
        self.inner.change(|state| {
            let target = state.db.message(to)?.clone();
            let taken_back = reaction.strip_prefix('-');
            let (kind, emoji) = match (reaction_number(reaction), taken_back) {
                (Some(kind), _) => (kind, None),
                (None, Some(emoji)) => (3006, Some(emoji.to_owned())),
                (None, None) => (2006, Some(reaction.to_owned())),
            };
            let who = from.unwrap_or("me").to_owned();
            state.phones.change(to, |message| {
                message.reactions.retain(|(by, _)| *by != who);
                if taken_back.is_none() {
                    message.reactions.push((who.clone(), reaction.to_owned()));
                }
            });
            let text = reaction_text(state, to, kind, emoji.as_deref());
            let guid = new_guid();
            let chat = state.db.chats.get(&target.chat)?.guid.clone();
            let handle = from.map_or(target.handle, |from| state.db.handle(from, &target.service));
            let row = Message {
                guid: guid.clone(),
                text: Some(text),
                handle,
                service: target.service,
                date: apple_now(),
                is_finished: true,
                is_from_me: from.is_none(),
                is_sent: from.is_none(),
                associated_guid: Some(format!("p:0/{to}")),
                associated_type: Some(kind),
                associated_emoji: emoji,
                part_count: 1,
                chat: target.chat,
                joined: true,
                ..Message::default()
            };
            write(&self.inner, state, row);
            let rowid = state.db.message(&guid)?.rowid;
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

    /// An own message went out by SMS after all.
    pub fn downgraded(&self, guid: &str) {
        self.inner.change(|state| {
            state.db.change(guid, |row| {
                row.was_downgraded = true;
                "SMS".clone_into(&mut row.service);
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
}
