//! What no HTTP client would send: each answer is in the envelope all the same.

use serde_json::Value;
use switchboard_model::Code;
use switchboard_testkit::{LINE, Setup, TestServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{metrics::watched, world::SOON};

/// Sends bytes on a connection of their own and reads until the server hangs up.
pub(crate) async fn talk(url: &str, bytes: &[u8]) -> String {
    let what = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]);
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer));
    read.await.unwrap_or_else(|_| panic!("no end after {what:?}")).expect("it is not cut");
    String::from_utf8(answer).unwrap()
}

/// The last answer on a connection is this refusal, and all of it.
#[track_caller]
fn assert_refusal(what: &str, answer: &str, code: Code) {
    let start = answer.rfind("HTTP/1.1 ").unwrap_or_else(|| panic!("{what}: {answer:?}"));
    let (head, body) = answer[start..].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {} ", code.status())), "{what}: {head}");
    let header = |name: &str| {
        let mut values = head.lines().filter_map(|line| {
            let (other, value) = line.split_once(": ")?;
            other.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{what}: one {name}");
        value.unwrap_or_else(|| panic!("{what}: no {name} in {head}"))
    };
    let json: Value = serde_json::from_str(body).unwrap();
    assert_eq!(json["error"]["code"], code.as_str(), "{what}: {body}");
    assert_eq!(json["error"]["type"], "invalid_request_error", "{what}");
    assert!(json["error"]["message"].as_str().unwrap().ends_with('.'), "{what}");
    assert!(json["error"].get("param").is_none(), "{what}");
    assert_eq!(header("x-request-id"), json["request_id"].as_str().unwrap(), "{what}");
    assert!(header("x-request-id").starts_with("req_"), "{what}");
    assert_eq!(header("content-type"), "application/json", "{what}");
    assert_eq!(header("content-length"), body.len().to_string(), "{what}");
    assert_eq!(header("connection"), "close", "{what}");
    assert_eq!(header("access-control-allow-origin"), "*", "{what}");
    assert!(what == "HTTP/2" || header("date").ends_with(" GMT"), "{what}");
}

/// What the answer says, which is not all that hyper can tell.
#[tokio::test]
async fn what_is_wrong_with_a_head_is_named() {
    let server = TestServer::start().await;
    let long = "y".repeat(200_000);
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let few: String = (0..90).map(|n| format!("x-{n}: 1\r\n")).collect();
    let url = format!("GET /v1/lines?x={} HTTP/1.1\r\n", "x".repeat(70_000));
    let lines = "GET /v1/lines HTTP/1.1\r\n";
    let post = "POST /v1/messages HTTP/1.1\r\n";
    for (line, headers, named) in [
        (post, "Content-Length: 18446744073709551615\r\n", "Content-Length is larger"),
        (post, "Content-Length: 99999999999999999999\r\n", "Content-Length is larger"),
        (post, "Content-Length: abc\r\n", "Content-Length header must be a whole number"),
        (post, "content-length: -1\r\n", "Content-Length header must be a whole number"),
        (post, "content-length: 1\r\ncontent-length: 2\r\n", "one Content-Length"),
        (post, "transfer-encoding: gzip\r\n", "Transfer-Encoding"),
        (lines, "nonsense\r\n", "header in line 3 is malformed"),
        (lines, "x y: 1\r\n", "header in line 3 is malformed"),
        (lines, "x-odd: a\0b\r\n", "x-odd header"),
        (lines, &many, "more than 100 headers"),
        (lines, &format!("{few}x-long: {long}\r\n"), "headers are too long"),
        (&url, "", "URL is too long"),
        ("GET /v1/chats?from=a b HTTP/1.1\r\n", "", "Percent-encode"),
        ("GET /v1/\u{1} HTTP/1.1\r\n", "", "Percent-encode"),
        ("GET / HTTP/3.0\r\n", "", "only HTTP/1.1"),
        ("G@T / HTTP/1.1\r\n", "", "a method, a URL"),
    ] {
        let answer = talk(&server.url, format!("{line}host: x\r\n{headers}\r\n").as_bytes()).await;
        assert!(answer.contains(named), "{line:.60} {headers:.60}: {answer}");
        // No number that is not exact.
        assert!(!answer.contains("bytes allowed"), "{answer}");
        if !named.contains("Percent") && !named.contains("a method") {
            assert!(!answer.contains("Percent-encode"), "{answer}");
        }
    }
    server.stop().await;
}

/// Requests that hyper answers by itself.
fn unreadable() -> Vec<(&'static str, Vec<u8>, Code)> {
    use Code::{InvalidParameterValue as Invalid, RequestTooLarge as TooLarge};
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes()
    };
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(200_000));
    let post = |headers: &str| {
        format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\n{headers}\r\n{{}}").into_bytes()
    };
    vec![
        ("a space in the URL", get("/v1/chats?from=a b", ""), Invalid),
        ("no path", get("", ""), Invalid),
        ("a control character in the URL", get("/v1/\u{1}", ""), Invalid),
        ("a bad method", b"G@T / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), Invalid),
        ("a bad version", b"GET / HTTP/3.0\r\nhost: x\r\n\r\n".to_vec(), Invalid),
        ("no version", b"GET /\r\nhost: x\r\n\r\n".to_vec(), Invalid),
        ("no HTTP", b"\x05\x01\x00 hello \r\n\r\n".to_vec(), Invalid),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdef\r\n\r\n".to_vec(), Invalid),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), Invalid),
        ("a header without a colon", get("/v1/lines", "nonsense\r\n"), Invalid),
        ("a bad header name", get("/v1/lines", "x y: 1\r\n"), Invalid),
        ("NUL in a header", get("/v1/lines", "x: a\0b\r\n"), Invalid),
        ("a bad Content-Length", post("content-length: two\r\n"), Invalid),
        ("a negative Content-Length", post("content-length: -2\r\n"), Invalid),
        ("two Content-Lengths", post("content-length: 2\r\ncontent-length: 3\r\n"), Invalid),
        ("a Transfer-Encoding of no use", post("transfer-encoding: gzip\r\n"), Invalid),
        ("101 headers", get("/v1/lines", &many), TooLarge),
        ("a header of 200 kB", get("/v1/lines", &long), TooLarge),
        ("a URL of 70 kB", get(&format!("/v1/lines?x={}", "x".repeat(70_000)), ""), TooLarge),
        ("a URL of 2 MB", get(&format!("/v1/lines?x={}", "x".repeat(2_000_000)), ""), TooLarge),
    ]
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_the_envelope() {
    let server = watched(Setup::new()).start().await;
    for (what, bytes, code) in unreadable() {
        if bytes.len() < 1_000_000 {
            assert_refusal(what, &talk(&server.url, &bytes).await, code);
            assert_refusal(what, &talk(&server.metrics_url(), &bytes).await, code);
        } else {
            // More than anybody listens to: the answer is there as long as the client reads beside its writing.
            let address = server.url.strip_prefix("http://").unwrap();
            let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
            let writing = tokio::spawn(async move { write.write_all(&bytes).await });
            let mut answer = vec![0; 4096];
            let count = read.read(&mut answer).await.unwrap();
            assert_refusal(what, std::str::from_utf8(&answer[..count]).unwrap(), code);
            writing.abort();
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_was_right_keeps_its_answer_before_one_that_is_none() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let good = format!(
        "GET /v1/lines HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        tenant.key
    );
    for (what, bad, code) in unreadable() {
        // On one connection: right, right, and then what is none.
        let bytes = [good.as_bytes(), good.as_bytes(), &bad].concat();
        if bytes.len() > 1_000_000 {
            continue;
        }
        let answer = talk(&server.url, &bytes).await;
        if what == "HTTP/2" {
            continue; // On a connection that has begun with HTTP/1.1 it is only cut.
        }
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 3, "{what}: {answer}");
        assert_refusal(what, &answer, code);
    }
    server.stop().await;
}

/// A file that is, byte for byte, what hyper answers by itself.
#[tokio::test]
async fn a_file_that_looks_like_an_answer_comes_as_it_is() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
                date: Sat, 28 Nov 2026 08:00:00 GMT\r\n\r\n";
    // Each chunk of the download, and each write, is to begin with it.
    let file = bare.repeat(20_000);
    let upload = crate::call::Call::new(http::Method::POST, "/v1/files").raw(file.clone());
    let upload = upload.header("content-type", "text/plain").key(&tenant.key);
    let url = upload.send(&server.url).await.body["url"].as_str().unwrap().to_owned();
    for range in ["bytes=0-".to_owned(), format!("bytes={}-", bare.len() * 3)] {
        let call = crate::call::Call::get(&url).header("range", &range);
        let bytes = call.open("").await.bytes().await.unwrap();
        assert!(file.as_bytes().ends_with(&bytes) && bytes.len() > file.len() / 2, "{range}");
    }
    server.stop().await;
}

/// What reaches the router in an odd form has an answer of the router.
#[tokio::test]
async fn odd_requests_are_answered_in_the_envelope() {
    let server = watched(Setup::new()).start().await;
    for (head, status) in [
        ("GET //v1/messages HTTP/1.1", 404),
        ("GET /v1/messages/ HTTP/1.1", 404),
        ("GET /v1/%ff%00 HTTP/1.1", 404),
        ("GET /v1/../v1/lines HTTP/1.1", 404),
        ("GET http://x/v1/nothing HTTP/1.1", 404),
        ("GET /v1/lines?%ff=%&&=%zz HTTP/1.1", 401),
        ("TRACE /v1/lines HTTP/1.1", 405),
        ("BREW /v1/lines HTTP/1.1", 405),
        ("CONNECT example.org:443 HTTP/1.1", 404),
        ("GET /v1/lines HTTP/1.1\r\nexpect: something", 401),
        ("GET /v1/lines HTTP/1.1\r\ncontent-length: 0\r\ntransfer-encoding: chunked", 401),
    ] {
        let body = if head.contains("chunked") { "0\r\n\r\n" } else { "" };
        let request = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n{body}");
        let answer = talk(&server.url, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        let (head_of, body) = answer.split_once("\r\n\r\n").unwrap();
        let json: Value = serde_json::from_str(body).unwrap();
        let id = json["request_id"].as_str().unwrap();
        assert!(head_of.contains(&format!("x-request-id: {id}")), "{head}: {head_of}");
    }
    let answer = talk(&server.url, b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(answer.await.starts_with("HTTP/1.1 204 "));
    // The operator's listener has an envelope, and no page of the web may read from it.
    for (head, status) in [("GET /nothing HTTP/1.1", 404), ("POST /metrics HTTP/1.1", 405)] {
        let request = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = talk(&server.metrics_url(), request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        let (head_of, body) = answer.split_once("\r\n\r\n").unwrap();
        let json: Value = serde_json::from_str(body).unwrap();
        assert!(json["error"]["code"].is_string(), "{head}: {body}");
        assert!(!head_of.contains("access-control-allow-origin"), "{head}: {head_of}");
    }
    server.stop().await;
}
