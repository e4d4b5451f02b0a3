//! Requests that are refused, each for one reason only: the cases of [`crate::errors`].

use http::Method;
use serde_json::{Value, json};
use switchboard_model::{
    Code, OutboxItem, Scope,
    id::Id,
    line::Capability,
    secret::{Secret, SecretKind},
};
use switchboard_testkit::LINE;

use crate::{
    bridge::Mac,
    call::{Call, query},
    fixtures::{Sample, set_advanced},
    world::{
        CONTACT, MAX_FILE, NO_LINE, OPEN, SANDBOX, SECOND, STRANGER, THEIRS, World, send_with,
    },
};

/// The writes to the outbox.
const WRITES: [&str; 5] =
    ["/v1/messages", "/v1/audio-messages", "/v1/reactions", "/v1/typing", "/v1/receipts"];

/// A call, and how it is refused.
pub(crate) type Case = (Call, Code, Option<&'static str>);

pub(crate) fn obx() -> Id<OutboxItem> {
    Id::generate()
}

pub(crate) async fn authentication(world: &World) -> Vec<Case> {
    let lines = || Call::get("/v1/lines");
    let key = &world.owner.key;
    let last = if key.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &key[..key.len() - 1]);
    let unknown = Secret::from_random(SecretKind::ApiKey, [7; 20]).reveal().to_owned();
    let mut cases = vec![
        (lines(), Code::MissingApiKey, None),
        (lines().header("x-api-key", key), Code::MissingApiKey, None),
        (Call::get("/admin/v1/accounts"), Code::MissingApiKey, None),
        (Call::get("/bridge/v1/link"), Code::MissingApiKey, None),
    ];
    let wrong = [
        format!("Basic {key}"),
        key.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
        format!("Bearer {key} {key}"),
        "Bearer sk_live_".to_owned(),
        format!("Bearer {}", key.to_uppercase()),
        format!("Bearer {mistyped}"),
        format!("Bearer {unknown}"),
        format!("Bearer {}", world.bridge),
        format!("Bearer {}", world.server.operator_token()),
        format!("Bearer {}", world.revoked_key().await),
        format!("Bearer {}", world.expired_key().await),
    ];
    cases.extend(
        wrong.iter().map(|wrong| (lines().authorization(wrong), Code::InvalidApiKey, None)),
    );
    cases
}

pub(crate) async fn authorization(world: &World) -> Vec<Case> {
    let unscoped = world.key_without(Scope::LinesRead).await;
    let webhook = |from: &str| json!({ "from": from, "url": "http://127.0.0.1:1999", "events": ["message.sent"] });
    vec![
        (Call::get("/v1/lines").key(&unscoped), Code::InsufficientScope, None),
        (
            Call::get(query("/v1/chats", &[("from", LINE)])).key(&world.restricted),
            Code::LineNotAccessible,
            None,
        ),
        (
            Call::post("/v1/webhooks", &webhook("")).key(&world.homeless),
            Code::SandboxRequiresOwner,
            None,
        ),
        (Call::get("/v1/webhooks?from=").key(&world.homeless), Code::SandboxRequiresOwner, None),
        (Call::get("/v1/deliveries").key(&world.homeless), Code::SandboxRequiresOwner, None),
        (
            Call::post("/v1/messages", &send_with(&json!({ "to": STRANGER })))
                .key(&world.owner.key),
            Code::ContactHasNotMessaged,
            Some("to"),
        ),
    ]
}

