//! The client against a server that plays a script: what is sent, and what is believed.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::time::Duration;

use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};
use switchboard_client::{
    AdminClient, Client, ContactText, CreateKey, Error, SendMessage, SimulatorClient,
};
use switchboard_model::{
    Code,
    secret::{Secret, SecretKind},
};
use tokio::net::TcpListener;

use script::{ID, REQUEST, answer, client_of, list, play, refusal};

mod script;

fn chat(name: &str) -> Value {
    json!({
        "id": format!("cht_{ID}"), "line_id": format!("ln_{ID}"), "identifier": "+15550123456",
        "service": "iMessage", "name": name, "has_received_inbound": true,
    })
}

#[tokio::test]
async fn a_message_is_sent_as_the_contract_has_it() {
    let accepted = json!({ "id": format!("obx_{ID}"), "status": "pending", "request_id": REQUEST });
    let limits =
        "x-ratelimit-limit: 1000\r\nx-ratelimit-remaining: 999\r\nx-ratelimit-reset: 9\r\n";
    let (url, asked) = play(vec![answer(201, limits, &accepted)]).await;
    let message = SendMessage::text("+15550100001", "+15550123456", "Hi").reply_to("G-1");
    let sent = client_of(&url).send_message(&message).await.unwrap();
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
    let (url, _asked) = play(vec![answer(201, "", &more)]).await;
    // A program in use bears a newer server.
    client_of(&url).send_message(&message).await.unwrap();

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
    let error = client_of(&url).lines().await.unwrap_err();
    assert_eq!((error.code(), error.status()), (Some(Code::RateLimitExceeded), Some(429)));
    assert_eq!(error.to_string(), "429 rate_limit_exceeded: No.");
    let Error::Api { retry_after, request_id, problem, .. } = error else { panic!("{error:?}") };
    assert_eq!((retry_after, request_id.as_str(), problem.param), (Some(7), REQUEST, None));

    // Another server's code is no reason to be lost.
    let script = refusal(402, "billing_error", "card_declined", "");
    let (url, _asked) = play(vec![script]).await;
    let error = client_of(&url).lines().await.unwrap_err();
    assert_eq!((error.code(), error.to_string()), (None, "402 card_declined: No.".to_owned()));

    // Type, status and code of different rows; a 429 with no Retry-After.
    for script in [
        refusal(400, "not_found_error", "line_not_found", ""),
        refusal(404, "api_error", "line_not_found", ""),
        refusal(429, "rate_limit_error", "rate_limit_exceeded", ""),
    ] {
        let (url, _asked) = play(vec![script]).await;
        assert!(matches!(client_of(&url).lines().await, Err(Error::Api { .. })));
    }
}

#[tokio::test]
async fn a_walk_goes_through_the_pages_and_no_further() {
    let script = vec![list(&[chat("a"), chat("b")], Some("c+1")), list(&[chat("c")], None)];
    let (url, asked) = play(script).await;
    let client = client_of(&url);
    let chats = client.chats("+15550100001").limit(2).all(10).await.unwrap();
    let names: Vec<_> = chats.iter().filter_map(|chat| chat.name.as_deref()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let asked = asked.await.unwrap();
    assert!(asked[0].starts_with("GET /v1/chats?from=%2B15550100001&limit=2 HTTP"), "{asked:?}");
    let second = "GET /v1/chats?from=%2B15550100001&limit=2&cursor=c%2B1 HTTP";
    assert!(asked[1].starts_with(second), "{asked:?}");

    let same = || list(&[chat("a")], Some("c"));
    let (url, _asked) = play(vec![same(), same()]).await;
    let stuck = client_of(&url).chats("x").all(10).await;
    assert!(matches!(stuck, Err(Error::Shape { .. })));
    let (url, _asked) = play(vec![same()]).await;
    assert_eq!(client_of(&url).chats("x").all(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stream_gives_the_rows_of_all_pages_and_ends_after_an_error() {
    let down = refusal(503, "api_error", "service_unavailable", "retry-after: 1\r\n");
    let script =
        vec![list(&[chat("a"), chat("b")], Some("1")), list(&[chat("c")], Some("2")), down];
    let (url, _asked) = play(script).await;
    let client = client_of(&url);
    let rows: Vec<_> = client.chats("+15550100001").into_stream().collect().await;
    let names: Vec<_> = rows.iter().flatten().filter_map(|chat| chat.name.as_deref()).collect();
    assert_eq!((names, rows.len()), (vec!["a", "b", "c"], 4));
    assert_eq!(rows[3].as_ref().unwrap_err().code(), Some(Code::ServiceUnavailable));
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
    let phone = json!({
        "messages": [], "reactions": [], "changes": [], "typing": ["+15550100001"],
        "read": [], "request_id": REQUEST,
    });
    let (url, asked) = play(vec![answer(201, "", &away), answer(200, "", &phone)]).await;
    let simulator = SimulatorClient::new(&format!("{url}/simulator/v1"), "opt_live_x").unwrap();
    let text = ContactText::new("+15550100001", "+15550123456", "Hi");
    assert_eq!(simulator.text(&text).await.unwrap().value.chat_id, None);
    let phone = simulator.phone("+15550123456").await.unwrap().value;
    assert!(phone.messages.is_empty() && phone.typing[0].as_str() == "+15550100001");
    let asked = asked.await.unwrap().remove(1);
    assert!(asked.starts_with("GET /simulator/v1/phones?handle=%2B15550123456 HTTP"), "{asked}");
}
