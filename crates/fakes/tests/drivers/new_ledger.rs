//! A bridge whose data directory is younger than what waits for it: a Mac that was just set up, or one whose disk was lost.

use std::path::Path;

use rusqlite::Connection;
use switchboard_fakes::imsg::{Settings, Stage};
use switchboard_model::outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus};
use switchboard_testkit::eventually;

use crate::{
    imsg_faults::{end, with_ann},
    rig::{ANN, BOB, Rig},
};

/// Gives the bridge an empty data directory.
fn lose_data<C>(rig: &mut Rig<C>) {
    rig.data = tempfile::tempdir().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_a_new_bridge_and_was_never_begun_goes_out_whatever_the_link_does() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    mac.contact(BOB).writes("hello");
    rig.message(BOB, "hello").await;
    rig.stop().await;
    let mut waiting = Vec::new();
    for number in 0..6 {
        let to = if number % 2 == 0 { ANN } else { BOB };
        waiting.push((rig.send(to, &format!("waits {number}")).await, to));
    }
    lose_data(&mut rig);
    mac.hold(Stage::Started);
    rig.start().await;
    let claimed = async |rig: &Rig<_>| {
        eventually("all are claimed", async || {
            for (id, _) in &waiting {
                let item = rig.client.outbox(*id).await.unwrap().value;
                if item.status != OutboxStatus::Claimed {
                    return None;
                }
            }
            Some(())
        })
        .await;
    };
    claimed(&rig).await;
    mac.until("one is under way", |mac| mac.held() > 0).await;
    // Only the connection goes, twice; then the bridge restarts.
    for _ in 0..2 {
        let links = rig.network.dials();
        rig.network.cut();
        eventually("it dials again", async || (rig.network.dials() > links).then_some(())).await;
        rig.online().await;
        claimed(&rig).await;
    }
    mac.release();
    for (number, (id, to)) in waiting.iter().enumerate() {
        let item = rig.ended(*id).await;
        assert_eq!((item.status, item.error), (OutboxStatus::Sent, None), "{number}");
        assert_eq!(mac.contact(to).times_received(&format!("waits {number}")), 1);
    }
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_ledger_had_begun_is_not_sent_again() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    mac.hold(Stage::Dispatched);
    let id = rig.send(ANN, "once").await;
    mac.until("it is under way", |mac| mac.held() == 1).await;
    rig.kill().await;
    mac.release();
    mac.until("it has arrived", |mac| mac.contact(ANN).times_received("once") == 1).await;
    lose_data(&mut rig);
    rig.start().await;
    let item = rig.ended(id).await;
    assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    rig.online().await;
    assert_eq!(rig.sent(ANN, "and on").await.status, OutboxStatus::Sent);
    assert_eq!(mac.contact(ANN).times_received("once"), 1);
    end(rig).await;
}

/// Copies the ledger, as `cp ledger.db*` does: over a file that is there, in place.
fn copy_ledger(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().starts_with("ledger.db") {
            std::fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_after_a_backup_is_not_sent_again_when_that_is_copied_back() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    let backup = tempfile::tempdir().unwrap();
    copy_ledger(rig.data.path(), backup.path());
    mac.hold(Stage::Dispatched);
    let id = rig.send(ANN, "once").await;
    mac.until("it is under way", |mac| mac.held() == 1).await;
    rig.kill().await;
    mac.release();
    mac.until("it has arrived", |mac| mac.contact(ANN).times_received("once") == 1).await;
    // The last thread of the one that was killed has ended.
    eventually("the ledger is free", async || {
        let sql = Connection::open(rig.data.path().join("ledger.db")).unwrap();
        sql.query_row("select 1 from ledger", [], |_| Ok(())).ok()
    })
    .await;
    copy_ledger(backup.path(), rig.data.path());
    rig.start().await;
    assert_eq!(rig.ended(id).await.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    rig.online().await;
    assert_eq!(rig.sent(ANN, "and on").await.status, OutboxStatus::Sent);
    assert_eq!(mac.contact(ANN).times_received("once"), 1);
    end(rig).await;
}
