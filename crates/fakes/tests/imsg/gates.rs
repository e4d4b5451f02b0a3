//! permissions.md; rpc.md, "status": what is usable at an instant.

use serde_json::{Value, json};
use switchboard_fakes::imsg::{Automation, Helper, Mac, MacOs, Settings};

use crate::program::Imsg;

const ANN: &str = "+15550100001";

async fn methods(imsg: &mut Imsg) -> Vec<String> {
    let status = imsg.ok("status", json!({})).await;
    status["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn initialize_and_status_are_the_same_snapshot() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    let status = imsg.ok("status", json!({})).await;
    assert_eq!(imsg.ok("initialize", json!({ "protocol_version": 1 })).await, status);
    assert_eq!((&status["version"], &status["protocol_version"]), (&json!("0.15.10"), &json!(1)));
    assert_eq!(status["database"]["path"], "/tmp/chat.db");
    assert_eq!(status["bridge"]["selectors"]["clientMessageGuidReservation"], true);
    assert_eq!(status["capabilities"]["features"]["tapback.emoji"], 2);
    // Compiled in and not usable with this helper.
    let has = |list: &str, name: &str| status[list].as_array().unwrap().contains(&json!(name));
    assert!(
        has("supported_methods", "poll.send") && has("supported_methods", "messages.poll.send")
    );
    assert!(!has("methods", "poll.send") && has("methods", "send.tracked"));
}

#[tokio::test]
async fn full_disk_access_goes_and_comes_back_in_the_same_child() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    mac.lose_full_disk_access();
    let error = imsg.error("messages.after", json!({ "since_rowid": 0 })).await;
    assert_eq!((&error["code"], &error["data"]["retryable"]), (&json!(-32002), &json!(true)));
    assert_eq!(error["data"]["path"], "/tmp/chat.db");
    let status = imsg.ok("status", json!({})).await;
    assert_eq!(status["database"]["ready"], false);
    assert!(
        status["database"]["error"].is_string() && status["database"].get("features").is_none()
    );
    let usable = methods(&mut imsg).await;
    assert!(
        !usable.iter().any(|name| name == "messages.after" || name == "send.tracked"),
        "{usable:?}"
    );
    assert!(usable.iter().any(|name| name == "send"));
    mac.regain_full_disk_access();
    imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    assert_eq!(imsg.ok("status", json!({})).await["database"]["ready"], true);
}

#[tokio::test]
async fn a_helper_that_is_not_there_takes_its_methods_along() {
    let mac = Mac::start();
    let guid = mac.contact(ANN).writes("hi");
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    for helper in [Helper::Absent, Helper::Mute] {
        mac.set_helper(helper);
        let bridge = imsg.ok("status", json!({})).await["bridge"].take();
        assert_eq!((&bridge["ready"], bridge.get("selectors")), (&json!(false), None));
        assert!(bridge["error"].is_string());
        let usable = methods(&mut imsg).await;
        // typing and read are listed whether or not they can work.
        assert!(
            usable.iter().any(|name| name == "typing") && usable.iter().any(|name| name == "read")
        );
        assert!(!usable.iter().any(|name| name == "tapback" || name == "bridge.events.subscribe"));
        assert_eq!(imsg.code("handles.check", json!({ "address": ANN })).await, -32003);
        assert_eq!(imsg.code("bridge.events.subscribe", json!({})).await, -32003);
        let error = imsg
            .error("tapback", json!({ "chat_id": chat, "message_id": guid, "reaction": "love" }))
            .await;
        assert_eq!(error["data"]["disposition"], "not_started");
        let sent = imsg.ok("send", json!({ "chat_id": chat, "text": "hello" })).await;
        assert_eq!(sent["transport"], "applescript");
    }
}

