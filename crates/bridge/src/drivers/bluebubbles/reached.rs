//! How far Messages was read, and whether it is still the same database.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_model::Timestamp;
use tracing::warn;

use super::{
    BlueBubbles,
    api::ApiError,
    query::{apple, that},
    wire::Row,
};
use crate::ledger::Cursor;

/// Messages by which a database is known again.
const ANCHORS: usize = 16;
/// The most own rows that may wait until it is known whose they are.
pub(super) const MAX_WAITING: usize = 500;
/// How much of the past is read again in a database that was put in another's place.
const OVERLAP: Duration = Duration::from_secs(60 * 60);
/// How much older than the newest message one may be that is no history. Phones that were off send late.
const LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// How far it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The last row that was read.
    pub(super) row: i64,
    /// From when on a message counts.
    pub(super) since: Timestamp,
    /// When the newest that was read was written.
    pub(super) latest: Timestamp,
    /// Own rows up to there of which it is not known whose they are.
    #[serde(default)]
    pub(super) waiting: Vec<i64>,
    /// Messages, oldest first, by which the database is known again.
    #[serde(skip)]
    pub(super) anchors: Vec<(i64, String)>,
}

/// Which database stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    Same,
    Another,
}

impl Reached {
    pub(super) fn of(cursor: &Cursor) -> Option<Self> {
        let reached: Self = serde_json::from_str(&cursor.place).ok()?;
        let anchors = serde_json::from_str(&cursor.identity).unwrap_or_default();
        Some(Self { anchors, ..reached })
    }

    pub(super) fn cursor(&self) -> Cursor {
        Cursor { identity: json!(self.anchors).to_string(), place: json!(self).to_string() }
    }

    /// A row was read.
    pub(super) fn passed(&mut self, row: &Row) {
        self.row = self.row.max(row.row);
        self.latest = self.latest.max(row.created());
        self.anchors.push((row.row, row.guid.clone()));
        if self.anchors.len() > ANCHORS {
            // Every other of the older ones goes, so that some stay that nobody has deleted of late.
            let mut nth = 0;
            let newest = self.anchors.len() - ANCHORS / 4;
            self.anchors.retain(|_| {
                nth += 1;
                nth > newest || nth % 2 == 1
            });
        }
    }

    /// Whether a message is history: it was written before the line was carried, or came long after newer ones, as the
    /// cloud fills a Mac's past.
    pub(super) fn is_history(&self, row: &Row, latest: Timestamp) -> bool {
        row.created() < self.since || row.created() < latest - LATE
    }

    fn identity(&self, found: &[Row], newest: i64) -> Identity {
        let mut known = false;
        for (row, guid) in &self.anchors {
            match found.iter().find(|one| one.row == *row) {
                Some(one) if one.guid != *guid => return Identity::Another,
                Some(_) => known = true,
                // It was deleted.
                None => {}
            }
        }
        if known || self.anchors.is_empty() || newest >= self.row {
            Identity::Same
        } else {
            Identity::Another
        }
    }
}

impl BlueBubbles {
    /// The newest row that there is, and where to read on from.
    pub(super) async fn look_at_database(
        &self,
        known: Option<Reached>,
        start: Timestamp,
        unreadable: &[i64],
    ) -> Result<(i64, Reached), ApiError> {
        let anchors = known.as_ref().map(|known| &*known.anchors).unwrap_or_default();
        let anchors: Vec<i64> = anchors.iter().map(|(row, _)| *row).collect();
        let (found, newest) = self.anchors_and_newest(&anchors, unreadable, known.as_ref()).await?;
        let Some(known) = known else {
            let row = self.row_before(start, newest).await?;
            let anchors = found.iter().map(|row| (row.row, row.guid.clone())).collect();
            let reached =
                Reached { row, since: start, latest: start, waiting: Vec::new(), anchors };
            return Ok((newest, reached));
        };
        if known.identity(&found, newest) == Identity::Same {
            return Ok((newest, known));
        }
        warn!("another database stands where Messages' was: what is new in it is read");
        self.chats.forget();
        let since = known.since.max(known.latest - OVERLAP);
        let row = self.row_before(since, newest).await?;
        let latest = known.latest;
        Ok((newest, Reached { row, since, latest, waiting: Vec::new(), anchors: Vec::new() }))
    }

