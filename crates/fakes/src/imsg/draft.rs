//! A message on its way into `chat.db`, with all that can be odd about it.

use std::fs;

use switchboard_model::Timestamp;

use super::{
    messages::{Outgoing, blank, new_guid},
    row::{File, Row, Sending, kind},
    state::Shared,
    time,
};

/// A message that somebody is writing. It is in `chat.db` after [`Draft::arrive`].
#[must_use]
pub struct Draft<'a> {
    shared: &'a Shared,
    from: Option<String>,
    chat: Option<i64>,
    row: Row,
    joined: bool,
    told: bool,
    preview: bool,
    service: &'static str,
}

impl<'a> Draft<'a> {
    /// From a contact, or from the owner on another device.
    pub(crate) fn new(
        shared: &'a Shared,
        from: Option<String>,
        chat: Option<i64>,
        text: &str,
    ) -> Self {
        let row = Row { guid: new_guid(), text: text.to_owned(), ..blank(time::now()) };
        Self {
            shared,
            from,
            chat,
            row,
            joined: true,
            told: true,
            preview: false,
            service: "iMessage",
        }
    }

    /// In this chat, and not in the direct one.
    pub fn in_chat(self, chat: i64) -> Self {
        Self { chat: Some(chat), ..self }
    }

    /// Comes as SMS.
    pub fn by_sms(self) -> Self {
        Self { service: "SMS", ..self }
    }

    /// With this guid.
    pub fn guid(mut self, guid: &str) -> Self {
        guid.clone_into(&mut self.row.guid);
        self
    }

    /// To (or by) this own number of a Mac that has several; the chat uses it from now on.
    pub fn addressed_to(mut self, own: &str) -> Self {
        self.row.own = Some(own.to_owned());
        self
    }

    /// Written at this time: an old one is what iCloud fills in later, a new row with an old date.
    pub fn written_at(mut self, at: Timestamp) -> Self {
        self.row.created_at = at;
        self
    }

    /// As a threaded reply to a message.
    pub fn reply_to(mut self, guid: &str) -> Self {
        self.row.thread = Some(guid.to_owned());
        self
    }

    /// With a file that is there.
    pub fn file(self, name: &str, bytes: &[u8]) -> Self {
        let draft = self.missing_file(name, bytes);
        if let Some(file) = draft.row.files.last() {
            fs::write(&file.path, bytes).expect("the Mac's folder can be written");
        }
        draft.downloaded()
    }

    /// With a file that is still in iCloud: `missing`, until [`Mac::download`](super::Mac::download).
    pub fn missing_file(mut self, name: &str, bytes: &[u8]) -> Self {
        let number = self.shared.change(|state| {
            state.files += 1;
            state.files
        });
        let folder =
            self.shared.dir.join(format!("Attachments/{:02x}/11/AT-{number}", number % 256));
        fs::create_dir_all(&folder).expect("the Mac's folder can be written");
        let (uti, mime) = kind(name);
        self.row.files.push(File {
            name: name.to_owned(),
            uti: uti.to_owned(),
            mime: mime.to_owned(),
            path: folder.join(name),
            total_bytes: 0,
            coming: Some(bytes.to_vec()),
        });
        self
    }

    fn downloaded(mut self) -> Self {
        if let Some(file) = self.row.files.last_mut() {
            let bytes = file.coming.take();
            file.total_bytes = bytes.map_or(0, |bytes| bytes.len() as u64);
        }
        self
    }

    /// Not joined to its chat: `chat_id` is 0 until [`Mac::join`](super::Mac::join).
    pub fn unjoined(self) -> Self {
        Self { joined: false, ..self }
    }

    /// Without the event of the file system: only the watch's own poll finds it.
    pub fn untold(self) -> Self {
        Self { told: false, ..self }
    }

    /// Followed by the row of a link preview, which imsg folds into this message.
    pub fn with_preview(self) -> Self {
        Self { preview: true, ..self }
    }

    /// The message is in `chat.db`. Its guid.
    pub fn arrive(self) -> String {
        let Self { shared, from, chat, mut row, joined, told, preview, service } = self;
        let own = shared.settings.own.clone();
        shared.change(|state| {
            let chat =
                chat.unwrap_or_else(|| state.direct_chat(from.as_deref().unwrap_or(&own), service));
            if let (Some(own), Some(chat)) = (&row.own, state.db.chats.get_mut(&chat)) {
                chat.own = Some(own.clone());
            }
            row.is_from_me = from.is_none();
            row.sender = from.unwrap_or_default();
            service.clone_into(&mut row.service);
            if row.is_from_me {
                let message = Outgoing {
                    text: row.text.clone(),
                    files: row.files.clone(),
                    reply_to: row.thread.clone(),
                    ..Outgoing::default()
                };
                state.show(chat, &row.guid, &message, service);
            }
            row.text = format!("{}{}", "\u{fffc}".repeat(row.files.len()), row.text);
            row.chat = joined.then_some(chat);
            if row.is_from_me {
                let at = Some(row.created_at);
                row.sending = Sending { sent_at: at, delivered_at: at, ..Sending::default() };
            }
            let (guid, waiting) = (row.guid.clone(), (!joined).then_some(chat));
            let rowid = state.db.insert(row);
            if let Some(chat) = waiting {
                state.unjoined.insert(rowid, chat);
            }
            if preview {
                let balloon = Some("com.apple.messages.URLBalloonProvider".to_owned());
                let row = Row {
                    guid: new_guid(),
                    chat: Some(chat),
                    balloon,
                    preview_of: Some(guid.clone()),
                    ..blank(time::now())
                };
                state.db.insert(row);
            }
            state.db.told += u64::from(told);
            guid
        })
    }
}
