//! What the OpenAPI document says of an operation, for those who hold answers against it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use http::Method;
use serde_json::{Value, json};
use switchboard_client::RawAnswer;
use switchboard_model::Code;
use switchboard_server::openapi::document;
use switchboard_testkit::{LINE, TestServer};

use crate::{
    call::{Call, query},
    operations::{Cases, Row, path},
    people::Sample,
    refusals::{advanced, authorization, not_found, sandbox, unreadable},
    rows::rows,
    values::{missing, unacceptable},
    world::{CONTACT, NO_LINE, SANDBOX, World},
};

/// An operation, if it is one for programs.
pub(crate) fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    document()["paths"].get(path)?.get(method.as_str().to_lowercase())
}

/// What a reference stands for; anything else is itself.
pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    let target = value["$ref"].as_str().map(|target| target.trim_start_matches('#'));
    target.map_or(value, |target| document().pointer(target).unwrap())
}

/// The codes of a documented error answer.
fn codes_of(response: &'static Value) -> impl Iterator<Item = &'static str> {
    let examples = &resolved(response)["content"]["application/json"]["examples"];
    examples.as_object().into_iter().flat_map(|all| all.keys()).map(String::as_str)
}

/// Every code that the document has for this operation.
pub(crate) fn codes(operation: &'static Value) -> BTreeSet<&'static str> {
    operation["responses"].as_object().unwrap().values().flat_map(codes_of).collect()
}

/// That an answer is one that the document has for its operation: the status, and the code of an error.
#[track_caller]
pub(crate) fn assert_documented(method: &Method, path: &str, answer: &RawAnswer) {
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("http://").map_or(path, |rest| &rest[rest.find('/').unwrap()..]);
    let Some(operation) = operation(method, path) else { return };
    let status = answer.status;
    let response = &operation["responses"][status.to_string()];
    let what = format!("{method} {path} answers {status}, which is not documented: {answer:?}");
    assert!(response.is_object(), "{what}");
    let Some(code) = answer.body["error"]["code"].as_str() else { return };
    assert!(codes_of(response).any(|known| known == code), "{code}: {what}");
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    given.insert((operation["operationId"].as_str().unwrap(), code.to_owned()));
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
fn unreadable_bodies(rows: &[Row], key: &str) -> Vec<Call> {
    let reads_json = |row: &&Row| {
        let operation = operation(&row.right.method, &path(row));
        operation.is_some_and(|one| one["requestBody"]["content"]["application/json"].is_object())
    };
    let calls = rows.iter().filter(reads_json).flat_map(|row| {
        let call = || Call::new(row.right.method.clone(), &path(row)).key(key);
        [call().raw("{"), call().raw(vec![b' '; 5000]), call().header("content-type", "image/png")]
    });
    calls.collect()
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
    calls.extend(unreadable_bodies(&rows, owner));
    calls.extend(others(&world));
    for row in rows {
        let keys =
            [(row.other_account, owner), (row.restricted, restricted), (row.bad_input, owner)];
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
    for operation in document()["paths"].as_object().unwrap().values() {
        for operation in operation.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            let codes = codes(operation).into_iter();
            let codes = codes.filter(|code| !EVERYWHERE.iter().any(|one| one.as_str() == *code));
            silent
                .extend(codes.map(|code| (id, code.to_owned())).filter(|one| !given.contains(one)));
        }
    }
    assert_eq!(silent, [], "documented, and nothing gives it");
}
