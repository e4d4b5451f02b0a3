//! Where to read on from in Messages, and whether it is still the same database.

use serde_json::json;
use switchboard_model::Timestamp;

use super::{
    Imsg, READ_TIMEOUT,
    rpc::{Page, RpcError},
};
use crate::drivers::watermark::Watermark;

/// Rows before the end that are read at the first start, at least: some may have come since the first line began.
const ROWS_BEFORE: i64 = 1_000;

impl Imsg {
    /// One page after a row.
    pub(super) async fn page(&self, after: i64, limit: i64) -> Result<Page, RpcError> {
        let params = json!({
            "since_rowid": after.max(0), "limit": limit, "attachments": true, "include_reactions": true,
        });
        self.child.ask("messages.after", params, READ_TIMEOUT).await
    }

    /// Where to begin if the first line began then: some way before the end, or, if history was asked for, at the beginning.
    pub(super) async fn first_place(
        &self,
        began: Timestamp,
        with_history: bool,
    ) -> Result<Watermark, RpcError> {
        let row = if with_history { 0 } else { self.row_before(began).await? };
        Ok(Watermark::new(row, began))
    }

    /// A row before those that were written since then.
    pub(super) async fn row_before(&self, began: Timestamp) -> Result<i64, RpcError> {
        let (last, mut back) = (self.last_row().await?, ROWS_BEFORE);
        loop {
            let row = (last - back).max(0);
            let is_before =
                |page: Page| page.messages.first().is_none_or(|one| one.created_at < began);
            // What is older is passed over by its time.
            if row == 0 || is_before(self.page(row, 1).await?) {
                return Ok(row);
            }
            back *= 4;
        }
    }

    /// Adds anchors from all over the database.
    pub(super) async fn spread_anchors(&self, place: &mut Watermark) -> Result<(), RpcError> {
        let mut found = Vec::new();
        for row in Watermark::spread(place.row) {
            let page = self.page(row - 1, 1).await?;
            found.extend(page.messages.into_iter().map(|one| (one.id, one.guid)));
        }
        place.anchor(found);
        Ok(())
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

    /// Whether the database is the one that was read. If so, and if rows are gone at its end, the place is where it ends now.
    pub(super) async fn is_the_same(&self, place: &mut Watermark) -> Result<bool, RpcError> {
        let Some(last) = place.last_anchor() else { return Ok(true) };
        if let Some(guid) = self.at(last).await?
            && place.knows(last, &guid)
        {
            return Ok(true);
        }
        let mut found = Vec::new();
        for row in place.anchors() {
            found.extend(self.at(row).await?.map(|guid| (row, guid)));
        }
        let newest = self.last_row().await?;
        let is_same = place.is_of(&found, newest);
        if is_same {
            place.ends_at(newest);
        }
        Ok(is_same)
    }

    /// The message that stands at a row.
    async fn at(&self, row: i64) -> Result<Option<String>, RpcError> {
        let page = self.page(row - 1, 1).await?;
        Ok(page.messages.into_iter().next().filter(|found| found.id == row).map(|found| found.guid))
    }
}
