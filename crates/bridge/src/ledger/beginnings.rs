//! When each line began on this bridge: what Messages had before is history to it.

use std::collections::BTreeMap;

use switchboard_model::{Line, Timestamp, id::Id, link::CarriedLine};

use super::{Cursor, Ledger, Result, first, sources};

/// The name under which they stand among the sources.
const NAME: &str = "lines";

/// When lines began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginnings(BTreeMap<String, i64>);

impl Beginnings {
    /// When this line began; at the end of time if it never did.
    pub fn of(&self, line: Id<Line>) -> Timestamp {
        Timestamp(self.0.get(&line.to_string()).copied().unwrap_or(i64::MAX))
    }

    /// Whether all of these began, as far as this was read.
    pub fn has(&self, lines: &[CarriedLine]) -> bool {
        lines.iter().all(|line| self.0.contains_key(&line.id.to_string()))
    }

    /// When the first of these lines began.
    pub fn first_of(&self, lines: &[CarriedLine]) -> Timestamp {
        lines.iter().map(|line| self.of(line.id)).min().unwrap_or(Timestamp(i64::MAX))
    }
}

impl Ledger {
    /// Lines that this ledger never had begin now; the very first ones at `since`, if that is given. Answers when each line
    /// began.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError), and none has begun.
    pub async fn begin_lines(
        &self,
        lines: Vec<Id<Line>>,
        now: Timestamp,
        since: Option<Timestamp>,
    ) -> Result<Beginnings> {
        self.transact(move |tx| {
            let sql = "select cursor from sources where name = ?1";
            let known = first(tx, sql, [NAME], |row| row.get::<_, String>(0))?;
            let (mut all, at) = match known {
                Some(known) => (serde_json::from_str(&known)?, now),
                None => {
                    let sql = "select 1 from sources limit 1";
                    // A ledger of before this was noted: its lines began with their source.
                    let is_older = first(tx, sql, [], |_| Ok(()))?.is_some();
                    let at = if is_older { Timestamp(0) } else { since.unwrap_or(now) };
                    (BTreeMap::new(), at)
                }
            };
            let before = all.len();
            for line in lines {
                all.entry(line.to_string()).or_insert(at.0);
            }
            if all.len() > before {
                let place = serde_json::to_string(&all)?;
                sources::set(tx, NAME, &Cursor { identity: String::new(), place })?;
            }
            Ok(Beginnings(all))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_begins_when_it_is_first_given_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let (one, two) = (Id::<Line>::generate(), Id::<Line>::generate());
        let begin = |ledger: &Ledger, lines: &[Id<Line>], now: i64, since: Option<i64>| {
            let (ledger, lines) = (ledger.clone(), lines.to_vec());
            async move { ledger.begin_lines(lines, Timestamp(now), since.map(Timestamp)).await }
        };
        // Without a line nothing begins, however long the bridge runs.
        assert_eq!(begin(&ledger, &[], 10, Some(1)).await.unwrap(), Beginnings::default());
        let began = begin(&ledger, &[one], 20, Some(1)).await.unwrap();
        assert_eq!(began.of(one), Timestamp(1), "the first may have asked for what was before");
        assert_eq!(began.of(two), Timestamp(i64::MAX));
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        let began = begin(&ledger, &[one, two], 30, Some(1)).await.unwrap();
        assert_eq!((began.of(one), began.of(two)), (Timestamp(1), Timestamp(30)));
    }

    #[tokio::test]
    async fn in_a_ledger_of_before_lines_began_with_their_source() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let cursor = Cursor { identity: String::new(), place: "1".to_owned() };
        ledger.pass_over(Vec::new(), Some(("source", cursor))).await.unwrap();
        let (old, new) = (Id::<Line>::generate(), Id::<Line>::generate());
        let began = ledger.begin_lines(vec![old], Timestamp(20), None).await.unwrap();
        assert_eq!(began.of(old), Timestamp(0));
        let began = ledger.begin_lines(vec![old, new], Timestamp(30), None).await.unwrap();
        assert_eq!((began.of(old), began.of(new)), (Timestamp(0), Timestamp(30)));
    }
}
