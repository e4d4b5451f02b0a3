//! Who writes to a line: handles however they are written, senders that can't be dialled, and
//! what a bridge tells that nobody can read.

use serde_json::{Value, json};
use switchboard_model::{
    Code, EventKind,
    link::{ReconciledState, ServerFrame},
    outbox::OutboxStatus,
};
use switchboard_testkit::{LINE, TestServer};

use crate::{
    bridge::{Link, Mac},
    call::{Call, assert_refused, query},
    fixtures::{phone, reacts, reads, texts, types},
    live::Live,
    world::{CONTACT, MAC, OPEN, settled},
};

const BUSINESS: &str = "urn:biz:0f1e2d3c-0000-4000-8000-00000000abcd";

async fn get(server: &TestServer, key: &str, path: &str, to: &str) -> Value {
    let answer = Call::get(query(path, &[("from", LINE), ("to", to)])).key(key);
    let answer = answer.send(&server.url).await;
    assert_eq!(answer.status, 200, "{path} {to}: {answer:?}");
    answer.body["data"].clone()
}

#[tokio::test]
async fn whoever_has_written_is_shown_and_can_be_answered() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    for (sender, kept) in
        [("262966", "262966"), ("262 966", "262966"), ("BANK", "BANK"), (BUSINESS, BUSINESS)]
    {
        let mut live = Live::open(&server, &tenant.key, "").await;
        let texted = texts(&server, &json!({ "line": LINE, "from": sender, "text": "hi" })).await;
        let chat_id = texted["chat_id"].as_str().unwrap();
        let (_, name, event) = live.next().await;
        assert_eq!(name, EventKind::MessageReceived.as_str());
        assert_eq!((&event["sender"], &event["chat_id"]), (&json!(kept), &json!(chat_id)));

        let chats = get(&server, &tenant.key, "/v1/chats", kept).await;
        let chat = chats.as_array().unwrap().iter().find(|chat| chat["id"] == chat_id).unwrap();
        assert_eq!(chat["identifier"], kept);
        assert_eq!(chat["participants"], json!([kept]));
        assert_eq!(chat["has_received_inbound"], true);

        // Named as it was told, as it is shown, and by the chat.
        for to in [sender, kept, chat_id] {
            let messages = get(&server, &tenant.key, "/v1/messages", to).await;
            assert!(messages.as_array().unwrap().iter().all(|one| one["chat_id"] == chat_id));
            let body = json!({ "from": LINE, "to": to, "text": format!("to {to}") });
            let sent = Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await;
            assert_eq!(sent.status, 201, "{to}: {sent:?}");
            let item = sent.body["id"].as_str().unwrap().parse().unwrap();
            settled(&tenant, item, OutboxStatus::Sent).await;
            let shown = phone(&server, sender).await.messages;
            assert_eq!(shown.last().unwrap().text.as_deref(), Some(&*format!("to {to}")));
        }
        // It does all that others do.
        let mine = phone(&server, kept).await.messages.last().unwrap().guid.clone();
        reacts(&server, LINE, sender, (&mine, "love"), false).await;
        types(&server, LINE, sender, "on").await;
        reads(&server, LINE, sender).await;
        let reactions = Call::get(query("/v1/reactions", &[("message_id", &mine)]));
        let reactions = reactions.key(&tenant.key).send(&server.url).await;
        assert_eq!(reactions.body["data"][0]["sender"], kept);
        for path in ["/v1/typing", "/v1/receipts"] {
            let told = get(&server, &tenant.key, path, kept).await;
            assert_eq!(told[0]["handle"], kept, "{path}");
        }
        for (path, more) in [
            ("/v1/reactions", json!({ "message_id": texted["guid"], "type": "like" })),
            ("/v1/typing", json!({})),
            ("/v1/receipts", json!({})),
        ] {
            let mut body = json!({ "from": LINE, "to": kept });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = Call::post(path, &body).key(&tenant.key).send(&server.url).await;
            assert_eq!(answer.status, 201, "{path}: {answer:?}");
        }
    }
    // In a group, too.
    let group = json!({ "line": LINE, "participants": [CONTACT, "BANK"], "name": "Us" });
    let group = Call::post("/simulator/v1/groups", &group).key(server.operator_token());
    let chat = group.send(&server.url).await.body["chat_id"].clone();
    texts(&server, &json!({ "line": LINE, "from": "BANK", "text": "all", "chat_id": chat })).await;
    let messages = get(&server, &tenant.key, "/v1/messages", chat.as_str().unwrap()).await;
    assert_eq!(messages[0]["sender"], "BANK");
    server.stop().await;
}

