//! The sandbox (§11): one shared line, on which an account sees its own phone's chat and nothing else.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use switchboard_client::{CreateKey, CreateWebhook, SendMessage, SetFault};
use switchboard_model::{
    Code, EventKind, Sandbox, Scope, Timestamp,
    outbox::{NO_LONGER_PAIRED, OutboxStatus},
    sandbox::{DAILY_LIMIT, SandboxStatus, end_of_day},
    simulator::FaultMode,
    time::Clock,
};
use switchboard_testkit::{LINE, Receiver, Setup, Tenant, TestClock, TestServer};

use crate::{
    call::{Call, assert_refused, query, without_request_id},
    fixtures::{Sample, phone, texts, types},
    live::Live,
    world::{CONTACT, SANDBOX, SOON, STRANGER, THEIRS, send_with, settled},
};
use SandboxStatus::{Active, Missing, Pending};

/// Pairs a phone with an account, by texting the code.
async fn pair(server: &TestServer, tenant: &Tenant, phone: &str) {
    let code = tenant.client.reset_sandbox().await.unwrap().value.activation_code.unwrap();
    server.text(SANDBOX, phone, &code).await;
    let sandbox = tenant.client.sandbox().await.unwrap().value;
    assert_eq!(sandbox.contact_identifier.as_ref().unwrap().as_str(), phone);
}

async fn state(tenant: &Tenant) -> Sandbox {
    tenant.client.sandbox().await.unwrap().value
}

async fn send(server: &TestServer, key: &str, to: &str) -> switchboard_client::RawAnswer {
    let body = json!({ "from": SANDBOX, "to": to, "text": "x" });
    Call::post("/v1/messages", &body).key(key).send(&server.url).await
}

#[tokio::test]
async fn a_phone_is_paired_by_texting_the_code_once() {
    let server = TestServer::start().await;
    server.sandbox_line(SANDBOX).await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(THEIRS).await;
    let sandbox = state(&tenant).await;
    assert_eq!((sandbox.status, &sandbox.activation_code), (Missing, &None));
    assert_eq!(sandbox.sandbox_line_handle.as_str(), SANDBOX);
    let usage = sandbox.usage;
    assert_eq!((usage.used, usage.limit, usage.remaining), (0, DAILY_LIMIT, DAILY_LIMIT));
    let refused = send(&server, &tenant.key, CONTACT).await;
    assert_refused("missing", &refused, Code::SandboxNotActivated, None);

    let pending = tenant.client.ensure_sandbox().await.unwrap();
    assert_eq!((pending.status, pending.value.status), (200, Pending));
    let code = pending.value.activation_code.clone().unwrap();
    assert_eq!(code.len(), 8);
    assert_eq!(
        tenant.client.ensure_sandbox().await.unwrap().value,
        pending.value,
        "the same again"
    );
    assert_eq!(state(&tenant).await, pending.value);
    let refused = send(&server, &tenant.key, CONTACT).await;
    assert_refused("pending", &refused, Code::SandboxNotActivated, None);

    // However it is typed; not on another line, not in a longer text.
    server.text(LINE, CONTACT, &code).await;
    server.text(SANDBOX, CONTACT, &format!("my code is {code}")).await;
    assert_eq!(state(&tenant).await.status, Pending);
    let typed = format!(" {}-{} ", &code[..4].to_lowercase(), &code[4..]);
    server.text(SANDBOX, CONTACT, &typed).await;
    let active = state(&tenant).await;
    assert_eq!((active.status, active.activation_code), (Active, None));
    assert_eq!(active.contact_identifier.unwrap().as_str(), CONTACT);
    assert!(active.activated_at.is_some());
    assert_eq!(tenant.client.ensure_sandbox().await.unwrap().value.status, Active);

    // Contact-first does not apply, and to this phone only.
    assert_eq!(send(&server, &tenant.key, CONTACT).await.status, 201);
    for to in [STRANGER, "cht_x", THEIRS] {
        let refused = send(&server, &tenant.key, to).await;
        assert_refused(to, &refused, Code::SandboxContactMismatch, Some("to"));
    }

    // The code is used up: for the same phone, another phone and another account.
    server.text(SANDBOX, STRANGER, &code).await;
    assert_eq!(state(&tenant).await.contact_identifier.unwrap().as_str(), CONTACT);
    // A phone is paired with one account at a time: the last.
    pair(&server, &other, CONTACT).await;
    assert_eq!(state(&tenant).await.status, Missing);
    let refused = send(&server, &tenant.key, CONTACT).await;
    assert_refused("unpaired", &refused, Code::SandboxNotActivated, None);

    // DELETE rolls a new code and ends the pairing.
    let reset = other.client.reset_sandbox().await.unwrap().value;
    assert_eq!(
        (reset.status, &reset.contact_identifier, reset.activated_at),
        (Pending, &None, None)
    );
    let again = other.client.reset_sandbox().await.unwrap().value;
    assert_ne!(again.activation_code, reset.activation_code);
    server.text(SANDBOX, CONTACT, &reset.activation_code.unwrap()).await;
    assert_eq!(state(&other).await.status, Pending, "an old code pairs nobody");
    server.text(SANDBOX, STRANGER, &again.activation_code.unwrap()).await;
    assert_eq!(state(&other).await.contact_identifier.unwrap().as_str(), STRANGER);
    server.stop().await;
}

