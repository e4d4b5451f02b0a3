//! Webhooks as their owner has them: made, listed, deleted, and what each of them gets.

use std::collections::HashSet;

use switchboard_client::{CreateWebhook, SendMessage};
use switchboard_model::{
    Code, EventKind, Scope, Webhook, outbox::OutboxStatus, simulator::FaultMode,
    webhook::MAX_PER_ACCOUNT,
};
use switchboard_testkit::{LINE, Receiver, Setup, Tenant, TestServer, receiver::Behaviour};

use crate::{
    call::{Call, assert_refused},
    world::{CONTACT, SECOND, SOON, THEIRS, add_line, settled},
};
use EventKind::{MessageFailed, MessageReceived, MessageSent};

async fn hook(tenant: &Tenant, from: &str, to: &Receiver, events: &[EventKind]) -> Webhook {
    let webhook = CreateWebhook::new(from, to.url(), events.iter().copied());
    tenant.client.create_webhook(&webhook).await.unwrap().value
}

/// What a receiver has got: event, line and text, in any order.
fn got(receiver: &Receiver) -> HashSet<(String, String, String)> {
    let deliveries = receiver.received().into_iter().map(|delivery| delivery.json());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    deliveries
        .map(|body| {
            let data = &body["data"];
            (text(&body["event"]), text(&data["line_handle"]), text(&data["text"]))
        })
        .collect()
}

fn set(rows: &[(EventKind, &str, &str)]) -> HashSet<(String, String, String)> {
    let owned = |(event, line, text): &(EventKind, &str, &str)| {
        (event.as_str().to_owned(), (*line).to_owned(), (*text).to_owned())
    };
    rows.iter().map(owned).collect()
}

#[tokio::test]
async fn a_webhook_is_made_listed_and_deleted() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;

    let made = hook(&tenant, LINE, &receiver, &[MessageSent, MessageReceived, MessageSent]).await;
    assert_eq!(made.line_ids, [tenant.line_id]);
    assert_eq!(made.url, receiver.url());
    assert_eq!(made.events, [MessageSent, MessageReceived], "named twice is named once");
    assert!(made.is_active);
    let secret = made.secret.clone().expect("the secret is shown at the creation");
    assert!(secret.standard_key().is_some_and(|key| key.len() >= 24), "whsec_ and base64");

    for from in [LINE, "", &tenant.line_id.to_string()] {
        let listed = tenant.client.webhooks(from).await.unwrap().value;
        assert_eq!(listed.data, [Webhook { secret: None, ..made.clone() }], "from={from:?}");
        assert_eq!((listed.has_more, listed.next_cursor), (false, None));
    }
    let raw = Call::get("/v1/webhooks?from=").key(&tenant.key).send(&server.url).await;
    assert!(!String::from_utf8_lossy(&raw.bytes).contains("secret"), "not even null");

    let deleted = tenant.client.delete_webhook(made.id).await.unwrap();
    assert_eq!((deleted.status, deleted.value.deleted), (200, true));
    assert_eq!(deleted.value.id, made.id.to_string());
    let again = tenant.client.delete_webhook(made.id).await.unwrap_err();
    assert_eq!(again.code(), Some(Code::WebhookNotFound));
    assert!(tenant.client.webhooks("").await.unwrap().value.data.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn no_line_named_is_every_line_that_the_key_may_use() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant(THEIRS).await;
    let narrow = server.key(tenant.account, &Scope::ALL, &[tenant.line_id]).await;
    let narrow = Tenant { client: narrow, ..tenant.clone() };
    let (wide_receiver, narrow_receiver) = (Receiver::start().await, Receiver::start().await);
    let wide_hook = hook(&tenant, "", &wide_receiver, &[MessageReceived]).await;
    let narrow_hook = hook(&narrow, "", &narrow_receiver, &[MessageReceived]).await;

    // One that is for lines to come is not for who may use those of now, were it all of them.
    let refused = narrow.client.rotate_webhook_secret(wide_hook.id).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::LineNotAccessible));
    narrow.client.rotate_webhook_secret(narrow_hook.id).await.unwrap();

    let later = add_line(&server, tenant.account, SECOND).await;
    let listed = tenant.client.webhooks(SECOND).await.unwrap().value.data;
    let [listed] = &listed[..] else { panic!("only the wide one is for a later line") };
    assert_eq!((listed.id, &listed.line_ids[..]), (wide_hook.id, &[tenant.line_id, later.id][..]));
    // Who may use one line learns nothing of the other.
    let listed = narrow.client.webhooks("").await.unwrap().value.data;
    let ids: Vec<_> = listed.iter().map(|one| (one.id, one.line_ids.clone())).collect();
    let own = vec![tenant.line_id];
    assert_eq!(ids, [(wide_hook.id, own.clone()), (narrow_hook.id, own)]);
    let refused = narrow.client.delete_webhook(wide_hook.id).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::LineNotAccessible));

    server.text(THEIRS, CONTACT, "not for you").await;
    server.text(SECOND, CONTACT, "later line").await;
    server.text(LINE, CONTACT, "first line").await;
    wide_receiver.wait_for(2, SOON).await.unwrap();
    narrow_receiver.wait_for(1, SOON).await.unwrap();
    drop(other);
    server.stop().await;
    let first = (MessageReceived, LINE, "first line");
    assert_eq!(got(&narrow_receiver), set(&[first]));
    assert_eq!(got(&wide_receiver), set(&[first, (MessageReceived, SECOND, "later line")]));
}

