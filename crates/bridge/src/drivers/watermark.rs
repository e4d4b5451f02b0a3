//! How far a Mac's database of messages was read, whether it is still the same one, and what in it is history. No I/O.
//!
//! History is what was written before its line began, and nothing else: what comes later than newer messages, as after a Mac
//! was off, is late and no history, however late it is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_model::{Timestamp, link::CarriedLine, throttle::Throttle};
use tracing::info;

use crate::ledger::{Beginning, Beginnings, Cursor, now};

/// Messages by which a database is known again.
const ANCHORS: usize = 16;
/// How many of them are taken from all over the database at once.
const SPREAD: i64 = 8;
/// How much of the past is read again in a database that was put in another's place.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is said that history is passed over.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// How far back a database is to be read again.
pub(super) struct GoBack {
    /// From when on.
    pub(super) began: Timestamp,
    given: Timestamp,
}

/// How far a database was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watermark {
    /// The last row that was read.
    pub(super) row: i64,
    /// From when on a message counts, whatever its line.
    since: Timestamp,
    /// When the newest that was read was written.
    latest: Timestamp,
    /// Own rows up to there of which it is not known whose they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) waiting: Vec<i64>,
    /// Lines that were given by then and began before have been read from where they began.
    #[serde(default)]
    given: Timestamp,
    /// Messages by their row, oldest first: old ones among them, for people delete what is new.
    #[serde(skip)]
    anchors: Vec<(i64, String)>,
}

impl Watermark {
    /// At this row of a database that was never read, for lines of which the first began then.
    pub(super) fn new(row: i64, began: Timestamp) -> Self {
        let (waiting, anchors) = (Vec::new(), Vec::new());
        Self { row, since: began, latest: began, waiting, given: Timestamp(0), anchors }
    }

    /// When the first of the lines began that have been given since, if that was before they were: what was passed over as
    /// nobody's may be theirs.
    pub(super) fn must_go_back(
        &self,
        beginnings: &Beginnings,
        lines: &[CarriedLine],
    ) -> Option<GoBack> {
        let (began, given) = beginnings.before_given(lines, self.given)?;
        Some(GoBack { began, given })
    }

    /// Goes back to this row, where the lines began. What is read again is observed once.
    pub(super) fn go_back(&mut self, to: &GoBack, row: i64) {
        self.ends_at(row);
        self.waiting.retain(|row| *row <= self.row);
        self.given = to.given;
    }

    /// As it stands in the ledger.
    pub(super) fn of(cursor: &Cursor) -> Option<Self> {
        let known: Self = serde_json::from_str(&cursor.place).ok()?;
        let anchors = serde_json::from_str(&cursor.identity).unwrap_or_default();
        let now = now();
        // Earlier versions have believed rows that say that they come from the future.
        let (since, latest) = (known.since.min(now), known.latest.min(now));
        Some(Self { since, latest, anchors, ..known })
    }

    pub(super) fn cursor(&self) -> Cursor {
        Cursor { identity: json!(self.anchors).to_string(), place: json!(self).to_string() }
    }

    /// A row was read.
    pub(super) fn passed(&mut self, row: i64, guid: &str, written: Timestamp) {
        self.row = self.row.max(row);
        self.latest = self.latest.max(written.min(now()));
        self.anchors.push((row, guid.to_owned()));
        self.thin_out();
    }

    /// Whether a message of a line that began then is history.
    pub(super) fn is_history(&self, written: Timestamp, began: impl Into<Beginning>) -> bool {
        match began.into() {
            // Until then the database may have been read for other lines only.
            Beginning { at, given: Some(given) } if written < given => written < at,
            Beginning { at, .. } => written < self.since.max(at),
        }
    }

    /// Whether it is, whichever of these lines it is of.
    pub(super) fn is_history_of_all(
        &self,
        written: Timestamp,
        beginnings: &Beginnings,
        lines: &[CarriedLine],
    ) -> bool {
        lines.iter().all(|line| self.is_history(written, beginnings.of(line.id)))
    }

