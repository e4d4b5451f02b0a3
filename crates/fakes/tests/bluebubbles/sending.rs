use serde_json::{Value, json};
use switchboard_fakes::bluebubbles::SendFault;

use super::*;

#[tokio::test]
async fn a_text_by_the_private_api_is_answered_with_its_row() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let mut body = private(&chat, "hello");
    body["tempGuid"] = json!("temp-1");
    let (status, answer) = f.post("message/text", body).await;
    assert_eq!((status, &answer["message"]), (200, &json!("Message sent!")));
    let data = &answer["data"];
    assert_eq!(data["text"], "hello");
    assert_eq!(data["tempGuid"], "temp-1");
    assert_eq!(data["chats"][0]["guid"], chat.as_str());
    assert_eq!(data["isFromMe"], true);
    assert_eq!(data["attributedBody"][0]["string"], "hello");
    for absent in ["service", "isSent", "wasDowngraded", "destinationCallerId"] {
        assert!(data.get(absent).is_none(), "{absent}");
    }
    let shown = &f.server.received_by(ALICE)[0];
    assert_eq!(data["guid"], shown.guid.as_str());
    assert!(shown.by_server);
    assert_eq!(f.server.carried_out()[0].method, "private-api");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_not_sent() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    for body in [
        json!({ "message": "x", "method": "private-api" }),
        json!({ "chatGuid": chat, "method": "private-api" }),
        json!({ "chatGuid": chat, "message": "", "method": "private-api" }),
        json!({ "chatGuid": chat, "message": "x" }),
        json!({ "chatGuid": chat, "message": "", "tempGuid": "t" }),
        json!({ "chatGuid": chat, "message": "x", "method": "carrier-pigeon" }),
        json!({ "chatGuid": chat, "message": "x", "method": "private-api", "partIndex": -1 }),
        json!({ "chatGuid": 5, "message": "x", "method": "private-api" }),
    ] {
        let (status, answer) = f.post("message/text", body.clone()).await;
        assert_eq!(status, 400, "{body} {answer}");
        assert_eq!(answer["error"]["type"], "Validation Error");
    }
    assert!(f.server.received_by(ALICE).is_empty());
    // A number in a string will do, and what is unknown is ignored.
    let body = json!({ "chatGuid": chat, "message": "x", "method": "private-api", "partIndex": "0", "new": 1 });
    assert_eq!(f.post("message/text", body).await.0, 200);
}

#[tokio::test]
async fn an_effect_a_subject_or_a_reply_needs_the_helper_whatever_was_named() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let asked = f.server.contact_writes(ALICE, "question?");
    let body = json!({ "chatGuid": chat, "message": "answer", "method": "apple-script", "tempGuid": "t",
                       "selectedMessageGuid": asked.guid, "subject": "s", "effectId": "com.apple.MobileSMS.expressivesend.impact" });
    let (status, answer) = f.post("message/text", body).await;
    assert_eq!(status, 200);
    assert_eq!(answer["data"]["threadOriginatorGuid"], asked.guid.as_str());
    let shown = &f.server.received_by(ALICE)[0];
    assert_eq!(shown.reply_to.as_ref(), Some(&asked.guid));
    assert_eq!(shown.subject.as_deref(), Some("s"));
    assert_eq!(f.server.carried_out()[0].method, "private-api");
}

#[tokio::test]
async fn a_temp_guid_holds_only_while_it_is_on_its_way() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.timing(|timing| timing.row = Duration::from_millis(300));
    let first = f.script(&chat, "once", "t");
    let second = async {
        f.server.until(LIMIT, |server| !server.carried_out().is_empty()).await;
        f.script(&chat, "once", "t").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.0, 200);
    assert_eq!(second.0, 400);
    assert_eq!(
        second.1["error"]["message"],
        "Message is already queued to be sent! (Temp GUID: t)"
    );
    // Afterwards the same one sends again.
    assert_eq!(f.script(&chat, "once", "t").await.0, 200);
    assert_eq!(f.texts(ALICE), ["once", "once"]);
}

