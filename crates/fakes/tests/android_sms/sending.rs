use serde_json::{Value, json};
use switchboard_fakes::android_sms::{SendFault, Sim};
use switchboard_fakes::wire::Trouble;

use super::*;

#[tokio::test]
async fn a_text_walks_through_its_states() {
    let f = Fixture::new().await;
    let (status, answer) = f.send("obx-1", "hello").await;
    assert_eq!((status, &answer["state"]), (202, &json!("Pending")));
    assert_eq!(answer["deviceId"], f.phone.id());
    assert!(answer["recipients"][0].get("error").is_none());
    let done = f.reaches("obx-1", "Delivered").await;
    for state in ["Pending", "Processed", "Sent", "Delivered"] {
        let at = done["states"][state].as_str().unwrap();
        assert!(at.ends_with("+01:00") && at.len() == 29, "{at}");
    }
    assert_eq!(f.texts(), ["hello"]);
    assert_eq!(f.phone.carried_out()[0].sim, 1);
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let f = Fixture::new().await;
    assert_eq!(f.send("obx-1", "hello").await.0, 202);
    let (status, answer) = f.send("obx-1", "hello").await;
    assert_eq!(status, 409);
    assert!(answer["message"].is_string());
    f.reaches("obx-1", "Delivered").await;
    assert_eq!(f.send("obx-1", "hello").await.0, 409);
    assert_eq!(f.texts(), ["hello"]);
    // Without an id the app makes one.
    let mut body = message("x", "again");
    body["id"] = Value::Null;
    assert_eq!(
        f.post("/message?skipPhoneValidation=true", body).await.1["id"].as_str().unwrap().len(),
        21
    );
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let f = Fixture::new().await;
    let with = |name: &str, value: Value| {
        let mut body = message("obx-1", "hello");
        body[name] = value;
        body
    };
    for body in [
        with("textMessage", Value::Null),
        with("message", json!("two kinds")),
        with("textMessage", json!({ "text": "" })),
        with("phoneNumbers", json!([])),
        with("simNumber", json!(0)),
        with("validUntil", json!("2030-01-01T00:00:00Z")),
        with("scheduleAt", json!("2020-01-01T00:00:00Z")),
        with("deviceId", json!("another")),
        with("priority", json!(128)),
        json!({ "id": "x", "phoneNumbers": [ALICE], "mmsMessage": { "text": "hi" } }),
    ] {
        let (status, answer) = f.post("/messages?skipPhoneValidation=true", body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["message"].is_string());
    }
    let short = with("phoneNumbers", json!(["72345"]));
    assert_eq!(f.post("/messages", short.clone()).await.0, 400);
    assert_eq!(f.post("/messages?skipPhoneValidation=true", short).await.0, 202);
}

#[tokio::test]
async fn only_who_is_known_may_call_and_each_answer_has_the_phones_date() {
    let f = Fixture::new().await;
    let url = format!("{}/device", f.phone.url());
    let answer = f.http.get(&url).basic_auth("user", Some("wrong")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (401, String::new()));
    let health = f.http.get(format!("{}/health", f.phone.url())).send().await.unwrap();
    assert_eq!(health.status(), 200);
    f.phone.clock(-3_600_000);
    let root = f.http.get(f.phone.url()).basic_auth("user", Some("secret")).send().await.unwrap();
    let date = root.headers()["date"].to_str().unwrap().to_owned();
    assert_eq!(root.json::<Value>().await.unwrap()["status"], "ok");
    let behind = seconds(health.headers()["date"].to_str().unwrap()) - seconds(&date);
    // An hour, also over midnight.
    assert!((3_590..3_610).contains(&behind.rem_euclid(86_400)), "{behind}");
    let (_, token) = f.post("/auth/token", json!({ "ttl": 60, "scopes": ["all:any"] })).await;
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(f.http.get(&url).bearer_auth(token).send().await.unwrap().status(), 200);
}

/// Seconds of the day of an HTTP date.
fn seconds(date: &str) -> i64 {
    let time = date.split(' ').nth(4).unwrap();
    time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap())
}

#[tokio::test]
async fn a_phone_can_have_two_sims_and_not_know_their_numbers() {
    let f = Fixture::new().await;
    f.phone.sims(|sims| {
        sims.push(Sim {
            number: "+14155550200".to_owned(),
            knows_number: false,
            carrier: "Other".to_owned(),
        });
    });
    let (_, devices) = f.get("/device").await;
    let cards = &devices[0]["simCards"];
    assert_eq!((&cards[0]["simNumber"], &cards[1]["slotIndex"]), (&json!(1), &json!(1)));
    assert!(cards[1].get("phoneNumber").is_none());
    let mut body = message("obx-1", "by the second");
    body["simNumber"] = json!(2);
    f.post("/messages", body).await;
    f.reaches("obx-1", "Delivered").await;
    assert_eq!(f.phone.received_by(ALICE)[0].from, "+14155550200");
    let mut body = message("obx-2", "by none");
    body["simNumber"] = json!(3);
    f.post("/messages", body).await;
    f.reaches("obx-2", "Failed").await;
}

