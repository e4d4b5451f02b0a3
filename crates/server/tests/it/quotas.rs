//! What one account, key or address may have of what all share, and that the others have theirs all the same.

use std::{io, sync::Arc, time::Duration};

use serde_json::json;
use switchboard_client::{RawAnswer, Upload};
use switchboard_model::{Code, link::ReconciledState, time::Clock};
use switchboard_testkit::{LINE, Receiver, Setup, TestClock, TestServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    attempts::hook,
    bridge::Mac,
    call::{Call, assert_refused},
    fixtures::{Sample, texts},
    live::Live,
    told::{taken, tell, text},
    world::{CONTACT, MAC, SECOND, SOON},
};

fn names(answer: &RawAnswer, setting: &str) -> bool {
    answer.body["error"]["message"].as_str().is_some_and(|message| message.contains(setting))
}

#[tokio::test]
async fn a_key_and_an_account_have_so_many_streams_and_others_have_theirs() {
    let setup = Setup::new().config(|config| {
        config.quotas.max_streams = 10;
        config.quotas.max_streams_per_account = Some(3);
        config.quotas.max_streams_per_key = Some(2);
    });
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(SECOND).await;
    let key = switchboard_client::CreateKey::new(tenant.account, "second");
    let second = server.admin().create_key(&key).await.unwrap().value;
    let second = second.secret.reveal();
    let open = async |key: &str| Live::open(&server, key, "").await;
    let refused = async |key: &str, setting: &str| {
        let answer = Call::get("/v1/events").key(key).send(&server.url).await;
        assert_refused(setting, &answer, Code::RateLimitExceeded, None);
        assert!(names(&answer, setting), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("30"));
    };
    let first = open(&tenant.key).await;
    let _second = open(&tenant.key).await;
    refused(&tenant.key, "--max-streams-per-key").await;
    let _third = open(second).await;
    refused(second, "--max-streams-per-account").await;
    let _theirs = open(&other.key).await;
    drop(first);
    eventually("there is room again", async || {
        let answer = Call::get("/v1/events").key(second).open(&server.url).await;
        (answer.status() == 200).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn an_account_has_so_many_bytes_stored_and_loses_nothing_that_comes_in() {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.config(|config| config.quotas.max_stored_bytes = 12_000).start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(SECOND).await;
    let png = Sample::png();
    png.uploaded(&server, &tenant.key).await;
    let named = || png.upload(&tenant.key).header("idempotency-key", "last");
    let last = named().send(&server.url).await;
    assert_eq!(last.status, 201, "{last:?}");
    // The same again needs no room.
    assert_eq!(named().send(&server.url).await.bytes, last.bytes);
    // Refused before it comes, and where nobody said how much would come; with a key that is new, too.
    let refused = png.upload(&tenant.key).send(&server.url).await;
    assert_refused("too much", &refused, Code::FileTooLarge, None);
    for says in ["--max-stored-bytes", "after a day", &(2 * png.bytes.len()).to_string()] {
        assert!(names(&refused, says), "{says}: {refused:?}");
    }
    let refused = png.upload(&tenant.key).header("idempotency-key", "new").send(&server.url).await;
    assert_refused("too much", &refused, Code::FileTooLarge, None);
    let mut stream = chunked(&server, &tenant.key, "", &png.bytes).await;
    assert!(ended(&mut stream).await.starts_with("HTTP/1.1 413 "));
    // What another request had with this key is known when all has come, and costs no room.
    let mut stream = chunked(&server, &tenant.key, "idempotency-key: last\r\n", &png.bytes).await;
    stream.write_all(b"1\r\nx\r\n0\r\n\r\n").await.unwrap();
    let answer = ended(&mut stream).await;
    assert!(answer.contains("idempotency_mismatch"), "{answer}");
    // Another account has its own, and a contact's photo comes all the same.
    png.uploaded(&server, &other.key).await;
    let photo = json!({ "line": LINE, "from": CONTACT, "attachments": [png.attached()] });
    texts(&server, &photo).await;
    eventually("the photo came", async || {
        let messages = tenant.client.messages(LINE, CONTACT).all(10).await.ok()?;
        messages
            .iter()
            .any(|message| message.attachments.iter().any(|one| one.url.is_some()))
            .then_some(())
    })
    .await;
    // What was never sent goes after a day, and makes room.
    eventually("there is room again", async || {
        clock.advance(Duration::from_secs(13 * 3600));
        (png.upload(&tenant.key).send(&server.url).await.status == 201).then_some(())
    })
    .await;
    server.stop().await;
}

/// Begins an upload that does not say how long it is.
async fn chunked(server: &TestServer, key: &str, header: &str, bytes: &[u8]) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: image/png\r\n\
         {header}connection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        bytes.len()
    );
    stream.write_all(&[head.as_bytes(), bytes, b"\r\n"].concat()).await.unwrap();
    stream
}

/// What is answered until the connection ends.
async fn ended(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.expect("it is answered").unwrap();
    answer
}

#[tokio::test]
async fn what_is_on_its_way_counts_as_stored() {
    let server =
        Setup::new().config(|config| config.quotas.max_stored_bytes = 12_000).start().await;
    let tenant = server.tenant(LINE).await;
    let png = Sample::png();
    png.uploaded(&server, &tenant.key).await;
    let most = 12_000 - png.bytes.len();
    // None of them ends. One fits, and of two at once one at least does not, keyed or not.
    let mut open = Vec::new();
    for header in ["", "idempotency-key: a\r\n", "", "idempotency-key: b\r\n"] {
        open.push(chunked(&server, &tenant.key, header, &vec![b'x'; most / 2 + 1]).await);
    }
    let deadline = Instant::now() + SOON;
    while open.len() > 1 {
        assert!(Instant::now() < deadline, "{} are under way", open.len());
        let mut under_way = Vec::new();
        for mut stream in open {
            match timeout(Duration::from_millis(20), stream.readable()).await {
                Err(_) => under_way.push(stream),
                Ok(_) => assert!(ended(&mut stream).await.contains("--max-stored-bytes")),
            }
        }
        open = under_way;
    }
    // What is given up makes room.
    drop(open);
    eventually("there is room again", async || {
        (png.upload(&tenant.key).send(&server.url).await.status == 201).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn an_account_has_so_many_replays_running() {
    let server = Setup::new().config(|config| config.quotas.max_replays = 0).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = hook(&tenant, &receiver).await;
    let body = json!({ "id": webhook.id, "since": 1 });
    let path = "/v1/webhooks/replay";
    let answer = Call::post(path, &body).key(&tenant.key).send(&server.url).await;
    assert_refused("too many", &answer, Code::RateLimitExceeded, None);
    assert!(names(&answer, "--max-replays"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("30"));
    server.stop().await;
}

/// Begins the head of a request.
async fn begin(server: &TestServer) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(b"GET /v1/lines HTTP/1.1\r\nx-slow: ").await.unwrap();
    stream
}

/// Sends one more piece of each head, and leaves those that the server has ended.
async fn go_on(heads: &mut Vec<TcpStream>, piece: &[u8]) {
    for head in heads.iter_mut() {
        // Whether it was ended is seen below.
        let _ = head.write_all(piece).await;
    }
    heads.retain(|head| {
        let read = head.try_read(&mut [0; 1024]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    });
}

/// Goes on until the server has ended one of them, and a little longer.
async fn until_one_is_ended(heads: &mut Vec<TcpStream>, piece: &[u8]) {
    let (all, deadline) = (heads.len(), Instant::now() + SOON);
    while heads.len() == all {
        assert!(Instant::now() < deadline, "none was ended");
        sleep(Duration::from_millis(5)).await;
        go_on(heads, piece).await;
    }
    for _ in 0..10 {
        sleep(Duration::from_millis(5)).await;
        go_on(heads, b"").await;
    }
    assert_eq!(heads.len(), all - 1);
}

#[tokio::test]
async fn an_address_has_so_many_heads_incomplete() {
    let setup = Setup::new().config(|config| config.quotas.max_partial_heads_per_address = 3);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(begin(&server).await);
    }
    until_one_is_ended(&mut slow, b"x").await;
    // Whoever sends a head as everybody does is not touched.
    let lines = Call::get("/v1/lines").key(&tenant.key);
    assert_eq!(lines.send(&server.url).await.status, 200);
    // One that comes to its end is answered, and makes room; so does one that is given up.
    let mut done = slow.remove(0);
    let rest = format!("\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", tenant.key);
    done.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(SOON, done.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(slow.remove(0));
    // Room for two, and no more.
    let deadline = Instant::now() + SOON;
    while slow.len() < 3 {
        assert!(Instant::now() < deadline, "there is no room again");
        slow.push(begin(&server).await);
        for _ in 0..20 {
            sleep(Duration::from_millis(5)).await;
            go_on(&mut slow, b"x").await;
        }
    }
    slow.push(begin(&server).await);
    until_one_is_ended(&mut slow, b"x").await;
    server.stop().await;
}

#[tokio::test]
async fn large_heads_share_a_budget() {
    let setup = Setup::new().config(|config| config.quotas.max_partial_heads = 100_000);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let mut large = Vec::new();
    for _ in 0..3 {
        let mut head = begin(&server).await;
        head.write_all(&[b'x'; 40_000]).await.unwrap();
        large.push(head);
    }
    until_one_is_ended(&mut large, b"").await;
    let lines = Call::get("/v1/lines").key(&tenant.key);
    assert_eq!(lines.send(&server.url).await.status, 200);
    server.stop().await;
}

/// Requests that need no key, and two that are refused before their bodies are read.
const PIPELINED: [&str; 3] = [
    "GET /live HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{\"a\": 12}",
    "POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
];

/// Sends whole requests and what is behind them in one piece, and takes the answers.
async fn pipeline(server: &TestServer, requests: &[&str], behind: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all([requests.concat().as_str(), behind].concat().as_bytes()).await.unwrap();
    for request in requests {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(SOON, stream.read_u8()).await.expect("it is answered");
            head.push(byte.unwrap_or_else(|error| panic!("{request}: {error}")));
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length = length.split_once("\r\n").unwrap().0.parse().unwrap();
        timeout(SOON, stream.read_exact(&mut vec![0; length])).await.unwrap().unwrap();
    }
    stream
}

#[tokio::test]
async fn a_head_behind_a_whole_request_counts_as_any_other() {
    for request in PIPELINED {
        let setup = Setup::new().config(|config| {
            config.quotas.max_partial_heads_per_address = 3;
            config.quotas.max_partial_heads = 100_000;
        });
        let server = setup.start().await;
        // Who waits after an answer, even to requests in one piece, has begun no head.
        let mut idle = Vec::new();
        for count in 1..=5 {
            idle.push(pipeline(&server, &[request], "").await);
            idle.push(pipeline(&server, &vec![PIPELINED[0]; count], "").await);
        }
        let mut slow = Vec::new();
        for _ in 0..4 {
            slow.push(pipeline(&server, &[request], "GET /live HTTP/1.1\r\nx-slow: ").await);
        }
        until_one_is_ended(&mut slow, b"").await;
        go_on(&mut idle, b"").await;
        assert_eq!(idle.len(), 10, "{request}");
        // Each is answered when it comes to its end.
        for head in &mut slow {
            head.write_all(b"x\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = [0; 12];
            timeout(SOON, head.read_exact(&mut answer)).await.unwrap().unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
        }
        drop(slow);
        let mut large = Vec::new();
        let long = format!("GET /live HTTP/1.1\r\nx-slow: {}", "x".repeat(40_000));
        for _ in 0..3 {
            large.push(pipeline(&server, &[request, PIPELINED[0]], &long).await);
        }
        until_one_is_ended(&mut large, b"").await;
        server.stop().await;
    }
}

#[tokio::test]
async fn what_comes_on_a_link_or_in_a_body_is_no_head() {
    let setup = Setup::new().config(|config| config.quotas.max_partial_heads = 64 * 1024);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    for number in 0..3 {
        let long = text(&number.to_string(), &"x".repeat(200_000));
        tell(&mut link, &mac.line, &number.to_string(), &[long]).await;
        assert!(taken(&mut link).await[0].message_id.is_some());
        let upload = Upload::bytes(vec![b'x'; 200_000]).filename("x.txt");
        tenant.client.upload(upload).await.unwrap();
    }
    drop(link);
    server.stop().await;
}
