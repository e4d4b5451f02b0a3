//! Items: order, at most once, and what is said of them after a cut socket.

use std::{sync::atomic::Ordering, time::Duration};

use switchboard_bridge::KnownOutcome;
use switchboard_model::{
    OutboxItem,
    chat::Service,
    id::Id,
    link::{BridgeFrame, Outcome, Reconciled, ReconciledState, Report, WINDOW_PER_LINE},
    time::Timestamp,
};

use crate::{
    fake_driver::FakeDriver,
    fake_server::{FakeServer, welcome},
    item, line,
};

fn sent(guid: &str) -> Outcome {
    Outcome::Sent {
        guid: guid.to_owned(),
        sent_at: Timestamp(1),
        service: Service::IMessage,
        delivered_at: None,
    }
}

fn finished(id: Id<OutboxItem>, outcome: Outcome) -> Reconciled {
    Reconciled { id, state: ReconciledState::Finished { outcome } }
}

#[tokio::test]
async fn one_chat_goes_in_order_and_others_beside_it() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    let (a, b) = (Id::generate(), Id::generate());
    let a1 = item(&line, a, "+15550100002", "1");
    let a2 = item(&line, a, "+15550100002", "2");
    let b1 = item(&line, b, "+15550100003", "1");
    peer.give(&[a1.clone(), a2.clone(), b1.clone()]).await;

    let mut first = [started.next().await, started.next().await];
    first.sort();
    assert_eq!(first, [a1.id, b1.id]);
    driver.finish(b1.id, sent("b1"));
    assert_eq!(peer.reports().await, [Report { id: b1.id, outcome: sent("b1") }]);
    started.nothing_more();

    driver.finish(a1.id, sent("a1"));
    assert_eq!(started.next().await, a2.id);
    driver.finish(a2.id, sent("a2"));
    let told: Vec<_> = peer.reports_of(2).await.into_iter().map(|report| report.id).collect();
    assert_eq!(told, [a1.id, a2.id]);
}

#[tokio::test]
async fn what_is_given_twice_is_handed_over_once() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    let one = item(&line, Id::generate(), "+15550100002", "1");
    peer.give(&[one.clone(), one.clone()]).await;
    assert_eq!(started.next().await, one.id);
    peer.give(std::slice::from_ref(&one)).await;
    driver.finish(one.id, sent("g"));
    peer.reports_of(1).await;
    // Finished and unsettled: it is only reported again.
    peer.give(std::slice::from_ref(&one)).await;
    assert_eq!(peer.reports().await, [Report { id: one.id, outcome: sent("g") }]);
    started.nothing_more();
}

#[tokio::test]
async fn reports_are_repeated_until_they_are_settled() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let lines = [line.clone()];
    let (mut peer, _) = server.welcome(&lines, &[]).await;
    let one = item(&line, Id::generate(), "+15550100002", "1");
    let two = item(&line, Id::generate(), "+15550100003", "2");
    peer.give(&[one.clone(), two.clone()]).await;
    started.next().await;
    started.next().await;
    driver.finish(one.id, sent("1"));
    peer.reports_of(1).await;
    drop(peer);

    // It ran on while there was no socket.
    driver.finish(two.id, Outcome::Failed { error: "x".repeat(5_000) });
    let (mut peer, _) = server.welcome(&lines, &[]).await;
    let mut again = peer.reports_of(2).await;
    again.sort_by_key(|report| report.id);
    assert_eq!(again[0], Report { id: one.id, outcome: sent("1") });
    let Outcome::Failed { error } = &again[1].outcome else { panic!("{:?}", again[1]) };
    assert_eq!(error.len(), 1_000, "a long error is cut, so that a batch fits in a frame");
    peer.settle(&[one.id, two.id]).await;

    // Settled is handled in order with what follows it, so the answer to this comes after it.
    let three = item(&line, Id::generate(), "+15550100002", "3");
    peer.give(std::slice::from_ref(&three)).await;
    assert_eq!(started.next().await, three.id);
    drop(peer);
    let (mut peer, reconciled) = server.welcome(&lines, &[three.id]).await;
    assert_eq!(reconciled, [Reconciled { id: three.id, state: ReconciledState::Running }]);
    driver.finish(three.id, sent("3"));
    assert_eq!(peer.reports().await, [Report { id: three.id, outcome: sent("3") }]);
}

#[tokio::test]
async fn reconciliation_knows_running_finished_queued_and_earlier_items() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let lines = [line.clone()];
    let (mut peer, _) = server.welcome(&lines, &[]).await;
    let chat = Id::generate();
    let done = item(&line, Id::generate(), "+15550100003", "done");
    let running = item(&line, chat, "+15550100002", "running");
    let queued = item(&line, chat, "+15550100002", "queued");
    peer.give(&[done.clone(), running.clone(), queued.clone()]).await;
    started.next().await;
    started.next().await;
    driver.finish(done.id, sent("done"));
    peer.reports_of(1).await;
    drop(peer);

    let (earlier, forgotten) = (Id::generate(), Id::generate());
    driver.outcomes.lock().unwrap().extend([
        (queued.id, KnownOutcome::NeverStarted),
        (earlier, KnownOutcome::Finished(sent("earlier"))),
    ]);
    let asked = [running.id, done.id, queued.id, earlier, forgotten];
    let (mut peer, mut reconciled) = server.welcome(&lines, &asked).await;
    reconciled.sort_by_key(|one| asked.iter().position(|id| *id == one.id));
    assert_eq!(
        reconciled,
        [
            Reconciled { id: running.id, state: ReconciledState::Running },
            finished(done.id, sent("done")),
            Reconciled { id: queued.id, state: ReconciledState::NeverStarted },
            finished(earlier, sent("earlier")),
            finished(forgotten, Outcome::Unknown),
        ]
    );
    // What was reconciled is not reported beside it; what ran is, and what was queued is gone.
    driver.finish(running.id, sent("running"));
    assert_eq!(peer.reports().await, [Report { id: running.id, outcome: sent("running") }]);
    started.nothing_more();
    // The server gives the queued one anew.
    peer.give(std::slice::from_ref(&queued)).await;
    assert_eq!(started.next().await, queued.id);
}