#[tokio::test]
async fn a_webhook_gets_the_events_and_lines_it_names() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    add_line(&server, tenant.account, SECOND).await;
    let [inbound, outbound, failures, second] = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    hook(&tenant, LINE, &inbound, &[MessageReceived]).await;
    hook(&tenant, LINE, &outbound, &[MessageSent]).await;
    hook(&tenant, LINE, &failures, &[MessageFailed]).await;
    hook(&tenant, SECOND, &second, &[MessageReceived, MessageSent, MessageFailed]).await;

    server.text(LINE, CONTACT, "in").await;
    server.text(SECOND, CONTACT, "in, too").await;
    let send = |text| SendMessage::text(LINE, CONTACT, text);
    let sent = tenant.client.send_message(&send("out")).await.unwrap().value.id;
    settled(&tenant, sent, OutboxStatus::Sent).await;
    let reject = switchboard_client::SetFault::new(LINE, FaultMode::Reject);
    server.phones().fault(&reject).await.unwrap();
    let failed = tenant.client.send_message(&send("not out")).await.unwrap().value.id;
    let failed = settled(&tenant, failed, OutboxStatus::Failed).await;
    for receiver in [&inbound, &outbound, &failures, &second] {
        receiver.wait_for(1, SOON).await.unwrap();
    }
    server.stop().await;
    assert_eq!(got(&inbound), set(&[(MessageReceived, LINE, "in")]));
    assert_eq!(got(&outbound), set(&[(MessageSent, LINE, "out")]));
    assert_eq!(got(&second), set(&[(MessageReceived, SECOND, "in, too")]));
    assert_eq!(got(&failures), set(&[(MessageFailed, LINE, "")]));
    let told = failures.received().remove(0).json();
    assert_eq!(told["data"]["id"], failed.id.to_string());
    assert_eq!(told["data"]["error"], failed.error.unwrap());
}

#[tokio::test]
async fn a_deleted_webhook_gets_nothing_more() {
    // The first delivery of each is never answered, and the others of its chat wait behind it.
    let server = Setup::new().config(|config| config.webhook_timeout = 1).start().await;
    let tenant = server.tenant(LINE).await;
    let (deleted, staying) = (Receiver::start().await, Receiver::start().await);
    deleted.next([Behaviour::Stall]);
    staying.next([Behaviour::Stall]);
    let webhook = hook(&tenant, LINE, &deleted, &[MessageReceived]).await;
    hook(&tenant, LINE, &staying, &[MessageReceived]).await;
    for text in ["one", "two", "three"] {
        server.text(LINE, CONTACT, text).await;
    }
    deleted.wait_for(1, SOON).await.unwrap();
    tenant.client.delete_webhook(webhook.id).await.unwrap();
    // What waits goes out when the time of the first is over: to the one that stays.
    staying.wait_for(3, SOON).await.unwrap();
    server.text(LINE, CONTACT, "four").await;
    staying.wait_for(4, SOON).await.unwrap();
    server.stop().await;
    assert_eq!(deleted.count(), 1);
}

#[tokio::test]
async fn an_account_has_a_hundred_webhooks_at_most() {
    let server = Setup::new().unlinked().start().await;
    let (tenant, other) = (server.tenant(LINE).await, server.tenant(THEIRS).await);
    let receiver = Receiver::start().await;
    for _ in 0..MAX_PER_ACCOUNT {
        hook(&tenant, LINE, &receiver, &[MessageSent]).await;
    }
    let webhook = CreateWebhook::new(LINE, receiver.url(), [MessageSent]);
    let refused = tenant.client.create_webhook(&webhook).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidParameterValue));
    hook(&other, THEIRS, &receiver, &[MessageSent]).await;
    let listed = tenant.client.webhooks("").await.unwrap().value.data;
    assert_eq!(listed.len(), MAX_PER_ACCOUNT, "not paged: all at once");
    tenant.client.delete_webhook(listed[0].id).await.unwrap();
    hook(&tenant, LINE, &receiver, &[MessageSent]).await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_in_production_takes_only_public_https() {
    let server = Setup::new().strict_webhooks().start().await;
    let tenant = server.tenant(LINE).await;
    for url in [
        "http://example.com/hook",
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://localhost./hook",
        "https://db.localhost/hook",
        "https://10.1.2.3/hook",
        "https://192.168.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[fd00::1]/hook",
        "https://0x7f000001/hook",
        "https://2130706433/hook",
        "https://0/hook",
    ] {
        let body = serde_json::json!({ "from": LINE, "url": url, "events": ["message.sent"] });
        let call = Call::post("/v1/webhooks", &body).key(&tenant.key);
        let answer = call.send(&server.url).await;
        assert_refused(url, &answer, Code::InvalidParameterValue, Some("url"));
    }
    let public = CreateWebhook::new(LINE, "https://example.com/hook", [MessageSent]);
    tenant.client.create_webhook(&public).await.unwrap();
    server.stop().await;
}
