//! What a server asks for page by page.

use switchboard_bridge::KnownOutcome;
use switchboard_model::{
    OutboxItem,
    chat::Service,
    id::Id,
    link::{
        BridgeFrame, MAX_BATCH, MAX_FRAME_BYTES, Outcome, Reconciled, ReconciledState, ServerFrame,
    },
    message::MAX_GUID_LEN,
    time::Timestamp,
};

use crate::{
    fake_driver::FakeDriver,
    fake_server::{FakeServer, Peer},
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

/// The answer to what is asked for now.
async fn answer(peer: &mut Peer, ids: &[Id<OutboxItem>]) -> Vec<Reconciled> {
    peer.send(ServerFrame::Reconcile { items: ids.to_vec(), claimed: Default::default() }).await;
    loop {
        if let BridgeFrame::Reconciled { items } = peer.next().await {
            return items;
        }
    }
}

#[tokio::test]
async fn each_page_is_answered_and_what_it_tells_is_not_reported_beside_it() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let lines = [line()];
    let (mut peer, _) = server.welcome(&lines, &[]).await;
    let runs = item(&lines[0], Id::generate(), "+15550100002", "runs");
    let done = item(&lines[0], Id::generate(), "+15550100003", "done");
    peer.give(&[runs.clone(), done.clone()]).await;
    started.next().await;
    started.next().await;
    driver.finish(done.id, sent("done"));
    peer.reports_of(1).await;
    drop(peer);

    let (first, second) = (Id::generate(), Id::generate());
    let known = [(first, "first"), (second, "second")];
    let known = known.map(|(id, guid)| (id, KnownOutcome::Finished(sent(guid))));
    driver.outcomes.lock().unwrap().extend(known);
    let (mut peer, told) = server.welcome(&lines, &[first]).await;
    let finished = |id, guid: &str| Reconciled {
        id,
        state: ReconciledState::Finished { outcome: sent(guid) },
    };
    assert_eq!(told, [finished(first, "first")]);
    let mut told = answer(&mut peer, &[runs.id, second, done.id]).await;
    told.sort_by_key(|one| [runs.id, done.id, second].iter().position(|id| *id == one.id));
    let running = Reconciled { id: runs.id, state: ReconciledState::Running };
    assert_eq!(told, [running, finished(done.id, "done"), finished(second, "second")]);
    driver.finish(runs.id, sent("runs"));
    assert!(peer.reports().await.iter().any(|report| report.id == runs.id));
}

/// Whatever a driver knows, the answer to a page is no larger than a server reads.
#[tokio::test]
async fn the_largest_answer_fits_in_a_frame() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let ids: Vec<_> = (0..MAX_BATCH).map(|_| Id::generate()).collect();
    // A control character takes six bytes of a frame.
    let errors = Outcome::Failed { error: "\u{1}".repeat(100_000) };
    for outcome in [errors, sent(&"\u{1}".repeat(MAX_GUID_LEN))] {
        let known = ids.iter().map(|id| (*id, KnownOutcome::Finished(outcome.clone())));
        driver.outcomes.lock().unwrap().extend(known);
        let (mut peer, told) = server.welcome(&[line()], &ids).await;
        let more = answer(&mut peer, &ids).await;
        for items in [told, more] {
            assert_eq!(items.len(), MAX_BATCH);
            let frame = serde_json::to_vec(&BridgeFrame::Reconciled { items }).unwrap();
            assert!(frame.len() < MAX_FRAME_BYTES, "{} bytes", frame.len());
        }
    }
}
