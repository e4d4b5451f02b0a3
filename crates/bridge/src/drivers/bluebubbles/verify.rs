//! What came of a request of which nobody has heard: Messages' own rows are asked.
//!
//! That there is no such message proves nothing: the server may still send it. So this never says that nothing was
//! begun, and of several that it may be it takes none.

use std::time::Duration;

use serde_json::json;
use switchboard_model::link::{Content, Outcome};
use tokio::time::timeout;
use tracing::debug;

use super::{
    BlueBubbles, outcome,
    query::{Condition, apple, that},
    read::ReadError,
    send::sent_as,
    wire::{Row, service_of},
};
use crate::{
    connector::Verdict,
    ledger::{Begun, Ledger},
};

/// How long Messages may take to show what it was given.
const SHOWN_WITHIN: Duration = Duration::from_secs(60 * 60);
/// Clocks of two machines differ by less.
const SKEW: Duration = Duration::from_secs(10);
/// How long it may take to find the newest row.
const MARK_WITHIN: Duration = Duration::from_secs(2);

/// Own messages of the chat since an attempt was begun.
pub(super) struct Found {
    /// Those that say the same, and are of no other attempt.
    pub(super) alike: Vec<Row>,
    /// How many others there are.
    pub(super) others: usize,
}

impl BlueBubbles {
    pub(super) async fn find_out(&self, begun: &Begun, ledger: &Ledger) -> Verdict {
        match &begun.item.content {
            Content::Message { text, attachments, .. } => {
                if !self.goes_as_one(text.is_some(), attachments.len()) {
                    // Which of its parts were sent nobody can put together.
                    return Verdict::Open;
                }
            }
            Content::Reaction { .. } => {
                let done = self.find_reaction(begun).await;
                return done.map_or(Verdict::Open, Verdict::Finished);
            }
            Content::Typing { .. } | Content::Read => return Verdict::Open,
        }
        let found = match self.find(begun, ledger, &[]).await {
            Ok(found) => found,
            Err(error) => {
                debug!(%error, "Messages can't be asked what came of an item");
                return Verdict::Open;
            }
        };
        let [row] = &*found.alike else { return Verdict::Open };
        Verdict::Finished(match row.failure() {
            Some(error) => {
                self.disown(ledger, begun.item.line_id, &row.guid).await;
                Outcome::Failed { error: outcome::of_row(error) }
            }
            None => {
                sent_as(row, row.chat().map_or_else(Default::default, |chat| service_of(row, chat)))
            }
        })
    }

    fn goes_as_one(&self, has_text: bool, files: usize) -> bool {
        usize::from(has_text) + files <= 1 || self.has_helper()
    }

    /// The own messages that it may be.
    pub(super) async fn find(
        &self,
        begun: &Begun,
        ledger: &Ledger,
        used: &[String],
    ) -> Result<Found, ReadError> {
        let line = begun.item.line_id;
        let mut found = Found { alike: Vec::new(), others: 0 };
        for row in self.rows(&since(begun), true).await? {
            if row.item_type() != 0
                || row.associated_message_guid.is_some()
                || used.contains(&row.guid)
            {
                continue;
            }
            let Some(chat) = row.chat() else { continue };
            let Some(place) = self.place(ledger, line, chat).await? else { continue };
            if place.identifier != begun.item.identifier {
                continue;
            }
            if self.is_it(begun, ledger, &row, false).await {
                found.alike.push(row);
            } else {
                found.others += 1;
            }
        }
        Ok(found)
    }

    /// Whether a row says what was sent, came after it was begun, and is of no other attempt. Answers to sends have no
    /// files in them: of one that was named for certain they are not asked.
    pub(super) async fn is_it(
        &self,
        begun: &Begun,
        ledger: &Ledger,
        row: &Row,
        is_named: bool,
    ) -> bool {
        let after = begun.mark.as_deref().and_then(|mark| mark.parse::<i64>().ok());
        if !row.is_own() || after.is_some_and(|after| row.row <= after) {
            return false;
        }
        let own = crate::ledger::OwnRow {
            line: begun.item.line_id,
            guid: row.guid.clone(),
            // The answer to a send may name the chat by another guid.
            identifier: begun.item.identifier.clone(),
            text: row.words(),
            has_files: is_named || row.files().next().is_some(),
            sent_at: row.created().max(begun.begun_at),
            service: Default::default(),
        };
        ledger.is_outcome_of(begun, own).await.unwrap_or(false)
    }

    /// What came of a reaction; none if nobody can say.
    pub(super) async fn find_reaction(&self, begun: &Begun) -> Option<Outcome> {
        let Content::Reaction { message_guid, reaction_type, remove } = &begun.item.content else {
            return None;
        };
        let minus = if *remove { "-" } else { "" };
        let of = format!("{minus}{}", reaction_type.as_str());
        let rows = self.rows(&since(begun), false).await.ok()?;
        let done = rows.iter().find(|row| {
            row.reacts_to() == Some(message_guid.as_str())
                && row.associated_message_type.as_deref() == Some(of.as_str())
        })?;
        Some(match done.failure() {
            Some(error) => Outcome::Failed { error: outcome::of_row(error) },
            None => Outcome::Done { at: done.created() },
        })
    }

    /// The newest row that there is, for [`since`]; what was read up to if it can't be had quickly.
    pub(super) async fn newest_row(&self) -> Option<String> {
        let newest = that("message.ROWID = (SELECT MAX(m.ROWID) FROM message m)", json!({}));
        let asked = timeout(MARK_WITHIN, async { self.rows(&[newest], false).await.ok() }).await;
        let row = match asked.ok().flatten() {
            Some(rows) => rows.last().map_or(0, |row| row.row),
            None => *self.read_to.borrow(),
        };
        (row > 0).then(|| row.to_string())
    }
}

/// The own rows that may have come of an attempt.
fn since(begun: &Begun) -> Vec<Condition> {
    let until = begun.begun_at + SHOWN_WITHIN;
    let after = match begun.mark.as_deref().and_then(|mark| mark.parse::<i64>().ok()) {
        Some(row) => that("message.ROWID > :row", json!({"row": row})),
        None => {
            let begun = apple(begun.begun_at - SKEW);
            that("message.date >= :begun", json!({"begun": begun}))
        }
    };
    vec![
        that("message.is_from_me = 1", json!({})),
        after,
        that("message.date <= :until", json!({"until": apple(until)})),
    ]
}
