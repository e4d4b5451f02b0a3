//! What Messages itself does: it sends to phones, and writes what it has sent and received into `chat.db`.

use switchboard_model::Timestamp;
use uuid::Uuid;

use super::{
    chat::Chat,
    phone::{Received, ReceivedFile},
    row::{File, Row, Sending, Tapback},
    settings::MacOs,
    state::State,
    time,
};

/// A message on its way out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    pub text: String,
    /// What lies in Messages' folder.
    pub files: Vec<File>,
    pub reply_to: Option<String>,
    pub guid: Option<String>,
    pub subject: Option<String>,
    pub effect: Option<String>,
    pub voice: bool,
    /// What its own row shows as sender.
    pub sender: String,
    /// The error that it ends with.
    pub error: Option<i64>,
    pub downgraded: bool,
}

/// A guid as Messages makes them.
pub(crate) fn new_guid() -> String {
    Uuid::new_v4().to_string().to_uppercase()
}

impl State {
    /// The chat of a direct conversation, made if there is none.
    pub(crate) fn direct_chat(&mut self, handle: &str, service: &str) -> i64 {
        let found = self
            .db
            .chats
            .values()
            .find(|chat| !chat.group && chat.identifier == handle && chat.service == service);
        if let Some(chat) = found {
            return chat.id;
        }
        let prefix = self.prefix(service);
        self.db.add_chat(|id| Chat {
            id,
            identifier: handle.to_owned(),
            guid: format!("{prefix};-;{handle}"),
            service: service.to_owned(),
            name: String::new(),
            participants: vec![handle.to_owned()],
            group: false,
            own: None,
        })
    }

    /// A new group.
    pub(crate) fn new_group(&mut self, name: &str, participants: &[String]) -> i64 {
        let prefix = self.prefix("iMessage");
        let kind = if self.groups_as_direct { '-' } else { '+' };
        self.db.add_chat(|id| {
            let identifier = format!("chat83{id:016}");
            Chat {
                id,
                guid: format!("{prefix};{kind};{identifier}"),
                identifier,
                service: "iMessage".to_owned(),
                name: name.to_owned(),
                participants: participants.to_vec(),
                group: true,
                own: None,
            }
        })
    }

    fn prefix(&self, service: &str) -> String {
        if self.macos == MacOs::Tahoe26 { "any".to_owned() } else { service.to_owned() }
    }

    /// Sends a message in a chat: writes its row, and all participants' phones get it.
    pub(crate) fn send(
        &mut self,
        chat: i64,
        message: &Outgoing,
        sent_after: [std::time::Duration; 2],
    ) -> String {
        let now = time::now();
        let guid = message.guid.clone().unwrap_or_else(new_guid);
        let of = self.db.chats.get(&chat).cloned().expect("whoever sends has looked the chat up");
        let service = if message.downgraded { "SMS".to_owned() } else { of.service.clone() };
        let unreachable = service == "iMessage"
            && of
                .participants
                .iter()
                .any(|handle| !self.phones.entry(handle.clone()).or_default().imessage);
        let error = message.error.or_else(|| (unreachable && !of.group).then_some(22));
        let online = of
            .participants
            .iter()
            .all(|handle| self.phones.entry(handle.clone()).or_default().online);
        let delivered = error.is_none() && online && service == "iMessage";
        let mark = if message.files.is_empty() { "" } else { "\u{fffc}" };
        self.db.insert(Row {
            guid: guid.clone(),
            chat: Some(chat),
            is_from_me: true,
            sender: message.sender.clone(),
            own: of.own,
            text: format!("{mark}{}", message.text),
            service: service.clone(),
            files: message.files.clone(),
            thread: message.reply_to.clone(),
            sending: Sending {
                sent_at: error.is_none().then_some(now + sent_after[0]),
                delivered_at: delivered.then_some(now + sent_after[1]),
                error: error.unwrap_or(0),
                error_at: error.map(|_| now + sent_after[0]),
                downgraded: message.downgraded,
                ..Sending::default()
            },
            ..blank(now)
        });
        self.db.told += 1;
        if error.is_none() {
            self.show(chat, &guid, message, &service);
        }
        guid
    }

