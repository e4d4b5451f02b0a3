//! The tables against the contract: a valid sample of each resource, then each field broken
//! in each way that its row forbids, and left out or null where its row allows it.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use serde_json::{Value, json};
use switchboard_client::shape::{self, Presence, Shape, Unknown};

const LINE: &str = "ln_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const CHAT: &str = "cht_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const MESSAGE: &str = "msg_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const OUTBOX: &str = "obx_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const ACCOUNT: &str = "acc_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const KEY: &str = "key_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const BRIDGE: &str = "brg_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const WEBHOOK: &str = "wh_0e8h6x2c9q7mv3k5t1w4y8z0ab";
const NOW: i64 = 1_700_000_000_000;

fn with(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("fields") };
    base.as_object_mut().unwrap().extend(more);
    base
}

fn line() -> Value {
    json!({
        "id": LINE, "handle": "+15550100001", "label": "Desk", "service": "auto", "is_active": true,
        "advanced_features": true, "capabilities": ["replies"], "is_sandbox": false,
    })
}

fn message() -> Value {
    json!({
        "id": MESSAGE, "line_id": LINE, "chat_id": CHAT, "guid": "G-1", "sender": "+15550123456",
        "text": "Hi", "attachments": [attachment()], "service": "iMessage", "is_from_me": false,
        "is_audio_message": false, "sent_at": NOW, "synced_at": NOW, "outbox_id": OUTBOX,
        "reply_to_guid": "G-0", "edited_at": NOW, "unsent_at": NOW, "delivered_at": NOW,
        "read_at": NOW,
    })
}

fn attachment() -> Value {
    json!({
        "filename": "a.png", "mime_type": "image/png", "size": 3, "url": "https://x.org/a",
        "transcription": "hello",
    })
}

fn webhook() -> Value {
    json!({
        "id": WEBHOOK, "line_ids": [LINE], "url": "https://x.org/", "events": ["message.sent"],
        "is_active": false, "failing_since": NOW, "disabled_at": NOW, "disabled_reason": "failing",
    })
}

fn key() -> Value {
    json!({
        "id": KEY, "account_id": ACCOUNT, "name": "all", "hint": "…x7k2", "scopes": ["chats:read"],
        "line_ids": [LINE], "rate_limit": 10, "expires_at": NOW, "revoked_at": NOW,
        "created_at": NOW,
    })
}

fn bridge() -> Value {
    json!({
        "id": BRIDGE, "name": "mini", "driver": "simulator", "last_seen_at": NOW,
        "revoked_at": NOW, "created_at": NOW,
    })
}

fn phone_message() -> Value {
    json!({
        "guid": "G-1", "line": "+15550100001", "from": "+15550123456", "text": "Hi",
        "reply_to_guid": "G-0", "received_at": NOW, "attachments": [phone_file()],
        "is_audio_message": true, "reactions": [phone_reaction()], "edited_at": NOW,
        "unsent_at": NOW,
    })
}

fn phone_file() -> Value {
    json!({ "filename": "a.m4a", "mime_type": "audio/mp4", "size": 3, "sha256": "00ff" })
}

fn phone_reaction() -> Value {
    json!({ "type": "love", "from": "+15550123456" })
}

fn phone() -> Value {
    json!({
        "messages": [phone_message()],
        "reactions": [with(phone_reaction(), json!({ "message_guid": "G-1" }))],
        "changes": [{ "message_guid": "G-1", "text": "Hi", "edited_at": NOW, "unsent_at": NOW }],
        "typing": ["+15550100001"],
        "read": [{ "line": "+15550100001", "read_at": NOW }],
    })
}

fn reaction() -> Value {
    json!({
        "id": "rxn_0e8h", "message_id": MESSAGE, "type": "love", "sender": "+15550123456",
        "is_from_me": false, "added": true, "sent_at": NOW, "synced_at": NOW,
    })
}

fn typing() -> Value {
    json!({
        "id": "ind_0e8h", "chat_id": CHAT, "handle": "+15550123456", "is_typing": true,
        "updated_at": NOW,
    })
}

fn receipt() -> Value {
    json!({
        "id": "rcp_0e8h", "chat_id": CHAT, "handle": "+15550123456", "last_read_at": NOW,
        "synced_at": NOW,
    })
}

