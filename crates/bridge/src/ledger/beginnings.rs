//! When each line began on this bridge: what Messages had before is history to it.
//!
//! A line begins when its bridge is first given it. One that another bridge had begins where the server knows of all that came:
//! what came since nobody may have told.

use std::collections::BTreeMap;

use switchboard_model::{Line, Timestamp, id::Id, link::CarriedLine};

use super::{Cursor, Ledger, Result, first, sources};

/// The name under which they stand among the sources.
const NAME: &str = "lines";

/// When a line began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// From when on its messages count.
    pub at: Timestamp,
    /// When it was given to this bridge, if it began before that.
    pub given: Option<Timestamp>,
}

impl Beginning {
    /// Whether another bridge had the line when this was written.
    pub fn was_given_after(&self, written: Timestamp) -> bool {
        self.given.is_some_and(|given| written < given)
    }
}

impl From<Timestamp> for Beginning {
    fn from(at: Timestamp) -> Self {
        Self { at, given: None }
    }
}

/// When lines began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginnings {
    began: BTreeMap<String, i64>,
    /// When those were given that began before that.
    given: BTreeMap<String, i64>,
}

impl Beginnings {
    /// When this line began; at the end of time if it never did.
    pub fn of(&self, line: Id<Line>) -> Beginning {
        let line = line.to_string();
        let at = Timestamp(self.began.get(&line).copied().unwrap_or(i64::MAX));
        Beginning { at, given: self.given.get(&line).copied().map(Timestamp) }
    }

    /// Whether all of these began, as far as this was read.
    pub fn has(&self, lines: &[CarriedLine]) -> bool {
        lines.iter().all(|line| self.began.contains_key(&line.id.to_string()))
    }

    /// When the first of these lines began.
    pub fn first_of(&self, lines: &[CarriedLine]) -> Timestamp {
        lines.iter().map(|line| self.of(line.id).at).min().unwrap_or(Timestamp(i64::MAX))
    }

    /// Of the lines that were given after this and began before they were: when the first of them began, and when the last
    /// was given.
    pub fn before_given(
        &self,
        lines: &[CarriedLine],
        after: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        let beginnings = lines.iter().map(|line| self.of(line.id));
        let new = beginnings.filter_map(|one| Some((one.at, one.given.filter(|at| *at > after)?)));
        new.reduce(|(at, given), (other, later)| (at.min(other), given.max(later)))
    }

    /// Whether one of them lies in the future: the clock was wrong.
    pub fn are_ahead(&self, now: Timestamp) -> bool {
        self.began.values().chain(self.given.values()).any(|at| *at > now.0)
    }

    /// What began in the future has begun now. With the clock set right, all until then would be history.
    fn end_at(&mut self, now: Timestamp) {
        for at in self.began.values_mut().chain(self.given.values_mut()) {
            *at = (*at).min(now.0);
        }
    }

    fn begin(&mut self, line: &CarriedLine, at: Timestamp, now: Timestamp) {
        let name = line.id.to_string();
        if self.began.contains_key(&name) {
            return;
        }
        let at = match line.since {
            Some(since) if since < at => {
                self.given.insert(name.clone(), now.0);
                since
            }
            _ => at,
        };
        self.began.insert(name, at.0);
    }

    fn read(cursor: &Cursor) -> Result<Self> {
        // Of earlier versions there is no second part.
        let given = serde_json::from_str(&cursor.identity).unwrap_or_default();
        Ok(Self { began: serde_json::from_str(&cursor.place)?, given })
    }

    fn cursor(&self) -> Result<Cursor> {
        let place = serde_json::to_string(&self.began)?;
        Ok(Cursor { identity: serde_json::to_string(&self.given)?, place })
    }
}

