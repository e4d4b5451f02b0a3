//! Idempotency-Key over a server that is killed right after its answer.

use http::Method;
use serde_json::json;
use switchboard_client::{ContactText, RawAnswer};

use crate::process::{ANY_PORT, Dev};

const CONTACT: &str = "+15550100002";

/// Every kind of write, each under the same Idempotency-Key.
async fn write_all(dev: &Dev) -> Vec<RawAnswer> {
    let (client, line) = (dev.ready.client(), &dev.ready.line);
    let hook = json!({ "from": line, "url": "https://example.com/", "events": ["message.sent"] });
    let post = async |path: &str, body: serde_json::Value| {
        let headers = [("idempotency-key", "once")];
        let body = Some(body.to_string().into());
        client.request(Method::POST, path, body, &headers).await.unwrap()
    };
    vec![
        post("/v1/messages", json!({ "from": line, "to": CONTACT, "text": "once" })).await,
        post("/v1/typing", json!({ "from": line, "to": CONTACT })).await,
        post("/v1/receipts", json!({ "from": line, "to": CONTACT })).await,
        post("/v1/webhooks", hook).await,
        post("/v1/files", json!("some bytes")).await,
        post("/v1/sandbox", json!({})).await,
    ]
}

#[tokio::test]
async fn an_answer_that_was_given_is_given_again_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let text = ContactText {
        line: dev.ready.line.clone(),
        from: CONTACT.to_owned(),
        text: Some("hello".to_owned()),
        ..ContactText::default()
    };
    dev.ready.phones().text(&text).await.unwrap();
    let first = write_all(&dev).await;
    // At once: whatever was not on the disk with the answer is lost.
    dev.process.kill().await;

    let dev = Dev::start(dir.path(), ANY_PORT).await;
    for (first, again) in first.iter().zip(write_all(&dev).await) {
        assert!([200, 201].contains(&first.status) && !first.is_replayed(), "{first:?}");
        assert!(again.is_replayed(), "{again:?}");
        assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    }
    dev.stop().await;
}