#[tokio::test]
async fn a_line_that_goes_away_gives_back_what_has_not_begun() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    peer.line_is(true).await;
    let chat = Id::generate();
    let items: Vec<_> = (0..4).map(|n| item(&line, chat, "+15550100002", &n.to_string())).collect();
    peer.give(&items[..2]).await;
    assert_eq!(started.next().await, items[0].id);
    driver.set_online(line.id, false);
    peer.line_is(false).await;
    let released = |at: usize| Report { id: items[at].id, outcome: Outcome::Released };
    assert_eq!(peer.reports().await, [released(1)]);
    peer.give(&items[2..3]).await;
    assert_eq!(peer.reports().await, [released(2)]);
    driver.finish(items[0].id, sent("0"));
    assert_eq!(peer.reports().await, [Report { id: items[0].id, outcome: sent("0") }]);

    // Back again: what the server sent before it knew must not overtake what it will send anew.
    driver.set_online(line.id, true);
    peer.line_is(true).await;
    peer.give(&items[3..]).await;
    assert_eq!(peer.reports().await, [released(3)]);
    peer.settle(&[items[1].id, items[2].id, items[3].id]).await;
    peer.give(&items[1..]).await;
    for (at, item) in items.iter().enumerate().skip(1) {
        assert_eq!(started.next().await, item.id);
        driver.finish(item.id, sent(&at.to_string()));
    }
    peer.reports_of(3).await;
}

#[tokio::test]
async fn what_was_given_back_is_not_said_again_on_the_next_socket() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let lines = [line.clone()];
    let (mut peer, _) = server.welcome(&lines, &[]).await;
    driver.set_online(line.id, false);
    let one = item(&line, Id::generate(), "+15550100002", "1");
    peer.give(std::slice::from_ref(&one)).await;
    assert_eq!(peer.reports().await, [Report { id: one.id, outcome: Outcome::Released }]);
    drop(peer);
    driver.set_online(line.id, true);
    // The server had committed it, and claims the item anew.
    let (mut peer, _) = server.welcome(&lines, &[]).await;
    peer.give(std::slice::from_ref(&one)).await;
    assert_eq!(started.next().await, one.id);
    driver.finish(one.id, sent("1"));
    assert_eq!(peer.reports().await, [Report { id: one.id, outcome: sent("1") }]);
}

#[tokio::test]
async fn a_driver_that_hangs_or_panics_leaves_the_outcome_unknown_and_the_chat_going() {
    let (driver, mut started) = FakeDriver::with_timeout(Duration::from_millis(50));
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    let chat = Id::generate();
    let [hangs, panics, goes] =
        ["hangs", "panics", "goes"].map(|text| item(&line, chat, "+15550100002", text));
    peer.give(&[hangs.clone(), panics.clone(), goes.clone()]).await;
    assert_eq!(started.next().await, hangs.id);
    assert_eq!(started.next().await, panics.id);
    driver.crash(panics.id);
    assert_eq!(started.next().await, goes.id);
    driver.finish(goes.id, sent("goes"));
    let told: Vec<_> = peer.reports_of(3).await.into_iter().map(|one| one.outcome).collect();
    assert_eq!(told, [Outcome::Unknown, Outcome::Unknown, sent("goes")]);
}

#[tokio::test]
async fn a_driver_that_panics_wherever_it_is_called_loses_neither_the_chat_nor_the_link() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let lines = [line.clone()];
    let (mut peer, _) = server.welcome(&lines, &[]).await;
    let chat = Id::generate();
    let [runs, panics, goes] =
        ["runs", "panics", "goes"].map(|text| item(&line, chat, "+15550100002", text));
    peer.give(std::slice::from_ref(&runs)).await;
    assert_eq!(started.next().await, runs.id);
    driver.panics.store(true, Ordering::Relaxed);

    // In what it is asked before it sends.
    peer.give(std::slice::from_ref(&panics)).await;
    driver.finish(runs.id, sent("runs"));
    let told: Vec<_> = peer.reports_of(2).await.into_iter().map(|one| one.outcome).collect();
    assert_eq!(told, [sent("runs"), Outcome::Unknown]);

    // In what it is asked when a link begins: the bridge dials again, and is the same bridge.
    drop(peer);
    let mut peer = server.accept().await;
    assert!(matches!(peer.next().await, BridgeFrame::Hello { .. }));
    peer.send(welcome(&lines, &[])).await;
    peer.closed().await;
    driver.panics.store(false, Ordering::Relaxed);
    let (mut peer, reconciled) = server.welcome(&lines, &[runs.id]).await;
    assert_eq!(reconciled, [finished(runs.id, sent("runs"))]);
    peer.give(std::slice::from_ref(&goes)).await;
    assert_eq!(started.next().await, goes.id);
}

#[tokio::test]
async fn a_server_that_gives_more_than_its_window_is_cut_off() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    let chat = Id::generate();
    for _ in 0..=2 * WINDOW_PER_LINE / 256 {
        let items: Vec<_> = (0..256).map(|_| item(&line, chat, "+15550100002", "x")).collect();
        peer.give(&items).await;
    }
    peer.closed().await;
    server.welcome(&[line], &[]).await;
}
