//! The client against a server that plays a script: what is sent, and what is believed.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use switchboard_client::{
    AdminClient, Client, ContactText, CreateKey, CreateWebhook, Error, SendMessage, SimulatorClient,
};
use switchboard_model::{
    Code, EventKind,
    secret::{Secret, SecretKind},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

const ID: &str = "01h6x2c9q7mv3k5t1w4y8z0abc";
const REQUEST: &str = "req_0123456789ab";

/// Answers one connection per line of the script, and gives back what it was asked.
async fn play(script: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in script {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "cut short");
            }
            asked.push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn answer(status: u16, more: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-request-id: {REQUEST}\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn refusal(status: u16, kind: &str, code: &str, more: &str) -> String {
    let error = json!({ "type": kind, "code": code, "message": "No." });
    answer(status, more, &json!({ "error": error, "request_id": REQUEST }))
}

fn list(rows: &[Value], next: Option<&str>) -> String {
    let body = json!({
        "data": rows, "has_more": next.is_some(), "next_cursor": next, "request_id": REQUEST,
    });
    answer(200, "", &body)
}

fn chat(name: &str) -> Value {
    json!({
        "id": format!("cht_{ID}"), "line_id": format!("ln_{ID}"), "identifier": "+15550123456",
        "service": "iMessage", "name": name, "has_received_inbound": true,
    })
}

fn strict(url: &str) -> Client {
    Client::builder(url).key("sk_live_x").strict().build().unwrap()
}

#[tokio::test]
async fn a_message_is_sent_as_the_contract_has_it() {
    let accepted = json!({ "id": format!("obx_{ID}"), "status": "pending", "request_id": REQUEST });
    let limits =
        "x-ratelimit-limit: 1000\r\nx-ratelimit-remaining: 999\r\nx-ratelimit-reset: 9\r\n";
    let (url, asked) = play(vec![answer(201, limits, &accepted)]).await;
    let message = SendMessage::text("+15550100001", "+15550123456", "Hi").reply_to("G-1");
    let sent = strict(&url).send_message(&message).await.unwrap();
    assert_eq!(sent.value.id.to_string(), format!("obx_{ID}"));
    assert_eq!((sent.status, sent.request_id.as_str()), (201, REQUEST));
    let left = sent.rate_limit.unwrap();
    assert_eq!((left.limit, left.remaining, left.reset), (1000, 999, 9));

    let asked = asked.await.unwrap().remove(0);
    assert!(asked.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer sk_live_x\r\n"));
    assert!(asked.contains("content-type: application/json\r\n"));
    let body: Value = serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected =
        json!({ "from": "+15550100001", "to": "+15550123456", "text": "Hi", "reply_to": "G-1" });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn an_answer_that_breaks_the_contract_is_refused() {
    let more = json!({
        "id": format!("obx_{ID}"), "status": "pending", "request_id": REQUEST, "created_at": 1,
    });
    let message = SendMessage::text("a", "b", "c");
    let (url, _asked) = play(vec![answer(201, "", &more), answer(201, "", &more)]).await;
    let error = strict(&url).send_message(&message).await.unwrap_err();
    assert!(matches!(error, Error::Shape { status: 201, .. }), "{error:?}");
    // A program in use bears a newer server.
    Client::new(&url, "k").unwrap().send_message(&message).await.unwrap();

    let less = json!({ "id": format!("obx_{ID}"), "status": "pending" });
    let ok = json!({ "id": format!("obx_{ID}"), "status": "pending", "request_id": REQUEST });
    for script in [
        answer(201, "", &less),
        answer(200, "", &ok),
        answer(302, "location: http://127.0.0.1:1/\r\n", &ok),
        answer(500, "", &json!("oops")),
    ] {
        let (url, _asked) = play(vec![script]).await;
        let error = Client::new(&url, "k").unwrap().send_message(&message).await.unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_comes_with_all_that_it_says() {
    let script = refusal(429, "rate_limit_error", "rate_limit_exceeded", "retry-after: 7\r\n");
    let (url, _asked) = play(vec![script]).await;
    let error = strict(&url).lines().await.unwrap_err();
    assert_eq!((error.code(), error.status()), (Some(Code::RateLimitExceeded), Some(429)));
    assert_eq!(error.to_string(), "429 rate_limit_exceeded: No.");
    let Error::Api { retry_after, request_id, problem, .. } = error else { panic!("{error:?}") };
    assert_eq!((retry_after, request_id.as_str(), problem.param), (Some(7), REQUEST, None));

    // Type, status and code of different rows; a 429 with no Retry-After.
    for script in [
        refusal(400, "not_found_error", "line_not_found", ""),
        refusal(404, "api_error", "line_not_found", ""),
        refusal(429, "rate_limit_error", "rate_limit_exceeded", ""),
    ] {
        let (url, _asked) = play(vec![script.clone(), script]).await;
        assert!(matches!(strict(&url).lines().await, Err(Error::Shape { .. })));
        let lenient = Client::new(&url, "k").unwrap().lines().await;
        assert!(matches!(lenient, Err(Error::Api { .. })));
    }
}

#[tokio::test]
async fn a_walk_goes_through_the_pages_and_no_further() {
    let script = vec![list(&[chat("a"), chat("b")], Some("c+1")), list(&[chat("c")], None)];
    let (url, asked) = play(script).await;
    let client = strict(&url);
    let chats = client.chats("+15550100001").limit(2).all(10).await.unwrap();
    let names: Vec<_> = chats.iter().filter_map(|chat| chat.name.as_deref()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("GET /v1/chats?from=%2B15550100001&limit=2 HTTP"), "{asked:?}");
    let second = "GET /v1/chats?from=%2B15550100001&limit=2&cursor=c%2B1 HTTP";
    assert!(asked[1].starts_with(second), "{asked:?}");

    let same = || list(&[chat("a")], Some("c"));
    let (url, _asked) = play(vec![same(), same()]).await;
    let stuck = strict(&url).chats("x").all(10).await;
    assert!(matches!(stuck, Err(Error::Shape { .. })));
    let (url, _asked) = play(vec![same()]).await;
    assert_eq!(strict(&url).chats("x").all(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_a_get_is_repeated() {
    let down = || refusal(503, "api_error", "service_unavailable", "retry-after: 0\r\n");
    let (url, asked) = play(vec![down(), list(&[], None), down()]).await;
    let client = Client::builder(&url).key("k").retries(2).build().unwrap();
    assert!(client.lines().await.unwrap().value.data.is_empty());
    let hook = CreateWebhook::new("", "http://x.org", [EventKind::MessageSent]);
    let error = client.create_webhook(&hook).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::ServiceUnavailable));
    assert_eq!(asked.await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_raw_request_goes_out_as_it_is() {
    let odd = "HTTP/1.1 418 X\r\nconnection: close\r\ncontent-length: 4\r\n\r\ntea!".to_owned();
    let (url, asked) = play(vec![odd.clone(), odd]).await;
    let client = Client::without_key(&url).unwrap();
    let raw = client
        .request(Method::POST, "/v1/x?a=%2B", Some("{".into()), &[("x-a", "b")])
        .await
        .unwrap();
    assert_eq!((raw.status, &raw.body, &raw.bytes[..]), (418, &Value::Null, &b"tea!"[..]));
    let own = [("authorization", "Basic x")];
    let keyed = Client::new(&url, "sk_live_x").unwrap();
    keyed.request(Method::GET, "/", None, &own).await.unwrap();
    let asked = asked.await.unwrap();
    assert!(
        asked[0].starts_with("POST /v1/x?a=%2B HTTP/1.1\r\n") && asked[0].ends_with("\r\n\r\n{")
    );
    assert!(asked[0].contains("x-a: b\r\n") && !asked[0].contains("content-type"));
    assert!(!asked[0].contains("authorization"));
    assert!(asked[1].contains("authorization: Basic x\r\n") && !asked[1].contains("sk_live"));
}

#[tokio::test]
async fn no_answer_is_told_without_the_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let quick = Duration::from_millis(50);
    let client = Client::builder(&url).key("k").timeout(quick).build().unwrap();
    // The connection is made by the kernel; nobody ever answers.
    let error = client.messages("+15550100001", "+15550123456").send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(!format!("{error:?}").contains("555"), "{error:?}");
}

#[tokio::test]
async fn the_operators_clients_take_their_answers() {
    let secret = Secret::from_random(SecretKind::ApiKey, [1; 20]);
    let created = json!({
        "id": format!("key_{ID}"), "name": "all", "hint": "…", "scopes": ["chats:read"],
        "created_at": 1, "key": secret.reveal(), "request_id": REQUEST,
    });
    let (url, asked) = play(vec![answer(201, "", &created)]).await;
    let admin = AdminClient::new(&url, "opt_live_x").unwrap();
    let made = admin.create_key(&CreateKey::of_no_account("all")).await.unwrap();
    assert_eq!(made.value.secret, secret);
    assert!(!format!("{made:?}").contains(secret.reveal()));
    let asked = asked.await.unwrap().remove(0);
    assert!(asked.contains("Bearer opt_live_x") && asked.contains(r#""scopes":"all""#), "{asked}");

    let away = json!({ "guid": "G", "chat_id": null, "message_id": null, "request_id": REQUEST });
    let phone = json!({ "messages": [], "request_id": REQUEST });
    let (url, asked) = play(vec![answer(201, "", &away), answer(200, "", &phone)]).await;
    let simulator = SimulatorClient::new(&format!("{url}/simulator/v1"), "opt_live_x").unwrap();
    let text = ContactText::new("+15550100001", "+15550123456", "Hi");
    assert_eq!(simulator.text(&text).await.unwrap().value.chat_id, None);
    assert!(simulator.phone("+15550123456").await.unwrap().value.is_empty());
    let asked = asked.await.unwrap().remove(1);
    assert!(asked.starts_with("GET /simulator/v1/phones?handle=%2B15550123456 HTTP"), "{asked}");
}
