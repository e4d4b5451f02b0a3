//! Messages: sent, listed newest first, paged, answered.

use serde_json::json;
use switchboard_client::{ContactText, SendMessage};
use switchboard_model::{Code, Message, outbox::OutboxStatus::Sent};
use switchboard_testkit::{LINE, Tenant, TestServer};

use crate::{
    call::{Call, assert_request_id, query},
    world::{CONTACT, OPEN, STRANGER, settled},
};

async fn texts_in(server: &TestServer, from: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        server.text(LINE, from, &number.to_string()).await;
    }
}

fn numbers(messages: &[Message]) -> Vec<usize> {
    messages.iter().map(|message| message.text.as_ref().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn pages_are_as_long_as_asked_and_end() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    texts_in(&server, CONTACT, 0..105).await;
    let pages = || tenant.client.messages(LINE, CONTACT);

    let page = pages().send().await.unwrap().value;
    assert_eq!(numbers(&page.data), (55..105).rev().collect::<Vec<_>>(), "50, newest first");
    assert!(page.has_more && page.next_cursor.is_some());
    let page = pages().limit(1000).send().await.unwrap().value;
    assert_eq!(page.data.len(), 100, "above 100 is taken as 100");
    let page = pages().limit(100).cursor(page.next_cursor.unwrap()).send().await.unwrap().value;
    assert_eq!(numbers(&page.data), [4, 3, 2, 1, 0]);
    assert_eq!((page.has_more, page.next_cursor), (false, None));
    let page = pages().limit(105).send().await.unwrap().value;
    let last = pages().limit(5).cursor(page.next_cursor.unwrap()).send().await.unwrap().value;
    assert_eq!((last.data.len(), last.has_more), (5, false), "a full last page is the last");
    let all = pages().limit(7).all(1000).await.unwrap();
    assert_eq!(numbers(&all), (0..105).rev().collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn a_walk_skips_and_repeats_nothing_while_rows_arrive() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    texts_in(&server, CONTACT, 0..10).await;
    let mut walk = tenant.client.messages(LINE, CONTACT).limit(3).walk();
    let mut seen = Vec::new();
    while let Some(message) = walk.next().await.unwrap() {
        seen.push(message);
        let arrived = 9 + seen.len();
        texts_in(&server, CONTACT, arrived..arrived + 1).await;
    }
    assert_eq!(numbers(&seen), (0..10).rev().collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn a_cursor_is_bound_to_its_list_and_filters() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let other = server.tenant("+15550100005").await;
    texts_in(&server, CONTACT, 0..3).await;
    texts_in(&server, STRANGER, 0..3).await;
    server.text(&other.line, CONTACT, "0").await;
    let messages = tenant.client.messages(LINE, CONTACT).limit(1);
    let of_messages = messages.send().await.unwrap().value.next_cursor.unwrap();
    let chats = tenant.client.chats(LINE).limit(1);
    let of_chats = chats.send().await.unwrap().value.next_cursor.unwrap();

    let list = |from: &str, to: &str, cursor: &str| {
        query("/v1/messages", &[("from", from), ("to", to), ("cursor", cursor)])
    };
    let mut cut = of_messages.clone();
    cut.pop();
    for (key, path) in [
        (&tenant.key, list(LINE, STRANGER, &of_messages)),
        (&tenant.key, list(LINE, CONTACT, &of_chats)),
        (&tenant.key, list(LINE, CONTACT, &cut)),
        (&tenant.key, list(LINE, CONTACT, "AAAA")),
        (&tenant.key, query("/v1/chats", &[("from", LINE), ("cursor", &of_messages)])),
        (&other.key, list(&other.line, CONTACT, &of_messages)),
        (&other.key, query("/v1/chats", &[("from", &other.line), ("cursor", &of_chats)])),
    ] {
        let answer = Call::get(&path).key(key).send(&server.url).await;
        let code = Code::InvalidParameterValue;
        crate::call::assert_refused(&path, &answer, code, Some("cursor"));
    }
    // Another length of page is no other query.
    let next = tenant.client.messages(LINE, CONTACT).limit(2).cursor(of_messages);
    assert_eq!(numbers(&next.send().await.unwrap().value.data), [1, 0]);
    server.stop().await;
}

#[tokio::test]
async fn a_group_is_a_chat_of_its_own() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let (ann, bob) = (CONTACT, STRANGER);
    server.text(LINE, ann, "only to you").await;
    let group = server.phones().group(LINE, Some("Friends"), &[ann, bob]).await.unwrap().value;

    // Contact-first holds for groups too: the 1:1 chat with Ann opens nothing.
    let hello = SendMessage::text(LINE, group.to_string(), "hello, both");
    let refused = tenant.client.send_message(&hello).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::ContactHasNotMessaged));

    let mut text = ContactText::new(LINE, bob, "to all");
    text.chat_id = Some(group.to_string());
    let texted = server.phones().text(&text).await.unwrap().value;
    assert_eq!(texted.chat_id, Some(group));
    let item = tenant.client.send_message(&hello).await.unwrap().value.id;
    settled(&tenant, item, Sent).await;
    for handle in [ann, bob] {
        let shown = server.phones().phone(handle).await.unwrap().value.messages;
        let texts: Vec<_> = shown.iter().filter_map(|message| message.text.as_deref()).collect();
        assert!(texts.ends_with(&["hello, both"]), "{texts:?}");
    }

    let all = tenant.client.messages(LINE, group.to_string()).send().await.unwrap().value.data;
    let texts: Vec<_> = all.iter().filter_map(|message| message.text.as_deref()).collect();
    assert_eq!(texts, ["hello, both", "to all"]);
    assert_eq!((all[1].sender.as_str(), all[1].is_from_me), (bob, false));
    let with_ann = tenant.client.messages(LINE, ann).send().await.unwrap().value.data;
    assert_eq!(with_ann.len(), 1, "nothing of the group in the 1:1 chat");
    let with_bob = tenant.client.messages(LINE, bob).send().await.unwrap_err();
    assert_eq!(with_bob.code(), Some(Code::ChatNotFound), "Bob has only written in the group");
    let chats = tenant.client.chats(LINE).send().await.unwrap().value.data;
    let found = chats.iter().find(|chat| chat.id == group).unwrap();
    assert_eq!((found.is_group, found.name.as_deref()), (Some(true), Some("Friends")));
    assert_eq!(found.participants.as_deref(), Some(&[ann.to_owned(), bob.to_owned()][..]));
    server.stop().await;
}

