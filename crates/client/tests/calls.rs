//! Each call of issue 3 against a script: what is sent, and what is made of the answer.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use serde_json::{Value, json};
use switchboard_client::{
    Client, ContactFile, ContactInChat, ContactReaction, ContactText, Error, SendAudioMessage,
    SendMessage, SendReaction,
};
use switchboard_model::{ReactionType, sandbox::SandboxStatus};

use script::{ID, REQUEST, accepted, answer, body, list, play, strict};

mod script;

const LINE: &str = "+15550100001";
const CONTACT: &str = "+15550123456";

fn starts(asked: &str, head: &str) {
    assert!(asked.starts_with(&format!("{head} HTTP/1.1\r\n")), "{asked}");
}

#[tokio::test]
async fn writes_go_out_as_the_contract_has_them() {
    let (url, asked) = play(vec![accepted(); 8]).await;
    let client = strict(&url);
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
    let client = strict(&url);
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
    let client = strict(&url);
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
    let phones = Client::builder(&url).key("opt").strict().build_simulator().unwrap();
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
    let client = strict(&url).with_idempotency_key("answer-1").unwrap();
    let message = SendMessage::text(LINE, CONTACT, "Hi");
    assert!(!client.send_message(&message).await.unwrap().replayed);
    assert!(client.send_message(&message).await.unwrap().replayed);
    client.lines().await.unwrap();
    let asked = asked.await.unwrap();
    for (asked, expected) in asked.iter().zip([true, true, false]) {
        assert_eq!(asked.contains("idempotency-key: answer-1\r\n"), expected, "{asked}");
    }
    for wrong in ["", "a b", "ü", &"x".repeat(256)] {
        assert!(matches!(strict(&url).with_idempotency_key(wrong), Err(Error::Setup(_))));
    }
}
