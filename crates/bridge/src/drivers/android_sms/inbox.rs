//! Reading the phone's inbox.
//!
//! It is sorted by the network's stamps, not by arrival, so no place in it says what is new: a text that waited two days for the
//! phone appears two days back. What is new is found by three reads that overlap: the newest page every few
//! seconds, for a person who waits for an answer; the last day once in a while, for what the newest page has not shown; and all
//! that can be late, at each start, once an hour, and as soon as the period holds more than was seen of it. What was
//! read before is known by the ledger, for ever.

use std::{collections::HashSet, time::Duration};

use switchboard_model::Timestamp;
use tokio::time::Instant;

use super::{
    AndroidSms, AndroidSmsPace,
    api::{ApiError, InboxQuery},
    wire::{InboxItem, Kind},
};
use crate::ledger::now;

/// How late a text can be: networks give up after less.
pub(super) const LATE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// What is read again once in a while.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often all that can be late is read again in any case.
const ALL_EVERY: Duration = Duration::from_secs(60 * 60);
/// The newest page.
const NEWEST: usize = 50;
/// A page of more.
const PAGE: usize = 200;
/// The most pages that are read at once.
const PAGES: usize = 500;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Newest,
    Day,
    All,
}

/// What was seen of the inbox since it was last read as a whole.
#[derive(Default)]
pub(super) struct Seen {
    /// The period that is counted begins here, and stays until the whole is read again.
    from: Option<Timestamp>,
    /// The app's own names of what stands in it.
    ids: HashSet<(Kind, String)>,
    /// Entries that can't be read.
    odd: usize,
    all_at: Option<Instant>,
    day_at: Option<Instant>,
    lacks_some: bool,
}

impl Seen {
    /// What is to be read now.
    pub(super) fn next(&self, pace: &AndroidSmsPace) -> Extent {
        let is_due = |at: Option<Instant>, every| at.is_none_or(|at| at.elapsed() >= every);
        let every = if self.lacks_some { pace.late } else { ALL_EVERY };
        if self.from.is_none() || is_due(self.all_at, every) {
            Extent::All
        } else if is_due(self.day_at, pace.day) {
            Extent::Day
        } else {
            Extent::Newest
        }
    }

    /// Notes a read. `total` is how many stand in the period.
    fn note(&mut self, items: &[InboxItem], total: Option<usize>) -> Vec<InboxItem> {
        let mut new = Vec::new();
        for item in items {
            if self.ids.insert((item.kind, item.id.clone())) {
                new.push(item.clone());
            }
        }
        self.lacks_some = total.is_some_and(|total| total > self.ids.len() + self.odd);
        new
    }

    /// All is to be read again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl AndroidSms {
    /// Reads, the oldest first, what was not seen before. `since` is from when on all is wanted, if that is longer ago
    /// than a text can be late.
    pub(super) async fn read_inbox(
        &self,
        seen: &mut Seen,
        extent: Extent,
        since: Timestamp,
    ) -> Result<Vec<InboxItem>, ApiError> {
        let at = Instant::now();
        let new = match (extent, seen.from) {
            (Extent::All, _) | (_, None) => {
                let from = (now() - LATE).min(since);
                let (items, odd, total) = self.period(from, PAGES).await?;
                *seen = Seen { from: Some(from), odd, all_at: Some(at), ..Seen::default() };
                seen.day_at = Some(at);
                seen.note(&items, total)
            }
            (Extent::Day, Some(_)) => {
                let (items, _, _) = self.period(now() - DAY, PAGES).await?;
                seen.day_at = Some(at);
                seen.note(&items, None)
            }
            (Extent::Newest, Some(from)) => {
                let query = page(from, NEWEST, 0);
                let page = self.api.inbox(&query).await?;
                seen.note(&page.items, page.total)
            }
        };
        Ok(in_order(new))
    }

    /// How many entries the period holds.
    pub(super) async fn count_inbox(&self, from: Timestamp) -> Result<usize, ApiError> {
        let page = self.api.inbox(&page(from, 1, 0)).await?;
        Ok(page.total.unwrap_or(page.count))
    }

    /// All entries of a period, how many can't be read, and how many there are. What comes meanwhile moves others to the next
    /// page, never out of sight.
    async fn period(
        &self,
        from: Timestamp,
        pages: usize,
    ) -> Result<(Vec<InboxItem>, usize, Option<usize>), ApiError> {
        let (mut items, mut odd, mut offset, mut total) = (Vec::new(), 0, 0, None);
        for _ in 0..pages {
            let page = self.api.inbox(&page(from, PAGE, offset)).await?;
            odd += page.count - page.items.len();
            offset += page.count;
            total = page.total;
            items.extend(page.items);
            if page.count < PAGE {
                break;
            }
        }
        Ok((items, odd, total))
    }
}

/// A page of all from this time on, clocks that differ included.
fn page(from: Timestamp, limit: usize, offset: usize) -> InboxQuery {
    InboxQuery { from, to: now() + DAY, limit, offset }
}

/// The oldest first. Of two with one stamp the one that the app has had for longer.
fn in_order(mut items: Vec<InboxItem>) -> Vec<InboxItem> {
    items.reverse();
    items.sort_by_key(|item| item.created_at);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: usize) -> InboxItem {
        let item = serde_json::json!({"id": format!("text:{id}"), "type": "SMS",
            "createdAt": "2026-03-01T09:20:41.000+01:00"});
        serde_json::from_value(item).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_was_seen_is_looked_for_in_the_whole_period() {
        let pace = AndroidSmsPace::default();
        let mut seen = Seen::default();
        assert_eq!(seen.next(&pace), Extent::All);
        seen = Seen { from: Some(Timestamp(0)), ..Seen::default() };
        (seen.all_at, seen.day_at) = (Some(Instant::now()), Some(Instant::now()));
        assert_eq!(seen.note(&[item(1), item(2)], Some(2)).len(), 2);
        tokio::time::advance(pace.late).await;
        assert_eq!(seen.next(&pace), Extent::Newest);
        assert_eq!(seen.note(&[item(2), item(3)], Some(3)).len(), 1);
        assert_eq!(seen.next(&pace), Extent::Newest);
        // One came that the newest page does not show.
        assert_eq!(seen.note(&[item(2), item(3)], Some(4)).len(), 0);
        assert_eq!(seen.next(&pace), Extent::All);
        seen.lacks_some = false;
        tokio::time::advance(pace.day).await;
        assert_eq!(seen.next(&pace), Extent::Day);
        tokio::time::advance(ALL_EVERY).await;
        assert_eq!(seen.next(&pace), Extent::All);
    }
}
