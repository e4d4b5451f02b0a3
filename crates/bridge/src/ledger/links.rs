//! Which links this ledger has seen from their beginning: of what was claimed on another one, that no attempt is noted
//! proves nothing.
//!
//! No clock is asked: the server counts the links of a bridge, and says on which of them an item was claimed.

use rusqlite::{Transaction, params};
use tracing::info;

use super::{Ledger, Ordering, Result, copies, first, run};

/// The most stretches of epochs that are kept. Claims are younger than the older ones.
const MAX_STRETCHES: i64 = 256;

impl Ledger {
    /// Notes that a link begins with this ledger, before anything is handed over on it. A ledger is one bridge's: what it
    /// knows of another's links is forgotten.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError): then nothing may be taken from this link.
    pub async fn welcomed(&self, bridge: String, epoch: i64) -> Result<()> {
        let is_first = !self.was_welcomed.load(Ordering::Relaxed);
        let welcome = move |tx: &Transaction<'_>| welcomed(tx, &bridge, epoch, is_first);
        let begun = |ledger: &Self, life: &Option<String>| {
            ledger.was_welcomed.store(true, Ordering::Relaxed);
            if let Some(life) = life {
                ledger.begin_life(life);
                info!(
                    "the bridge had links that this ledger has not seen: what waits is told again"
                );
            }
        };
        self.transact_then(welcome, begun).await.map(drop)
    }
}

/// Whether it was there when something was claimed on the link of this epoch. Of a server that doesn't say which: whether it
/// was there on all links.
pub(super) fn covers(tx: &Transaction<'_>, epoch: Option<i64>) -> Result<bool> {
    let noted = "select 1 from links where bridge <> '' and iif(?1 is null,
        first = 1 and last = (select max(last) from links), ?1 between first and last)";
    Ok(first(tx, noted, [epoch], |_| Ok(()))?.is_some())
}

/// Answers the name of the new life that begins, if one does.
fn welcomed(
    tx: &Transaction<'_>,
    bridge: &str,
    epoch: i64,
    is_first: bool,
) -> Result<Option<String>> {
    run(
        tx,
        "update links set bridge = ?1, last = ?2 - 1 where bridge = ''",
        params![bridge, epoch],
    )?;
    run(tx, "delete from links where bridge <> ?1 or first > last", [bridge])?;
    let newest = first(tx, "select max(last) from links", [], |row| row.get::<_, Option<i64>>(0))?;
    let newest = newest.flatten();
    // A server that was set back to an older state counts links once more, and does not say from which on: another ledger
    // may have had those between.
    if newest.is_some_and(|newest| epoch <= newest) {
        run(tx, "delete from links", [])?;
    }
    // What is opened anew and has not seen the last link may be an older copy: it could give a number to one thing that
    // the server knows another by. One that stays open has lost a welcome.
    let life = match newest {
        Some(newest) if is_first && epoch > newest.saturating_add(1) => Some(copies::renew(tx)?),
        _ => None,
    };
    if run(tx, "update links set last = ?1 where last = ?1 - 1", [epoch])? == 0 {
        run(tx, "insert into links values (?1, ?2, ?2)", params![bridge, epoch])?;
    }
    run(
        tx,
        "delete from links where first <= (select first from links order by first desc limit 1 offset ?1)",
        [MAX_STRETCHES],
    )?;
    Ok(life)
}