    async fn anchors_and_newest(
        &self,
        anchors: &[i64],
        unreadable: &[i64],
        known: Option<&Reached>,
    ) -> Result<(Vec<Row>, i64), ApiError> {
        let newest = match unreadable {
            [] => "message.ROWID = (SELECT MAX(m.ROWID) FROM message m)",
            _ => {
                "message.ROWID = (SELECT MAX(m.ROWID) FROM message m WHERE m.ROWID NOT IN (:...bad))"
            }
        };
        let mut args = json!({});
        if !unreadable.is_empty() {
            args["bad"] = json!(unreadable);
        }
        let statement = if anchors.is_empty() {
            newest.to_owned()
        } else {
            args["anchors"] = json!(anchors);
            format!("(message.ROWID IN (:...anchors) OR {newest})")
        };
        let error = match self.rows(&[that(statement, args)], false).await {
            Ok(found) => {
                let newest = found.iter().map(|row| row.row).max().unwrap_or(0);
                return Ok((found, newest));
            }
            Err(error) => error,
        };
        // Is it the database, or one row of it that the server can't show?
        let ApiError::Refused(refused) = &error else { return Err(error) };
        if refused.status != 500
            || self.rows(&[that("message.ROWID = -1", json!({}))], false).await.is_err()
        {
            return Err(error);
        }
        let newest = self.newest_by_count(known.map_or(0, |known| known.row)).await?;
        Ok((Vec::new(), newest))
    }

    /// The newest row by nothing but counting.
    async fn newest_by_count(&self, from: i64) -> Result<i64, ApiError> {
        let behind = async |row: i64| {
            let rest = that("message.ROWID > :row", json!({"row": row}));
            self.count(&[rest]).await.map(|count| count > 0)
        };
        let (mut there, mut step) = (from, 1);
        while behind(there + step - 1).await? {
            there += step;
            step *= 2;
        }
        let mut beyond = there + step;
        while beyond > there + 1 {
            let middle = there + (beyond - there) / 2;
            if behind(middle - 1).await? { there = middle } else { beyond = middle }
        }
        Ok(there)
    }

    /// The row before the first that was written since then.
    async fn row_before(&self, since: Timestamp, newest: i64) -> Result<i64, ApiError> {
        let first = that(
            "message.ROWID = (SELECT MIN(m.ROWID) FROM message m WHERE m.date >= :since)",
            json!({"since": apple(since)}),
        );
        let found = self.rows(&[first], false).await?;
        Ok(found.first().map_or(newest, |row| row.row - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: i64, guid: &str, at: i64) -> Row {
        let row = json!({"originalROWID": row, "guid": guid, "dateCreated": at});
        serde_json::from_value(row).unwrap()
    }

    fn reached(row: i64, anchors: &[(i64, &str)]) -> Reached {
        let (since, latest) = (Timestamp(0), Timestamp(0));
        let anchors = anchors.iter().map(|(row, guid)| (*row, (*guid).to_owned())).collect();
        Reached { row, since, latest, waiting: Vec::new(), anchors }
    }

    #[test]
    fn a_database_is_known_by_its_messages() {
        let known = reached(9, &[(3, "c"), (9, "i")]);
        let is = |found: &[Row], newest| known.identity(found, newest);
        assert_eq!(is(&[row(3, "c", 0), row(9, "i", 0)], 9), Identity::Same);
        assert_eq!(is(&[row(3, "c", 0)], 3), Identity::Same, "the newest were deleted");
        assert_eq!(is(&[], 12), Identity::Same, "all of them were deleted");
        assert_eq!(is(&[row(3, "x", 0)], 12), Identity::Another);
        assert_eq!(is(&[], 2), Identity::Another);
        assert_eq!(reached(0, &[]).identity(&[], 0), Identity::Same);
    }

    #[test]
    fn some_anchors_are_old() {
        let mut reached = reached(0, &[]);
        for n in 1..=10_000 {
            reached.passed(&row(n, "g", n));
        }
        assert!(reached.anchors.len() <= ANCHORS);
        assert!(reached.anchors.iter().any(|(row, _)| *row < 5_000));
        assert_eq!(reached.anchors.last().unwrap().0, 10_000);
    }

    #[test]
    fn what_comes_long_after_newer_messages_is_history() {
        let day = 24 * 60 * 60 * 1000;
        let reached = Reached { since: Timestamp(5 * day), ..reached(0, &[]) };
        let is = |at: i64| reached.is_history(&row(1, "g", at), Timestamp(9 * day));
        assert!(is(4 * day) && is(7 * day));
        assert!(!is(8 * day + 1) && !is(10 * day));
    }
}