#[tokio::test]
async fn two_texts_at_once_leave_in_reverse_unless_the_settings_say_fifo() {
    let f = Fixture::new().await;
    for (order, wanted) in [("LIFO", ["b", "a"]), ("FIFO", ["a", "b"])] {
        let (_, settings) = f
            .call(Method::PATCH, "/settings", &json!({ "messages": { "processing_order": order } }))
            .await;
        assert_eq!(settings["messages"]["processing_order"], order);
        assert_eq!(settings["webhooks"]["internet_required"], true);
        f.phone.faults(|faults| faults.hold = true);
        f.send(&format!("{order}-a"), "a").await;
        f.send(&format!("{order}-b"), "b").await;
        f.phone.faults(|faults| faults.hold = false);
        f.reaches(&format!("{order}-a"), "Delivered").await;
        f.reaches(&format!("{order}-b"), "Delivered").await;
        let texts = f.texts();
        assert_eq!(texts[texts.len() - 2..], wanted);
    }
    // A high priority goes first all the same.
    f.phone.faults(|faults| faults.hold = true);
    let mut urgent = message("urgent", "urgent");
    urgent["priority"] = json!(100);
    f.post("/messages", urgent).await;
    f.send("plain", "plain").await;
    f.phone.faults(|faults| faults.hold = false);
    f.reaches("plain", "Delivered").await;
    let texts = f.texts();
    assert_eq!(texts[texts.len() - 2..], ["urgent", "plain"]);
}

#[tokio::test]
async fn a_text_that_waited_too_long_is_not_sent() {
    let f = Fixture::new().await;
    f.phone.faults(|faults| faults.hold = true);
    let mut body = message("obx-1", "yesterday");
    body["ttl"] = Value::Null;
    body["validUntil"] = json!("2020-01-01T00:00:00.000Z");
    assert_eq!(f.post("/messages", body).await.0, 202);
    f.send("obx-2", "ten minutes").await;
    f.phone.clock(601_000);
    f.phone.faults(|faults| faults.hold = false);
    for id in ["obx-1", "obx-2"] {
        let failed = f.reaches(id, "Failed").await;
        assert_eq!(failed["recipients"][0]["error"], "TTL expired");
    }
    assert!(f.phone.carried_out().is_empty());
}

#[tokio::test]
async fn each_failure_has_its_words() {
    let f = Fixture::new().await;
    for (id, fault, state, error, arrives) in [
        (
            "a",
            SendFault::NotBegun("no permission".to_owned()),
            "Failed",
            json!("Can't send message: no permission"),
            0,
        ),
        (
            "b",
            SendFault::Refused("RESULT_ERROR_NO_SERVICE".to_owned()),
            "Failed",
            json!("Send result: RESULT_ERROR_NO_SERVICE"),
            0,
        ),
        (
            "c",
            SendFault::RefusedLater("GENERIC".to_owned()),
            "Failed",
            json!("Delivery result: GENERIC"),
            0,
        ),
        (
            "d",
            SendFault::PartRefused("RESULT_ERROR_LIMIT_EXCEEDED".to_owned()),
            "Failed",
            json!("Send result: RESULT_ERROR_LIMIT_EXCEEDED"),
            1,
        ),
        ("e", SendFault::NoReceipt, "Sent", Value::Null, 1),
        ("f", SendFault::NoReport, "Processed", Value::Null, 1),
        ("g", SendFault::Twice, "Delivered", Value::Null, 2),
    ] {
        f.phone.fail_send(fault);
        f.send(id, &format!("text {id}")).await;
        let done = f.reaches(id, state).await;
        assert_eq!(done["recipients"][0]["error"], error, "{id}");
        let shown = f.texts().iter().filter(|text| **text == format!("text {id}")).count();
        assert_eq!(shown, arrives, "{id}");
    }
    assert!(f.get("/messages/c").await.1["states"].get("Sent").is_some());
    let (status, health) = f.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("warn")));
}

#[tokio::test]
async fn an_app_that_is_killed_before_its_note_sends_again() {
    let f = Fixture::new().await;
    f.phone.fail_send(SendFault::KilledBeforeNote);
    f.send("obx-1", "twice").await;
    assert!(f.phone.until(LIMIT, |phone| !phone.app_runs()).await);
    assert_eq!(f.texts(), ["twice"]);
    let mut refused = false;
    for _ in 0..100 {
        refused = f.http.get(f.phone.url()).send().await.is_err_and(|error| error.is_connect());
        if refused {
            break;
        }
    }
    assert!(refused);
    f.phone.start_app().await.unwrap();
    f.reaches("obx-1", "Delivered").await;
    assert_eq!(f.texts(), ["twice", "twice"]);
    assert_eq!(f.phone.carried_out().len(), 2);
}

