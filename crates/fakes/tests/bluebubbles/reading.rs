use serde_json::{Value, json};
use switchboard_fakes::bluebubbles::{Incoming, Keep};

use super::*;

fn range(after: i64, to: i64) -> Value {
    json!([{ "statement": "message.ROWID > :a AND message.ROWID <= :b", "args": { "a": after, "b": to } }])
}

#[tokio::test]
async fn rows_are_paged_by_row_id() {
    let f = Fixture::new().await;
    for number in 0..5 {
        f.server.contact_writes(ALICE, &format!("text {number}"));
    }
    let rows = f.query(json!({ "with": ["chats"], "where": range(1, 4), "limit": 1000 })).await;
    let mut ids: Vec<i64> = rows.iter().map(|row| row["originalROWID"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 4]);
    assert_eq!(rows[0]["chats"][0]["guid"], "iMessage;-;+15550100001");
    assert!(rows[0].get("isAudioMessage").is_some());
    let newest = f
        .query(json!({ "limit": 1, "where": [
            { "statement": "message.ROWID = (SELECT MAX(ROWID) FROM message)", "args": null }] }))
        .await;
    assert_eq!((newest.len(), &newest[0]["originalROWID"]), (1, &json!(5)));
    // Without the word the key is there and empty.
    assert_eq!(newest[0]["chats"], json!([]));
    let (_, answer) =
        f.post("message/query", json!({ "limit": 2, "offset": 1, "sort": "ASC" })).await;
    assert_eq!(answer["metadata"], json!({ "offset": 1, "limit": 2, "total": 5, "count": 2 }));
    assert_eq!(answer["data"][0]["text"], "text 1");
}

#[tokio::test]
async fn a_row_that_is_not_joined_yet_is_left_out_with_its_chats() {
    let f = Fixture::new().await;
    let written = f.server.receive(ALICE, Incoming::text("young").unjoined());
    f.server.contact_writes(ALICE, "joined");
    let with = json!({ "with": ["chats"], "where": range(0, 1000) });
    assert_eq!(f.query(with.clone()).await.len(), 1);
    let unjoined = json!({ "where": [range(0, 1000)[0],
        { "statement": "message.ROWID NOT IN (SELECT message_id FROM chat_message_join)", "args": null }] });
    let rows = f.query(unjoined).await;
    assert_eq!((rows.len(), &rows[0]["guid"]), (1, &json!(written.guid)));
    f.server.join(&written.guid);
    assert_eq!(f.query(with).await.len(), 2);
}

#[tokio::test]
async fn changes_are_found_by_their_dates() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let (_, sent) = f.send(&chat, "hi").await;
    let guid = sent["data"]["guid"].as_str().unwrap();
    let since =
        (sent["data"]["dateCreated"].as_i64().unwrap() / 1000 - 978_307_200) * 1_000_000_000;
    let changes = json!({ "with": ["chats"], "where": [{
        "statement": "(message.date_edited >= :t OR message.date_delivered >= :t OR message.date_read >= :t OR message.date_retracted >= :t)",
        "args": { "t": since } }] });
    assert!(f.query(changes.clone()).await.is_empty());
    f.server.delivered(guid);
    let rows = f.query(changes.clone()).await;
    assert_eq!((rows.len(), &rows[0]["isDelivered"]), (1, &json!(true)));
    assert!(rows[0]["dateDelivered"].is_number());
    f.server.read_by_contact(guid);
    assert!(f.query(changes).await[0]["dateRead"].is_number());
    f.server.fails(guid, 22);
    let errors = json!({ "where": [{
        "statement": "message.is_from_me = 1 AND message.error != 0 AND message.date >= :t", "args": { "t": since as f64 } }] });
    assert_eq!(f.query(errors).await.len(), 1);
}

