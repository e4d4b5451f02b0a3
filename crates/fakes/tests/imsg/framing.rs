//! rpc.md, "Transport".

use serde_json::{Value, json};
use switchboard_fakes::imsg::Mac;

use crate::program::Imsg;

#[tokio::test]
async fn what_is_no_request_is_answered_by_its_error() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    let cases = [
        ("{", json!(null), -32700),
        ("[]", json!(null), -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"status"}"#, json!(1), -32600),
        (r#"{"jsonrpc":"2.0","id":2}"#, json!(2), -32600),
        (r#"{"jsonrpc":"2.0","id":3,"method":""}"#, json!(3), -32600),
        (r#"{"jsonrpc":"2.0","id":true,"method":"status"}"#, json!(null), -32600),
        (r#"{"jsonrpc":"2.0","id":"four","method":"status","params":null}"#, json!("four"), -32602),
        (r#"{"jsonrpc":"2.0","id":5,"method":"status","params":[]}"#, json!(5), -32602),
        (r#"{"jsonrpc":"2.0","id":6,"method":"no.such"}"#, json!(6), -32601),
    ];
    for (line, id, code) in cases {
        imsg.write(line).await;
        let answer = imsg.answer(&id).await;
        assert_eq!(answer["error"]["code"], code, "{line}");
        assert!(answer["error"]["data"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn notifications_and_blank_lines_are_never_answered() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    for line in [
        "",
        "   ",
        r#"{"jsonrpc":"2.0","method":"no.such"}"#,
        r#"{"jsonrpc":"2.0","method":"chats.list","params":7}"#,
    ] {
        imsg.write(line).await;
    }
    imsg.write(r#"{"jsonrpc":"2.0","id":null,"method":"initialize"}"#).await;
    let first = imsg.answer(&Value::Null).await;
    assert_eq!(first["result"]["protocol_version"], 1);
    assert_eq!(imsg.kept(), [] as [Value; 0]);
}

#[tokio::test]
async fn parameters_are_strict() {
    let mac = Mac::start();
    let chat = mac.chat_with("+15550100001");
    let mut imsg = Imsg::start(&mac);
    let cases = [
        ("chats.list", json!({ "limit": "5" })),
        ("chats.list", json!({ "limit": 0 })),
        ("chats.list", json!({ "limit": true })),
        ("chats.list", json!({ "limit": 1.5 })),
        ("chats.list", json!({ "unread_only": 1 })),
        ("chats.list", json!({ "unread_only": true, "unreadOnly": true })),
        ("chats.list", json!({ "chatId": 1 })),
        ("messages.after", json!({})),
        ("messages.after", json!({ "since_rowid": -1 })),
        ("messages.after", json!({ "since_rowid": 0, "limit": 501 })),
        ("messages.after", json!({ "since_rowid": 0, "chat_id": 999 })),
        ("status", json!({ "verbose": true })),
        ("initialize", json!({ "protocol_version": 2 })),
        ("send", json!({ "text": "hi" })),
        ("send", json!({ "to": "+15550100001" })),
        ("send", json!({ "to": "+15550100001", "text": "", "file": "" })),
        ("send", json!({ "to": "+15550100001", "chat_id": chat, "text": "hi" })),
        ("send", json!({ "chat_id": chat, "chat_guid": "x", "text": "hi" })),
        ("send", json!({ "chat_id": 999, "text": "hi" })),
        ("send", json!({ "to": "+15550100001", "text": "hi", "service": "iMessage" })),
        (
            "send",
            json!({ "to": "+15550100001", "text": "hi", "attempt_id": "5f0c1d2e-0000-5000-8000-000000000001" }),
        ),
        ("send", json!({ "to": "Ann", "text": "hi" })),
        ("tapback", json!({ "chat_id": chat, "message_id": "x", "reaction": "meh" })),
        ("watch.subscribe", json!({ "since_rowid": -2 })),
        ("watch.subscribe", json!({ "buffer_limit": 4097 })),
        ("watch.subscribe", json!({ "debounce_ms": -1 })),
        ("messages.history", json!({ "chat_id": chat, "start": "yesterday" })),
    ];
    for (method, params) in cases {
        assert_eq!(imsg.code(method, params.clone()).await, -32602, "{method} {params}");
    }
    assert_eq!(mac.mutations(), []);
}

#[tokio::test]
async fn keys_come_in_any_order_and_slashes_are_escaped() {
    let mac = Mac::start();
    mac.contact("+15550100001").writes("a/b — é");
    let mut imsg = Imsg::start(&mac);
    let mut orders = std::collections::BTreeSet::new();
    for _ in 0..20 {
        imsg.write(
            r#"{"jsonrpc":"2.0","id":1,"method":"messages.after","params":{"since_rowid":0}}"#,
        )
        .await;
        let line = imsg.line().await.unwrap();
        assert!(line.contains(r#""a\/b — é""#), "{line}");
        orders.insert(line.find("\"text\"").unwrap());
    }
    assert!(orders.len() > 1, "{orders:?}");
}

#[tokio::test]
async fn an_old_imsg_has_no_protocol_version() {
    let mac = Mac::start();
    mac.install("0.13.4");
    mac.lose_full_disk_access();
    let mut imsg = Imsg::start(&mac);
    for method in ["initialize", "status", "send.tracked", "chats.get"] {
        assert_eq!(imsg.code(method, json!({})).await, -32601, "{method}");
    }
    assert_eq!(imsg.code("chats.list", json!({})).await, -32603);
}
