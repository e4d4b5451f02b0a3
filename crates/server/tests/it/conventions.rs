//! What holds for every answer: CORS, headers, request ids, the hourly limit (§1, §4).

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::json;
use switchboard_client::{CreateKey, RateLimit};
use switchboard_model::{Code, Scope, Timestamp, time::Clock};
use switchboard_server::routes::{self, Access};
use switchboard_testkit::{LINE, Setup, TestClock, TestServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    call::{Call, assert_refused, assert_request_id, query},
    world::{CONTACT, World, key},
};

#[tokio::test]
async fn a_preflight_is_answered_anywhere_without_a_key() {
    let server = TestServer::start().await;
    let paths = routes::table().into_iter().map(|operation| operation.path);
    for path in paths.chain(["/", "/v1/nothing", "/v1/files?id=x"]) {
        let call = Call::new(Method::OPTIONS, path)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,idempotency-key");
        let answer = call.send(&server.url).await;
        assert_eq!((answer.status, answer.bytes.len()), (204, 0), "{path}");
        let methods = match path {
            "/v1/webhooks" => "GET, POST, PATCH, DELETE, OPTIONS",
            _ => "GET, POST, DELETE, OPTIONS",
        };
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
        let allowed = answer.header("access-control-allow-headers");
        assert_eq!(allowed, Some("authorization,idempotency-key"), "{path}");
        assert!(answer.header("x-request-id").is_some());
    }
    server.stop().await;
}

#[tokio::test]
async fn every_answer_tells_its_id_and_may_be_read_by_any_origin() {
    let world = World::make().await;
    let (key, token) = (&world.owner.key, world.server.operator_token());
    let mut ids = Vec::new();
    for call in [
        Call::get("/v1/lines").key(key),
        Call::get("/v1/lines"),
        Call::get("/v1/nothing"),
        Call::new(Method::PATCH, "/v1/lines"),
        Call::get("/v1/outbox?id=obx_x").key(key),
        Call::post("/v1/messages", &json!({})).key(key).header("x-request-id", "mine"),
        Call::get("/admin/v1/lines").key(token),
        Call::get("/simulator/v1/phones?handle=+15550100002").key(token),
        Call::get("/bridge/v1/link"),
    ] {
        let answer = call.send(&world.server.url).await;
        let what = format!("{call:?}");
        assert_request_id(&what, &answer);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{what}");
        let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
        for name in ["X-Request-Id", "X-RateLimit-Remaining", "Retry-After"] {
            assert!(exposed.contains(name), "{what}");
        }
        ids.push(answer.body["request_id"].clone());
    }
    let count = ids.len();
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), count, "each request has an id of its own");
    world.server.stop().await;
}

#[tokio::test]
async fn every_authenticated_answer_tells_what_is_left_of_the_hour() {
    let world = World::make().await;
    let url = &world.server.url;
    let limited = world.limited_key(100).await;
    let mut left = 100;
    for operation in routes::table() {
        let call = Call::new(operation.method, operation.path);
        match operation.access {
            Access::Key(_) | Access::AnyKey => {
                let answer = call.clone().send(url).await;
                assert_eq!(RateLimit::from_headers(&answer.headers), None, "nobody's hour");
                let answer = call.key(&limited).send(url).await;
                left -= 1;
                let told = RateLimit::from_headers(&answer.headers).unwrap();
                assert_eq!((told.limit, told.remaining), (100, left), "{}", operation.path);
                assert!((3590..=3600).contains(&told.reset), "{told:?}");
                let draft = format!("\"hour\";r={left};t={}", told.reset);
                assert_eq!(answer.header("ratelimit"), Some(draft.as_str()));
                assert_eq!(answer.header("ratelimit-policy"), Some("\"hour\";q=100;w=3600"));
                assert_eq!(answer.header("retry-after"), None);
            }
            Access::Operator | Access::Bridge | Access::SignedUrl | Access::Public => {
                let answer = call.key(world.server.operator_token()).send(url).await;
                assert_eq!(RateLimit::from_headers(&answer.headers), None);
            }
        }
    }
    // A refusal for want of a scope counts and tells, too.
    let narrow = key(&world.server, world.owner.account, &[Scope::ChatsRead], &[]).await;
    for used in 1..=2 {
        let answer = Call::get("/v1/lines").key(&narrow).send(url).await;
        assert_eq!(answer.status, 403);
        let told = RateLimit::from_headers(&answer.headers).unwrap();
        assert_eq!(told.limit - told.remaining, used);
    }
    world.server.stop().await;
}

#[tokio::test]
async fn the_hour_is_a_fixed_window_that_a_restart_does_not_end() {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).unlinked();
    let server = setup.config(|config| config.rate_limit = 4).start().await;
    let tenant = server.tenant(LINE).await;
    let call = Call::get("/v1/lines").key(&tenant.key);
    let remaining = async |server: &TestServer| {
        let answer = call.send(&server.url).await;
        let told = RateLimit::from_headers(&answer.headers).unwrap();
        assert_eq!(told.limit, 4);
        (answer.status, told.remaining, told.reset, answer.retry_after())
    };
    assert_eq!(remaining(&server).await, (200, 3, 3600, None));
    clock.advance(Duration::from_secs(600));
    assert_eq!(remaining(&server).await, (200, 2, 3000, None));
    let server = server.restart().await;
    assert_eq!(remaining(&server).await, (200, 1, 3000, None));
    assert_eq!(remaining(&server).await, (200, 0, 3000, None));
    assert_eq!(remaining(&server).await, (429, 0, 3000, Some(3000)));
    let server = server.restart().await;
    clock.advance(Duration::from_millis(2_999_999));
    assert_eq!(remaining(&server).await, (429, 0, 1, Some(1)));
    clock.advance(Duration::from_millis(1));
    assert_eq!(remaining(&server).await, (200, 3, 3600, None));
    server.stop().await;
}