    /// Rows up to this one, from all over the database, that are worth to be anchors.
    pub(super) fn spread(newest: i64) -> Vec<i64> {
        let mut rows: Vec<i64> = (1..=SPREAD).map(|nth| newest / SPREAD * nth).collect();
        rows.retain(|row| *row > 0);
        rows
    }

    /// Takes these for anchors too, if they were read.
    pub(super) fn anchor(&mut self, rows: impl IntoIterator<Item = (i64, String)>) {
        let newest = self.row;
        self.anchors.extend(rows.into_iter().filter(|(row, _)| *row <= newest));
        self.anchors.sort();
        self.anchors.dedup_by_key(|(row, _)| *row);
        self.thin_out();
    }

    /// Every other of the older ones goes, so that some stay that nobody has deleted of late.
    fn thin_out(&mut self) {
        while self.anchors.len() > ANCHORS {
            let mut nth = 0;
            let newest = self.anchors.len() - ANCHORS / 4;
            self.anchors.retain(|_| {
                nth += 1;
                nth > newest || nth % 2 == 1
            });
        }
    }

    /// The rows of the anchors.
    pub(super) fn anchors(&self) -> Vec<i64> {
        self.anchors.iter().map(|(row, _)| *row).collect()
    }

    /// The newest row of which it is known which message stands there.
    pub(super) fn last_anchor(&self) -> Option<i64> {
        self.anchors.last().map(|(row, _)| *row)
    }

    /// Whether this message stands where it stood.
    pub(super) fn knows(&self, row: i64, guid: &str) -> bool {
        self.anchors.iter().any(|(known, of)| *known == row && of == guid)
    }

    /// Whether it is still the database that was read, by the messages that were found at the anchors' rows, and by its
    /// newest row. Rows are never numbered twice, so what is missing was deleted.
    pub(super) fn is_of(&self, found: &[(i64, String)], newest: i64) -> bool {
        let Some(last) = self.last_anchor() else { return true };
        if found.iter().any(|(row, guid)| *row == last && self.knows(*row, guid)) {
            return true;
        }
        let mut is_known = false;
        for (row, guid) in found.iter().filter(|(row, _)| self.anchors().contains(row)) {
            if !self.knows(*row, guid) {
                return false;
            }
            is_known = true;
        }
        is_known || newest >= self.row
    }

    /// It ends here now: the rows behind were deleted, or the database was put back to what it was, and will number others so.
    pub(super) fn ends_at(&mut self, newest: i64) {
        self.row = self.row.min(newest);
        self.anchors.retain(|(row, _)| *row <= newest);
    }

    /// At this row of another database, that stands in the place of the one that was read.
    pub(super) fn in_another(&self, row: i64) -> Self {
        Self {
            row,
            since: self.since_in_another(),
            latest: self.latest,
            given: self.given,
            ..Self::new(row, self.since)
        }
    }

    /// From when on a message of it counts.
    pub(super) fn since_in_another(&self) -> Timestamp {
        self.since.max(self.latest.min(now()) - OVERLAP)
    }
}

/// Counts what is passed over as history, and says so now and then.
pub(super) struct PassedOver {
    count: AtomicU64,
    said: Throttle,
}

impl PassedOver {
    pub(super) fn new() -> Self {
        Self { count: AtomicU64::new(0), said: Throttle::new(SAID_EVERY) }
    }