#[tokio::test]
async fn fifty_messages_of_a_day_are_for_all_keys_of_an_account() {
    // Late in a day, so that the hour of the rate limit is no matter.
    let midnight = end_of_day(switchboard_server::SystemClock.now());
    let clock = Arc::new(TestClock::at(midnight - Duration::from_secs(600)));
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    server.sandbox_line(SANDBOX).await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(THEIRS).await;
    pair(&server, &tenant, CONTACT).await;
    pair(&server, &other, STRANGER).await;
    let second = CreateKey::new(tenant.account, "second");
    let second = server.admin().create_key(&second).await.unwrap().value;
    let keys = [tenant.key.as_str(), second.secret.reveal()];
    for count in 0..DAILY_LIMIT as usize {
        let answer = send(&server, keys[count % 2], CONTACT).await;
        assert_eq!(answer.status, 201, "message {count}: {answer:?}");
        if count == 9 {
            // What is refused does not count.
            let body = json!({ "from": SANDBOX, "to": CONTACT, "text": "x", "reply_to": "msg_x" });
            let refused = Call::post("/v1/messages", &body).key(keys[0]).send(&server.url).await;
            assert_refused("no such message", &refused, Code::MessageNotFound, Some("reply_to"));
            let used = state(&tenant).await.usage;
            assert_eq!((used.used, used.remaining, used.resets_at), (10, 40, midnight));
        }
    }
    for key in keys {
        let refused = send(&server, key, CONTACT).await;
        assert_refused("spent", &refused, Code::SandboxQuotaExceeded, None);
        assert_eq!(refused.retry_after(), Some(600));
    }
    // The order of checks: the contact before the quota, and the quota before what the message refers to.
    let refused = send(&server, keys[0], STRANGER).await;
    assert_refused("both", &refused, Code::SandboxContactMismatch, Some("to"));
    let reply = send_with(&json!({ "from": SANDBOX, "to": CONTACT, "reply_to": "msg_x" }));
    let refused = Call::post("/v1/messages", &reply).key(keys[0]).send(&server.url).await;
    assert_refused("reply", &refused, Code::SandboxQuotaExceeded, None);
    assert_eq!(send(&server, &other.key, STRANGER).await.status, 201, "each account has its own");
    let server = server.restart().await;
    clock.advance(Duration::from_millis(599_001));
    let refused = send(&server, keys[0], CONTACT).await;
    assert_refused("kept over a restart", &refused, Code::SandboxQuotaExceeded, None);
    assert_eq!(refused.retry_after(), Some(1));
    clock.advance(Duration::from_millis(999));
    assert_eq!(send(&server, keys[1], CONTACT).await.status, 201, "a new day");
    let usage = server.client(keys[0]).sandbox().await.unwrap().value.usage;
    assert_eq!((usage.used, usage.remaining), (1, DAILY_LIMIT - 1));
    assert_eq!(usage.resets_at, Timestamp(midnight.millis() + 24 * 3_600_000));
    server.stop().await;
}

