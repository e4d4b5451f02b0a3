//! What a line can do, whether it is there and how it is used: as its bridge says it, and to who asks.

use serde_json::{Value, json};
use switchboard_model::{
    Code, Scope,
    line::{
        Capability::{Reactions, Replies, Typing},
        Guidance,
    },
    link::ReconciledState,
};
use switchboard_testkit::{LINE, Setup, TestServer, eventually};

use crate::{
    bridge::Mac,
    call::{Call, assert_refused},
    fixtures::Sample,
    live::Live,
    metrics::{figure, watched},
    own::own,
    told::{taken, tell, text},
    world::{CONTACT, MAC, SANDBOX, STRANGER, THEIRS, key},
};

#[tokio::test]
async fn a_line_says_what_it_can_not_do() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let chat =
        json!({ "chat": "group", "identifier": "g", "name": null, "participants": [CONTACT] });
    let mut in_group = text("g2", "to all");
    in_group["chat"] = chat;
    tell(&mut link, &mac.line, "1", &[text("g1", "hello"), in_group]).await;
    let group = taken(&mut link).await[1].chat_id.unwrap();
    drop(link);
    let file = Sample::png().uploaded(&server, &tenant.key).await;
    mac.can(&server, &[Replies, Reactions, Typing]).await;
    let write = |path: &str, to: &str, more: Value| {
        let mut body = json!({ "from": MAC, "to": to });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Call::post(path, &body).key(&tenant.key)
    };
    let group = group.to_string();
    for (call, word) in [
        (write("/v1/messages", CONTACT, json!({ "attachments": [file] })), "send files"),
        (write("/v1/messages", STRANGER, json!({ "text": "x" })), "no chat yet"),
        (write("/v1/messages", &group, json!({ "text": "x" })), "write to groups"),
        (
            write("/v1/reactions", CONTACT, json!({ "message_id": "g1", "type": "\u{1f600}" })),
            "emoji",
        ),
        (write("/v1/typing", CONTACT, json!({ "state": "off" })), "stopped typing"),
        (write("/v1/receipts", CONTACT, json!({})), "read receipts"),
    ] {
        let answer = call.send(&server.url).await;
        assert_refused(word, &answer, Code::AdvancedFeaturesRequired, None);
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("This line cannot ") && message.contains(word), "{message}");
    }
    for call in [
        write("/v1/messages", CONTACT, json!({ "text": "x", "reply_to": "g1" })),
        write("/v1/reactions", CONTACT, json!({ "message_id": "g1", "type": "love" })),
        write("/v1/typing", CONTACT, json!({})),
    ] {
        let answer = call.send(&server.url).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let chats = tenant.client.chats(MAC).all(10).await.unwrap();
    assert_eq!(chats.len(), 2, "no chat with the stranger was begun");
    server.stop().await;
}

#[tokio::test]
async fn who_asks_sees_how_a_line_is_and_why() {
    let server = watched(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let other = server.tenant(THEIRS).await;
    let restricted =
        key(&server, tenant.account, &Scope::ALL, &[&tenant.line_id.to_string()]).await;
    let status = async || {
        let lines = tenant.client.lines().await.unwrap().value.data;
        lines.into_iter().find(|one| one.id == mac.line.id).unwrap().status
    };
    let before = status().await;
    assert_eq!((before.online, before.reason, before.since), (false, None, None));
    let mut live = Live::open(&server, &tenant.key, "?event=line.status").await;
    let mut link = mac.dial(&server).await;
    let say = |online: bool, reason: Value| {
        json!({ "type": "line", "line_id": mac.line.id, "online": online, "capabilities": ["replies"],
                "reason": reason })
        .to_string()
    };
    for (online, reason) in [
        (false, json!("starting")),
        (false, json!("database_locked")),
        (true, Value::Null),
        (true, json!("silent_watch")),
        (false, json!("hungry")),
        (true, Value::Null),
    ] {
        // Said twice, it is told once.
        for _ in 0..2 {
            link.say_text(&say(online, reason.clone())).await;
        }
        let (_, _, data) = live.next().await;
        let shown = if reason == "hungry" { json!("other") } else { reason };
        assert_eq!((&data["id"], &data["online"]), (&json!(mac.line.id), &json!(online)));
        assert_eq!(
            (&data["status"]["online"], &data["status"]["reason"]),
            (&json!(online), &shown)
        );
        let now = status().await;
        assert_eq!(serde_json::to_value(now).unwrap(), data["status"]);
        assert!(now.since.is_some());
    }
    // Its bridge is gone.
    drop(link);
    let (_, _, data) = live.next().await;
    let told = (&data["status"]["online"], &data["status"]["reason"]);
    assert_eq!(told, (&json!(false), &json!("unreachable")));
    let name = "lines_offline{driver=\"imsg\",reason=\"unreachable\"}";
    eventually("the operator sees it", async || (figure(&server, name).await == 1.0).then_some(()))
        .await;
    // It is its owner's to see, and of a key for it.
    for key in [&restricted, &other.key] {
        let answer = Call::get("/v1/lines").key(key).send(&server.url).await;
        let lines = answer.body["data"].as_array().unwrap();
        assert_eq!(lines.len(), 1);
        assert_ne!(lines[0]["id"], json!(mac.line.id));
        assert_eq!(lines[0]["status"]["online"], true);
    }
    server.stop().await;
}

#[tokio::test]
async fn who_asks_sees_how_a_line_is_used() {
    let server = watched(Setup::new()).start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(THEIRS).await;
    server.sandbox_line(SANDBOX).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let restricted =
        key(&server, tenant.account, &Scope::ALL, &[&tenant.line_id.to_string()]).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let entries: Vec<_> = (0..11).map(|number| own(&format!("o{number}"))).collect();
    tell(&mut link, &mac.line, "1", &entries).await;
    taken(&mut link).await;
    let lines = tenant.client.lines().await.unwrap().value.data;
    let of = |handle: &str| lines.iter().find(|one| one.handle.as_str() == handle).unwrap();
    let health = of(MAC).health.as_ref().unwrap();
    assert_eq!((health.sent, health.received, health.to_silent), (11, 0, 11));
    assert_eq!(health.over, [Guidance::Unanswered, Guidance::Ratio]);
    assert_eq!(of(LINE).health.as_ref().map(|health| health.sent), Some(0));
    assert_eq!(of(SANDBOX).health, None, "others use it too");
    let operators = server.admin().lines().await.unwrap().value.data;
    let of_all = |handle: &str| {
        let line = operators.iter().find(|one| one.line.handle.as_str() == handle).unwrap();
        line.line.health.clone().unwrap()
    };
    assert_eq!(&of_all(MAC), health);
    assert_eq!(of_all(SANDBOX).sent, 0);
    for guidance in Guidance::ALL {
        let name = format!("lines_over_guidance{{guidance=\"{}\"}}", guidance.as_str());
        let expected = if health.over.contains(&guidance) { 1.0 } else { 0.0 };
        assert_eq!(figure(&server, &name).await, expected, "{name}");
    }
    // Nobody else sees it.
    for (key, own) in [(&restricted, LINE), (&other.key, THEIRS)] {
        let answer = Call::get("/v1/lines").key(key).send(&server.url).await;
        for line in answer.body["data"].as_array().unwrap() {
            let sent = &line["health"]["sent"];
            assert_eq!(sent, &if line["handle"] == own { json!(0) } else { Value::Null }, "{line}");
        }
    }
    drop(link);
    server.stop().await;
}
