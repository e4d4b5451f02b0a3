//! Every error code that the endpoints can give, through HTTP, each as the catalogue has it (§3).

use std::{collections::HashSet, io, sync::Arc, time::Duration};

use serde_json::{Value, json};
use switchboard_bridge::SimulatorOptions;
use switchboard_client::RawAnswer;
use switchboard_model::{
    Chat, Code, Handle, OutboxItem, Scope,
    id::Id,
    secret::{Secret, SecretKind},
    simulator::{ContactText, Fault, PhoneMessage, SimulatedPhones, SimulatedText, SimulatorError},
};
use switchboard_testkit::{LINE, Setup};

use crate::{
    call::{Call, assert_refused, query},
    values::{missing, unacceptable},
    world::{CONTACT, NO_LINE, SECOND, STRANGER, THEIRS, World, send_with},
};

/// Not reachable by the endpoints there are yet. Whoever makes one reachable gives it a case.
const NOT_YET: [Code; 8] = [
    Code::SandboxNotActivated,
    Code::EmptyFile,
    Code::AdvancedFeaturesRequired,
    Code::SandboxContactMismatch,
    Code::SandboxQuotaExceeded,
    Code::FileTooLarge,
    Code::IdempotencyInProgress,
    Code::IdempotencyMismatch,
];

/// A call, and how it is refused.
type Case = (Call, Code, Option<&'static str>);

#[tokio::test]
async fn every_code_is_given_as_the_catalogue_has_it() {
    let mut given = HashSet::new();
    let mut check = |answer: &RawAnswer, call: &Call, code, param| {
        assert_refused(&format!("{call:?}"), answer, code, param);
        given.insert(code);
    };
    let world = World::make().await;
    let cases = [
        authentication(&world).await,
        authorization(&world).await,
        unreadable(&world),
        not_found(&world),
        operators(&world),
    ];
    for (call, code, param) in cases.into_iter().flatten() {
        check(&call.send(&world.server.url).await, &call, code, param);
    }
    for (call, message, param) in missing(&world) {
        let answer = call.send(&world.server.url).await;
        check(&answer, &call, Code::MissingRequiredParameter, Some(param));
        assert_eq!(answer.body["error"]["message"], message, "{call:?}");
    }
    for (call, param) in unacceptable(&world) {
        let answer = call.send(&world.server.url).await;
        check(&answer, &call, Code::InvalidParameterValue, param);
    }
    let limited = world.limited_key(1).await;
    let call = Call::get("/v1/lines").key(&limited);
    assert_eq!(call.send(&world.server.url).await.status, 200);
    check(&call.send(&world.server.url).await, &call, Code::RateLimitExceeded, None);
    world.server.stop().await;

    for phones in [Broken::Error, Broken::Panic] {
        let server = Setup::new().phones(Arc::new(phones)).start().await;
        let call = Call::get("/simulator/v1/phones?handle=%2B15550100002");
        let call = match phones {
            Broken::Panic => call,
            Broken::Error => Call::post(
                "/simulator/v1/messages",
                &json!({ "line": LINE, "from": CONTACT, "text": "x" }),
            ),
        }
        .key(server.operator_token());
        let answer = call.send(&server.url).await;
        check(&answer, &call, Code::InternalError, None);
        let told = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!told.contains("hush"), "the cause is not the client's to know: {told}");
        let errors = server.stop_with_errors().await;
        let request = answer.body["request_id"].as_str().unwrap();
        let logged = errors.iter().any(|line| line.contains(request) && line.contains("hush"));
        assert!(logged, "the request's id finds the cause in the log: {errors:?}");
    }

    // A store that is closed, as when the server is stopping.
    let server = Setup::new().unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    server.store.close().await;
    for path in ["/v1/chats?from=+15550100001".to_owned(), format!("/v1/outbox?id={}", obx())] {
        let call = Call::get(path).key(&tenant.key);
        check(&call.send(&server.url).await, &call, Code::ServiceUnavailable, None);
    }
    let call = Call::post("/v1/messages", &send_with(&json!({}))).key(&tenant.key);
    check(&call.send(&server.url).await, &call, Code::ServiceUnavailable, None);
    server.stop_with_errors().await;

    // A simulator that is not linked.
    let options = SimulatorOptions {
        confirm_timeout: Duration::from_millis(20),
        ..SimulatorOptions::default()
    };
    let server = Setup::new().unlinked().simulator(options).start().await;
    let body = json!({ "line": LINE, "from": CONTACT, "text": "x" });
    let call = Call::post("/simulator/v1/messages", &body).key(server.operator_token());
    check(&call.send(&server.url).await, &call, Code::ServiceUnavailable, None);
    server.stop().await;

    for code in Code::ALL {
        assert_ne!(
            given.contains(code),
            NOT_YET.contains(code),
            "{code:?} is either given by an endpoint and has its case here, or stands in NOT_YET"
        );
    }
}

