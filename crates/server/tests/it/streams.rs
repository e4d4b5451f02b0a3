//! Many live streams at once, and a store that has little room for reads.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use socket2::SockRef;
use switchboard_client::CreateKey;
use switchboard_store::sqlite::SqliteOptions;
use switchboard_testkit::{LINE, Setup, TestServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    live::{Heard, Live, parse, unchunked},
    wire::talk,
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

/// Sends a head and waits for the first block of the stream.
async fn open(server: &TestServer, head: &str) -> (TcpStream, Vec<u8>) {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.windows(2).any(|two| two == b"\n\n") {
        let read = tokio::time::timeout(SOON, stream.read_buf(&mut bytes)).await;
        assert!(read.expect("it begins").unwrap() > 0, "{}", String::from_utf8_lossy(&bytes));
    }
    (stream, bytes)
}

#[tokio::test]
async fn a_stream_is_the_last_answer_on_its_connection() {
    let server = TestServer::start().await;
    let key = server.tenant(LINE).await.key;
    let rest = format!("host: x\r\nauthorization: Bearer {key}\r\n");
    let mut streams = Vec::new();
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        // A body of no use, and another request behind it: in the same piece, and later.
        let another = format!("GET /v1/lines {version}\r\n{rest}\r\n");
        let begun = format!("GET /v1/events {version}\r\n{rest}content-length: 3\r\n\r\nabc");
        let (mut stream, bytes) = open(&server, &(begun + &another)).await;
        stream.write_all(another.as_bytes()).await.unwrap();
        streams.push((version, stream, bytes));
    }
    texts(&server, 0..3).await;
    for (_, stream, bytes) in &mut streams {
        while !String::from_utf8_lossy(bytes).contains("\"text\":\"2\"") {
            let read = tokio::time::timeout(SOON, stream.read_buf(bytes)).await;
            assert!(read.expect("the texts come").unwrap() > 0);
        }
    }
    let ended = streams.into_iter().map(async |(version, mut stream, mut bytes)| {
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await;
        read.expect("it ends").expect("it is not cut");
        (version, bytes)
    });
    let (ended, ()) = tokio::join!(join_all(ended), server.stop());
    for (version, bytes) in ended {
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("{version} 200 OK\r\n")), "{head}");
        assert!(head.lines().any(|line| line.starts_with("date: ") && line.ends_with(" GMT")));
        let body = if version == "HTTP/1.1" {
            for line in ["connection: close", "transfer-encoding: chunked"] {
                assert_eq!(head.lines().filter(|other| *other == line).count(), 1, "{head}");
            }
            let (body, behind) = unchunked(body.as_bytes());
            assert_eq!(behind.as_deref(), Some(&b""[..]), "it ends with its last chunk");
            String::from_utf8(body).unwrap()
        } else {
            body.to_owned()
        };
        let names: Vec<_> = body.split_inclusive("\n\n").map(parse).filter_map(named).collect();
        let wanted = [&["message.received"; 3][..], &["stream.closed"]].concat();
        assert_eq!(names, wanted, "{version}");
    }
}

fn named(heard: Heard) -> Option<String> {
    match heard {
        Heard::Event { name, .. } => Some(name),
        _ => None,
    }
}

/// A client that is gone leaves its place to another, and asking for no body opens no stream.
#[tokio::test]
async fn a_stream_ends_with_its_client() {
    let server = Setup::new().config(|config| config.quotas.max_streams = 1).start().await;
    let key = server.tenant(LINE).await.key;
    let rest = format!("host: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n");
    for turn in 0..4 {
        let get = format!("GET /v1/events HTTP/1.1\r\n{rest}");
        let (mut stream, _) = open(&server, &get).await;
        match turn {
            0 => drop(stream),
            1 => {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                drop(stream);
            }
            // Whoever sends no more takes no more.
            _ => {
                stream.shutdown().await.unwrap();
                let mut left = Vec::new();
                let read = tokio::time::timeout(SOON, stream.read_to_end(&mut left));
                read.await.expect("the server hangs up").unwrap();
            }
        }
        let head = format!("HEAD /v1/events HTTP/1.1\r\n{rest}");
        eventually("its place is free", async || {
            let answer = talk(&server.url, head.as_bytes()).await;
            let (status, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, "", "there is none");
            status.starts_with("HTTP/1.1 200 ").then_some(())
        })
        .await;
    }
    server.stop().await;
}
