//! The live stream against a script: what is asked at each connection, and what comes out.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use futures_util::StreamExt;
use serde_json::{Value, json};
use switchboard_client::{Client, Error, Event};
use switchboard_model::{Code, EventKind, Timestamp};

use script::{ID, REQUEST, answer, client_of, header, play, refusal};

mod script;

/// A connection that gives this text and ends.
fn stream(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\
         x-request-id: {REQUEST}\r\n\r\n{text}"
    )
}

fn typing(on: bool) -> Value {
    json!({
        "id": format!("ind_{ID}"), "chat_id": format!("cht_{ID}"), "handle": "+15550123456",
        "is_typing": on, "updated_at": 1, "line_handle": "+15550100001",
    })
}

fn event(id: u32, name: &str, data: &Value) -> String {
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}

fn forbidden() -> String {
    refusal(403, "authorization_error", "insufficient_scope", "")
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was() {
    let closed = json!({ "reason": "server_stopping", "last_event_id": "8" });
    let (url, asked) = play(vec![
        // Cut in the middle of the second event.
        stream(&format!(
            ": hello\n\n{}id: 8\nevent: typ",
            event(7, "typing.started", &typing(true))
        )),
        refusal(503, "api_error", "service_unavailable", "retry-after: 1\r\n"),
        stream(&format!(
            "{}event: stream.closed\ndata: {closed}\n\n",
            event(8, "typing.stopped", &typing(false))
        )),
        forbidden(),
    ])
    .await;
    let kinds = [EventKind::TypingStarted, EventKind::TypingStopped];
    let opened = client_of(&url).events().events(kinds).lines(["+15550100001"]).since(Timestamp(5));
    let events: Vec<_> = opened.open().await.unwrap().collect().await;

    let [Ok(started), Ok(stopped), Err(end)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((started.id.as_str(), started.kind), ("7", Some(EventKind::TypingStarted)));
    assert!(matches!(&started.data, Event::TypingStarted(event) if event.typing.is_typing));
    assert_eq!((stopped.id.as_str(), stopped.kind), ("8", Some(EventKind::TypingStopped)));
    assert_eq!(end.code(), Some(Code::InsufficientScope));

    let asked = asked.await.unwrap();
    let filter = "GET /v1/events?event=typing.started&event=typing.stopped&line=%2B15550100001";
    assert!(asked[0].starts_with(&format!("{filter}&since=5 HTTP")), "{}", asked[0]);
    assert_eq!(header(&asked[0], "accept"), Some("text/event-stream"));
    let places: Vec<_> = asked.iter().map(|asked| header(asked, "last-event-id")).collect();
    assert_eq!(places, [None, Some("7"), Some("7"), Some("8")]);
    assert!(asked[1..].iter().all(|asked| asked.starts_with(&format!("{filter} HTTP"))));
}

#[tokio::test]
async fn a_place_is_known_before_the_first_event() {
    let closed = json!({ "reason": "slow_reader", "last_event_id": "4" });
    let (url, asked) = play(vec![
        stream(&format!("event: stream.closed\ndata: {closed}\n\n")),
        stream("id: 5\n\n"),
        forbidden(),
    ])
    .await;
    let mut events = client_of(&url).events().last_event_id("3").open().await.unwrap();
    assert!(events.next().await.unwrap().is_err());
    assert!(events.next().await.is_none());
    let asked = asked.await.unwrap();
    let places: Vec<_> = asked.iter().map(|asked| header(asked, "last-event-id")).collect();
    assert_eq!(places, [Some("3"), Some("4"), Some("5")]);
}

#[tokio::test]
async fn an_event_that_breaks_the_contract_is_told_and_passed() {
    let mut odd = typing(true);
    odd["surprise"] = 1.into();
    let script = || {
        let text = [
            event(1, "typing.started", &odd),
            event(2, "poll.closed", &json!({ "a": 1 })),
            "id: 3\nevent: typing.started\ndata: {\n\n".to_owned(),
            event(4, "typing.stopped", &typing(false)),
        ];
        vec![stream(&text.concat()), forbidden()]
    };
    // A program in use bears a newer server.
    let (url, asked) = play(script()).await;
    let lenient = Client::new(&url, "k").unwrap();
    let events: Vec<_> = lenient.events().open().await.unwrap().collect().await;
    let good: Vec<_> = events.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, true, false, true, false]);
    let newer = events[1].as_ref().unwrap();
    assert_eq!((newer.id.as_str(), newer.kind), ("2", None));
    assert!(matches!(&newer.data, Event::Unknown { name, .. } if name == "poll.closed"));
    assert_eq!(header(&asked.await.unwrap()[1], "last-event-id"), Some("4"));
}

#[tokio::test]
async fn what_does_not_pass_is_told_at_once() {
    for (script, status) in [
        (refusal(400, "invalid_request_error", "invalid_parameter_value", ""), 400),
        (refusal(401, "authentication_error", "invalid_api_key", ""), 401),
        (forbidden(), 403),
        (answer(200, "", &json!({})), 200),
    ] {
        let (url, _asked) = play(vec![script]).await;
        let client = Client::builder(&url).key("k").retries(3).build().unwrap();
        let error = client.events().open().await.unwrap_err();
        assert_eq!((error.status(), error.is_temporary()), (Some(status), false), "{error:?}");
    }
    let down = || refusal(503, "api_error", "service_unavailable", "retry-after: 0\r\n");
    let (url, _asked) = play(vec![down(), down(), stream(""), forbidden()]).await;
    let error = client_of(&url).events().open().await.unwrap_err();
    assert_eq!(error.code(), Some(Code::ServiceUnavailable));
    let client = Client::builder(&url).key("k").retries(1).build().unwrap();
    client.events().open().await.unwrap();
}

#[tokio::test]
async fn a_block_without_end_ends_the_stream() {
    let endless = format!("data: {}", "x".repeat(5 * 1024 * 1024));
    let (url, _asked) = play(vec![stream(&endless)]).await;
    let mut events = client_of(&url).events().open().await.unwrap();
    assert!(matches!(events.next().await, Some(Err(Error::TooLarge))));
    assert!(events.next().await.is_none());
}
