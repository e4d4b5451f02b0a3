//! Messages' own database: what `chat.db` holds, and the SQLite that answers the callers' conditions.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::sql::Sql;

/// A row of `message`. Dates are Apple's nanoseconds; 0 is never.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    pub(super) rowid: i64,
    pub(super) guid: String,
    /// With U+FFFC for each file, as Messages keeps it.
    pub(super) text: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) handle: i64,
    pub(super) other_handle: i64,
    pub(super) service: String,
    pub(super) error: i64,
    pub(super) date: i64,
    pub(super) date_read: i64,
    pub(super) date_delivered: i64,
    pub(super) date_edited: i64,
    pub(super) date_retracted: i64,
    pub(super) is_delivered: bool,
    pub(super) is_finished: bool,
    pub(super) is_from_me: bool,
    pub(super) is_sent: bool,
    pub(super) is_audio: bool,
    pub(super) was_downgraded: bool,
    pub(super) did_notify: bool,
    pub(super) item_type: i64,
    pub(super) group_title: Option<String>,
    pub(super) group_action: i64,
    pub(super) associated_guid: Option<String>,
    pub(super) associated_type: Option<i64>,
    pub(super) associated_emoji: Option<String>,
    pub(super) balloon: Option<String>,
    pub(super) effect: Option<String>,
    pub(super) thread_guid: Option<String>,
    pub(super) thread_part: Option<String>,
    pub(super) part_count: i64,
    pub(super) retracted_parts: Vec<i64>,
    /// What stood there before each edit, and when it was written.
    pub(super) former: Vec<(i64, String)>,
    pub(super) chat: i64,
    /// Messages writes the row first and joins it to its chat some ms later.
    pub(super) joined: bool,
    pub(super) attachments: Vec<i64>,
    /// The own address that it came to or went out by: `destination_caller_id`, which no answer shows. None until it is written;
    /// empty of a row that names none.
    pub(super) own: Option<String>,
    /// A row that the server can't read: each answer that would hold it is a 500 (`MessageTypeTransformer`).
    pub(super) unreadable: bool,
}

impl Message {
    /// The text that callers see: without the sign for files, trimmed.
    pub(super) fn shown_text(&self) -> Option<String> {
        let text = self.text.as_ref()?.replace('\u{FFFC}', "");
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// A row of `chat`.
#[derive(Debug, Clone, Default)]
pub(super) struct Chat {
    pub(super) rowid: i64,
    pub(super) guid: String,
    pub(super) identifier: String,
    pub(super) is_group: bool,
    pub(super) service: String,
    pub(super) display_name: Option<String>,
    pub(super) group_id: String,
    pub(super) is_archived: bool,
    pub(super) is_filtered: bool,
    /// The own address of its newest message.
    pub(super) last_addressed: Option<String>,
    pub(super) participants: Vec<i64>,
}

/// A row of `handle`.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub(super) rowid: i64,
    pub(super) address: String,
    pub(super) service: String,
}

/// A row of `attachment`, with its bytes if they are on the disk.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    pub(super) rowid: i64,
    pub(super) guid: String,
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) uti: String,
    /// 0 not begun, 3 waiting, 4 on its way, 5 finished, 6 failed.
    pub(super) transfer_state: i64,
    pub(super) is_outgoing: bool,
    pub(super) bytes: Bytes,
    pub(super) on_disk: bool,
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) messages: BTreeMap<i64, Message>,
    pub(super) chats: BTreeMap<i64, Chat>,
    pub(super) handles: BTreeMap<i64, Handle>,
    pub(super) attachments: BTreeMap<i64, Attachment>,
    by_guid: HashMap<String, i64>,
    /// Row ids are never given twice, as with AUTOINCREMENT.
    next_message: i64,
    pub(super) sql: Sql,
}

impl Database {
    pub(super) fn new() -> Self {
        Self {
            messages: BTreeMap::new(),
            chats: BTreeMap::new(),
            handles: BTreeMap::new(),
            attachments: BTreeMap::new(),
            by_guid: HashMap::new(),
            next_message: 1,
            sql: Sql::new(),
        }
    }

    pub(super) fn message(&self, guid: &str) -> Option<&Message> {
        self.messages.get(self.by_guid.get(guid)?)
    }

