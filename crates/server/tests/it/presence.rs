//! Typing and read receipts, both ways (§6, §9): listed, told to who asks, and over in time.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use switchboard_client::{CreateWebhook, SendMessage};
use switchboard_model::{Code, EventKind, outbox::OutboxStatus, time::Clock};
use switchboard_testkit::{LINE, Receiver, Setup, Tenant, TestClock, TestServer};

use crate::{
    call::{Call, assert_refused, query},
    fixtures::{phone, reads, texts, types},
    live::Live,
    world::{CONTACT, OPEN, STRANGER, settled},
};

async fn post(server: &TestServer, tenant: &Tenant, path: &str, state: Option<&str>) {
    let mut body = json!({ "from": LINE, "to": CONTACT });
    if let Some(state) = state {
        body["state"] = state.into();
    }
    let answer = Call::post(path, &body).key(&tenant.key).send(&server.url).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let item = answer.body["id"].as_str().unwrap().parse().unwrap();
    let item = settled(tenant, item, OutboxStatus::Sent).await;
    assert_eq!((item.payload, item.message_id), (body, None));
}

#[tokio::test]
async fn the_line_types_and_reads() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let before = server.text(LINE, CONTACT, "hello").await;
    assert!(before.message_id.is_some());
    for (state, typing) in [(None, true), (Some("off"), false), (Some("on"), true)] {
        post(&server, &tenant, "/v1/typing", state).await;
        let shown: Vec<_> =
            phone(&server, CONTACT).await.typing.iter().map(ToString::to_string).collect();
        assert_eq!(shown, if typing { vec![LINE.to_owned()] } else { Vec::new() }, "{state:?}");
    }
    assert!(phone(&server, CONTACT).await.read.is_empty());
    post(&server, &tenant, "/v1/receipts", None).await;
    let read = phone(&server, CONTACT).await.read;
    assert_eq!((read.len(), read[0].line.as_str()), (1, LINE));
    server.stop().await;
}

