//! Which links this ledger has seen from their beginning: of what was claimed on another one, that no attempt is noted
//! proves nothing.
//!
//! No clock is asked: the server counts the links of a bridge, and says on which of them an item was claimed.

use std::path::Path;

use rusqlite::{Transaction, params};

use super::{Ledger, Result, first, run};

/// The most stretches of epochs that are kept. Claims are younger than the older ones.
const MAX_STRETCHES: i64 = 256;

impl Ledger {
    /// Notes that a link begins with this ledger, before anything is handed over on it. A ledger is one bridge's: what it
    /// knows of another's links is forgotten.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError): then nothing may be taken from this link.
    pub async fn welcomed(&self, bridge: String, epoch: i64) -> Result<()> {
        self.transact(move |tx| welcomed(tx, &bridge, epoch)).await
    }
}

/// Whether it was there when something was claimed on the link of this epoch; no epoch is that of a server that doesn't say.
pub(super) fn covers(tx: &Transaction<'_>, epoch: Option<i64>) -> Result<bool> {
    let noted = "select 1 from links where bridge <> '' and ?1 between first and last";
    Ok(first(tx, noted, [epoch], |_| Ok(()))?.is_some())
}

fn welcomed(tx: &Transaction<'_>, bridge: &str, epoch: i64) -> Result<()> {
    run(
        tx,
        "update links set bridge = ?1, last = ?2 - 1 where bridge = ''",
        params![bridge, epoch],
    )?;
    run(tx, "delete from links where bridge <> ?1 or first > last", [bridge])?;
    // A server that was set back to an older state counts these once more.
    run(tx, "delete from links where first >= ?1", [epoch])?;
    run(tx, "update links set last = ?1 - 1 where last >= ?1", [epoch])?;
    if run(tx, "update links set last = ?1 where last = ?1 - 1", [epoch])? == 0 {
        run(tx, "insert into links values (?1, ?2, ?2)", params![bridge, epoch])?;
    }
    run(
        tx,
        "delete from links where first <= (select first from links order by first desc limit 1 offset ?1)",
        [MAX_STRETCHES],
    )?;
    Ok(())
}

/// Of the versions before, one that was welcome once has answered for all that was claimed before it.
pub(super) fn adopt_earlier(tx: &Transaction<'_>) -> Result<()> {
    let sql = "insert into links select '', 1, 1
        where exists (select 1 from attempts) or exists (select 1 from seen)";
    run(tx, sql, [])?;
    Ok(())
}

/// A copy does not know what its original has noted since.
pub(super) fn forget_if_copied(tx: &Transaction<'_>, path: &Path) -> Result<()> {
    let Some(file) = identity(path) else { return Ok(()) };
    run(tx, "delete from links where (select file from ledger) <> ?1", [&file])?;
    run(tx, "update ledger set file = ?1", [&file])?;
    Ok(())
}

/// What a file has and no copy of it.
#[cfg(unix)]
fn identity(path: &Path) -> Option<String> {
    let found = std::fs::metadata(path).ok()?;
    Some(std::os::unix::fs::MetadataExt::ino(&found).to_string())
}

#[cfg(not(unix))]
fn identity(_path: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use switchboard_model::{OutboxItem, id::Id, link::Outcome};

    use super::*;
    use crate::{
        driver::{Asked, KnownOutcome},
        ledger::Known,
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
        // The server was set back, and counts these again.
        welcome(&ledger, DESK, 5).await;
        assert_eq!(sure(&ledger, 0..10).await, [4, 5]);
        welcome(&ledger, "another", 5).await;
        assert_eq!(sure(&ledger, 0..10).await, [5]);
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
