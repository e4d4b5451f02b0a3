//! rpc.md, "watch.subscribe" and "bridge.events.subscribe"; watch.md.

use std::time::Duration;

use serde_json::json;
use switchboard_fakes::imsg::{Mac, Pace, Settings};

use crate::program::Imsg;

const ANN: &str = "+15550100001";
const BOB: &str = "+15550100002";

/// No poll without an event of the file system.
fn patient() -> Mac {
    let pace = Pace { fallback_poll: Duration::from_secs(3600), ..Pace::fast() };
    Mac::with(Settings { pace, ..Settings::default() })
}

#[tokio::test]
async fn a_watch_begins_at_the_tail_after_a_row_or_at_the_beginning() {
    let mac = patient();
    mac.contact(ANN).writes("one");
    mac.contact(ANN).writes("two");
    let first = mac.rows()[0].rowid;
    let mut imsg = Imsg::start(&mac);
    for (since, texts) in [
        (json!(0), vec!["new"]),
        (json!(first), vec!["two", "new"]),
        (json!(-1), vec!["one", "two", "new"]),
    ] {
        let answer = imsg.ok("watch.subscribe", json!({ "since_rowid": since })).await;
        assert_eq!(answer["buffer_limit"], 256);
        let guid = mac.contact(ANN).writes("new");
        for text in texts {
            let told = imsg.notification("message").await;
            assert_eq!(
                (&told["subscription"], &told["message"]["text"]),
                (&answer["subscription"], &json!(text))
            );
        }
        imsg.ok("watch.unsubscribe", json!({ "subscription": answer["subscription"] })).await;
        mac.delete(&guid);
    }
    assert!(imsg.kept().is_empty(), "{:?}", imsg.kept());
    // Nobody has this id.
    assert_eq!(
        imsg.ok("watch.unsubscribe", json!({ "subscription": 77 })).await,
        json!({ "ok": true })
    );
}

#[tokio::test]
async fn a_watch_shows_what_it_was_asked_for() {
    let mac = patient();
    let bob = mac.chat_with(BOB);
    let mut imsg = Imsg::start(&mac);
    let plain = imsg.ok("watch.subscribe", json!({ "chat_id": bob })).await["subscription"].clone();
    imsg.ok("watch.subscribe", json!({ "include_reactions": true, "attachments": true })).await;
    let guid = mac.contact(ANN).sends_file("photo.jpg", b"jpeg");
    mac.contact(ANN).reacts(&guid, "love");
    mac.contact(BOB).writes("hi");
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let mut told = imsg.notification("message").await;
        let of = if told["subscription"] == plain { &mut one } else { &mut all };
        of.push(told["message"].take());
    }
    assert_eq!((one.len(), &one[0]["text"]), (1, &json!("hi")));
    assert_eq!(all[0]["attachments"][0]["transfer_name"], "photo.jpg");
    assert_eq!((&all[1]["is_reaction"], &all[2]["text"]), (&json!(true), &json!("hi")));
}

#[tokio::test]
async fn the_fallback_poll_finds_what_no_event_told() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    imsg.ok("watch.subscribe", json!({})).await;
    mac.contact(ANN).draft("quiet").untold().arrive();
    assert_eq!(imsg.notification("message").await["message"]["text"], "quiet");
}

#[tokio::test]
async fn a_row_without_a_chat_is_held_and_then_dropped() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    imsg.ok("watch.subscribe", json!({ "debounce_ms": 1000 })).await;
    let guid = mac.contact(ANN).draft("late").unjoined().arrive();
    mac.contact(ANN).writes("next");
    assert_eq!(imsg.notification("message").await["message"]["text"], "next");
    mac.join(&guid);
    assert_eq!(imsg.notification("message").await["message"]["text"], "late");

    imsg.ok("watch.unsubscribe", json!({ "subscription": 1 })).await;
    imsg.ok("watch.subscribe", json!({ "debounce_ms": 0 })).await;
    let guid = mac.contact(BOB).draft("lost").unjoined().arrive();
    mac.until("it is dropped", |mac| mac.dropped() == 1).await;
    mac.join(&guid);
    mac.contact(BOB).writes("end");
    assert_eq!(imsg.notification("message").await["message"]["text"], "end");
}

