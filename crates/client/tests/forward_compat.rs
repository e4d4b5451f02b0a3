//! A newer server may name what this client does not know: that must break no program in use.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use serde_json::{Value, json};
use switchboard_client::{Client, Event};
use switchboard_model::{EventKind, OutboxItem, line::Capability};

use script::{ID, REQUEST, answer, list, play};

mod script;

const KEY: &str = "sk_live_x";

fn line() -> Value {
    json!({
        "id": format!("ln_{ID}"), "handle": "+15550100001", "label": null, "service": "auto",
        "is_active": true, "advanced_features": true, "is_sandbox": false,
        "capabilities": ["replies", "telepathy", "typing"],
    })
}

fn webhook() -> Value {
    json!({
        "id": format!("wh_{ID}"), "line_ids": [], "url": "https://example.com/", "is_active": true,
        "events": ["poll.closed", "message.sent"],
    })
}

fn message(service: &str) -> Value {
    json!({
        "id": format!("msg_{ID}"), "line_id": format!("ln_{ID}"), "chat_id": format!("cht_{ID}"),
        "guid": "G-1", "sender": "+15550123456", "text": "Hi", "attachments": [],
        "service": service, "is_from_me": false, "sent_at": 1, "synced_at": 2,
    })
}

#[tokio::test]
async fn unknown_names_are_left_out() {
    let created = || {
        let mut created = webhook();
        created["secret"] = "whsec_AAAA".into();
        created["request_id"] = REQUEST.into();
        answer(201, "", &created)
    };
    let script = vec![
        list(&[line()], None),
        list(&[webhook()], None),
        created(),
        list(&[message("RCS"), message("SMS")], None),
    ];
    let (url, _asked) = play(script).await;
    let client = Client::new(&url, KEY).unwrap();
    let lines = client.lines().await.unwrap().value.data;
    assert_eq!(lines[0].capabilities, [Capability::Replies, Capability::Typing]);
    let webhooks = client.webhooks("").await.unwrap().value.data;
    assert_eq!(webhooks[0].events, [EventKind::MessageSent]);
    let new = switchboard_client::CreateWebhook::new("", "https://example.com/", []);
    let webhook = client.create_webhook(&new).await.unwrap().value;
    assert_eq!(webhook.events, [EventKind::MessageSent]);
    let messages = client.messages("a", "b").send().await.unwrap().value.data;
    assert_eq!(messages[0].service, None, "not known is better than wrong");
    assert_eq!(messages[1].service.unwrap().as_str(), "SMS");
}

#[test]
fn unknown_names_in_events_are_left_out() {
    let mut data = message("RCS");
    data["line_handle"] = "+15550100001".into();
    let Event::MessageReceived(event) = Event::read("message.received", data).unwrap() else {
        panic!("a message was received")
    };
    assert_eq!(event.message.service, None);
}

#[test]
fn another_server_need_not_have_what_switchboard_adds() {
    let mut line = line();
    let left_out = ["advanced_features", "capabilities", "is_sandbox"];
    line.as_object_mut().unwrap().retain(|name, _| !left_out.contains(&name.as_str()));
    let line: switchboard_model::Line = serde_json::from_value(line).unwrap();
    assert!(!line.is_sandbox && line.capabilities.is_empty());
    let item = json!({
        "id": format!("obx_{ID}"), "status": "pending", "line_id": format!("ln_{ID}"),
        "payload": {}, "attempts": 0, "max_attempts": 3,
    });
    let item: OutboxItem = serde_json::from_value(item).unwrap();
    assert_eq!(item.created_at.millis(), 0);
}