fn outbox_item() -> Value {
    json!({
        "id": OUTBOX, "status": "failed", "error": "No.", "created_at": NOW, "completed_at": NOW,
        "line_id": LINE, "payload": {}, "attempts": 1, "max_attempts": 3, "message_id": MESSAGE,
    })
}

fn sandbox() -> Value {
    json!({
        "status": "active", "activation_code": "ABCD2345", "sandbox_line_handle": "+15550100009",
        "contact_identifier": "+15550123456", "activated_at": NOW, "usage": sandbox_usage(),
    })
}

fn sandbox_usage() -> Value {
    json!({ "used": 1, "limit": 50, "remaining": 49, "resets_at": NOW })
}

fn attempt() -> Value {
    json!({
        "number": 1, "started_at": NOW, "duration_ms": 5, "status": 500, "answer": "no",
        "error": "the endpoint answered 500",
    })
}

/// Every shape, with a sample that has every field that it may have.
fn samples() -> Vec<(&'static Shape, Value)> {
    vec![
        (&shape::LINE, line()),
        (
            &shape::CHAT,
            json!({
                "id": CHAT, "line_id": LINE, "identifier": "+15550123456", "service": "SMS",
                "name": "Friends", "is_group": true, "participants": ["+15550123456"],
                "has_received_inbound": true, "last_message_at": NOW,
            }),
        ),
        (&shape::MESSAGE, message()),
        (&shape::MESSAGE_EVENT, with(message(), json!({ "line_handle": "+15550100001" }))),
        (&shape::ATTACHMENT, attachment()),
        (&shape::ACCEPTED, json!({ "id": OUTBOX, "status": "pending" })),
        (&shape::OUTBOX_ITEM, outbox_item()),
        (&shape::REACTION, reaction()),
        (
            &shape::REACTION_EVENT,
            with(reaction(), json!({ "chat_id": CHAT, "line_handle": "+15550100001" })),
        ),
        (&shape::TYPING, typing()),
        (&shape::TYPING_EVENT, with(typing(), json!({ "line_handle": "+15550100001" }))),
        (&shape::RECEIPT, receipt()),
        (&shape::RECEIPT_EVENT, with(receipt(), json!({ "line_handle": "+15550100001" }))),
        (
            &shape::FAILED_EVENT,
            with(outbox_item(), json!({ "chat_id": CHAT, "line_handle": "+15550100001" })),
        ),
        (
            &shape::LINE_STATUS_EVENT,
            with(line(), json!({ "online": true, "line_handle": "+15550100001" })),
        ),
        (
            &shape::FILE,
            json!({
                "id": "file_0e8h", "url": "https://x.org/a", "filename": "a.png",
                "mime_type": "image/png", "size": 3,
            }),
        ),
        (&shape::SANDBOX, sandbox()),
        (&shape::SANDBOX_USAGE, sandbox_usage()),
        (&shape::CREATED_WEBHOOK, with(webhook(), json!({ "secret": "whsec_AAAA" }))),
        (&shape::LISTED_WEBHOOK, webhook()),
        (&shape::UPDATED_WEBHOOK, with(webhook(), json!({ "missed_since": NOW }))),
        (
            &shape::ROTATED_WEBHOOK,
            with(webhook(), json!({ "secret": "whsec_AAAA", "previous_secret_expires_at": NOW })),
        ),
        (
            &shape::WEBHOOK_TEST,
            json!({
                "delivery_id": "dlv_1", "event": "message.sent", "ok": true, "status": 200,
                "duration_ms": 5, "answer": "ok", "error": "none",
            }),
        ),
        (
            &shape::REPLAY,
            json!({
                "id": "rpl_1", "webhook_id": WEBHOOK, "since": NOW, "until": NOW,
                "include_delivered": false, "status": "done", "progress": 100, "queued": 7,
                "created_at": NOW, "finished_at": NOW,
            }),
        ),
        (
            &shape::DELIVERY,
            json!({
                "id": "dlv_1", "webhook_id": WEBHOOK, "event_id": "evt_1", "event": "message.sent",
                "status": "due", "attempts": [attempt()], "next_attempt_at": NOW, "error": "no",
                "created_at": NOW, "finished_at": NOW,
            }),
        ),
        (&shape::ATTEMPT, attempt()),
        (&shape::RETRIED_DELIVERY, json!({ "id": "dlv_1", "status": "due" })),
        (&shape::DELETED, json!({ "id": WEBHOOK, "deleted": true })),
        (&shape::ERROR, json!({ "type": "t", "code": "c", "message": "No.", "param": "from" })),
        (
            &shape::DELIVERY_BODY,
            json!({
                "event": "message.sent", "data": {}, "timestamp": NOW, "delivery_id": "dlv_1",
            }),
        ),
        (&shape::ACCOUNT, json!({ "id": ACCOUNT, "name": "Acme", "created_at": NOW })),
        (
            &shape::OPERATOR_LINE,
            with(
                line(),
                json!({
                    "account_id": ACCOUNT, "driver": "simulator", "bridge_id": BRIDGE,
                    "contact_first": true,
                }),
            ),
        ),
        (&shape::KEY, key()),
        (&shape::CREATED_KEY, with(key(), json!({ "key": "sk_live_x" }))),
        (&shape::BRIDGE, bridge()),
        (&shape::CREATED_BRIDGE, with(bridge(), json!({ "token": "brt_live_x" }))),
        (&shape::SIMULATED_TEXT, json!({ "guid": "G-1", "chat_id": CHAT, "message_id": MESSAGE })),
        (&shape::PHONE, phone()),
        (&shape::PHONE_FILE, phone_file()),
        (&shape::PHONE_REACTION, phone_reaction()),
        (&shape::MESSAGE_REACTION, phone()["reactions"][0].clone()),
        (&shape::PHONE_CHANGE, phone()["changes"][0].clone()),
        (&shape::PHONE_READ, phone()["read"][0].clone()),
        (&shape::SIMULATED_REACTION, json!({ "message_id": MESSAGE })),
        (&shape::SIMULATED_TYPING, json!({ "is_typing": true })),
        (&shape::SIMULATED_READ, json!({ "read": true })),
        (&shape::LINE_CAPABILITIES, json!({ "line": "+15550100001", "advanced_features": true })),
        (&shape::PHONE_MESSAGE, phone_message()),
        (&shape::SIMULATED_GROUP, json!({ "chat_id": CHAT })),
        (&shape::FAULT, json!({ "line": "+15550100001", "mode": "slow", "ms": 10, "count": 1 })),
    ]
}

