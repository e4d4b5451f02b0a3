//! Bodies that come slowly, not whole, or too long: given up in time, and nothing of them is left (§3).

use std::{sync::Arc, time::Duration};

use serde_json::json;
use switchboard_client::CreateKey;
use switchboard_model::{Code, time::Clock};
use switchboard_testkit::{LINE, Setup, Tenant, TestClock, TestServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    call::Call,
    files::{keeps, kept},
    world::{CONTACT, SOON, send_with},
};

const MAX_FILE: usize = 2_000_000;
/// What is written at a time.
const PART: usize = 256 * 1024;
const MAX_BODY: usize = 4096;
/// Longer than an upload may pause, and than a body may take.
const PAUSE: Duration = Duration::from_secs(31);
const CHUNKED: &str = "transfer-encoding: chunked";

struct Slow {
    server: TestServer,
    clock: Arc<TestClock>,
    tenant: Tenant,
}

impl Slow {
    async fn start() -> Self {
        let clock = TestClock::now();
        let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).config(|config| {
            config.max_file = MAX_FILE as u64;
            config.max_body = MAX_BODY as u64;
        });
        let server = setup.start().await;
        let tenant = server.tenant(LINE).await;
        Self { server, clock, tenant }
    }

    /// Begins a POST with this header of its length.
    async fn begin(&self, path: &str, length: &str) -> TcpStream {
        let address = self.server.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: k\r\n{length}\r\n\r\n",
            self.tenant.key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Sends this and waits until the server waits for more.
    async fn send_and_wait(&self, stream: &mut TcpStream, bytes: &[u8]) {
        let sleepers = self.clock.sleepers();
        stream.write_all(bytes).await.unwrap();
        let waits = async || (self.clock.sleepers() > sleepers).then_some(());
        eventually("the server waits for more", waits).await;
    }

    /// Time passes, and the server gives it up. More than once: the server's jobs sleep by the same clock, and one of them
    /// may have been taken for the request that waits.
    async fn assert_given_up(&self, stream: TcpStream, code: Code) {
        let passing = async {
            loop {
                self.clock.advance(PAUSE);
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        tokio::select! {
            () = assert_answer_and_end(stream, code) => {}
            () = passing => {}
        }
    }

    async fn upload(&self) -> switchboard_client::RawAnswer {
        let upload = Call::new(http::Method::POST, "/v1/files").raw("whole").key(&self.tenant.key);
        upload.header("idempotency-key", "k").send(&self.server.url).await
    }
}

/// The answer of a connection that ends with it.
async fn assert_answer_and_end(mut stream: TcpStream, code: Code) {
    assert_answer(&mut stream, code).await;
    let end = tokio::time::timeout(SOON, stream.read(&mut [0])).await.expect("it ends");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

async fn assert_answer(stream: &mut TcpStream, code: Code) {
    let mut answer = Vec::new();
    let reading = async {
        while !answer.ends_with(b"\"}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "it ends too early");
        }
    };
    tokio::time::timeout(SOON, reading).await.expect("an answer comes");
    let answer = String::from_utf8(answer).unwrap();
    let status = format!("HTTP/1.1 {} ", code.status());
    assert!(answer.starts_with(&status) && answer.contains(code.as_str()), "{answer}");
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let slow = Slow::start().await;
    for length in [format!("content-length: {MAX_FILE}"), CHUNKED.to_owned()] {
        let mut upload = slow.begin("/v1/files", &length).await;
        let some = chunk(&[b'x'; 50_000]);
        slow.send_and_wait(&mut upload, &some).await;
        keeps(&slow.server, 1).await;
        slow.assert_given_up(upload, Code::InvalidParameterValue).await;
        keeps(&slow.server, 0).await;
    }
    // Nothing of it is remembered under its Idempotency-Key, and nobody waits for it.
    let answer = slow.upload().await;
    assert_eq!((answer.status, answer.is_replayed()), (201, false), "{answer:?}");
    assert_eq!(kept(&slow.server).len(), 1);
    slow.server.stop().await;
}

#[tokio::test]
async fn an_upload_that_drips_is_given_up_too() {
    let slow = Slow::start().await;
    let mut upload = slow.begin("/v1/files", &format!("content-length: {MAX_FILE}")).await;
    slow.send_and_wait(&mut upload, b"x").await;
    for _ in 0..3 {
        // No pause is too long, but it would take half a year.
        slow.clock.advance(Duration::from_secs(15));
        let _ = upload.write_all(b"x").await;
        // What was there before a question is taken before its answer comes.
        for _ in 0..2 {
            let lines = Call::get("/v1/lines").key(&slow.tenant.key);
            assert_eq!(lines.send(&slow.server.url).await.status, 200);
        }
    }
    assert_answer_and_end(upload, Code::InvalidParameterValue).await;
    keeps(&slow.server, 0).await;

    // One that is slow, but fast enough, may take its time.
    let length = format!("connection: close\r\ncontent-length: {}", 4 * PART);
    let mut upload = slow.begin("/v1/files", &length).await;
    for part in 1..4 {
        upload.write_all(&[b'x'; PART]).await.unwrap();
        let written = async || {
            let file = kept(&slow.server).pop()?;
            (std::fs::metadata(file).ok()?.len() == (part * PART) as u64).then_some(())
        };
        eventually("it is written", written).await;
        slow.clock.advance(Duration::from_secs(25));
    }
    upload.write_all(&[b'x'; PART]).await.unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    slow.server.stop().await;
}

#[tokio::test]
async fn a_json_body_that_stalls_is_given_up() {
    let slow = Slow::start().await;
    slow.server.text(LINE, CONTACT, "hello").await;
    for path in ["/v1/messages", "/v1/sandbox"] {
        for length in ["content-length: 100", CHUNKED] {
            let mut stream = slow.begin(path, length).await;
            slow.send_and_wait(&mut stream, &chunk(b"{\"from\":")).await;
            slow.assert_given_up(stream, Code::InvalidJson).await;
        }
    }
    let call = Call::post("/v1/messages", &send_with(&json!({}))).key(&slow.tenant.key);
    let answer = call.header("idempotency-key", "k").send(&slow.server.url).await;
    assert_eq!((answer.status, answer.is_replayed()), (201, false));
    slow.server.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_told_with_and_without_its_length() {
    let slow = Slow::start().await;
    for (path, most, code) in [
        ("/v1/messages", MAX_BODY, Code::RequestTooLarge),
        ("/v1/sandbox", MAX_BODY, Code::RequestTooLarge),
        ("/v1/files", MAX_FILE, Code::FileTooLarge),
    ] {
        let length = format!("connection: close\r\ncontent-length: {}", most + 1);
        assert_answer(&mut slow.begin(path, &length).await, code).await;
        let mut untold = slow.begin(path, &format!("connection: close\r\n{CHUNKED}")).await;
        let some = chunk(&[b' '; 1024]);
        for _ in 0..=most / 1024 {
            untold.write_all(&some).await.unwrap();
        }
        assert_answer(&mut untold, code).await;
    }
    keeps(&slow.server, 0).await;
    let answer = slow.upload().await;
    assert_eq!((answer.status, answer.is_replayed()), (201, false), "{answer:?}");
    slow.server.stop().await;
}

/// A client that writes all it has before it reads must get to read why it was refused.
#[tokio::test]
async fn who_is_refused_early_is_told_although_it_still_writes() {
    let slow = Slow::start().await;
    let large = vec![b'x'; 20 * MAX_FILE];
    for (path, key, code) in [
        ("/v1/files", slow.tenant.key.as_str(), Code::FileTooLarge),
        ("/v1/messages", slow.tenant.key.as_str(), Code::RequestTooLarge),
        ("/v1/files", "sk_live_x", Code::InvalidApiKey),
        ("/v1/nothing", "sk_live_x", Code::EndpointNotFound),
        ("/v1/lines", slow.tenant.key.as_str(), Code::MethodNotAllowed),
    ] {
        let address = slow.server.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = large.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&large).await.expect(path);
        assert_answer(&mut stream, code).await;
    }
    // Who asks first is told before it has sent anything.
    let expect = format!("expect: 100-continue\r\ncontent-length: {}", 20 * MAX_FILE);
    assert_answer(&mut slow.begin("/v1/files", &expect).await, Code::FileTooLarge).await;
    keeps(&slow.server, 0).await;
    slow.server.stop().await;
}

/// A refusal that no byte of the file can change comes before the bytes do.
#[tokio::test]
async fn what_can_be_judged_before_the_upload_is() {
    let slow = Slow::start().await;
    let homeless = slow.server.admin().create_key(&CreateKey::of_no_account("homeless")).await;
    let homeless = homeless.unwrap().value.secret.reveal().to_owned();
    let length = format!("content-length: {MAX_FILE}");
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {homeless}\r\n{length}\r\n\r\n"
    );
    let address = slow.server.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_answer(&mut stream, Code::SandboxRequiresOwner).await;

    let mut first = slow.begin("/v1/files", "connection: close\r\ncontent-length: 10").await;
    slow.send_and_wait(&mut first, b"hello").await;
    keeps(&slow.server, 1).await;
    let mut second = slow.begin("/v1/files", &length).await;
    assert_answer(&mut second, Code::IdempotencyInProgress).await;
    first.write_all(b"world").await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    keeps(&slow.server, 1).await;
    slow.server.stop().await;
}
