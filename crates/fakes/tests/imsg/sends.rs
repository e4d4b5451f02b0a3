//! rpc.md, "send" and "send.tracked"; send.md.

use std::fs;

use serde_json::json;
use switchboard_fakes::imsg::{Fault, Helper, Mac, MacOs, Settings};

use crate::program::Imsg;

const ANN: &str = "+15550100001";
const BOB: &str = "+15550100002";
const ATTEMPT: &str = "5F0C1D2E00005000800000000000AB01";
const GUID: &str = "5f0c1d2e-0000-5000-8000-00000000ab01";

fn tahoe() -> Mac {
    Mac::with(Settings { macos: MacOs::Tahoe26, ..Settings::default() })
}

#[tokio::test]
async fn the_helper_sends_into_a_chat_that_exists() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let sent = imsg.ok("send", json!({ "to": "(555) 010-0001", "text": "hi" })).await;
    assert_eq!((&sent["ok"], &sent["transport"]), (&json!(true), &json!("bridge")));
    assert_eq!(
        (&sent["guid"], &sent["chat_guid"]),
        (&sent["message_id"], &json!(format!("iMessage;-;{ANN}")))
    );
    let received = mac.received_by(ANN);
    assert_eq!((received.len(), &*received[0].text), (1, "hi"));
    assert_eq!(json!(received[0].guid), sent["guid"]);
    let done = &mac.mutations()[0];
    assert_eq!(
        (&*done.method, &*done.text, done.guid.as_deref()),
        ("send", "hi", sent["guid"].as_str())
    );

    // In a direct chat an own row's sender is the other one.
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0, "chat_id": chat })).await;
    let own = &page["messages"][0];
    assert_eq!((&own["is_from_me"], &own["sender"]), (&json!(true), &json!(ANN)));
    assert!(own.get("is_read").is_none());
}

#[tokio::test]
async fn somebody_new_is_reached_by_applescript_only() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    let error = imsg.error("send", json!({ "to": ANN, "text": "hi", "transport": "bridge" })).await;
    assert_eq!(
        (&error["code"], &error["data"]),
        (&json!(-32602), &json!("bridge transport requires an existing chat target"))
    );
    let sent = imsg.ok("send", json!({ "to": ANN, "text": "hi" })).await;
    assert_eq!((&sent["transport"], &sent["service"]), (&json!("applescript"), &json!("iMessage")));
    assert_eq!(sent["id"], mac.row(sent["guid"].as_str().unwrap()).unwrap().rowid);
    assert_eq!(mac.contact(ANN).times_received("hi"), 1);
    let again = imsg.ok("send", json!({ "to": ANN, "text": "hi again" })).await;
    assert_eq!(again["transport"], "bridge");
}

#[tokio::test]
async fn macos_26_loses_first_messages_and_finds_no_groups() {
    let mac = tahoe();
    let team = mac.group("Team", &[ANN, BOB]);
    let ann = mac.chat_with(ANN);
    mac.set_helper(Helper::Absent);
    let mut imsg = Imsg::start(&mac);
    let error = imsg.error("send", json!({ "to": "+15550100003", "text": "hi" })).await;
    assert_eq!(
        (&error["code"], &error["data"]["disposition"]),
        (&json!(-32001), &json!("may_have_completed"))
    );
    // The ghost row: empty, outgoing, of no chat.
    let ghost = mac.rows().pop().unwrap();
    assert_eq!((ghost.chat, ghost.is_from_me, &*ghost.text), (None, true, ""));
    let error = imsg.error("send", json!({ "chat_id": team, "text": "hi" })).await;
    assert_eq!((&error["code"], &error["data"]["retry_safe"]), (&json!(-32603), &json!(true)));
    let sent = imsg.ok("send", json!({ "chat_id": ann, "text": "hi" })).await;
    assert_eq!(sent["transport"], "applescript");
    assert_eq!(mac.mutations().len(), 1);
}

