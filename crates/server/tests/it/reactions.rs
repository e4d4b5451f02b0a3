//! Reactions, both ways: each occurrence is an event of its own, the list shows the latest of each.

use serde_json::{Value, json};
use switchboard_client::{CreateWebhook, SendReaction};
use switchboard_model::{Code, EventKind, ReactionType, outbox::OutboxStatus};
use switchboard_testkit::{LINE, Receiver, Tenant, TestServer, judge::judge_event};

use crate::{
    call::{Call, assert_refused},
    fixtures::{phone, reacts},
    live::Live,
    world::{CONTACT, SOON, STRANGER, settled},
};

async fn react(tenant: &Tenant, reaction: SendReaction) -> Value {
    let item = tenant.client.send_reaction(&reaction).await.unwrap().value.id;
    settled(tenant, item, OutboxStatus::Sent).await.payload
}

/// The list as (type, sender, from me, there), oldest first.
async fn listed(tenant: &Tenant, message: &str) -> Vec<(String, String, bool, bool)> {
    let list = tenant.client.reactions(message).await.unwrap().value;
    assert_eq!((list.has_more, list.next_cursor), (false, None));
    list.data
        .into_iter()
        .map(|one| (one.reaction_type.to_string(), one.sender, one.is_from_me, one.added))
        .collect()
}

fn row(kind: &str, sender: &str, added: bool) -> (String, String, bool, bool) {
    (kind.to_owned(), sender.to_owned(), sender == LINE, added)
}

#[tokio::test]
async fn the_line_reacts_and_takes_it_back() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let texted = server.text(LINE, CONTACT, "how is it?").await;
    let (id, guid) = (texted.message_id.unwrap().to_string(), texted.guid);
    let chat = texted.chat_id.unwrap().to_string();
    let kinds: Vec<String> = ReactionType::NAMED.iter().map(ToString::to_string).collect();
    let emoji = ["👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "🎉"].map(str::to_owned);
    // By id and by guid, to the contact and to the chat.
    let ways = [(&id, CONTACT), (&guid, CONTACT), (&id, chat.as_str()), (&guid, chat.as_str())];
    let all: Vec<_> = kinds.iter().chain(&emoji).collect();
    for (at, kind) in all.iter().enumerate() {
        let (message, to) = ways[at % ways.len()];
        let payload = react(&tenant, SendReaction::new(LINE, to, message, kind)).await;
        let written = json!({ "from": LINE, "to": to, "message_id": message, "type": kind });
        assert_eq!(payload, written, "as the caller wrote it");
    }
    // As in Messages, each new one has taken the place of the one before.
    let rows: Vec<_> = all.iter().map(|kind| row(kind, LINE, *kind == "🎉")).collect();
    assert_eq!(listed(&tenant, &id).await, rows);
    let shown = phone(&server, CONTACT).await.reactions;
    let shows = |kind: &str| {
        shown.iter().any(|one| {
            one.reaction.reaction_type.to_string() == kind
                && one.reaction.from.as_str() == LINE
                && one.message_guid == guid
        })
    };
    assert!(shows("🎉"), "the phone shows what was said last: {shown:?}");

    react(&tenant, SendReaction::new(LINE, CONTACT, &id, "🎉").remove()).await;
    let rows = listed(&tenant, &guid).await;
    assert_eq!(rows.last(), Some(&row("🎉", LINE, false)), "what happened last is last");
    assert_eq!(rows.len(), all.len(), "one row for each sender and type");
    let shown = phone(&server, CONTACT).await.reactions;
    assert!(!shown.iter().any(|one| one.reaction.reaction_type.to_string() == "🎉"), "{shown:?}");
    server.stop().await;
}

