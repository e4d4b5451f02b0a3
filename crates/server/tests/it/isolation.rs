//! Isolation, as a property: whatever an account asks with the ids of another's things, the answer
//! is the one for things that do not exist, byte for byte; no list and no count tells of them.

use std::collections::HashSet;

use http::Method;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use switchboard_client::{
    CreateReplay, CreateWebhook, Deliveries, RawAnswer, SendMessage, SendReaction,
};
use switchboard_model::{EventKind, Scope, Timestamp, outbox::OutboxStatus, replay::ReplayStatus};
use switchboard_testkit::{Tenant, TestServer, eventually};

use crate::{
    call::{Call, query, without_request_id},
    fixtures::{Sample, reacts, reads, texts, types},
    world::{add_line, key, settled},
};

/// What an account has, by the kind of id.
#[derive(Debug, Clone, Default)]
struct Things {
    /// Handles and ids.
    lines: Vec<String>,
    /// Handles and ids.
    chats: Vec<String>,
    /// Ids and guids.
    messages: Vec<String>,
    files: Vec<String>,
    items: Vec<String>,
    webhooks: Vec<String>,
    deliveries: Vec<String>,
    replays: Vec<String>,
}

/// Somebody with things.
struct Owner {
    tenant: Tenant,
    /// A key for the first line only.
    narrow: String,
    /// What is on the first line, and what is not.
    first: Things,
    rest: Things,
}

impl Owner {
    fn all(&self) -> Things {
        merge(self.first.clone(), self.rest.clone())
    }
}

/// How much there is: lines of each account, contacts of each line, and what happens with each.
#[derive(Debug, Clone)]
struct Plan {
    accounts: Vec<Vec<Vec<u8>>>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let contacts = prop::collection::vec(any::<u8>(), 1..3);
    let lines = prop::collection::vec(contacts, 1..3);
    prop::collection::vec(lines, 2..4).prop_map(|accounts| Plan { accounts })
}

/// The same contacts write to everybody: a chat is told from another's by its owner alone.
fn contact(number: usize) -> String {
    format!("+155501020{number:02}")
}

async fn inhabit(server: &TestServer, plan: &Plan) -> Vec<Owner> {
    let mut owners = Vec::new();
    for (account, lines) in plan.accounts.iter().enumerate() {
        let tenant = server.tenant(&format!("+15550103{account}00")).await;
        let mut owner = Owner {
            narrow: key(server, tenant.account, &Scope::ALL, &[&tenant.line_id.to_string()]).await,
            tenant,
            first: Things::default(),
            rest: Things::default(),
        };
        for (at, contacts) in lines.iter().enumerate() {
            let (handle, id) = if at == 0 {
                (owner.tenant.line.clone(), owner.tenant.line_id)
            } else {
                let handle = format!("+15550103{account}{at:02}");
                let line = add_line(server, owner.tenant.account, &handle).await;
                (handle, line.id)
            };
            let mut things = live_on(server, &owner.tenant, &handle, contacts).await;
            things.lines = vec![handle, id.to_string()];
            if at == 0 {
                owner.first = things;
            } else {
                owner.rest = merge(owner.rest, things);
            }
        }
        owners.push(owner);
    }
    owners
}

fn merge(mut one: Things, other: Things) -> Things {
    one.lines.extend(other.lines);
    one.chats.extend(other.chats);
    one.messages.extend(other.messages);
    one.files.extend(other.files);
    one.items.extend(other.items);
    one.webhooks.extend(other.webhooks);
    one.deliveries.extend(other.deliveries);
    one.replays.extend(other.replays);
    one
}

/// What happens on one line: with each contact what its bits say.
async fn live_on(server: &TestServer, tenant: &Tenant, line: &str, contacts: &[u8]) -> Things {
    let mut things = Things::default();
    for (number, bits) in contacts.iter().enumerate() {
        let contact = contact(number);
        let mut body = json!({ "line": line, "from": contact, "text": "a secret" });
        if bits & 1 != 0 {
            body["attachments"] = json!([Sample::png().attached()]);
        }
        let texted = texts(server, &body).await;
        let text = |name: &str| texted[name].as_str().unwrap().to_owned();
        things.chats.push(text("chat_id"));
        things.messages.extend([text("message_id"), text("guid")]);
        if bits & 2 != 0 {
            reacts(server, line, &contact, (&text("guid"), "love"), false).await;
        }
        if bits & 4 != 0 {
            types(server, line, &contact, "on").await;
        }
        if bits & 8 != 0 {
            reads(server, line, &contact).await;
        }
        if bits & 16 != 0 {
            let send = SendMessage::text(line, &contact, "a secret answer");
            let item = tenant.client.send_message(&send).await.unwrap().value.id;
            let item = settled(tenant, item, OutboxStatus::Sent).await;
            things.items.push(item.id.to_string());
            things.messages.push(item.message_id.unwrap().to_string());
        }
        if bits & 32 != 0 {
            let react = SendReaction::new(line, &contact, text("guid"), "like");
            let item = tenant.client.send_reaction(&react).await.unwrap().value.id;
            things.items.push(settled(tenant, item, OutboxStatus::Sent).await.id.to_string());
        }
    }
    things.files.push(Sample::memo().uploaded(server, &tenant.key).await);
    let webhook = CreateWebhook::new(line, "http://127.0.0.1:1999/", [EventKind::TypingStarted]);
    let webhook = tenant.client.create_webhook(&webhook).await.unwrap().value.id;
    things.webhooks.push(webhook.to_string());
    // What happened before is delivered by a replay.
    let replay = CreateReplay::since(webhook, Timestamp(1));
    let replay = tenant.client.create_replay(&replay).await.unwrap().value.id;
    eventually("the replay is done", async || {
        let replay = tenant.client.replay(replay).await.unwrap().value;
        (replay.status == ReplayStatus::Done).then_some(())
    })
    .await;
    things.replays.push(replay.to_string());
    let deliveries = tenant.client.deliveries(&Deliveries::of_webhook(webhook)).all(100).await;
    things.deliveries.extend(deliveries.unwrap().iter().map(|one| one.id.to_string()));
    things
}

