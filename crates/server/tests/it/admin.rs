//! /admin/v1: what the operator makes and takes away.

use http::Method;
use serde_json::{Value, json};
use switchboard_client::{
    CreateBridge, CreateKey, CreateLine, CreateWebhook, KeyScopes, LineChanges,
};
use switchboard_model::{
    Bridge, Code, EventKind, Line, Scope, Timestamp,
    id::Id,
    line::{DriverKind, LineService},
    outbox::OutboxStatus::Sent,
};
use switchboard_testkit::{LINE, Setup, TestServer, eventually};
use tokio_tungstenite::tungstenite::Error;

use crate::{
    bridge::{Link, Mac},
    call::{Call, assert_refused},
    world::{CONTACT, SECOND, THEIRS, settled},
};

const MAC: &str = "+15550100008";

#[tokio::test]
async fn what_is_made_is_listed_oldest_first() {
    let server = Setup::new().unlinked().start().await;
    let admin = server.admin();
    let one = admin.create_account("  One  ").await.unwrap();
    assert_eq!((one.status, one.value.name.as_str()), (201, "One"));
    let two = admin.create_account("One").await.unwrap().value;
    assert_ne!(one.value.id, two.id, "a name is no identity");
    let accounts = admin.accounts().await.unwrap().value;
    assert_eq!(accounts.data, [one.value.clone(), two.clone()]);
    assert_eq!((accounts.has_more, accounts.next_cursor), (false, None));

    let mut line = CreateLine::new(one.value.id, "+1 (555) 010-0001", DriverKind::Simulator);
    line.label = Some("Front desk".to_owned());
    line.service = Some(LineService::Imessage);
    let first = admin.create_line(&line).await.unwrap().value;
    assert_eq!(first.line.handle.as_str(), LINE);
    assert_eq!(first.line.label.as_deref(), Some("Front desk"));
    assert_eq!((first.line.service, first.contact_first), (LineService::Imessage, true));
    assert!(first.line.is_active && !first.line.is_sandbox && first.bridge_id.is_some());
    let line = CreateLine::new(two.id, "Desk@Example.com", DriverKind::Imsg);
    let second = admin.create_line(&line).await.unwrap().value;
    assert_eq!(second.line.handle.as_str(), "desk@example.com");
    assert_eq!((second.line.service, second.bridge_id), (LineService::Auto, None));
    assert_eq!(admin.lines().await.unwrap().value.data, [first.clone(), second]);
    // The same handle is the same line, however it is written and whoever asks.
    let same = CreateLine::new(two.id, "+1.555.010.0001", DriverKind::Imsg);
    assert_eq!(admin.create_line(&same).await.unwrap_err().code(), Some(Code::ResourceExists));

    let key = CreateKey {
        scopes: KeyScopes::Only([Scope::LinesRead, Scope::ChatsRead].into_iter().collect()),
        line_ids: Some(vec![first.line.id.to_string()]),
        expires_at: Some(Timestamp(4_000_000_000_000)),
        rate_limit: Some(7),
        ..CreateKey::new(one.value.id, "narrow")
    };
    let made = admin.create_key(&key).await.unwrap().value;
    let secret = made.secret.reveal().to_owned();
    assert!(secret.starts_with("sk_live_") && secret.ends_with(&made.key.hint[3..]));
    assert_eq!(made.key.line_ids, Some(vec![first.line.id]));
    assert_eq!((made.key.rate_limit, made.key.revoked_at), (Some(7), None));
    assert_eq!(admin.keys().await.unwrap().value.data, [made.key]);
    let raw = Call::get("/admin/v1/keys").key(server.operator_token()).send(&server.url).await;
    assert!(!String::from_utf8_lossy(&raw.bytes).contains(&secret), "shown once");
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_the_account_or_the_driver_is_said_to_the_operator() {
    let server = Setup::new().unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    let admin = server.admin();
    let mac = CreateBridge { name: "mac".to_owned(), driver: DriverKind::Imsg };
    let mac = admin.create_bridge(&mac).await.unwrap().value.bridge;
    for driver in [DriverKind::Bluebubbles, DriverKind::Simulator] {
        let mut line = CreateLine::new(tenant.account, MAC, driver);
        line.bridge_id = Some(mac.id.to_string());
        let refused = admin.create_line(&line).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::InvalidParameterValue), "{refused}");
        assert!(refused.to_string().contains("bridge"), "{refused}");
    }
    assert_eq!(admin.lines().await.unwrap().value.data.len(), 1, "nothing was made");

    let mut key = CreateKey::new(tenant.account, "x");
    key.line_ids = Some(vec!["ln_x".to_owned()]);
    let refused = admin.create_key(&key).await.unwrap_err();
    assert!(refused.to_string().contains("/admin/v1/lines"), "not /v1/lines: {refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_line_without_a_bridge_gets_one_later_and_keeps_it() {
    let server = Setup::new().unlinked().start().await;
    let tenant = server.tenant(LINE).await;
    let admin = server.admin();
    let bridge = async |name: &str, driver| {
        let bridge = CreateBridge { name: name.to_owned(), driver };
        admin.create_bridge(&bridge).await.unwrap().value.bridge.id
    };
    let mac = bridge("mac", DriverKind::Imsg).await;
    let other = bridge("other mac", DriverKind::Imsg).await;
    let phone = bridge("phone", DriverKind::AndroidSms).await;
    let line = CreateLine::new(tenant.account, MAC, DriverKind::Imsg);
    let line = admin.create_line(&line).await.unwrap().value;
    assert_eq!(line.bridge_id, None);

    let id = line.line.id;
    let patch = |body: Value| Call::new(Method::PATCH, "/admin/v1/lines").json(&body);
    let right = json!({ "id": id, "bridge_id": mac });
    let answer = patch(right.clone()).send(&server.admin_url()).await;
    assert_refused("no token", &answer, Code::MissingApiKey, None);
    let answer = patch(right).key(&tenant.key).send(&server.admin_url()).await;
    assert_refused("a key with all scopes", &answer, Code::InvalidApiKey, None);
    let refused = async |body: Value, code, param| {
        let answer =
            patch(body.clone()).key(server.operator_token()).send(&server.admin_url()).await;
        assert_refused(&body.to_string(), &answer, code, Some(param));
    };
    let (nobody, nowhere) = (Id::<Bridge>::generate(), Id::<Line>::generate());
    for (bridge, code) in [
        (json!(nobody), Code::ResourceNotFound),
        (json!(phone), Code::InvalidParameterValue),
        (json!("acc_x"), Code::InvalidParameterValue),
        (json!(1), Code::InvalidParameterValue),
    ] {
        // Nor is the rest of it done.
        let body = json!({ "id": id, "bridge_id": bridge, "loop_limit": "10/60" });
        refused(body, code, "bridge_id").await;
    }
    refused(json!({ "id": nowhere, "bridge_id": mac }), Code::LineNotFound, "id").await;
    let none = json!({ "id": id, "bridge_id": null });
    refused(none, Code::MissingRequiredParameter, "loop_limit").await;
    assert_eq!(admin.lines().await.unwrap().value.data[1].loop_limit, None);

    let changes = LineChanges {
        bridge_id: Some(mac.to_string()),
        loop_limit: Some(Some("10/60".parse().unwrap())),
    };
    // Again, it is the same.
    for _ in 0..2 {
        let line = admin.update_line(id, &changes).await.unwrap().value;
        assert_eq!((line.bridge_id, line.loop_limit), (Some(mac), changes.loop_limit.flatten()));
    }
    refused(json!({ "id": id, "bridge_id": other }), Code::InvalidParameterValue, "bridge_id")
        .await;
    let line = admin.set_loop_limit(id, None).await.unwrap().value;
    assert_eq!((line.bridge_id, line.loop_limit), (Some(mac), None));
    server.stop().await;
}

