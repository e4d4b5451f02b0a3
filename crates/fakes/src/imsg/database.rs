//! `chat.db`: chats and messages by ROWID.

use std::collections::{BTreeMap, HashMap};

use super::{chat::Chat, row::Row};

/// One database file. Another one that takes its place has another generation.
#[derive(Debug, Default)]
pub(crate) struct Database {
    /// Counts the files that have stood at this path.
    pub generation: u64,
    pub rows: BTreeMap<i64, Row>,
    pub chats: BTreeMap<i64, Chat>,
    last_rowid: i64,
    last_chat: i64,
    /// ROWIDs by lower-case guid.
    guids: HashMap<String, i64>,
    /// ROWIDs of tapbacks by the guid of their message.
    taps: HashMap<String, Vec<i64>>,
    /// ROWIDs of link previews by the guid of their message.
    previews: HashMap<String, i64>,
    /// Counts the writes that the file system told of.
    pub told: u64,
}

impl Database {
    /// A file without messages, whose first row is the one after `last_rowid`.
    pub(crate) fn new(last_rowid: i64) -> Self {
        Self { last_rowid, ..Self::default() }
    }

    /// Another file at the same path, which the file system tells of.
    pub(crate) fn replaced(&self, last_rowid: i64) -> Self {
        Self { generation: self.generation + 1, told: self.told + 1, ..Self::new(last_rowid) }
    }

    /// Takes the newest messages away as if they had never come.
    pub(crate) fn put_back(&mut self, messages: usize) {
        for _ in 0..messages {
            self.rows.pop_last();
        }
        self.last_rowid = self.rows.last_key_value().map_or(0, |(rowid, _)| *rowid);
        let rows = &self.rows;
        self.guids.retain(|_, rowid| rows.contains_key(rowid));
        self.generation += 1;
        self.told += 1;
    }

    /// The newest ROWID that was ever given out.
    pub(crate) fn last_rowid(&self) -> i64 {
        self.last_rowid
    }

    /// Writes a message, under the next ROWID.
    pub(crate) fn insert(&mut self, mut row: Row) -> i64 {
        self.last_rowid += 1;
        row.rowid = self.last_rowid;
        row.previous = row.chat.and_then(|chat| self.newest(chat)).map(|row| row.guid.clone());
        self.guids.insert(row.guid.to_lowercase(), row.rowid);
        if let Some(tapback) = &row.tapback {
            self.taps.entry(tapback.target.clone()).or_default().push(row.rowid);
        }
        if let Some(of) = &row.preview_of {
            self.previews.insert(of.clone(), row.rowid);
        }
        self.rows.insert(row.rowid, row);
        self.last_rowid
    }

    /// Leaves ROWIDs out, as rows that were deleted at once do.
    pub(crate) fn skip(&mut self, rowids: i64) {
        self.last_rowid += rowids;
    }

    pub(crate) fn add_chat(&mut self, chat: impl FnOnce(i64) -> Chat) -> i64 {
        self.last_chat += 1;
        self.chats.insert(self.last_chat, chat(self.last_chat));
        self.last_chat
    }

    /// The message with this guid, whatever its case.
    pub(crate) fn row(&self, guid: &str) -> Option<&Row> {
        self.rows.get(self.guids.get(&guid.to_lowercase())?)
    }

    /// The tapbacks on a message, in order.
    pub(crate) fn taps(&self, guid: &str) -> impl Iterator<Item = &Row> {
        let rowids = self.taps.get(guid).into_iter().flatten();
        rowids.filter_map(|rowid| self.rows.get(rowid))
    }

    /// The link preview of a message.
    pub(crate) fn preview(&self, guid: &str) -> Option<&Row> {
        self.rows.get(self.previews.get(guid)?)
    }

    pub(crate) fn row_mut(&mut self, guid: &str) -> Option<&mut Row> {
        self.rows.get_mut(self.guids.get(&guid.to_lowercase())?)
    }

    /// The newest message of a chat that is no tapback.
    pub(crate) fn newest(&self, chat: i64) -> Option<&Row> {
        self.rows.values().rev().find(|row| row.chat == Some(chat) && row.tapback.is_none())
    }

    /// The chat with this identifier or guid (rpc.md, "Targets").
    pub(crate) fn chat_named(&self, name: &str) -> Option<&Chat> {
        let exact = self.chats.values().find(|chat| chat.guid == name);
        exact.or_else(|| self.chats.values().find(|chat| chat.answers_to(name)))
    }

    /// The direct chat with somebody, in the order in which imsg looks (rpc.md, "Targets").
    pub(crate) fn direct(&self, handle: &str, service: Service) -> Option<&Chat> {
        let direct = |chat: &&Chat| !chat.group && chat.identifier == handle;
        let of = |name: &str| {
            self.chats.values().filter(direct).find(|chat| chat.service.eq_ignore_ascii_case(name))
        };
        match service {
            Service::IMessage => of("iMessage"),
            Service::Sms => of("SMS"),
            Service::Auto => of("iMessage").or_else(|| of("SMS")).or_else(|| of("RCS")),
        }
    }
}

/// The parameter `service` of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Auto,
    IMessage,
    Sms,
}
