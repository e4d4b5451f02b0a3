//! Repetitions: which calls, under which key, and what counts as done.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use serde_json::json;
use switchboard_client::{Client, CreateWebhook, SendMessage, Upload};
use switchboard_model::{Code, EventKind};

use script::{ID, REQUEST, accepted, answer, header, list, play, refusal};

mod script;

fn down() -> String {
    refusal(503, "api_error", "service_unavailable", "retry-after: 0\r\n")
}

fn not_found() -> String {
    refusal(404, "not_found_error", "webhook_not_found", "")
}

/// An answer that is lost on the way.
fn lost() -> String {
    String::new()
}

fn repeating(url: &str) -> Client {
    Client::builder(url).key("k").retries(2).build().unwrap()
}

#[tokio::test]
async fn without_retries_nothing_is_repeated() {
    let (url, asked) = play(vec![down()]).await;
    let client = Client::new(&url, "k").unwrap();
    let hook = CreateWebhook::new("", "http://x.org", [EventKind::MessageSent]);
    let error = client.create_webhook(&hook).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::ServiceUnavailable));
    assert!(error.is_temporary());
    assert_eq!(header(&asked.await.unwrap()[0], "idempotency-key"), None);
}

#[tokio::test]
async fn a_post_is_repeated_under_one_key_of_its_own() {
    let in_flight = refusal(409, "invalid_request_error", "idempotency_in_progress", "");
    let script = vec![lost(), in_flight, accepted(), down(), accepted(), down(), list(&[], None)];
    let (url, asked) = play(script).await;
    let client = repeating(&url);
    let message = SendMessage::text("+15550100001", "+15550123456", "Hi");
    client.send_message(&message).await.unwrap();
    client.send_message(&message).await.unwrap();
    client.lines().await.unwrap();
    let asked = asked.await.unwrap();
    let keys: Vec<_> = asked.iter().map(|asked| header(asked, "idempotency-key")).collect();
    let (first, second) = (keys[0].unwrap(), keys[3].unwrap());
    assert_ne!(first, second);
    assert_eq!(keys[..5], [Some(first), Some(first), Some(first), Some(second), Some(second)]);
    assert_eq!(keys[5..], [None, None]);
    let bodies: Vec<_> = asked[..5].iter().map(|asked| script::body(asked)).collect();
    assert!(bodies.iter().all(|body| *body == json!(message)));
}

#[tokio::test]
async fn a_refusal_that_stays_is_not_repeated() {
    let mismatch = refusal(422, "invalid_request_error", "idempotency_mismatch", "");
    let patience = refusal(429, "rate_limit_error", "rate_limit_exceeded", "retry-after: 3600\r\n");
    let (url, asked) = play(vec![mismatch, patience, down()]).await;
    let client = repeating(&url);
    let message = SendMessage::text("+15550100001", "+15550123456", "Hi");
    let error = client.send_message(&message).await.unwrap_err();
    assert_eq!((error.code(), error.is_temporary()), (Some(Code::IdempotencyMismatch), false));
    let error = client.send_message(&message).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(3600));
    // Somebody may have paired a phone in between.
    client.reset_sandbox().await.unwrap_err();
    assert_eq!(asked.await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_webhook_that_is_gone_at_a_repetition_was_deleted() {
    let (url, _asked) = play(vec![not_found(), lost(), not_found(), lost(), down(), down()]).await;
    let client = repeating(&url);
    let id = format!("wh_{ID}");
    let never = client.delete_webhook(&id).await.unwrap_err();
    assert_eq!(never.code(), Some(Code::WebhookNotFound));
    let deleted = client.delete_webhook(&id).await.unwrap();
    assert_eq!((deleted.value.id.as_str(), deleted.value.deleted), (id.as_str(), true));
    assert_eq!((deleted.status, deleted.request_id.as_str()), (200, REQUEST));
    let error = client.delete_webhook(&id).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::ServiceUnavailable));
}

#[tokio::test]
async fn a_webhook_that_was_not_reached_before_was_not_deleted() {
    let busy = refusal(429, "rate_limit_error", "rate_limit_exceeded", "retry-after: 1\r\n");
    let (url, _asked) = play(vec![busy, not_found()]).await;
    let error = repeating(&url).delete_webhook(format!("wh_{ID}")).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::WebhookNotFound));
}

#[tokio::test]
async fn bytes_are_uploaded_again_and_a_stream_is_not() {
    let file = json!({
        "id": format!("file_{ID}"), "url": null, "mime_type": "text/plain", "size": 3,
        "request_id": REQUEST,
    });
    let (url, asked) = play(vec![down(), answer(201, "", &file), down()]).await;
    let client = repeating(&url);
    client.upload(Upload::bytes("abc")).await.unwrap();
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("abc")]);
    let error = client.upload(Upload::stream(chunks)).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::ServiceUnavailable));
    let asked = asked.await.unwrap();
    assert!(asked[..2].iter().all(|asked| asked.ends_with("\r\n\r\nabc")), "{asked:?}");
    assert_eq!(header(&asked[0], "idempotency-key"), header(&asked[1], "idempotency-key"));
}
