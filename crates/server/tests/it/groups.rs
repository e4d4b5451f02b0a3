//! Groups beyond [`crate::messages`]: what changes in them, files, reactions and typing in them.

use serde_json::json;
use switchboard_model::{Code, outbox::OutboxStatus};
use switchboard_testkit::{LINE, TestServer};

use crate::{
    call::{Call, assert_refused, query},
    fixtures::{Sample, phone, reacts, texts},
    live::Live,
    world::{CONTACT, SECOND, STRANGER, add_line, settled},
};

#[tokio::test]
async fn a_group_is_written_to_by_its_id_and_by_nothing_else() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let second = add_line(&server, tenant.account, SECOND).await;
    let (ann, bob) = (CONTACT, STRANGER);
    server.text(LINE, ann, "only to you").await;
    server.text(SECOND, ann, "to the other line").await;
    let group = server.phones().group(LINE, Some("Friends"), &[ann, bob]).await.unwrap().value;
    let group = group.to_string();
    let chats = tenant.client.chats(LINE).send().await.unwrap().value.data;
    let identifier = &chats.iter().find(|chat| chat.id.to_string() == group).unwrap().identifier;
    let memo = Sample::memo().uploaded(&server, &tenant.key).await;
    let write = async |path: &str, from: &str, to: &str, message: &str| {
        let body = json!({
            "from": from, "to": to, "text": "x", "audio_message": memo,
            "message_id": message, "type": "love",
        });
        Call::post(path, &body).key(&tenant.key).send(&server.url).await
    };
    let writes =
        ["/v1/messages", "/v1/audio-messages", "/v1/reactions", "/v1/typing", "/v1/receipts"];
    for path in writes {
        // Contact-first is of the group: that Ann has written in the 1:1 chat opens nothing.
        let answer = write(path, LINE, &group, "msg_x").await;
        assert_refused(path, &answer, Code::ContactHasNotMessaged, Some("to"));
        let answer = write(path, SECOND, &group, "msg_x").await;
        assert_refused(path, &answer, Code::ChatNotFound, Some("to"));
        let answer = write(path, LINE, identifier, "msg_x").await;
        assert_refused(path, &answer, Code::InvalidParameterValue, Some("to"));
    }

    let mut live = Live::open(&server, &tenant.key, "").await;
    let text = json!({ "line": LINE, "from": bob, "chat_id": group, "text": "to all",
                       "attachments": [Sample::png().attached()] });
    let texted = texts(&server, &text).await;
    let guid = texted["guid"].as_str().unwrap();
    let (_, _, data) = live.next().await;
    assert_eq!((data["chat_id"].as_str(), data["sender"].as_str()), (Some(&*group), Some(bob)));
    assert_eq!(data["attachments"].as_array().unwrap().len(), 1);
    for path in writes {
        let answer = write(path, LINE, &group, guid).await;
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
        let item = answer.body["id"].as_str().unwrap().parse().unwrap();
        settled(&tenant, item, OutboxStatus::Sent).await;
    }
    reacts(&server, LINE, ann, (guid, "laugh"), false).await;
    for handle in [ann, bob] {
        let shown = phone(&server, handle).await;
        let memos = shown.messages.iter().filter(|message| message.is_audio_message).count();
        assert_eq!(memos, 1, "{handle}");
        let love = shown.reactions.iter().any(|one| one.message_guid == guid);
        assert!(love, "{handle}: {:?}", shown.reactions);
    }
    let senders: Vec<_> = tenant
        .client
        .reactions(guid)
        .await
        .unwrap()
        .value
        .data
        .into_iter()
        .map(|one| one.sender)
        .collect();
    assert_eq!(senders, [LINE, ann]);

    // Nothing of it in the 1:1 chats, nor on the other line.
    let with_ann = tenant.client.messages(LINE, ann).send().await.unwrap().value.data;
    assert_eq!(with_ann.len(), 1);
    for (from, to) in [(LINE, bob), (SECOND, group.as_str())] {
        let call = Call::get(query("/v1/messages", &[("from", from), ("to", to)]));
        let answer = call.key(&tenant.key).send(&server.url).await;
        assert_refused(to, &answer, Code::ChatNotFound, Some("to"));
    }
    assert_eq!(
        tenant.client.chats(second.id.to_string()).send().await.unwrap().value.data.len(),
        1
    );
    let all = tenant.client.messages(LINE, &group).send().await.unwrap().value.data;
    let senders: Vec<_> = all.iter().map(|message| message.sender.as_str()).collect();
    assert_eq!(senders, [LINE, LINE, bob]);
    server.stop().await;
}