#[tokio::test]
async fn a_key_ends_at_once() {
    let clock = TestClock::now();
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).unlinked();
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let admin = server.admin();
    let mut key = CreateKey::new(tenant.account, "short-lived");
    key.expires_at = Some(clock.now() + Duration::from_secs(60));
    let expiring = admin.create_key(&key).await.unwrap().value;
    let call = Call::get("/v1/lines").key(expiring.secret.reveal());
    assert_eq!(call.send(&server.url).await.status, 200);
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(call.send(&server.url).await.status, 200);
    clock.advance(Duration::from_millis(1));
    let answer = call.send(&server.url).await;
    assert_refused("expired", &answer, Code::InvalidApiKey, None);
    assert_eq!(RateLimit::from_headers(&answer.headers), None);

    let revoked = admin.create_key(&CreateKey::new(tenant.account, "x")).await.unwrap().value;
    let call = Call::get("/v1/lines").key(revoked.secret.reveal());
    assert_eq!(call.send(&server.url).await.status, 200);
    let first = admin.revoke_key(revoked.key.id).await.unwrap().value.key.revoked_at;
    assert_refused("revoked", &call.send(&server.url).await, Code::InvalidApiKey, None);
    clock.advance(Duration::from_secs(1));
    let again = admin.revoke_key(revoked.key.id).await.unwrap().value.key.revoked_at;
    assert!(first.is_some_and(|at| at > Timestamp(0)) && again == first, "it stays as it was");
    let other = Call::get("/v1/lines").key(&tenant.key);
    assert_eq!(other.send(&server.url).await.status, 200, "other keys go on");
    server.stop().await;
}

#[tokio::test]
async fn other_methods_are_told_what_there_is() {
    let world = World::make().await;
    let url = &world.server.url;
    for (method, path, allowed) in [
        (Method::PUT, "/v1/messages", &["GET", "POST"][..]),
        (Method::DELETE, "/v1/lines", &["GET"]),
        (Method::PUT, "/v1/webhooks", &["GET", "POST", "DELETE", "PATCH"]),
        (Method::GET, "/admin/v1/keys/revoke", &["POST"]),
    ] {
        let answer = Call::new(method, path).key(&world.owner.key).send(url).await;
        assert_refused(path, &answer, Code::MethodNotAllowed, None);
        let told: Vec<_> = answer.header("allow").unwrap().split([',', ' ']).collect();
        for method in ["GET", "POST", "DELETE", "PATCH"] {
            assert_eq!(told.contains(&method), allowed.contains(&method), "{path}: {told:?}");
        }
    }
    // HEAD is GET without the body, errors too.
    let head = |path: &str| Call::new(Method::HEAD, path).key(&world.owner.key);
    for (path, status) in [
        ("/v1/lines".to_owned(), 200),
        (query("/v1/messages", &[("from", LINE), ("to", CONTACT)]), 200),
        ("/v1/chats".to_owned(), 400),
        ("/v1/nothing".to_owned(), 404),
        ("/admin/v1/keys/revoke".to_owned(), 405),
    ] {
        let answer = head(&path).send(url).await;
        assert_eq!((answer.status, answer.bytes.len()), (status, 0), "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    }
    world.server.stop().await;
}

#[tokio::test]
async fn a_body_is_json_however_it_is_called() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let body = json!({ "from": LINE, "to": CONTACT, "text": "x", "more": { "unknown": true } });
    let send = || Call::new(Method::POST, "/v1/messages").key(&tenant.key).raw(body.to_string());
    for call in [
        send(),
        send().header("content-type", "application/json; charset=utf-8"),
        send().header("content-type", "APPLICATION/JSON"),
        send().header("content-type", "application/vnd.api+json"),
        // What HTTP clients say when nobody told them.
        send().header("content-type", "text/plain;charset=UTF-8"),
        send().header("content-type", "application/x-www-form-urlencoded"),
    ] {
        assert_eq!(call.send(&server.url).await.status, 201, "{call:?}");
    }
    // The scheme's name has no case.
    for scheme in ["bearer", "BEARER"] {
        let call = Call::get("/v1/lines").authorization(&format!("{scheme} {}", tenant.key));
        assert_eq!(call.send(&server.url).await.status, 200);
    }
    server.stop().await;
}

/// Bodies that break off or are far too large: what a client library would not send.
#[tokio::test]
async fn a_body_that_breaks_off_or_never_ends_is_refused() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n",
        tenant.key
    );
    let address = server.url.strip_prefix("http://").unwrap();
    let talk = async |rest: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        // Whoever reads to the end also sees that the server hangs up.
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let large = talk("content-length: 1048577\r\nconnection: close\r\n\r\n").await;
    assert!(large.starts_with("HTTP/1.1 413 "), "told from its length alone: {large}");
    // A client that writes all of it before it reads finds out, too.
    let body = "x".repeat(6_000_000);
    let whole = format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let unread = talk(&whole).await;
    assert!(
        unread.starts_with("HTTP/1.1 413 ") && unread.contains("request_too_large"),
        "{unread}"
    );
    let chunk = "x".repeat(0x10_0001);
    let chunked = "transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let endless = talk(&format!("{chunked}100001\r\n{chunk}")).await;
    assert!(endless.starts_with("HTTP/1.1 413 "), "{endless}");
    let broken = talk(&format!("{chunked}zz\r\n")).await;
    assert!(broken.starts_with("HTTP/1.1 400 "), "{broken}");
    server.stop().await;
}