#[tokio::test]
async fn an_old_helper_has_no_tracked_sends_and_no_emoji() {
    let mac = Mac::start();
    let guid = mac.contact(ANN).writes("hi");
    let chat = mac.chat_with(ANN);
    mac.set_helper(Helper::Old);
    let mut imsg = Imsg::start(&mac);
    let status = imsg.ok("status", json!({})).await;
    assert_eq!(
        (&status["bridge"]["ready"], &status["capabilities"]["features"]["tapback.emoji"]),
        (&json!(true), &json!(1))
    );
    assert!(!methods(&mut imsg).await.iter().any(|name| name == "send.tracked"));
    let params = json!({ "chat_id": chat, "message_id": guid, "emoji": "🔥" });
    assert_eq!(imsg.code("tapback", params).await, -32603);
    imsg.ok("tapback", json!({ "chat_id": chat, "message_id": guid, "reaction": "love" })).await;
}

#[tokio::test]
async fn automation_is_refused_or_hangs_until_somebody_answers() {
    let mac = Mac::start();
    mac.set_helper(Helper::Absent);
    let mut imsg = Imsg::start(&mac);
    let params = |text: &str| json!({ "to": ANN, "text": text });
    mac.set_automation(Automation::Denied);
    let error = imsg.error("send", params("one")).await;
    assert_eq!(error["code"], -32603);
    assert!(error["data"].as_str().unwrap().to_lowercase().contains("not authorized"), "{error}");

    mac.set_automation(Automation::Prompting);
    let error = imsg.error("send", params("two")).await;
    assert_eq!(
        (&error["code"], &error["data"]["disposition"]),
        (&json!(-32001), &json!("may_have_completed"))
    );
    assert_eq!(mac.mutations(), []);

    let id = imsg.request("send", params("three")).await;
    imsg.ok("chats.list", json!({})).await;
    mac.set_automation(Automation::Granted);
    assert_eq!(imsg.answer(&id).await["result"]["transport"], "applescript");
    assert_eq!(mac.contact(ANN).times_received("three"), 1);
}

#[tokio::test]
async fn typing_and_read_need_the_helper_on_macos_26_only() {
    for (macos, code) in [(MacOs::Sequoia15, Value::Null), (MacOs::Tahoe26, json!(-32603))] {
        let mac = Mac::with(Settings { macos, ..Settings::default() });
        mac.contact(ANN).writes("hi");
        let mut imsg = Imsg::start(&mac);
        imsg.ok("typing", json!({ "to": ANN })).await;
        assert!(mac.contact(ANN).sees_typing());
        imsg.ok("typing", json!({ "to": ANN, "typing": false })).await;
        assert!(!mac.contact(ANN).sees_typing());
        mac.set_helper(Helper::Absent);
        for method in ["typing", "read"] {
            let id = imsg.request(method, json!({ "to": ANN })).await;
            assert_eq!(imsg.answer(&id).await["error"]["code"], code, "{method}");
        }
    }
}

#[tokio::test]
async fn versions_have_what_their_release_notes_say() {
    let mac = Mac::start();
    for (version, tracked, get, capabilities) in [
        ("0.14.0", false, false, false),
        ("0.15.0", true, false, false),
        ("0.15.1", true, true, true),
    ] {
        mac.install(version);
        let mut imsg = Imsg::start(&mac);
        let status = imsg.ok("status", json!({})).await;
        let has = |name: &str| status["methods"].as_array().unwrap().contains(&json!(name));
        assert_eq!((has("send.tracked"), has("chats.get")), (tracked, get), "{version}");
        assert_eq!(status.get("capabilities").is_some(), capabilities, "{version}");
    }
}

#[tokio::test]
async fn a_mac_that_sleeps_answers_when_it_wakes() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    imsg.ok("watch.subscribe", json!({})).await;
    mac.sleep();
    let send = imsg.request("send", json!({ "chat_id": chat, "text": "hi" })).await;
    let read = imsg.request("chats.list", json!({})).await;
    mac.contact(ANN).writes("hello");
    let more = Imsg::start(&mac).request("status", json!({})).await;
    assert_eq!(
        (mac.calls("send"), mac.calls("chats.list"), mac.calls("status")),
        (0, 0, 0),
        "{more}"
    );
    mac.wake();
    imsg.answer(&send).await;
    imsg.answer(&read).await;
    assert_eq!(imsg.notification("message").await["message"]["text"], "hello");
}