#[tokio::test]
async fn nothing_of_it_begins_a_chat() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.open_line(tenant.account, OPEN).await;
    for path in ["/v1/typing", "/v1/receipts"] {
        for (from, to, code) in [
            (LINE, STRANGER, Code::ContactHasNotMessaged),
            (OPEN, STRANGER, Code::ChatNotFound),
            (LINE, "cht_x", Code::ChatNotFound),
        ] {
            let body = json!({ "from": from, "to": to });
            let answer = Call::post(path, &body).key(&tenant.key).send(&server.url).await;
            assert_refused(path, &answer, code, Some("to"));
        }
        let list = Call::get(query(path, &[("from", LINE), ("to", STRANGER)])).key(&tenant.key);
        assert_refused(path, &list.send(&server.url).await, Code::ChatNotFound, Some("to"));
    }
    assert!(tenant.client.chats(OPEN).send().await.unwrap().value.data.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn the_line_that_sends_types_no_more() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let events = "?event=typing.started&event=typing.stopped&event=message.sent";
    let mut live = Live::open(&server, &tenant.key, events).await;
    post(&server, &tenant, "/v1/typing", Some("on")).await;
    let send = SendMessage::text(LINE, CONTACT, "hello yourself");
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    settled(&tenant, item, OutboxStatus::Sent).await;
    let (_, started, on) = live.next().await;
    let (_, stopped, off) = live.next().await;
    let (_, sent, message) = live.next().await;
    assert_eq!(
        [&*started, &*stopped, &*sent],
        ["typing.started", "typing.stopped", "message.sent"]
    );
    assert_eq!((&off["id"], &off["handle"]), (&on["id"], &json!(LINE)));
    assert_eq!((&off["is_typing"], &off["chat_id"]), (&json!(false), &message["chat_id"]));
    assert!(!tenant.client.typing(LINE, CONTACT).await.unwrap().value.data[0].is_typing);
    assert!(phone(&server, CONTACT).await.typing.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_contact_types_until_told_otherwise_or_a_minute_is_over() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let chat = server.text(LINE, CONTACT, "hello").await.chat_id.unwrap();
    let started = clock.now();
    let mut live =
        Live::open(&server, &tenant.key, "?event=typing.started&event=typing.stopped").await;
    assert!(tenant.client.typing(LINE, CONTACT).await.unwrap().value.data.is_empty());

    let next = async |live: &mut Live, event: &str| {
        let (_, name, data) = live.next().await;
        assert_eq!(name, event);
        assert_eq!(
            (data["handle"].as_str(), data["line_handle"].as_str()),
            (Some(CONTACT), Some(LINE))
        );
        assert_eq!(data["chat_id"], chat.to_string());
        assert_eq!(data["is_typing"], event == "typing.started");
        data
    };
    types(&server, LINE, CONTACT, "on").await;
    let on = next(&mut live, "typing.started").await;
    let list = tenant.client.typing(LINE, chat.to_string()).await.unwrap().value;
    assert_eq!((list.has_more, list.next_cursor), (false, None));
    assert_eq!((list.data.len(), list.data[0].is_typing), (1, true));
    assert_eq!(on["id"], list.data[0].id.to_string());
    assert_eq!(list.data[0].updated_at, started);

    // Off by a word.
    types(&server, LINE, CONTACT, "off").await;
    assert_eq!(next(&mut live, "typing.stopped").await["id"], on["id"]);
    assert!(!tenant.client.typing(LINE, CONTACT).await.unwrap().value.data[0].is_typing);

    // Off by a message.
    types(&server, LINE, CONTACT, "on").await;
    next(&mut live, "typing.started").await;
    server.text(LINE, CONTACT, "written").await;
    next(&mut live, "typing.stopped").await;

    // Renewed, it goes on; not renewed, it is over after 60 s.
    types(&server, LINE, CONTACT, "on").await;
    next(&mut live, "typing.started").await;
    clock.advance(Duration::from_secs(50));
    types(&server, LINE, CONTACT, "on").await;
    clock.advance(Duration::from_millis(59_999));
    assert!(tenant.client.typing(LINE, CONTACT).await.unwrap().value.data[0].is_typing);
    clock.advance(Duration::from_millis(1));
    let over = &tenant.client.typing(LINE, CONTACT).await.unwrap().value.data[0];
    assert!(!over.is_typing, "also before anybody was told");
    // The job looks once a second; from when it counts is its own affair.
    let data = loop {
        clock.advance(Duration::from_secs(1));
        let told = next(&mut live, "typing.stopped");
        if let Ok(data) = tokio::time::timeout(Duration::from_millis(50), told).await {
            break data;
        }
    };
    let end = (started + Duration::from_secs(110)).millis();
    assert_eq!(data["updated_at"], end, "it ended when its time was over");
    server.stop().await;
}

#[tokio::test]
async fn a_contact_reads_and_who_asks_is_told() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let (asked, unasked) = (Receiver::start().await, Receiver::start().await);
    let ext = [EventKind::ReceiptRead, EventKind::TypingStarted, EventKind::TypingStopped];
    let own = [EventKind::MessageReceived, EventKind::ReactionAdded];
    for (receiver, events) in [(&asked, &ext[..]), (&unasked, &own[..])] {
        let webhook = CreateWebhook::new(LINE, receiver.url(), events.iter().copied());
        tenant.client.create_webhook(&webhook).await.unwrap();
    }
    let chat = server.text(LINE, CONTACT, "hello").await.chat_id.unwrap();
    let mut default = Live::open(&server, &tenant.key, "").await;
    let mut named = Live::open(&server, &tenant.key, "?event=receipt.read").await;
    assert!(tenant.client.receipts(LINE, CONTACT).await.unwrap().value.data.is_empty());
    types(&server, LINE, CONTACT, "on").await;
    reads(&server, LINE, CONTACT).await;
    let (_, name, data) = named.next().await;
    assert_eq!(name, "receipt.read");
    assert_eq!(
        (data["handle"].as_str(), data["line_handle"].as_str()),
        (Some(CONTACT), Some(LINE))
    );
    let list = tenant.client.receipts(LINE, chat.to_string()).await.unwrap().value;
    assert_eq!((list.has_more, list.next_cursor, list.data.len()), (false, None, 1));
    assert_eq!(data["id"], list.data[0].id.to_string());
    assert_eq!(data["last_read_at"], list.data[0].last_read_at.millis());

    let told = asked.wait_for(2, crate::world::SOON).await.unwrap();
    let told: Vec<_> = told.iter().map(switchboard_testkit::receiver::Delivery::event).collect();
    assert_eq!(told, ["typing.started", "receipt.read"]);
    // What comes next is a message: nobody who did not name them has got the others before it.
    texts(&server, &json!({ "line": LINE, "from": CONTACT, "text": "last" })).await;
    assert_eq!(default.texts(1).await, [("message.received".to_owned(), "last".to_owned())]);
    let got = unasked.wait_for(2, crate::world::SOON).await.unwrap();
    let got: Vec<_> = got.iter().map(|delivery| delivery.json()["data"]["text"].clone()).collect();
    assert_eq!(got, ["hello", "last"]);
    server.stop().await;
}