#[tokio::test]
async fn each_fault_of_the_private_api_has_its_words() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let cases: Vec<(SendFault, &str, bool)> = vec![
        (SendFault::HelperRefuses("No service".to_owned()), "No service", false),
        (SendFault::HelperSilent { sent: false }, "Transaction timeout", false),
        (SendFault::HelperSilent { sent: true }, "Transaction timeout", true),
        (SendFault::NoIdentifier { sent: false }, "Failed to send message!", false),
        (SendFault::NoIdentifier { sent: true }, "Failed to send message!", true),
        (SendFault::NotInvoked, "Failed to invoke Private API!", false),
        (
            SendFault::NoRow { sent: true },
            "Failed to send message! Message not found in database after 60 seconds!",
            true,
        ),
        (SendFault::RowFails(22), "[500] Message sent with an error. See attached message", false),
    ];
    for (index, (fault, words, sent)) in cases.into_iter().enumerate() {
        let text = format!("case {index}");
        f.server.fail_send(fault.clone());
        let (status, answer) = f.send(&chat, &text).await;
        assert_eq!(status, 500, "{fault:?}");
        assert_eq!(answer["message"], "Message Send Error", "{fault:?}");
        assert_eq!(answer["error"]["message"], words, "{fault:?}");
        assert!(answer.get("data").is_none(), "{fault:?} {answer}");
        assert_eq!(f.texts(ALICE).contains(&text), sent, "{fault:?}");
    }
    let (status, answer) = f.send("iMessage;-;+15550100099", "nobody").await;
    assert_eq!((status, &answer["error"]["message"]), (500, &json!("Chat does not exist!")));
}

#[tokio::test]
async fn a_row_that_failed_is_found_by_a_query_alone() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.fail_send(SendFault::RowFails(22));
    assert_eq!(f.send(&chat, "fails").await.0, 500);
    let rows = f
        .query(json!({ "with": ["chats"], "where": [
            { "statement": "message.is_from_me = 1 AND message.error != 0", "args": null }] }))
        .await;
    assert_eq!((rows.len(), &rows[0]["error"], &rows[0]["text"]), (1, &json!(22), &json!("fails")));
    assert!(f.server.received_by(ALICE).is_empty());
}

#[tokio::test]
async fn a_sent_row_can_fail_later_and_nobody_tells() {
    let f = Fixture::new().await;
    let (hooks, url) = Receiver::start().await;
    f.post("webhook", json!({ "url": url, "events": ["*"] })).await;
    let chat = f.server.direct_chat(ALICE);
    f.server.fail_send(SendFault::FailsLater { after: Duration::from_millis(50), error: 22 });
    let (status, answer) = f.send(&chat, "hi").await;
    assert_eq!((status, &answer["data"]["error"]), (200, &json!(0)));
    let guid = answer["data"]["guid"].as_str().unwrap().to_owned();
    hooks.until(&f.server, 1, "new-message").await;
    let path = format!("message/{guid}?with=chats");
    tokio::time::timeout(LIMIT, async { while f.get(&path).await.1["data"]["error"] != 22 {} })
        .await
        .unwrap();
    f.server.contact_writes(ALICE, "?");
    hooks.until(&f.server, 2, "new-message").await;
    assert!(hooks.of("updated-message").is_empty() && hooks.of("message-send-error").is_empty());
}

#[tokio::test]
async fn the_helper_does_five_actions_a_second_for_all_chats() {
    let f = Fixture::new().await;
    let (alice, bob) = (f.server.direct_chat(ALICE), f.server.direct_chat(BOB));
    f.server.timing(|timing| timing.action_spacing = Duration::from_millis(60));
    let typing = f.url(&format!("chat/{bob}/typing"));
    let typing = f.http.post(typing).send();
    let (one, two, three) = tokio::join!(f.send(&alice, "1"), typing, f.send(&bob, "2"));
    assert_eq!((one.0, two.unwrap().status().as_u16(), three.0), (200, 200, 200));
    let actions = f.server.helper_actions();
    for pair in actions.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(60));
    }
    assert_eq!(actions.len(), 3);
}

