//! What the OpenAPI document says of an operation, for those who hold answers against it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use http::Method;
use serde_json::{Value, json};
use switchboard_client::RawAnswer;
use switchboard_model::{Account, Bridge, Chat, Code, Key, Line, id::Id};
use switchboard_server::{openapi::Audience, routes::document_for};
use switchboard_testkit::{LINE, TestServer, judge};

use crate::{
    call::{Call, query},
    contract_rows::rows,
    fixtures::Sample,
    openapi::operations_for,
    operations::{Cases, Row, path},
    refusals::{advanced, authorization, not_found, sandbox, unreadable},
    values::{missing, unacceptable},
    world::{CONTACT, NO_LINE, SANDBOX, SECOND, World},
};

/// The codes of a documented error answer.
fn codes_of(audience: Audience, response: &'static Value) -> impl Iterator<Item = &'static str> {
    let examples = &judge::resolved(audience, response)["content"]["application/json"]["examples"];
    examples.as_object().into_iter().flat_map(|all| all.keys()).map(String::as_str)
}

/// Every code that the document has for this operation.
pub(crate) fn codes(audience: Audience, operation: &'static Value) -> BTreeSet<&'static str> {
    let responses = operation["responses"].as_object().unwrap().values();
    responses.flat_map(|response| codes_of(audience, response)).collect()
}

/// Keeps in mind which code an operation gave.
pub(crate) fn note(method: &Method, path: &str, answer: &RawAnswer) {
    let code = answer.body["error"]["code"].as_str();
    if let (Some((_, operation)), Some(code)) = (judge::operation(method, path), code) {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert((operation["operationId"].as_str().unwrap(), code.to_owned()));
    }
}

/// What was given to the callers of this process: operations and codes.
static GIVEN: Mutex<BTreeSet<(&str, String)>> = Mutex::new(BTreeSet::new());

/// What the gate, the store and the Idempotency-Key give, the same to all operations.
const EVERYWHERE: [Code; 8] = [
    Code::MissingApiKey,
    Code::InvalidApiKey,
    Code::RateLimitExceeded,
    Code::InsufficientScope,
    Code::IdempotencyInProgress,
    Code::IdempotencyMismatch,
    Code::InternalError,
    Code::ServiceUnavailable,
];

/// A request with nothing wrong, but for its body: for each operation that reads one as JSON.
fn unreadable_bodies(rows: &[Row], world: &World) -> Vec<Call> {
    let readers = rows.iter().filter_map(|row| {
        let (audience, operation) = judge::operation(&row.right.method, &path(row))?;
        operation["requestBody"]["content"]["application/json"].as_object()?;
        let token = match audience {
            Audience::Programs => world.owner.key.clone(),
            Audience::Operator | Audience::Simulator => world.server.operator_token().to_owned(),
        };
        Some((row, token))
    });
    let calls = readers.flat_map(|(row, token)| {
        let call = || Call::new(row.right.method.clone(), &path(row)).key(&token);
        [call().raw("{"), call().raw(vec![b' '; 5000]), call().header("content-type", "image/png")]
    });
    calls.collect()
}

/// What the operator and whoever plays contacts can get wrong.
fn operators_mistakes(world: &World) -> Vec<Call> {
    let account = world.owner.account;
    let (no_account, no_line) = (Id::<Account>::generate(), Id::<Line>::generate());
    let line = |account, handle: &str| json!({ "account_id": account, "handle": handle, "driver": "imsg" });
    let key = |account| json!({ "account_id": account, "name": "x", "scopes": "all" });
    let mut key_of_no_line = key(account);
    key_of_no_line["line_ids"] = json!([no_line]);
    let bridge = json!({ "name": "one of two", "driver": "imsg" });
    let by = |line: &str, from: &str| json!({ "line": line, "from": from });
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let nowhere = json!(Id::<Chat>::generate());
    let reaction = |line: &str| {
        let about = with(by(line, CONTACT), "message_guid", "no such guid".into());
        with(about, "type", "love".into())
    };
    let text = |body| with(body, "text", "x".into());
    let no_guid = json!({ "guid": "no such guid", "text": "x" });
    let wrong_id = json!({ "message_id": "obx_x", "text": "x" });
    let in_chat = |path: &'static str| {
        let group = with(text(by(SECOND, CONTACT)), "chat_id", nowhere.clone());
        [(path, text(by(NO_LINE, CONTACT))), (path, text(by(LINE, "cht_x"))), (path, group)]
    };
    let line_only = |line: &str| json!({ "line": line });
    let mut bodies = vec![
        ("/admin/v1/accounts", json!({ "name": " " })),
        ("/admin/v1/lines", line(no_account, NO_LINE)),
        ("/admin/v1/lines", line(account, LINE)),
        ("/admin/v1/lines/standby", json!({ "id": no_line })),
        (
            "/admin/v1/lines/standby",
            json!({ "id": world.stood_by, "bridge_id": Id::<Bridge>::generate() }),
        ),
        ("/admin/v1/lines/take-over", json!({ "id": no_line })),
        ("/admin/v1/keys", key(no_account)),
        ("/admin/v1/keys", key_of_no_line),
        ("/admin/v1/keys/revoke", json!({ "id": Id::<Key>::generate() })),
        ("/admin/v1/bridges", bridge.clone()),
        ("/admin/v1/bridges", bridge),
        ("/admin/v1/bridges/revoke", json!({ "id": Id::<Bridge>::generate() })),
        ("/simulator/v1/messages/edit", no_guid.clone()),
        ("/simulator/v1/messages/edit", wrong_id.clone()),
        ("/simulator/v1/messages/unsend", no_guid),
        ("/simulator/v1/messages/unsend", wrong_id),
        ("/simulator/v1/reactions", reaction(NO_LINE)),
        ("/simulator/v1/reactions", reaction(SECOND)),
        ("/simulator/v1/groups", with(line_only(NO_LINE), "participants", json!([CONTACT]))),
        (
            "/simulator/v1/lines/capabilities",
            with(line_only("bob"), "advanced_features", true.into()),
        ),
        (
            "/simulator/v1/lines/capabilities",
            with(line_only(NO_LINE), "advanced_features", true.into()),
        ),
        ("/simulator/v1/faults", with(line_only(NO_LINE), "mode", "none".into())),
    ];
    for path in ["/simulator/v1/messages", "/simulator/v1/typing", "/simulator/v1/receipts"] {
        bodies.extend(in_chat(path));
    }
    // Whatever it is, something is missing in nothing.
    let nothing = [Audience::Operator, Audience::Simulator].into_iter().flat_map(|audience| {
        let paths = document_for(audience)["paths"].as_object().unwrap();
        paths.iter().filter(|(_, methods)| methods["post"].is_object()).map(|(path, _)| path)
    });
    let nothing = nothing.map(|path| (path.as_str(), json!({})));
    let calls = bodies.into_iter().chain(nothing).map(|(path, body)| Call::post(path, &body));
    let unnamed = Call::get("/simulator/v1/phones");
    let limit = json!({ "id": no_line, "loop_limit": "off" });
    let by_nobody = json!({ "id": world.second.line_id, "bridge_id": Id::<Bridge>::generate() });
    let limits = [limit, json!({}), by_nobody]
        .map(|body| Call::new(Method::PATCH, "/admin/v1/lines").json(&body));
    let token = world.server.operator_token();
    calls.chain([unnamed]).chain(limits).map(|call| call.key(token)).collect()
}

/// What the cases of the other tests have not: what is refused to a key of no account, and by a
/// server without a sandbox.
fn others(world: &World) -> Vec<Call> {
    let homeless = &world.homeless;
    let of_sandbox = |path| Call::get(query(path, &[("from", SANDBOX), ("to", CONTACT)]));
    let own = |call: Call| call.key(&world.owner.key);
    let nowhere = |path| own(Call::get(query(path, &[("from", NO_LINE), ("to", CONTACT)])));
    let webhook =
        json!({ "from": NO_LINE, "url": "http://127.0.0.1:1999", "events": ["message.sent"] });
    let ensure = || own(Call::new(Method::POST, "/v1/sandbox"));
    vec![
        of_sandbox("/v1/chats").key(homeless),
        of_sandbox("/v1/messages").key(homeless),
        of_sandbox("/v1/typing").key(homeless),
        of_sandbox("/v1/receipts").key(homeless),
        Call::get("/v1/events").key(homeless),
        Sample::png().upload(homeless),
        nowhere("/v1/typing"),
        nowhere("/v1/receipts"),
        own(Call::post("/v1/webhooks", &webhook)),
        Call::get(query("/v1/webhooks", &[("from", LINE)])).key(&world.restricted),
        ensure().header("idempotency-key", "a b"),
        ensure().raw(vec![b' '; 5000]),
        Call::get("/files/download?id=msg_x&expires=1&signature=x"),
        Call::get(format!("/files/download?id={}&expires=1&signature=x", world.first.file)),
    ]
}

#[tokio::test]
async fn every_documented_code_is_given_and_no_other() {
    let world = World::make().await;
    let url = &world.server.url;
    let (owner, restricted) = (&world.owner.key, &world.restricted);
    let mut calls: Vec<_> = missing(&world).into_iter().map(|(call, ..)| call).collect();
    calls.extend(unacceptable(&world).into_iter().map(|(call, _)| call));
    for cases in [
        authorization(&world).await,
        unreadable(&world),
        not_found(&world),
        advanced(&world).await,
        sandbox(&world).await,
    ] {
        calls.extend(cases.into_iter().map(|(call, ..)| call));
    }
    let rows = rows(&world).await;
    calls.extend(unreadable_bodies(&rows, &world));
    calls.extend(others(&world));
    calls.extend(operators_mistakes(&world));
    for row in rows {
        // The operator's rows have mistakes of their own.
        let path = path(&row);
        let is_operators = path.starts_with("/admin/") || path.starts_with("/simulator/");
        let operator = world.server.operator_token().to_owned();
        let mistaken = if is_operators { &operator } else { owner };
        let keys =
            [(row.other_account, owner), (row.restricted, restricted), (row.bad_input, mistaken)];
        for (cases, key) in keys {
            match cases {
                Cases::Refused(refused, ..) => {
                    calls.extend(refused.into_iter().map(|call| call.key(key)))
                }
                Cases::Alike { theirs, .. } => calls.push(theirs.key(key)),
                Cases::NotApplicable(_) | Cases::Hides(..) => {}
            }
        }
    }
    // Each is held against the document as it comes.
    for call in calls {
        call.send(url).await;
    }
    world.server.stop().await;

    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    for method in [Method::GET, Method::POST, Method::DELETE] {
        Call::new(method, "/v1/sandbox").key(&tenant.key).send(&server.url).await;
    }
    server.stop().await;

    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // Only a body that does not come: `crate::uploads` has it.
    given.insert(("ensureSandbox", Code::InvalidJson.as_str().to_owned()));
    let mut silent = Vec::new();
    for audience in Audience::ALL {
        for operation in operations_for(audience) {
            let id = operation["operationId"].as_str().unwrap();
            let codes = codes(audience, operation).into_iter();
            let codes = codes.filter(|code| !EVERYWHERE.iter().any(|one| one.as_str() == *code));
            let codes = codes.map(|code| (id, code.to_owned()));
            silent.extend(codes.filter(|one| !given.contains(one)));
        }
    }
    assert_eq!(silent, [], "documented, and nothing gives it");
}