    /// The phones of all participants get a message.
    pub(crate) fn show(&mut self, chat: i64, guid: &str, message: &Outgoing, service: &str) {
        let Some(chat) = self.db.chats.get(&chat) else { return };
        let received = received(chat, guid, message, service);
        for handle in &chat.participants {
            self.phones.entry(handle.clone()).or_default().receive(received.clone());
        }
    }

    /// Writes a tapback's row: the owner's if there is no sender.
    pub(crate) fn tap(
        &mut self,
        target: &Row,
        sender: Option<&str>,
        kind: &str,
        emoji: &str,
        add: bool,
    ) -> String {
        let guid = new_guid();
        let what = if add { "Reacted to" } else { "Removed a reaction from" };
        self.db.insert(Row {
            guid: guid.clone(),
            chat: target.chat,
            is_from_me: sender.is_none(),
            sender: sender.unwrap_or_default().to_owned(),
            text: format!("{what} “{}”", target.text),
            tapback: Some(Tapback {
                target: target.guid.clone(),
                kind: kind.to_owned(),
                emoji: emoji.to_owned(),
                add,
            }),
            ..blank(time::now())
        });
        self.db.told += 1;
        if sender.is_none() {
            let shown = if kind == "custom" { emoji } else { kind }.to_owned();
            for phone in self.phones.values_mut() {
                // One reaction a person.
                phone.change(&target.guid, |message| {
                    message.reactions.clear();
                    if add {
                        message.reactions.push(shown.clone());
                    }
                });
            }
        }
        guid
    }

    /// Changes a message's text in place; its row keeps its ROWID.
    pub(crate) fn edit(&mut self, guid: &str, text: &str) {
        if let Some(row) = self.db.row_mut(guid) {
            text.clone_into(&mut row.text);
        }
        self.db.told += 1;
        for phone in self.phones.values_mut() {
            phone.change(guid, |message| {
                text.clone_into(&mut message.text);
                message.edited = true;
            });
        }
    }

    /// Takes a message back: the same row, without text and files.
    pub(crate) fn unsend(&mut self, guid: &str) {
        if let Some(row) = self.db.row_mut(guid) {
            row.text.clear();
            row.files.clear();
        }
        self.db.told += 1;
        for phone in self.phones.values_mut() {
            phone.change(guid, |message| {
                message.text.clear();
                message.files.clear();
                message.unsent = true;
            });
        }
    }

    /// The row of something that happened to a group: empty to imsg.
    pub(crate) fn group_event(&mut self, chat: i64) {
        let row =
            Row { guid: new_guid(), chat: Some(chat), is_from_me: true, ..blank(time::now()) };
        self.db.insert(row);
        self.db.told += 1;
    }

    /// An empty outgoing row that belongs to no chat (send.md, "Tahoe ghost-row protection").
    pub(crate) fn ghost_row(&mut self, handle: &str) {
        self.db.insert(Row {
            guid: new_guid(),
            is_from_me: true,
            sender: handle.to_owned(),
            service: "SMS".to_owned(),
            ..blank(time::now())
        });
        self.db.told += 1;
    }
}

/// A row with nothing in it.
pub(crate) fn blank(now: Timestamp) -> Row {
    Row {
        rowid: 0,
        guid: String::new(),
        chat: None,
        sender: String::new(),
        is_from_me: false,
        text: String::new(),
        created_at: now,
        service: "iMessage".to_owned(),
        own: None,
        files: Vec::new(),
        thread: None,
        previous: None,
        balloon: None,
        preview_of: None,
        tapback: None,
        is_read: false,
        read_at: None,
        sending: Sending::default(),
    }
}

fn received(chat: &Chat, guid: &str, message: &Outgoing, service: &str) -> Received {
    let file = |file: &File| ReceivedFile {
        name: file.name.clone(),
        bytes: std::fs::read(&file.path).unwrap_or_default(),
        voice: message.voice,
    };
    Received {
        guid: guid.to_owned(),
        text: message.text.clone(),
        files: message.files.iter().map(file).collect(),
        group: chat.group,
        chat: chat.identifier.clone(),
        reply_to: message.reply_to.clone(),
        service: service.to_owned(),
        subject: message.subject.clone(),
        effect: message.effect.clone(),
        ..Received::default()
    }
}
