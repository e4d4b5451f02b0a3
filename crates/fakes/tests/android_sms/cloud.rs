use serde_json::{Value, json};
use switchboard_fakes::android_sms::Cloud;

use super::*;

struct Far {
    cloud: Cloud,
    device: String,
    f: Fixture,
}

impl Far {
    async fn new() -> Self {
        let f = Fixture::new().await;
        let cloud = Cloud::start("user", "secret").await.unwrap();
        let device = cloud.register(&f.phone);
        Self { cloud, device, f }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        call(&self.f.http, method, &format!("{}{path}", self.cloud.url()), &body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Value::Null).await
    }

    async fn send(&self, id: &str, text: &str) -> (u16, Value) {
        let mut body = message(id, text);
        body["deviceId"] = json!(self.device);
        self.call(Method::POST, "/messages?skipPhoneValidation=true", body).await
    }

    async fn reaches(&self, id: &str, state: &str) -> Value {
        tokio::time::timeout(LIMIT, async {
            loop {
                let (_, list) = self.get("/messages?includeContent=true").await;
                let mut all = list.as_array().unwrap().iter();
                if let Some(found) = all.find(|m| m["id"] == id && m["state"] == state) {
                    return found.clone();
                }
            }
        })
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_text_goes_by_the_server_and_each_way_lists_its_own() {
    let far = Far::new().await;
    assert_ne!(far.device, far.f.phone.id());
    let (status, answer) = far.send("obx-1", "hello").await;
    assert_eq!((status, &answer["deviceId"]), (202, &json!(far.device)));
    far.reaches("obx-1", "Delivered").await;
    assert_eq!(far.f.texts(), ["hello"]);
    assert_eq!(far.f.get("/messages").await.1, json!([]));
    assert_eq!(far.f.get("/messages/obx-1").await.0, 404);
    assert_eq!(far.send("obx-1", "hello").await.0, 409);
    let (_, devices) = far.get("/devices").await;
    assert_eq!(devices[0]["id"], far.device.as_str());
    assert_eq!(far.get("/inbox").await.0, 501);
    assert_eq!(far.get("/logs").await.0, 501);
}

#[tokio::test]
async fn a_404_is_remembered_although_the_message_goes_out() {
    let far = Far::new().await;
    assert_eq!(far.get("/messages/obx-1").await.0, 404);
    assert_eq!(far.send("obx-1", "hello").await.0, 202);
    far.reaches("obx-1", "Delivered").await;
    assert_eq!(far.get("/messages/obx-1").await.0, 404);
    // The same id again is the sure answer.
    assert_eq!(far.send("obx-1", "hello").await.0, 409);
    // Each read renews it, so that it never ends while somebody asks.
    far.cloud.timing(|timing| timing.not_found = Duration::from_millis(200));
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        assert_eq!(far.get("/messages/obx-1").await.0, 404);
    }
    far.cloud.timing(|timing| timing.not_found = Duration::ZERO);
    assert_eq!(far.get("/messages/obx-1").await.0, 404);
    assert_eq!(far.get("/messages/obx-1").await.0, 200);
    far.cloud.timing(|timing| timing.not_found = Duration::from_secs(300));
    far.cloud.pin_not_found("obx-1");
    assert_eq!(far.get("/messages/obx-1").await.0, 404);
    assert_eq!(far.f.texts(), ["hello"]);
}

#[tokio::test]
async fn without_a_device_id_a_repetition_is_sent_twice() {
    let far = Far::new().await;
    let other = Phone::start("user", "secret").await.unwrap();
    far.cloud.register(&other);
    let send = || far.call(Method::POST, "/messages", message("obx-1", "twice"));
    assert_eq!((send().await.0, send().await.0), (202, 202));
    assert!(other.until(LIMIT, |other| !other.received_by(ALICE).is_empty()).await);
    assert!(far.f.phone.until(LIMIT, |phone| !phone.received_by(ALICE).is_empty()).await);
    assert_eq!(far.get("/messages/obx-1").await.0, 400);
    let mut body = message("obx-2", "nowhere");
    body["deviceId"] = json!("none");
    assert_eq!(far.call(Method::POST, "/messages", body).await.0, 400);
}

#[tokio::test]
async fn a_phone_that_is_away_gets_it_later_or_never() {
    let far = Far::new().await;
    far.f.phone.away(true).await.unwrap();
    assert_eq!(far.send("obx-1", "later").await.0, 202);
    assert_eq!(far.send("obx-2", "cancelled").await.0, 202);
    let (status, answer) = far.call(Method::DELETE, "/messages/obx-2", Value::Null).await;
    assert_eq!((status, &answer["state"]), (200, &json!("Cancelling")));
    assert_eq!(far.call(Method::DELETE, "/messages/obx-2", Value::Null).await.0, 409);
    assert!(far.f.texts().is_empty());
    far.f.phone.faults(|faults| faults.hold = true);
    far.f.phone.away(false).await.unwrap();
    far.reaches("obx-2", "Cancelled").await;
    far.f.phone.faults(|faults| faults.hold = false);
    far.reaches("obx-1", "Delivered").await;
    assert_eq!(far.f.texts(), ["later"]);
}

#[tokio::test]
async fn the_phone_reports_pending_as_processed() {
    let far = Far::new().await;
    far.f.phone.faults(|faults| faults.hold = true);
    far.send("obx-1", "not yet").await;
    let shown = far.reaches("obx-1", "Processed").await;
    assert_eq!(shown["recipients"][0]["state"], "Processed");
    assert!(far.f.texts().is_empty());
}

#[tokio::test]
async fn what_is_done_is_hashed_after_a_while() {
    let far = Far::new().await;
    far.send("obx-1", "secret").await;
    let shown = far.reaches("obx-1", "Delivered").await;
    assert_eq!(shown["textMessage"]["text"], "secret");
    far.cloud.timing(|timing| timing.hash = Duration::ZERO);
    let (_, shown) = far.get("/messages/obx-1").await;
    assert_eq!(shown["isHashed"], true);
    assert!(shown.get("textMessage").is_none());
    assert_eq!(shown["recipients"][0]["phoneNumber"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn the_server_refuses_what_it_cannot_take() {
    let far = Far::new().await;
    far.cloud.faults(|faults| faults.queue_full = true);
    assert_eq!(far.send("obx-1", "full").await.0, 503);
    far.cloud.faults(|faults| faults.queue_full = false);
    assert_eq!(far.send(&"x".repeat(37), "long id").await.0, 400);
    let mut body = message("obx-2", "toll-free");
    body["deviceId"] = json!(far.device);
    body["phoneNumbers"] = json!(["+18005550123"]);
    assert_eq!(far.call(Method::POST, "/messages", body.clone()).await.0, 400);
    assert_eq!(far.call(Method::POST, "/messages?skipPhoneValidation=true", body).await.0, 202);
    assert!(far.f.phone.until(LIMIT, |phone| phone.carried_out().len() == 1).await);
    assert_eq!(far.get("/messages?limit=101").await.0, 400);
    // The oldest one has waited too long.
    far.cloud.faults(|faults| faults.no_push = true);
    far.send("obx-3", "waits").await;
    far.cloud.timing(|timing| timing.oldest_pending = Duration::ZERO);
    let mut number = 4;
    while far.send(&format!("obx-{number}"), "too much").await.0 != 503 {
        number += 1;
        assert!(number < 50);
    }
}

#[tokio::test]
async fn the_list_is_in_the_order_that_is_asked_for() {
    let far = Far::new().await;
    for id in ["1", "2", "3"] {
        far.send(id, "hello").await;
    }
    let ids = |list: Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(far.get("/messages").await.1), ["3", "2", "1"]);
    let path = format!("/messages?sort=created_at&deviceId={}&limit=2&offset=1", far.device);
    assert_eq!(ids(far.get(&path).await.1), ["2", "3"]);
}

#[tokio::test]
async fn webhooks_are_https_and_the_phone_sends_them() {
    let far = Far::new().await;
    let (hooks, url) = Receiver::start().await;
    let body = json!({ "url": url, "event": "sms:received" });
    assert_eq!(far.call(Method::POST, "/webhooks", body.clone()).await.0, 400);
    far.cloud.faults(|faults| faults.plain_webhooks = true);
    assert_eq!(far.call(Method::POST, "/webhooks", body).await.0, 201);
    assert_eq!(far.get("/webhooks").await.1.as_array().unwrap().len(), 1);
    assert_eq!(far.f.get("/webhooks").await.1, json!([]));
    far.cloud.stop().await;
    far.f.phone.contact_writes(ALICE, "without the server");
    let told = hooks.until(&far.f.phone, 1).await.remove(0);
    assert_eq!(told["deviceId"], far.device.as_str());
    far.cloud.start_again().await.unwrap();
    assert_eq!(far.get("/health").await.0, 200);
}

#[tokio::test]
async fn tokens_are_given_if_there_is_a_secret() {
    let far = Far::new().await;
    let (status, token) =
        far.call(Method::POST, "/auth/token", json!({ "scopes": ["messages:send"] })).await;
    assert_eq!(status, 201);
    let url = format!("{}/devices", far.cloud.url());
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(far.f.http.get(&url).bearer_auth(token).send().await.unwrap().status(), 200);
    assert_eq!(far.f.http.get(&url).bearer_auth("x").send().await.unwrap().status(), 401);
    far.cloud.faults(|faults| faults.no_tokens = true);
    assert_eq!(far.call(Method::POST, "/auth/token", json!({})).await.0, 501);
}