#[tokio::test]
async fn an_apple_script_text_is_found_by_its_row() {
    let f = Fixture::new().await;
    f.server.mac(|mac| mac.private_api = false);
    // The fallback by participant makes the chat.
    let (status, answer) = f.script("iMessage;-;+15550100001", "hello", "t").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["data"]["text"], &answer["data"]["tempGuid"]),
        (&json!("hello"), &json!("t"))
    );
    assert_eq!(f.texts(ALICE), ["hello"]);
    // A group must be there.
    let (status, answer) = f.script("iMessage;+;chat831", "hello", "t").await;
    assert_eq!(status, 500);
    let words = answer["error"]["message"].as_str().unwrap();
    assert!(words.contains("(-1728)") && words.contains("hello") && words.contains("chat831"));
    f.server.mac(|mac| mac.automation_allowed = false);
    let (_, answer) = f.script("iMessage;-;+15550100001", "hello", "t").await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("(-1743)"));
}

#[tokio::test]
async fn on_macos_26_apple_script_needs_the_guid_that_is_there() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.upgrade_to_26();
    let (status, answer) = f.script(&chat, "old guid", "t").await;
    assert_eq!(status, 500);
    assert!(answer["error"]["message"].as_str().unwrap().contains("(-1700)"));
    assert_eq!(f.script(&chat.replace("iMessage", "any"), "new guid", "t").await.0, 200);
    assert_eq!(f.texts(ALICE), ["new guid"]);
}

#[tokio::test]
async fn a_text_without_ascii_letters_matches_another_such_row() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.fail_send(SendFault::RowLate(Duration::from_secs(5)));
    let send = f.script(&chat, "Привет", "t");
    let other = async {
        f.server.until(LIMIT, |server| !server.carried_out().is_empty()).await;
        f.server.owner_writes(&chat, "Пока")
    };
    let ((status, answer), other) = tokio::join!(send, other);
    assert_eq!(status, 200);
    assert_eq!(answer["data"]["guid"], other.guid.as_str());
    assert_eq!(answer["data"]["text"], "Пока");
    // Letters keep them apart.
    f.server.fail_send(SendFault::RowLate(Duration::from_millis(100)));
    let send = f.script(&chat, "one!", "t");
    let other = async { f.server.owner_writes(&chat, "two") };
    let ((status, answer), _) = tokio::join!(send, other);
    assert_eq!((status, &answer["data"]["text"]), (200, &json!("one!")));
}

#[tokio::test]
async fn apple_script_can_send_twice() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.fail_send(SendFault::SentTwice);
    assert_eq!(f.script(&chat, "twice", "t").await.0, 200);
    f.server.fail_send(SendFault::SentTwiceByFallback);
    assert_eq!(f.script(&chat, "fallback", "t").await.0, 200);
    assert_eq!(f.texts(ALICE), ["twice", "twice", "fallback", "fallback"]);
    assert_eq!(f.server.carried_out().len(), 4);
}

#[tokio::test]
async fn apple_script_ends_badly_in_three_ways() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    // No row in time: the key `data` is there and null.
    f.server.fail_send(SendFault::NoRow { sent: true });
    let (status, answer) = f.script(&chat, "no row", "t").await;
    assert_eq!(status, 500);
    assert_eq!(
        answer["error"]["message"],
        "Failed to send message! See attached message error code."
    );
    assert_eq!(answer.get("data"), Some(&Value::Null));
    // A row with an error.
    f.server.fail_send(SendFault::RowFails(22));
    let (_, answer) = f.script(&chat, "row fails", "t").await;
    assert_eq!(
        (&answer["data"]["error"], &answer["data"]["text"]),
        (&json!(22), &json!("row fails"))
    );
    // An error of osascript after all was done.
    f.server.fail_send(SendFault::Osascript { code: -1712, sent: true });
    let (_, answer) = f.script(&chat, "sent all the same", "t").await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("sent all the same"));
    assert_eq!(f.texts(ALICE), ["no row", "sent all the same"]);
}

