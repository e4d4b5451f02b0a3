//! Each call of issue 3 against a script: what is sent, and what is made of the answer.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use serde_json::{Value, json};
use switchboard_client::{
    Client, ContactFile, ContactInChat, ContactReaction, ContactText, CreateReplay, Deliveries,
    Error, SendAudioMessage, SendMessage, SendReaction, UpdateWebhook,
};
use switchboard_model::{
    EventKind, ReactionType, Timestamp, delivery::DeliveryStatus, sandbox::SandboxStatus,
};

use script::{ID, REQUEST, accepted, answer, body, client_of, list, play};

mod script;

const LINE: &str = "+15550100001";
const CONTACT: &str = "+15550123456";

fn starts(asked: &str, head: &str) {
    assert!(asked.starts_with(&format!("{head} HTTP/1.1\r\n")), "{asked}");
}

#[tokio::test]
async fn writes_go_out_as_the_contract_has_them() {
    let (url, asked) = play(vec![accepted(); 8]).await;
    let client = client_of(&url);
    let file = format!("file_{ID}");
    client.send_message(&SendMessage::file(LINE, CONTACT, &file)).await.unwrap();
    let captioned = SendMessage::text(LINE, CONTACT, "Look").attach(&file);
    client.send_message(&captioned).await.unwrap();
    let memo = SendAudioMessage::new(LINE, CONTACT, &file).reply_to("G-1");
    client.send_audio_message(&memo).await.unwrap();
    let love = SendReaction::new(LINE, CONTACT, "G-1", ReactionType::Love);
    client.send_reaction(&love).await.unwrap();
    client.send_reaction(&love.remove()).await.unwrap();
    client.set_typing(LINE, CONTACT, true).await.unwrap();
    client.set_typing(LINE, CONTACT, false).await.unwrap();
    client.mark_read(LINE, CONTACT).await.unwrap();

    let with = |more: Value| {
        let mut whole = json!({ "from": LINE, "to": CONTACT });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    let love = json!({ "message_id": "G-1", "type": "love" });
    let mut unlove = love.clone();
    unlove["remove"] = true.into();
    let asked = asked.await.unwrap();
    for (asked, (path, expected)) in asked.iter().zip([
        ("messages", json!({ "attachments": [file] })),
        ("messages", json!({ "attachments": [file], "text": "Look" })),
        ("audio-messages", json!({ "audio_message": file, "reply_to": "G-1" })),
        ("reactions", love),
        ("reactions", unlove),
        ("typing", json!({ "state": "on" })),
        ("typing", json!({ "state": "off" })),
        ("receipts", json!({})),
    ]) {
        starts(asked, &format!("POST /v1/{path}"));
        assert_eq!(body(asked), with(expected));
        assert!(!asked.contains("idempotency-key"), "{asked}");
    }
}

#[tokio::test]
async fn lists_are_asked_for_by_query() {
    let reaction = json!({
        "id": format!("rxn_{ID}"), "message_id": format!("msg_{ID}"), "type": "🎉",
        "sender": CONTACT, "is_from_me": false, "added": false, "sent_at": 1, "synced_at": 2,
    });
    let typing = json!({
        "id": format!("ind_{ID}"), "chat_id": format!("cht_{ID}"), "handle": CONTACT,
        "is_typing": true, "updated_at": 1,
    });
    let receipt = json!({
        "id": format!("rcp_{ID}"), "chat_id": format!("cht_{ID}"), "handle": CONTACT,
        "last_read_at": 1, "synced_at": 2,
    });
    let script = [reaction, typing, receipt].map(|row| list(&[row], None)).to_vec();
    let (url, asked) = play(script).await;
    let client = client_of(&url);
    let reactions = client.reactions("G/1").await.unwrap().value.data;
    assert_eq!(reactions[0].reaction_type, ReactionType::Emoji("🎉".into()));
    assert!(client.typing(LINE, CONTACT).await.unwrap().value.data[0].is_typing);
    assert_eq!(client.receipts(LINE, CONTACT).await.unwrap().value.data[0].handle, CONTACT);
    let asked = asked.await.unwrap();
    starts(&asked[0], "GET /v1/reactions?message_id=G%2F1");
    starts(&asked[1], "GET /v1/typing?from=%2B15550100001&to=%2B15550123456");
    starts(&asked[2], "GET /v1/receipts?from=%2B15550100001&to=%2B15550123456");
}

#[tokio::test]
async fn the_sandbox_is_shown_made_and_reset() {
    let state = |status: &str, code: Option<&str>| {
        let body = json!({
            "status": status, "activation_code": code, "sandbox_line_handle": LINE,
            "contact_identifier": null, "activated_at": null, "request_id": REQUEST,
            "usage": { "used": 0, "limit": 50, "remaining": 50, "resets_at": 1 },
        });
        answer(200, "", &body)
    };
    let script = vec![
        state("missing", None),
        state("pending", Some("ABCD2345")),
        state("pending", Some("WXYZ2345")),
    ];
    let (url, asked) = play(script).await;
    let client = client_of(&url);
    assert_eq!(client.sandbox().await.unwrap().value.status, SandboxStatus::Missing);
    let code = client.ensure_sandbox().await.unwrap().value.activation_code;
    assert_eq!(code.as_deref(), Some("ABCD2345"));
    client.reset_sandbox().await.unwrap();
    for (asked, method) in asked.await.unwrap().iter().zip(["GET", "POST", "DELETE"]) {
        starts(asked, &format!("{method} /v1/sandbox"));
        assert!(asked.ends_with("\r\n\r\n"), "no body: {asked}");
    }
}

#[tokio::test]
async fn the_phones_do_what_contacts_do() {
    let (message, chat) = (format!("msg_{ID}"), format!("cht_{ID}"));
    let said = |status, mut body: Value| {
        body["request_id"] = REQUEST.into();
        answer(status, "", &body)
    };
    let (url, asked) = play(vec![
        said(201, json!({ "guid": "G", "chat_id": chat, "message_id": message })),
        said(200, json!({ "guid": "G", "chat_id": chat, "message_id": message })),
        said(200, json!({ "guid": "G", "chat_id": null, "message_id": null })),
        said(201, json!({ "message_id": message })),
        said(201, json!({ "message_id": null })),
        said(201, json!({ "is_typing": false })),
        said(201, json!({ "read": true })),
        said(200, json!({ "line": LINE, "advanced_features": false })),
    ])
    .await;
    let phones = Client::builder(&url).key("opt").build_simulator().unwrap();
    let memo = ContactFile::new("audio/mp4", b"abc").filename("m.m4a").transcription("Hi");
    phones.text(&ContactText::voice_memo(LINE, CONTACT, memo)).await.unwrap();
    assert_eq!(phones.edit(&message, "hi").await.unwrap().value.guid, "G");
    assert_eq!(phones.unsend("G").await.unwrap().value.message_id, None);
    let love = ContactReaction::new(LINE, CONTACT, "G", "love");
    assert_eq!(phones.react(&love).await.unwrap().value.unwrap().to_string(), message);
    assert_eq!(phones.react(&love.remove()).await.unwrap().value, None);
    phones.typing(&ContactInChat::new(LINE, CONTACT), false).await.unwrap();
    phones.read(&ContactInChat::in_group(LINE, CONTACT, &chat)).await.unwrap();
    phones.capabilities(LINE, false).await.unwrap();

    let asked = asked.await.unwrap();
    let file = json!({
        "data": "YWJj", "mime_type": "audio/mp4", "filename": "m.m4a", "transcription": "Hi",
    });
    for (asked, (path, expected)) in asked.iter().zip([
        (
            "messages",
            json!({
                "line": LINE, "from": CONTACT, "attachments": [file], "is_audio_message": true,
            }),
        ),
        ("messages/edit", json!({ "message_id": message, "text": "hi" })),
        ("messages/unsend", json!({ "message_id": "G" })),
        (
            "reactions",
            json!({
                "line": LINE, "from": CONTACT, "message_guid": "G", "type": "love",
                "remove": false,
            }),
        ),
        (
            "reactions",
            json!({
                "line": LINE, "from": CONTACT, "message_guid": "G", "type": "love",
                "remove": true,
            }),
        ),
        ("typing", json!({ "line": LINE, "from": CONTACT, "state": "off" })),
        ("receipts", json!({ "line": LINE, "from": CONTACT, "chat_id": chat })),
        ("lines/capabilities", json!({ "line": LINE, "advanced_features": false })),
    ]) {
        starts(asked, &format!("POST /simulator/v1/{path}"));
        assert_eq!(body(asked), expected);
    }
}

#[tokio::test]
async fn a_key_of_the_callers_goes_with_every_post_and_with_nothing_else() {
    // The header names this request, the body the first one.
    let replayed = accepted()
        .replace("\r\ncontent-length", "\r\nidempotent-replayed: true\r\ncontent-length")
        .replace(&format!("x-request-id: {REQUEST}"), "x-request-id: req_ffffffffffff");
    let (url, asked) = play(vec![accepted(), replayed, list(&[], None)]).await;
    let client = client_of(&url).with_idempotency_key("answer-1").unwrap();
    let message = SendMessage::text(LINE, CONTACT, "Hi");
    assert!(!client.send_message(&message).await.unwrap().replayed);
    assert!(client.send_message(&message).await.unwrap().replayed);
    client.lines().await.unwrap();
    let asked = asked.await.unwrap();
    for (asked, expected) in asked.iter().zip([true, true, false]) {
        assert_eq!(asked.contains("idempotency-key: answer-1\r\n"), expected, "{asked}");
    }
    for wrong in ["", "a b", "ü", &"x".repeat(256)] {
        assert!(matches!(client_of(&url).with_idempotency_key(wrong), Err(Error::Setup(_))));
    }
}

#[tokio::test]
async fn deliveries_and_webhooks_are_asked_for_as_documented() {
    let (delivery, webhook) = (format!("dlv_{ID}"), format!("wh_{ID}"));
    let row = json!({
        "id": delivery, "webhook_id": webhook, "event_id": format!("evt_{ID}"),
        "event": "message.sent", "status": "failed", "next_attempt_at": null, "error": "no",
        "created_at": 1, "finished_at": 2,
        "attempts": [{
            "number": 1, "started_at": 1, "duration_ms": 2, "status": null, "answer": null,
            "error": "no",
        }],
    });
    let one = |status, value: &Value| {
        let mut whole = value.clone();
        whole["request_id"] = REQUEST.into();
        answer(status, "", &whole)
    };
    let hook = json!({
        "id": webhook, "line_ids": [], "url": "https://x.org/", "events": ["message.sent"],
        "is_active": true,
    });
    let with = |more: Value| {
        let mut whole = hook.clone();
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    let replay = json!({
        "id": format!("rpl_{ID}"), "webhook_id": webhook, "since": 5, "until": 9,
        "include_delivered": true, "status": "running", "progress": 0, "queued": 0, "created_at": 9,
        "finished_at": null,
    });
    let tested = json!({
        "delivery_id": delivery, "event": "message.sent", "ok": false, "status": null,
        "duration_ms": 7, "answer": null, "error": "no",
    });
    let script = vec![
        list(&[row], None),
        one(200, &json!({ "id": delivery, "status": "due" })),
        one(200, &with(json!({ "missed_since": 7 }))),
        one(200, &with(json!({ "secret": "whsec_x", "previous_secret_expires_at": 9 }))),
        one(200, &tested),
        one(201, &replay),
        one(200, &replay),
    ];
    let (url, asked) = play(script).await;
    let client = client_of(&url);
    let wanted = Deliveries {
        webhook_id: Some(webhook.clone()),
        status: Some(DeliveryStatus::Failed),
        event: Some(EventKind::MessageSent),
        since: Some(Timestamp(5)),
        until: Some(Timestamp(9)),
        ..Deliveries::default()
    };
    let found = client.deliveries(&wanted).send().await.unwrap().value.data;
    assert_eq!((found[0].attempts.len(), found[0].error.as_deref()), (1, Some("no")));
    assert_eq!(client.retry_delivery(&delivery).await.unwrap().value.status, DeliveryStatus::Due);
    let update = UpdateWebhook::new(&webhook).active(true).events([EventKind::MessageSent]);
    let updated = client.update_webhook(&update).await.unwrap().value;
    assert_eq!(updated.missed_since, Some(Timestamp(7)));
    let rotated = client.rotate_webhook_secret(&webhook).await.unwrap().value;
    assert_eq!(rotated.webhook.secret.unwrap().reveal(), "whsec_x");
    assert!(!client.test_webhook(&webhook).await.unwrap().value.ok);
    let mut create = CreateReplay::since(&webhook, Timestamp(5));
    (create.until, create.include_delivered) = (Some(Timestamp(9)), true);
    let made = client.create_replay(&create).await.unwrap().value;
    assert_eq!(client.replay(made.id).await.unwrap().value, made);

    let asked = asked.await.unwrap();
    let query = format!("webhook_id={webhook}&status=failed&event=message.sent&since=5&until=9");
    starts(&asked[0], &format!("GET /v1/deliveries?{query}"));
    starts(&asked[1], "POST /v1/deliveries/retry");
    assert_eq!(body(&asked[1]), json!({ "id": delivery }));
    starts(&asked[2], "PATCH /v1/webhooks");
    let change = json!({ "id": webhook, "events": ["message.sent"], "is_active": true });
    assert_eq!(body(&asked[2]), change);
    starts(&asked[3], "POST /v1/webhooks/rotate");
    starts(&asked[4], "POST /v1/webhooks/test");
    starts(&asked[5], "POST /v1/webhooks/replay");
    let wanted = json!({ "id": webhook, "since": 5, "until": 9, "include_delivered": true });
    assert_eq!(body(&asked[5]), wanted);
    starts(&asked[6], &format!("GET /v1/webhooks/replay?id=rpl_{ID}"));
}

#[tokio::test]
async fn a_walk_passes_empty_pages_that_lead_on() {
    let (url, asked) =
        play(vec![list(&[], Some("a")), list(&[], Some("b")), list(&[], None)]).await;
    let client = client_of(&url);
    assert!(client.deliveries(&Deliveries::default()).all(10).await.unwrap().is_empty());
    let asked = asked.await.unwrap();
    starts(&asked[2], "GET /v1/deliveries?cursor=b");
    // One that leads nowhere is told.
    let (url, _) = play(vec![list(&[], Some("a")), list(&[], Some("a"))]).await;
    let stands = client_of(&url).deliveries(&Deliveries::default()).all(10).await;
    assert!(matches!(stands, Err(Error::Shape { .. })), "{stands:?}");
}