#[tokio::test]
async fn who_cant_be_dialled_is_only_answered() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    for line in [LINE, OPEN] {
        for to in ["262966", "BANK", BUSINESS] {
            let body = json!({ "from": line, "to": to, "text": "x" });
            let refused = Call::post("/v1/messages", &body).key(&tenant.key);
            let refused = refused.send(&server.url).await;
            assert_refused(to, &refused, Code::ContactHasNotMessaged, Some("to"));
            let listed = Call::get(query("/v1/messages", &[("from", line), ("to", to)]));
            let listed = listed.key(&tenant.key).send(&server.url).await;
            assert_refused(to, &listed, Code::ChatNotFound, Some("to"));
        }
        // What has no form at all is a mistake, and no line is a sender.
        for to in ["bob", "12", "5550100", "15550100002", "+15550100"] {
            let body = json!({ "from": line, "to": to, "text": "x" });
            let refused = Call::post("/v1/messages", &body).key(&tenant.key);
            let refused = refused.send(&server.url).await;
            assert_refused(to, &refused, Code::InvalidParameterValue, Some("to"));
        }
    }
    for handle in ["262966", "BANK", BUSINESS, "+15550100"] {
        let line = json!({ "account_id": tenant.account, "handle": handle, "driver": "simulator" });
        let refused = Call::post("/admin/v1/lines", &line).key(server.operator_token());
        let refused = refused.send(&server.url).await;
        assert_refused(handle, &refused, Code::InvalidParameterValue, Some("handle"));
    }
    server.stop().await;
}

/// Marks, spaces, dashes and digits that come with what is pasted.
#[tokio::test]
async fn a_handle_is_taken_however_it_is_written() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, "\u{2068}+1 (555) 010\u{2011}0002\u{2069}", "hello").await;
    server.text(LINE, "+52 1 55 1234 5678", "hola").await;
    let line = "\u{202a}+1\u{a0}555\u{2009}010–0001\u{202c}";
    for (to, contact) in [
        ("\u{200e}+1 555 010 0002", CONTACT),
        ("+1\t555\t0100002", CONTACT),
        ("+1‐555‑010‒0002", CONTACT),
        ("＋１５５５０１００００２", CONTACT),
        ("+١٥٥٥٠١٠٠٠٠٢", CONTACT),
        ("tel:+1-555-010-0002", CONTACT),
        ("+1\u{200b}5550100002\u{feff}", CONTACT),
        ("+1_555_010\u{2800}0002", CONTACT),
        ("iMessage;-;+15550100002", CONTACT),
        ("SMS;-;+15550100002", CONTACT),
        ("+5215512345678", "+525512345678"),
        ("+525512345678", "+525512345678"),
    ] {
        let listed = Call::get(query("/v1/messages", &[("from", line), ("to", to)]));
        let listed = listed.key(&tenant.key).send(&server.url).await;
        let first = listed.body["data"].as_array().and_then(|rows| rows.last());
        assert_eq!(first.map(|one| &one["sender"]), Some(&json!(contact)), "{to:?}: {listed:?}");
        let body = json!({ "from": line, "to": to, "text": "x" });
        let sent = Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await;
        assert_eq!(sent.status, 201, "{to:?}: {sent:?}");
    }
    let chats = Call::get(query("/v1/chats", &[("from", line)])).key(&tenant.key);
    let chats = chats.send(&server.url).await.body["data"].clone();
    assert_eq!(chats.as_array().unwrap().len(), 2);
    // An id, too.
    let (line, chat) = (&tenant.line_id.to_string(), chats[0]["id"].as_str().unwrap());
    for (from, to) in [
        (format!(" {line}\n"), format!("{chat} ")),
        (format!("\u{200b}{line}"), format!("\u{feff}{chat}\u{200b}")),
    ] {
        let listed = Call::get(query("/v1/messages", &[("from", &from), ("to", &to)]));
        let listed = listed.key(&tenant.key).send(&server.url).await;
        assert_eq!(listed.status, 200, "{from:?} {to:?}: {listed:?}");
        let body = json!({ "from": from, "to": to, "text": "x" });
        let sent = Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await;
        assert_eq!(sent.status, 201, "{from:?} {to:?}: {sent:?}");
    }
    let refused = Call::get("/v1/chats?from=LN_x").key(&tenant.key).send(&server.url).await;
    assert_refused("LN_x", &refused, Code::InvalidParameterValue, Some("from"));
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("ln_"), "{refused:?}");
    server.stop().await;
}

