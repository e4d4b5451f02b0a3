//! message.updated (§9): what becomes of a message after it was there, from phone to webhook.

use serde_json::{Value, json};
use switchboard_client::{ContactText, CreateWebhook, SendMessage};
use switchboard_model::{Code, EventKind, Message, outbox::OutboxStatus};
use switchboard_testkit::{LINE, Receiver, Tenant, TestServer, judge::judge_event};

use crate::{
    call::{Call, assert_refused},
    fixtures::{Sample, phone, reacts, reads},
    live::Live,
    world::{CONTACT, SOON, settled},
};

async fn shown(tenant: &Tenant, guid: &str) -> Message {
    let messages = tenant.client.messages(LINE, CONTACT).send().await.unwrap().value.data;
    messages.into_iter().find(|message| message.guid == guid).unwrap()
}

/// Sends a text, and waits for its message.
async fn sends(tenant: &Tenant, text: &str) -> Message {
    let send = SendMessage::text(LINE, CONTACT, text);
    let item = tenant.client.send_message(&send).await.unwrap().value.id;
    let id = settled(tenant, item, OutboxStatus::Sent).await.message_id.unwrap();
    let messages = tenant.client.messages(LINE, CONTACT).send().await.unwrap().value.data;
    messages.into_iter().find(|message| message.id == id).unwrap()
}

/// What an event tells of a message, is what the list shows.
async fn told(tenant: &Tenant, data: &Value) -> Message {
    assert_eq!(data["line_handle"], LINE);
    let message: Message = serde_json::from_value(data.clone()).unwrap();
    let shown = shown(tenant, &message.guid).await;
    assert_eq!(with_plain_urls(shown), with_plain_urls(message.clone()));
    message
}

/// Without what a URL is signed with: its time is that at which it was made.
fn with_plain_urls(mut message: Message) -> Message {
    for url in message.attachments.iter_mut().filter_map(|file| file.url.as_mut()) {
        url.truncate(url.find("&expires=").unwrap());
    }
    message
}

#[tokio::test]
async fn a_contact_edits_and_takes_back_and_who_asks_is_told() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let (asked, unasked) = (Receiver::start().await, Receiver::start().await);
    let own = [EventKind::MessageReceived, EventKind::MessageSent];
    let mut secret = None;
    for (receiver, events) in [(&unasked, &own[..]), (&asked, &[EventKind::MessageUpdated])] {
        let webhook = CreateWebhook::new(LINE, receiver.url(), events.iter().copied());
        secret = tenant.client.create_webhook(&webhook).await.unwrap().value.secret;
    }
    let mut default = Live::open(&server, &tenant.key, "").await;
    let mut named = Live::open(&server, &tenant.key, "?event=message.updated").await;
    let phones = server.phones();
    let text = ContactText {
        attachments: vec![contact_file(&Sample::png())],
        ..ContactText::new(LINE, CONTACT, "at 5?")
    };
    let texted = phones.text(&text).await.unwrap().value;
    let before = shown(&tenant, &texted.guid).await;
    assert_eq!(
        [before.edited_at, before.unsent_at, before.delivered_at, before.read_at],
        [None; 4]
    );

    // By id, and by guid.
    let edited = phones.edit(texted.message_id.unwrap(), "at 6?").await.unwrap().value;
    assert_eq!(edited, texted, "the same message");
    let (_, name, data) = named.next().await;
    assert_eq!(name, "message.updated");
    let after = told(&tenant, &data).await;
    assert_eq!((after.text.as_deref(), after.unsent_at), (Some("at 6?"), None));
    assert!(after.edited_at.is_some() && after.id == before.id);
    assert_eq!(after.attachments.len(), 1);
    let change = phone(&server, CONTACT).await.changes.remove(0);
    assert_eq!((change.text, change.edited_at), (after.text, after.edited_at));
    phones.edit(&texted.guid, "at 7?").await.unwrap();
    assert_eq!(told(&tenant, &named.next().await.2).await.text.as_deref(), Some("at 7?"));

    assert_eq!(phones.unsend(&texted.guid).await.unwrap().value, texted);
    let gone = told(&tenant, &named.next().await.2).await;
    assert_eq!((gone.text, gone.attachments), (None, Vec::new()), "nothing of it is shown");
    assert!(gone.unsent_at.is_some() && gone.edited_at.is_some());
    // The same again is no change, and there is nothing left to edit.
    phones.unsend(texted.message_id.unwrap()).await.unwrap();
    let refused = phones.edit(&texted.guid, "at 8?").await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::MessageNotFound));

    let deliveries = asked.wait_for(3, SOON).await.unwrap();
    for delivery in &deliveries {
        delivery.verify(secret.as_ref().unwrap()).unwrap();
        assert_eq!(delivery.event(), "message.updated");
        judge_event("message.updated", &delivery.json()["data"]);
    }
    // What comes next is a message: nobody who did not name them has got the others before it.
    server.text(LINE, CONTACT, "last").await;
    let texts = [("message.received", "at 5?"), ("message.received", "last")];
    assert_eq!(default.texts(2).await, texts.map(|(name, text)| (name.into(), text.into())));
    let got = unasked.wait_for(2, SOON).await.unwrap();
    assert_eq!(got[1].json()["data"]["text"], "last");
    assert_eq!(asked.wait_for(3, SOON).await.unwrap().len(), 3);
    server.stop().await;
}

