//! Edits and messages that were taken back: rows that change in their place, and that nothing tells of.
//!
//! Messages that may still change are read again, and what they say is compared with what the ledger knows: at the start too, so
//! that what changed while no bridge ran is seen. Apple lets people edit for fifteen minutes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use switchboard_model::link::{CarriedLine, Edit, Inbound, InboundChat, InboundUpdate};
use tokio::time::sleep;
use tracing::debug;

use super::{
    Imsg, READ_TIMEOUT,
    rpc::{Page, Row, RpcError},
};
use crate::{
    connector::Context,
    ledger::{LedgerError, Observation, Recorded, Said, Text, now},
};

/// How often messages are read again.
const EVERY: Duration = Duration::from_secs(15);
/// The pause after that was not possible.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long after it was written a message may change.
const CHANGES_WITHIN: Duration = Duration::from_secs(16 * 60);
/// The most chats that are read again at once: the others have their turn the next time.
const CHATS: usize = 200;
/// Rows of a page.
const PAGE: i64 = 200;

#[derive(Debug, thiserror::Error)]
enum RereadError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What is to be compared of a row that is read for the first time; nothing of one that can't change any more.
pub(super) fn text_of(row: &Row, line: &CarriedLine, chat: &InboundChat) -> Option<Text> {
    // The text of a voice memo is what is said in it, and comes when it likes.
    let may_change = !row.is_voice_memo() && now().since(row.created_at) < CHANGES_WITHIN;
    may_change.then(|| Text {
        line: line.id,
        guid: row.guid.clone(),
        chat_row: row.chat_id,
        row: row.id,
        chat: chat.clone(),
        said: said(row),
        sent_at: row.created_at,
    })
}

fn said(row: &Row) -> Said {
    Said::new(row.plain_text().as_deref(), row.files().next().is_some())
}

/// What of a message is not as it was.
fn change(row: &Row, was: &Text) -> Option<Observation> {
    let is = said(row);
    let (update, at) = (InboundUpdate::of(was.chat.clone(), row.guid.clone()), now());
    let update = if is == was.said {
        return None;
    } else if is.is_nothing() {
        InboundUpdate { unsent_at: Some(at), ..update }
    } else if !is.has_text_of(&was.said) {
        InboundUpdate { edit: Some(Edit { text: row.plain_text(), edited_at: at }), ..update }
    } else {
        // Only files came or went.
        return None;
    };
    Some(Observation::new(format!("text:{}:{}", row.guid, at.0), Inbound::Update(update)))
}

impl Imsg {
    /// Reads again what may have changed, for ever.
    pub(super) async fn reread(&self, context: &Context) {
        let (mut lines, mut last_chat) = (context.lines.clone(), i64::MIN);
        loop {
            if lines.borrow_and_update().is_empty() {
                if lines.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let pause = match self.reread_chats(context, &mut last_chat).await {
                Ok(()) => EVERY,
                Err(error) => {
                    debug!(%error, "what may have changed can't be read again");
                    AGAIN_AFTER
                }
            };
            sleep(pause).await;
        }
    }

    /// Reads chats again: those that come after the last one that was read, and then those before it.
    async fn reread_chats(
        &self,
        context: &Context,
        last_chat: &mut i64,
    ) -> Result<(), RereadError> {
        let lines = Arc::clone(&context.lines.borrow());
        let mut texts = context.ledger.texts().await?;
        texts.retain(|text| lines.iter().any(|line| line.id == text.line));
        let mut chats: Vec<&[Text]> =
            texts.chunk_by(|one, other| one.chat_row == other.chat_row).collect();
        let had_its_turn = |chat: &&[Text]| chat.iter().all(|text| text.chat_row <= *last_chat);
        let had_theirs = chats.partition_point(had_its_turn);
        chats.rotate_left(had_theirs);
        for chat in chats.into_iter().take(CHATS) {
            match self.reread_chat(context, chat).await {
                // Messages has no such chat any more.
                Err(RereadError::Rpc(RpcError::Said { code: -32602, .. })) => {
                    let texts_over = chat.iter().map(Text::key).collect();
                    context.ledger.record(Recorded { texts_over, ..Recorded::default() }).await?;
                }
                read => read?,
            }
            *last_chat = chat.last().map_or(*last_chat, |text| text.chat_row);
        }
        Ok(())
    }

    /// Reads the messages of one chat again, and tells what has changed.
    async fn reread_chat(&self, context: &Context, texts: &[Text]) -> Result<(), RereadError> {
        let (Some(first), Some(last)) = (texts.first(), texts.last()) else { return Ok(()) };
        let known: HashMap<&str, &Text> = texts.iter().map(|text| (&*text.guid, text)).collect();
        // What was old enough before it is read stays as it is read.
        let began = now();
        let (mut recorded, mut goes_on) = (Recorded::default(), HashSet::new());
        let mut after = first.row - 1;
        while after < last.row {
            let params = json!({
                "since_rowid": after.max(0), "chat_id": first.chat_row, "limit": PAGE,
                "attachments": true, "include_reactions": true,
            });
            let page: Page = self.child.ask("messages.after", params, READ_TIMEOUT).await?;
            for row in &page.messages {
                let Some(was) = known.get(&*row.guid).filter(|was| was.row == row.id) else {
                    continue;
                };
                let change = change(row, was);
                if change.is_some() && context.ledger.is_settling(row.guid.clone()).await? {
                    // The message itself must be known to the server first.
                    goes_on.insert(&*was.guid);
                    continue;
                }
                recorded.observations.extend(change.map(|change| (was.line, change)));
                if began.since(was.sent_at) < CHANGES_WITHIN {
                    if said(row) == was.said {
                        goes_on.insert(&*was.guid);
                    } else {
                        // It is forgotten as it was, and known as it is.
                        recorded.texts.push(Text { said: said(row), ..(*was).clone() });
                    }
                }
            }
            if page.next_rowid <= after {
                break;
            }
            after = page.next_rowid;
        }
        let over = texts.iter().filter(|text| !goes_on.contains(&*text.guid));
        recorded.texts_over = over.map(Text::key).collect();
        if !recorded.texts_over.is_empty() {
            // Told and noted at once: a change is told one time, whenever this process dies.
            context.ledger.record(recorded).await?;
        }
        Ok(())
    }
}
