//! rpc.md, "Lifecycle": lanes, limits, the end of stdin.

use std::time::Duration;

use serde_json::json;
use switchboard_fakes::imsg::{Fault, Mac, Stage};

use crate::program::Imsg;

#[tokio::test]
async fn mutations_go_one_after_another_and_reads_overtake_them() {
    let mac = Mac::start();
    let chat = mac.chat_with("+15550100001");
    let mut imsg = Imsg::start(&mac);
    mac.hold(Stage::Started);
    let first = imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await;
    let second = imsg.request("typing", json!({ "chat_id": chat })).await;
    imsg.ok("chats.list", json!({})).await;
    imsg.ok("initialize", json!({})).await;
    mac.until("one is held", |mac| mac.held() == 1).await;
    assert_eq!(mac.mutations(), []);
    mac.release();
    imsg.answer(&first).await;
    imsg.answer(&second).await;
    let done = mac.mutations().into_iter().map(|mutation| mutation.method).collect::<Vec<_>>();
    assert_eq!(done, ["send", "typing"]);
}

#[tokio::test]
async fn four_reads_run_at_once_and_overtake_each_other() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    for _ in 0..3 {
        mac.fault("chats.list", Fault::Late(Duration::from_millis(300)));
    }
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(imsg.request("chats.list", json!({})).await);
    }
    let quick = imsg.request("messages.after", json!({ "since_rowid": 0 })).await;
    let line = imsg.line().await.unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"], quick);
    for id in slow {
        imsg.answer(&id).await;
    }
}

#[tokio::test]
async fn the_129th_outstanding_request_is_refused_and_a_notification_vanishes() {
    let mac = Mac::start();
    let chat = mac.chat_with("+15550100001");
    let mut imsg = Imsg::start(&mac);
    mac.hold(Stage::Started);
    let mut ids = Vec::new();
    for n in 0..128 {
        ids.push(imsg.request("send", json!({ "chat_id": chat, "text": format!("{n}") })).await);
    }
    let error = imsg.error("status", json!({})).await;
    assert_eq!(
        (&error["code"], &error["data"]),
        (&json!(-32000), &json!("outstanding request limit exceeded"))
    );
    let surplus = json!({ "jsonrpc": "2.0", "method": "send", "params": { "chat_id": chat, "text": "surplus" } });
    imsg.write(&surplus.to_string()).await;
    mac.release();
    for id in ids {
        imsg.answer(&id).await;
    }
    imsg.ok("status", json!({})).await;
    assert_eq!(mac.received_by("+15550100001").len(), 128);
    assert_eq!(mac.contact("+15550100001").times_received("surplus"), 0);
}

#[tokio::test]
async fn the_end_of_stdin_carries_out_what_was_accepted() {
    let mac = Mac::start();
    let chat = mac.chat_with("+15550100001");
    let mut imsg = Imsg::start(&mac);
    imsg.ok("watch.subscribe", json!({})).await;
    mac.hold(Stage::Started);
    let ids = [
        imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await,
        imsg.request("send", json!({ "chat_id": chat, "text": "two" })).await,
    ];
    imsg.close();
    mac.until("one is held", |mac| mac.held() == 1).await;
    mac.release();
    for id in ids {
        assert_eq!(imsg.answer(&id).await["result"]["ok"], true);
    }
    assert_eq!(imsg.line().await, None);
    assert_eq!(imsg.ended().await, Some(0));
    assert_eq!(mac.received_by("+15550100001").len(), 2);
}

#[tokio::test]
async fn a_swallowed_answer_frees_its_place() {
    let mac = Mac::start();
    let chat = mac.chat_with("+15550100001");
    let mut imsg = Imsg::start(&mac);
    mac.fault("send", Fault::Swallowed);
    imsg.request("send", json!({ "chat_id": chat, "text": "one" })).await;
    imsg.ok("send", json!({ "chat_id": chat, "text": "two" })).await;
    assert!(imsg.kept().is_empty());
    assert_eq!(mac.contact("+15550100001").times_received("one"), 1);
}
