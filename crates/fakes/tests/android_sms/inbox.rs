use serde_json::{Value, json};
use switchboard_fakes::wire::File;

use super::*;

const TWO_DAYS_MS: i64 = 2 * 86_400_000;

fn ms_now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn the_inbox_has_the_whole_text_and_pages() {
    let f = Fixture::new().await;
    let long = "word ".repeat(60);
    f.phone.contact_writes(ALICE, "first");
    f.phone.contact_writes(ALICE, &long);
    let url = format!("{}/inbox?limit=1", f.phone.url());
    let answer = f.http.get(url).basic_auth("user", Some("secret")).send().await.unwrap();
    assert_eq!(answer.headers()["x-total-count"], "2");
    let page: Value = answer.json().await.unwrap();
    assert_eq!(page.as_array().unwrap().len(), 1);
    assert_eq!(page[0]["contentPreview"], long.as_str());
    assert_eq!((&page[0]["type"], &page[0]["sender"]), (&json!("SMS"), &json!(ALICE)));
    assert_eq!((&page[0]["recipient"], &page[0]["simNumber"]), (&json!("+14155550199"), &json!(1)));
    assert!(page[0]["id"].as_str().unwrap().starts_with("text:"));
    assert_eq!(f.get("/inbox?offset=1").await.1[0]["contentPreview"], "first");
    for wrong in ["limit=0", "limit=501", "offset=-1", "type=FAX", "from=x", "includeAttachments=1"]
    {
        assert_eq!(f.get(&format!("/inbox?{wrong}")).await.0, 400, "{wrong}");
    }
    assert_eq!(f.get("/inbox?type=MMS").await.1, json!([]));
}

#[tokio::test]
async fn a_late_text_lies_in_the_past() {
    let f = Fixture::new().await;
    f.phone.contact_writes(ALICE, "now");
    f.phone.receive(ALICE, "two days old", 1, Some(ms_now() - TWO_DAYS_MS));
    let (_, page) = f.get("/inbox").await;
    assert_eq!(page[1]["contentPreview"], "two days old");
    f.phone.away(true).await.unwrap();
    f.phone.contact_writes(ALICE, "while away");
    assert!(f.http.get(f.phone.url()).send().await.is_err());
    f.phone.away(false).await.unwrap();
    assert_eq!(f.get("/inbox").await.1[0]["contentPreview"], "while away");
}

#[tokio::test]
async fn two_equal_texts_in_one_second_are_one() {
    let f = Fixture::new().await;
    let stamp = ms_now() / 1000 * 1000;
    f.phone.receive(ALICE, "ok", 1, Some(stamp));
    f.phone.receive(ALICE, "ok", 1, Some(stamp + 500));
    f.phone.receive(ALICE, "ok", 1, Some(stamp - 1000));
    assert_eq!(f.phone.inbox().len(), 2);
}

#[tokio::test]
async fn odd_senders_and_fields_come_as_they_are() {
    let f = Fixture::new().await;
    f.phone.faults(|faults| {
        faults.null_recipient = true;
        faults.national_sender = true;
        faults.sim_null_in_inbox = true;
    });
    for sender in [ALICE, "72345", "AMAZON"] {
        f.phone.contact_writes(sender, "hi");
    }
    let (_, page) = f.get("/inbox").await;
    let senders: Vec<_> = page.as_array().unwrap().iter().map(|item| &item["sender"]).collect();
    assert_eq!(senders, ["AMAZON", "72345", "4155550123"]);
    assert!(page[0].get("recipient").is_none() && page[0].get("simNumber").is_none());
    f.phone.receive_data(ALICE, "ab");
    let (_, page) = f.get("/inbox?type=DATA_SMS").await;
    assert_eq!(page[0]["contentPreview"], "6162");
}

#[tokio::test]
async fn a_refresh_brings_what_the_app_has_not_seen() {
    let f = Fixture::new().await;
    f.phone.kill_app().await;
    f.phone.contact_writes(ALICE, "unseen");
    f.phone.start_app().await.unwrap();
    assert_eq!(f.get("/inbox").await.1, json!([]));
    let body = json!({ "since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z" });
    assert_eq!(f.post("/inbox/refresh", body.clone()).await.0, 202);
    assert_eq!(f.post("/inbox/refresh", body).await.0, 202);
    assert_eq!(f.get("/inbox").await.1.as_array().unwrap().len(), 1);
    assert_eq!(f.post("/inbox/refresh", json!({ "since": "x" })).await.0, 400);
    // A wiped inbox comes back from the phone's own store.
    f.phone.wipe(false);
    let body = json!({ "since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z" });
    assert_eq!(f.post("/messages/inbox/export", body).await.0, 202);
    assert_eq!(f.phone.inbox().len(), 1);
}

#[tokio::test]
async fn an_mms_is_a_notice_and_then_its_content() {
    let f = Fixture::new().await;
    let file =
        File { name: "a\".png".to_owned(), mime_type: "image/png".to_owned(), bytes: "png".into() };
    f.phone.receive_mms(ALICE, "look", None, &[file], false);
    f.phone.receive_mms(ALICE, "", Some("later"), &[], true);
    let (_, page) = f.get("/inbox?includeAttachments=true&type=MMS_DOWNLOADED").await;
    let item = &page[0];
    assert_eq!(item["contentPreview"], "look");
    assert_eq!(
        item["attachments"][0],
        json!({ "partId": 1, "name": "a\".png", "size": 3, "contentType": "image/png" })
    );
    let path = format!("{}/inbox/{}/attachments/1", f.phone.url(), item["id"].as_str().unwrap());
    let answer = f.http.get(path).basic_auth("user", Some("secret")).send().await.unwrap();
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"a_.png\"");
    assert_eq!(answer.bytes().await.unwrap().as_ref(), b"png");
    let (_, notices) = f.get("/inbox?type=MMS").await;
    let previews: Vec<_> =
        notices.as_array().unwrap().iter().map(|item| &item["contentPreview"]).collect();
    assert_eq!(previews, ["later", "MMS content"]);
    assert_eq!(f.get("/inbox/mms:9/attachments/1").await.0, 404);
    assert_eq!(f.get("/inbox/mms:1/attachments/x").await.0, 400);
}
