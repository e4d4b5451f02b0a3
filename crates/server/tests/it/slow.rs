//! Readers of the live stream that take their time, and keys that end while they read (§9).

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use socket2::SockRef;
use switchboard_client::{CreateKey, Event};
use switchboard_model::{Code, Timestamp, time::Clock};
use switchboard_testkit::{LINE, Setup, TestClock, TestServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    call::{Call, assert_refused},
    live::{Heard, Live, parse, unchunked},
    world::{CONTACT, SOON},
};

/// Longer than the server waits before it ends the stream of a slow reader, and before it cuts its connection.
const SLOW: Duration = Duration::from_secs(31);
const GONE: Duration = Duration::from_secs(61);

/// So many events of 80 kB are more than the machine holds for a connection that nobody reads.
const MANY: usize = 60;

async fn server(change: impl FnOnce(Setup) -> Setup) -> (TestServer, Arc<TestClock>) {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (change(setup).start().await, clock)
}

/// Texts the line so often: a number, and something long.
async fn texts(server: &TestServer, count: usize) {
    let filler = "😀".repeat(19_000);
    for number in 0..count {
        server.text(LINE, CONTACT, &format!("{number} {filler}")).await;
    }
}

fn number(data: &Value) -> usize {
    data["text"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// A stream from the beginning that nobody reads: the server waits for room to write.
async fn open_unread(
    server: &TestServer,
    clock: &TestClock,
    key: &str,
    version: &str,
) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // Small, so that what is not read soon waits on the server's side.
    socket.set_recv_buffer_size(4096).unwrap();
    let address = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let sleepers = clock.sleepers();
    let rest = format!("host: x\r\nauthorization: Bearer {key}\r\n\r\n");
    let head = format!("GET /v1/events?since=0 {version}\r\n{rest}");
    stream.write_all(head.as_bytes()).await.unwrap();
    // From now on it counts how long nothing is taken.
    eventually("the server waits", async || (clock.sleepers() > sleepers).then_some(())).await;
    stream
}

/// All that comes: the events with their ids, and what came at the very end.
async fn read_out(mut stream: TcpStream) -> (Vec<(String, Value)>, Option<Value>) {
    let mut bytes = Vec::new();
    SockRef::from(&stream).set_recv_buffer_size(1024 * 1024).unwrap();
    let reading = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes));
    // A connection that is cut may end with an error: what came before it counts.
    let _ = reading.await.expect("the connection ends");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (head, body) = (str::from_utf8(&bytes[..end]).unwrap(), &bytes[end + 4..]);
    assert!(head.starts_with("HTTP/1.") && head[8..].starts_with(" 200 "), "{head}");
    let body = if head.starts_with("HTTP/1.1") { unchunked(body).0 } else { body.to_vec() };
    let end = body.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let body = str::from_utf8(&body[..end]).unwrap();
    let (mut events, mut closed) = (Vec::new(), None);
    for block in body.split_inclusive("\n\n").filter(|block| block.ends_with('\n')) {
        assert_eq!(closed, None, "nothing after the last");
        match parse(block) {
            Heard::Event { id: Some(id), data, .. } => events.push((id, data)),
            Heard::Event { id: None, name, data } => {
                assert_eq!(name, "stream.closed");
                closed = Some(data);
            }
            Heard::Place(_) | Heard::Comment => {}
            Heard::End => unreachable!("a block is no end"),
        }
    }
    (events, closed)
}

/// That the rest comes to who resumes behind this event, and then what is new.
async fn assert_resumes(server: &TestServer, key: &str, events: &[(String, Value)]) {
    let numbers: Vec<_> = events.iter().map(|(_, data)| number(data)).collect();
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
    assert!(!numbers.is_empty() && numbers.len() < MANY, "{} of {MANY}", numbers.len());
    let mut live = Live::resume(server, key, "", &events.last().unwrap().0).await;
    server.text(LINE, CONTACT, &format!("{MANY} is new")).await;
    for wanted in numbers.len()..=MANY {
        let (_, _, data) = live.next().await;
        assert_eq!(number(&data), wanted, "neither a gap nor a repeat");
    }
}

/// HTTP/1.1 has chunks; before, a body ends with its connection.
const VERSIONS: [&str; 2] = ["HTTP/1.0", "HTTP/1.1"];

#[tokio::test]
async fn a_slow_reader_is_told_so_and_resumes_where_it_was() {
    for version in VERSIONS {
        tell_a_slow_reader(version).await;
    }
}

