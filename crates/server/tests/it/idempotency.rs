//! Idempotency-Key on every POST (§10): done once, answered again byte for byte.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use switchboard_client::{CreateKey, RawAnswer};
use switchboard_model::{Code, time::Clock};
use switchboard_server::routes;
use switchboard_testkit::{LINE, Setup, TestClock, TestServer, eventually};

use crate::{
    call::{Call, assert_refused},
    people::{Sample, phone},
    world::{CONTACT, World, send_with},
};

fn with(call: &Call, key: &str) -> Call {
    call.clone().header("idempotency-key", key)
}

fn assert_replayed(what: &str, first: &RawAnswer, again: &RawAnswer) {
    assert_eq!(again.status, first.status, "{what}: {again:?}");
    assert_eq!(again.bytes, first.bytes, "{what}: byte for byte");
    assert_eq!(first.header("idempotent-replayed"), None, "{what}");
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "{what}");
    assert_eq!(again.header("content-type"), first.header("content-type"), "{what}");
}

/// Every POST of /v1 with something else to ask under the same key.
fn posts(world: &World) -> Vec<(Call, Call)> {
    let key = &world.owner.key;
    let post = |path: &str, more: &serde_json::Value| {
        let mut body = send_with(more);
        if path != "/v1/messages" {
            body.as_object_mut().unwrap().remove("text");
        }
        Call::post(path, &body).key(key)
    };
    let (memo, message) = (&world.first.memo, &world.first.message);
    let hook = |url: &str| {
        let body = json!({ "from": LINE, "url": url, "events": ["message.sent"] });
        Call::post("/v1/webhooks", &body).key(key)
    };
    let of_webhook = |method: Method, path: &str| {
        [&world.first, &world.second]
            .map(|things| {
                let body = json!({ "id": things.webhook, "since": 1 });
                Call::new(method.clone(), path).json(&body).key(key)
            })
            .into()
    };
    let retry = |id: &str| Call::post("/v1/deliveries/retry", &json!({ "id": id })).key(key);
    let react = |kind| post("/v1/reactions", &json!({ "message_id": message, "type": kind }));
    let audio = |more: serde_json::Value| {
        let mut body = json!({ "audio_message": memo });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post("/v1/audio-messages", &body)
    };
    vec![
        (
            post("/v1/messages", &json!({ "text": "once" })),
            post("/v1/messages", &json!({ "text": "twice" })),
        ),
        (audio(json!({})), audio(json!({ "reply_to": message }))),
        (react("love"), react("like")),
        (post("/v1/typing", &json!({})), post("/v1/typing", &json!({ "state": "off" }))),
        (
            post("/v1/receipts", &json!({})),
            post("/v1/receipts", &json!({ "to": world.first.chat })),
        ),
        (hook("http://127.0.0.1:9/a"), hook("http://127.0.0.1:9/b")),
        (Sample::png().upload(key), Sample::card().upload(key)),
        of_webhook(Method::PATCH, "/v1/webhooks"),
        of_webhook(Method::POST, "/v1/webhooks/test"),
        of_webhook(Method::POST, "/v1/webhooks/rotate"),
        of_webhook(Method::POST, "/v1/webhooks/replay"),
        (retry(&world.first.delivery), retry(&world.second.delivery)),
    ]
}

#[tokio::test]
async fn every_post_is_done_once() {
    let world = World::make().await;
    let url = &world.server.url;
    let posts = posts(&world);
    let tested: HashSet<_> = posts.iter().map(|(call, _)| call.path.clone()).collect();
    for row in routes::table() {
        // Making sure of the sandbox is the same however often it is done.
        if row.method == Method::POST && row.path.starts_with("/v1/") && row.path != "/v1/sandbox" {
            assert!(tested.contains(row.path), "POST {} has no case here", row.path);
        }
    }
    let longest = "k".repeat(255);
    let mut ids = HashSet::new();
    for (call, other) in &posts {
        let what = &call.path;
        let first = with(call, "key").send(url).await;
        assert!([200, 201].contains(&first.status), "{what}: {first:?}");
        // What makes nothing names what there is: its answers are told apart by their requests.
        let name = |answer: &RawAnswer| {
            let field = if answer.status == 201 { "id" } else { "request_id" };
            answer.body[field].to_string()
        };
        let again = with(call, "key").send(url).await;
        assert_replayed(what, &first, &again);
        assert_ne!(again.header("x-request-id"), None);
        let mismatch = with(other, "key").send(url).await;
        assert_refused(what, &mismatch, Code::IdempotencyMismatch, None);
        assert_replayed(what, &first, &with(call, "key").send(url).await);
        // Another key, and none, is another request.
        for answer in [with(call, &longest).send(url).await, call.send(url).await] {
            assert_eq!((answer.status, answer.header("idempotent-replayed")), (first.status, None));
            assert!(ids.insert(name(&answer)), "{what}");
        }
        assert!(ids.insert(name(&first)), "{what}");
        for wrong in ["", "a b", &"k".repeat(256), "schlüssel"] {
            let answer = with(call, wrong).send(url).await;
            let code = Code::InvalidParameterValue;
            assert_refused(&format!("{what} {wrong:?}"), &answer, code, Some("Idempotency-Key"));
        }
    }
    for _ in 0..2 {
        let call = Call::new(Method::POST, "/v1/sandbox").key(&world.owner.key);
        assert_eq!(with(&call, "key").send(url).await.status, 200);
    }
    // The phone has each message as often as it was asked for: once, with the other key, with none.
    eventually("the phone has all of them", async || {
        let messages = phone(&world.server, CONTACT).await.messages;
        let once = messages.iter().filter(|one| one.text.as_deref() == Some("once")).count();
        let memos = messages.iter().filter(|one| one.is_audio_message).count();
        (once == 3 && memos == 3).then_some(())
    })
    .await;
    world.server.stop().await;
}

