//! Idempotency-Key on every POST (§10): done once, answered again byte for byte.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use switchboard_client::{CreateKey, RawAnswer};
use switchboard_model::{Code, Webhook, id::Id, time::Clock};
use switchboard_server::routes;
use switchboard_testkit::{LINE, Setup, TestClock, TestServer, eventually};

use crate::{
    call::{Call, assert_refused},
    fixtures::{Sample, phone},
    world::{CONTACT, NO_LINE, STRANGER, World, send_with},
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

/// A POST, the same with something else in it, and one that is refused.
struct Post {
    call: Call,
    other: Call,
    refused: Call,
    status: u16,
}

/// Every POST of /v1. A test fails for a route without one.
fn posts(world: &World) -> Vec<Post> {
    let key = &world.owner.key;
    let post = |path: &str, more: &serde_json::Value| {
        let mut body = send_with(more);
        if path != "/v1/messages" {
            body.as_object_mut().unwrap().remove("text");
        }
        Call::post(path, &body).key(key)
    };
    // Refused by the store, after all that can be seen from outside.
    let case = |path: &str, one: serde_json::Value, other: serde_json::Value| {
        let mut stranger = one.clone();
        stranger["to"] = STRANGER.into();
        let (call, refused) = (post(path, &one), post(path, &stranger));
        Post { call, other: post(path, &other), refused, status: 201 }
    };
    let (memo, message) = (&world.first.memo, &world.first.message);
    let react = |kind| json!({ "message_id": message, "type": kind });
    let hook = |from: &str, url: &str| {
        let body = json!({ "from": from, "url": url, "events": ["message.sent"] });
        Call::post("/v1/webhooks", &body).key(key)
    };
    let on = |method: &Method, path: &str, id: &str| {
        let body = json!({ "id": id, "since": 1 });
        Call::new(method.clone(), path).json(&body).key(key)
    };
    // Names what there is, and of which another is there and a third is not.
    let named = |method: Method, path: &str, ids: [&str; 2], status: u16| {
        let [call, other] = ids.map(|id| on(&method, path, id));
        let refused = on(&method, path, &Id::<Webhook>::generate().to_string());
        Post { call, other, refused, status }
    };
    let webhooks = || [world.first.webhook.as_str(), &world.second.webhook];
    let deliveries = [world.first.delivery.as_str(), &world.second.delivery];
    let sandbox = Call::new(Method::POST, "/v1/sandbox").key(key);
    let posts = vec![
        case("/v1/messages", json!({ "text": "once" }), json!({ "text": "twice" })),
        case(
            "/v1/audio-messages",
            json!({ "audio_message": memo }),
            json!({ "audio_message": memo, "reply_to": message }),
        ),
        case("/v1/reactions", react("love"), react("like")),
        case("/v1/typing", json!({}), json!({ "state": "off" })),
        case("/v1/receipts", json!({}), json!({ "to": world.first.chat })),
        Post {
            call: hook(LINE, "http://127.0.0.1:1999/a"),
            other: hook(LINE, "http://127.0.0.1:1999/b"),
            refused: hook(NO_LINE, "http://127.0.0.1:1999/a"),
            status: 201,
        },
        Post {
            call: Sample::png().upload(key),
            other: Sample::card().upload(key),
            refused: Call::new(Method::POST, "/v1/files").key(key),
            status: 201,
        },
        Post {
            call: sandbox.clone(),
            other: sandbox.clone().raw("{}"),
            refused: sandbox.raw(vec![b' '; 5000]),
            status: 200,
        },
        named(Method::PATCH, "/v1/webhooks", webhooks(), 200),
        named(Method::POST, "/v1/webhooks/test", webhooks(), 200),
        named(Method::POST, "/v1/webhooks/rotate", webhooks(), 200),
        named(Method::POST, "/v1/webhooks/replay", webhooks(), 201),
        named(Method::POST, "/v1/deliveries/retry", deliveries, 200),
    ];
    let tested: HashSet<_> = posts.iter().map(|post| post.call.path.clone()).collect();
    for row in routes::table() {
        if row.method == Method::POST && row.path.starts_with("/v1/") {
            assert!(tested.contains(row.path), "POST {} has no case here", row.path);
        }
    }
    posts
}

#[tokio::test]
async fn every_post_is_done_once() {
    let world = World::make().await;
    let url = &world.server.url;
    let longest = "k".repeat(255);
    let mut ids = HashSet::new();
    for Post { call, other, refused, status } in &posts(&world) {
        let what = &call.path;
        // What is refused is not remembered.
        for _ in 0..2 {
            let answer = with(refused, "key").send(url).await;
            assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
            assert_eq!(answer.header("idempotent-replayed"), None, "{what}");
        }
        let first = with(call, "key").send(url).await;
        assert_eq!(first.status, *status, "{what}: {first:?}");
        let again = with(call, "key").send(url).await;
        assert_replayed(what, &first, &again);
        assert_ne!(again.header("x-request-id"), None);
        let mismatch = with(other, "key").send(url).await;
        assert_refused(what, &mismatch, Code::IdempotencyMismatch, None);
        assert_replayed(what, &first, &with(call, "key").send(url).await);
        // Another key, and none, is another request.
        let mut answers = vec![first];
        for call in [with(call, &longest), call.clone()] {
            answers.push(call.send(url).await);
        }
        for answer in &answers {
            assert_eq!((answer.status, answer.header("idempotent-replayed")), (*status, None));
            assert!(ids.insert(answer.body["request_id"].to_string()), "{what}");
            // What makes nothing names, at most, what there is.
            let id = &answer.body["id"];
            assert!(*status == 200 || (id.is_string() && ids.insert(id.to_string())), "{what}");
        }
        for wrong in ["", "a b", &"k".repeat(256), "schlüssel"] {
            let answer = with(call, wrong).send(url).await;
            let code = Code::InvalidParameterValue;
            assert_refused(&format!("{what} {wrong:?}"), &answer, code, Some("Idempotency-Key"));
        }
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
async fn every_answer_outlives_the_server() {
    let world = World::make().await;
    let posts = posts(&world);
    let mut answers = Vec::new();
    for Post { call, .. } in &posts {
        answers.push(with(call, "key").send(&world.server.url).await);
    }
    let World { server, _link, .. } = world;
    drop(_link);
    let server = server.restart().await;
    for (Post { call, other, .. }, first) in posts.iter().zip(&answers) {
        assert_replayed(&call.path, first, &with(call, "key").send(&server.url).await);
        let mismatch = with(other, "key").send(&server.url).await;
        assert_refused(&call.path, &mismatch, Code::IdempotencyMismatch, None);
    }
    server.stop().await;
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
    let world = World::make().await;
    for Post { call, status, .. } in &posts(&world) {
        let what = &call.path;
        let mut in_flight = false;
        for round in 0..50 {
            let call = with(call, &format!("round-{round}"));
            let answers = join_all((0..20).map(|_| call.send(&world.server.url))).await;
            let mut done = HashSet::new();
            for answer in &answers {
                if answer.status == *status {
                    done.insert(answer.bytes.clone());
                } else {
                    assert_refused(what, answer, Code::IdempotencyInProgress, None);
                    in_flight = true;
                }
            }
            assert_eq!(done.len(), 1, "{what}: all answers are one answer");
            let first = answers.iter().filter(|one| one.status == *status);
            let first = first.filter(|one| one.header("idempotent-replayed").is_none()).count();
            assert_eq!(first, 1, "{what}: one was the first");
            if in_flight && round >= 2 {
                break;
            }
        }
        assert!(in_flight, "{what}: some request came while the first was in flight");
    }
    world.server.stop().await;
}
