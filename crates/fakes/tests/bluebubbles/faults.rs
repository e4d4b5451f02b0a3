use serde_json::json;
use switchboard_fakes::bluebubbles::Incoming;

use super::*;

async fn hooked(f: &Fixture) -> Receiver {
    let (hooks, url) = Receiver::start().await;
    f.post("webhook", json!({ "url": url, "events": ["*"] })).await;
    hooks
}

#[tokio::test]
async fn a_silent_watcher_tells_nothing_and_finds_no_row() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    f.server.faults(|faults| faults.silent_watcher = true);
    f.server.timing(|timing| timing.text_match = Duration::from_millis(100));
    let chat = f.server.contact_writes(ALICE, "hi").chat;
    let (status, answer) = f.script(&chat, "sent", "t").await;
    assert_eq!((status, answer["data"].is_null()), (500, true));
    assert_eq!(f.texts(ALICE), ["sent"]);
    // By the private API the row is looked for in the database itself.
    assert_eq!(f.send(&chat, "found").await.0, 200);
    assert!(hooks.all().is_empty());
    assert_eq!(f.query(json!({ "with": ["chats"] })).await.len(), 3);
}

#[tokio::test]
async fn without_a_wal_at_its_start_the_watcher_never_begins() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    f.server.faults(|faults| faults.no_wal_at_start = true);
    f.server.start_again().await.unwrap();
    f.server.contact_writes(ALICE, "hi");
    f.server.faults(|faults| faults.no_wal_at_start = false);
    f.server.start_again().await.unwrap();
    f.server.contact_writes(ALICE, "told");
    let told = hooks.until(&f.server, 1, "new-message").await;
    assert_eq!(told[0]["data"]["text"], "told");
}

#[tokio::test]
async fn a_change_during_a_look_can_be_missed_until_the_next_one() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    f.server.faults(|faults| faults.debounce_loses = true);
    f.server.timing(|timing| timing.poll = Duration::from_millis(300));
    f.server.contact_writes(ALICE, "one");
    hooks.until(&f.server, 1, "new-message").await;
    f.server.contact_writes(ALICE, "two");
    assert!(!f.server.until(Duration::from_millis(600), |_| hooks.all().len() > 1).await);
    f.server.contact_writes(ALICE, "three");
    hooks.until(&f.server, 3, "new-message").await;
}

#[tokio::test]
async fn webhooks_are_lost_doubled_and_reversed() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    f.server.faults(|faults| faults.lose_webhooks = 1);
    f.server.contact_writes(ALICE, "lost");
    f.server
        .until(LIMIT, |server| {
            let mut left = 0;
            server.faults(|faults| left = faults.lose_webhooks);
            left == 0
        })
        .await;
    f.server.faults(|faults| faults.webhooks_twice = true);
    f.server.contact_writes(ALICE, "twice");
    let told = hooks.until(&f.server, 2, "new-message").await;
    assert_eq!(told[0]["data"]["text"], "twice");
    assert_eq!(told[0], told[1]);
    f.server.faults(|faults| {
        faults.webhooks_twice = false;
        faults.webhooks_reversed = true;
    });
    f.server.timing(|timing| timing.debounce = Duration::from_millis(100));
    f.server.contact_writes(ALICE, "a");
    f.server.contact_writes(ALICE, "b");
    let told = hooks.until(&f.server, 4, "new-message").await;
    assert_eq!((&told[2]["data"]["text"], &told[3]["data"]["text"]), (&json!("b"), &json!("a")));
}

#[tokio::test]
async fn facetimes_helper_alone_looks_connected_and_does_nothing() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.mac(|mac| mac.only_facetime_helper = true);
    assert_eq!(f.get("server/info").await.1["data"]["helper_connected"], true);
    f.server.timing(|timing| timing.transaction = Duration::from_millis(50));
    let (status, answer) = f.send(&chat, "hi").await;
    assert_eq!((status, &answer["error"]["message"]), (500, &json!("Transaction timeout")));
    assert!(f.server.received_by(ALICE).is_empty());
}

#[tokio::test]
async fn a_reply_can_stall() {
    let f = Fixture::new().await;
    let written = f.server.contact_writes(ALICE, "hi");
    f.server.faults(|faults| faults.replies_stall = true);
    let mut body = private(&written.chat, "answer");
    body["selectedMessageGuid"] = json!(written.guid);
    assert_eq!(f.post("message/text", body).await.0, 200);
    assert!(f.server.received_by(ALICE).is_empty());
}

#[tokio::test]
async fn the_owner_writes_elsewhere_and_it_is_no_send_of_the_servers() {
    let f = Fixture::new().await;
    let hooks = hooked(&f).await;
    let chat = f.server.direct_chat(ALICE);
    let written = f.server.owner_writes(&chat, "from my phone");
    let told = hooks.until(&f.server, 1, "new-message").await.remove(0);
    assert_eq!(
        (&told["data"]["guid"], &told["data"]["isFromMe"]),
        (&json!(written.guid), &json!(true))
    );
    let shown = &f.server.received_by(ALICE)[0];
    assert!(!shown.by_server);
    assert!(f.server.carried_out().is_empty());
}

#[tokio::test]
async fn a_group_is_a_group_and_everybody_gets_it() {
    let f = Fixture::new().await;
    let group = f.server.group(&[ALICE, BOB], None);
    f.server.receive(ALICE, Incoming::text("hi all").chat(&group));
    assert_eq!(f.send(&group, "hi").await.0, 200);
    assert_eq!((f.texts(ALICE), f.texts(BOB)), (vec!["hi".to_owned()], vec!["hi".to_owned()]));
    assert_eq!(f.server.carried_out().len(), 1);
}

#[tokio::test]
async fn reactions_stand_at_messages_on_every_phone() {
    let f = Fixture::new().await;
    let group = f.server.group(&[ALICE, BOB], None);
    let (_, sent) = f.send(&group, "hi").await;
    let guid = sent["data"]["guid"].as_str().unwrap();
    f.server.contact_reacts(ALICE, guid, "love");
    f.server.owner_reacts(guid, "🔥");
    let shown = || f.server.received_by(BOB)[0].reactions.clone();
    let pair = |who: &str, what: &str| (who.to_owned(), what.to_owned());
    assert_eq!(shown(), [pair(ALICE, "love"), pair("me", "🔥")]);
    f.server.contact_reacts(ALICE, guid, "-love");
    assert_eq!(shown(), [pair("me", "🔥")]);
    let rows = f.query(json!({ "sort": "ASC" })).await;
    let kinds: Vec<_> =
        rows.iter().map(|row| (&row["associatedMessageType"], &row["isFromMe"])).collect();
    assert_eq!(
        kinds[1..],
        [
            (&json!("love"), &json!(false)),
            (&json!("2006"), &json!(true)),
            (&json!("-love"), &json!(false))
        ]
    );
    f.server.downgraded(guid);
    let body = json!({ "where": [{ "statement": "message.was_downgraded = 1", "args": null }] });
    assert_eq!(f.query(body).await.len(), 1);
}
