//! `watch.subscribe`: new rows, a while after the file system told of a change (rpc.md; watch.md).

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::sleep,
};

use super::{
    child::Child,
    dispatch::Call,
    failure::Failure,
    reads::{Filter, known_chat},
};
use crate::imsg::{
    object::{self, Shape},
    row::Row,
    state::{Disturbance, State},
};

/// How often a row is looked at again that belongs to no chat yet, before it is dropped for good.
const RETRIES: u32 = 20;

pub(crate) fn subscribe(call: &Call<'_>) -> Result<Value, Failure> {
    let params = call.params(&[
        "chat_id",
        "since_rowid",
        "participants",
        "start",
        "end",
        "attachments",
        "convert_attachments",
        "include_reactions",
        "debounce_ms|debounceMs",
        "buffer_limit|bufferLimit",
    ])?;
    let since = params.bounded("since_rowid", 0, [-1, i64::MAX])?;
    let chat = params.int("chat_id")?;
    let filter = Filter::read(&params)?;
    params.bool("convert_attachments")?;
    let reactions = params.bool("include_reactions")?.unwrap_or(false);
    let shape = Shape { files: params.bool("attachments")?.unwrap_or(false), reactions };
    let debounce = params.bounded("debounce_ms", 500, [0, i64::from(u32::MAX)])?;
    let limit = params.bounded("buffer_limit", 256, [1, 4096])?;
    call.database()?;
    let (cursor, generation, told) = call.shared().look(|state| {
        if let Some(id) = chat {
            known_chat(state, id)?;
        }
        // 0 is the tail here, and the beginning for messages.after.
        let cursor = match since {
            0 => state.db.last_rowid(),
            -1 => 0,
            since => since,
        };
        Ok((cursor, state.db.generation, state.db.told))
    })?;
    let debounce = Duration::from_millis(debounce.unsigned_abs()).mul_f64(call.pace().debounce);
    let child = Arc::clone(call.child);
    let changes = call.shared().changes();
    let disturb = call.shared().disturb.subscribe();
    let id = call.child.subscribe(|id| {
        let watch = Watch {
            child,
            id,
            chat,
            filter,
            shape,
            debounce,
            cursor,
            generation,
            told,
            changes,
            disturb,
            unjoined: VecDeque::new(),
        };
        Box::pin(watch.run(usize::try_from(limit).unwrap_or(1)))
    })?;
    Ok(json!({ "subscription": id, "buffer_limit": limit }))
}

/// `{ok:true}` for an id that nobody has, too.
pub(crate) async fn unsubscribe(call: &Call<'_>) -> Result<Value, Failure> {
    let id = call.params(&["subscription"])?.int("subscription")?;
    let id = id.ok_or_else(|| Failure::params("subscription is required"))?;
    if let Ok(id) = u64::try_from(id) {
        call.child.unsubscribe(id).await;
    }
    Ok(json!({ "ok": true }))
}

/// One subscription. It keeps the database that it began with.
struct Watch {
    child: Arc<Child>,
    id: u64,
    chat: Option<i64>,
    filter: Filter,
    shape: Shape,
    debounce: Duration,
    cursor: i64,
    generation: u64,
    told: u64,
    changes: watch::Receiver<u64>,
    disturb: broadcast::Receiver<Disturbance>,
    /// ROWIDs without a chat, and how often they were looked at.
    unjoined: VecDeque<(i64, u32)>,
}

/// How a subscription ends by itself.
enum End {
    Overflow { resume_after: i64 },
    Error(String),
}

impl Watch {
    async fn run(mut self, limit: usize) {
        let (buffer, mut buffered) = mpsc::channel(limit);
        let (child, id) = (Arc::clone(&self.child), self.id);
        let emit = async {
            while let Some(message) = buffered.recv().await {
                child.notify("message", &json!({ "subscription": id, "message": message })).await;
            }
        };
        // What was accepted drains before the end is told.
        let (end, ()) = tokio::join!(self.poll(buffer), emit);
        match end {
            End::Overflow { resume_after } => {
                let params = json!({
                    "subscription": id,
                    "resume_after_rowid": resume_after,
                    "reason": "buffer_limit_exceeded",
                    "terminal": true,
                });
                child.notify("watch.overflow", &params).await;
            }
            End::Error(text) => {
                child
                    .notify("error", &json!({ "subscription": id, "error": { "message": text } }))
                    .await;
            }
        }
        child.ended(id);
    }

    /// Polls a debounce after each change, and now and then without any.
    async fn poll(&mut self, buffer: mpsc::Sender<Value>) -> End {
        let fallback = self.child.shared.settings.pace.fallback_poll;
        loop {
            self.child.shared.until(|state| !state.asleep).await;
            for (rowid, message) in self.read() {
                if buffer.try_send(message).is_err() {
                    return End::Overflow { resume_after: rowid - 1 };
                }
            }
            let again =
                if self.unjoined.is_empty() { fallback } else { self.debounce.min(fallback) };
            let told = self.told;
            let changed = async {
                while self.child.shared.look(|state| state.db.told) == told {
                    // The sender lives as long as the Mac.
                    let _ = self.changes.changed().await;
                }
                sleep(self.debounce).await;
            };
            tokio::select! {
                () = changed => {}
                () = sleep(again) => {}
                disturbance = self.disturb.recv() => match disturbance {
                    Ok(Disturbance::Overflow) => return End::Overflow { resume_after: self.cursor },
                    Ok(Disturbance::Error(text)) => return End::Error(text),
                    _ => {}
                }
            }
        }
    }

    /// New rows, in the order of ROWIDs.
    fn read(&mut self) -> Vec<(i64, Value)> {
        let child = Arc::clone(&self.child);
        child.shared.look(|state| {
            self.told = state.db.told;
            child.shared.watched.store(self.told, Ordering::Relaxed);
            if state.db.generation != self.generation || state.db_error.is_some() {
                return Vec::new();
            }
            let mut found = Vec::new();
            for (rowid, tries) in std::mem::take(&mut self.unjoined) {
                match state.db.rows.get(&rowid) {
                    Some(row) if row.chat.is_some() => found.push(row),
                    Some(_) if tries < RETRIES => self.unjoined.push_back((rowid, tries + 1)),
                    _ => {
                        child.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            for (rowid, row) in state.db.rows.range(self.cursor + 1..) {
                self.cursor = *rowid;
                if row.chat.is_none() {
                    self.unjoined.push_back((*rowid, 1));
                } else {
                    found.push(row);
                }
            }
            self.emitted(state, found)
        })
    }

    fn emitted(&self, state: &State, found: Vec<&Row>) -> Vec<(i64, Value)> {
        if state.watch.silent {
            return Vec::new();
        }
        let wanted = |row: &&Row| {
            (self.chat.is_none() || row.chat == self.chat)
                && row.preview_of.is_none()
                && (self.shape.reactions || row.tapback.is_none())
                && self.filter.takes(row)
        };
        let own = &self.child.shared.settings.own;
        let object = |row: &Row| (row.rowid, object::message(state, row, self.shape, own));
        let times = if state.watch.duplicates { 2 } else { 1 };
        let rows = found.into_iter().filter(wanted).flat_map(|row| std::iter::repeat_n(row, times));
        let mut messages = rows.map(object).collect::<Vec<_>>();
        if state.watch.reversed {
            messages.reverse();
        }
        messages
    }
}
