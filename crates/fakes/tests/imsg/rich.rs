//! rpc.md, "Bridge Message Actions".

use std::{fs, time::Duration};

use serde_json::json;
use switchboard_fakes::imsg::{Fault, Mac};

use crate::program::Imsg;

const ANN: &str = "+15550100001";

#[tokio::test]
async fn a_rich_message_has_subject_effect_and_parent() {
    let mac = Mac::start();
    let parent = mac.contact(ANN).writes("hi");
    let chat = mac.chat_with(ANN);
    let mut imsg = Imsg::start(&mac);
    let params = json!({
        "chat_id": chat, "message": "hello", "effect": "slam", "subject": "Re", "reply_to": parent, "part_index": 0,
    });
    let sent = imsg.ok("send.rich", params).await;
    assert!(sent.get("id").is_none(), "text is not looked for: {sent}");
    let received = &mac.received_by(ANN)[0];
    assert_eq!(
        (received.effect.as_deref(), received.subject.as_deref()),
        (Some("slam"), Some("Re"))
    );
    assert_eq!(
        (json!(received.guid), received.reply_to.as_ref()),
        (sent["guid"].clone(), Some(&parent))
    );
    for bad in [
        json!({ "to": ANN, "text": "x" }),
        json!({ "chat_id": chat }),
        json!({ "chat_id": chat, "text": "x", "message": "y" }),
        json!({ "chat_id": chat, "url": "https://example.com", "text": "x" }),
    ] {
        assert_eq!(imsg.code("send.rich", bad.clone()).await, -32602, "{bad}");
    }
    let orphan = json!({ "chat_id": chat, "text": "x", "reply_to": "no such" });
    assert_eq!(imsg.error("send.rich", orphan).await["data"]["disposition"], "not_started");
}

#[tokio::test]
async fn what_is_looked_for_has_its_row_in_the_answer() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let file = mac.folder().join("photo.jpg");
    fs::write(&file, b"jpeg").unwrap();
    let mut imsg = Imsg::start(&mac);
    let sent = imsg.ok("send.rich", json!({ "chat_id": chat, "text": "look", "file": file })).await;
    assert_eq!(sent["id"], mac.rows()[0].rowid);
    let parts = json!([{ "text": "one " }, { "text": "two" }]);
    let sent = imsg.ok("send.multipart", json!({ "chat_id": chat, "parts": parts })).await;
    assert_eq!((&sent["id"], &sent["parts_count"]), (&json!(mac.rows()[1].rowid), &json!(2)));
    assert_eq!(mac.received_by(ANN)[1].text, "one two");
    mac.fault("send.multipart", Fault::GhostRow);
    assert_eq!(
        imsg.code("send.multipart", json!({ "chat_id": chat, "parts": [{ "text": "x" }] })).await,
        -32001
    );
    for parts in [json!([]), json!([{ "text": "" }]), json!([{ "file": "/tmp/x" }]), json!(["x"])] {
        let params = json!({ "chat_id": chat, "parts": parts });
        assert_eq!(imsg.code("send.multipart", params.clone()).await, -32602, "{params}");
    }
}

#[tokio::test]
async fn a_voice_message_becomes_caf_or_is_not_sent() {
    let mac = Mac::start();
    let chat = mac.chat_with(ANN);
    let (audio, text) = (mac.folder().join("note.m4a"), mac.folder().join("note.txt"));
    fs::write(&audio, b"m4a").unwrap();
    fs::write(&text, b"txt").unwrap();
    let mut imsg = Imsg::start(&mac);
    mac.fault("send.attachment", Fault::NoGuid);
    let sent = imsg
        .ok("send.attachment", json!({ "chat_id": chat, "file": audio, "as_voice": true }))
        .await;
    assert!(sent.get("guid").is_none());
    let file = &mac.received_by(ANN)[0].files[0];
    assert_eq!((&*file.name, file.voice), ("Audio Message.caf", true));
    let bad = json!({ "chat_id": chat, "file": text, "audio": true });
    assert_eq!(imsg.error("send.attachment", bad).await["data"]["disposition"], "not_started");
    for bad in [
        json!({ "text": "caption" }),
        json!({ "part_index": 0 }),
        json!({ "audio": true, "is_audio": true }),
    ] {
        let mut params = json!({ "chat_id": chat, "file": audio });
        params.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        assert_eq!(imsg.code("send.attachment", params.clone()).await, -32602, "{params}");
    }
    assert_eq!(mac.received_by(ANN).len(), 1);
}