#[tokio::test]
async fn a_reply_names_its_message_by_id_or_guid() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let texted = server.text(LINE, CONTACT, "a question").await;
    let id = texted.message_id.unwrap().to_string();
    for (name, text) in [(id.as_str(), "by id"), (&texted.guid, "by guid")] {
        let answer = SendMessage::text(LINE, CONTACT, text).reply_to(name);
        let item = tenant.client.send_message(&answer).await.unwrap().value.id;
        let item = settled(&tenant, item, Sent).await;
        assert_eq!(item.payload["reply_to"], name, "as the caller wrote it");
        let shown = server.phones().phone(CONTACT).await.unwrap().value.messages.pop().unwrap();
        assert_eq!(shown.reply_to_guid.as_ref(), Some(&texted.guid));
        let newest = newest(&tenant, CONTACT).await;
        assert_eq!(newest.reply_to_guid.as_ref(), Some(&texted.guid));
        assert_eq!(newest.outbox_id, Some(item.id));
        assert_eq!(Some(newest.id), item.message_id);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_send_is_answered_with_exactly_three_fields_and_kept_as_it_was_written() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    let longest = "𝕏".repeat(20_000);
    for (to, text) in [
        ("+1 (555) 010-0002", "Grüße, 世界! 👩‍👩‍👧‍👦 \u{202e}rtl\u{202c} \"quoted\" \\n \n\t"),
        ("Bob.Smith@Example.COM", "  spaces around  "),
        ("+15550100033", longest.as_str()),
    ] {
        let body = json!({
            "from": OPEN, "to": to, "text": text, "unknown": [1, { "x": null }], "reply_to": null
        });
        let call = Call::post("/v1/messages", &body).key(&tenant.key);
        let answer = call.send(&server.url).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_request_id(to, &answer);
        let id = answer.body["id"].as_str().unwrap();
        let request_id = &answer.body["request_id"];
        assert_eq!(answer.body, json!({ "id": id, "status": "pending", "request_id": request_id }));
        let item = settled(&tenant, id.parse().unwrap(), Sent).await;
        assert_eq!(item.payload, json!({ "from": OPEN, "to": to, "text": text }));

        let handle: switchboard_model::Handle = to.parse().unwrap();
        let shown =
            server.phones().phone(handle.as_str()).await.unwrap().value.messages.pop().unwrap();
        assert_eq!(shown.text.as_deref(), Some(text));
        let listed = tenant.client.messages(OPEN, to).send().await.unwrap().value.data;
        let message = &listed[0];
        assert_eq!(message.text.as_deref(), Some(text));
        assert_eq!((message.sender.as_str(), message.is_from_me), (OPEN, true));
    }
    let over = SendMessage::text(OPEN, CONTACT, format!("{longest}x"));
    let refused = tenant.client.send_message(&over).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidParameterValue));
    server.stop().await;
}

#[tokio::test]
async fn a_plus_may_stand_in_the_query_as_it_is() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let line_id = tenant.line_id;
    for path in [
        format!("/v1/messages?from={LINE}&to={CONTACT}"),
        format!("/v1/messages?to={CONTACT}&from={LINE}&unknown=%ff"),
        format!("/v1/messages?from={line_id}&to=%2B1%20(555)%20010-0002"),
        format!("/v1/messages?from={LINE}&to=+1+555+010+0002"),
        format!("/v1/messages?from={LINE}&to={CONTACT}&from={STRANGER}"),
    ] {
        let answer = Call::get(&path).key(&tenant.key).send(&server.url).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.body["data"][0]["text"], "hello", "{path}");
    }
    server.stop().await;
}

async fn newest(tenant: &Tenant, with: &str) -> Message {
    let page = tenant.client.messages(LINE, with).limit(1).send().await.unwrap().value;
    page.data.into_iter().next().unwrap()
}