impl Ledger {
    /// Lines that this ledger never had begin now, or where the server says that it may lack what came; the very first ones
    /// at `since`, if that is given and earlier. Answers when each line began.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError), and none has begun.
    pub async fn begin_lines(
        &self,
        lines: Vec<CarriedLine>,
        now: Timestamp,
        since: Option<Timestamp>,
    ) -> Result<Beginnings> {
        self.transact(move |tx| {
            let (mut all, at) = match sources::find(tx, NAME)? {
                Some(known) => (Beginnings::read(&known)?, now),
                None => {
                    let sql = "select 1 from sources limit 1";
                    // A ledger of before this was noted: its lines began with their source.
                    let is_older = first(tx, sql, [], |_| Ok(()))?.is_some();
                    let at = if is_older { Timestamp(0) } else { since.unwrap_or(now).min(now) };
                    (Beginnings::default(), at)
                }
            };
            let before = all.clone();
            all.end_at(now);
            for line in &lines {
                all.begin(line, at, now);
            }
            if all != before {
                sources::set(tx, NAME, &all.cursor()?)?;
            }
            Ok(all)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use switchboard_model::Handle;

    use super::*;

    fn line(since: Option<i64>) -> CarriedLine {
        CarriedLine {
            id: Id::generate(),
            handle: Handle::received("+15550999999"),
            service: Default::default(),
            position: None,
            role: Default::default(),
            since: since.map(Timestamp),
        }
    }

    fn at(at: i64) -> Beginning {
        Timestamp(at).into()
    }

    async fn begin(
        ledger: &Ledger,
        lines: &[&CarriedLine],
        now: i64,
        since: Option<i64>,
    ) -> Beginnings {
        let lines = lines.iter().map(|line| (*line).clone()).collect();
        ledger.begin_lines(lines, Timestamp(now), since.map(Timestamp)).await.unwrap()
    }

    #[tokio::test]
    async fn a_line_begins_when_it_is_first_given_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let (one, two) = (line(None), line(None));
        // Without a line nothing begins, however long the bridge runs.
        assert_eq!(begin(&ledger, &[], 10, Some(1)).await, Beginnings::default());
        let began = begin(&ledger, &[&one], 20, Some(1)).await;
        assert_eq!(began.of(one.id), at(1), "the first may have asked for what was before");
        assert_eq!(began.of(two.id), at(i64::MAX));
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        let began = begin(&ledger, &[&one, &two], 30, Some(1)).await;
        assert_eq!((began.of(one.id), began.of(two.id)), (at(1), at(30)));
    }

    #[tokio::test]
    async fn one_that_another_bridge_had_begins_where_the_server_knows_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let (had, new, ahead) = (line(Some(7)), line(None), line(Some(99)));
        let began = begin(&ledger, &[&had, &new, &ahead], 20, None).await;
        let early = Beginning { at: Timestamp(7), given: Some(Timestamp(20)) };
        assert_eq!((began.of(had.id), began.of(new.id)), (early, at(20)));
        assert_eq!(began.of(ahead.id), at(20));
        let all = [had.clone(), new, ahead];
        assert_eq!(began.before_given(&all, Timestamp(0)), Some((Timestamp(7), Timestamp(20))));
        assert_eq!(began.before_given(&all, Timestamp(20)), None);
        drop(ledger);
        // However far the server knows later.
        let ledger = Ledger::open(dir.path()).unwrap();
        let later = CarriedLine { since: Some(Timestamp(3)), ..had.clone() };
        assert_eq!(begin(&ledger, &[&later], 30, None).await.of(had.id), early);
    }

    #[tokio::test]
    async fn one_that_began_in_the_future_has_begun_once_the_clock_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let (one, asked) = (line(None), Some(900));
        assert_eq!(begin(&ledger, &[&one], 500, asked).await.of(one.id), at(500));
        let began = begin(&ledger, &[&one], 100, asked).await;
        assert!(!began.are_ahead(Timestamp(100)) && began.are_ahead(Timestamp(99)));
        assert_eq!(begin(&ledger, &[&one], 200, asked).await.of(one.id), at(100));
    }

    #[tokio::test]
    async fn in_a_ledger_of_before_lines_began_with_their_source() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let cursor = Cursor { identity: String::new(), place: "1".to_owned() };
        ledger.pass_over(Vec::new(), Some(("source", cursor))).await.unwrap();
        let (old, new) = (line(Some(9)), line(None));
        assert_eq!(begin(&ledger, &[&old], 20, None).await.of(old.id), at(0));
        let began = begin(&ledger, &[&old, &new], 30, None).await;
        assert_eq!((began.of(old.id), began.of(new.id)), (at(0), at(30)));
    }

    #[tokio::test]
    async fn those_that_an_earlier_version_has_noted_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, one) = (Ledger::open(dir.path()).unwrap(), line(Some(3)));
        let place = format!(r#"{{"{}":17}}"#, one.id);
        let cursor = Cursor { identity: String::new(), place };
        ledger.pass_over(Vec::new(), Some((NAME, cursor))).await.unwrap();
        assert_eq!(begin(&ledger, &[&one], 30, None).await.of(one.id), at(17));
    }
}
