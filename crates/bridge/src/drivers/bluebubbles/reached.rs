//! Where to read on from in Messages, and whether it is still the same database.

use serde_json::json;
use switchboard_model::Timestamp;
use tracing::warn;

use super::{
    BlueBubbles,
    api::ApiError,
    query::{apple, that},
    wire::Row,
};
use crate::drivers::watermark::Watermark;

/// The most own rows that may wait until it is known whose they are.
pub(super) const MAX_WAITING: usize = 500;

/// The database as it is found.
pub(super) struct Found {
    /// Its newest row.
    pub(super) newest: i64,
    /// Where to read on from.
    pub(super) reached: Watermark,
    /// It is not the one that was read.
    pub(super) is_another: bool,
}

impl BlueBubbles {
    /// The newest row that there is, and where to read on from; in a database that was never read for lines of which the
    /// first began then.
    pub(super) async fn look_at_database(
        &self,
        known: Option<Watermark>,
        began: Timestamp,
        unreadable: &[i64],
    ) -> Result<Found, ApiError> {
        let anchors = known.as_ref().map(Watermark::anchors).unwrap_or_default();
        let (found, newest) = self.anchors_and_newest(&anchors, unreadable, known.as_ref()).await?;
        let Some(mut known) = known else {
            let row = self.row_before(began, newest).await?;
            return Ok(Found { newest, reached: Watermark::new(row, began), is_another: true });
        };
        let found: Vec<(i64, String)> = found.into_iter().map(|row| (row.row, row.guid)).collect();
        if known.is_of(&found, newest) {
            known.ends_at(unreadable.iter().copied().fold(newest, i64::max));
            return Ok(Found { newest, reached: known, is_another: false });
        }
        warn!("another database stands where Messages' was: what is new in it is read");
        self.chats.forget();
        self.addressed.forget();
        let row = self.row_before(known.since_in_another(), newest).await?;
        Ok(Found { newest, reached: known.in_another(row), is_another: true })
    }

    /// Adds anchors from all over the database. It goes without them too.
    pub(super) async fn spread_anchors(&self, reached: &mut Watermark) {
        let rows = Watermark::spread(reached.row);
        let nearest = "(SELECT MAX(m.ROWID) FROM message m WHERE m.ROWID <= :row";
        let all: Vec<String> = (0..rows.len()).map(|nth| format!("{nearest}{nth})")).collect();
        let mut args = json!({});
        for (nth, row) in rows.iter().enumerate() {
            args[format!("row{nth}")] = json!(row);
        }
        if rows.is_empty() {
            return;
        }
        let which = that(format!("message.ROWID IN ({})", all.join(", ")), args);
        if let Ok(found) = self.rows(&[which], false).await {
            reached.anchor(found.into_iter().map(|row| (row.row, row.guid)));
        }
    }

    async fn anchors_and_newest(
        &self,
        anchors: &[i64],
        unreadable: &[i64],
        known: Option<&Watermark>,
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
    pub(super) async fn row_before(&self, since: Timestamp, newest: i64) -> Result<i64, ApiError> {
        let first = that(
            "message.ROWID = (SELECT MIN(m.ROWID) FROM message m WHERE m.date >= :since)",
            json!({"since": apple(since)}),
        );
        let found = self.rows(&[first], false).await?;
        Ok(found.first().map_or(newest, |row| row.row - 1))
    }
}
