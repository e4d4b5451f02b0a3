//! Inbound: in order, without a gap or a repeat, over cut sockets.

use switchboard_model::{
    chat::Service,
    id::Id,
    link::{Inbound, InboundChat, InboundMessage, InboundUpdate, MAX_BATCH, Outcome, ServerFrame},
    time::Timestamp,
};

use crate::{eventually, fake_driver::FakeDriver, fake_server::FakeServer, item, line};

fn message(n: usize, text: String) -> Inbound {
    let handle: switchboard_model::Handle = "+15550100002".parse().expect("a handle");
    Inbound::Message(InboundMessage {
        guid: n.to_string(),
        chat: InboundChat::Contact { handle: handle.clone() },
        sender: handle,
        text: Some(text),
        sent_at: Timestamp(1),
        service: Service::IMessage,
        reply_to_guid: None,
        attachments: Vec::new(),
        is_audio_message: false,
    })
}

#[tokio::test]
async fn batches_go_on_where_the_server_is() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let all: Vec<_> = (0..600).map(|n| message(n, n.to_string())).collect();
    driver.happen(all.clone());
    let mut line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    let (position, mut got, results) = peer.take_inbound().await;
    assert_eq!(got.len(), MAX_BATCH);
    // The second one is lost before it is committed.
    let (_, lost, entries) = peer.inbound().await;
    assert_eq!(entries.len(), MAX_BATCH);
    assert_eq!(lost, (2 * MAX_BATCH).to_string());
    drop(peer);
    assert_eq!(*driver.received.lock().unwrap(), [(position.clone(), results)]);

    line.position = Some(position);
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    while got.len() < all.len() {
        got.extend(peer.take_inbound().await.1);
    }
    driver.happen([message(600, "one more".to_owned())]);
    got.extend(peer.take_inbound().await.1);
    assert_eq!(got[..600], all);
    assert_eq!(got.len(), 601);
    assert_eq!(got[600], message(600, "one more".to_owned()));
    eventually(|| driver.received.lock().unwrap().len() == 4).await;
}

#[tokio::test]
async fn what_is_about_a_message_does_not_overtake_the_report_that_it_was_sent() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    let [sends, waits] =
        ["+15550100002", "+15550100003"].map(|to| item(&line, Id::generate(), to, "x"));
    peer.give(&[sends.clone(), waits.clone()]).await;
    started.next().await;
    started.next().await;
    let sent = Outcome::Sent {
        guid: "g".to_owned(),
        sent_at: Timestamp(1),
        service: Service::IMessage,
        delivered_at: Some(Timestamp(2)),
    };
    driver.finish(sends.id, sent);
    assert_eq!(peer.reports().await[0].id, sends.id);
    let Inbound::Message(InboundMessage { chat, .. }) = message(0, String::new()) else { panic!() };
    let read = InboundUpdate { read_at: Some(Timestamp(3)), ..InboundUpdate::of(chat, "g") };
    // A text has no need to wait, and goes.
    driver.happen([message(1, "1".to_owned())]);
    peer.take_inbound().await;
    driver.happen([Inbound::Update(read.clone())]);
    let held = tokio::time::timeout(std::time::Duration::from_millis(50), peer.inbound()).await;
    assert!(held.is_err(), "{held:?}");
    // What still runs holds nothing up.
    peer.settle(&[sends.id]).await;
    assert_eq!(peer.take_inbound().await.1, [Inbound::Update(read)]);
    driver.finish(waits.id, Outcome::Unknown);
    peer.reports_of(1).await;
}

#[tokio::test]
async fn long_texts_are_split_over_frames() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let all: Vec<_> = (0..200).map(|n| message(n, "\u{1F600}".repeat(20_000))).collect();
    driver.happen(all.clone());
    let (mut peer, _) = server.welcome(&[line()], &[]).await;
    let mut got = Vec::new();
    while got.len() < all.len() {
        got.extend(peer.take_inbound().await.1);
    }
    assert_eq!(got, all);
}

#[tokio::test]
async fn a_line_that_is_taken_up_later_is_pumped_and_one_that_is_dropped_is_not() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    driver.happen([message(0, "0".to_owned())]);
    let (first, second) = (line(), line());
    let (mut peer, _) = server.welcome(std::slice::from_ref(&first), &[]).await;
    assert_eq!(peer.inbound().await.0, first.id);
    peer.send(ServerFrame::Lines { lines: vec![second.clone()] }).await;
    let (line_id, ..) = peer.inbound().await;
    assert_eq!(line_id, second.id);
    // An answer that comes too late for the dropped line is no mistake.
    let results = Vec::new();
    let late = ServerFrame::Received { line_id: first.id, position: "1".to_owned(), results };
    peer.send(late).await;
    peer.send(ServerFrame::Lines { lines: vec![first.clone(), second] }).await;
    assert_eq!(peer.inbound().await.0, first.id);
}

#[tokio::test]
async fn an_answer_to_another_batch_ends_the_link() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    driver.happen([message(0, "0".to_owned())]);
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    peer.inbound().await;
    let (position, results) = ("7".to_owned(), Vec::new());
    peer.send(ServerFrame::Received { line_id: line.id, position, results }).await;
    peer.closed().await;
    let (mut peer, _) = server.welcome(&[line], &[]).await;
    assert_eq!(peer.take_inbound().await.0, "1");
}
