//! Secrets at rest: nothing in the data directory but the key's own file shows them, and all that needs them works, over
//! restarts too.

use std::{fs, path::Path};

use serde_json::json;
use switchboard_model::webhook::WebhookSecret;
use switchboard_testkit::{LINE, Receiver, TestServer};

use crate::{
    call::Call,
    world::{CONTACT, SOON},
};

/// The files below a directory that hold these bytes.
fn holding(directory: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn nothing_that_is_kept_shows_a_secret() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let hook = json!({ "from": LINE, "url": receiver.url(), "events": ["message.received"] });
    let create = Call::post("/v1/webhooks", &hook).key(&tenant.key).header("idempotency-key", "c");
    let created = create.send(&server.url).await;
    let id = &created.body["id"];
    let rotate = Call::post("/v1/webhooks/rotate", &json!({ "id": id })).key(&tenant.key);
    let rotate = rotate.header("idempotency-key", "r");
    let rotated = rotate.send(&server.url).await;
    let secret = |answer: &switchboard_client::RawAnswer| {
        answer.body["secret"].as_str().expect("the answer shows it").to_owned()
    };
    let secrets = [secret(&created), secret(&rotated)];
    let assert_nowhere = |server: &TestServer| {
        for secret in &secrets {
            let base64 = secret.strip_prefix("whsec_").unwrap();
            assert_eq!(holding(server.data_dir(), base64.as_bytes()), Vec::<String>::new());
        }
        for name in [&tenant.key, server.operator_token()] {
            assert_eq!(holding(server.data_dir(), name.as_bytes()), Vec::<String>::new());
        }
    };
    assert_nowhere(&server);
    let server = server.restart().await;
    assert_nowhere(&server);
    for (call, first) in [(&create, &created), (&rotate, &rotated)] {
        let again = call.send(&server.url).await;
        assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    server.text(LINE, CONTACT, "hello").await;
    let came = receiver.wait_for(1, SOON).await.unwrap().remove(0);
    let [old, new] = secrets.clone().map(WebhookSecret::from_stored);
    let now = came.timestamp().unwrap();
    assert!(came.verify_at(&old, now).is_ok() || came.verify_at(&new, now).is_ok());
    assert_nowhere(&server);
    server.stop().await;
}
