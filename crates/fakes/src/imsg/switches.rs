//! The Mac's switches: permissions and faults.

use std::fs;

use super::{
    fault::{Fault, Stage},
    gate::{Automation, Helper, Protection},
    mac::Mac,
    settings::MacOs,
    state::Disturbance,
};

/// Permissions, helper, updates (permissions.md, bridge.md).
impl Mac {
    /// Full Disk Access goes: requests to the database get -32002, `database.ready` is false (rpc.md, "Lifecycle").
    pub fn lose_full_disk_access(&self) {
        self.database_fails("unable to open database file: authorization denied");
    }

    /// `chat.db` can't be opened, for this reason.
    pub fn database_fails(&self, why: &str) {
        self.shared.change(|state| state.db_error = Some(why.to_owned()));
    }

    /// `chat.db` can be opened again, by the same child.
    pub fn regain_full_disk_access(&self) {
        self.shared.change(|state| state.db_error = None);
    }

    /// Automation of Messages.
    pub fn set_automation(&self, automation: Automation) {
        self.shared.change(|state| state.automation = automation);
    }

    /// The helper inside Messages.
    pub fn set_helper(&self, helper: Helper) {
        self.shared.change(|state| state.helper = helper);
    }

    /// System protection: unless off, `imsg launch` refuses.
    pub fn set_protection(&self, protection: Protection) {
        self.shared.change(|state| state.protection = protection);
    }

    /// Library validation: while on, `imsg launch` times out.
    pub fn set_library_validation(&self, on: bool) {
        self.shared.change(|state| state.validation = on);
    }

    /// Another version of imsg for children that start from now on.
    pub fn install(&self, version: &str) {
        self.shared.change(|state| version.clone_into(&mut state.version));
    }

    /// Another macOS from now on; chats keep their guids until [`Mac::rename_chats`].
    pub fn set_macos(&self, macos: MacOs) {
        self.shared.change(|state| state.macos = macos);
    }

    /// Gives all chats the guids of the present macOS, as the update to macOS 26 does (`any;-;…`).
    pub fn rename_chats(&self) {
        self.shared.change(|state| {
            let tahoe = state.macos == MacOs::Tahoe26;
            for chat in state.db.chats.values_mut() {
                let kind = if chat.guid.contains(";+;") { '+' } else { '-' };
                let prefix = if tahoe { "any" } else { &*chat.service };
                chat.guid = format!("{prefix};{kind};{}", chat.identifier);
            }
        });
    }

    /// Groups that are made from now on have guids with `;-;`, as macOS 26 has them at times: `is_group` is false.
    pub fn list_groups_as_direct(&self) {
        self.shared.change(|state| state.groups_as_direct = true);
    }

    /// `imsg rpc` ends at once with exit code 1, until this is false again.
    pub fn set_broken(&self, broken: bool) {
        self.shared.change(|state| state.broken = broken);
    }

    /// The Mac sleeps: children live and begin nothing, until [`Mac::wake`]. What Messages had begun goes on.
    pub fn sleep(&self) {
        self.shared.change(|state| state.asleep = true);
    }

    /// The Mac wakes, and does what has gathered.
    pub fn wake(&self) {
        self.shared.change(|state| state.asleep = false);
    }

    /// Whether each child writes a harmless line to stderr.
    pub fn set_noise(&self, noise: bool) {
        self.shared.change(|state| state.noise = noise);
    }
}

/// What goes wrong with requests.
impl Mac {
    /// The next request of this method goes wrong; several faults of a method befall one request each, in order.
    pub fn fault(&self, method: &str, fault: Fault) {
        self.shared
            .change(|state| state.faults.entry(method.to_owned()).or_default().push_back(fault));
    }

    /// How many faults have not befallen anything yet.
    pub fn faults_left(&self) -> usize {
        self.shared.look(|state| state.faults.values().map(|queue| queue.len()).sum())
    }

    /// Holds all mutations at this stage until [`Mac::release`].
    pub fn hold(&self, stage: Stage) {
        self.shared.change(|state| state.held = Some(stage));
    }

    /// How many mutations are held.
    pub fn held(&self) -> usize {
        self.shared.look(|state| state.waiting)
    }

    /// Lets all mutations go on.
    pub fn release(&self) {
        self.shared.change(|state| state.held = None);
    }
}

/// What goes wrong with the watch (watch.md).
impl Mac {
    /// While on, no subscription says anything; what came meanwhile is never told.
    pub fn silence_watch(&self, on: bool) {
        self.shared.change(|state| state.watch.silent = on);
    }

