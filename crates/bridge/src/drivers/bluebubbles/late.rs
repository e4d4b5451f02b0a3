//! What comes after a message was told: states and files. For a while each message is read again at every look; a file that takes
//! longer is followed by the ledger's clock.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_model::{
    Line,
    id::Id,
    link::{CarriedLine, Inbound},
};
use tokio::time::Instant;

use super::{
    BlueBubbles, READ_TIMEOUT,
    api::ApiError,
    observe::Observer,
    query::that,
    read::{ReadError, Whereabouts},
    wire::Row,
};
use crate::{
    connector::Context,
    ledger::{LedgerError, Observation, Recorded, now},
};

/// The most rows that are read again at each look.
const MAX_WATCHED: usize = 500;
/// Rows before the end that are read again after a start.
const TAIL: i64 = 50;
/// Messages whose files are asked for at once.
const AT_ONCE: usize = 32;
/// What the ledger calls the files of a message.
const FILES_OF: &str = "files-of:";

/// A row that is read again.
pub(super) struct Watched {
    /// Since when.
    pub(super) since: Instant,
    /// How many files were told with it; none if its files are not to be told.
    files: Option<usize>,
}

impl Observer {
    /// Reads a row again for a while.
    pub(super) fn watch(&mut self, row: &Row, files: Option<usize>) {
        self.watched.insert(row.row, Watched { since: Instant::now(), files });
        while self.watched.len() > MAX_WATCHED {
            self.watched.pop_first();
        }
    }

    /// Reads the rows again that were told just before this process began.
    pub(super) fn watch_tail(&mut self, row: i64) {
        for row in (row - TAIL).max(0) + 1..=row {
            self.watched.insert(row, Watched { since: Instant::now(), files: None });
        }
    }

    fn forget_old(&mut self, watched: Duration) {
        self.watched.retain(|_, one| one.since.elapsed() < watched);
    }
}

impl BlueBubbles {
    /// Reads again what was told of late.
    pub(super) async fn read_watched(
        &self,
        context: &Context,
        observer: &mut Observer,
    ) -> Result<(), ReadError> {
        observer.forget_old(self.pace().watched);
        if observer.watched.is_empty() {
            return Ok(());
        }
        let numbers: Vec<i64> = observer.watched.keys().copied().collect();
        let which = that("message.ROWID IN (:...rows)", json!({"rows": numbers}));
        let rows = match self.rows(&[which], true).await {
            Ok(rows) => rows,
            Err(ApiError::Refused(refused)) if refused.status == 500 => {
                // One of them can't be shown any more: the others are told of by their dates.
                observer.watched.clear();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let lines = std::sync::Arc::clone(&context.lines.borrow());
        self.learn_addresses(&lines, &rows).await?;
        let mut observations = Vec::new();
        for row in &rows {
            let Some(Whereabouts { line, place, is_history: false, .. }) =
                self.whereabouts(context, row).await?
            else {
                continue;
            };
            if observer.is_told(row, self.pace().told_after) {
                for change in row.changes(&place.chat, now()) {
                    observer.add_new(&mut observations, line.id, change);
                }
            }
            let Some(watched) = observer.watched.get_mut(&row.row) else { continue };
            let there = row.files().filter(|file| file.is_there()).count();
            if watched.files.is_some_and(|told| there > told) {
                watched.files = Some(there);
                observations.push((line.id, row.as_late_files(&place.chat)));
            }
        }
        if !observations.is_empty() {
            context
                .ledger
                .record(Recorded { observations, cursor: None, ..Recorded::default() })
                .await?;
        }
        Ok(())
    }

    /// Follows a message whose files have not all come.
    pub(super) async fn follow_files(
        &self,
        context: &Context,
        line: &CarriedLine,
        row: &Row,
        told: &Observation,
    ) -> Result<(), ReadError> {
        let chat = match &told.what {
            Inbound::Message(message) => message.chat.clone(),
            Inbound::Own(message) => message.chat.clone(),
            _ => return Ok(()),
        };
        if row.files().any(|file| file.may_come()) {
            let key = format!("{FILES_OF}{}", row.guid);
            context.ledger.follow(key, line.id, chat, now()).await?;
        }
        Ok(())
    }

    /// Asks for files that have not come, when it is time to.
    pub(super) async fn read_late_files(&self, context: &Context) -> Result<(), ReadError> {
        for message in context.ledger.to_follow(now(), AT_ONCE).await? {
            let Some(guid) = message.guid.strip_prefix(FILES_OF) else {
                context.ledger.followed(message.guid, None, now()).await?;
                continue;
            };
            let with = [("with", "attachments")];
            let asked = self.api.get::<Value>(&["message", guid], &with, READ_TIMEOUT).await;
            let state = match asked {
                Ok(row) => match serde_json::from_value::<Row>(row) {
                    Ok(row) => {
                        let late = vec![(message.line, row.as_late_files(&message.chat))];
                        if row.files().any(|file| file.is_there()) {
                            self.record(context, late).await?;
                        }
                        row.files().any(|file| file.may_come()).then(String::new)
                    }
                    Err(_) => None,
                },
                Err(ApiError::Refused(refused)) if refused.status == 404 => None,
                // It can't be shown now. It is asked for again with the next pause.
                Err(ApiError::Refused(_)) => Some(String::new()),
                Err(error) => return Err(error.into()),
            };
            context.ledger.followed(message.guid.clone(), state, now()).await?;
        }
        Ok(())
    }

    async fn record(
        &self,
        context: &Context,
        observations: Vec<(Id<Line>, Observation)>,
    ) -> Result<(), LedgerError> {
        context
            .ledger
            .record(Recorded { observations, cursor: None, ..Recorded::default() })
            .await
            .map(|_| ())
    }
}