async fn tell_a_slow_reader(version: &str) {
    let (server, clock) = server(|setup| setup).await;
    let tenant = server.tenant(LINE).await;
    texts(&server, MANY).await;
    let slow = open_unread(&server, &clock, &tenant.key, version).await;
    let mut quick = Live::open(&server, &tenant.key, "").await;
    clock.advance(SLOW);

    let (events, closed) = read_out(slow).await;
    let last = &events.last().unwrap().0;
    assert_eq!(closed, Some(json!({ "reason": "slow_reader", "last_event_id": last })));
    assert_resumes(&server, &tenant.key, &events).await;
    // One that has read all there was is not slow, however long nothing came.
    assert_eq!(number(&quick.next().await.2), MANY);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_never_comes_back_loses_its_place_but_no_event() {
    for version in VERSIONS {
        forget_a_reader(version).await;
    }
}

async fn forget_a_reader(version: &str) {
    let (server, clock) =
        server(|setup| setup.config(|config| config.quotas.max_streams = 1)).await;
    let tenant = server.tenant(LINE).await;
    texts(&server, MANY).await;
    let gone = open_unread(&server, &clock, &tenant.key, version).await;
    let another = Call::get("/v1/events").key(&tenant.key);
    assert_refused("full", &another.send(&server.url).await, Code::ServiceUnavailable, None);
    clock.advance(GONE);
    let free = async || (another.send(&server.url).await.status == 200).then_some(());
    eventually("its place is free", free).await;
    let (events, closed) = read_out(gone).await;
    assert_eq!(closed, None, "nobody was there to be told");
    eventually("the other's place is free", free).await;
    assert_resumes(&server, &tenant.key, &events).await;
    server.stop().await;
}

#[tokio::test]
async fn slow_readers_take_little_memory() {
    const READERS: u64 = 20;
    let (server, clock) = server(|setup| setup).await;
    let tenant = server.tenant(LINE).await;
    texts(&server, MANY).await;
    // Once to the end, so that what one reading takes is no part of the difference.
    let warm = open_unread(&server, &clock, &tenant.key, "HTTP/1.1").await;
    let before = resident_kib();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let reader = open_unread(&server, &clock, &tenant.key, "HTTP/1.1").await;
        readers.push(reader);
    }
    let each = resident_kib().saturating_sub(before) / READERS;
    // All that waits would be 4.8 MB for each.
    assert!(each < 700, "{each} KiB for each reader");
    drop((readers, warm));
    server.stop().await;
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_key_that_ends_reads_no_further() {
    let (server, clock) = server(|setup| setup).await;
    let tenant = server.tenant(LINE).await;
    let admin = server.admin();
    let make = async |expires_at| {
        let mut key = CreateKey::new(tenant.account, "test");
        key.expires_at = expires_at;
        admin.create_key(&key).await.unwrap().value
    };
    let minute = Duration::from_secs(60);
    let revoked = make(None).await;
    let expiring = make(Some(clock.now() + minute)).await;
    let mut stays = Live::open(&server, &tenant.key, "").await;
    let mut first = Live::open(&server, revoked.secret.reveal(), "").await;
    let mut second = Live::open(&server, expiring.secret.reveal(), "").await;
    server.text(LINE, CONTACT, "0").await;
    assert_eq!(number(&first.next().await.2), 0);

    // Nothing happens but the revocation.
    admin.revoke_key(revoked.key.id).await.unwrap();
    server.text(LINE, CONTACT, "1").await;
    assert_eq!(first.closed(SOON).await, (Vec::new(), "key_revoked".to_owned()));
    let (events, _) = (second.next().await, second.next().await);
    assert_eq!(number(&events.2), 0);
    clock.advance(minute);
    assert_eq!(second.closed(SOON).await, (Vec::new(), "key_expired".to_owned()));
    for number in 0..2 {
        assert_eq!(self::number(&stays.next().await.2), number);
    }
    for key in [revoked.secret.reveal(), expiring.secret.reveal()] {
        let again = Call::get("/v1/events").key(key).send(&server.url).await;
        assert_refused("again", &again, Code::InvalidApiKey, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_was_ready_for_a_revoked_key_is_not_given_out() {
    let (server, clock) = server(|setup| setup).await;
    let tenant = server.tenant(LINE).await;
    texts(&server, MANY).await;
    let key = server.admin().create_key(&CreateKey::new(tenant.account, "test")).await.unwrap();
    let reader = open_unread(&server, &clock, key.value.secret.reveal(), "HTTP/1.1").await;
    server.admin().revoke_key(key.value.key.id).await.unwrap();
    let (events, closed) = read_out(reader).await;
    assert!(events.len() < MANY, "what was under way may come, no more");
    assert_eq!(closed.unwrap()["reason"], "key_revoked");
    server.stop().await;
}

/// The SDK's stream, with somebody who never stops writing, over restarts on the same address.
#[tokio::test]
async fn a_stream_outlives_the_server_while_events_keep_arriving() {
    let mut server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mut stream = tenant.client.events().since(Timestamp(0)).open().await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let writing = tokio::spawn({
        let (phones, stop) = (server.phones(), stop.clone());
        async move {
            let mut number = 0;
            while !stop.is_cancelled() {
                let text = switchboard_client::ContactText {
                    line: LINE.to_owned(),
                    from: CONTACT.to_owned(),
                    text: Some(number.to_string()),
                    ..Default::default()
                };
                number += 1;
                // While the server is away nobody takes it; the chat tells what came of it.
                let _ = phones.text(&text).await;
            }
        }
    });
    let mut heard = Vec::new();
    for round in 1..=3 {
        let wanted = heard.len() + 20;
        while heard.len() < wanted {
            heard.push(guid(stream.next().await));
        }
        assert!(!writing.is_finished(), "round {round}");
        // It goes on being read while the server is away.
        let restarting = tokio::spawn(server.restart());
        server = loop {
            if restarting.is_finished() {
                break restarting.await.unwrap();
            }
            let next = tokio::time::timeout(Duration::from_millis(20), stream.next()).await;
            heard.extend(next.ok().map(guid));
        };
    }
    stop.cancel();
    writing.await.unwrap();
    let written = tenant.client.messages(LINE, CONTACT).all(1_000_000).await.unwrap();
    let written: Vec<_> = written.into_iter().rev().map(|message| message.guid).collect();
    while heard.len() < written.len() {
        let next = tokio::time::timeout(SOON, stream.next()).await;
        heard.push(guid(next.expect("the stream gives all that was written")));
    }
    assert_eq!(heard, written);
    server.stop().await;
}

fn guid(event: Option<switchboard_client::Result<switchboard_client::LiveEvent>>) -> String {
    match event.expect("the stream has no end").unwrap().data {
        Event::MessageReceived(event) => event.message.guid,
        other => panic!("{other:?}"),
    }
}