/// Every question and every command that names one thing of this kind, asked from this line.
fn probes(line: &str, kind: &str, id: &str) -> Vec<Call> {
    let get = |path: &str, values: &[(&str, &str)]| Call::get(query(path, values));
    let mut calls = Vec::new();
    match kind {
        "line" => {
            for path in ["/v1/chats", "/v1/webhooks"] {
                calls.push(get(path, &[("from", id)]));
            }
            for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
                calls.push(get(path, &[("from", id), ("to", &contact(0))]));
            }
            calls.push(get("/v1/events", &[("line", id)]));
            calls.extend(writes(id, &contact(0), "msg_x", "file_x"));
            let hook =
                json!({ "from": id, "url": "http://127.0.0.1:1999/", "events": ["message.sent"] });
            calls.push(Call::post("/v1/webhooks", &hook));
        }
        "chat" => {
            for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
                calls.push(get(path, &[("from", line), ("to", id)]));
            }
            calls.extend(writes(line, id, "msg_x", "file_x"));
        }
        "message" => {
            calls.push(get("/v1/reactions", &[("message_id", id)]));
            let to = contact(0);
            let react = json!({ "from": line, "to": to, "message_id": id, "type": "love" });
            calls.push(Call::post("/v1/reactions", &react));
            let reply = json!({ "from": line, "to": to, "text": "x", "reply_to": id });
            calls.push(Call::post("/v1/messages", &reply));
            let memo = json!({ "from": line, "to": to, "audio_message": "file_x", "reply_to": id });
            calls.push(Call::post("/v1/audio-messages", &memo));
        }
        "file" => {
            calls.push(get("/v1/files", &[("id", id)]));
            let to = contact(0);
            let send = json!({ "from": line, "to": to, "attachments": [id] });
            calls.push(Call::post("/v1/messages", &send));
            let memo = json!({ "from": line, "to": to, "audio_message": id });
            calls.push(Call::post("/v1/audio-messages", &memo));
        }
        "item" => calls.push(get("/v1/outbox", &[("id", id)])),
        "webhook" => {
            let body = json!({ "id": id, "since": 1, "is_active": false });
            for (method, path) in [
                (Method::DELETE, "/v1/webhooks"),
                (Method::PATCH, "/v1/webhooks"),
                (Method::POST, "/v1/webhooks/test"),
                (Method::POST, "/v1/webhooks/rotate"),
                (Method::POST, "/v1/webhooks/replay"),
            ] {
                calls.push(Call::new(method, path).json(&body));
            }
        }
        "delivery" => {
            calls.push(Call::post("/v1/deliveries/retry", &json!({ "id": id })));
        }
        "replay" => calls.push(get("/v1/webhooks/replay", &[("id", id)])),
        other => panic!("{other}"),
    }
    calls
}

fn writes(from: &str, to: &str, message: &str, file: &str) -> Vec<Call> {
    let body = json!({
        "from": from, "to": to, "text": "x", "message_id": message, "type": "love",
        "audio_message": file,
    });
    ["/v1/messages", "/v1/audio-messages", "/v1/reactions", "/v1/typing", "/v1/receipts"]
        .map(|path| Call::post(path, &body))
        .to_vec()
}

/// The answers for what exists and is another's, and for what does not exist, are the same.
async fn assert_alike(server: &TestServer, key: &str, line: &str, kind: &str, ids: &[String]) {
    for id in ids {
        let nothing = match (kind, id.split_once('_')) {
            // A guid, a phone number, or an id that was never given out.
            ("message", None) => "00000000-0000-7000-8000-000000000000".to_owned(),
            ("line", None) => "+15550109999".to_owned(),
            (_, Some((prefix, _))) => format!("{prefix}_00000000000000000000000000"),
            _ => panic!("{kind} {id}"),
        };
        let pairs = probes(line, kind, id).into_iter().zip(probes(line, kind, &nothing));
        for (theirs, nothing) in pairs {
            let what = format!("{theirs:?}");
            let (theirs, nothing) =
                (theirs.key(key).send(&server.url).await, nothing.key(key).send(&server.url).await);
            assert!(theirs.status >= 400, "{what}: {theirs:?}");
            assert_eq!(theirs.status, nothing.status, "{what}");
            assert_eq!(without_request_id(&theirs), without_request_id(&nothing), "{what}");
            let names = |answer: &RawAnswer| -> Vec<String> {
                answer.headers.keys().map(ToString::to_string).collect()
            };
            assert_eq!(names(&theirs), names(&nothing), "{what}");
        }
    }
}

