//! Many live streams at once, and a store that has little room for reads.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use socket2::SockRef;
use switchboard_client::CreateKey;
use switchboard_store::sqlite::SqliteOptions;
use switchboard_testkit::{LINE, Setup, TestServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use crate::{
    live::{Heard, Live, parse},
    world::{CONTACT, SOON},
};

/// So many at once ask for more than the store takes.
const STREAMS: usize = 300;
/// How long all of them may take.
const ALL: Duration = Duration::from_secs(60);

fn narrow() -> Setup {
    Setup::new().store(SqliteOptions {
        read_queue: 24,
        read_queue_of_one: 8,
        ..SqliteOptions::default()
    })
}

async fn texts(server: &TestServer, numbers: std::ops::Range<usize>) {
    for number in numbers {
        server.text(LINE, CONTACT, &number.to_string()).await;
    }
}

fn number(data: &Value) -> usize {
    data["text"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// Takes events until the last of these, and nothing but these, in order.
async fn hear(live: &mut Live, numbers: std::ops::Range<usize>) {
    for wanted in numbers {
        assert_eq!(number(&live.next().await.2), wanted, "neither a gap nor a repeat");
    }
}

#[tokio::test]
async fn of_many_streams_none_ends_because_the_store_is_busy() {
    let server = narrow().start().await;
    let tenant = server.tenant(LINE).await;
    texts(&server, 0..20).await;
    let mut first = Live::open(&server, &tenant.key, "?since=0").await;
    let mut ids = vec![first.place().to_owned()];
    for _ in 0..20 {
        ids.push(first.next().await.0);
    }
    // Each is behind by another number of events, and some by none.
    let opening = (0..STREAMS).map(|stream| {
        let behind = stream % ids.len();
        let (server, key, last) = (&server, &tenant.key, &ids[behind]);
        async move { (behind, Live::resume(server, key, "", last).await) }
    });
    let mut streams = join_all(opening).await;
    // All keys are looked up anew.
    server.admin().create_key(&CreateKey::new(tenant.account, "another")).await.unwrap();
    texts(&server, 20..30).await;
    let hearing = join_all(streams.iter_mut().map(async |(behind, live)| {
        hear(live, *behind..30).await;
    }));
    tokio::time::timeout(ALL, hearing).await.expect("all come to all");
    texts(&server, 30..32).await;
    let hearing = join_all(streams.iter_mut().map(async |(_, live)| hear(live, 30..32).await));
    tokio::time::timeout(ALL, hearing).await.expect("all come to all");
    drop(streams);
    server.stop().await;
}

#[tokio::test]
async fn many_that_come_back_at_once_are_let_in() {
    let server = narrow().start().await;
    let tenant = server.tenant(LINE).await;
    texts(&server, 0..1).await;
    // Nothing of them is known any more.
    server.admin().create_key(&CreateKey::new(tenant.account, "another")).await.unwrap();
    let opening = (0..STREAMS).map(|_| Live::open(&server, &tenant.key, ""));
    let mut streams = join_all(opening).await;
    texts(&server, 1..2).await;
    let hearing = join_all(streams.iter_mut().map(async |live| hear(live, 1..2).await));
    tokio::time::timeout(ALL, hearing).await.expect("it comes to all");
    drop(streams);
    server.stop().await;
}

/// More than is kept in memory passes while the reader takes nothing.
#[tokio::test]
async fn who_falls_behind_reads_on_from_the_store() {
    const MANY: usize = 60;
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let head = format!("GET /v1/events HTTP/1.0\r\nauthorization: Bearer {}\r\n\r\n", tenant.key);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !text.windows(2).any(|two| two == b"\n\n") {
        stream.read_buf(&mut text).await.unwrap();
    }
    let filler = "😀".repeat(19_000);
    for number in 0..MANY {
        server.text(LINE, CONTACT, &format!("{number} {filler}")).await;
    }
    // Whoever keeps up meanwhile is served from memory.
    let mut quick = Live::open(&server, &tenant.key, "?since=0").await;
    hear(&mut quick, 0..MANY).await;
    SockRef::from(&stream).set_recv_buffer_size(1024 * 1024).unwrap();
    let mut heard = 0;
    while heard < MANY {
        let read = tokio::time::timeout(SOON, stream.read_buf(&mut text)).await;
        assert!(read.expect("more comes").unwrap() > 0, "it is not cut after {heard}");
        while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = text.drain(..end + 2).collect();
            let block = String::from_utf8(block).unwrap();
            let block = block.rsplit("\r\n\r\n").next().unwrap();
            if let Heard::Event { id: Some(_), data, .. } = parse(block) {
                assert_eq!(number(&data), heard, "neither a gap nor a repeat");
                heard += 1;
            }
        }
    }
    server.stop().await;
}

/// A stream that ends gives its place at the feed to another; what was read for it must not come to that.
#[tokio::test]
async fn streams_come_and_go_while_events_pass() {
    let server = narrow().start().await;
    let tenant = server.tenant(LINE).await;
    texts(&server, 0..10).await;
    let mut first = Live::open(&server, &tenant.key, "?since=0").await;
    let mut ids = vec![first.place().to_owned()];
    for _ in 0..10 {
        ids.push(first.next().await.0);
    }
    let coming = (0..40).map(|stream: usize| {
        let (server, key, ids) = (&server, &tenant.key, &ids);
        async move {
            for turn in 0..5 {
                let behind = (stream * 7 + turn * 3) % ids.len();
                let mut live = Live::resume(server, key, "", &ids[behind]).await;
                // Some leave before they have heard anything.
                let most = if (stream + turn).is_multiple_of(3) { 0 } else { 10 - behind };
                hear(&mut live, behind..behind + most).await;
            }
        }
    });
    tokio::time::timeout(ALL, join_all(coming)).await.expect("all come to all");
    texts(&server, 10..11).await;
    hear(&mut first, 10..11).await;
    drop(first);
    server.stop().await;
}