/// What is refused before it is understood.
pub(crate) fn unreadable(world: &World) -> Vec<Case> {
    let key = &world.owner.key;
    let send = || Call::new(http::Method::POST, "/v1/messages").key(key);
    let file = || Call::new(http::Method::POST, "/v1/files").key(key);
    let whole = send_with(&json!({})).to_string();
    let mut cases: Vec<Case> = [
        &b"hello"[..],
        b"",
        b"[]",
        b"null",
        b"\"text\"",
        b"{\"from\":\"\xff\"}",
        b"{\"from\":1,}",
        b"{} {}",
        &whole.as_bytes()[..whole.len() / 2],
    ]
    .iter()
    .map(|body| (send().raw(body.to_vec()), Code::InvalidJson, None))
    .collect();
    cases.push((send(), Code::InvalidJson, None));
    cases.push((send().raw("[".repeat(2000)), Code::InvalidJson, None));
    let large = send_with(&json!({ "text": "x".repeat(5000) })).to_string();
    cases.extend([
        (send().raw(large), Code::RequestTooLarge, None),
        (file().raw(vec![1; MAX_FILE + 1]), Code::FileTooLarge, None),
        (file(), Code::EmptyFile, None),
        (file().raw("x").header("content-encoding", "br"), Code::UnsupportedMediaType, None),
        (
            send().raw(whole.clone()).header("content-type", "application/xml"),
            Code::UnsupportedMediaType,
            None,
        ),
        (send().raw(whole).header("content-encoding", "gzip"), Code::UnsupportedMediaType, None),
        (Call::get("/v1/nothing").key(key), Code::EndpointNotFound, None),
        (Call::get("/v1/lines/").key(key), Code::EndpointNotFound, None),
        (Call::get("/"), Code::EndpointNotFound, None),
        (Call::delete("/v1/lines", &json!({})).key(key), Code::MethodNotAllowed, None),
        (Call::new(http::Method::PUT, "/v1/messages"), Code::MethodNotAllowed, None),
    ]);
    cases
}

/// What a line without advanced features refuses. Everything else about these requests is right.
pub(crate) async fn advanced(world: &World) -> Vec<Case> {
    world.server.text(OPEN, CONTACT, "hello").await;
    let guid = world.server.text(OPEN, CONTACT, "hello").await.guid;
    set_advanced(&world.server, OPEN, false).await;
    let body = json!({
        "from": OPEN, "to": CONTACT, "audio_message": world.first.memo, "message_id": guid,
        "type": "love",
    });
    let mut cases = ["/v1/audio-messages", "/v1/reactions", "/v1/typing", "/v1/receipts"]
        .map(|path| {
            let call = Call::post(path, &body).key(&world.owner.key);
            (call, Code::AdvancedFeaturesRequired, None)
        })
        .to_vec();
    // A line that can only answer.
    let mac = Mac::make(&world.server, &world.owner, "+15550100018").await;
    mac.can(&world.server, &[Capability::Replies]).await;
    let body = json!({ "from": mac.line.handle, "to": CONTACT, "text": "x" });
    let call = Call::post("/v1/messages", &body).key(&world.owner.key);
    cases.push((call, Code::AdvancedFeaturesRequired, None));
    cases
}

/// The sandbox's rules, for each write.
pub(crate) async fn sandbox(world: &World) -> Vec<Case> {
    let server = &world.server;
    let paired = server.tenant("+15550100006").await;
    let code = paired.client.ensure_sandbox().await.unwrap().value.activation_code.unwrap();
    let guid = server.text(SANDBOX, CONTACT, &code).await.guid;
    let memo = Sample::memo().uploaded(server, &paired.key).await;
    let write = |path: &str, to: &str| {
        let body = json!({
            "from": SANDBOX, "to": to, "text": "x", "audio_message": memo, "message_id": guid,
            "type": "love",
        });
        Call::post(path, &body)
    };
    for _ in 0..switchboard_model::sandbox::DAILY_LIMIT {
        let answer = write("/v1/messages", CONTACT).key(&paired.key).send(&server.url).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let counted = ["/v1/messages", "/v1/audio-messages", "/v1/reactions"];
    let mut cases = Vec::new();
    for path in counted.into_iter().chain(["/v1/typing", "/v1/receipts"]) {
        let (owner, paired) = (&world.owner.key, &paired.key);
        let mismatch = write(path, STRANGER).key(paired);
        cases.extend([
            (write(path, CONTACT).key(owner), Code::SandboxNotActivated, None),
            (write(path, CONTACT).key(&world.homeless), Code::SandboxRequiresOwner, None),
            (mismatch, Code::SandboxContactMismatch, Some("to")),
        ]);
        let right = write(path, CONTACT).key(paired);
        if counted.contains(&path) {
            cases.push((right, Code::SandboxQuotaExceeded, None));
        } else {
            assert_eq!(right.send(&server.url).await.status, 201, "{path} does not count");
        }
    }
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let call = Call::new(method, "/v1/sandbox").key(&world.homeless);
        cases.push((call, Code::SandboxRequiresOwner, None));
    }
    cases
}

