//! The server's look at Messages' database, with its flaws (`IMessageListener.ts`, `pollers/MessagePoller.ts`).
//!
//! It looks only when the database changes, only at the 100 newest messages, remembers for an hour
//! what it has told, and takes what happened before its start for told.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    database::Message,
    render::{self, Form},
    state::{Inner, State},
    webhooks::{self, Event},
};
use crate::stamp::{apple_now, unix_ms};

/// How many of the newest messages a look takes in.
const NEWEST: i64 = 100;

/// How far back it looks: seven days, in Apple's nanoseconds.
const BACK_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// What of a row is compared. An error that comes later is not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    delivered: (bool, i64),
    read: i64,
    edited: i64,
    retracted: i64,
    notified: bool,
    files: usize,
}

impl Stamp {
    fn of(row: &Message, state: &State) -> Self {
        let there = |rowid: &&i64| {
            state.db.attachments.get(rowid).is_some_and(|file| file.transfer_state == 5)
        };
        Self {
            delivered: (row.is_delivered, row.date_delivered),
            read: row.date_read,
            edited: row.date_edited,
            retracted: row.date_retracted,
            notified: row.did_notify,
            files: row.attachments.iter().filter(there).count(),
        }
    }
}

/// What the watcher remembers.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    seen: HashMap<String, Stamp>,
    /// When a message was last told of; forgotten after an hour.
    told: HashMap<String, Instant>,
}

/// Watches until the server stops. Says when it is ready.
pub(super) async fn run(
    inner: Arc<Inner>,
    life: CancellationToken,
    ready: tokio::sync::oneshot::Sender<()>,
) {
    let mut changes = inner.changes();
    // What came while the server was down is taken for told.
    inner.look(|state| {
        state.watcher = Watcher::default();
        look(state);
    });
    let _ = ready.send(());
    if inner.look(|state| state.faults.no_wal_at_start) {
        return;
    }
    loop {
        tokio::select! {
            () = life.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        tokio::time::sleep(inner.timing().debounce).await;
        changes.borrow_and_update();
        let (events, loses, poll) = inner.look(|state| {
            if state.faults.silent_watcher {
                // Nothing wakes it, so nothing is compared and nothing matched.
                return (Vec::new(), false, state.timing.poll);
            }
            (look(state), state.faults.debounce_loses, state.timing.poll)
        });
        webhooks::tell(&inner, events);
        if loses {
            tokio::time::sleep(poll).await;
            changes.borrow_and_update();
        }
    }
}

/// One look: what is new and what has changed.
fn look(state: &mut State) -> Vec<Event> {
    let after = apple_now() - BACK_NS;
    let mut events = Vec::new();
    let newest = state.db.sql.newest(NEWEST);
    for rowid in newest.into_iter().rev() {
        let Some(row) = state.db.messages.get(&rowid).filter(|row| row.date >= after).cloned()
        else {
            continue;
        };
        let stamp = Stamp::of(&row, state);
        let before = state.watcher.seen.insert(row.guid.clone(), stamp.clone());
        if before.as_ref() == Some(&stamp) {
            continue;
        }
        let cache = state.timing.cache;
        let fresh = state.watcher.told.get(&row.guid).is_some_and(|at| at.elapsed() < cache);
        state.watcher.told.insert(row.guid.clone(), Instant::now());
        if before.is_some() && fresh {
            events.push(Event::new("updated-message", shown(state, &row, Form::UPDATED)));
        } else {
            // Never told, or told so long ago that the cache has forgotten it.
            events.extend(new_message(state, &row));
        }
        if row.is_from_me {
            events.extend(matched(state, &row));
        }
    }
    events
}

fn shown(state: &State, row: &Message, form: Form) -> Value {
    render::message(&state.db, &state.mac, row, form)
}

/// A new message; a change of a group is told twice, as what it is and as a message.
fn new_message(state: &State, row: &Message) -> Vec<Event> {
    let group = match (row.item_type, row.group_action) {
        (1, 0) => Some("participant-added"),
        (1, _) => Some("participant-removed"),
        (2, _) => Some("group-name-change"),
        (3, 0) => Some("participant-left"),
        (3, 1) => Some("group-icon-changed"),
        (3, _) => Some("group-icon-removed"),
        _ => None,
    };
    let mut events = Vec::new();
    if let Some(kind) = group {
        let form = Form { participants: kind != "group-name-change", ..Form::NEW };
        events.push(Event::new(kind, shown(state, row, form)));
    }
    events.push(Event::new("new-message", shown(state, row, Form::NEW)));
    events
}

/// Tells the send that waits for this row, if one does (`outgoingMessageManager`).
///
/// The text is compared by its ASCII letters and digits alone, so that one without any matches every other such row.
fn matched(state: &mut State, row: &Message) -> Option<Event> {
    let chat = state.db.chats.get(&row.chat)?;
    let identifier = chat.identifier.clone();
    let key = letters(row.text.as_deref().unwrap_or_default());
    let names: Vec<String> = row
        .attachments
        .iter()
        .filter_map(|rowid| Some(stem(&state.db.attachments.get(rowid)?.name).to_owned()))
        .collect();
    state.awaiting.retain(|awaiting| awaiting.until > Instant::now());
    let at = state.awaiting.iter().position(|awaiting| {
        awaiting.identifier == identifier
            && row.date >= awaiting.not_before
            && if awaiting.is_file {
                names.contains(&awaiting.key)
            } else {
                names.is_empty() && key == awaiting.key
            }
    })?;
    let mut awaiting = state.awaiting.remove(at);
    if let Some(found) = awaiting.found.take() {
        let _ = found.send((row.guid.clone(), row.error != 0));
    }
    let mut data = shown(state, row, Form::NEW);
    if let Some(temp_guid) = awaiting.temp_guid {
        data["tempGuid"] = json!(temp_guid);
    } else if row.error == 0 {
        return None;
    }
    Some(Event::new(if row.error == 0 { "new-message" } else { "message-send-error" }, data))
}

/// What is left of a text when the server compares.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A file's name without its extension.
pub(super) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// An hour passes: the caches forget, and of the newest messages those that look unfinished are told as new.
pub(super) fn hour(state: &mut State) -> Vec<Event> {
    state.watcher.told.clear();
    again(state, |row| {
        (!row.retracted_parts.is_empty() && row.part_count > 0)
            || (row.is_delivered && unix_ms(row.date_delivered).is_none())
            || row.did_notify
    })
}

/// The newest messages are told as new once more, all that are of this kind.
pub(super) fn again(state: &State, which: impl Fn(&Message) -> bool) -> Vec<Event> {
    let newest = state.db.sql.newest(NEWEST);
    newest
        .into_iter()
        .rev()
        .filter_map(|rowid| state.db.messages.get(&rowid))
        .filter(|row| which(row))
        .map(|row| Event::new("new-message", shown(state, row, Form::NEW)))
        .collect()
}
