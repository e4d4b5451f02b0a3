//! What only SQLite promises: one process, one file, one writer.

#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

use std::{path::Path, sync::Arc};

use switchboard_model::{Timestamp, secret::SecretHash};
use switchboard_store::{
    Deliveries as _, Owned, Seed, Store, StoreError,
    sqlite::{SqliteOptions, SqliteStore},
};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(SqliteStore::open(path, SqliteOptions::default())?))
}

fn seed(hash: u8) -> Seed {
    Seed {
        account: "dev".into(),
        line: "+15550100001".parse().unwrap(),
        label: "dev".into(),
        sandbox_line: "+15550199999".parse().unwrap(),
        key: "dev".into(),
        hint: "abcd".into(),
        hash: SecretHash([hash; 32]),
    }
}

#[test]
fn a_newer_database_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch("create table future (x); pragma user_version = 99").unwrap();
    drop(sql);
    let before = std::fs::read(&path).unwrap();
    match open(&path) {
        Err(StoreError::NewerSchema { found: 99, known, .. }) if known < 99 => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_database_can_not_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    std::fs::write(&path, "no database ".repeat(1000)).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Open { .. })));
    assert!(matches!(open(&directory.path().join("no/such/a.db")), Err(StoreError::Open { .. })));
}

#[tokio::test]
async fn a_second_store_on_the_file_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(StoreError::InUse { .. })));
    // Closed, though not dropped.
    first.close().await;
    drop(open(&path).unwrap());
    open(&path).unwrap();
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let store = open(&path).unwrap();
    let account = store.create_account("ours".into(), NOW).await.unwrap();
    store.seed(seed(1), NOW).await.unwrap();
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(store.accounts().await.unwrap()[0], account);
    assert!(store.find_key(SecretHash([1; 32]), None).await.unwrap().is_some());
    store.seed(seed(1), NOW).await.unwrap();
    assert_eq!(store.accounts().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_command_that_fails_in_a_crowd_takes_back_only_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    open(&path).unwrap().seed(seed(0), NOW).await.unwrap();
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.execute_batch(
        "create trigger no_key before insert on keys begin select raise(abort, 'no'); end",
    )
    .unwrap();
    drop(sql);
    let store = Arc::new(open(&path).unwrap());
    let mut crowd = JoinSet::new();
    for number in 1..=100u8 {
        let store = Arc::clone(&store);
        crowd.spawn(async move {
            // Makes an account and a line, and then can't make the key.
            let line = format!("+1555011{number:04}").parse().unwrap();
            let refused = store.seed(Seed { line, ..seed(number) }, NOW);
            let made = store.create_account(number.to_string(), NOW);
            let (refused, made) = tokio::join!(refused, made);
            assert!(refused.is_err());
            made.unwrap().id
        });
    }
    let mut made = crowd.join_all().await;
    made.sort_unstable();
    let mut kept: Vec<_> =
        store.accounts().await.unwrap().into_iter().skip(2).map(|account| account.id).collect();
    kept.sort_unstable();
    assert_eq!(kept, made);
    assert_eq!(store.operator_lines(NOW).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { write_queue: 0, ..SqliteOptions::default() };
    // A queue of nothing takes only what the writer waits for; of many at once, some find it busy.
    let path = directory.path().join("a.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, options).unwrap());
    let mut crowd = JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        crowd.spawn(async move { store.create_account(number.to_string(), NOW).await });
    }
    let answers = crowd.join_all().await;
    assert!(answers.iter().any(|one| matches!(one, Err(StoreError::Overloaded))));
    let made = answers.iter().filter(|one| one.is_ok()).count();
    assert_eq!(store.accounts().await.unwrap().len(), made);
}

#[tokio::test]
async fn one_accounts_flood_of_reads_is_refused_alone() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        SqliteOptions { read_queue: 64, read_queue_of_one: 48, ..SqliteOptions::default() };
    let path = directory.path().join("a.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, options).unwrap());
    let account = async |name: &str| store.create_account(name.to_owned(), NOW).await.unwrap().id;
    let (flooding, other) = (account("flooding").await, account("other").await);
    let mut flood = JoinSet::new();
    for _ in 0..5000 {
        let store = Arc::clone(&store);
        flood.spawn(async move { store.lines(flooding).await.map(|_| ()) });
    }
    for _ in 0..200 {
        store.lines(other).await.expect("another's flood is nobody else's");
        tokio::task::yield_now().await;
    }
    let answers = flood.join_all().await;
    let refused = answers.iter().filter(|one| matches!(one, Err(StoreError::Overloaded))).count();
    assert!(refused > 0, "a flood is refused");
    assert!(refused < answers.len(), "what there is room for is answered");
    assert!(store.lines(flooding).await.is_ok(), "once it is over, all is well");
}

#[tokio::test]
async fn a_flood_of_keys_that_nobody_knows_keeps_no_known_one_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        SqliteOptions { read_queue: 64, read_queue_of_one: 48, ..SqliteOptions::default() };
    let path = directory.path().join("a.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, options).unwrap());
    store.seed(seed(1), NOW).await.unwrap();
    let key = store.find_key(SecretHash([1; 32]), None).await.unwrap().unwrap().0;
    let mut flood = JoinSet::new();
    for number in 0..5000_u32 {
        let store = Arc::clone(&store);
        flood.spawn(async move {
            let mut hash = [9; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            store.find_key(SecretHash(hash), None).await.map(|_| ())
        });
    }
    for _ in 0..200 {
        let found = store.find_key(SecretHash([1; 32]), Some(key.id)).await;
        assert_eq!(found.expect("it has its own turn").unwrap().0, key);
        tokio::task::yield_now().await;
    }
    let answers = flood.join_all().await;
    assert!(answers.iter().any(|one| matches!(one, Err(StoreError::Overloaded))));
}

#[tokio::test]
async fn processes_that_share_a_database_share_its_webhooks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let options = SqliteOptions { is_shared: true, ..SqliteOptions::default() };
    let [one, two] = [(); 2].map(|()| SqliteStore::open(&path, options).unwrap());
    let at = |seconds: i64| Timestamp(NOW.0 + 1000 * seconds);
    // Each comes back every second, and is trusted to for five.
    let own = async |store: &SqliteStore, node, in_use: &[u8], now| {
        let owned = store.own_webhooks(node, in_use.to_vec(), at(now), at(now + 5)).await.unwrap();
        let Owned::Partitions(parts) = owned else { panic!("it is not alone") };
        parts
    };
    let all = own(&one, 1, &[], 0).await;
    assert_eq!(all.len(), 256);
    assert!(own(&two, 2, &[], 0).await.is_empty(), "nothing is taken from who holds it");
    // What is more than its share is no more its own, but nobody else's before it says that it does not use it.
    let first = own(&one, 1, &all, 1).await;
    assert_eq!(first, all[..128]);
    assert!(own(&two, 2, &[], 1).await.is_empty());
    let still_used = [&first[..], &[200]].concat();
    assert_eq!(own(&one, 1, &still_used, 2).await, first);
    let second = own(&two, 2, &[], 2).await;
    assert!(second.len() == 127 && !second.contains(&200));
    assert_eq!(own(&one, 1, &first, 3).await, first);
    let second = own(&two, 2, &second, 3).await;
    assert_eq!(second, all[128..]);
    // The first does not come back: what was its own is the other's after its time, and not before.
    assert_eq!(own(&two, 2, &second, 7).await, second);
    assert_eq!(own(&two, 2, &second, 8).await, all);
    // It comes again, and the other says that it goes.
    assert!(own(&one, 1, &[], 9).await.is_empty());
    two.disown_webhooks(2).await.unwrap();
    assert_eq!(own(&one, 1, &[], 9).await, all);
    one.close().await;
    two.close().await;
    let alone = open(&path).unwrap();
    assert_eq!(alone.own_webhooks(3, vec![], NOW, NOW).await.unwrap(), Owned::All);
}
