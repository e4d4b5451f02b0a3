//! What a line on a Mac with BlueBubbles does, with and without the private API.

use switchboard_client::{SendMessage, SendReaction};
use switchboard_fakes::bluebubbles::Incoming;
use switchboard_model::outbox::OutboxStatus;
use switchboard_testkit::eventually;

use crate::rig::{ANN, BOB, LINE, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_comes_in_is_answered_and_the_phone_shows_it_once() {
    for private_api in [true, false] {
        let (mut rig, mac) = Rig::bluebubbles(|mac| mac.private_api = private_api).await;
        let guid = mac.contact_writes(ANN, "Are you open?").guid;
        let came = rig.message(ANN, "Are you open?").await;
        assert_eq!((&*came.guid, &*came.sender, came.is_from_me), (&*guid, ANN, false));

        let item = rig.sent(ANN, "We open at nine.").await;
        assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
        let sent = rig.message(ANN, "We open at nine.").await;
        assert_eq!(sent.outbox_id, Some(item.id));
        let shown = mac.received_by(ANN);
        assert_eq!((shown.len(), &shown[0].guid), (1, &sent.guid));

        // Delivered, and then read: nothing pushes that.
        mac.delivered(&sent.guid);
        eventually("it is delivered", async || {
            rig.message(ANN, "We open at nine.").await.delivered_at
        })
        .await;
        mac.read_by_contact(&sent.guid);
        eventually("it is read", async || rig.message(ANN, "We open at nine.").await.read_at).await;
        let own = mac.owner_writes(&shown[0].chat, "from my telephone");
        let own_message = rig.message(ANN, "from my telephone").await;
        assert_eq!((own_message.guid, own_message.is_from_me), (own.guid, true));
        // The echo of what was sent is no message of its own.
        assert_eq!(rig.messages(ANN).await.len(), 3);
        assert_eq!(rig.told("message.received", "guid"), [guid]);
        rig.stop().await;
        rig.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_a_group_and_what_a_mode_can_not_do_is_refused_by_name() {
    let (mut rig, mac) = Rig::bluebubbles(|mac| mac.private_api = false).await;
    let group = mac.group(&[ANN, BOB], Some("Team"));
    let hello = mac.receive(ANN, Incoming::text("hello all").chat(&group));
    let chat = eventually("the group is there", async || {
        let chats = rig.client.chats(LINE).send().await.unwrap().value.data;
        chats.into_iter().find(|chat| chat.is_group == Some(true))
    })
    .await;
    let chat = chat.id.to_string();
    rig.message(&chat, "hello all").await;
    assert_eq!(rig.sent(&chat, "hello both").await.error, None);
    for contact in [ANN, BOB] {
        let shown = mac.received_by(contact);
        assert_eq!((shown.len(), &shown[0].chat), (1, &group));
    }
    let react = SendReaction::new(LINE, &chat, &hello.guid, "love");
    let refused = rig.client.send_reaction(&react).await.unwrap_err();
    assert!(refused.to_string().contains("react"), "{refused}");
    let reply = SendMessage::text(LINE, &chat, "hi").reply_to(&hello.guid);
    let item = rig.client.send_message(&reply).await.unwrap().value.id;
    // Where it can't point at its message, it is still said.
    assert_eq!(rig.ended(item).await.status, OutboxStatus::Sent);
    assert_eq!(mac.received_by(ANN).last().unwrap().reply_to, None);
    rig.stop().await;
    rig.server.stop().await;
}