#[tokio::test]
async fn only_what_waits_can_be_cancelled() {
    let f = Fixture::new().await;
    f.phone.faults(|faults| faults.hold = true);
    f.send("obx-1", "never").await;
    let (status, answer) = f.call(Method::DELETE, "/messages/obx-1", &Value::Null).await;
    assert_eq!((status, &answer["state"]), (200, &json!("Cancelled")));
    f.phone.faults(|faults| faults.hold = false);
    f.send("obx-2", "gone").await;
    f.reaches("obx-2", "Delivered").await;
    assert_eq!(f.call(Method::DELETE, "/messages/obx-2", &Value::Null).await.0, 400);
    assert_eq!(f.call(Method::DELETE, "/messages/none", &Value::Null).await.0, 404);
    assert_eq!(f.texts(), ["gone"]);
}

#[tokio::test]
async fn messages_are_listed_newest_first() {
    let f = Fixture::new().await;
    for id in ["1", "2", "3"] {
        f.send(id, "hello").await;
        f.reaches(id, "Delivered").await;
    }
    let url = format!("{}/messages?limit=2&state=Delivered", f.phone.url());
    let answer = f.http.get(url).basic_auth("user", Some("secret")).send().await.unwrap();
    assert_eq!(answer.headers()["x-total-count"], "3");
    let list: Value = answer.json().await.unwrap();
    assert_eq!((&list[0]["id"], &list[1]["id"]), (&json!("3"), &json!("2")));
    assert!(list[0].get("textMessage").is_none());
    let (_, list) = f.get("/messages?includeContent=true&offset=2").await;
    assert_eq!(list[0]["textMessage"]["text"], "hello");
    assert_eq!(f.get("/messages?from=nonsense").await.0, 400);
    assert_eq!(f.get("/messages/none").await.0, 404);
}

#[tokio::test]
async fn a_newer_app_sends_mms() {
    let f = Fixture::new().await;
    f.phone.faults(|faults| faults.newer = true);
    let body = json!({ "id": "m", "phoneNumbers": [ALICE], "mmsMessage": {
        "text": "look", "attachments": [{ "contentType": "image/png", "name": "a.png", "data": "aGk=" }] } });
    assert_eq!(f.post("/messages", body).await.0, 202);
    f.reaches("m", "Delivered").await;
    assert_eq!(f.phone.received_by(ALICE)[0].files, [("a.png".to_owned(), 2)]);
    let empty = json!({ "id": "n", "phoneNumbers": [ALICE], "mmsMessage": {} });
    assert_eq!(f.post("/messages", empty).await.0, 400);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_same_id() {
    let f = Fixture::new().await;
    let send = || {
        let url = format!("{}/messages", f.phone.url());
        f.http.post(url).basic_auth("user", Some("secret")).json(&message("obx-1", "once")).send()
    };
    f.phone.trouble("/messages", 1, Trouble::CutAfter);
    assert!(send().await.is_err());
    assert_eq!(f.send("obx-1", "once").await.0, 409);
    f.reaches("obx-1", "Delivered").await;
    assert_eq!(f.texts(), ["once"]);
}

#[tokio::test]
async fn a_wiped_phone_knows_nothing() {
    let f = Fixture::new().await;
    f.send("obx-1", "sent").await;
    f.reaches("obx-1", "Delivered").await;
    let (_, before) = f.get("/device").await;
    f.phone.wipe(false);
    assert_eq!(f.get("/messages/obx-1").await.0, 404);
    assert_eq!(f.get("/device").await.1[0]["id"], before[0]["id"]);
    f.phone.wipe(true);
    assert_ne!(f.get("/device").await.1[0]["id"], before[0]["id"]);
    assert_eq!(f.texts(), ["sent"]);
    f.phone.faults(|faults| faults.database_broken = true);
    assert_eq!(f.get("/messages/obx-1").await.0, 500);
    assert_eq!(f.get("/").await.0, 200);
}

#[tokio::test]
async fn a_scheduled_text_waits_for_its_time() {
    let f = Fixture::new().await;
    let mut body = message("obx-1", "later");
    body["scheduleAt"] = json!("2099-01-01T00:00:00Z");
    body["ttl"] = Value::Null;
    assert_eq!(f.post("/messages", body).await.0, 202);
    f.send("obx-2", "now").await;
    f.reaches("obx-2", "Delivered").await;
    assert_eq!(f.texts(), ["now"]);
    f.phone.clock(80 * 366 * 86_400_000);
    f.reaches("obx-1", "Delivered").await;
}