#[tokio::test]
async fn tapbacks_are_confirmed_by_their_row() {
    let mac = Mac::start();
    let guid = mac.contact(ANN).writes("hi");
    let mut imsg = Imsg::start(&mac);
    let chat = mac.chat_with(ANN);
    let own = imsg.ok("send", json!({ "chat_id": chat, "text": "hello" })).await["guid"].clone();
    let target = format!("p:0/{}", own.as_str().unwrap());
    for (params, answer) in [
        (
            json!({ "message_id": target, "reaction": "emphasize" }),
            json!({ "ok": true, "reaction": "emphasize" }),
        ),
        (
            json!({ "message_guid": own, "kind": "remove-!!" }),
            json!({ "ok": true, "reaction": "remove-emphasize" }),
        ),
        (json!({ "message_id": own, "emoji": "🎉" }), json!({ "ok": true, "emoji": "🎉" })),
        (
            json!({ "message_id": guid, "reaction": "heart", "remove": false }),
            json!({ "ok": true, "reaction": "love" }),
        ),
    ] {
        let mut all = params.clone();
        all["chat_id"] = chat.into();
        assert_eq!(imsg.ok("tapback", all).await, answer, "{params}");
    }
    assert_eq!(mac.received_by(ANN)[0].reactions, ["🎉"]);
    let page =
        imsg.ok("messages.after", json!({ "since_rowid": 0, "include_reactions": true })).await;
    let rows = page["messages"].as_array().unwrap();
    let kinds = rows[2..]
        .iter()
        .map(|row| (row["reaction_type"].as_str().unwrap(), row["is_reaction_add"] == true));
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [("emphasis", true), ("emphasis", false), ("custom", true), ("love", true)]
    );
    assert!(rows[2..].iter().all(|row| row["is_from_me"] == true));
    assert_eq!(
        imsg.code(
            "tapback",
            json!({ "chat_id": chat, "message_id": "no such", "reaction": "love" })
        )
        .await,
        -32603
    );
}

#[tokio::test]
async fn own_messages_are_edited_and_taken_back_in_place() {
    let mac = Mac::start();
    let theirs = mac.contact(ANN).writes("hi");
    let chat = mac.chat_with(ANN);
    let old = mac.now() - Duration::from_secs(20 * 60);
    let stale = mac.owner().draft(chat, "long ago").written_at(old).arrive();
    let mut imsg = Imsg::start(&mac);
    let guid = imsg.ok("send", json!({ "chat_id": chat, "text": "helo" })).await["guid"].clone();
    assert_eq!(
        imsg.ok("message.edit", json!({ "chat_id": chat, "message_id": guid, "text": "hello" }))
            .await,
        json!({ "ok": true })
    );
    let shown = &mac.received_by(ANN)[1];
    assert_eq!((&*shown.text, shown.edited), ("hello", true));
    imsg.ok("message.unsend", json!({ "chat_id": chat, "message_id": guid })).await;
    assert!(mac.received_by(ANN)[1].unsent);
    assert_eq!(mac.row(guid.as_str().unwrap()).unwrap().text, "");
    for guid in [theirs, stale] {
        let params = json!({ "chat_id": chat, "message_id": guid, "text": "x" });
        assert_eq!(imsg.code("message.edit", params).await, -32603);
    }
}
