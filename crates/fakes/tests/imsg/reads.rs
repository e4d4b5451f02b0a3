//! rpc.md, "chats.list", "chats.get", "messages.after", "messages.history", "handles.check"; json.md.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_fakes::imsg::{Mac, MacOs, Settings};

use crate::program::Imsg;

const ANN: &str = "+15550100001";
const BOB: &str = "+15550100002";

fn texts(page: &Value) -> Vec<&str> {
    page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_go_up_by_rowid_and_the_end_keeps_the_cursor() {
    let mac = Mac::start();
    for n in 0..5 {
        mac.contact(ANN).writes(&n.to_string());
    }
    let mut imsg = Imsg::start(&mac);
    let first = imsg.ok("messages.after", json!({ "since_rowid": 0, "limit": 3 })).await;
    assert_eq!((texts(&first), &first["has_more"]), (vec!["0", "1", "2"], &json!(true)));
    let next = first["next_rowid"].as_i64().unwrap();
    let second = imsg.ok("messages.after", json!({ "since_rowid": next })).await;
    assert_eq!((texts(&second), &second["has_more"]), (vec!["3", "4"], &json!(false)));
    let end = second["next_rowid"].as_i64().unwrap();
    let third = imsg.ok("messages.after", json!({ "since_rowid": end })).await;
    assert_eq!(third, json!({ "messages": [], "next_rowid": end, "has_more": false }));
    // A cursor above the newest row says nothing, for ever.
    let beyond = imsg.ok("messages.after", json!({ "since_rowid": end + 1000 })).await;
    assert_eq!(beyond["next_rowid"], end + 1000);
}

#[tokio::test]
async fn a_message_has_the_fields_of_the_documentation_and_no_null() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let first = mac.contact(ANN).writes("are you open?");
    mac.contact(ANN).sends_file("IMG_0007.HEIC", b"heic");
    let mut imsg = Imsg::start(&mac);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0, "attachments": true })).await;
    let [text, picture] = &page["messages"].as_array().unwrap()[..] else { panic!("{page}") };
    assert!(text.as_object().unwrap().values().all(|value| !value.is_null()), "{text}");
    assert_eq!(text["chat_id"], chat);
    assert_eq!(text["chat_guid"], format!("iMessage;-;{ANN}"));
    assert_eq!(text["participants"], json!([ANN]));
    assert_eq!(
        (&text["sender"], &text["is_from_me"], &text["is_read"]),
        (&json!(ANN), &json!(false), &json!(false))
    );
    assert_eq!(text["created_at"].as_str().unwrap().len(), "2026-11-02T08:59:58.412Z".len());
    for absent in
        ["service", "edited", "subject", "thread_originator_guid", "is_reaction", "date_read"]
    {
        assert!(text.get(absent).is_none(), "{absent}");
    }
    // Set on ordinary messages that follow another: no reply.
    assert_eq!(picture["reply_to_guid"], first);
    assert_eq!(picture["text"], "\u{fffc}");
    let file = &picture["attachments"][0];
    assert_eq!(
        (&file["uti"], &file["mime_type"], &file["total_bytes"]),
        (&json!("public.heic"), &json!("image/heic"), &json!(4))
    );
    assert_eq!(file["missing"], false);
    assert!(file["filename"].as_str().unwrap().starts_with("~/Library/Messages/Attachments/"));
    assert_eq!(std::fs::read(file["original_path"].as_str().unwrap()).unwrap(), b"heic");

    let bare = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    assert_eq!(bare["messages"][1]["attachments"], json!([]));
}

