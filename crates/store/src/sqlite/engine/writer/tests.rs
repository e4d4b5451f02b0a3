use std::sync::mpsc;

use super::*;
use crate::Refusal;

#[tokio::test]
async fn in_one_batch_a_failure_and_a_panic_take_back_only_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let lock = File::create(directory.path().join("lock")).unwrap();
    let sql = Connection::open(directory.path().join("a.db")).unwrap();
    sql.execute_batch("create table numbers (number)").unwrap();
    let writer =
        Writer::start(sql, lock, Arc::new(Seal::new(&[0; 32])), 8, Log::unbounded(), None).unwrap();
    let add = |number: i64, outcome: fn() -> Result<()>| {
        writer.run(move |tx| {
            statement::run(tx.sql, "insert into numbers values (?1)", [number])?;
            outcome()
        })
    };
    let commands = async {
        tokio::join!(
            add(1, || Ok(())),
            add(2, || Err(Refusal::LineNotFound.into())),
            add(3, || panic!("as it must be in this test")),
            add(4, || Ok(())),
        )
    };
    let (first, refused, panicked, last) = in_one_batch(&writer, commands).await;
    assert!(first.is_ok() && last.is_ok());
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::LineNotFound))));
    assert!(matches!(panicked, Err(StoreError::Database(_))));
    let numbers = writer
        .run(|tx| {
            statement::all(tx.sql, "select number from numbers", [], |row| row.get::<_, i64>(0))
        })
        .await;
    assert_eq!(numbers.unwrap(), [1, 4]);

    // Nor does what follows a commit take anything with it, not even its own answer.
    let kept = writer.run_then(
        |tx| statement::run(tx.sql, "insert into numbers values (6)", []),
        |_| panic!("as it must be in this test"),
    );
    assert!(kept.await.is_ok());
    assert!(add(7, || Ok(())).await.is_ok());
    writer.close()();
    assert!(matches!(add(5, || Ok(())).await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_full_database_fails_what_finds_no_room_and_works_again_when_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let lock = File::create(directory.path().join("lock")).unwrap();
    let sql = Connection::open(directory.path().join("a.db")).unwrap();
    sql.execute_batch("create table texts (text); pragma max_page_count = 16").unwrap();
    let writer =
        Writer::start(sql, lock, Arc::new(Seal::new(&[0; 32])), 64, Log::unbounded(), None)
            .unwrap();
    let add = |bytes: i64| {
        writer.run(move |tx| {
            statement::run(tx.sql, "insert into texts values (zeroblob(?1))", [bytes])
        })
    };
    let full = |outcome: &Result<usize>| {
        matches!(outcome, Err(StoreError::Unavailable { outage: Outage::DiskFull, .. }))
    };
    add(8192).await.unwrap();
    // One batch: what found room beside one that found none is kept, or told that there is none.
    let commands = async { tokio::join!(add(4096), add(1 << 20), add(4096)) };
    let (first, large, last) = in_one_batch(&writer, commands).await;
    assert!(full(&large), "{large:?}");
    let mut kept = 1;
    for outcome in [&first, &last] {
        assert!(outcome.is_ok() || full(outcome), "{outcome:?}");
        kept += i64::from(outcome.is_ok());
    }
    assert!(full(&add(1 << 20).await));
    let count = || {
        writer.run(|tx| {
            statement::first(tx.sql, "select count(*) from texts", [], |row| row.get::<_, i64>(0))
        })
    };
    assert_eq!(count().await.unwrap(), Some(kept));
    let room = |tx: &mut Tx<'_>| Ok(tx.sql.execute_batch("pragma max_page_count = 100000")?);
    writer.run(room).await.unwrap();
    add(1 << 20).await.unwrap();
    assert_eq!(count().await.unwrap(), Some(kept + 1));
}

#[tokio::test]
async fn a_single_write_has_no_savepoint_and_asks_for_one_before_several() {
    let directory = tempfile::tempdir().unwrap();
    let lock = File::create(directory.path().join("lock")).unwrap();
    let sql = Connection::open(directory.path().join("a.db")).unwrap();
    sql.execute_batch("create table numbers (number)").unwrap();
    let writer =
        Writer::start(sql, lock, Arc::new(Seal::new(&[0; 32])), 8, Log::unbounded(), None).unwrap();
    let insert = |tx: &mut Tx<'_>, number: i64| {
        statement::run(tx.sql, "insert into numbers values (?1)", [number])
    };
    let refused = || Err::<(), _>(StoreError::from(Refusal::LineNotFound));
    let numbers = || {
        writer.run(|tx| {
            let all = "select number from numbers";
            statement::all(tx.sql, all, [], |row| row.get::<_, i64>(0))
        })
    };
    let is_refused = |outcome| matches!(outcome, Err(StoreError::Refused(Refusal::LineNotFound)));

    writer.run_single(move |tx| insert(tx, 1)).await.unwrap();
    assert!(is_refused(writer.run_single(move |_| refused()).await));
    let several = writer.run_single(move |tx| {
        tx.savepoint()?;
        insert(tx, 2)?;
        insert(tx, 3)?;
        refused()
    });
    assert!(is_refused(several.await));
    assert_eq!(numbers().await.unwrap(), [1]);

    // One that breaks its promise takes its whole batch with it: nothing of it is half kept.
    let broken = writer.run_single(move |tx| {
        insert(tx, 4)?;
        Err::<(), _>(StoreError::Closed)
    });
    let beside = writer.run_single(move |tx| insert(tx, 5));
    let (broken, beside) = in_one_batch(&writer, async { tokio::join!(broken, beside) }).await;
    assert!(broken.is_err());
    assert!(matches!(beside, Err(StoreError::Database(_))), "{beside:?}");
    assert_eq!(numbers().await.unwrap(), [1]);
}

/// Keeps the writer busy until all of `commands` are queued: they share a transaction, with nobody else in it.
async fn in_one_batch<T>(writer: &Writer, commands: impl Future<Output = T>) -> T {
    let (begin, begun) = oneshot::channel();
    let (go, gate) = mpsc::channel();
    let held = writer.run(move |_| {
        begin.send(()).expect("the test waits for the writer");
        gate.recv().expect("the test opens the gate");
        Ok(())
    });
    let commands = async {
        begun.await.expect("the writer comes to the gate");
        let open = async { go.send(()).expect("the writer waits at the gate") };
        tokio::join!(commands, open).0
    };
    let (held, outcomes) = tokio::join!(held, commands);
    held.unwrap();
    outcomes
}
