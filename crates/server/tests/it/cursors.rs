//! Cursors that nobody gave out.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use switchboard_client::CreateWebhook;
use switchboard_model::{Code, EventKind};
use switchboard_testkit::{LINE, Receiver, TestServer};

use crate::{
    call::{Call, assert_refused},
    world::{CONTACT, STRANGER},
};

/// As the first version made them: with a tag that needs no secret.
fn unsigned(list: &str, place: &[u64]) -> String {
    let mut bytes = vec![1];
    place.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
    let tag = Sha256::new().chain_update(list).chain_update([0]).chain_update(&bytes).finalize();
    bytes.extend_from_slice(&tag[..8]);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_cursor_that_was_not_given_out_is_refused() {
    let mut server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant("+15550100005").await;
    let receiver = Receiver::start().await;
    let webhook = CreateWebhook::new(LINE, receiver.url(), [EventKind::MessageReceived]);
    tenant.client.create_webhook(&webhook).await.unwrap();
    for (contact, number) in [(CONTACT, 0), (CONTACT, 1), (STRANGER, 2), (STRANGER, 3)] {
        server.text(LINE, contact, &number.to_string()).await;
    }
    let encoded = |handle: &str| handle.replace('+', "%2B");
    let (line, contact) = (encoded(LINE), encoded(CONTACT));
    let lists = [
        (format!("/v1/chats?from={line}&limit=1"), format!("chats {LINE}"), 3),
        (
            format!("/v1/messages?from={line}&to={contact}&limit=1"),
            format!("messages {LINE} {CONTACT}"),
            1,
        ),
        ("/v1/deliveries?limit=1".to_owned(), "deliveries".to_owned(), 3),
    ];
    let mut given = Vec::new();
    for (path, name, numbers) in &lists {
        let ask = async |key: &str, cursor: &str| {
            let path = format!("{path}&cursor={cursor}");
            Call::get(path).key(key).send(&server.url).await
        };
        let first = Call::get(path).key(&tenant.key).send(&server.url).await;
        let cursor = first.body["next_cursor"].as_str().expect("there is more").to_owned();
        let refused = async |what: &str, key: &str, cursor: &str| {
            let answer = ask(key, cursor).await;
            let what = format!("{name}: {what}");
            assert_refused(&what, &answer, Code::InvalidParameterValue, Some("cursor"));
        };
        for place in [0, 1, u64::MAX] {
            let made_up = vec![place; *numbers];
            refused("without a secret", &tenant.key, &unsigned(name, &made_up)).await;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        // The version, each number, and both ends of the tag.
        for at in [0, 1, 8, 8 * numbers, 8 * numbers + 1, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            refused("one bit is another", &tenant.key, &changed).await;
        }
        let shorter = BASE64_URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]);
        refused("the tag is cut", &tenant.key, &shorter).await;
        if path.starts_with("/v1/deliveries") {
            refused("another account's", &other.key, &cursor).await;
        }
        assert_eq!(ask(&tenant.key, &cursor).await.status, 200, "{name}");
        given.push((path.clone(), cursor));
    }
    // The key outlives the process.
    server = server.restart().await;
    for (path, cursor) in given {
        let path = format!("{path}&cursor={cursor}");
        let answer = Call::get(&path).key(&tenant.key).send(&server.url).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    server.stop().await;
}
