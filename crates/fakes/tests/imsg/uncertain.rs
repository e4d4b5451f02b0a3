//! rpc.md, "Lifecycle": dispositions, and the poison of the lane.

use std::time::Duration;

use serde_json::json;
use switchboard_fakes::imsg::{Fault, Mac, Stage};

use crate::program::Imsg;

const ANN: &str = "+15550100001";

#[tokio::test]
async fn each_disposition_has_its_code_and_its_data() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let cases = [
        (Fault::NotStarted, -32603, "not_started", 0),
        (Fault::MayHaveCompleted { done: false }, -32001, "may_have_completed", 0),
        (Fault::MayHaveCompleted { done: true }, -32001, "may_have_completed", 1),
        (Fault::GhostRow, -32001, "may_have_completed", 0),
        (Fault::StillInFlight { done_after: None }, -32001, "still_in_flight", 0),
    ];
    for (at, (fault, code, disposition, sent)) in cases.into_iter().enumerate() {
        let text = at.to_string();
        mac.fault("send", fault);
        let params = json!({ "chat_id": chat, "text": text, "transport": "bridge" });
        let error = imsg.error("send", params).await;
        assert_eq!(
            (&error["code"], &error["data"]["disposition"]),
            (&json!(code), &json!(disposition))
        );
        assert_eq!(error["data"]["retry_safe"], disposition == "not_started");
        for field in ["transport", "operation", "detail"] {
            assert!(error["data"][field].is_string(), "{error}");
        }
        assert_eq!(mac.contact(ANN).times_received(&text), sent, "{disposition}");
    }
}

#[tokio::test]
async fn automatic_transport_turns_to_applescript_only_when_nothing_was_dispatched() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.fault("send", Fault::NotStarted);
    let sent = imsg.ok("send", json!({ "chat_id": chat, "text": "one" })).await;
    assert_eq!(sent["transport"], "applescript");
    mac.fault("send", Fault::MayHaveCompleted { done: true });
    assert_eq!(imsg.code("send", json!({ "chat_id": chat, "text": "two" })).await, -32001);
    assert_eq!(
        (mac.contact(ANN).times_received("one"), mac.contact(ANN).times_received("two")),
        (1, 1)
    );
}

#[tokio::test]
async fn what_is_still_in_flight_poisons_the_lane_of_this_child() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let subscription = imsg.ok("watch.subscribe", json!({})).await["subscription"].clone();
    mac.fault("send", Fault::StillInFlight { done_after: Some(Duration::from_millis(500)) });
    let first = imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await;
    let queued = imsg.request("send", json!({ "chat_id": chat, "text": "two" })).await;
    assert_eq!(imsg.answer(&first).await["error"]["data"]["disposition"], "still_in_flight");
    let blocked = imsg.answer(&queued).await["error"].take();
    assert_eq!(
        (&blocked["code"], &blocked["message"]),
        (&json!(-32004), &json!("Mutation lane blocked"))
    );
    assert_eq!(
        (&blocked["data"]["disposition"], &blocked["data"]["operation"]),
        (&json!("still_in_flight"), &json!("send-message"))
    );
    assert_eq!(imsg.code("typing", json!({ "chat_id": chat })).await, -32004);
    imsg.ok("chats.list", json!({})).await;
    mac.contact(ANN).writes("are you there?");
    imsg.notification("message").await;
    imsg.ok("watch.unsubscribe", json!({ "subscription": subscription })).await;

    // It may still happen; a new child is clean.
    let mut other = Imsg::start(&mac);
    other.ok("send", json!({ "chat_id": chat, "text": "three" })).await;
    mac.until("it has arrived", |mac| mac.contact(ANN).times_received("one") == 1).await;
    assert_eq!(mac.contact(ANN).times_received("two"), 0);
}

#[tokio::test]
async fn a_notification_poisons_the_lane_in_silence() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.fault("send", Fault::StillInFlight { done_after: None });
    let line =
        json!({ "jsonrpc": "2.0", "method": "send", "params": { "chat_id": chat, "text": "one" } });
    imsg.write(&line.to_string()).await;
    assert_eq!(imsg.code("read", json!({ "chat_id": chat })).await, -32004);
    assert!(imsg.kept().is_empty());
}