/// Tells the server entries as they stand here, and waits for what became of them.
async fn tell(link: &mut Link, mac: &Mac, position: &str, entries: &str) -> Vec<bool> {
    let line = mac.line.id;
    let frame = format!(
        r#"{{"type":"inbound","line_id":"{line}","position":"{position}","entries":[{entries}]}}"#
    );
    link.say_text(&frame).await;
    loop {
        match link.next().await.expect("the link lives") {
            ServerFrame::Received { results, .. } => {
                return results.iter().map(|one| one.message_id.is_some()).collect();
            }
            ServerFrame::Bye { reason, .. } => panic!("the server ends the link: {reason}"),
            _ => {}
        }
    }
}

fn text_of(guid: &str, sender: &str, text: &str) -> String {
    format!(
        r#"{{"kind":"message","guid":"{guid}","chat":{{"chat":"contact","handle":"{sender}"}},
        "sender":"{sender}","text":"{text}","sent_at":1,"service":"SMS","reply_to_guid":null}}"#
    )
}

#[tokio::test]
async fn a_sender_with_any_name_is_answered_by_that_name() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    for (n, (told, kept)) in [
        ("airtel", "airtel"),
        ("", "unknown"),
        ("4155550123", "4155550123"),
        ("+15550100", "+15550100"),
        ("Deutsche Post AG", "Deutsche Post AG"),
        ("SMS;-;WhatsApp+", "WhatsApp+"),
        ("O’Neil", "O’Neil"),
        ("Bank/One", "Bank/One"),
        ("*123#", "*123#"),
        ("88", "88"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "from": MAC, "to": kept, "text": "thanks" });
        let answer = Call::post("/v1/messages", &body).key(&tenant.key);
        let refused = answer.send(&server.url).await;
        assert_refused(kept, &refused, Code::InvalidParameterValue, Some("to"));
        let entry = text_of(&format!("g{n}"), told, "x");
        assert_eq!(tell(&mut link, &mac, &n.to_string(), &entry).await, [true]);
        let messages = Call::get(query("/v1/messages", &[("from", MAC), ("to", kept)]));
        let messages = messages.key(&tenant.key).send(&server.url).await;
        assert_eq!(messages.body["data"][0]["sender"], kept, "{messages:?}");
        assert_eq!(answer.send(&server.url).await.status, 201, "{kept}");
        let items = link.items().await;
        assert_eq!((items.len(), &*items[0].identifier), (1, kept));
    }
    drop(link);
    server.stop().await;
}