#[tokio::test]
async fn an_answer_is_remembered_for_a_day_and_over_a_restart() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, "+15550100004").await;
    let body = json!({ "from": "+15550100004", "to": CONTACT, "text": "x" });
    let call = with(&Call::post("/v1/messages", &body).key(&tenant.key), "day");
    let upload = with(&Sample::png().upload(&tenant.key), "day");
    let first = call.send(&server.url).await;
    let file = upload.send(&server.url).await;
    assert_eq!((first.status, file.status), (201, 201), "the scope is key, method and path");
    let server = server.restart().await;
    clock.advance(Duration::from_millis(24 * 3_600_000 - 1));
    assert_replayed("message", &first, &call.send(&server.url).await);
    assert_replayed("file", &file, &upload.send(&server.url).await);
    clock.advance(Duration::from_millis(1));
    let anew = call.send(&server.url).await;
    assert_eq!((anew.status, anew.header("idempotent-replayed")), (201, None));
    assert_ne!(anew.body["id"], first.body["id"]);
    assert_replayed("anew", &anew, &call.send(&server.url).await);
    // What was forgotten by the job is as if it never was.
    clock.advance(Duration::from_secs(25 * 3600));
    let later = call.send(&server.url).await;
    assert_ne!(later.body["id"], anew.body["id"]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_not_remembered_and_keys_are_their_owners() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let call = with(&Call::post("/v1/messages", &send_with(&json!({}))).key(&tenant.key), "k");
    let refused = call.send(&server.url).await;
    assert_refused("before", &refused, Code::ContactHasNotMessaged, Some("to"));
    let upload = Call::new(Method::POST, "/v1/files").key(&tenant.key);
    let empty = with(&upload, "k").send(&server.url).await;
    assert_refused("empty", &empty, Code::EmptyFile, None);
    server.text(LINE, CONTACT, "hello").await;
    let first = call.send(&server.url).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    assert_eq!(with(&upload.raw("x"), "k").send(&server.url).await.status, 201);
    // A broken body is told as such even under a used key.
    let broken = with(&Call::new(Method::POST, "/v1/messages").key(&tenant.key).raw("{"), "k");
    assert_refused("broken", &broken.send(&server.url).await, Code::InvalidJson, None);

    let second = server.admin().create_key(&CreateKey::new(tenant.account, "2")).await.unwrap();
    let call = Call::post("/v1/messages", &send_with(&json!({})));
    let other = with(&call.key(second.value.secret.reveal()), "k").send(&server.url).await;
    assert_eq!((other.status, other.header("idempotent-replayed")), (201, None));
    assert_ne!(other.body["id"], first.body["id"]);
    // A revoked key gets no answer again.
    server.admin().revoke_key(second.value.key.id).await.unwrap();
    let call = Call::post("/v1/messages", &send_with(&json!({})));
    let gone = with(&call.key(second.value.secret.reveal()), "k").send(&server.url).await;
    assert_refused("revoked", &gone, Code::InvalidApiKey, None);
    server.stop().await;
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let mut in_flight = false;
    for round in 0..50 {
        let body = send_with(&json!({ "text": format!("round {round}") }));
        let call = Call::post("/v1/messages", &body).key(&tenant.key);
        let call = with(&call, &format!("round-{round}"));
        let answers = join_all((0..20).map(|_| call.send(&server.url))).await;
        let mut done = HashSet::new();
        for answer in &answers {
            if answer.status == 201 {
                done.insert(answer.bytes.clone());
            } else {
                assert_refused("at once", answer, Code::IdempotencyInProgress, None);
                in_flight = true;
            }
        }
        assert_eq!(done.len(), 1, "all answers are one answer");
        let first = answers.iter().filter(|one| one.status == 201);
        let first = first.filter(|one| one.header("idempotent-replayed").is_none()).count();
        assert_eq!(first, 1, "one was the first");
        if in_flight && round >= 2 {
            break;
        }
    }
    assert!(in_flight, "some request came while the first was in flight");
    server.stop().await;
}