#[test]
fn each_field_is_held_to_its_row() {
    for (shape, sample) in samples() {
        let strict = |value: &Value| shape::check(shape, value, Unknown::Refused);
        assert_eq!(strict(&sample), Ok(()), "{}", shape.name);
        for field in shape.all_fields() {
            let row = format!("{}.{}", shape.name, field.name);
            let mut null = sample.clone();
            null[field.name] = Value::Null;
            let mut absent = sample.clone();
            absent.as_object_mut().unwrap().remove(field.name);
            let mut wrong = sample.clone();
            // No kind of the tables is a list that holds a list.
            wrong[field.name] = json!([[]]);
            let (may_be_null, may_be_absent) = match field.presence {
                Presence::Always | Presence::Ours => (false, false),
                Presence::AlwaysOrNull => (true, false),
                Presence::Nullable => (true, true),
                Presence::Optional | Presence::Never => (false, true),
            };
            assert_eq!(strict(&null).is_ok(), may_be_null, "{row} null");
            assert_eq!(strict(&absent).is_ok(), may_be_absent, "{row} absent");
            assert!(strict(&wrong).is_err(), "{row} of another kind");
        }
        let unknown = with(sample, json!({ "surprise": 1 }));
        assert!(strict(&unknown).is_err(), "{} with an unknown field", shape.name);
        assert_eq!(shape::check(shape, &unknown, Unknown::Ignored), Ok(()), "{}", shape.name);
    }
}