#[tokio::test]
async fn each_occurrence_is_told_with_an_id_of_its_own() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let events = [EventKind::ReactionAdded, EventKind::ReactionRemoved];
    let webhook = CreateWebhook::new(LINE, receiver.url(), events);
    let secret = tenant.client.create_webhook(&webhook).await.unwrap().value.secret.unwrap();
    let texted = server.text(LINE, CONTACT, "hello").await;
    let mut live = Live::open(&server, &tenant.key, "").await;
    let (guid, id) = (texted.guid.as_str(), texted.message_id.unwrap().to_string());

    // The contact reacts, takes it back, reacts again; then the line does.
    for remove in [false, true, false] {
        let told = reacts(&server, LINE, CONTACT, (guid, "love"), remove).await;
        assert_eq!(told["message_id"], id.as_str());
    }
    react(&tenant, SendReaction::new(LINE, CONTACT, guid, "like")).await;
    react(&tenant, SendReaction::new(LINE, CONTACT, guid, "like").remove()).await;
    // A new one takes the place of the older one of the same sender.
    reacts(&server, LINE, CONTACT, (guid, "laugh"), false).await;
    for kind in ["love", "question"] {
        react(&tenant, SendReaction::new(LINE, CONTACT, guid, kind)).await;
    }

    let expected = [
        ("reaction.added", "love", CONTACT),
        ("reaction.removed", "love", CONTACT),
        ("reaction.added", "love", CONTACT),
        ("reaction.added", "like", LINE),
        ("reaction.removed", "like", LINE),
        ("reaction.removed", "love", CONTACT),
        ("reaction.added", "laugh", CONTACT),
        ("reaction.added", "love", LINE),
        ("reaction.removed", "love", LINE),
        ("reaction.added", "question", LINE),
    ];
    let deliveries = receiver.wait_for(expected.len(), SOON).await.unwrap();
    let mut ids = Vec::new();
    for (delivery, (event, kind, sender)) in deliveries.iter().zip(expected) {
        delivery.verify(&secret).unwrap();
        let body = delivery.json();
        let data = &body["data"];
        judge_event(event, data);
        let (_, name, streamed) = live.next().await;
        assert_eq!((body["event"].as_str(), name.as_str()), (Some(event), event));
        assert_eq!(*data, streamed, "webhook and stream tell the same, in the same order");
        assert_eq!((data["type"].as_str(), data["sender"].as_str()), (Some(kind), Some(sender)));
        assert_eq!(data["added"], event == "reaction.added");
        assert_eq!(data["is_from_me"], sender == LINE);
        assert_eq!(data["message_id"], id.as_str());
        assert_eq!(data["chat_id"], texted.chat_id.unwrap().to_string());
        assert_eq!(data["line_handle"], LINE);
        ids.push(data["id"].to_string());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), expected.len(), "each occurrence has its own id");
    let rows = [
        row("like", LINE, false),
        row("love", CONTACT, false),
        row("laugh", CONTACT, true),
        row("love", LINE, false),
        row("question", LINE, true),
    ];
    assert_eq!(listed(&tenant, &id).await, rows);
    server.stop().await;
}

#[tokio::test]
async fn only_a_message_of_the_chat_can_be_reacted_to() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let here = server.text(LINE, CONTACT, "here").await;
    let there = server.text(LINE, STRANGER, "there").await;
    let (here, there) = (here.message_id.unwrap().to_string(), there.guid);
    for (to, message, kind, code, param) in [
        (CONTACT, there.as_str(), "love", Code::MessageNotFound, Some("message_id")),
        (CONTACT, "msg_x", "love", Code::MessageNotFound, Some("message_id")),
        ("+15550100044", &here, "love", Code::ContactHasNotMessaged, Some("to")),
        ("cht_x", &here, "love", Code::ChatNotFound, Some("to")),
        (CONTACT, &here, "🎉🎉", Code::InvalidParameterValue, Some("type")),
        (CONTACT, &here, "Love", Code::InvalidParameterValue, Some("type")),
        (CONTACT, "obx_x", "love", Code::InvalidParameterValue, Some("message_id")),
    ] {
        let body = json!({ "from": LINE, "to": to, "message_id": message, "type": kind });
        let answer = Call::post("/v1/reactions", &body).key(&tenant.key).send(&server.url).await;
        assert_refused(&body.to_string(), &answer, code, param);
    }
    assert!(listed(&tenant, &here).await.is_empty());
    let unknown = tenant.client.reactions("no such guid").await.unwrap_err();
    assert_eq!(unknown.code(), Some(Code::MessageNotFound));
    server.stop().await;
}