    /// Writes the row down; one without a row id gets the next.
    pub(super) fn put(&mut self, mut message: Message) -> i64 {
        if message.rowid == 0 {
            message.rowid = self.next_message;
        }
        self.next_message = self.next_message.max(message.rowid + 1);
        let rowid = message.rowid;
        self.by_guid.insert(message.guid.clone(), rowid);
        self.sql.put_message(&message);
        self.messages.insert(rowid, message);
        rowid
    }

    /// Changes a row; `None` if there is none.
    pub(super) fn change(&mut self, guid: &str, change: impl FnOnce(&mut Message)) -> Option<i64> {
        let mut message = self.message(guid)?.clone();
        change(&mut message);
        Some(self.put(message))
    }

    pub(super) fn remove(&mut self, guid: &str) {
        if let Some(rowid) = self.by_guid.remove(guid) {
            self.messages.remove(&rowid);
            self.sql.remove_message(rowid);
        }
    }

    pub(super) fn chat(&self, guid: &str) -> Option<&Chat> {
        self.chats.values().find(|chat| chat.guid == guid)
    }

    pub(super) fn put_chat(&mut self, mut chat: Chat) -> i64 {
        if chat.rowid == 0 {
            chat.rowid = self.chats.last_key_value().map_or(1, |(last, _)| last + 1);
        }
        let rowid = chat.rowid;
        self.sql.put_chat(&chat);
        self.chats.insert(rowid, chat);
        rowid
    }

    pub(super) fn change_chat(
        &mut self,
        guid: &str,
        change: impl FnOnce(&mut Chat),
    ) -> Option<i64> {
        let mut chat = self.chat(guid)?.clone();
        change(&mut chat);
        Some(self.put_chat(chat))
    }

    pub(super) fn remove_chat(&mut self, guid: &str) {
        let Some(chat) = self.chat(guid).cloned() else { return };
        let gone: Vec<String> = self
            .messages
            .values()
            .filter(|m| m.chat == chat.rowid)
            .map(|m| m.guid.clone())
            .collect();
        for message in gone {
            self.remove(&message);
        }
        self.chats.remove(&chat.rowid);
        self.sql.remove_chat(chat.rowid);
    }

    /// The handle's row; one is made for a person who has none with this service.
    pub(super) fn handle(&mut self, address: &str, service: &str) -> i64 {
        if let Some(handle) =
            self.handles.values().find(|h| h.address == address && h.service == service)
        {
            return handle.rowid;
        }
        let rowid = self.handles.last_key_value().map_or(1, |(last, _)| last + 1);
        let handle = Handle { rowid, address: address.to_owned(), service: service.to_owned() };
        self.sql.put_handle(&handle);
        self.handles.insert(rowid, handle);
        rowid
    }

    pub(super) fn addresses(&self, chat: &Chat) -> Vec<String> {
        chat.participants
            .iter()
            .filter_map(|rowid| Some(self.handles.get(rowid)?.address.clone()))
            .collect()
    }

    pub(super) fn attachment(&self, guid: &str) -> Option<&Attachment> {
        self.attachments.values().find(|attachment| attachment.guid == guid)
    }

    pub(super) fn put_attachment(&mut self, mut attachment: Attachment) -> i64 {
        if attachment.rowid == 0 {
            attachment.rowid = self.attachments.last_key_value().map_or(1, |(last, _)| last + 1);
        }
        let rowid = attachment.rowid;
        self.sql.put_attachment(&attachment);
        self.attachments.insert(rowid, attachment);
        rowid
    }

    /// The 1:1 chat with this person, however its guid begins; the masked twin of a filtered one is another.
    pub(super) fn direct_chat(&self, address: &str) -> Option<&Chat> {
        self.chats.values().find(|chat| !chat.is_group && chat.identifier == address)
    }

    /// A database of its own with what was kept, in order of date, under new row ids from 1.
    pub(super) fn renumbered(&self, keep: impl Fn(&Message) -> bool) -> Self {
        let mut new = Self::new();
        for handle in self.handles.values() {
            new.handle(&handle.address, &handle.service);
        }
        for chat in self.chats.values() {
            new.put_chat(chat.clone());
        }
        for attachment in self.attachments.values() {
            new.put_attachment(attachment.clone());
        }
        let mut kept: Vec<&Message> = self.messages.values().filter(|m| keep(m)).collect();
        kept.sort_by_key(|message| message.date);
        for message in kept {
            new.put(Message { rowid: 0, ..message.clone() });
        }
        new
    }
}