    /// While on, each message is told twice.
    pub fn duplicate_notifications(&self, on: bool) {
        self.shared.change(|state| state.watch.duplicates = on);
    }

    /// While on, what is told together is told newest first.
    pub fn reverse_notifications(&self, on: bool) {
        self.shared.change(|state| state.watch.reversed = on);
    }

    /// An event of the helper, such as `aliases-removed`.
    pub fn bridge_event(&self, event: &str, data: &serde_json::Value) {
        let ts = super::time::iso(super::time::now());
        // Nobody subscribes: the event is lost.
        let _ =
            self.shared.events.send(serde_json::json!({ "event": event, "ts": ts, "data": data }));
    }

    /// All subscriptions of all children end with an overflow.
    pub fn overflow_subscriptions(&self) {
        self.disturb(Disturbance::Overflow);
    }

    /// All subscriptions to messages end with an `error` notification.
    pub fn fail_watches(&self, text: &str) {
        self.disturb(Disturbance::Error(text.to_owned()));
    }

    /// All subscriptions to bridge events end with `bridge.events.error`; codes are `event_log_open_failed`,
    /// `event_log_read_failed`, `event_stream_failed`.
    pub fn fail_events(&self, code: &str, message: &str) {
        self.disturb(Disturbance::EventsError(code.to_owned(), message.to_owned()));
    }

    fn disturb(&self, disturbance: Disturbance) {
        // Nobody subscribes: nothing to disturb.
        let _ = self.shared.disturb.send(disturbance);
    }
}

/// What happens to `chat.db` (rpc.md, "messages.after").
impl Mac {
    /// Another database takes the place of this one: empty, and its ROWIDs begin after `last_rowid`. Requests see it at
    /// once; subscriptions stay with the old one, silent. Phones keep what they have.
    pub fn replace_database(&self, last_rowid: i64) {
        self.shared.change(|state| {
            state.db = state.db.replaced(last_rowid);
            state.unjoined.clear();
        });
    }

    /// `chat.db` is put back to what it was so many messages ago: the next ROWID is that of the first that is gone.
    pub fn put_back(&self, messages: usize) {
        self.shared.change(|state| state.db.put_back(messages));
    }

    /// ROWIDs that are never seen: rows that were deleted at once.
    pub fn skip_rowids(&self, count: i64) {
        self.shared.change(|state| state.db.skip(count));
    }

    /// Deletes a message on this Mac only.
    pub fn delete(&self, guid: &str) {
        self.shared.change(|state| {
            let rowid = state.db.row(guid).map(|row| row.rowid);
            rowid.and_then(|rowid| state.db.rows.remove(&rowid));
            state.db.told += 1;
        });
    }

    /// Joins a message to its chat ([`Draft::unjoined`](super::Draft::unjoined)).
    pub fn join(&self, guid: &str) {
        self.shared.change(|state| {
            let rowid = state.db.row(guid).map(|row| row.rowid);
            let chat = rowid.and_then(|rowid| state.unjoined.remove(&rowid));
            if let Some(row) = state.db.row_mut(guid) {
                row.chat = chat.or(row.chat);
            }
            state.db.told += 1;
        });
    }

    /// The body of a message that arrived with an empty one.
    pub fn fill_body(&self, guid: &str, text: &str) {
        self.shared.change(|state| {
            if let Some(row) = state.db.row_mut(guid) {
                text.clone_into(&mut row.text);
            }
            state.db.told += 1;
        });
    }

    /// The missing files of a message come ([`Draft::missing_file`](super::Draft::missing_file)).
    pub fn download(&self, guid: &str) {
        self.shared.change(|state| {
            let files = state.db.row_mut(guid).map(|row| &mut row.files);
            for file in files.into_iter().flatten() {
                if let Some(bytes) = file.coming.take() {
                    fs::write(&file.path, &bytes).expect("the Mac's folder can be written");
                    file.total_bytes = bytes.len() as u64;
                }
            }
            state.db.told += 1;
        });
    }

    /// An own message turns out not to have been sent, whatever was said before.
    pub fn fail_later(&self, guid: &str, error: i64) {
        let now = super::time::now();
        self.shared.change(|state| {
            if let Some(row) = state.db.row_mut(guid) {
                row.sending.error = error;
                row.sending.error_at = Some(now);
            }
            state.db.told += 1;
        });
    }

    /// A group event's row in a chat: no text, no file, no sign of what it is.
    pub fn empty_row(&self, chat: i64) {
        self.shared.change(|state| state.group_event(chat));
    }
}