#[tokio::test]
async fn every_key_of_an_account_reaches_the_sandbox_line() {
    let server = TestServer::start().await;
    server.sandbox_line(SANDBOX).await;
    let tenant = server.tenant(LINE).await;
    pair(&server, &tenant, CONTACT).await;
    let narrow =
        crate::world::key(&server, tenant.account, &Scope::ALL, &[&tenant.line_id.to_string()])
            .await;
    let lines = server.client(&narrow).lines().await.unwrap().value.data;
    let shown: Vec<_> = lines.iter().map(|line| (line.handle.as_str(), line.is_sandbox)).collect();
    assert_eq!(shown.len(), 2);
    assert!(shown.contains(&(SANDBOX, true)) && shown.contains(&(LINE, false)), "{shown:?}");
    assert_eq!(send(&server, &narrow, CONTACT).await.status, 201);
    assert_eq!(server.client(&narrow).chats(SANDBOX).send().await.unwrap().value.data.len(), 1);

    // Even a key with no scope but one that has nothing to do with it.
    let bare = crate::world::key(&server, tenant.account, &[Scope::FilesRead], &[]).await;
    assert_eq!(server.client(&bare).sandbox().await.unwrap().value.status, Active);

    // A key of no account sees the line and has no sandbox.
    let homeless = server.admin().create_key(&CreateKey::of_no_account("homeless")).await.unwrap();
    let homeless = homeless.value.secret.reveal().to_owned();
    let lines = server.client(&homeless).lines().await.unwrap().value.data;
    assert_eq!((lines.len(), lines[0].handle.as_str()), (1, SANDBOX));
    let body = json!({ "from": SANDBOX, "to": CONTACT, "text": "x" });
    for call in [
        Call::get("/v1/sandbox"),
        Call::new(http::Method::POST, "/v1/sandbox"),
        Call::new(http::Method::DELETE, "/v1/sandbox"),
        Call::get("/v1/events"),
        Call::get(query("/v1/chats", &[("from", SANDBOX)])),
        Call::get(query("/v1/messages", &[("from", SANDBOX), ("to", CONTACT)])),
        Call::post("/v1/messages", &body),
        Call::post("/v1/typing", &body),
        Call::new(http::Method::POST, "/v1/files").raw("x"),
    ] {
        let what = format!("{call:?}");
        let answer = call.key(&homeless).send(&server.url).await;
        assert_refused(&what, &answer, Code::SandboxRequiresOwner, None);
    }
    let own = Call::get(query("/v1/chats", &[("from", LINE)])).key(&homeless);
    assert_refused("own", &own.send(&server.url).await, Code::LineNotFound, Some("from"));
    server.stop().await;
}

/// All that an account can see of the sandbox line.
async fn seen(server: &TestServer, tenant: &Tenant, phone: &str) -> Value {
    let mut seen = Vec::new();
    for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
        let call = Call::get(query(path, &[("from", SANDBOX), ("to", phone)]));
        seen.push(call.key(&tenant.key).send(&server.url).await.body);
    }
    let call = Call::get(query("/v1/chats", &[("from", SANDBOX)])).key(&tenant.key);
    seen.push(call.send(&server.url).await.body);
    seen.into()
}

