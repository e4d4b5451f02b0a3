use reqwest::Method;
use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn chats_are_listed_with_their_people() {
    let f = Fixture::new().await;
    f.server.contact_writes(ALICE, "hi");
    let group = f.server.group(&[ALICE, BOB], Some("Friends"));
    let (_, answer) = f.post("chat/query", json!({ "with": ["lastmessage"], "limit": 10 })).await;
    assert_eq!(answer["metadata"], json!({ "count": 2, "total": 2, "offset": 0, "limit": 10 }));
    assert_eq!(answer["data"][0]["lastMessage"]["text"], "hi");
    assert_eq!(
        (&answer["data"][0]["style"], &answer["data"][1]["style"]),
        (&json!(45), &json!(43))
    );
    assert_eq!(answer["data"][1]["guid"], group.as_str());
    assert_eq!(answer["data"][1]["participants"].as_array().unwrap().len(), 2);
    assert_eq!(answer["data"][1]["displayName"], "Friends");
    // Encoded or not: both are paths.
    for guid in ["any%3B-%3B%2B15550100001", "any;-;+15550100001"] {
        let guid = guid.replace("any", "iMessage");
        assert_eq!(f.get(&format!("chat/{guid}?with=participants")).await.0, 200, "{guid}");
    }
    let (status, answer) = f.get("chat/none").await;
    assert_eq!((status, &answer["error"]["message"]), (404, &json!("Chat does not exist!")));
    f.server.lose_participants(&group);
    let (_, answer) = f.post("chat/query", json!({})).await;
    assert_eq!(answer["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_masked_twin_is_filtered_and_takes_no_message() {
    let f = Fixture::new().await;
    let twin = f.server.filtered_twin(ALICE);
    assert_eq!(twin, "iMessage;-;+1555****001");
    let (_, answer) = f.get(&format!("chat/{twin}")).await;
    assert_eq!(answer["data"]["isFiltered"], true);
    assert_eq!(f.send(&twin, "hi").await.0, 500);
    assert_eq!(f.script(&twin, "hi", "t").await.0, 500);
    assert!(f.server.carried_out().is_empty());
}

#[tokio::test]
async fn a_new_chat_comes_with_its_first_message() {
    let f = Fixture::new().await;
    let body =
        json!({ "addresses": [ALICE], "message": "hi", "method": "private-api", "tempGuid": "t" });
    let (status, answer) = f.post("chat/new", body.clone()).await;
    assert_eq!(
        (status, &answer["message"]),
        (200, &json!("Successfully created chat!")),
        "{answer}"
    );
    assert_eq!(answer["data"]["participants"][0]["address"], ALICE);
    assert_eq!(answer["data"]["messages"][0]["text"], "hi");
    assert_eq!(answer["data"]["messages"][0]["tempGuid"], "t");
    // The same person: the same chat.
    let (_, again) = f.post("chat/new", body).await;
    assert_eq!(again["data"]["guid"], answer["data"]["guid"]);
    let group = json!({ "addresses": [ALICE, BOB], "message": "all", "method": "private-api" });
    assert_eq!(f.post("chat/new", group).await.1["data"]["style"], 43);
    assert_eq!(f.texts(BOB), ["all"]);
    for body in [
        json!({ "addresses": [ALICE, BOB], "message": "x", "tempGuid": "t" }),
        json!({ "addresses": [ALICE], "method": "private-api" }),
        json!({ "addresses": [ALICE], "tempGuid": "t" }),
    ] {
        let (status, answer) = f.post("chat/new", body).await;
        assert_eq!((status, &answer["error"]["type"]), (500, &json!("Server Error")));
    }
    let script = json!({ "addresses": [BOB], "message": "script", "tempGuid": "t" });
    let (status, answer) = f.post("chat/new", script).await;
    assert_eq!((status, &answer["data"]["guid"]), (200, &json!("iMessage;-;+15550100002")));
}

#[tokio::test]
async fn to_delete_typing_starts_it() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let path = format!("chat/{chat}/typing");
    assert_eq!(f.post(&path, Value::Null).await.0, 200);
    assert!(f.server.shows_typing(ALICE));
    assert_eq!(f.call(Method::DELETE, &path, &Value::Null).await.0, 200);
    assert!(f.server.shows_typing(ALICE));
    let actions: Vec<_> = f.server.helper_actions().iter().map(|action| action.action).collect();
    assert_eq!(actions, ["start-typing", "start-typing"]);
    // A message stops it.
    assert_eq!(f.send(&chat, "hi").await.0, 200);
    assert!(!f.server.shows_typing(ALICE));
    f.server.timing(|timing| timing.typing_lapse = Duration::from_millis(20));
    f.post(&path, Value::Null).await;
    assert!(f.server.until(LIMIT, |server| !server.shows_typing(ALICE)).await);
}

#[tokio::test]
async fn reading_is_answered_unseen_and_told() {
    let f = Fixture::new().await;
    let (hooks, url) = Receiver::start().await;
    f.post("webhook", json!({ "url": url, "events": ["chat-read-status-changed"] })).await;
    let written = f.server.contact_writes(ALICE, "hi");
    assert_eq!(f.post(&format!("chat/{}/read", written.chat), Value::Null).await.0, 200);
    assert_eq!(f.server.shown_as_read(&written.chat), 1);
    // A chat that is not there is a success too.
    assert_eq!(f.post("chat/none/read", Value::Null).await.0, 200);
    let events = hooks.until(&f.server, 2, "chat-read-status-changed").await;
    assert!(
        events
            .iter()
            .any(|event| event["data"] == json!({ "chatGuid": written.chat, "read": true }))
    );
}

#[tokio::test]
async fn groups_change_through_the_helper() {
    let f = Fixture::new().await;
    let group = f.server.group(&[ALICE, BOB], Some("Old"));
    let path = format!("chat/{group}");
    let (_, answer) = f.call(Method::PUT, &path, &json!({ "displayName": "New" })).await;
    assert_eq!(answer["data"]["displayName"], "New");
    let person = json!({ "address": "+15550100003" });
    let (_, answer) = f.post(&format!("{path}/participant"), person.clone()).await;
    assert_eq!(answer["data"]["participants"].as_array().unwrap().len(), 3);
    let (_, answer) = f.call(Method::DELETE, &format!("{path}/participant"), &person).await;
    assert_eq!(answer["data"]["participants"].as_array().unwrap().len(), 2);
    let rows = f.query(json!({ "sort": "ASC" })).await;
    let kinds: Vec<_> =
        rows.iter().map(|row| (&row["itemType"], &row["groupActionType"])).collect();
    assert_eq!(kinds, [(&json!(2), &json!(0)), (&json!(1), &json!(0)), (&json!(1), &json!(1))]);
    let direct = f.server.direct_chat(ALICE);
    let (status, _) =
        f.call(Method::PUT, &format!("chat/{direct}"), &json!({ "displayName": "x" })).await;
    assert_eq!(status, 500);
    assert_eq!(f.call(Method::DELETE, &path, &Value::Null).await.0, 200);
    assert_eq!(f.get(&path).await.0, 404);
}