#[tokio::test]
async fn guids_are_matched_and_never_guessed() {
    let mac = tahoe();
    mac.chat_with(ANN);
    let team = mac.group("Team", &[ANN, BOB]);
    let group = mac.chat(team).unwrap();
    let mut imsg = Imsg::start(&mac);
    for name in
        [ANN.to_owned(), format!("any;-;{ANN}"), group.identifier.clone(), group.guid.clone()]
    {
        let sent = imsg.ok("send", json!({ "chat_identifier": name, "text": "hi" })).await;
        assert!(sent["chat_guid"].as_str().unwrap().starts_with("any;"), "{sent}");
    }
    // One that names a service falls through to no other.
    let guid = format!("iMessage;-;{ANN}");
    let error =
        imsg.error("send", json!({ "chat_guid": guid, "text": "hi", "transport": "bridge" })).await;
    assert_eq!(error["data"]["disposition"], "not_started");
    assert_eq!(mac.received_by(BOB).len(), 2);
}

#[tokio::test]
async fn sms_is_a_fallback_only_if_it_is_allowed() {
    let mac = Mac::start();
    mac.contact(ANN).has_only_sms();
    mac.contact(BOB).has_only_sms();
    let mut imsg = Imsg::start(&mac);
    let error =
        imsg.error("send", json!({ "to": ANN, "text": "hi", "allow_sms_fallback": false })).await;
    assert_eq!(
        (&error["code"], &error["data"]["disposition"]),
        (&json!(-32603), &json!("not_started"))
    );
    let error = imsg.error("send", json!({ "to": ANN, "text": "hi", "service": "imessage" })).await;
    assert_eq!(error["data"]["disposition"], "not_started");
    let sent = imsg.ok("send", json!({ "to": ANN, "text": "hi" })).await;
    assert_eq!(sent["service"], "SMS");
    let sent = imsg.ok("send", json!({ "to": BOB, "text": "hi", "service": "sms" })).await;
    assert_eq!(sent["service"], "SMS");
    assert_eq!(mac.received_by(ANN)[0].service, "SMS");
}

#[tokio::test]
async fn services_do_not_share_chats() {
    let mac = Mac::start();
    mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let sent = imsg.ok("send", json!({ "to": ANN, "text": "hi", "service": "sms" })).await;
    assert_eq!(
        (&sent["service"], &sent["chat_guid"]),
        (&json!("SMS"), &json!(format!("SMS;-;{ANN}")))
    );
}

#[tokio::test]
async fn a_file_with_text_is_one_message_of_the_helper_and_two_of_applescript() {
    let mac = Mac::start();
    mac.chat_with(ANN);
    mac.chat_with(BOB);
    let file = mac.folder().join("photo.jpg");
    fs::write(&file, b"jpeg").unwrap();
    let mut imsg = Imsg::start(&mac);
    imsg.ok("send", json!({ "to": ANN, "text": "look", "file": file })).await;
    let received = mac.received_by(ANN);
    assert_eq!(
        (received.len(), &*received[0].text, &*received[0].files[0].bytes),
        (1, "look", &b"jpeg"[..])
    );
    let params = json!({ "to": BOB, "text": "look", "file": file, "transport": "applescript" });
    let sent = imsg.ok("send", params).await;
    let received = mac.received_by(BOB);
    assert_eq!((received.len(), &*received[0].text, received[1].files.len()), (2, "look", 1));
    assert_eq!(json!(received[0].guid), sent["guid"]);
}

