//! rpc.md, "message.send_status": what becomes of own messages, which nothing pushes.

use serde_json::{Value, json};
use switchboard_fakes::imsg::{Fault, Mac};

use crate::program::Imsg;

const ANN: &str = "+15550100001";

async fn status(imsg: &mut Imsg, guid: &Value) -> Value {
    imsg.ok("message.send_status", json!({ "guid": guid })).await
}

/// Asks until the state is this.
async fn reached(imsg: &mut Imsg, guid: &Value, state: &str) -> Value {
    for _ in 0..10_000 {
        let status = status(imsg, guid).await;
        if status["send_state"] == state {
            return status;
        }
    }
    panic!("never {state}");
}

#[tokio::test]
async fn a_message_is_sent_delivered_and_read() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    mac.contact(ANN).goes_offline();
    let mut imsg = Imsg::start(&mac);
    let guid = imsg.ok("send", json!({ "chat_id": chat, "text": "hi" })).await["guid"].clone();
    let sent = reached(&mut imsg, &guid, "sent").await;
    assert_eq!((&sent["service"], sent.get("delivered_at")), (&json!("iMessage"), None));
    assert_eq!(mac.received_by(ANN), []);
    mac.contact(ANN).comes_online();
    let delivered = status(&mut imsg, &guid).await;
    assert_eq!(delivered["send_state"], "delivered");
    assert_eq!(delivered["delivered_at"], delivered["status_fields"]["date_delivered"]);
    assert_eq!(delivered["status_fields"]["date_read"], Value::Null);
    mac.contact(ANN).reads(guid.as_str().unwrap());
    assert!(status(&mut imsg, &guid).await["status_fields"]["date_read"].is_string());
    assert_eq!(mac.received_by(ANN).len(), 1);
}

#[tokio::test]
async fn guids_are_found_in_any_case_and_what_is_not_there_is_pending_without_fields() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let guid = imsg.ok("send", json!({ "chat_id": chat, "text": "hi" })).await["guid"].clone();
    let lower = json!(guid.as_str().unwrap().to_lowercase());
    assert_eq!(reached(&mut imsg, &lower, "delivered").await["guid"], guid);
    let absent = status(&mut imsg, &json!("no such")).await;
    assert_eq!((&absent["send_state"], &absent["service"]), (&json!("pending"), &Value::Null));
    assert!(absent["status_fields"].is_null() && absent.get("status_fields").is_some());
}

#[tokio::test]
async fn what_was_sent_can_fail_or_go_out_as_sms() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    mac.fault("send", Fault::FailsLater(22));
    let guid = imsg.ok("send", json!({ "chat_id": chat, "text": "one" })).await["guid"].clone();
    assert_eq!(reached(&mut imsg, &guid, "failed").await["status_fields"]["error"], 22);
    mac.fault("send", Fault::Downgraded);
    let guid = imsg.ok("send", json!({ "chat_id": chat, "text": "two" })).await["guid"].clone();
    let status = reached(&mut imsg, &guid, "sent").await;
    assert_eq!(
        (&status["service"], &status["status_fields"]["was_downgraded"]),
        (&json!("SMS"), &json!(true))
    );
    let guid = imsg.ok("send", json!({ "chat_id": chat, "text": "three" })).await["guid"].clone();
    reached(&mut imsg, &guid, "delivered").await;
    mac.fail_later(guid.as_str().unwrap(), 4);
    reached(&mut imsg, &guid, "failed").await;
    assert_eq!(mac.contact(ANN).times_received("one"), 0);
}

#[tokio::test]
async fn read_marks_the_whole_chat() {
    let mac = Mac::start();
    mac.contact(ANN).writes("one");
    mac.contact(ANN).writes("two");
    let mut imsg = Imsg::start(&mac);
    imsg.ok("read", json!({ "to": ANN })).await;
    assert!(mac.contact(ANN).sees_read());
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    for message in page["messages"].as_array().unwrap() {
        assert!(message["is_read"] == true && message["date_read"].is_string(), "{message}");
    }
}
