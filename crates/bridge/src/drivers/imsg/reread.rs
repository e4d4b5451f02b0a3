//! Edits and messages that were taken back: rows that change in their place, and that nothing tells of.
//!
//! Chats in which something happened of late are read again, and their texts are compared. Apple lets people edit for fifteen
//! minutes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;
use switchboard_model::{
    Line,
    id::Id,
    link::{Edit, Inbound, InboundChat, InboundUpdate},
};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{
    Imsg, READ_TIMEOUT,
    rpc::{History, Row},
};
use crate::{
    connector::Context,
    ledger::{Observation, Recorded, now},
};

/// How often the chats are read again.
const EVERY: Duration = Duration::from_secs(15);
/// How long after its last message a chat is read again.
const RECENT_FOR: Duration = Duration::from_secs(16 * 60);
/// Messages of a chat that are read again.
const MESSAGES: i64 = 20;
/// The most chats that are.
const CHATS: usize = 200;

/// Chats in which something happened of late.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<i64, RecentChat>>);

struct RecentChat {
    line: Id<Line>,
    chat: InboundChat,
    last: Instant,
    /// What its messages said last, and whether files were with them.
    texts: HashMap<String, Shown>,
}

/// What a message shows.
type Shown = (Option<String>, bool);

impl Recent {
    /// A message was read for the first time.
    pub(super) fn note(&self, row: &Row, line: Id<Line>, chat: &InboundChat) {
        let mut chats = self.chats();
        if chats.len() >= CHATS && !chats.contains_key(&row.chat_id) {
            return;
        }
        let recent = chats.entry(row.chat_id).or_insert_with(|| RecentChat {
            line,
            chat: chat.clone(),
            last: Instant::now(),
            texts: HashMap::new(),
        });
        recent.last = Instant::now();
        if !row.is_voice_memo() {
            recent.texts.entry(row.guid.clone()).or_insert_with(|| shown(row));
        }
    }

    fn chats(&self) -> MutexGuard<'_, HashMap<i64, RecentChat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chats to read again.
    fn to_read(&self) -> Vec<(i64, Id<Line>, InboundChat)> {
        let mut chats = self.chats();
        chats.retain(|_, chat| chat.last.elapsed() < RECENT_FOR);
        chats.iter().map(|(id, chat)| (*id, chat.line, chat.chat.clone())).collect()
    }

    /// What of a row is not as it was.
    fn change(&self, chat_id: i64, row: &Row, chat: &InboundChat) -> Option<InboundUpdate> {
        let was = self.chats().get(&chat_id)?.texts.get(&row.guid)?.clone();
        let is = shown(row);
        if was == is {
            return None;
        }
        let (update, at) = (InboundUpdate::of(chat.clone(), row.guid.clone()), now());
        match is {
            (None, false) => Some(InboundUpdate { unsent_at: Some(at), ..update }),
            (text, _) if text != was.0 => {
                Some(InboundUpdate { edit: Some(Edit { text, edited_at: at }), ..update })
            }
            // Only files came or went.
            _ => None,
        }
    }

    /// What is read now is what was told; of what is not among the last messages nothing is remembered.
    fn keep(&self, chat_id: i64, rows: &[Row]) {
        if let Some(chat) = self.chats().get_mut(&chat_id) {
            let last = |guid: &String| rows.iter().find(|row| row.guid == *guid);
            chat.texts.retain(|guid, text| {
                last(guid).is_some_and(|row| {
                    *text = shown(row);
                    true
                })
            });
        }
    }
}

fn shown(row: &Row) -> Shown {
    (row.plain_text(), row.files().next().is_some())
}

impl Imsg {
    /// Reads recent chats again, for ever.
    pub(super) async fn reread(&self, context: &Context) {
        loop {
            sleep(EVERY).await;
            for (chat_id, line, chat) in self.recent.to_read() {
                let params = json!({"chat_id": chat_id, "limit": MESSAGES, "attachments": true});
                let history: History =
                    match self.child.ask("messages.history", params, READ_TIMEOUT).await {
                        Ok(history) => history,
                        Err(error) => {
                            debug!(%error, "a chat can't be read again");
                            continue;
                        }
                    };
                let changes = history.messages.iter().filter_map(|row| {
                    let update = self.recent.change(chat_id, row, &chat)?;
                    let key = format!("text:{}:{}", row.guid, now().0);
                    Some((line, Observation::new(key, Inbound::Update(update))))
                });
                let observations: Vec<_> = changes.collect();
                let recorded = Recorded { observations, ..Recorded::default() };
                // What could not be written down is found again.
                if recorded.observations.is_empty() || context.ledger.record(recorded).await.is_ok()
                {
                    self.recent.keep(chat_id, &history.messages);
                }
            }
        }
    }
}