#[tokio::test]
async fn a_key_of_no_account_sees_nothing_and_is_told_so() {
    let server = TestServer::start().await;
    server.tenant(LINE).await;
    let key = server.admin().create_key(&CreateKey::of_no_account("nobody")).await.unwrap().value;
    assert_eq!(key.key.account_id, None);
    let client = server.client(key.secret.reveal());
    assert!(client.lines().await.unwrap().value.data.is_empty());
    let hook =
        |from: &str| CreateWebhook::new(from, "http://127.0.0.1:1999", [EventKind::MessageSent]);
    let codes = [
        client.chats(LINE).send().await.unwrap_err().code(),
        client.messages(LINE, CONTACT).send().await.unwrap_err().code(),
        client.webhooks(LINE).await.unwrap_err().code(),
        client.create_webhook(&hook(LINE)).await.unwrap_err().code(),
        client.outbox("obx_x").await.unwrap_err().code(),
        client.delete_webhook("wh_x").await.unwrap_err().code(),
        client.create_webhook(&hook("")).await.unwrap_err().code(),
        client.webhooks("").await.unwrap_err().code(),
    ];
    let line = Some(Code::LineNotFound);
    let owner = Some(Code::SandboxRequiresOwner);
    let (outbox, webhook) = (Some(Code::OutboxItemNotFound), Some(Code::WebhookNotFound));
    assert_eq!(codes, [line, line, line, line, outbox, webhook, owner, owner]);
    server.stop().await;
}

