//! What happens to Messages' database and files, and what the server's caches make of time.

use super::{
    Server,
    database::Chat,
    state::{State, new_guid},
    watcher,
    webhooks::{self, Event},
};

/// What a replaced database still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Every message, under new row ids.
    All,
    /// The newest messages, so many.
    Newest(usize),
    /// The oldest messages, so many: as from a backup.
    Oldest(usize),
    /// No message; chats stay.
    Nothing,
}

impl Server {
    /// The owner deletes a message on this Mac.
    pub fn delete(&self, guid: &str) {
        self.inner.change(|state| state.db.remove(guid));
    }

    /// A row that stood in no chat joins it.
    pub fn join(&self, guid: &str) {
        self.inner.change(|state| state.db.change(guid, |row| row.joined = true));
    }

    /// The files of a message arrive.
    pub fn finish_files(&self, guid: &str) {
        self.files(guid, 5);
    }

    /// The files of a message are in this state: 3 waiting, 4 on their way, 5 finished, 6 failed.
    pub fn files(&self, guid: &str, transfer_state: i64) {
        self.inner.change(|state| {
            let rowids = state.db.message(guid).map(|row| row.attachments.clone());
            for rowid in rowids.unwrap_or_default() {
                let Some(mut file) = state.db.attachments.get(&rowid).cloned() else { continue };
                file.transfer_state = transfer_state;
                file.on_disk = transfer_state == 5;
                state.db.put_attachment(file);
            }
        });
    }

    /// The Mac needs room: the files of a message leave the disk, and their rows say that they are there.
    pub fn purge_files(&self, guid: &str) {
        self.inner.change(|state| {
            let rowids = state.db.message(guid).map(|row| row.attachments.clone());
            for rowid in rowids.unwrap_or_default() {
                if let Some(file) = state.db.attachments.get_mut(&rowid) {
                    file.on_disk = false;
                }
            }
        });
    }

    /// The guids of a message's files.
    pub fn files_of(&self, guid: &str) -> Vec<String> {
        self.inner.look(|state| {
            let rowids = state.db.message(guid).map(|row| row.attachments.clone());
            let guid = |rowid| Some(state.db.attachments.get(rowid)?.guid.clone());
            rowids.unwrap_or_default().iter().filter_map(guid).collect()
        })
    }

    /// The Mac's Messages database is another one: row ids begin at 1 again.
    pub fn replace_database(&self, keep: Keep) {
        self.inner.change(|state| {
            let mut dates: Vec<i64> = state.db.messages.values().map(|row| row.date).collect();
            dates.sort_unstable_by_key(|date| std::cmp::Reverse(*date));
            let newest = match keep {
                Keep::Oldest(count) => {
                    let last = dates.len().saturating_sub(count);
                    dates.get(last).copied().unwrap_or(i64::MIN)
                }
                _ => i64::MAX,
            };
            let oldest = match keep {
                Keep::All | Keep::Oldest(_) => i64::MIN,
                Keep::Newest(count) => count
                    .checked_sub(1)
                    .and_then(|last| dates.get(last.min(dates.len().max(1) - 1)))
                    .copied()
                    .unwrap_or(i64::MAX),
                Keep::Nothing => i64::MAX,
            };
            state.db = state.db.renumbered(|row| row.date >= oldest && row.date <= newest);
        });
    }

    /// The Mac gets macOS 26: the guids of all chats begin with `any`, and new ones too.
    pub fn upgrade_to_26(&self) {
        self.inner.change(|state| {
            state.mac.os_version = "26.1.0".to_owned();
            let chats: Vec<Chat> = state.db.chats.values().cloned().collect();
            for mut chat in chats {
                if let Some((_, rest)) = chat.guid.split_once(';') {
                    chat.guid = format!("any;{rest}");
                }
                state.db.put_chat(chat);
            }
        });
    }

    /// The spam filter keeps a twin of the chat with this person, with a masked handle. Answers its guid.
    pub fn filtered_twin(&self, person: &str) -> String {
        self.inner.change(|state| {
            let digits = person.len();
            let masked: String = person
                .chars()
                .enumerate()
                .map(|(at, letter)| if (5..digits - 3).contains(&at) { '*' } else { letter })
                .collect();
            let handle = state.db.handle(&masked, "iMessage");
            let guid = format!("{};-;{masked}", state.mac.guid_prefix("iMessage"));
            state.db.put_chat(Chat {
                guid: guid.clone(),
                identifier: masked,
                service: "iMessage".to_owned(),
                group_id: new_guid(),
                is_filtered: true,
                participants: vec![handle],
                ..Chat::default()
            });
            guid
        })
    }

    /// A chat loses its participants, and is then invisible wherever they are joined.
    pub fn lose_participants(&self, chat: &str) {
        self.inner.change(|state| state.db.change_chat(chat, |chat| chat.participants.clear()));
    }

    /// An hour passes for the caches: what changes from now on is told as new, and what looks unfinished is told again.
    pub fn an_hour_passes(&self) {
        self.tell(watcher::hour);
    }

    /// The newest hundred messages are told as new once more, as was seen in the field.
    pub fn replay_webhooks(&self) {
        self.tell(|state| watcher::again(state, |_| true));
    }

    fn tell(&self, events: impl FnOnce(&mut State) -> Vec<Event>) {
        let events = self.inner.look(events);
        webhooks::tell(&self.inner, events);
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.inner.look(|state| state.db.messages.len())
    }
}