#[tokio::test]
async fn conditions_are_sqlites_own() {
    let f = Fixture::new().await;
    let written = f.server.contact_writes(ALICE, "hi");
    f.server.contact_reacts(ALICE, &written.guid, "🔥");
    let ask = |statement: &str, args: Value| {
        f.post(
            "message/query",
            json!({ "with": ["chats"], "where": [{ "statement": statement, "args": args }] }),
        )
    };
    let (_, answer) = ask("message.associated_message_emoji = :e", json!({ "e": "🔥" })).await;
    assert_eq!(answer["data"][0]["associatedMessageType"], "2006");
    assert_eq!(answer["data"][0]["text"], "Reacted 🔥 to “hi”");
    let (_, answer) =
        ask("message.guid IN (:...guids)", json!({ "guids": [written.guid, "x"] })).await;
    assert_eq!(answer["metadata"]["total"], 1);
    let (_, answer) =
        ask("chat.guid = :g and handle.id = :h", json!({ "g": written.chat, "h": ALICE })).await;
    assert_eq!(answer["metadata"]["total"], 2);
    let (status, answer) = ask("message.ROWID >>> 5", json!({})).await;
    assert_eq!((status, &answer["error"]["type"]), (500, &json!("Server Error")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("syntax error"), "{answer}");
    let (status, answer) = ask("message.no_such = 5", json!({})).await;
    assert_eq!(status, 500);
    assert!(answer["error"]["message"].as_str().unwrap().contains("no such column"), "{answer}");
    // The key must be there.
    let (status, _) = f.post("message/query", json!({ "where": [{ "statement": "1 = 1" }] })).await;
    assert_eq!(status, 400);
    // Without the join there is no such table.
    let body = json!({ "where": [{ "statement": "chat.guid = 'x'", "args": null }] });
    assert_eq!(f.post("message/query", body).await.0, 500);
}

#[tokio::test]
async fn a_condition_on_the_text_becomes_a_search() {
    let f = Fixture::new().await;
    f.server.contact_writes(ALICE, "green apples");
    f.server.contact_writes(ALICE, "pears");
    let body = json!({ "where": [{ "statement": "message.text = :term", "args": { "term": "%APPLE%" } }] });
    let rows = f.query(body.clone()).await;
    assert_eq!((rows.len(), &rows[0]["text"]), (1, &json!("green apples")));
    f.server.mac(|mac| mac.private_api = false);
    assert!(f.query(body).await.is_empty());
}

#[tokio::test]
async fn words_of_with_are_read_in_lower_case() {
    let f = Fixture::new().await;
    let written = f.server.contact_writes(ALICE, "hi");
    f.server.edit(&written.guid, "hello");
    let one = |word: &str| f.query(json!({ "with": [word] }));
    assert_eq!(one("attributedBody").await[0]["attributedBody"][0]["string"], "hello");
    assert_eq!(one("messageSummaryInfo").await[0]["messageSummaryInfo"], Value::Null);
    assert_eq!(
        one("message-summary-info").await[0]["messageSummaryInfo"][0]["editedParts"],
        json!([0])
    );
    assert_eq!(one("chats.participants").await[0]["chats"][0]["participants"][0]["address"], ALICE);
    assert!(one("chats").await[0]["chats"][0].get("participants").is_none());
}

#[tokio::test]
async fn an_unknown_chat_is_a_404_without_envelope() {
    let f = Fixture::new().await;
    let (status, answer) = f.post("message/query", json!({ "chatGuid": "iMessage;-;x" })).await;
    assert_eq!((status, answer), (404, Value::String("Not Found".to_owned())));
    f.server.contact_writes(ALICE, "hi");
    f.server.contact_writes(BOB, "hi");
    assert_eq!(f.query(json!({ "chatGuid": "iMessage;-;+15550100001" })).await.len(), 1);
    assert_eq!(f.post("message/query", json!({ "limit": 1001 })).await.0, 400);
    assert_eq!(f.post("message/query", json!({ "sort": "asc" })).await.0, 400);
}

#[tokio::test]
async fn one_message_and_counts() {
    let f = Fixture::new().await;
    let written = f.server.contact_writes(ALICE, "hi");
    let (_, answer) = f.get(&format!("message/{}?with=chats,attributed-body", written.guid)).await;
    assert_eq!(answer["data"]["chats"][0]["guid"], written.chat.as_str());
    let (_, answer) = f.get(&format!("message/{}", written.guid)).await;
    assert!(answer["data"].get("chats").is_none());
    let (status, answer) = f.get("message/none").await;
    assert_eq!((status, &answer["error"]["type"]), (404, &json!("Database Error")));
    let (_, answer) = f.get("message/count?minRowId=1&maxRowId=5").await;
    assert_eq!(answer["data"], json!({ "total": 1 }));
    assert_eq!(f.get("message/count/updated").await.0, 400);
    f.server.edit(&written.guid, "hello");
    assert_eq!(f.get("message/count/updated?after=1").await.1["data"]["total"], 1);
    assert_eq!(f.get("message/count/me").await.1["data"]["total"], 0);
}

#[tokio::test]
async fn a_replaced_database_begins_at_row_one() {
    let f = Fixture::new().await;
    for number in 0..4 {
        f.server.contact_writes(ALICE, &format!("text {number}"));
    }
    f.server.replace_database(Keep::Newest(2));
    let rows = f.query(json!({ "with": ["chats"], "sort": "ASC" })).await;
    let seen: Vec<_> = rows.iter().map(|row| (&row["originalROWID"], &row["text"])).collect();
    assert_eq!(seen, [(&json!(1), &json!("text 2")), (&json!(2), &json!("text 3"))]);
    f.server.replace_database(Keep::Nothing);
    assert!(f.query(json!({})).await.is_empty());
    assert_eq!(f.server.contact_writes(ALICE, "new").rowid, 1);
}

#[tokio::test]
async fn a_row_can_be_old_and_new_at_once() {
    let f = Fixture::new().await;
    f.server.contact_writes(ALICE, "now");
    f.server.receive(ALICE, Incoming::text("back-fill").at(1_700_000_000_000));
    let rows = f.query(json!({ "where": range(1, 100) })).await;
    assert_eq!((rows.len(), &rows[0]["dateCreated"]), (1, &json!(1_700_000_000_000_i64)));
    let rows = f.query(json!({ "before": 1_700_000_000_000_i64 })).await;
    assert_eq!((rows.len(), &rows[0]["text"]), (1, &json!("back-fill")));
    let rows = f.query(json!({ "after": "1700000000001" })).await;
    assert_eq!((rows.len(), &rows[0]["text"]), (1, &json!("now")));
}

#[tokio::test]
async fn a_row_that_breaks_the_server_breaks_its_page() {
    let f = Fixture::new().await;
    f.server.receive(ALICE, Incoming::text("odd").unreadable());
    f.server.contact_writes(ALICE, "fine");
    assert_eq!(f.post("message/query", json!({})).await.0, 500);
    assert_eq!(f.query(json!({ "where": range(1, 9) })).await.len(), 1);
    f.server.faults(|faults| faults.database_locked = true);
    let (_, answer) = f.post("message/query", json!({ "where": range(1, 9) })).await;
    assert_eq!(answer["error"]["message"], "database is locked");
}

#[tokio::test]
async fn every_row_can_be_joined_late() {
    let f = Fixture::new().await;
    f.server.timing(|timing| timing.join = Duration::from_millis(200));
    let chat = f.server.contact_writes(ALICE, "in").chat;
    let (_, sent) = f.send(&chat, "out").await;
    assert_eq!(sent["data"]["chats"], json!([]));
    assert!(f.query(json!({ "with": ["chats"] })).await.is_empty());
    tokio::time::timeout(LIMIT, async {
        while f.query(json!({ "with": ["chats"] })).await.len() < 2 {}
    })
    .await
    .unwrap();
}
