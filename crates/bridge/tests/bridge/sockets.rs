//! Sockets: refused tokens, refused bridges, dead peers, an orderly stop.
//!
//! Where the clock is paused it jumps over every wait, also over time-outs while the
//! kernel is at work; so these tests take any number of further dials.

use std::{sync::Arc, time::Duration};

use switchboard_bridge::{Bridge, BridgeConfig, InvalidBridgeConfig, Refused};
use switchboard_model::{
    id::Id,
    link::{BridgeFrame, Outcome, Report, ServerFrame},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    fake_driver::FakeDriver,
    fake_server::{FakeServer, TOKEN, welcome},
    item, line, soon,
};

#[test]
fn what_can_not_be_dialled_is_refused_at_once() {
    let invalid = |url, token| BridgeConfig::new(url, token).unwrap_err();
    assert_eq!(invalid("http://127.0.0.1/bridge/v1/link", "t"), InvalidBridgeConfig::Url);
    assert_eq!(invalid("127.0.0.1:80", "t"), InvalidBridgeConfig::Url);
    assert_eq!(invalid("wss://host/bridge/v1/link", "a\nb"), InvalidBridgeConfig::Token);
    let config = BridgeConfig::new("wss://host/bridge/v1/link", "secret").unwrap();
    assert!(!format!("{config:?}").contains("secret"));
}

fn bye(reason: &str, retry: bool) -> ServerFrame {
    ServerFrame::Bye { reason: reason.to_owned(), retry, superseded: false }
}

#[tokio::test]
async fn a_bridge_that_is_not_wanted_stops_and_says_why() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver).await;
    let mut peer = server.accept().await;
    assert!(matches!(peer.next().await, BridgeFrame::Hello { .. }));
    peer.send(bye("restarting", true)).await;
    let (mut peer, _) = server.welcome(&[], &[]).await;
    peer.send(bye("it was revoked", false)).await;
    let ended = soon(server.bridge).await.expect("no panic");
    assert_eq!(ended, Err(Refused { reason: "it was revoked".to_owned() }));
}

#[tokio::test]
async fn a_frame_that_can_not_be_read_ends_the_socket_not_the_bridge() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver).await;
    let (mut peer, _) = server.welcome(&[], &[]).await;
    peer.send(welcome(&[], &[])).await;
    peer.closed().await;
    server.welcome(&[], &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_tried_again_slowly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/bridge/v1/link", listener.local_addr().unwrap());
    let (driver, _started) = FakeDriver::new();
    let stop = CancellationToken::new();
    let config = BridgeConfig::new(&url, TOKEN).unwrap();
    let bridge = tokio::spawn(Bridge::new(config, driver).run(stop.clone()));
    let mut dialled = Vec::new();
    while dialled.len() < 4 {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        if socket.read(&mut request).await.unwrap_or(0) == 0 {
            continue;
        }
        let answer = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        if socket.write_all(answer).await.is_ok() {
            dialled.push(Instant::now());
        }
    }
    for pair in dialled.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(2_500), "{pair:?}");
    }
    stop.cancel();
    assert_eq!(bridge.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_dialled_again() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver).await;
    let silent = server.welcome(&[], &[]).await;
    let began = Instant::now();
    // It never reads again, so no ping is answered.
    let again = server.dialled().await;
    assert!(began.elapsed() >= Duration::from_secs(45), "{:?}", began.elapsed());
    drop((silent, again));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_says_welcome_is_dialled_again() {
    let (driver, _started) = FakeDriver::new();
    let server = FakeServer::start(driver).await;
    let silent = server.accept().await;
    let began = Instant::now();
    let again = server.dialled().await;
    assert!(began.elapsed() >= Duration::from_secs(10), "{:?}", began.elapsed());
    drop((silent, again));
}

#[tokio::test]
async fn a_stop_lets_what_runs_be_reported_and_settled() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    let chat = Id::generate();
    let (one, two) =
        (item(&line, chat, "+15550100002", "1"), item(&line, chat, "+15550100002", "2"));
    peer.give(&[one.clone(), two]).await;
    assert_eq!(started.next().await, one.id);
    server.stop.cancel();
    driver.finish(one.id, Outcome::Unknown);
    let told = loop {
        match peer.next().await {
            BridgeFrame::Report { reports } => break reports,
            BridgeFrame::Line { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told, [Report { id: one.id, outcome: Outcome::Unknown }]);
    peer.settle(&[one.id]).await;
    peer.closed().await;
    assert_eq!(soon(server.bridge).await.unwrap(), Ok(()));
    started.nothing_more();
    assert_eq!(Arc::strong_count(&driver), 1, "a task was left behind");
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_driver_that_hangs() {
    let (driver, mut started) = FakeDriver::new();
    let server = FakeServer::start(driver.clone()).await;
    let line = line();
    let (mut peer, _) = server.welcome(std::slice::from_ref(&line), &[]).await;
    peer.give(&[item(&line, Id::generate(), "+15550100002", "1")]).await;
    started.next().await;
    let began = Instant::now();
    server.stop.cancel();
    assert_eq!(soon(server.bridge).await.unwrap(), Ok(()));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(Arc::strong_count(&driver), 1, "a task was left behind");
}