#[tokio::test]
async fn a_tracked_send_under_another_guid_is_uncertain() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.fault("send.tracked", Fault::OtherGuid);
    let attempt = "5f0c1d2e-0000-5000-8000-000000000001";
    let error = imsg
        .error("send.tracked", json!({ "chat_id": chat, "text": "hi", "attempt_id": attempt }))
        .await;
    assert_eq!(
        (&error["code"], &error["data"]["disposition"]),
        (&json!(-32001), &json!("may_have_completed"))
    );
    assert_eq!(mac.contact(ANN).times_received("hi"), 1);
    assert!(mac.row(attempt).is_none());
}

#[tokio::test]
async fn a_refusal_is_a_text_and_does_nothing() {
    let mac = Mac::start();
    let guid = mac.contact(ANN).writes("hi");
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    for (method, params) in [
        ("send", json!({ "chat_id": chat, "text": "hi" })),
        ("tapback", json!({ "chat_id": chat, "message_id": guid, "reaction": "love" })),
        ("messages.after", json!({ "since_rowid": 0 })),
    ] {
        mac.fault(method, Fault::Refused("SQLite error: database is locked".to_owned()));
        let error = imsg.error(method, params).await;
        assert_eq!((&error["code"], error["data"].is_string()), (&json!(-32603), true), "{method}");
    }
    assert_eq!(mac.mutations(), []);
    assert_eq!(mac.faults_left(), 0);
}

#[tokio::test]
async fn what_is_held_past_the_limit_is_still_in_flight_and_of_applescript_uncertain() {
    let mac = Mac::start();
    let (ann, bob) = (mac.chat_with(ANN), mac.chat_with("+15550100002"));
    mac.hold(Stage::Dispatched);
    let mut children =
        [(ann, "bridge", "still_in_flight"), (bob, "applescript", "may_have_completed")]
            .map(|case| (Imsg::start(&mac), case));
    for (imsg, (chat, transport, _)) in &mut children {
        imsg.request("send", json!({ "chat_id": chat, "text": "late", "transport": transport }))
            .await;
    }
    for (imsg, (_, _, disposition)) in &mut children {
        assert_eq!(imsg.answer(&json!(1)).await["error"]["data"]["disposition"], *disposition);
    }
    assert_eq!(mac.mutations(), []);
    mac.release();
    mac.until("both have arrived", |mac| mac.mutations().len() == 2).await;
}

#[tokio::test]
async fn applescript_takes_an_older_row_with_the_same_text_for_its_own() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let older = mac.owner().writes(chat, "ok");
    mac.fault("send", Fault::Vanishes);
    let mut imsg = Imsg::start(&mac);
    let params = json!({ "chat_id": chat, "text": "ok", "transport": "applescript" });
    // Messages said yes and sent nothing; the owner's own row is less than two seconds old.
    assert_eq!(imsg.ok("send", params).await["guid"], older);
    assert_eq!(mac.contact(ANN).times_received("ok"), 1);
    assert_eq!(mac.mutations(), []);
}

#[tokio::test]
async fn a_yes_is_no_proof() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let attempt = "5f0c1d2e-0000-5000-8000-000000000001";
    mac.fault("send.tracked", Fault::Vanishes);
    let sent = imsg
        .ok("send.tracked", json!({ "chat_id": chat, "text": "one", "attempt_id": attempt }))
        .await;
    let status = imsg.ok("message.send_status", json!({ "guid": sent["guid"] })).await;
    assert!(status["status_fields"].is_null(), "{status}");
    mac.fault("send", Fault::Vanishes);
    let params = json!({ "chat_id": chat, "text": "two", "transport": "applescript" });
    let error = imsg.error("send", params).await;
    assert_eq!(
        (&error["code"], &error["data"]["disposition"]),
        (&json!(-32001), &json!("may_have_completed"))
    );
    assert_eq!(mac.received_by(ANN), []);
}