#[tokio::test]
async fn files_are_staged_before_they_are_sent() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let (file, link) = (mac.folder().join("photo.jpg"), mac.folder().join("link.jpg"));
    fs::write(&file, b"jpeg").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let mut imsg = Imsg::start(&mac);
    for bad in [link, mac.folder().join("none.jpg"), mac.folder().to_owned()] {
        let params = json!({ "chat_id": chat, "file": bad, "transport": "bridge" });
        assert_eq!(imsg.error("send", params).await["data"]["disposition"], "not_started");
    }
    imsg.ok("send", json!({ "chat_id": chat, "file": file })).await;
    // Never pruned by imsg.
    assert_eq!(fs::read_dir(mac.folder().join("Attachments/imsg")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_tracked_send_goes_under_its_own_guid_and_only_once() {
    let mac = Mac::start();
    mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let params = json!({ "to": ANN, "text": "hi", "attempt_id": ATTEMPT });
    let sent = imsg.ok("send.tracked", params.clone()).await;
    assert_eq!(
        (&sent["attempt_id"], &sent["guid"], &sent["message_id"]),
        (&json!(GUID), &json!(GUID), &json!(GUID))
    );
    let error = imsg.error("send.tracked", params).await;
    assert_eq!(
        (&error["code"], &error["data"]["disposition"], &error["data"]["retry_safe"]),
        (&json!(-32603), &json!("not_started"), &json!(true))
    );
    assert_eq!(mac.received_by(ANN).len(), 1);
}

#[tokio::test]
async fn a_tracked_send_is_a_text_by_the_helper_into_a_chat_that_exists() {
    let mac = Mac::start();
    mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    for more in [
        json!({ "to": ANN, "file": "/tmp/x" }),
        json!({ "to": ANN, "transport": "applescript" }),
        json!({ "to": BOB }),
        json!({ "to": ANN, "attempt_id": "no uuid" }),
    ] {
        let mut params = json!({ "text": "hi", "attempt_id": ATTEMPT });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(imsg.code("send.tracked", params.clone()).await, -32602, "{params}");
    }
    let params = json!({ "to": ANN, "text": "hi", "attempt_id": ATTEMPT });
    for helper in [Helper::Absent, Helper::Old] {
        mac.set_helper(helper);
        assert_eq!(
            imsg.error("send.tracked", params.clone()).await["data"]["disposition"],
            "not_started"
        );
    }
    mac.set_helper(Helper::Present);
    mac.lose_full_disk_access();
    assert_eq!(imsg.code("send.tracked", params).await, -32002);
    assert_eq!(mac.mutations(), []);
}

#[tokio::test]
async fn replies_never_go_by_applescript() {
    let mac = Mac::start();
    let parent = mac.contact(ANN).writes("hi");
    let mut imsg = Imsg::start(&mac);
    imsg.ok("send", json!({ "to": ANN, "text": "hello", "reply_to": parent })).await;
    assert_eq!(mac.received_by(ANN)[0].reply_to.as_ref(), Some(&parent));
    let error =
        imsg.error("send", json!({ "to": ANN, "text": "hello", "reply_to": "no such" })).await;
    assert_eq!(error["data"]["disposition"], "not_started");
    mac.set_helper(Helper::Absent);
    assert_eq!(
        imsg.code("send", json!({ "to": ANN, "text": "hello", "reply_to": parent })).await,
        -32602
    );
    assert_eq!(mac.received_by(ANN).len(), 1);
}

#[tokio::test]
async fn a_guid_can_be_missing_from_the_answer() {
    let mac = Mac::start();
    mac.chat_with(ANN);
    mac.fault("send", Fault::NoGuid);
    let mut imsg = Imsg::start(&mac);
    let sent = imsg.ok("send", json!({ "to": ANN, "text": "hi" })).await;
    assert!(sent.get("guid").is_none() && sent.get("message_id").is_none(), "{sent}");
    assert_eq!(mac.received_by(ANN).len(), 1);
}

#[tokio::test]
async fn without_the_database_applescript_sends_and_tells_nothing() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    mac.lose_full_disk_access();
    let mut imsg = Imsg::start(&mac);
    assert_eq!(imsg.ok("send", json!({ "to": ANN, "text": "hi" })).await, json!({ "ok": true }));
    assert_eq!(imsg.code("send", json!({ "chat_id": chat, "text": "hi" })).await, -32002);
    let guid = format!("iMessage;-;{ANN}");
    assert_eq!(
        imsg.ok("send", json!({ "chat_guid": guid, "text": "hi" })).await["transport"],
        "bridge"
    );
    assert_eq!(mac.contact(ANN).times_received("hi"), 2);
}