    /// A message was passed over.
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Says how many, if there were any and it is time to.
    pub(super) fn say(&self) {
        if self.count.load(Ordering::Relaxed) > 0 && self.said.pass(Instant::now()).is_some() {
            let count = self.count.swap(0, Ordering::Relaxed);
            info!(count, "messages of before their line began are passed over as history");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn at(row: i64, anchors: &[(i64, &str)]) -> Watermark {
        let mut watermark = Watermark::new(row, Timestamp(0));
        watermark.anchor(found(anchors));
        watermark
    }

    fn found(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
        rows.iter().map(|(row, guid)| (*row, (*guid).to_owned())).collect()
    }

    #[test]
    fn a_row_from_the_future_makes_no_history_of_what_follows() {
        let now = now();
        let mut watermark = Watermark::new(0, now - HOUR);
        watermark.passed(1, "a", now + HOUR * 72);
        assert!(!watermark.is_history(now, now - HOUR));
        assert!(watermark.since_in_another() <= now);
        // As an earlier version has written it down.
        let far = (now + HOUR * 72).0;
        let place = format!(r#"{{"row":7,"since":{far},"latest":{far},"waiting":[6]}}"#);
        let known = Watermark::of(&Cursor { identity: r#"[[7,"g"]]"#.to_owned(), place }).unwrap();
        assert!(!known.is_history(now + HOUR, Timestamp(0)));
        assert_eq!((known.row, &*known.waiting, known.knows(7, "g")), (7, &[6][..], true));
    }

    #[test]
    fn only_what_was_written_before_its_line_is_history() {
        let now = now();
        let mut watermark = Watermark::new(0, now - HOUR * 240);
        watermark.passed(1, "today", now);
        assert!(!watermark.is_history(now - HOUR * 48, now - HOUR * 240), "it is late");
        assert!(watermark.is_history(now - HOUR * 48, now - HOUR), "the line is younger");
        assert!(watermark.is_history(now - HOUR * 241, Timestamp(0)), "it is older than the first");
        let another = watermark.in_another(0);
        assert!(another.is_history(now - HOUR * 48, Timestamp(0)), "it was read in the other one");
        assert!(!another.is_history(now - HOUR, Timestamp(0)));
    }

    #[test]
    fn cursors_of_before_are_understood() {
        // imsg's had five anchors and nothing that waits.
        let place = r#"{"row":9,"since":5,"latest":8}"#.to_owned();
        let identity = r#"[[8,"h"],[9,"i"]]"#.to_owned();
        let known = Watermark::of(&Cursor { identity, place }).unwrap();
        assert_eq!((known.row, known.anchors()), (9, vec![8, 9]));
        assert!(known.is_history(Timestamp(4), Timestamp(0)));
        assert_eq!(Watermark::of(&known.cursor()), Some(known));
    }

    #[test]
    fn a_database_is_known_by_its_messages() {
        let known = at(9, &[(3, "c"), (8, "h"), (9, "i")]);
        let is = |rows: &[(i64, &str)], newest| known.is_of(&found(rows), newest);
        assert!(is(&[(3, "c"), (9, "i")], 9));
        assert!(is(&[(3, "c")], 3), "the newest were deleted");
        assert!(is(&[], 12), "all of them were deleted");
        assert!(!is(&[(3, "x")], 12));
        assert!(!is(&[(3, "c"), (9, "x")], 12), "it was put back to what it was before");
        assert!(!is(&[], 2));
        assert!(at(0, &[]).is_of(&[], 0));
    }

    #[test]
    fn where_rows_are_gone_at_the_end_what_comes_there_is_new() {
        let mut known = at(9, &[(3, "c"), (9, "i")]);
        known.ends_at(5);
        assert_eq!((known.row, known.anchors()), (5, vec![3]));
        known.ends_at(7);
        assert_eq!(known.row, 5);
    }

    #[test]
    fn some_anchors_are_old() {
        let mut watermark = at(0, &[]);
        for n in 1..=10_000 {
            watermark.passed(n, "g", Timestamp(n));
        }
        assert!(watermark.anchors.len() <= ANCHORS);
        assert!(watermark.anchors.iter().any(|(row, _)| *row < 5_000));
        assert_eq!(watermark.last_anchor(), Some(10_000));
        // From the beginning, where none are.
        let mut watermark = at(20_000, &[]);
        let rows = Watermark::spread(20_000);
        watermark.anchor(rows.iter().map(|row| (*row, "g".to_owned())));
        assert_eq!(watermark.anchors(), rows);
        watermark.anchor([(20_001, "not read".to_owned())]);
        assert_eq!(watermark.last_anchor(), Some(20_000));
    }
}
