//! People: a contact with a phone, and the Mac's owner with other devices.

use serde_json::json;

use super::{draft::Draft, phone::Received, state::Shared, time};

/// Somebody who writes to the line.
#[derive(Clone)]
pub struct Contact<'a> {
    shared: &'a Shared,
    handle: String,
}

impl<'a> Contact<'a> {
    pub(crate) fn new(shared: &'a Shared, handle: &str) -> Self {
        Self { shared, handle: handle.to_owned() }
    }

    /// Begins a message.
    pub fn draft(&self, text: &str) -> Draft<'a> {
        Draft::new(self.shared, Some(self.handle.clone()), None, text)
    }

    /// Writes a text. Its guid.
    pub fn writes(&self, text: &str) -> String {
        self.draft(text).arrive()
    }

    /// Writes a text in a group.
    pub fn writes_in(&self, chat: i64, text: &str) -> String {
        self.draft(text).in_chat(chat).arrive()
    }

    /// Sends a file.
    pub fn sends_file(&self, name: &str, bytes: &[u8]) -> String {
        self.draft("").file(name, bytes).arrive()
    }

    /// Sends a voice memo: one CAF and no text.
    pub fn sends_voice_memo(&self, bytes: &[u8]) -> String {
        self.sends_file("Audio Message.caf", bytes)
    }

    /// Answers a message in its thread.
    pub fn replies(&self, guid: &str, text: &str) -> String {
        self.draft(text).reply_to(guid).arrive()
    }

    /// Puts a reaction on a message: `love`, …, `emphasis`, or an emoji. The guid of its row.
    pub fn reacts(&self, guid: &str, reaction: &str) -> String {
        tap(self.shared, Some(&self.handle), guid, reaction, true)
    }

    /// Puts an emoji on a message that imsg can't find: the row names neither type nor emoji.
    pub fn reacts_unreadably(&self, guid: &str) -> String {
        tap(self.shared, Some(&self.handle), guid, "", true)
    }

    /// Takes a reaction away again.
    pub fn unreacts(&self, guid: &str, reaction: &str) -> String {
        tap(self.shared, Some(&self.handle), guid, reaction, false)
    }

    /// Edits an own message: the row stays, its text changes.
    pub fn edits(&self, guid: &str, text: &str) {
        self.shared.change(|state| state.edit(guid, text));
    }

    /// Takes an own message back: the row stays, empty.
    pub fn unsends(&self, guid: &str) {
        self.shared.change(|state| state.unsend(guid));
    }

    /// Begins to type, which bridge events tell.
    pub fn starts_typing(&self) {
        self.event("started-typing");
    }

    /// Stops typing.
    pub fn stops_typing(&self) {
        self.event("stopped-typing");
    }

    fn event(&self, event: &str) {
        let guid = self.shared.change(|state| {
            let chat = state.direct_chat(&self.handle, "iMessage");
            state.db.chats.get(&chat).map(|chat| chat.guid.clone())
        });
        let event =
            json!({ "event": event, "ts": time::iso(time::now()), "data": { "chatGuid": guid } });
        // Nobody subscribes: the event is lost, as on a Mac.
        let _ = self.shared.events.send(event);
    }

    /// Reads a message of the line (`date_read`).
    pub fn reads(&self, guid: &str) {
        let now = time::now();
        self.shared.change(|state| {
            if let Some(row) = state.db.row_mut(guid) {
                row.sending.delivered_at =
                    row.sending.delivered_at.map(|at| at.min(now)).or(Some(now));
                row.sending.read_at = Some(now);
            }
            state.db.told += 1;
        });
    }

    /// Switches the phone off: what is sent to it waits, sent and not delivered.
    pub fn goes_offline(&self) {
        self.shared
            .change(|state| state.phones.entry(self.handle.clone()).or_default().online = false);
    }

    /// Switches the phone on: what waits is delivered.
    pub fn comes_online(&self) {
        let now = time::now();
        self.shared.change(|state| {
            let phone = state.phones.entry(self.handle.clone()).or_default();
            phone.online = true;
            let waiting = std::mem::take(&mut phone.waiting);
            for message in &waiting {
                if let Some(row) = state.db.row_mut(&message.guid) {
                    row.sending.delivered_at = row.sending.delivered_at.or(Some(now));
                }
            }
            state.phones.entry(self.handle.clone()).or_default().shows.extend(waiting);
            state.db.told += 1;
        });
    }

    /// Has no iMessage: only SMS reaches this phone.
    pub fn has_only_sms(&self) {
        self.shared
            .change(|state| state.phones.entry(self.handle.clone()).or_default().imessage = false);
    }

    /// What the phone shows, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.look(|state| {
            state.phones.get(&self.handle).map(|phone| phone.shows.clone()).unwrap_or_default()
        })
    }

    /// How often the phone shows a text: more than once is a text that was sent twice.
    pub fn times_received(&self, text: &str) -> usize {
        self.received().iter().filter(|message| message.text == text).count()
    }

    /// Whether the phone shows that the line types.
    pub fn sees_typing(&self) -> bool {
        self.shared
            .look(|state| state.phones.get(&self.handle).is_some_and(|phone| phone.sees_typing))
    }

    /// Whether the phone was told that its messages were read.
    pub fn sees_read(&self) -> bool {
        self.shared
            .look(|state| state.phones.get(&self.handle).is_some_and(|phone| phone.sees_read))
    }
}

/// The Mac's owner, on another device: own messages that imsg did not send.
pub struct Owner<'a>(pub(crate) &'a Shared);

impl<'a> Owner<'a> {
    /// Begins a message in a chat.
    pub fn draft(&self, chat: i64, text: &str) -> Draft<'a> {
        Draft::new(self.0, None, Some(chat), text)
    }

    /// Writes in a chat. The guid.
    pub fn writes(&self, chat: i64, text: &str) -> String {
        self.draft(chat, text).arrive()
    }

    /// Puts a reaction on a message.
    pub fn reacts(&self, guid: &str, reaction: &str) -> String {
        tap(self.0, None, guid, reaction, true)
    }

    /// Edits an own message.
    pub fn edits(&self, guid: &str, text: &str) {
        self.0.change(|state| state.edit(guid, text));
    }

    /// Takes an own message back.
    pub fn unsends(&self, guid: &str) {
        self.0.change(|state| state.unsend(guid));
    }
}

fn tap(shared: &Shared, sender: Option<&str>, guid: &str, reaction: &str, add: bool) -> String {
    let (kind, emoji) = match reaction {
        "love" => ("love", "❤️"),
        "like" => ("like", "👍"),
        "dislike" => ("dislike", "👎"),
        "laugh" => ("laugh", "😂"),
        "emphasis" => ("emphasis", "‼️"),
        "question" => ("question", "❓"),
        "" => ("", ""),
        emoji => ("custom", emoji),
    };
    shared.change(|state| {
        let target =
            state.db.row(guid).cloned().expect("a reaction is put on a message that is there");
        state.tap(&target, sender, kind, emoji, add)
    })
}
