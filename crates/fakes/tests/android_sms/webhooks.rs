use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

async fn hooked(f: &Fixture, events: &[&str]) -> Receiver {
    let (hooks, url) = Receiver::start().await;
    for event in events {
        let (status, answer) = f.post("/webhooks", json!({ "url": url, "event": event })).await;
        assert_eq!(status, 201, "{answer}");
    }
    hooks
}

#[tokio::test]
async fn a_text_is_told_under_the_number_that_the_inbox_has() {
    let f = Fixture::new().await;
    let hooks = hooked(&f, &["sms:received"]).await;
    f.phone.contact_writes(ALICE, "hi");
    let told = hooks.until(&f.phone, 1).await.remove(0);
    assert_eq!((&told["event"], &told["deviceId"]), (&json!("sms:received"), &json!(f.phone.id())));
    let payload = &told["payload"];
    assert_eq!((&payload["message"], &payload["phoneNumber"]), (&json!("hi"), &json!(ALICE)));
    let hex = payload["messageId"].as_str().unwrap();
    let signed = u32::from_str_radix(hex, 16).unwrap().cast_signed();
    assert_eq!(f.phone.inbox(), [format!("text:{signed}")]);
}

#[tokio::test]
async fn the_signature_is_over_body_and_time() {
    let f = Fixture::new().await;
    let hooks = hooked(&f, &["sms:received"]).await;
    let valid = |index: usize| {
        let got = hooks.got.lock().unwrap();
        let (head, body) = &got[index];
        let mut mac = Hmac::<Sha256>::new_from_slice(f.phone.signing_key().as_bytes()).unwrap();
        mac.update(body);
        mac.update(head["x-timestamp"].as_bytes());
        let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        head["x-signature"] == signature.as_str()
    };
    f.phone.contact_writes(ALICE, "hi");
    hooks.until(&f.phone, 1).await;
    assert!(valid(0));
    f.phone.faults(|faults| faults.sign_wrongly = true);
    f.phone.contact_writes(ALICE, "forged");
    hooks.until(&f.phone, 2).await;
    assert!(!valid(1));
    f.phone.faults(|faults| faults.sign_wrongly = false);
    let key = json!({ "webhooks": { "signing_key": "a longer key" } });
    let (_, settings) = f.call(Method::PATCH, "/settings", &key).await;
    assert!(settings["webhooks"].get("signing_key").is_none());
    assert_eq!(f.phone.signing_key(), "a longer key");
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id_and_then_dropped() {
    let f = Fixture::new().await;
    let hooks = hooked(&f, &["sms:received"]).await;
    *hooks.fails.lock().unwrap() = 2;
    f.phone.contact_writes(ALICE, "hi");
    let told = hooks.until(&f.phone, 3).await;
    assert_eq!((&told[0], &told[1]), (&told[1], &told[2]));
    f.call(Method::PATCH, "/settings", &json!({ "webhooks": { "retry_count": 1 } })).await;
    *hooks.fails.lock().unwrap() = 2;
    f.phone.contact_writes(ALICE, "lost for ever");
    hooks.until(&f.phone, 5).await;
    f.phone.contact_writes(ALICE, "next");
    let told = hooks.until(&f.phone, 6).await;
    assert_eq!(told[5]["payload"]["message"], "next");
}

#[tokio::test]
async fn the_states_of_a_text_are_told() {
    let f = Fixture::new().await;
    let hooks = hooked(&f, &["sms:sent", "sms:delivered", "sms:failed"]).await;
    f.send("obx-1", "hi").await;
    let told = hooks.until(&f.phone, 2).await;
    let events: Vec<_> = told.iter().map(|event| &event["event"]).collect();
    assert_eq!(events, ["sms:sent", "sms:delivered"]);
    assert_eq!(told[0]["payload"]["messageId"], "obx-1");
    assert_ne!(told[0]["id"], told[1]["id"]);
    let mut late = message("obx-2", "late");
    late["ttl"] = Value::Null;
    late["validUntil"] = json!("2020-01-01T00:00:00Z");
    f.post("/messages", late).await;
    let told = hooks.until(&f.phone, 3).await.remove(2);
    assert_eq!(told["payload"]["reason"], "TTL expired");
}

#[tokio::test]
async fn webhooks_wait_for_the_internet_unless_told_otherwise() {
    let f = Fixture::new().await;
    let hooks = hooked(&f, &["sms:received"]).await;
    f.phone.faults(|faults| faults.no_internet = true);
    f.phone.contact_writes(ALICE, "waits");
    assert!(!f.phone.until(Duration::from_millis(200), |_| !hooks.all().is_empty()).await);
    f.call(Method::PATCH, "/settings", &json!({ "webhooks": { "internet_required": false } }))
        .await;
    hooks.until(&f.phone, 1).await;
}

#[tokio::test]
async fn webhooks_are_lost_doubled_and_reversed() {
    let f = Fixture::new().await;
    let hooks = hooked(&f, &["sms:received"]).await;
    f.phone.faults(|faults| faults.lose_webhooks = 1);
    f.phone.contact_writes(ALICE, "lost");
    f.phone.faults(|faults| faults.webhooks_twice = true);
    f.phone.contact_writes(ALICE, "twice");
    let told = hooks.until(&f.phone, 2).await;
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0]["payload"]["message"], "twice");
    f.phone.faults(|faults| {
        faults.webhooks_twice = false;
        faults.webhooks_reversed = true;
        faults.no_internet = true;
    });
    f.phone.contact_writes(ALICE, "a");
    f.phone.contact_writes(ALICE, "b");
    f.phone.faults(|faults| faults.no_internet = false);
    let told = hooks.until(&f.phone, 4).await;
    assert_eq!(
        (&told[2]["payload"]["message"], &told[3]["payload"]["message"]),
        (&json!("b"), &json!("a"))
    );
    // A refresh does not tell again what the inbox has, so the lost one stays lost.
    let body = json!({ "since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z", "triggerWebhooks": true });
    f.post("/inbox/refresh", body).await;
    f.phone.contact_writes(ALICE, "end");
    assert_eq!(hooks.until(&f.phone, 5).await[4]["payload"]["message"], "end");
}