#[test]
fn the_rows_are_those_of_the_contract() {
    // §6, as written there: "null" fields end in `?`, "opt" in `-`.
    for (shape, rows) in [
        (
            &shape::LINE,
            "id handle label? service is_active advanced_features capabilities is_sandbox",
        ),
        (
            &shape::CHAT,
            "id line_id identifier service name? is_group? participants? has_received_inbound \
             last_message_at?",
        ),
        (
            &shape::MESSAGE,
            "id line_id chat_id guid sender text? attachments service? is_from_me \
             is_audio_message? sent_at synced_at outbox_id? reply_to_guid? edited_at? unsent_at? \
             delivered_at? read_at?",
        ),
        (&shape::ATTACHMENT, "filename? mime_type? size? url? transcription?"),
        (&shape::ACCEPTED, "id status"),
        (
            &shape::OUTBOX_ITEM,
            "id status error? created_at- completed_at? line_id payload attempts max_attempts \
             message_id?",
        ),
        (&shape::REACTION, "id message_id type sender is_from_me added sent_at synced_at"),
        (&shape::TYPING, "id chat_id handle is_typing updated_at"),
        (&shape::RECEIPT, "id chat_id handle last_read_at synced_at"),
        (&shape::FILE, "id url? filename? mime_type size"),
        // With what Switchboard adds while one fails, and once it is disabled.
        (
            &shape::CREATED_WEBHOOK,
            "id line_ids url events is_active failing_since- disabled_at- disabled_reason- \
             created_by- secret",
        ),
        (
            &shape::LISTED_WEBHOOK,
            "id line_ids url events is_active failing_since- disabled_at- disabled_reason- \
             created_by-",
        ),
        (&shape::ERROR, "type code message param-"),
    ] {
        let table: Vec<String> = shape
            .all_fields()
            .filter(|field| field.presence != Presence::Never)
            .map(|field| match field.presence {
                Presence::Nullable => format!("{}?", field.name),
                Presence::Optional => format!("{}-", field.name),
                _ => field.name.to_owned(),
            })
            .collect();
        assert_eq!(table.join(" "), rows, "{}", shape.name);
    }
}

#[test]
fn another_server_need_not_have_what_switchboard_adds() {
    for (shape, mut sample, left_out) in [
        (&shape::LINE, line(), &["advanced_features", "capabilities", "is_sandbox"][..]),
        (&shape::OUTBOX_ITEM, outbox_item(), &["created_at", "message_id"][..]),
    ] {
        sample.as_object_mut().unwrap().retain(|name, _| !left_out.contains(&name.as_str()));
        assert_eq!(shape::check(shape, &sample, Unknown::Ignored), Ok(()), "{}", shape.name);
        // And the model takes what the table lets pass.
        if std::ptr::eq(shape, &shape::LINE) {
            let line: switchboard_model::Line = serde_json::from_value(sample).unwrap();
            assert!(!line.is_sandbox && line.capabilities.is_empty());
        } else {
            let item: switchboard_model::OutboxItem = serde_json::from_value(sample).unwrap();
            assert_eq!(item.created_at.millis(), 0);
        }
    }
}

#[test]
fn a_secret_never_stands_in_a_list() {
    for (shape, secret) in
        [(&shape::LISTED_WEBHOOK, "secret"), (&shape::KEY, "key"), (&shape::BRIDGE, "token")]
    {
        let sample = samples().into_iter().find(|(one, _)| std::ptr::eq(*one, shape)).unwrap().1;
        let leak = with(sample, json!({ secret: "x" }));
        assert!(shape::check(shape, &leak, Unknown::Ignored).is_err(), "{}", shape.name);
    }
}

#[test]
fn lists_and_errors_are_held_to_their_envelopes() {
    let id = "req_0123456789ab";
    let list =
        json!({ "data": [line()], "has_more": false, "next_cursor": null, "request_id": id });
    let check = |value: &Value| shape::check_list(&shape::LINE, value, Unknown::Refused);
    assert_eq!(check(&list), Ok(()));
    for (field, value) in [
        ("has_more", json!(true)),
        ("next_cursor", json!("abc")),
        ("request_id", json!("req_0123")),
        ("request_id", json!("req_not-hex-at-all")),
        ("data", json!({})),
        ("total", json!(1)),
    ] {
        assert!(check(&with(list.clone(), json!({ field: value }))).is_err(), "{field}");
    }
    for field in ["data", "has_more", "next_cursor", "request_id"] {
        let mut absent = list.clone();
        absent.as_object_mut().unwrap().remove(field);
        assert!(check(&absent).is_err(), "{field}");
    }
    let mut wrong = list;
    wrong["data"][0]["handle"] = Value::Null;
    assert_eq!(check(&wrong).unwrap_err().to_string(), "list.data[0].handle is null");

    let error = json!({ "type": "api_error", "code": "internal_error", "message": "No." });
    let check = |error: Value| {
        shape::check_error(&json!({ "error": error, "request_id": id }), Unknown::Refused)
    };
    assert_eq!(check(error.clone()), Ok(()));
    let wrong = check(with(error, json!({ "param": null }))).unwrap_err();
    assert_eq!(wrong.to_string(), "answer.error.param is null");
}
