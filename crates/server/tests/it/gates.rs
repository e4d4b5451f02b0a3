//! What is checked before a request is looked at: its Host header (RFC 9112 §3.2), headers that may come once, and the
//! operator's token; and the
//! operator's API on an address of its own.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use switchboard_client::CreateKey;
use switchboard_model::Code;
use switchboard_testkit::{LINE, Setup, TestServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    call::{Call, assert_refused, query},
    world::CONTACT,
};

/// The status and the body of what the server answers to these bytes before it closes the connection.
async fn raw(url: &str, request: &str) -> (u16, String) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

#[tokio::test]
async fn a_header_that_a_request_has_once_comes_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let send = json!({ "from": LINE, "to": CONTACT, "text": "x" });
    let send = || Call::post("/v1/messages", &send).key(&tenant.key);
    let file = || Call::new(Method::POST, "/v1/files").raw("x").key(&tenant.key);
    let other = format!("Bearer {}", server.operator_token());
    let key = format!("Bearer {}", tenant.key);
    for (call, name) in [
        (send().header("authorization", &other), "Authorization"),
        (send().header("authorization", &key), "Authorization"),
        (send().header("idempotency-key", "a").header("Idempotency-Key", "b"), "Idempotency-Key"),
        (send().header("content-type", "text/plain"), "Content-Type"),
        (file().header("content-type", "a/b").header("content-type", "a/c"), "Content-Type"),
        (file().header("x-filename", "a").header("x-filename", "b"), "X-Filename"),
    ] {
        let refused = call.send(&server.url).await;
        assert_refused(name, &refused, Code::InvalidParameterValue, Some(name));
    }
    let twice = Call::get("/v1/events").key(&tenant.key);
    let twice = twice.header("last-event-id", "1").header("last-event-id", "2");
    let refused = twice.send(&server.url).await;
    assert_refused("stream", &refused, Code::InvalidParameterValue, Some("Last-Event-ID"));
    // Nothing was done.
    let messages = query("/v1/messages", &[("from", LINE), ("to", CONTACT)]);
    let messages = Call::get(messages).key(&tenant.key).send(&server.url).await;
    assert_eq!(messages.body["data"].as_array().unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_request_has_one_host() {
    let server = Setup::new()
        .config(|config| {
            config.metrics_listen = Some(([127, 0, 0, 1], 0).into());
            config.admin_listen = Some(([127, 0, 0, 1], 0).into());
        })
        .start()
        .await;
    let tenant = server.tenant(LINE).await;
    let authorization = format!("authorization: Bearer {}\r\nconnection: close\r\n", tenant.key);
    for (line, hosts, taken) in [
        ("GET /v1/lines HTTP/1.1", "host: a\r\n", true),
        ("GET /v1/lines HTTP/1.1", "Host: example.com:8080\r\n", true),
        ("GET /v1/lines HTTP/1.1", "host: [::1]:8080\r\n", true),
        // The target has no authority.
        ("GET /v1/lines HTTP/1.1", "host:\r\n", true),
        ("GET /v1/lines HTTP/1.1", "", false),
        ("GET /v1/lines HTTP/1.1", "host: a\r\nhost: a\r\n", false),
        ("GET /v1/lines HTTP/1.1", "host: a\r\nHost: b\r\n", false),
        ("GET /v1/lines HTTP/1.1", "host:\r\nhost: b\r\n", false),
        ("GET /v1/lines HTTP/1.1", "host: a b\r\n", false),
        ("GET /v1/lines HTTP/1.1", "host: http://a/\r\n", false),
        ("GET /v1/lines HTTP/1.1", "host: u@a\r\n", false),
        ("GET /v1/lines HTTP/1.1", "host: a:80x\r\n", false),
        // HTTP/1.0 asks for none, but one that is sent twice is wrong there too.
        ("GET /v1/lines HTTP/1.0", "", true),
        ("GET /v1/lines HTTP/1.0", "host: a\r\n", true),
        ("GET /v1/lines HTTP/1.0", "host: a\r\nhost: b\r\n", false),
        // A target with a host does not do without the header (§3.2.2).
        ("GET http://a/v1/lines HTTP/1.1", "host: a\r\n", true),
        ("GET http://a/v1/lines HTTP/1.1", "host: b\r\n", true),
        ("GET http://a/v1/lines HTTP/1.1", "", false),
        ("GET http://a/v1/lines HTTP/1.1", "host: a\r\nhost: a\r\n", false),
        ("GET http://a/v1/lines HTTP/1.0", "", true),
    ] {
        let request = format!("{line}\r\n{hosts}{authorization}\r\n");
        let (status, body) = raw(&server.url, &request).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, if taken { 200 } else { 400 }, "{line} {hosts:?}: {body}");
        if !taken {
            assert_eq!(body["error"]["type"], "invalid_request_error", "{hosts:?}");
            assert_eq!(body["error"]["code"], "invalid_parameter_value", "{hosts:?}");
            assert_eq!(body["error"]["param"], "Host", "{hosts:?}");
            assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
        }
    }
    // Whatever else it asks for, and with a body that nobody wants.
    for request in [
        "OPTIONS /v1/lines HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        "GET /nowhere HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        format!(
            "POST /v1/messages HTTP/1.1\r\nhost: a\r\nhost: b\r\n{authorization}content-length: 70000\r\n\r\n{}",
            "x".repeat(70_000)
        ),
    ] {
        assert_eq!(raw(&server.url, &request).await.0, 400, "{request:.60}");
    }
    // On every listener.
    let operator = server.operator_token();
    for (url, path) in [
        (server.url.clone(), "/live"),
        (server.metrics_url(), "/live"),
        (server.metrics_url(), "/metrics"),
        (server.admin_url(), "/admin/v1/keys"),
    ] {
        for (hosts, status) in [("host: a\r\n", 200), ("", 400), ("host: a\r\nhost: a\r\n", 400)] {
            let request = format!(
                "GET {path} HTTP/1.1\r\n{hosts}authorization: Bearer {operator}\r\nconnection: close\r\n\r\n"
            );
            assert_eq!(raw(&url, &request).await.0, status, "{path} {hosts:?}");
        }
    }
    server.stop().await;
}