#[tokio::test]
async fn a_developer_can_play_any_sender() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    for sender in ["airtel", "T-Mobile USA Info", "5678901", "中国移动", "*123#", "unknown", "88"]
    {
        let texted = texts(&server, &json!({ "line": LINE, "from": sender, "text": "hi" })).await;
        let chats = get(&server, &tenant.key, "/v1/chats", "").await;
        let chats = chats.as_array().unwrap();
        assert!(chats.iter().any(|chat| chat["identifier"] == sender), "{sender}: {chats:?}");
        for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
            get(&server, &tenant.key, path, sender).await;
        }
        for (path, more) in [
            ("/v1/messages", json!({ "text": "x" })),
            ("/v1/reactions", json!({ "message_id": texted["guid"], "type": "like" })),
            ("/v1/typing", json!({})),
            ("/v1/receipts", json!({})),
        ] {
            let mut body = json!({ "from": LINE, "to": sender });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = Call::post(path, &body).key(&tenant.key).send(&server.url).await;
            assert_eq!(answer.status, 201, "{path} {sender}: {answer:?}");
        }
        types(&server, LINE, sender, "on").await;
        reads(&server, LINE, sender).await;
        assert!(phone(&server, sender).await.typing.len() <= 1);
    }
    let group = json!({ "line": LINE, "participants": [CONTACT, "airtel"] });
    let group = Call::post("/simulator/v1/groups", &group).key(server.operator_token());
    assert_eq!(group.send(&server.url).await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn what_cant_be_read_ends_no_link_and_holds_nothing_up() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let mac = Mac::make(&server, &tenant, MAC).await;
    let mut link = mac.dial(&server).await;
    link.take(&mac.line, &ReconciledState::NeverStarted).await;
    let deep = "[".repeat(500) + &"]".repeat(500);
    let chat = r#"{"chat":"contact","handle":"+15550100002"}"#;
    let odd = [
        r#"{"kind":"poll","votes":3}"#.to_owned(),
        r#"{"kind":"message"}"#.to_owned(),
        "7".to_owned(),
        text_of("a", CONTACT, "x").replace("\"sent_at\":1", "\"sent_at\":1e999"),
        text_of("b", CONTACT, "x").replace("\"SMS\"", "\"fax\""),
        text_of("more", CONTACT, "x").replace("\"kind\"", &format!("\"extra\":{deep},\"kind\"")),
        format!(
            r#"{{"kind":"reaction","guid":"r","chat":{chat},"message_guid":"good","sender":"x",
            "reaction_type":"sticker","added":true,"sent_at":1}}"#
        ),
    ];
    let good = [
        text_of("good", CONTACT, "first"),
        // Half a character, and a sender that is none.
        text_of("half", CONTACT, "\\ud83d"),
        text_of("odd", "\\u0000\\u202e", "x"),
    ];
    for (n, odd) in odd.iter().enumerate() {
        let entries = format!("{odd},{}", text_of(&format!("after {n}"), CONTACT, "x"));
        assert_eq!(tell(&mut link, &mac, &format!("o{n}"), &entries).await, [false, true], "{odd}");
    }
    for (n, good) in good.iter().enumerate() {
        let told = tell(&mut link, &mac, &format!("g{n}"), good).await;
        assert_eq!(told, [true], "{good}");
    }
    // A face of the next Unicode is a reaction all the same.
    let face = format!(
        r#"{{"kind":"reaction","guid":"r2","chat":{chat},"message_guid":"good","sender":"{CONTACT}",
        "reaction_type":"\ud83e\udeff","added":true,"sent_at":1}}"#
    );
    assert_eq!(tell(&mut link, &mac, "face", &face).await, [true]);
    // A report that can't be read leaves its item in doubt, and what a line can do is told in part.
    let body = json!({ "from": MAC, "to": CONTACT, "text": "x" });
    let sent = Call::post("/v1/messages", &body).key(&tenant.key).send(&server.url).await;
    let item = link.items().await[0].id;
    let line = mac.line.id;
    link.say_text(&format!(
        r#"{{"type":"line","line_id":"{line}","online":true,"capabilities":["teleport","reactions"]}}"#
    ))
    .await;
    link.say_text(&format!(
        r#"{{"type":"report","reports":[{{"id":"{item}","outcome":"sent","guid":7}},{{"id":"x"}}]}}"#
    ))
    .await;
    assert_eq!(sent.body["id"], item.to_string());
    settled(&tenant, item, OutboxStatus::Failed).await;
    assert_eq!(tell(&mut link, &mac, "last", &text_of("last", CONTACT, "x")).await, [true]);
    drop(link);
    server.stop().await;
}
