//! How far Messages was read, and whether it is still the same database.

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_model::Timestamp;

use super::{
    Imsg, READ_TIMEOUT,
    rpc::{Page, RpcError},
};
use crate::{connector::Context, ledger::Cursor};

/// Rows before the end that are read at the first start: some may have come between that start and the look for the end.
const ROWS_BEFORE: i64 = 1_000;
/// Messages by which a database is known again.
const ANCHORS: usize = 5;

/// How far it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The last row that was read.
    pub(super) row: i64,
    /// From when on something counts that is seen for the first time.
    pub(super) since: Timestamp,
    /// When the newest that was read was written.
    pub(super) latest: Timestamp,
    #[serde(skip)]
    pub(super) anchors: Vec<(i64, String)>,
}

impl Place {
    pub(super) fn of(cursor: &Cursor) -> Option<Self> {
        let place: Self = serde_json::from_str(&cursor.place).ok()?;
        let anchors = serde_json::from_str(&cursor.identity).unwrap_or_default();
        Some(Self { anchors, ..place })
    }

    pub(super) fn cursor(&self) -> Cursor {
        Cursor { identity: json!(self.anchors).to_string(), place: json!(self).to_string() }
    }

    pub(super) fn passed(&mut self, row: i64, guid: &str, written: Timestamp) {
        self.anchors.push((row, guid.to_owned()));
        if self.anchors.len() > ANCHORS {
            self.anchors.remove(0);
        }
        self.row = self.row.max(row);
        // One that says it comes from the future must not make history of all that follows.
        self.latest = self.latest.max(written.min(crate::ledger::now()));
    }
}

impl Imsg {
    /// One page after a row.
    pub(super) async fn page(&self, after: i64, limit: i64) -> Result<Page, RpcError> {
        let params = json!({
            "since_rowid": after.max(0), "limit": limit, "attachments": true, "include_reactions": true,
        });
        self.child.ask("messages.after", params, READ_TIMEOUT).await
    }

    /// Where to begin: at the end, or, if an earlier time is asked for, at the beginning.
    pub(super) async fn first_place(&self, context: &Context) -> Result<Place, RpcError> {
        let now = crate::ledger::now();
        let row = match now.since(context.start) > std::time::Duration::from_secs(60) {
            true => 0,
            // What is older than the start is passed over by its time.
            false => (self.last_row().await? - ROWS_BEFORE).max(0),
        };
        Ok(Place { row, since: context.start, latest: context.start, anchors: Vec::new() })
    }

    /// The last row. There is no call for it: the rows after a number are asked for, until there is none.
    async fn last_row(&self) -> Result<i64, RpcError> {
        let next = async |after: i64| {
            self.page(after, 1).await.map(|page| page.messages.first().map(|row| row.id))
        };
        let (mut there, mut step) = (0, 1);
        // Ever larger steps, as long as there is something behind.
        while let Some(row) = next(there + step).await? {
            there = row;
            step *= 2;
        }
        // Nothing is behind `there + step`.
        let mut nothing_after = there + step;
        while nothing_after > there {
            let middle = there + (nothing_after - there) / 2;
            match next(middle).await? {
                Some(row) => there = row,
                None => nothing_after = middle,
            }
        }
        Ok(there)
    }

    /// Whether the database is the one that was read: one of its messages that are known stands where it stood.
    pub(super) async fn is_the_same(&self, place: &Place) -> Result<bool, RpcError> {
        if place.anchors.is_empty() {
            return Ok(true);
        }
        for (row, guid) in place.anchors.iter().rev() {
            let found = self.page(row - 1, 1).await?;
            if found.messages.first().is_some_and(|found| found.id == *row && found.guid == *guid) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