#[tokio::test]
async fn reactions_are_rows_only_if_asked_for() {
    let mac = Mac::start();
    let guid = mac.contact(ANN).writes("hi");
    mac.contact(ANN).reacts(&guid, "love");
    mac.contact(ANN).reacts(&guid, "🔥");
    mac.contact(ANN).unreacts(&guid, "🔥");
    mac.owner().reacts(&guid, "emphasis");
    let mut imsg = Imsg::start(&mac);
    let without = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    assert_eq!(without["messages"].as_array().unwrap().len(), 1);
    // The cursor has passed them for good.
    assert_eq!(without["next_rowid"], mac.rows().last().unwrap().rowid);
    let with =
        imsg.ok("messages.after", json!({ "since_rowid": 0, "include_reactions": true })).await;
    let rows = with["messages"].as_array().unwrap();
    let kinds = rows[1..].iter().map(|row| {
        (row["reaction_type"].as_str().unwrap(), row["is_reaction_add"].as_bool().unwrap())
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [("love", true), ("custom", true), ("custom", false), ("emphasis", true)]
    );
    assert!(
        rows[1..].iter().all(|row| row["reacted_to_guid"] == *guid && row["is_reaction"] == true)
    );
    assert_eq!(rows[2]["reaction_emoji"], "🔥");
    // The present state is on the message itself.
    let now = rows[0]["reactions"].as_array().unwrap();
    assert_eq!(now.len(), 1);
    assert_eq!((&now[0]["type"], &now[0]["is_from_me"]), (&json!("emphasis"), &json!(true)));
}

#[tokio::test]
async fn a_row_before_its_join_looks_like_a_direct_message_of_no_chat() {
    let mac = Mac::start();
    let team = mac.group("Team", &[ANN, BOB]);
    let guid = mac.contact(ANN).draft("hello all").in_chat(team).unjoined().arrive();
    let mut imsg = Imsg::start(&mac);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    let row = &page["messages"][0];
    assert_eq!(
        (&row["chat_id"], &row["chat_guid"], &row["chat_identifier"]),
        (&json!(0), &json!(""), &json!(""))
    );
    assert_eq!((&row["participants"], &row["is_group"]), (&json!([]), &json!(false)));
    assert_eq!(page["next_rowid"], row["id"]);
    mac.join(&guid);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    assert_eq!(
        (&page["messages"][0]["chat_id"], &page["messages"][0]["is_group"]),
        (&json!(team), &json!(true))
    );
}

#[tokio::test]
async fn a_file_can_come_later_and_a_body_too() {
    let mac = Mac::start();
    let guid = mac.contact(ANN).draft("").missing_file("photo.jpg", b"jpeg").arrive();
    let empty = mac.contact(ANN).writes("");
    let mut imsg = Imsg::start(&mac);
    let params = json!({ "since_rowid": 0, "attachments": true });
    let page = imsg.ok("messages.after", params.clone()).await;
    let file = &page["messages"][0]["attachments"][0];
    assert_eq!((&file["missing"], &file["total_bytes"]), (&json!(true), &json!(0)));
    assert_eq!(page["messages"][1]["text"], "");
    mac.download(&guid);
    mac.fill_body(&empty, "late");
    let page = imsg.ok("messages.after", params).await;
    let file = &page["messages"][0]["attachments"][0];
    assert_eq!((&file["missing"], &file["total_bytes"]), (&json!(false), &json!(4)));
    assert_eq!(page["messages"][1]["text"], "late");
}

#[tokio::test]
async fn link_previews_are_folded_and_can_leave_a_page_empty() {
    let mac = Mac::start();
    mac.contact(ANN).draft("https://example.com/").with_preview().arrive();
    let mut imsg = Imsg::start(&mac);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0, "limit": 1 })).await;
    assert_eq!(
        page["messages"][0]["url_preview"]["balloon_bundle_id"],
        "com.apple.messages.URLBalloonProvider"
    );
    assert_eq!(page["next_rowid"], mac.rows()[1].rowid);
    mac.contact(ANN).writes("next");
    let page =
        imsg.ok("messages.after", json!({ "since_rowid": mac.rows()[0].rowid, "limit": 1 })).await;
    assert_eq!((&page["messages"], &page["has_more"]), (&json!([]), &json!(true)));
    let page =
        imsg.ok("messages.after", json!({ "since_rowid": page["next_rowid"], "limit": 1 })).await;
    assert_eq!(texts(&page), ["next"]);
}