fn obx() -> Id<OutboxItem> {
    Id::generate()
}

async fn authentication(world: &World) -> Vec<Case> {
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

async fn authorization(world: &World) -> Vec<Case> {
    let unscoped = world.key_without(Scope::LinesRead).await;
    let webhook = |from: &str| json!({ "from": from, "url": "http://127.0.0.1:9", "events": ["message.sent"] });
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
        (
            Call::post("/v1/messages", &send_with(&json!({ "to": STRANGER })))
                .key(&world.owner.key),
            Code::ContactHasNotMessaged,
            Some("to"),
        ),
    ]
}

/// What is refused before it is understood.
fn unreadable(world: &World) -> Vec<Case> {
    let key = &world.owner.key;
    let send = || Call::new(http::Method::POST, "/v1/messages").key(key);
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

fn not_found(world: &World) -> Vec<Case> {
    let get = |path, values: &[(&str, &str)]| Call::get(query(path, values));
    let send = |changes: Value| Call::post("/v1/messages", &send_with(&changes));
    let never = "cht_00000000000000000000000000";
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
            (send(json!({ "from": line })), Code::LineNotFound, Some("from")),
        ]);
    }
    let second = world.second.chat.as_str();
    for to in [STRANGER, "cht_x", never, &world.theirs.chat, second] {
        let call = get("/v1/messages", &[("from", LINE), ("to", to)]);
        cases.push((call, Code::ChatNotFound, Some("to")));
        if to != STRANGER {
            cases.push((send(json!({ "to": to })), Code::ChatNotFound, Some("to")));
        }
    }
    let long = "g".repeat(300);
    for reply_to in ["msg_x", "no such guid", &long, &world.theirs.message, &world.second.guid] {
        let call = send(json!({ "reply_to": reply_to }));
        cases.push((call, Code::MessageNotFound, Some("reply_to")));
    }
    for file in ["file_x", "file_00000000000000000000000000"] {
        let call = send(json!({ "attachments": [file] }));
        cases.push((call, Code::FileNotFound, Some("attachments")));
    }
    for id in ["obx_x", &world.theirs.item, &obx().to_string()] {
        cases.push((get("/v1/outbox", &[("id", id)]), Code::OutboxItemNotFound, Some("id")));
    }
    for id in ["wh_x", &world.theirs.webhook] {
        let call = Call::delete("/v1/webhooks", &json!({ "id": id }));
        cases.push((call, Code::WebhookNotFound, Some("id")));
    }
    let with_key = |(call, code, param): Case| (call.key(&world.owner.key), code, param);
    cases.into_iter().map(with_key).collect()
}

fn operators(world: &World) -> Vec<Case> {
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
    let nothing = |path| Call::post(path, &json!({ "id": "key_x" }));
    let mac = json!({ "name": "mac", "driver": "imsg" });
    let group = json!({ "line": NO_LINE, "participants": [CONTACT] });
    let fault = json!({ "line": NO_LINE, "mode": "none" });
    let gone = json!({ "id": "brg_x" });
    let cases: Vec<Case> = vec![
        (line(json!({ "account_id": "acc_x" })), Code::ResourceNotFound, Some("account_id")),
        (line(json!({ "bridge_id": "brg_x" })), Code::ResourceNotFound, Some("bridge_id")),
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
    ];
    let token = world.server.operator_token();
    cases.into_iter().map(|(call, code, param)| (call.key(token), code, param)).collect()
}

/// Phones whose journal can't be written, or that panic: the server's own fault.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Error,
    Panic,
}

#[async_trait::async_trait]
impl SimulatedPhones for Broken {
    async fn text(&self, _: ContactText) -> Result<SimulatedText, SimulatorError> {
        Err(SimulatorError::Journal(io::Error::other("hush: the disk is full")))
    }

    async fn phone(&self, _: &Handle) -> Vec<PhoneMessage> {
        panic!("hush: a phone fell down")
    }

    async fn group(
        &self,
        _: &Handle,
        _: Option<String>,
        _: Vec<Handle>,
    ) -> Result<Id<Chat>, SimulatorError> {
        Err(SimulatorError::NotLinked)
    }

    async fn fault(&self, _: &Handle, _: Fault) -> Result<(), SimulatorError> {
        Err(SimulatorError::NotLinked)
    }
}
