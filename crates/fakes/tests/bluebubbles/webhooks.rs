use reqwest::Method;
use serde_json::{Value, json};
use switchboard_fakes::bluebubbles::{Incoming, Keep};

use super::*;

async fn hooked(f: &Fixture) -> Receiver {
    let (hooks, url) = Receiver::start().await;
    let (status, _) = f.post("webhook", json!({ "url": url, "events": ["*"] })).await;
    assert_eq!(status, 200);
    hooks
}

#[tokio::test]
async fn the_same_url_again_is_the_same_entry() {
    let f = Fixture::new().await;
    let body = |events: &[&str]| json!({ "url": "http://127.0.0.1:1/x", "events": events });
    let (_, first) = f.post("webhook", body(&["new-message"])).await;
    let (_, second) = f.post("webhook", body(&["new-message", "updated-message"])).await;
    assert_eq!(first["data"]["id"], second["data"]["id"]);
    let (_, listed) = f.get("webhook").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["data"][0]["events"], json!(["new-message", "updated-message"]));
    assert_eq!(f.get("webhook?url=http://other").await.1["data"], json!([]));
    // The event's name stands wrongly in the server's own list.
    assert_eq!(f.post("webhook", body(&["imessage-aliases-removed"])).await.0, 400);
    assert_eq!(f.post("webhook", json!({ "url": "ftp://x", "events": ["*"] })).await.0, 400);
    let path = format!("webhook/{}", first["data"]["id"]);
    assert_eq!(f.call(Method::DELETE, &path, &Value::Null).await.0, 200);
    assert_eq!(f.call(Method::DELETE, &path, &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_new_message_is_told_with_its_chat_and_a_change_without() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    let written = f.server.contact_writes(ALICE, "hi");
    let told = hooks.until(&f.server, 1, "new-message").await.remove(0);
    assert_eq!(told["data"]["guid"], written.guid.as_str());
    assert_eq!(told["data"]["chats"][0]["guid"], written.chat.as_str());
    assert_eq!(told["data"]["handle"]["address"], ALICE);
    assert!(told["data"].get("isAudioMessage").is_none());
    assert!(told["data"]["chats"][0].get("participants").is_none());
    f.server.edit(&written.guid, "hello");
    let told = hooks.until(&f.server, 1, "updated-message").await.remove(0);
    assert_eq!(told["data"]["text"], "hello");
    assert!(told["data"].get("chats").is_none());
}

#[tokio::test]
async fn an_own_send_is_told_twice() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    let chat = f.server.direct_chat(ALICE);
    let mut body = private(&chat, "hi");
    body["tempGuid"] = json!("t");
    f.post("message/text", body).await;
    let told = hooks.until(&f.server, 2, "new-message").await;
    assert_eq!(told[0]["data"]["guid"], told[1]["data"]["guid"]);
    assert_eq!(told.iter().filter(|event| event["data"]["tempGuid"] == "t").count(), 1);
}

#[tokio::test]
async fn a_change_of_a_group_is_told_as_what_it_is_and_as_a_message() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    let group = f.server.group(&[ALICE, BOB], Some("Old"));
    let guid = f.server.group_renamed(&group, Some(ALICE), "New").unwrap();
    let told = hooks.until(&f.server, 1, "group-name-change").await.remove(0);
    assert_eq!(
        (&told["data"]["itemType"], &told["data"]["groupTitle"]),
        (&json!(2), &json!("New"))
    );
    let message = hooks.until(&f.server, 1, "new-message").await.remove(0);
    assert_eq!(message["data"]["guid"], guid.as_str());
    f.server.group_left(&group, BOB);
    let told = hooks.until(&f.server, 1, "participant-left").await.remove(0);
    assert_eq!(told["data"]["chats"][0]["participants"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_the_newest_hundred_are_looked_at() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    let old = f.server.contact_writes(ALICE, "old");
    hooks.until(&f.server, 1, "new-message").await;
    f.server.timing(|timing| timing.debounce = Duration::from_millis(200));
    for number in 0..250 {
        f.server.contact_writes(ALICE, &number.to_string());
    }
    hooks.until(&f.server, 101, "new-message").await;
    f.server.edit(&old.guid, "nobody hears of it");
    f.server.contact_writes(BOB, "end");
    hooks.until(&f.server, 102, "new-message").await;
    assert_eq!(hooks.of("new-message").len(), 102);
    assert!(hooks.of("updated-message").is_empty());
}

#[tokio::test]
async fn what_came_while_the_server_was_down_is_never_told() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    f.server.stop().await;
    f.server.contact_writes(ALICE, "meanwhile");
    f.server.start_again().await.unwrap();
    f.server.contact_writes(ALICE, "afterwards");
    let told = hooks.until(&f.server, 1, "new-message").await;
    assert_eq!(told[0]["data"]["text"], "afterwards");
    assert_eq!(f.query(json!({})).await.len(), 2);
}

#[tokio::test]
async fn caches_forget_after_an_hour() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    let written = f.server.contact_writes(ALICE, "hi");
    let notified = f.server.receive(ALICE, Incoming::text("quiet").notified());
    hooks.until(&f.server, 2, "new-message").await;
    f.server.an_hour_passes();
    let told = hooks.until(&f.server, 3, "new-message").await;
    assert_eq!(told[2]["data"]["guid"], notified.guid.as_str());
    f.server.edit(&written.guid, "told as new");
    let told = hooks.until(&f.server, 4, "new-message").await;
    assert_eq!(told[3]["data"]["text"], "told as new");
    f.server.replay_webhooks();
    hooks.until(&f.server, 6, "new-message").await;
}

#[tokio::test]
async fn a_file_is_told_when_it_comes() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    let late = Incoming::text("look").with_file("a.png", "image/png", "png").files_late();
    let written = f.server.receive(ALICE, late);
    let told = hooks.until(&f.server, 1, "new-message").await.remove(0);
    assert_eq!(told["data"]["attachments"][0]["totalBytes"], 0);
    f.server.finish_files(&written.guid);
    let told = hooks.until(&f.server, 1, "updated-message").await.remove(0);
    assert_eq!(told["data"]["attachments"][0]["totalBytes"], 3);
}

#[tokio::test]
async fn typing_is_told_in_chats_of_two_and_not_too_often() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    f.server.timing(|timing| timing.typing_repeat = Duration::from_secs(60));
    let chat = f.server.direct_chat(ALICE);
    f.server.contact_types(ALICE, true);
    f.server.contact_types(ALICE, true);
    f.server.contact_types(ALICE, false);
    let told = hooks.until(&f.server, 2, "typing-indicator").await;
    assert!(told.iter().any(|event| event["data"] == json!({ "display": true, "guid": chat })));
    f.server.mac(|mac| mac.helper_connected = false);
    f.server.contact_types(BOB, true);
    f.server.contact_writes(ALICE, "end");
    hooks.until(&f.server, 1, "new-message").await;
    assert_eq!(hooks.of("typing-indicator").len(), 2);
}

#[tokio::test]
async fn a_new_row_of_a_replaced_database_is_new() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    f.server.contact_writes(ALICE, "old");
    hooks.until(&f.server, 1, "new-message").await;
    f.server.replace_database(Keep::Nothing);
    let written = f.server.contact_writes(ALICE, "new");
    assert_eq!(written.rowid, 1);
    let told = hooks.until(&f.server, 2, "new-message").await;
    assert_eq!(told[1]["data"]["guid"], written.guid.as_str());
}