fn contact_file(sample: &Sample) -> switchboard_client::ContactFile {
    switchboard_client::ContactFile::new(sample.mime_type, &sample.bytes).filename(sample.name)
}

#[tokio::test]
async fn what_the_line_sent_is_delivered_and_then_read() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let events = "?event=message.sent&event=receipt.read&event=message.updated";
    let mut live = Live::open(&server, &tenant.key, events).await;
    let mut sent = Vec::new();
    for text in ["one", "two"] {
        let message = sends(&tenant, text).await;
        assert_eq!(message.delivered_at, Some(message.sent_at), "the phone has it at once");
        assert_eq!(message.read_at, None);
        let (_, name, data) = live.next().await;
        assert_eq!((name.as_str(), told(&tenant, &data).await), ("message.sent", message.clone()));
        sent.push(message);
    }
    reads(&server, LINE, CONTACT).await;
    let (_, name, receipt) = live.next().await;
    assert_eq!(name, "receipt.read");
    for message in sent {
        let (_, name, data) = live.next().await;
        assert_eq!(name, "message.updated");
        let read = told(&tenant, &data).await;
        assert_eq!(read.read_at.unwrap().millis(), receipt["last_read_at"]);
        assert_eq!(Message { read_at: None, ..read }, message, "nothing else is new");
    }
    // What is read is read: a second look tells of the newer ones only.
    let third = sends(&tenant, "three").await;
    live.next().await;
    reads(&server, LINE, CONTACT).await;
    assert_eq!(live.next().await.1, "receipt.read");
    assert_eq!(live.next().await.2["id"], third.id.to_string());
    // The contact's own message is not the line's to be read.
    let messages = tenant.client.messages(LINE, CONTACT).send().await.unwrap().value.data;
    assert_eq!(messages.iter().filter(|message| message.read_at.is_some()).count(), 3);
    server.stop().await;
}

#[tokio::test]
async fn what_happens_at_once_to_a_message_is_never_lost() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let mut live = Live::open(&server, &tenant.key, "?event=message.updated").await;
    // As soon as the phone shows it, however far its report has come.
    for count in 1..=20 {
        let send = SendMessage::text(LINE, CONTACT, format!("{count}"));
        tenant.client.send_message(&send).await.unwrap();
        let guid = switchboard_testkit::eventually("the phone shows it", async || {
            let shown = phone(&server, CONTACT).await.messages;
            (shown.len() == count).then(|| shown[count - 1].guid.clone())
        })
        .await;
        let (reacted, ()) = tokio::join!(
            reacts(&server, LINE, CONTACT, (&guid, "like"), false),
            reads(&server, LINE, CONTACT),
        );
        assert!(reacted["message_id"].is_string(), "{count}: {reacted}");
        assert_eq!(live.next().await.2["guid"], guid);
    }
    server.stop().await;
}

#[tokio::test]
async fn only_who_wrote_it_can_change_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    server.text(LINE, CONTACT, "hello").await;
    let ours = sends(&tenant, "ours").await;
    for (name, message) in
        [("guid", ours.guid), ("message_id", ours.id.to_string()), ("message_id", "msg_x".into())]
    {
        for path in ["edit", "unsend"] {
            let path = format!("/simulator/v1/messages/{path}");
            let body = json!({ name: message, "text": "x" });
            let call = Call::post(&path, &body).key(server.operator_token());
            let answer = call.send(&server.url).await;
            assert_refused(&path, &answer, Code::MessageNotFound, Some(name));
        }
    }
    server.stop().await;
}
