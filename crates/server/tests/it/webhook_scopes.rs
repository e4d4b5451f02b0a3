//! Who may see what through webhooks: besides `webhooks:write`, the read scope of each event that a webhook names (§2).
//! And who made a webhook: it outlives its key.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use switchboard_client::{CreateKey, CreateWebhook, Deliveries, KeyScopes, UpdateWebhook};
use switchboard_model::{
    Code, EventKind, Scope,
    delivery::DeliveryStatus,
    time::Clock,
    webhook::{CreatorState, DisabledReason},
};
use switchboard_testkit::{
    LINE, Receiver, Setup, TestClock, TestServer, eventually, receiver::Behaviour,
};

use crate::{
    attempts::{hook, only},
    call::{Call, assert_refused},
    world::{CONTACT, SOON, key},
};
use EventKind::{MessageReceived, MessageSent, ReceiptRead, TypingStarted};

#[tokio::test]
async fn webhooks_write_alone_reads_nothing() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let (receiver, spy) = (Receiver::start().await, Receiver::start().await);
    receiver.next([Behaviour::status(500)]);
    let (webhook, _) = hook(&tenant, &receiver).await;
    server.text(LINE, CONTACT, "secret").await;
    let due = only(&tenant, DeliveryStatus::Due, 1).await;
    let (read, write) = (Scope::WebhooksRead, Scope::WebhooksWrite);
    let blind = key(&server, tenant.account, &[read, write, Scope::ReceiptsRead], &[]).await;
    let sees = key(&server, tenant.account, &[read, write, Scope::MessagesRead], &[]).await;

    let id = webhook.id;
    let update = |change: Value| {
        let mut body = json!({ "id": id });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Call::new(http::Method::PATCH, "/v1/webhooks").json(&body)
    };
    let made = |events: &[EventKind]| {
        let names: Vec<_> = events.iter().map(|event| event.as_str()).collect();
        json!({ "from": LINE, "url": spy.url(), "events": names })
    };
    let calls = [
        Call::post("/v1/webhooks", &made(&[MessageReceived])),
        Call::post("/v1/webhooks", &made(&[ReceiptRead, MessageSent])),
        update(json!({ "url": spy.url() })),
        update(json!({ "events": ["receipt.read", "message.updated"] })),
        update(json!({ "is_active": true })),
        update(json!({ "is_active": false, "url": spy.url() })),
        Call::post("/v1/webhooks/test", &json!({ "id": id })),
        Call::post("/v1/webhooks/rotate", &json!({ "id": id })),
        Call::post("/v1/webhooks/replay", &json!({ "id": id, "since": 1 })),
        Call::post("/v1/deliveries/retry", &json!({ "id": due.id })),
        Call::get("/v1/deliveries?event=message.received"),
    ];
    for call in calls {
        let what = format!("{call:?}");
        let answer = call.key(&blind).send(&server.url).await;
        assert_refused(&what, &answer, Code::InsufficientScope, None);
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("'messages:read'"), "{what} names the scope: {message}");
    }
    for path in ["/v1/deliveries".to_owned(), format!("/v1/deliveries?id={}", due.id)] {
        let listed = |key: &str| Call::get(&path).key(key);
        let shown = listed(&blind).send(&server.url).await;
        assert_eq!((shown.status, &shown.body["data"]), (200, &json!([])), "{path}");
        let shown = listed(&sees).send(&server.url).await;
        assert_eq!(shown.body["data"][0]["id"], due.id.to_string(), "{path}");
    }
    // What it may read it may have, with another's mistake first: the order of checks is the contract's.
    let own = Call::post("/v1/webhooks", &made(&[ReceiptRead])).key(&blind).send(&server.url).await;
    assert_eq!(own.status, 201, "{own:?}");
    let unknown = Call::post(
        "/v1/webhooks",
        &json!({ "from": LINE, "url": spy.url(),
                             "events": ["message.sent", "message.eaten"] }),
    );
    let unknown = unknown.key(&blind).send(&server.url).await;
    assert_refused("unknown event", &unknown, Code::InvalidParameterValue, Some("events"));
    let elsewhere = Call::post(
        "/v1/webhooks",
        &json!({ "from": "+15550109999", "url": spy.url(),
                               "events": ["message.sent"] }),
    );
    let elsewhere = elsewhere.key(&blind).send(&server.url).await;
    assert_refused("scope before line", &elsewhere, Code::InsufficientScope, None);
    let narrowed =
        update(json!({ "events": ["receipt.read"] })).key(&blind).send(&server.url).await;
    assert_eq!(narrowed.status, 200, "{narrowed:?}");
    let back = update(json!({ "events": ["message.received"] })).key(&sees).send(&server.url).await;
    assert_eq!(back.status, 200, "{back:?}");
    // Taking away asks for nothing.
    let off = update(json!({ "is_active": false })).key(&blind).send(&server.url).await;
    assert_eq!((off.status, &off.body["is_active"]), (200, &json!(false)), "{off:?}");
    let gone =
        Call::delete("/v1/webhooks", &json!({ "id": id })).key(&blind).send(&server.url).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    server.stop().await;
    assert_eq!(spy.count(), 0, "nothing has reached it");
}

