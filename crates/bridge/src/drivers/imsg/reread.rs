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
    /// What its messages said last.
    texts: HashMap<String, Option<String>>,
}

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
        recent.texts.entry(row.guid.clone()).or_insert_with(|| row.plain_text());
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
        let mut chats = self.chats();
        let text = chats.get_mut(&chat_id)?.texts.get_mut(&row.guid)?;
        let says = row.plain_text();
        if *text == says {
            return None;
        }
        text.clone_from(&says);
        let (update, at) = (InboundUpdate::of(chat.clone(), row.guid.clone()), now());
        Some(match says.is_none() && row.files().next().is_none() {
            true => InboundUpdate { unsent_at: Some(at), ..update },
            false => InboundUpdate { edit: Some(Edit { text: says, edited_at: at }), ..update },
        })
    }
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
                    let key = format!("text:{}:{}", row.guid, row.text);
                    Some((line, Observation::new(key, Inbound::Update(update))))
                });
                let observations: Vec<_> = changes.collect();
                if !observations.is_empty() {
                    // What could not be written down is told with the next change.
                    let _ = context.ledger.record(Recorded { observations, cursor: None }).await;
                }
            }
        }
    }
}
