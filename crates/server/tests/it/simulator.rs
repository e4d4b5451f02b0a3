//! /simulator/v1: what a test or a person does with virtual phones.

use std::time::{Duration, Instant};

use serde_json::json;
use switchboard_client::{ContactText, SetFault};
use switchboard_model::{Code, outbox::OutboxStatus::Sent, simulator::FaultMode};
use switchboard_server::routes;
use switchboard_testkit::{LINE, Setup, TestServer};

use crate::{
    call::{Call, assert_refused, assert_request_id, query},
    world::{CONTACT, STRANGER, settled},
};

#[tokio::test]
async fn without_the_simulator_there_is_no_such_path() {
    let server = Setup::new().config(|config| config.simulator = false).start().await;
    let rows: Vec<_> = routes::table().into_iter().filter(|row| row.simulator).collect();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let call = Call::new(row.method, row.path);
        for call in [call.clone(), call.key(server.operator_token())] {
            let answer = call.send_undocumented(&server.url).await;
            assert_refused(row.path, &answer, Code::EndpointNotFound, None);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn its_answers_have_the_promised_form() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let token = server.operator_token();
    let body = json!({ "line": LINE, "from": CONTACT, "text": "hello" });
    let call = Call::post("/simulator/v1/messages", &body).key(token);
    let answer = call.send(&server.url).await;
    assert_eq!(answer.status, 201);
    let texted = &answer.body;
    let expected = json!({
        "guid": texted["guid"], "chat_id": texted["chat_id"], "message_id": texted["message_id"],
        "request_id": texted["request_id"],
    });
    assert_eq!(*texted, expected);
    assert_request_id("texted", &answer);

    let answer = json!({
        "from": LINE, "to": texted["chat_id"], "text": "hi", "reply_to": texted["message_id"],
    });
    let call = Call::post("/v1/messages", &answer).key(&tenant.key);
    let item = call.send(&server.url).await.body["id"].as_str().unwrap().parse().unwrap();
    settled(&tenant, item, Sent).await;
    let path = query("/simulator/v1/phones", &[("handle", CONTACT)]);
    let phone = Call::get(path).key(token).send(&server.url).await;
    let message = &phone.body["messages"][0];
    let expected = json!({
        "messages": [{
            "guid": message["guid"], "line": LINE, "from": LINE, "text": "hi",
            "reply_to_guid": texted["guid"], "received_at": message["received_at"],
            "attachments": [], "is_audio_message": false, "reactions": [], "edited_at": null,
            "unsent_at": null,
        }],
        "reactions": [], "changes": [], "typing": [], "read": [],
        "request_id": phone.body["request_id"],
    });
    assert_eq!(phone.body, expected);
    assert!(message["received_at"].as_i64().is_some_and(|at| at > 1_600_000_000_000));
    let nobody = query("/simulator/v1/phones", &[("handle", STRANGER)]);
    let nobody = Call::get(nobody).key(token).send(&server.url).await;
    assert_eq!(nobody.body["messages"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn a_text_to_a_line_that_is_away_arrives_when_it_is_back() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.phones().fault(&SetFault::new(LINE, FaultMode::Offline)).await.unwrap();
    let waiting = server.text(LINE, CONTACT, "first").await;
    assert_eq!((waiting.chat_id, waiting.message_id), (None, None));
    server.phones().fault(&SetFault::new(LINE, FaultMode::None)).await.unwrap();
    let next = server.text(LINE, CONTACT, "second").await;
    assert!(next.message_id.is_some());
    let listed = tenant.client.messages(LINE, CONTACT).send().await.unwrap().value.data;
    let texts: Vec<_> = listed.iter().filter_map(|message| message.text.as_deref()).collect();
    assert_eq!(texts, ["second", "first"]);
    assert_eq!(listed[1].guid, waiting.guid);

    // Away for a time comes back by itself.
    let for_a_time = SetFault { ms: Some(50), ..SetFault::new(LINE, FaultMode::Offline) };
    let set = server.phones().fault(&for_a_time).await.unwrap().value;
    assert_eq!((set.mode, set.ms, set.count), (FaultMode::Offline, Some(50), None));
    let send = switchboard_client::SendMessage::text(LINE, CONTACT, "out");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    settled(&tenant, item, Sent).await;
    server.stop().await;
}

#[tokio::test]
async fn a_group_on_a_line_that_is_away_is_refused_and_not_kept() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.phones().fault(&SetFault::new(LINE, FaultMode::Offline)).await.unwrap();
    let began = Instant::now();
    let body = json!({ "line": LINE, "participants": [CONTACT] });
    let call = Call::post("/simulator/v1/groups", &body).key(server.operator_token());
    let answer = call.send(&server.url).await;
    assert_refused("offline", &answer, Code::ServiceUnavailable, None);
    assert!(began.elapsed() < Duration::from_secs(5), "it does not wait for the line");
    // Whoever does as told has one group in the end.
    server.phones().fault(&SetFault::new(LINE, FaultMode::None)).await.unwrap();
    let group = server.phones().group(LINE, None, &[CONTACT]).await.unwrap().value;
    let chats = tenant.client.chats(LINE).send().await.unwrap().value.data;
    assert_eq!(chats.iter().map(|chat| chat.id).collect::<Vec<_>>(), [group]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_text_and_what_has_a_nul_are_told_apart() {
    let server = TestServer::start().await;
    for (text, said) in [(json!(5), "must be a text."), (json!("a\u{0}b"), "NUL")] {
        let body = json!({ "line": LINE, "from": CONTACT, "text": text });
        let call = Call::post("/simulator/v1/messages", &body).key(server.operator_token());
        let answer = call.send(&server.url).await;
        assert_refused("text", &answer, Code::InvalidParameterValue, Some("text"));
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(said), "{message}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_text_names_only_a_chat_that_its_contact_is_in() {
    let server = TestServer::start().await;
    server.tenant(LINE).await;
    let group = server.phones().group(LINE, None, &[CONTACT]).await.unwrap().value;
    let text = |from: &str| ContactText {
        chat_id: Some(group.to_string()),
        ..ContactText::new(LINE, from, "hello")
    };
    server.phones().text(&text(CONTACT)).await.unwrap();
    let refused = server.phones().text(&text(STRANGER)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::ChatNotFound));
    // Restarted, the phones and groups are as they were.
    let server = server.restart().await;
    server.phones().text(&text(CONTACT)).await.unwrap();
    server.stop().await;
}
