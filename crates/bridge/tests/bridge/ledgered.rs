//! A driver with a ledger, when its disk is full.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use switchboard_bridge::{Attempt, Driver, Ledgered, ledger::Ledger};
use switchboard_model::{Timestamp, chat::Service, id::Id, link::Outcome};

use crate::{fake_program::FakeProgram, item, line, no_files, soon};

/// Fills the disk at the end of each attempt, until a group is noted.
const FULL: &str = "create trigger full before update of outcome on attempts
    when not exists (select 1 from groups) begin select raise(abort, 'full'); end";

fn sent(attempt: &Attempt) -> Outcome {
    Outcome::Sent {
        guid: attempt.token.to_string(),
        sent_at: Timestamp(1),
        service: Service::IMessage,
        delivered_at: None,
    }
}

#[tokio::test]
async fn what_could_not_be_written_down_is_as_soon_as_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    let sql = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    sql.execute_batch(FULL).unwrap();
    drop(sql);
    let ledger = Arc::new(OnceLock::new());
    let (readable, file) = Default::default();
    let program = FakeProgram { ledger: Arc::clone(&ledger), outcome: sent, readable, file };
    let driver = Ledgered::start(program, dir.path(), Timestamp(0)).unwrap();
    let line = line();
    driver.assign_lines(vec![line.clone()]).await;
    crate::eventually(|| ledger.get().is_some()).await;
    let ledger = ledger.get().unwrap();

    let item = item(&line, Id::generate(), "+15550100002", "sent");
    let outcome = driver.send(item, &no_files()).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    assert_eq!(ledger.under_way(line.id).await.unwrap().len(), 1);
    ledger.group(line.id, vec!["room".to_owned()]).await.unwrap();
    soon(async {
        while !ledger.under_way(line.id).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