#[tokio::test]
async fn edits_and_unsends_show_only_to_who_reads_again() {
    let mac = Mac::start();
    let (one, two) = (mac.contact(ANN).writes("one"), mac.contact(ANN).writes("two"));
    let mut imsg = Imsg::start(&mac);
    let before = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    mac.contact(ANN).edits(&one, "uno");
    mac.contact(ANN).unsends(&two);
    let after = imsg.ok("messages.after", json!({ "since_rowid": before["next_rowid"] })).await;
    assert_eq!(after["messages"], json!([]));
    let chat = mac.chat_with(ANN);
    let history = imsg.ok("messages.history", json!({ "chat_id": chat })).await;
    assert_eq!(texts(&history), ["", "uno"]);
    assert_eq!(history["messages"][1]["id"], before["messages"][0]["id"]);
}

#[tokio::test]
async fn what_icloud_fills_in_is_a_new_row_with_an_old_date() {
    let mac = Mac::start();
    mac.contact(ANN).writes("today");
    let old = mac.now() - Duration::from_secs(86_400 * 400);
    mac.contact(ANN).draft("last year").written_at(old).arrive();
    let mut imsg = Imsg::start(&mac);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    assert_eq!(texts(&page), ["today", "last year"]);
    assert!(
        page["messages"][1]["created_at"].as_str() < page["messages"][0]["created_at"].as_str()
    );
    let history = imsg.ok("messages.history", json!({ "chat_id": mac.chat_with(ANN) })).await;
    assert_eq!(texts(&history), ["today", "last year"]);
}

#[tokio::test]
async fn a_replaced_database_is_another_history_and_nobody_says_so() {
    let mac = Mac::start();
    mac.contact(ANN).writes("before");
    let cursor = mac.rows()[0].rowid;
    let mut imsg = Imsg::start(&mac);
    mac.replace_database(10);
    let guid = mac.contact(ANN).writes("after");
    let page = imsg.ok("messages.after", json!({ "since_rowid": cursor })).await;
    assert_eq!(page["messages"], json!([]));
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    assert_eq!(
        (&page["messages"][0]["id"], &page["messages"][0]["guid"]),
        (&json!(11), &json!(guid))
    );
}