#[tokio::test]
async fn a_full_buffer_ends_the_subscription_and_says_where() {
    let mac = patient();
    let mut imsg = Imsg::start(&mac);
    for n in 0..5 {
        mac.contact(ANN).writes(&n.to_string());
    }
    let first = mac.rows()[0].rowid;
    let id = imsg.ok("watch.subscribe", json!({ "since_rowid": -1, "buffer_limit": 3 })).await["subscription"].clone();
    let end = imsg.notification("watch.overflow").await;
    assert_eq!(
        end,
        json!({
            "subscription": id, "resume_after_rowid": first + 2, "reason": "buffer_limit_exceeded", "terminal": true,
        })
    );
    // What was accepted came before.
    let told = imsg.kept().iter().map(|told| told["params"]["message"]["id"].as_i64().unwrap());
    assert_eq!(told.collect::<Vec<_>>(), [first, first + 1, first + 2]);
}

#[tokio::test]
async fn subscriptions_can_overflow_fail_repeat_reverse_and_fall_silent() {
    let mac = patient();
    let mut imsg = Imsg::start(&mac);
    let id =
        imsg.ok("watch.subscribe", json!({ "debounce_ms": 2500 })).await["subscription"].clone();
    mac.duplicate_notifications(true);
    let guid = mac.contact(ANN).writes("one");
    for _ in 0..2 {
        assert_eq!(imsg.notification("message").await["message"]["guid"], guid);
    }
    mac.duplicate_notifications(false);
    mac.reverse_notifications(true);
    mac.contact(ANN).writes("two");
    mac.contact(ANN).writes("three");
    assert_eq!(imsg.notification("message").await["message"]["text"], "three");
    assert_eq!(imsg.notification("message").await["message"]["text"], "two");
    mac.silence_watch(true);
    mac.contact(ANN).writes("four");
    mac.until("the watch has looked", Mac::watch_has_looked).await;
    mac.silence_watch(false);
    mac.contact(ANN).writes("five");
    assert_eq!(imsg.notification("message").await["message"]["text"], "five");
    mac.overflow_subscriptions();
    assert_eq!(imsg.notification("watch.overflow").await["subscription"], id);
    let id = imsg.ok("watch.subscribe", json!({})).await["subscription"].clone();
    mac.fail_watches("database is locked");
    let end = imsg.notification("error").await;
    assert_eq!(end, json!({ "subscription": id, "error": { "message": "database is locked" } }));
}

#[tokio::test]
async fn a_watch_stays_with_the_database_that_it_began_with() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    imsg.ok("watch.subscribe", json!({})).await;
    mac.replace_database(10);
    mac.contact(ANN).writes("unheard");
    mac.until("the watch has looked", Mac::watch_has_looked).await;
    imsg.ok("watch.subscribe", json!({})).await;
    mac.contact(ANN).writes("heard");
    assert_eq!(imsg.notification("message").await["message"]["text"], "heard");
}

#[tokio::test]
async fn there_are_64_subscriptions_at_most() {
    let mac = Mac::start();
    let mut imsg = Imsg::start(&mac);
    for _ in 0..63 {
        imsg.ok("watch.subscribe", json!({})).await;
    }
    let events = imsg.ok("bridge.events.subscribe", json!({})).await;
    assert_eq!(events, json!({ "subscription": 64, "buffer_limit": 256, "resumable": false }));
    let error = imsg.error("watch.subscribe", json!({})).await;
    assert_eq!(
        (&error["code"], &error["data"]),
        (&json!(-32000), &json!("subscription limit exceeded"))
    );
    imsg.ok("watch.unsubscribe", json!({ "subscription": 1 })).await;
    assert_eq!(imsg.ok("watch.subscribe", json!({})).await["subscription"], 65);
}

#[tokio::test]
async fn typing_comes_as_events_that_are_never_replayed() {
    let mac = Mac::start();
    mac.contact(ANN).starts_typing();
    let mut imsg = Imsg::start(&mac);
    let id = imsg.ok("bridge.events.subscribe", json!({})).await["subscription"].clone();
    mac.contact(BOB).starts_typing();
    mac.contact(BOB).stops_typing();
    let told = imsg.notification("bridge.event").await;
    assert_eq!(
        (&told["event"]["event"], &told["event"]["data"]),
        (&json!("started-typing"), &json!({ "chatGuid": format!("iMessage;-;{BOB}") }))
    );
    assert_eq!(imsg.notification("bridge.event").await["event"]["event"], "stopped-typing");
    mac.fail_events("event_log_read_failed", "permission denied");
    let end = imsg.notification("bridge.events.error").await;
    assert_eq!(
        (&end["subscription"], &end["error"]["code"], &end["terminal"]),
        (&id, &json!("event_log_read_failed"), &json!(true))
    );
    imsg.ok("bridge.events.subscribe", json!({})).await;
    mac.overflow_subscriptions();
    let end = imsg.notification("bridge.events.overflow").await;
    assert_eq!(
        (&end["reason"], &end["resumable"]),
        (&json!("buffer_limit_exceeded"), &json!(false))
    );
}