/// All that the lists of an account show, by its own lines.
async fn lists(server: &TestServer, key: &str, own: &Things) -> Vec<Value> {
    let mut calls = vec![
        Call::get("/v1/lines"),
        Call::get("/v1/webhooks?from="),
        Call::get("/v1/deliveries?limit=100"),
    ];
    for replay in &own.replays {
        calls.push(Call::get(query("/v1/webhooks/replay", &[("id", replay)])));
    }
    for webhook in &own.webhooks {
        calls.push(Call::get(query("/v1/deliveries", &[("webhook_id", webhook)])));
    }
    for line in &own.lines {
        calls.push(Call::get(query("/v1/chats", &[("from", line)])));
        for chat in own.chats.iter().chain([&contact(0), &contact(1)]) {
            for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
                calls.push(Call::get(query(path, &[("from", line), ("to", chat)])));
            }
        }
    }
    for message in &own.messages {
        calls.push(Call::get(query("/v1/reactions", &[("message_id", message)])));
    }
    let mut shown = Vec::new();
    for call in calls {
        let mut body = call.key(key).send(&server.url).await.body;
        body["request_id"] = Value::Null;
        // A URL is signed anew each time.
        for one in body["data"].as_array_mut().into_iter().flatten() {
            // Nobody answers the webhooks: their deliveries are tried again and again.
            for moves in ["attempts", "status", "next_attempt_at", "error", "failing_since"] {
                one.as_object_mut().unwrap().remove(moves);
            }
            // Somebody who types has stopped a minute later.
            for moves in ["is_typing", "updated_at"] {
                one.as_object_mut().unwrap().remove(moves);
            }
            for attachment in one["attachments"].as_array_mut().into_iter().flatten() {
                attachment["url"] = Value::Null;
            }
        }
        shown.push(body);
    }
    shown
}

fn assert_shows_nothing_of(shown: &[Value], theirs: &Things, own: &Things) {
    let text = Value::from(shown.to_vec()).to_string();
    let own: HashSet<_> = own.lines.iter().collect();
    let Things { lines, chats, messages, files, items, webhooks, deliveries, replays } = theirs;
    for ids in [lines, chats, messages, files, items, webhooks, deliveries, replays] {
        for id in ids.iter().filter(|id| !own.contains(id)) {
            assert!(!text.contains(id.as_str()), "{id} is another's");
        }
    }
}

async fn every_account_is_alone(plan: &Plan) {
    let server = TestServer::start().await;
    let owners = inhabit(&server, plan).await;
    let mut before = Vec::new();
    for owner in &owners {
        before.push(lists(&server, &owner.tenant.key, &owner.all()).await);
    }
    for (at, asker) in owners.iter().enumerate() {
        let line = &asker.tenant.line;
        for (_, owner) in owners.iter().enumerate().filter(|(other, _)| *other != at) {
            let theirs = owner.all();
            assert_shows_nothing_of(&before[at], &theirs, &asker.all());
            for key in [&asker.tenant.key, &asker.narrow] {
                for (kind, ids) in [
                    ("line", &theirs.lines),
                    ("chat", &theirs.chats),
                    ("message", &theirs.messages),
                    ("file", &theirs.files),
                    ("item", &theirs.items),
                    ("webhook", &theirs.webhooks),
                    ("delivery", &theirs.deliveries),
                    ("replay", &theirs.replays),
                ] {
                    assert_alike(&server, key, line, kind, ids).await;
                }
            }
        }
        // A restricted key sees nothing of the account's other lines.
        let narrow = lists(&server, &asker.narrow, &asker.first).await;
        assert_shows_nothing_of(&narrow, &asker.rest, &asker.first);
    }
    // Nobody's things have changed by all this.
    for (owner, before) in owners.iter().zip(&before) {
        let after = lists(&server, &owner.tenant.key, &owner.all()).await;
        assert_eq!(after, *before);
    }
    server.stop().await;
}

/// The plan with this number: the same at each run.
fn planned(number: usize) -> Plan {
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let mut plans = std::iter::repeat_with(|| plan().new_tree(&mut runner).unwrap().current());
    plans.nth(number).unwrap()
}

#[tokio::test]
async fn what_is_another_accounts_is_nothing() {
    every_account_is_alone(&planned(0)).await;
}

#[tokio::test]
async fn what_is_another_accounts_is_nothing_elsewhere() {
    every_account_is_alone(&planned(1)).await;
}

#[tokio::test]
async fn what_is_another_accounts_is_nothing_anywhere() {
    every_account_is_alone(&planned(2)).await;
}