#[tokio::test]
async fn the_wrong_guid_can_be_named() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let (_, first) = f.send(&chat, "first").await;
    f.server.fail_send(SendFault::WrongGuid(None));
    let (status, second) = f.send(&chat, "second").await;
    assert_eq!((status, &second["data"]["guid"]), (200, &first["data"]["guid"]));
    assert_eq!(f.texts(ALICE), ["first", "second"]);
}

#[tokio::test]
async fn who_is_not_on_imessage_gets_nothing() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    f.server.available(ALICE, false);
    let (_, answer) = f.get("handle/availability/imessage?address=%2B15550100001").await;
    assert_eq!(answer["data"]["available"], false);
    assert_eq!(f.send(&chat, "hi").await.0, 500);
    assert!(f.server.received_by(ALICE).is_empty());
}

#[tokio::test]
async fn a_reaction_has_six_names_and_its_own_guid() {
    let f = Fixture::new().await;
    let written = f.server.contact_writes(ALICE, "hi");
    let react = |reaction: &str| {
        let body = json!({ "chatGuid": written.chat, "selectedMessageGuid": written.guid, "reaction": reaction });
        f.post("message/react", body)
    };
    let (status, answer) = react("love").await;
    assert_eq!((status, &answer["message"]), (200, &json!("Reaction sent!")));
    assert_ne!(answer["data"]["guid"], written.guid.as_str());
    assert_eq!(answer["data"]["associatedMessageGuid"], format!("p:0/{}", written.guid));
    assert_eq!(answer["data"]["associatedMessageType"], "love");
    assert_eq!(answer["data"]["text"], "Loved “hi”");
    assert_eq!(react("-love").await.1["data"]["associatedMessageType"], "-love");
    for wrong in ["🔥", "hate"] {
        let (status, answer) = react(wrong).await;
        assert_eq!(status, 400);
        assert_eq!(answer["error"]["message"], "The selected reaction is invalid.");
    }
    let body =
        json!({ "chatGuid": written.chat, "selectedMessageGuid": "none", "reaction": "love" });
    let (status, answer) = f.post("message/react", body).await;
    assert_eq!(status, 400);
    assert_eq!(answer["error"]["message"], "Selected message does not exist!");
}

#[tokio::test]
async fn an_edit_is_a_success_even_if_nothing_changed() {
    let f = Fixture::new().await;
    let chat = f.server.direct_chat(ALICE);
    let (_, sent) = f.send(&chat, "one").await;
    let guid = sent["data"]["guid"].as_str().unwrap();
    let path = format!("message/{guid}/edit");
    let edit = |text: &str| {
        let body = json!({ "editedMessage": text, "backwardsCompatibilityMessage": text });
        f.post(&path, body)
    };
    let (status, answer) = edit("two").await;
    assert_eq!((status, &answer["data"]["text"]), (200, &json!("two")));
    assert!(answer["data"]["dateEdited"].is_number());
    assert_eq!(f.texts(ALICE), ["two"]);
    f.server.faults(|faults| faults.edits_ignored = true);
    f.server.timing(|timing| timing.change_wait = Duration::from_millis(50));
    let before = answer["data"]["dateEdited"].clone();
    let (status, answer) = edit("three").await;
    assert_eq!((status, &answer["data"]["dateEdited"]), (200, &before));
    assert_eq!(f.texts(ALICE), ["two"]);
    f.server.faults(|faults| faults.edits_ignored = false);

    let (status, answer) = f.post(&format!("message/{guid}/unsend"), json!({})).await;
    assert_eq!((status, &answer["data"]["text"]), (200, &Value::Null));
    assert_eq!(answer["data"]["partCount"], 0);
    assert_eq!(answer["data"]["dateRetracted"], Value::Null);
    assert_eq!(answer["data"]["messageSummaryInfo"][0]["retractedParts"], json!([0]));
    assert!(f.server.received_by(ALICE)[0].unsent);

    f.server.mac(|mac| mac.os_version = "12.6".to_owned());
    assert_eq!(edit("four").await.0, 500);
}