#[tokio::test]
async fn chats_are_listed_newest_first() {
    let mac = Mac::start();
    let (ann, bob) = (mac.chat_with(ANN), mac.chat_with(BOB));
    let team = mac.group("Team", &[ANN, BOB]);
    mac.contact(ANN).writes_in(team, "1");
    mac.contact(BOB).writes("2");
    mac.contact(ANN).writes("3");
    let mut imsg = Imsg::start(&mac);
    let list = imsg.ok("chats.list", json!({})).await;
    let ids = list["chats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chat| chat["id"].as_i64().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(ids, [ann, bob, team]);
    assert_eq!(list["chats"][0]["unread_count"], 1);
    let chat = imsg.ok("chats.get", json!({ "chat_id": team })).await;
    assert_eq!(
        (&chat["is_group"], &chat["name"], &chat["participants"]),
        (&json!(true), &json!("Team"), &json!([ANN, BOB]))
    );
    assert!(chat.get("unread_count").is_none());
    assert_eq!(imsg.code("chats.get", json!({ "chat_id": 999 })).await, -32602);
    let unread = imsg.ok("chats.list", json!({ "unread_only": true, "limit": 2 })).await;
    assert_eq!(unread["chats"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn macos_26_has_other_guids_and_groups_that_look_direct() {
    let mac = Mac::with(Settings { macos: MacOs::Tahoe26, ..Settings::default() });
    let ann = mac.chat_with(ANN);
    let team = mac.group("Team", &[ANN, BOB]);
    mac.list_groups_as_direct();
    let odd = mac.group("Odd", &[ANN, BOB]);
    let mut imsg = Imsg::start(&mac);
    for (id, kind, group) in
        [(ann, "any;-;+", false), (team, "any;+;chat", true), (odd, "any;-;chat", false)]
    {
        let chat = imsg.ok("chats.get", json!({ "chat_id": id })).await;
        assert!(chat["guid"].as_str().unwrap().starts_with(kind), "{chat}");
        assert_eq!(chat["is_group"], group, "{chat}");
    }
}

#[tokio::test]
async fn an_update_to_macos_26_renames_the_chats() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    mac.set_macos(MacOs::Tahoe26);
    mac.rename_chats();
    assert_eq!(mac.chat(chat).unwrap().guid, format!("any;-;{ANN}"));
}

#[tokio::test]
async fn group_events_are_empty_rows() {
    let mac = Mac::start();
    let team = mac.group("Team", &[ANN, BOB]);
    mac.rename_group(team, "Crew");
    let mut imsg = Imsg::start(&mac);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    let row = &page["messages"][0];
    assert_eq!(
        (&row["text"], &row["attachments"], &row["chat_name"]),
        (&json!(""), &json!([]), &json!("Crew"))
    );
}

#[tokio::test]
async fn threaded_replies_name_their_parent() {
    let mac = Mac::start();
    let parent = mac.contact(ANN).writes("We open at 9");
    mac.contact(ANN).replies(&parent, "thanks");
    let mut imsg = Imsg::start(&mac);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    let reply = &page["messages"][1];
    assert_eq!(
        (&reply["thread_originator_guid"], &reply["thread_originator_part"]),
        (&json!(parent), &json!("0:0:12"))
    );
    assert_eq!(
        (&reply["reply_to_text"], &reply["reply_to_sender"]),
        (&json!("We open at 9"), &json!(ANN))
    );
}

#[tokio::test]
async fn addresses_are_checked_by_the_helper() {
    let mac = Mac::start();
    mac.contact(BOB).has_only_sms();
    let mut imsg = Imsg::start(&mac);
    let ann = imsg.ok("handles.check", json!({ "address": ANN })).await;
    assert_eq!(
        (&ann["available"], &ann["id_status"], &ann["destination"]),
        (&json!(true), &json!(1), &json!(format!("tel:{ANN}")))
    );
    let bob = imsg.ok("handles.check", json!({ "address": BOB })).await;
    assert_eq!((&bob["available"], &bob["id_status"]), (&json!(false), &json!(2)));
    assert_eq!(
        imsg.code("handles.check", json!({ "address": ANN, "service": "SMS" })).await,
        -32602
    );
}

#[tokio::test]
async fn a_mac_with_two_numbers_says_which_one_was_meant() {
    let mac = Mac::start();
    let other = "+15550888888";
    mac.contact(ANN).writes("one");
    mac.contact(BOB).draft("two").addressed_to(other).arrive();
    let bob = mac.chat_with(BOB);
    let mut imsg = Imsg::start(&mac);
    imsg.ok("send", json!({ "chat_id": bob, "text": "three" })).await;
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    let own = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["destination_caller_id"].as_str().unwrap());
    assert_eq!(own.collect::<Vec<_>>(), ["+15550999999", other, other]);
    assert_eq!(
        imsg.ok("chats.get", json!({ "chat_id": bob })).await["last_addressed_handle"],
        other
    );
}

#[tokio::test]
async fn what_the_owner_writes_elsewhere_is_an_own_row_and_on_the_phone() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let guid = mac.owner().writes(chat, "from my phone");
    assert_eq!(mac.contact(ANN).times_received("from my phone"), 1);
    let mut imsg = Imsg::start(&mac);
    let page = imsg.ok("messages.after", json!({ "since_rowid": 0 })).await;
    let row = &page["messages"][0];
    assert_eq!(
        (&row["guid"], &row["is_from_me"], &row["sender"]),
        (&json!(guid), &json!(true), &json!(""))
    );
    assert_eq!(mac.mutations(), []);
}