#[tokio::test]
async fn a_registration_has_one_event_and_a_safe_url() {
    let f = Fixture::new().await;
    for body in [
        json!({ "url": "http://192.0.2.1/x", "event": "sms:received" }),
        json!({ "url": "https://example.com/x", "event": "sms:unknown" }),
        json!({ "url": "https://example.com/x" }),
    ] {
        assert_eq!(f.post("/webhooks", body).await.0, 400);
    }
    let body =
        |event: &str| json!({ "id": "wh-in", "url": "https://example.com/x", "event": event });
    f.post("/webhooks", body("sms:received")).await;
    f.post("/webhooks", body("sms:sent")).await;
    let (_, list) = f.get("/webhooks").await;
    assert_eq!(list, json!([body("sms:sent")]));
    assert_eq!(f.call(Method::DELETE, "/webhooks/wh-in", &Value::Null).await.0, 204);
    assert_eq!(f.get("/webhooks").await.1, json!([]));
}

#[tokio::test]
async fn a_newer_app_tells_in_batches() {
    let f = Fixture::new().await;
    f.phone.faults(|faults| faults.newer = true);
    let hooks = hooked(&f, &["sms:batch:received"]).await;
    f.phone.kill_app().await;
    f.phone.contact_writes(ALICE, "one");
    f.phone.contact_writes(ALICE, "two");
    f.phone.start_app().await.unwrap();
    let body = json!({ "since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z", "webhookDelivery": "Batch" });
    f.post("/inbox/refresh", body).await;
    let told = hooks.until(&f.phone, 1).await.remove(0);
    let texts: Vec<_> =
        told["payload"]["messages"].as_array().unwrap().iter().map(|m| &m["message"]).collect();
    assert_eq!(texts, ["one", "two"]);
}