#[tokio::test]
async fn what_is_still_due_does_not_go_where_it_may_not_be_read() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let blind = [Scope::WebhooksWrite, Scope::ReceiptsRead];
    let blind = server.key(tenant.account, &blind, &[]).await;
    let (receiver, spy) = (Receiver::start().await, Receiver::start().await);
    // By one change and by two.
    for in_one in [true, false] {
        receiver.next([Behaviour::status(500)]);
        let (webhook, _) = hook(&tenant, &receiver).await;
        server.text(LINE, CONTACT, "secret").await;
        let only = async |status| {
            let filter = Deliveries { status: Some(status), ..Deliveries::of_webhook(webhook.id) };
            tenant.client.deliveries(&filter).send().await.unwrap().value.data.pop()
        };
        let tried = async || only(DeliveryStatus::Due).await.filter(|one| one.attempts.len() == 1);
        eventually("the delivery waits for its next attempt", tried).await;
        let narrow = UpdateWebhook::new(webhook.id).events([ReceiptRead]);
        if in_one {
            blind.update_webhook(&narrow.url(spy.url())).await.unwrap();
        } else {
            blind.update_webhook(&narrow).await.unwrap();
            blind.update_webhook(&UpdateWebhook::new(webhook.id).url(spy.url())).await.unwrap();
        }
        clock.advance(Duration::from_secs(600));
        let given_up = async || only(DeliveryStatus::Failed).await;
        let given_up = eventually("the delivery is given up", given_up).await;
        assert_eq!(given_up.error.unwrap(), "the webhook no longer names this event");
        tenant.client.delete_webhook(webhook.id).await.unwrap();
    }
    server.stop().await;
    assert_eq!(spy.count(), 0, "nothing has reached it");
}

#[tokio::test]
async fn whoever_may_read_may_have_it_sent() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let scopes = [Scope::WebhooksRead, Scope::WebhooksWrite, Scope::MessagesRead];
    let client = server.key(tenant.account, &scopes, &[]).await;
    let webhook = CreateWebhook::new(LINE, receiver.url(), [MessageReceived, MessageSent]);
    let webhook = client.create_webhook(&webhook).await.unwrap().value;
    assert!(client.test_webhook(webhook.id).await.unwrap().value.ok);
    client.rotate_webhook_secret(webhook.id).await.unwrap();
    server.text(LINE, CONTACT, "hello").await;
    receiver.wait_for(2, SOON).await.unwrap();
    let wider = UpdateWebhook::new(webhook.id).events([MessageReceived, TypingStarted]);
    let refused = client.update_webhook(&wider).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InsufficientScope));
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_outlives_its_key_and_says_so() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let admin = server.admin();
    let receiver = Receiver::start().await;
    let mut wanted = CreateKey::new(tenant.account, "maker");
    wanted.scopes =
        KeyScopes::Only([Scope::WebhooksWrite, Scope::MessagesRead].into_iter().collect());
    let maker = admin.create_key(&wanted).await.unwrap().value;
    let key_id = maker.key.id;
    let client = server.client(maker.secret.reveal());
    let make = async || {
        let webhook = CreateWebhook::new(LINE, receiver.url(), [MessageReceived]);
        client.create_webhook(&webhook).await.unwrap().value
    };
    let (first, second) = (make().await, make().await);
    hook(&tenant, &receiver).await;
    let shown = async || {
        let all = tenant.client.webhooks("").await.unwrap().value.data;
        all.into_iter().find(|one| one.id == first.id).unwrap()
    };
    let made_by = |webhook: &switchboard_model::Webhook| {
        let by = webhook.created_by.unwrap();
        (by.key_id, by.state)
    };
    assert_eq!(made_by(&first), (Some(key_id), CreatorState::Active));
    assert_eq!(made_by(&shown().await), (Some(key_id), CreatorState::Active));
    // Another key lets it have more than its maker may read.
    let more = UpdateWebhook::new(first.id).events([MessageReceived, ReceiptRead]);
    let more = tenant.client.update_webhook(&more).await.unwrap().value.webhook;
    assert_eq!(made_by(&more), (Some(key_id), CreatorState::InsufficientScope));
    tenant.client.delete_webhook(second.id).await.unwrap();

    let revoked = admin.revoke_key(key_id).await.unwrap().value;
    assert_eq!((revoked.active_webhooks, revoked.disabled_webhooks), (1, 0));
    assert_eq!(made_by(&shown().await), (Some(key_id), CreatorState::Revoked));
    server.text(LINE, CONTACT, "goes on").await;
    receiver.wait_for(2, SOON).await.unwrap();
    let revoked = admin.revoke_key_and_webhooks(key_id).await.unwrap().value;
    assert_eq!((revoked.active_webhooks, revoked.disabled_webhooks), (0, 1));
    let off = shown().await;
    assert_eq!((off.is_active, off.disabled_reason), (false, Some(DisabledReason::Manual)));
    server.text(LINE, CONTACT, "not to the first").await;
    receiver.wait_for(3, SOON).await.unwrap();
    let wrong = json!({ "id": key_id, "disable_webhooks": "yes" });
    let wrong = Call::post("/admin/v1/keys/revoke", &wrong).key(server.operator_token());
    let wrong = wrong.send(&server.url).await;
    assert_refused("not a bool", &wrong, Code::InvalidParameterValue, Some("disable_webhooks"));
    server.stop().await;
    assert_eq!(receiver.count(), 3);
}