/// Requests with the right token while others guess.
const RIGHT: u64 = 40;

#[tokio::test]
async fn wrong_operator_tokens_are_slowed_down_and_right_ones_are_not() {
    let server = TestServer::start().await;
    let wrong = Call::get("/admin/v1/keys").key("opt_wrong_wrong_wrong_wrong");
    let right = Call::get("/admin/v1/keys").key(server.operator_token());
    // A mistake costs its maker nothing.
    for _ in 0..5 {
        let answer = wrong.send(&server.url).await;
        assert_refused("wrong", &answer, Code::InvalidApiKey, None);
    }
    let began = Instant::now();
    for _ in 0..5 {
        let answer = wrong.send(&server.url).await;
        assert_refused("wrong", &answer, Code::InvalidApiKey, None);
    }
    assert!(began.elapsed() >= Duration::from_millis(100 + 200 + 300 + 400 + 500));
    // However many guess at once, few of them are kept waiting, and nobody else is.
    let guessing = eventually("some are told to come later", async || {
        let guesses = join_all((0..60).map(|_| wrong.send(&server.url))).await;
        for answer in &guesses {
            let code = match answer.status {
                429 => Code::RateLimitExceeded,
                _ => Code::InvalidApiKey,
            };
            assert_refused("guess", answer, code, None);
        }
        guesses.iter().any(|answer| answer.status == 429).then_some(())
    });
    let working = async {
        let began = Instant::now();
        for _ in 0..RIGHT {
            assert_eq!(right.send(&server.url).await.status, 200);
        }
        began.elapsed()
    };
    let ((), took) = tokio::join!(guessing, working);
    // A delay of a second each would take longer than this, and a slow machine does not.
    assert!(took < Duration::from_secs(RIGHT - 5), "{took:?}");
    // What is no token at all is a guess too; none is no guess.
    let none = Call::get("/admin/v1/keys").send(&server.url).await;
    assert_refused("none", &none, Code::MissingApiKey, None);
    server.stop().await;
}

#[tokio::test]
async fn the_operators_api_has_its_own_address() {
    let server = Setup::new()
        .config(|config| config.admin_listen = Some(([127, 0, 0, 1], 0).into()))
        .start()
        .await;
    let (main, own) = (server.url.clone(), server.admin_url());
    assert_ne!(main, own);
    // All that the operator does, the simulator's bridge, and what a contact says.
    let tenant = server.tenant(LINE).await;
    server.admin().create_key(&CreateKey::new(tenant.account, "x")).await.unwrap();
    server.text(LINE, CONTACT, "hello").await;
    let token = server.operator_token();
    for path in ["/admin/v1/keys", "/simulator/v1/phones?handle=%2B15550100002"] {
        let there = Call::get(path).key(token).send(&own).await;
        assert_eq!(there.status, 200, "{path}: {there:?}");
        for call in [Call::get(path).key(token), Call::get(path)] {
            // Not as documented: the document is about the operator's address.
            let here = call.open(&main).await;
            assert_eq!(here.status(), 404, "{path}");
            let body: Value = here.json().await.unwrap();
            assert_eq!(body["error"]["code"], "endpoint_not_found", "{path}");
        }
        let wrong = Call::get(path).key(&tenant.key).send(&own).await;
        assert_refused(path, &wrong, Code::InvalidApiKey, None);
    }
    for path in
        ["/admin/v1/openapi.json", "/docs/admin", "/simulator/v1/openapi.json", "/docs/simulator"]
    {
        assert_eq!(Call::get(path).open(&own).await.status(), 200, "{path}");
        assert_eq!(Call::get(path).open(&main).await.status(), 404, "{path}");
    }
    for path in ["/v1/lines", "/v1/openapi.json", "/docs", "/bridge/v1/files?id=file_x"] {
        let answer = Call::get(path).key(&tenant.key).open(&own).await;
        assert_eq!(answer.status(), 404, "{path}");
    }
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let browser = browser.unwrap().get(&own).header("accept", "text/html");
    let sent_to = browser.send().await.unwrap().headers()["location"].clone();
    assert_eq!(sent_to, "/docs/admin");
    assert_eq!(Call::get("/v1/lines").key(&tenant.key).send(&main).await.status, 200);
    server.stop().await;
}
