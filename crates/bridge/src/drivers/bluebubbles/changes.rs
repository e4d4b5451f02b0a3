//! What becomes of messages later: edited, taken back, delivered, read, refused, sent as SMS after all. Messages is asked for
//! what has a newer date than the last look; what has none (an error) is asked for by the message's own date.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use switchboard_model::{Line, Timestamp, id::Id};

use super::{
    BlueBubbles,
    observe::Observer,
    query::{apple, that},
    read::{ReadError, Whereabouts},
};
use crate::{
    connector::Context,
    ledger::{Cursor, Observation, Recorded, now},
};

/// The name of its place in the ledger.
const SOURCE: &str = "bluebubbles-changes";
/// How far back each question reaches beyond the last: dates are older than the rows that have them, and the Mac's
/// clock is not ours.
const OVERLAP: Duration = Duration::from_secs(5 * 60);
/// For so long a message may turn out not to have been sent.
const FAILS_WITHIN: Duration = Duration::from_secs(2 * 60 * 60);
/// How often the place is written down.
const WRITTEN_EVERY: Duration = Duration::from_secs(60);
/// The most changes that are remembered.
const REMEMBERED: usize = 20_000;
/// The first macOS that can edit messages.
const EDITS: u32 = 13;

/// What it was asked.
#[derive(Default)]
pub(super) struct Asked {
    /// When it was asked last.
    at: Option<Timestamp>,
    /// The place as it stands in the ledger.
    written: Option<Timestamp>,
    /// Changes that were told, so that the ledger is not asked for each at every look.
    told: HashSet<String>,
    order: VecDeque<String>,
}

impl Asked {
    /// It is not certain that what was told was written down.
    pub(super) fn forget(&mut self) {
        self.told.clear();
        self.order.clear();
    }
}

impl Observer {
    /// Adds a change that was not told by this process.
    pub(super) fn add_new(
        &mut self,
        observations: &mut Vec<(Id<Line>, Observation)>,
        line: Id<Line>,
        change: Observation,
    ) {
        if !self.asked.told.insert(change.key.clone()) {
            return;
        }
        self.asked.order.push_back(change.key.clone());
        if self.asked.order.len() > REMEMBERED
            && let Some(oldest) = self.asked.order.pop_front()
        {
            self.asked.told.remove(&oldest);
        }
        observations.push((line, change));
    }
}

impl BlueBubbles {
    /// Asks for what has changed.
    pub(super) async fn read_changes(
        &self,
        context: &Context,
        observer: &mut Observer,
    ) -> Result<(), ReadError> {
        let asked_at = now();
        let last = match observer.asked.at {
            Some(at) => at,
            None => {
                let known = context.ledger.cursor(SOURCE).await?;
                let known = known.and_then(|cursor| cursor.place.parse().ok()).map(Timestamp);
                observer.asked.written = known;
                known.unwrap_or(asked_at)
            }
        };
        let since = last - OVERLAP;
        let columns: &[&str] = match self.mac.borrow().as_ref() {
            Some(mac) if mac.os.0 >= EDITS || mac.os.0 == 0 => {
                &["date_edited", "date_delivered", "date_read", "date_retracted"]
            }
            _ => &["date_delivered", "date_read"],
        };
        let any: Vec<String> =
            columns.iter().map(|column| format!("message.{column} >= :since")).collect();
        let changed = that(format!("({})", any.join(" OR ")), json!({"since": apple(since)}));
        let failed = [
            that("message.is_from_me = 1", json!({})),
            that(
                "(message.error != 0 OR (message.is_delivered = 1 AND message.date_delivered = 0))",
                json!({}),
            ),
            that("message.date >= :since", json!({"since": apple(since - FAILS_WITHIN)})),
        ];
        let mut rows = self.rows(&[changed], true).await?;
        rows.extend(self.rows(&failed, true).await?);
        let lines = Arc::clone(&context.lines.borrow());
        self.learn_addresses(&lines, &rows).await?;
        let mut observations = Vec::new();
        for row in &rows {
            if !observer.is_told(row, self.pace().told_after) {
                continue;
            }
            let Some(Whereabouts { line, place, is_history: false, .. }) =
                self.whereabouts(context, row).await?
            else {
                continue;
            };
            for change in row.changes(&place.chat, asked_at) {
                observer.add_new(&mut observations, line.id, change);
            }
        }
        self.read_downgraded(context, observer, since - FAILS_WITHIN, &mut observations).await?;
        let is_due = observer.asked.written.is_none_or(|at| asked_at.since(at) >= WRITTEN_EVERY);
        if !observations.is_empty() || is_due {
            let place = asked_at.millis().to_string();
            let cursor = Some((SOURCE, Cursor { identity: String::new(), place }));
            context.ledger.record(Recorded { observations, cursor, ..Recorded::default() }).await?;
            observer.asked.written = Some(asked_at);
        }
        observer.asked.at = Some(asked_at);
        Ok(())
    }

    /// No answer says what a message went over: it is asked for those that went as SMS.
    async fn read_downgraded(
        &self,
        context: &Context,
        observer: &mut Observer,
        since: Timestamp,
        observations: &mut Vec<(Id<Line>, Observation)>,
    ) -> Result<(), ReadError> {
        let went_as_sms = [
            that("message.is_from_me = 1 AND message.was_downgraded = 1", json!({})),
            that("message.date >= :since", json!({"since": apple(since)})),
        ];
        for row in self.rows(&went_as_sms, true).await? {
            if !observer.is_told(&row, self.pace().told_after) {
                continue;
            }
            if let Some(Whereabouts { line, place, is_history: false, .. }) =
                self.whereabouts(context, &row).await?
            {
                observer.add_new(observations, line.id, row.as_downgraded(&place.chat));
            }
        }
        Ok(())
    }
}