pub(crate) fn not_found(world: &World) -> Vec<Case> {
    let get = |path, values: &[(&str, &str)]| Call::get(query(path, values));
    let send = |changes: Value| Call::post("/v1/messages", &send_with(&changes));
    let never = "cht_00000000000000000000000000";
    // Each field that any of the writes needs.
    let write = |path: &str, changes: Value| {
        let mut body = send_with(&json!({
            "audio_message": world.first.memo, "message_id": world.first.message, "type": "love",
        }));
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Call::post(path, &body)
    };
    let mut cases = Vec::new();
    for line in [NO_LINE, THEIRS, "ln_nothing", &world.theirs.line_id] {
        cases.extend([
            (get("/v1/chats", &[("from", line)]), Code::LineNotFound, Some("from")),
            (
                get("/v1/messages", &[("from", line), ("to", CONTACT)]),
                Code::LineNotFound,
                Some("from"),
            ),
            (get("/v1/webhooks", &[("from", line)]), Code::LineNotFound, Some("from")),
            (get("/v1/events", &[("line", line)]), Code::LineNotFound, Some("line")),
            (send(json!({ "from": line })), Code::LineNotFound, Some("from")),
        ]);
        for path in WRITES {
            cases.push((write(path, json!({ "from": line })), Code::LineNotFound, Some("from")));
        }
    }
    let second = world.second.chat.as_str();
    for to in [STRANGER, "cht_x", never, &world.theirs.chat, second] {
        for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
            let call = get(path, &[("from", LINE), ("to", to)]);
            cases.push((call, Code::ChatNotFound, Some("to")));
        }
        for path in WRITES {
            let code =
                if to == STRANGER { Code::ContactHasNotMessaged } else { Code::ChatNotFound };
            cases.push((write(path, json!({ "to": to })), code, Some("to")));
        }
    }
    let long = "g".repeat(300);
    for reply_to in ["msg_x", "no such guid", &long, &world.theirs.message, &world.second.guid] {
        for (path, name) in [
            ("/v1/messages", "reply_to"),
            ("/v1/audio-messages", "reply_to"),
            ("/v1/reactions", "message_id"),
        ] {
            let call = write(path, json!({ name: reply_to }));
            cases.push((call, Code::MessageNotFound, Some(name)));
        }
        if *reply_to != world.second.guid {
            let call = get("/v1/reactions", &[("message_id", reply_to)]);
            cases.push((call, Code::MessageNotFound, Some("message_id")));
        }
    }
    for file in ["file_x", "file_00000000000000000000000000", &world.theirs.memo] {
        let call = send(json!({ "attachments": [file] }));
        cases.push((call, Code::FileNotFound, Some("attachments")));
        let call = write("/v1/audio-messages", json!({ "audio_message": file }));
        cases.push((call, Code::FileNotFound, Some("audio_message")));
        cases.push((get("/v1/files", &[("id", file)]), Code::FileNotFound, Some("id")));
    }
    for id in ["obx_x", &world.theirs.item, &obx().to_string()] {
        cases.push((get("/v1/outbox", &[("id", id)]), Code::OutboxItemNotFound, Some("id")));
    }
    for id in ["wh_x", &world.theirs.webhook] {
        let body = json!({ "id": id, "since": 1 });
        for (method, path) in [
            (Method::DELETE, "/v1/webhooks"),
            (Method::PATCH, "/v1/webhooks"),
            (Method::POST, "/v1/webhooks/test"),
            (Method::POST, "/v1/webhooks/rotate"),
            (Method::POST, "/v1/webhooks/replay"),
        ] {
            let call = Call::new(method, path).json(&body);
            cases.push((call, Code::WebhookNotFound, Some("id")));
        }
    }
    for id in ["dlv_x", &world.theirs.delivery] {
        let call = Call::post("/v1/deliveries/retry", &json!({ "id": id }));
        cases.push((call, Code::DeliveryNotFound, Some("id")));
    }
    for id in ["rpl_x", &world.theirs.replay] {
        cases.push((get("/v1/webhooks/replay", &[("id", id)]), Code::ReplayNotFound, Some("id")));
    }
    let with_key = |(call, code, param): Case| (call.key(&world.owner.key), code, param);
    cases.into_iter().map(with_key).collect()
}

