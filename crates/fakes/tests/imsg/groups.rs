//! rpc.md, "chats.create" and the methods of groups.

use serde_json::json;
use switchboard_fakes::imsg::Mac;

use crate::program::Imsg;

const ANN: &str = "+15550100001";
const BOB: &str = "+15550100002";

#[tokio::test]
async fn a_chat_is_made_with_all_addresses_or_not_at_all() {
    let mac = Mac::start();
    mac.contact(BOB).has_only_sms();
    let mut imsg = Imsg::start(&mac);
    assert_eq!(
        imsg.code("chats.create", json!({ "addresses": [ANN, BOB], "text": "hi" })).await,
        -32603
    );
    assert_eq!(imsg.code("chats.create", json!({ "addresses": [] })).await, -32602);
    assert_eq!(
        imsg.code("chats.create", json!({ "addresses": [ANN], "service": "SMS" })).await,
        -32602
    );
    assert_eq!(imsg.ok("chats.list", json!({})).await["chats"], json!([]));

    let made = imsg
        .ok(
            "chats.create",
            json!({ "addresses": [ANN, "eve@example.com"], "name": "Team", "text": "hi" }),
        )
        .await;
    assert!(made["chat_guid"].as_str().unwrap().starts_with("iMessage;+;chat"), "{made}");
    let received = mac.received_by("eve@example.com");
    assert_eq!((json!(received[0].guid), received[0].group), (made["message_guid"].clone(), true));
    let made = imsg.ok("chats.create", json!({ "addresses": [ANN] })).await;
    assert_eq!(
        (&made["chat_guid"], made.get("message_guid")),
        (&json!(format!("iMessage;-;{ANN}")), None)
    );
}

#[tokio::test]
async fn groups_are_changed_by_the_helper_and_direct_chats_are_not() {
    let mac = Mac::start();
    let team = mac.group("Team", &[ANN, BOB]);
    let ann = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    imsg.ok("group.rename", json!({ "chat_id": team, "name": "Crew" })).await;
    imsg.ok("group.addParticipant", json!({ "chat_id": team, "address": "Eve@Example.com" })).await;
    imsg.ok("group.removeParticipant", json!({ "chat_id": team, "address": BOB })).await;
    imsg.ok("group.setIcon", json!({ "chat_id": team })).await;
    let chat = mac.chat(team).unwrap();
    assert_eq!(
        (&*chat.name, chat.participants),
        ("Crew", vec![ANN.to_owned(), "eve@example.com".to_owned()])
    );
    assert_eq!(imsg.code("group.rename", json!({ "chat_id": ann, "name": "x" })).await, -32603);
    imsg.ok("group.leave", json!({ "chat_id": team })).await;
    assert!(mac.chat(team).unwrap().participants.is_empty());
    // Each is an empty row to whoever reads.
    assert!(mac.rows().iter().all(|row| row.chat == Some(team) && row.text.is_empty()));
    assert_eq!(mac.rows().len(), 5);
    imsg.ok("chats.delete", json!({ "chat_id": team })).await;
    assert!(mac.chat(team).is_none());
}