#[tokio::test]
async fn two_accounts_on_the_line_see_nothing_of_each_other() {
    let server = TestServer::start().await;
    server.sandbox_line(SANDBOX).await;
    let (ann, bob) = (server.tenant(LINE).await, server.tenant(THEIRS).await);
    let (anns, bobs) = (CONTACT, STRANGER);
    let receivers = [Receiver::start().await, Receiver::start().await];
    let mut streams = Vec::new();
    for (tenant, receiver) in [&ann, &bob].into_iter().zip(&receivers) {
        let events = EventKind::ALL;
        for from in ["", SANDBOX] {
            let webhook = CreateWebhook::new(from, receiver.url(), events);
            tenant.client.create_webhook(&webhook).await.unwrap();
        }
        let line = query("/v1/events", &[("line", SANDBOX)]);
        let filter = line.strip_prefix("/v1/events").unwrap();
        streams.push(Live::open(&server, &tenant.key, filter).await);
    }
    pair(&server, &ann, anns).await;
    pair(&server, &bob, bobs).await;
    let before = seen(&server, &bob, bobs).await;
    // Much happens with Ann's phone.
    for tenant in [&ann] {
        let reply = SendMessage::text(SANDBOX, anns, "secret, to Ann");
        let item = tenant.client.send_message(&reply).await.unwrap().value.id;
        settled(tenant, item, OutboxStatus::Sent).await;
        let theirs = bob.client.outbox(item).await.unwrap_err();
        assert_eq!(theirs.code(), Some(Code::OutboxItemNotFound));
    }
    let body = json!({ "line": SANDBOX, "from": anns, "attachments": [Sample::png().attached()] });
    let texted = texts(&server, &body).await;
    types(&server, SANDBOX, anns, "on").await;
    let message = ann.client.messages(SANDBOX, anns).limit(1).send().await.unwrap().value.data;
    assert_eq!(message[0].attachments.len(), 1);
    let url = message[0].attachments[0].url.clone().unwrap();
    assert_eq!(Call::get(&url).send("").await.bytes, Sample::png().bytes);

    // Nothing of it is Bob's, and no question of his tells that it is there.
    let after = seen(&server, &bob, bobs).await;
    let plain = |seen: &Value| {
        let mut seen = seen.clone();
        seen.as_array_mut().unwrap().iter_mut().for_each(|one| one["request_id"] = Value::Null);
        seen
    };
    assert_eq!(plain(&before), plain(&after));
    let chat = texted["chat_id"].as_str().unwrap();
    for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
        for (theirs, nothing) in [(anns, "+15550100055"), (chat, "cht_x")] {
            let ask = async |to: &str| {
                let call = Call::get(query(path, &[("from", SANDBOX), ("to", to)]));
                call.key(&bob.key).send(&server.url).await
            };
            let (theirs, nothing) = (ask(theirs).await, ask(nothing).await);
            assert_refused(path, &theirs, Code::ChatNotFound, Some("to"));
            assert_eq!(without_request_id(&theirs), without_request_id(&nothing));
        }
    }
    let reactions = bob.client.reactions(texted["guid"].as_str().unwrap()).await.unwrap_err();
    assert_eq!(reactions.code(), Some(Code::MessageNotFound));
    for to in [anns, chat] {
        let refused = send(&server, &bob.key, to).await;
        assert_refused(to, &refused, Code::SandboxContactMismatch, Some("to"));
    }

    // Webhooks and streams: Bob hears his phone's first word, and what he says now; no more.
    let item = send(&server, &bob.key, bobs).await.body["id"].as_str().unwrap().parse().unwrap();
    settled(&bob, item, OutboxStatus::Sent).await;
    let heard = streams[1].texts(2).await;
    assert_eq!((heard[0].0.as_str(), heard[1].0.as_str()), ("message.received", "message.sent"));
    assert_eq!(heard[1].1, "x");
    let own = receivers[1].wait_for(4, SOON).await.unwrap();
    for delivery in own {
        let text = String::from_utf8_lossy(&delivery.body).into_owned();
        assert!(!text.contains(anns) && !text.contains("Ann"), "{text}");
    }
    assert_eq!(phone(&server, bobs).await.messages.len(), 1);

    // Of an ended pairing nothing is shown; the next account begins anew.
    pair(&server, &bob, anns).await;
    let bobs_view = bob.client.messages(SANDBOX, anns).send().await.unwrap().value.data;
    assert_eq!(bobs_view.len(), 1, "only the code");
    let gone = async || {
        for to in [anns, chat] {
            for path in ["/v1/messages", "/v1/typing", "/v1/receipts"] {
                let call = Call::get(query(path, &[("from", SANDBOX), ("to", to)])).key(&ann.key);
                let answer = call.send(&server.url).await;
                assert_refused(path, &answer, Code::ChatNotFound, Some("to"));
            }
        }
        for message in ["message_id", "guid"].map(|name| texted[name].as_str().unwrap()) {
            let reactions = ann.client.reactions(message).await.unwrap_err();
            assert_eq!(reactions.code(), Some(Code::MessageNotFound));
        }
        assert!(ann.client.chats(SANDBOX).send().await.unwrap().value.data.is_empty());
    };
    gone().await;
    let body = json!({ "line": SANDBOX, "from": anns, "text": "to Bob now" });
    texts(&server, &body).await;
    gone().await;
    let bobs_view = bob.client.messages(SANDBOX, anns).send().await.unwrap().value.data;
    assert_eq!(bobs_view.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn what_waits_when_a_pairing_ends_is_not_sent() {
    let server = TestServer::start().await;
    server.sandbox_line(SANDBOX).await;
    let ann = server.tenant(LINE).await;
    pair(&server, &ann, CONTACT).await;
    let receiver = Receiver::start().await;
    let webhook = CreateWebhook::new(SANDBOX, receiver.url(), [EventKind::MessageFailed]);
    ann.client.create_webhook(&webhook).await.unwrap();
    let mut live = Live::open(&server, &ann.key, "?event=message.failed").await;
    let phones = server.phones();
    phones.fault(&SetFault::new(SANDBOX, FaultMode::Offline)).await.unwrap();
    let answer = send(&server, &ann.key, CONTACT).await;
    let waits: String = answer.body["id"].as_str().unwrap().to_owned();
    let code = ann.client.reset_sandbox().await.unwrap().value.activation_code.unwrap();
    let item = ann.client.outbox(&waits).await.unwrap().value;
    assert_eq!((item.status, item.attempts), (OutboxStatus::Failed, 0));
    assert_eq!(item.error.as_deref(), Some(NO_LONGER_PAIRED));
    let told = receiver.wait_for(1, SOON).await.unwrap();
    assert_eq!(told[0].json()["data"]["id"], waits.as_str());
    assert_eq!(live.next().await.2["id"], waits.as_str());

    // Nor is it when the two are paired again.
    phones.fault(&SetFault::new(SANDBOX, FaultMode::None)).await.unwrap();
    server.text(SANDBOX, CONTACT, &code).await;
    assert_eq!(state(&ann).await.status, Active);
    let answer = send(&server, &ann.key, CONTACT).await;
    settled(&ann, answer.body["id"].as_str().unwrap().parse().unwrap(), OutboxStatus::Sent).await;
    assert_eq!(phone(&server, CONTACT).await.messages.len(), 1);
    server.stop().await;
}
