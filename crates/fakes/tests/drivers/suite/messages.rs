//! Texts, both ways.

use std::time::Duration;

use http::Method;
use serde_json::json;
use switchboard_client::{Event, SendMessage};
use switchboard_model::{
    EventKind,
    line::Capability,
    outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};

use super::{Desk, Mode, Seen};
use crate::rig::{ANN, BOB, LINE};

pub(super) async fn a_text_goes_out_and_its_answer_comes_in(mode: Mode) {
    let desk = Desk::open(mode).await;
    let kinds = [EventKind::MessageReceived, EventKind::MessageSent];
    let mut stream = desk.client().events().events(kinds).open().await.unwrap();

    let came = desk.hears(ANN, "Are you open?").await;
    assert_eq!((&*came.sender, came.is_from_me, came.outbox_id), (ANN, false, None));
    assert_eq!((came.service, came.attachments.len()), (Some(desk.can.service), 0));
    let told = desk.told("message.received", |data| data["guid"] == came.guid).await;
    assert_eq!((&told["text"], &told["line_handle"]), (&json!("Are you open?"), &json!(LINE)));

    let message = SendMessage::text(LINE, ANN, "We open at nine.");
    let accepted = desk.client().send_message(&message).await.unwrap();
    assert_eq!((accepted.status, accepted.value.status), (201, OutboxStatus::Pending));
    let item = desk.done(accepted.value.id).await;
    let sent = desk.rig.message(ANN, "We open at nine.").await;
    assert_eq!((item.attempts, item.message_id), (1, Some(sent.id)));
    assert_eq!((&*sent.sender, sent.is_from_me, sent.outbox_id), (LINE, true, Some(item.id)));
    assert_eq!(sent.service, Some(desk.can.service));
    let shown = desk.phones.shown(ANN).await;
    assert_eq!((shown.len(), &*shown[0].text), (1, "We open at nine."));
    if mode != Mode::AndroidSms {
        assert_eq!(shown[0].guid, sent.guid);
    }
    let told = desk.told("message.sent", |data| data["guid"] == sent.guid).await;
    assert_eq!(told["outbox_id"], item.id.to_string());

    // The stream has the two, and both stand in the chat, the newest first: the echo is no message.
    for guid in [&came.guid, &sent.guid] {
        let next = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
        match next.expect("an event comes").unwrap().unwrap().data {
            Event::MessageReceived(event) | Event::MessageSent(event) => {
                assert_eq!(&event.message.guid, guid);
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }
    let page = desk.client().messages(LINE, ANN).send().await.unwrap().value.data;
    assert_eq!(page.iter().map(|one| one.id).collect::<Vec<_>>(), [sent.id, came.id]);
    let chats = desk.client().chats(LINE).send().await.unwrap().value.data;
    assert_eq!(chats.len(), 1);
    assert_eq!((&*chats[0].identifier, chats[0].has_received_inbound), (ANN, true));
    assert_eq!((chats[0].is_group, chats[0].service), (Some(false), desk.can.service));
    assert!(chats[0].last_message_at.is_some());
    assert_eq!(desk.all_told("message.received").len(), 1);
    desk.close().await;
}

pub(super) async fn what_a_text_says_arrives_as_it_was_written(mode: Mode) {
    let desk = Desk::open(mode).await;
    let texts = [
        "\"Quotes\", 'single' ones, a \\ and a \\n that is none",
        "two\nlines\tand a tab",
        "да, 🎉👩‍👩‍👧 and é",
        "<b>&amp; %41 $HOME `date` #{1}",
        "ok",
        "ok",
    ];
    for text in texts {
        desk.hears(ANN, text).await;
        let item = desk.rig.sent(ANN, text).await;
        assert_eq!((item.status, item.error), (OutboxStatus::Sent, None), "{text}");
    }
    let shown: Vec<_> = desk.phones.shown(ANN).await.into_iter().map(|one| one.text).collect();
    assert_eq!(shown, texts);
    let messages = desk.rig.messages(ANN).await;
    let own = messages.iter().filter(|one| one.is_from_me).filter_map(|one| one.text.as_deref());
    assert_eq!(own.collect::<Vec<_>>(), texts);
    desk.close().await;
}

pub(super) async fn what_is_asked_twice_under_one_key_is_sent_once(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    let client = desk.client().with_idempotency_key("order-4711").unwrap();
    let message = SendMessage::text(LINE, ANN, "once");
    let first = client.send_message(&message).await.unwrap();
    desk.done(first.value.id).await;
    let second = client.send_message(&message).await.unwrap();
    assert_eq!((second.value, first.replayed, second.replayed), (first.value, false, true));
    let other = client.send_message(&SendMessage::text(LINE, ANN, "another")).await.unwrap_err();
    assert_eq!(other.status(), Some(422));
    desk.sends(ANN, "and on").await;
    let shown: Vec<_> = desk.phones.shown(ANN).await.into_iter().map(|one| one.text).collect();
    assert_eq!(shown, ["once", "and on"]);
    desk.close().await;
}

pub(super) async fn a_reply_points_at_its_message_or_is_said_plainly(mode: Mode) {
    let desk = Desk::open(mode).await;
    let hello = desk.hears(ANN, "hello").await;
    let reply = SendMessage::text(LINE, ANN, "hi").reply_to(&hello.guid);
    let id = desk.client().send_message(&reply).await.unwrap().value.id;
    desk.done(id).await;
    let shown = desk.shown(ANN, "hi").await;
    let points_at = desk.can.does(Capability::Replies).then_some(hello.guid);
    assert_eq!((shown.len(), &shown[0].reply_to), (1, &points_at));
    let sent = desk.rig.message(ANN, "hi").await;
    assert_eq!(sent.outbox_id, Some(id));

    let is_there = desk.phones.replies(ANN, &sent.guid, "how are you?").await;
    assert_eq!(is_there, desk.can.sees(Seen::Replies));
    if is_there {
        let answer = desk.rig.message(ANN, "how are you?").await;
        assert_eq!(answer.reply_to_guid, Some(sent.guid));
    }
    desk.close().await;
}

pub(super) async fn somebody_new_is_written_to_or_refused(mode: Mode) {
    let desk = Desk::open(mode).await;
    desk.hears(ANN, "hello").await;
    if mode == Mode::ImsgMacos26 {
        // It can, and there it often comes to nothing, as its page says: of that nobody is told that it went out.
        let item = desk.rig.sent(BOB, "Nice to meet you.").await;
        assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
        assert!(desk.phones.shown(BOB).await.is_empty());
    } else if desk.can.does(Capability::NewChats) {
        let sent = desk.sends(BOB, "Nice to meet you.").await;
        assert_eq!(desk.shown(BOB, "Nice to meet you.").await.len(), 1);
        // The answer comes into the same chat.
        let answer = desk.hears(BOB, "And you.").await;
        assert_eq!(answer.chat_id, sent.chat_id);
    } else {
        let body = json!({ "from": LINE, "to": BOB, "text": "Nice to meet you." });
        desk.is_refused("/v1/messages", body, Capability::NewChats).await;
        assert!(desk.phones.shown(BOB).await.is_empty());
    }
    desk.close().await;
}

pub(super) async fn nobody_is_written_to_first_where_contacts_come_first(mode: Mode) {
    let desk = Desk::contact_first(mode).await;
    let body = json!({ "from": LINE, "to": ANN, "text": "Buy now!" });
    let refused = desk.client().request_json(Method::POST, "/v1/messages", &body).await.unwrap();
    let error = json!({
        "type": "invalid_request_error", "code": "contact_has_not_messaged", "param": "to",
        "message": "Cannot send to a contact who has not messaged this line first.",
    });
    assert_eq!((refused.status, &refused.body["error"]), (403, &error));
    desk.hears(ANN, "hello").await;
    desk.sends(ANN, "Hello.").await;
    let shown: Vec<_> = desk.phones.shown(ANN).await.into_iter().map(|one| one.text).collect();
    assert_eq!(shown, ["Hello."]);
    desk.close().await;
}
