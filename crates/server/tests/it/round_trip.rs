//! The main job: a message goes out, an answer comes back.

use std::time::Duration;

use switchboard_client::{CreateWebhook, SendMessage};
use switchboard_model::{EventKind, outbox::OutboxStatus};
use switchboard_testkit::{LINE, Receiver, TestServer, eventually};

const CONTACT: &str = "+15550100002";
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_text_comes_in_is_answered_and_both_are_told() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let events = [EventKind::MessageReceived, EventKind::MessageSent];
    let webhook = CreateWebhook::new(LINE, receiver.url(), events);
    let webhook = tenant.client.create_webhook(&webhook).await.unwrap().value;
    let secret = webhook.secret.expect("a new webhook shows its secret");

    // A contact texts in; the webhook arrives and both signatures verify.
    let texted = server.text(LINE, CONTACT, "Is anybody there?").await;
    let delivery = receiver.wait_for(1, SOON).await.unwrap().remove(0);
    delivery.verify(&secret).expect("both signatures verify");
    let received = delivery.json();
    assert_eq!(received["event"], "message.received");
    assert_eq!(received["data"]["text"], "Is anybody there?");
    assert_eq!(received["data"]["line_handle"], LINE);
    assert_eq!(received["data"]["sender"], CONTACT);
    assert_eq!(received["data"]["id"], texted.message_id.unwrap().to_string());

    // The program answers; the phone shows it.
    let answer = SendMessage::text(LINE, CONTACT, "Yes!").reply_to(&texted.guid);
    let accepted = tenant.client.send_message(&answer).await.unwrap();
    assert_eq!((accepted.status, accepted.value.status), (201, OutboxStatus::Pending));
    let shown = eventually("the phone shows the answer", async || {
        server.phones().phone(CONTACT).await.unwrap().value.messages.pop()
    })
    .await;
    assert_eq!(shown.text.as_deref(), Some("Yes!"));
    assert_eq!(shown.reply_to_guid.as_deref(), Some(texted.guid.as_str()));

    // message.sent arrives with outbox_id, and the outbox says the same.
    let delivery = receiver.wait_for(2, SOON).await.unwrap().remove(1);
    delivery.verify(&secret).expect("both signatures verify");
    let sent = delivery.json();
    assert_eq!(sent["event"], "message.sent");
    assert_eq!(sent["data"]["outbox_id"], accepted.value.id.to_string());
    assert_eq!(sent["data"]["guid"], shown.guid);
    let item = tenant.client.outbox(accepted.value.id).await.unwrap().value;
    assert_eq!((item.status, item.attempts, item.error), (OutboxStatus::Sent, 1, None));
    assert_eq!(item.message_id.unwrap().to_string(), sent["data"]["id"].as_str().unwrap());

    // Both stand in the chat, newest first.
    let listed = tenant.client.messages(LINE, CONTACT).send().await.unwrap().value;
    let texts: Vec<_> = listed.data.iter().map(|message| message.text.as_deref()).collect();
    assert_eq!(texts, [Some("Yes!"), Some("Is anybody there?")]);
    server.stop().await;
}