pub(crate) fn operators(world: &World) -> Vec<Case> {
    let account = world.owner.account.to_string();
    let line = |changes: Value| {
        let mut body = json!({ "account_id": account, "handle": NO_LINE, "driver": "imsg" });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Call::post("/admin/v1/lines", &body)
    };
    let key = |changes: Value| {
        let mut body = json!({ "account_id": account, "name": "x", "scopes": "all" });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Call::post("/admin/v1/keys", &body)
    };
    let text = |changes: Value| {
        let mut body = json!({ "line": LINE, "from": CONTACT, "text": "x" });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Call::post("/simulator/v1/messages", &body)
    };
    let person = |path: &str, line: &str, guid: &str| {
        let body = json!({
            "line": line, "from": CONTACT, "message_guid": guid, "type": "love",
            "advanced_features": true,
        });
        Call::post(&format!("/simulator/v1/{path}"), &body)
    };
    let changes = |what: &str, name: &str, message: &str| {
        let body = json!({ name: message, "text": "x" });
        Call::post(&format!("/simulator/v1/messages/{what}"), &body)
    };
    let nothing = |path| Call::post(path, &json!({ "id": "key_x" }));
    let mac = json!({ "name": "spare", "driver": "imsg" });
    let simulated = json!({ "driver": "simulator", "bridge_id": "brg_x" });
    let group = json!({ "line": NO_LINE, "participants": [CONTACT] });
    let fault = json!({ "line": NO_LINE, "mode": "none" });
    let gone = json!({ "id": "brg_x" });
    let cases: Vec<Case> = vec![
        (line(json!({ "account_id": "acc_x" })), Code::ResourceNotFound, Some("account_id")),
        (line(json!({ "bridge_id": "brg_x" })), Code::ResourceNotFound, Some("bridge_id")),
        (line(simulated), Code::InvalidParameterValue, Some("bridge_id")),
        (line(json!({ "handle": SECOND })), Code::ResourceExists, Some("handle")),
        (key(json!({ "account_id": "acc_x" })), Code::ResourceNotFound, Some("account_id")),
        (key(json!({ "line_ids": ["ln_x"] })), Code::LineNotFound, Some("line_ids")),
        (key(json!({ "line_ids": [world.theirs.line_id] })), Code::LineNotFound, Some("line_ids")),
        (nothing("/admin/v1/keys/revoke"), Code::ResourceNotFound, Some("id")),
        (Call::post("/admin/v1/bridges/revoke", &gone), Code::ResourceNotFound, Some("id")),
        (Call::post("/admin/v1/bridges", &mac), Code::ResourceExists, Some("name")),
        (text(json!({ "line": NO_LINE })), Code::LineNotFound, Some("line")),
        (text(json!({ "chat_id": "cht_x" })), Code::ChatNotFound, Some("chat_id")),
        (text(json!({ "chat_id": world.theirs.chat })), Code::ChatNotFound, Some("chat_id")),
        (Call::post("/simulator/v1/groups", &group), Code::LineNotFound, Some("line")),
        (Call::post("/simulator/v1/faults", &fault), Code::LineNotFound, Some("line")),
        (person("reactions", NO_LINE, "x"), Code::LineNotFound, Some("line")),
        (person("typing", NO_LINE, "x"), Code::LineNotFound, Some("line")),
        (person("receipts", NO_LINE, "x"), Code::LineNotFound, Some("line")),
        (person("lines/capabilities", NO_LINE, "x"), Code::LineNotFound, Some("line")),
        (person("reactions", LINE, "no guid"), Code::MessageNotFound, Some("message_guid")),
        (
            person("reactions", LINE, &world.theirs.guid),
            Code::MessageNotFound,
            Some("message_guid"),
        ),
        (changes("edit", "guid", "no guid"), Code::MessageNotFound, Some("guid")),
        (changes("edit", "message_id", "msg_x"), Code::MessageNotFound, Some("message_id")),
        (changes("unsend", "guid", "msg_x"), Code::MessageNotFound, Some("guid")),
        (line(json!({ "is_sandbox": true })), Code::ResourceExists, Some("is_sandbox")),
    ];
    let token = world.server.operator_token();
    cases.into_iter().map(|(call, code, param)| (call.key(token), code, param)).collect()
}