#[tokio::test]
async fn a_new_line_is_carried_at_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let line = CreateLine::new(tenant.account, SECOND, DriverKind::Simulator);
    let line = server.admin().create_line(&line).await.unwrap().value.line;
    // A program that has looked before sees it, too.
    let seen = tenant.client.lines().await.unwrap().value.data;
    assert_eq!(seen.iter().map(|one| one.id).collect::<Vec<_>>(), [tenant.line_id, line.id]);
    eventually("its bridge says what it can do", async || {
        let lines = tenant.client.lines().await.unwrap().value.data;
        lines.into_iter().find(|one| one.id == line.id)?.advanced_features.then_some(())
    })
    .await;
    server.text(SECOND, CONTACT, "hello").await;
    let send = switchboard_client::SendMessage::text(SECOND, CONTACT, "hello yourself");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    settled(&tenant, item, Sent).await;
    assert_eq!(server.phones().phone(CONTACT).await.unwrap().value.messages.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_revoked_bridge_is_cut_off_and_stays_out() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let (mac, other) =
        (Mac::make(&server, &tenant, MAC).await, Mac::make(&server, &tenant, THEIRS).await);
    let mut link = mac.dial(&server).await;
    let mut stays = other.dial(&server).await;
    assert_eq!(link.lines.len(), 1, "only its own line");
    let admin = server.admin();
    let revoked = admin.revoke_bridge(mac.id).await.unwrap().value;
    assert!(revoked.revoked_at.is_some() && revoked.last_seen_at.is_some());
    let (reason, retry) = link.bye().await;
    assert!(reason.contains("revoked") && !retry, "{reason}");
    assert!(link.next().await.is_none(), "the server hangs up");
    let Err(Error::Http(refused)) = Link::open(&server, &mac.token).await else {
        panic!("a revoked bridge is not let in")
    };
    assert_eq!(refused.status(), 401);
    let again = admin.revoke_bridge(mac.id).await.unwrap().value;
    assert_eq!(again.revoked_at, revoked.revoked_at);
    // The other one is told of its lines and goes on.
    stays.take(&other.line, &switchboard_model::link::ReconciledState::NeverStarted).await;
    let send = switchboard_client::SendMessage::text(THEIRS, CONTACT, "x");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    assert_eq!(stays.items().await[0].id, item);
    drop(stays);
    server.stop().await;
}

#[tokio::test]
async fn a_bridge_token_is_shown_once_and_its_name_is_its_own() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let mac = CreateBridge { name: "mac".to_owned(), driver: DriverKind::Bluebubbles };
    let made = admin.create_bridge(&mac).await.unwrap().value;
    let taken = admin.create_bridge(&mac).await.unwrap_err();
    assert_eq!(taken.code(), Some(Code::ResourceExists));
    let bridges = admin.bridges().await.unwrap().value.data;
    let names: Vec<_> = bridges.iter().map(|bridge| bridge.name.as_str()).collect();
    assert_eq!(names, ["simulator", "mac"]);
    assert!(bridges[1].last_seen_at.is_none());
    let raw = Call::get("/admin/v1/bridges").key(server.operator_token()).send(&server.url).await;
    assert!(!String::from_utf8_lossy(&raw.bytes).contains(made.token.reveal()));
    // An API key or another's token opens neither door.
    for token in [server.operator_token(), "brt_x"] {
        let Err(Error::Http(refused)) = Link::open(&server, token).await else {
            panic!("{token} is not let in")
        };
        assert_eq!(refused.status(), 401);
    }
    let call = Call::post("/admin/v1/accounts", &json!({ "name": "x" })).key(made.token.reveal());
    assert_eq!(call.send(&server.url).await.status, 401);
    server.stop().await;
}