/// Of the versions before, one that was welcome once has answered for all that was claimed before it.
pub(super) fn adopt_earlier(tx: &Transaction<'_>) -> Result<()> {
    let sql = "insert into links select '', 1, 1
        where exists (select 1 from attempts) or exists (select 1 from seen)";
    run(tx, sql, [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use switchboard_model::{OutboxItem, id::Id, link::Outcome};

    use super::*;
    use crate::{
        driver::{Asked, KnownOutcome},
        ledger::{Known, Observation, Recorded, tests::message},
    };

    const DESK: &str = "desk";

    async fn welcome(ledger: &Ledger, bridge: &str, epoch: i64) {
        ledger.welcomed(bridge.to_owned(), epoch).await.unwrap();
    }

    /// Of which of these epochs it is sure that nothing was begun.
    async fn sure(ledger: &Ledger, epochs: std::ops::Range<i64>) -> Vec<i64> {
        let mut sure = Vec::new();
        for epoch in epochs {
            if never_started(ledger, Some(epoch)).await {
                sure.push(epoch);
            }
        }
        sure
    }

    async fn never_started(ledger: &Ledger, claimed: Option<i64>) -> bool {
        let id = Id::<OutboxItem>::generate();
        let known = ledger.known(vec![Asked { id, claimed }]).await.unwrap().remove(&id);
        match known.unwrap() {
            Known::Outcome(KnownOutcome::NeverStarted) => true,
            Known::Outcome(KnownOutcome::Finished(Outcome::Unknown)) => false,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn it_answers_for_the_links_that_it_has_seen_begin() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(sure(&ledger, 0..3).await, [0; 0]);
        // Another ledger had those before, and those between.
        welcome(&ledger, DESK, 4).await;
        welcome(&ledger, DESK, 5).await;
        welcome(&ledger, DESK, 8).await;
        assert_eq!(sure(&ledger, 0..10).await, [4, 5, 8]);
        assert!(!never_started(&ledger, None).await, "the server doesn't say");
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(sure(&ledger, 0..10).await, [4, 5, 8]);
        welcome(&ledger, DESK, 9).await;
        welcome(&ledger, "another", 10).await;
        assert_eq!(sure(&ledger, 0..11).await, [10]);
    }

    #[tokio::test]
    async fn of_a_server_that_was_set_back_it_is_not_known_where_to() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        for epoch in 1..=6 {
            welcome(&ledger, DESK, epoch).await;
        }
        // Set back to the second, after which another ledger had the third and the fourth.
        welcome(&ledger, DESK, 5).await;
        assert_eq!(sure(&ledger, 0..10).await, [5]);
        welcome(&ledger, DESK, 5).await;
        welcome(&ledger, DESK, 6).await;
        assert_eq!(sure(&ledger, 0..10).await, [5, 6]);
    }

    #[tokio::test]
    async fn it_answers_without_an_epoch_if_it_has_seen_all_links() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        for epoch in 1..=3 {
            welcome(&ledger, DESK, epoch).await;
            assert!(never_started(&ledger, None).await);
        }
        // Another ledger had the fourth.
        welcome(&ledger, DESK, 5).await;
        assert!(!never_started(&ledger, None).await);
        // A server that does not count says none.
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        welcome(&ledger, DESK, 0).await;
        welcome(&ledger, DESK, 0).await;
        assert!(!never_started(&ledger, None).await);
    }

    #[tokio::test]
    async fn what_is_opened_after_links_it_has_not_seen_tells_again_what_waits() {
        let (dir, line) = (tempfile::tempdir().unwrap(), Id::generate());
        let ledger = Ledger::open(dir.path()).unwrap();
        let observe = async |ledger: &Ledger, key: &str| {
            let observations = vec![(line, Observation::new(key, message(key)))];
            ledger.record(Recorded { observations, ..Recorded::default() }).await.unwrap();
        };
        let waiting = async |ledger: &Ledger, place: &str| {
            ledger.waiting(line, Some(place), 9).await.unwrap().len()
        };
        welcome(&ledger, DESK, 1).await;
        observe(&ledger, "one").await;
        let place = ledger.position(1);
        // A welcome that was lost while it was open hides nothing.
        welcome(&ledger, DESK, 3).await;
        assert_eq!(waiting(&ledger, &place).await, 0);
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        welcome(&ledger, DESK, 4).await;
        assert_eq!(waiting(&ledger, &place).await, 0);
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        welcome(&ledger, DESK, 6).await;
        assert_eq!(waiting(&ledger, &place).await, 1);
        let place = ledger.position(1);
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        welcome(&ledger, DESK, 7).await;
        assert_eq!(waiting(&ledger, &place).await, 0);
    }

    #[tokio::test]
    async fn what_it_has_given_back_another_ledger_may_have_begun_since() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        welcome(&ledger, DESK, 1).await;
        let item: switchboard_model::link::SendItem = serde_json::from_value(serde_json::json!({
            "id": Id::<OutboxItem>::generate(),
            "order": 1,
            "line_id": Id::<switchboard_model::Line>::generate(),
            "chat_id": Id::<switchboard_model::Chat>::generate(),
            "identifier": "+15550100001",
            "is_group": false,
            "content": {"kind": "read"},
        }))
        .unwrap();
        let now = switchboard_model::Timestamp(1);
        ledger.begin(item.clone(), None, now).await.unwrap().unwrap();
        ledger.finish(item.id, Outcome::Released, now).await.unwrap();
        let known = async |claimed| {
            let asked = Asked { id: item.id, claimed: Some(claimed) };
            ledger.known(vec![asked]).await.unwrap().remove(&item.id).unwrap()
        };
        assert!(matches!(known(1).await, Known::Outcome(KnownOutcome::NeverStarted)));
        let unknown = KnownOutcome::Finished(Outcome::Unknown);
        assert!(matches!(known(2).await, Known::Outcome(known) if known == unknown));
    }

    #[tokio::test]
    async fn many_gaps_are_no_burden() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        for link in 1..=MAX_STRETCHES + 10 {
            welcome(&ledger, DESK, 2 * link).await;
        }
        let sql = "select count(*) from links";
        let kept = ledger.transact(move |tx| first(tx, sql, [], |row| row.get::<_, i64>(0)));
        assert_eq!(kept.await.unwrap(), Some(MAX_STRETCHES));
        assert!(never_started(&ledger, Some(2 * MAX_STRETCHES)).await);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_copy_answers_for_nothing_that_came_before_it() {
        let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ledger = Ledger::open(dir.path()).unwrap();
        welcome(&ledger, DESK, 1).await;
        drop(ledger);
        std::fs::copy(dir.path().join("ledger.db"), backup.path().join("ledger.db")).unwrap();
        let copy = Ledger::open(backup.path()).unwrap();
        assert_eq!(sure(&copy, 0..3).await, [0; 0]);
        welcome(&copy, DESK, 2).await;
        drop(copy);
        assert_eq!(sure(&Ledger::open(backup.path()).unwrap(), 0..3).await, [2]);
        assert_eq!(sure(&Ledger::open(dir.path()).unwrap(), 0..3).await, [1]);
    }

    #[tokio::test]
    async fn one_of_an_earlier_version_has_answered_for_what_came_before() {
        let dir = tempfile::tempdir().unwrap();
        for was_used in [false, true] {
            let path = dir.path().join(was_used.to_string());
            std::fs::create_dir(&path).unwrap();
            let sql = Connection::open(path.join("ledger.db")).unwrap();
            sql.execute_batch(include_str!("schema.sql")).unwrap();
            sql.execute_batch(include_str!("texts.sql")).unwrap();
            sql.execute_batch("insert into ledger (epoch) values ('a'); pragma user_version = 2")
                .unwrap();
            if was_used {
                sql.execute("insert into seen values ('line', x'01')", []).unwrap();
            }
            drop(sql);
            let ledger = Ledger::open(&path).unwrap();
            welcome(&ledger, DESK, 3).await;
            let expected: &[i64] = if was_used { &[1, 2, 3] } else { &[3] };
            assert_eq!(sure(&ledger, 0..5).await, expected);
        }
    }
}
