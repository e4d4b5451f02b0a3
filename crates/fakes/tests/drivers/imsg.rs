//! What a line on a Mac does, with and without imsg's helper.

use switchboard_client::{SendMessage, SendReaction, Upload};
use switchboard_fakes::imsg::{Helper, MacOs, Settings};
use switchboard_model::outbox::OutboxStatus;
use switchboard_testkit::eventually;

use crate::rig::{ANN, BOB, LINE, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_comes_in_is_answered_and_the_phone_shows_it_once() {
    for macos in [MacOs::Sequoia15, MacOs::Tahoe26] {
        let (mut rig, mac) = Rig::imsg(Settings { macos, ..Settings::default() }).await;
        let guid = mac.contact(ANN).writes("Are you open?");
        let came = rig.message(ANN, "Are you open?").await;
        assert_eq!((&*came.guid, &*came.sender, came.is_from_me), (&*guid, ANN, false));

        let item = rig.sent(ANN, "We open at nine.").await;
        assert_eq!((item.status, item.error), (OutboxStatus::Sent, None), "{macos:?}");
        let sent = rig.message(ANN, "We open at nine.").await;
        assert_eq!(sent.outbox_id, Some(item.id));
        assert_eq!(mac.contact(ANN).times_received("We open at nine."), 1);
        assert_eq!(mac.received_by(ANN)[0].guid, sent.guid);

        // Delivered, and then read: nothing pushes that.
        eventually("it is delivered", async || {
            rig.message(ANN, "We open at nine.").await.delivered_at
        })
        .await;
        mac.contact(ANN).reads(&sent.guid);
        eventually("it is read", async || rig.message(ANN, "We open at nine.").await.read_at).await;
        // The echo of what was sent is no message of its own.
        assert_eq!(rig.messages(ANN).await.len(), 2);
        assert_eq!(rig.told("message.received", "guid"), [guid]);
        rig.stop().await;
        rig.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_writes_on_another_device_is_the_lines_own() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).writes("hello");
    rig.message(ANN, "hello").await;
    let guid = mac.owner().writes(mac.chat_with(ANN), "from my telephone");
    let own = rig.message(ANN, "from my telephone").await;
    assert_eq!((own.guid, own.is_from_me, own.outbox_id), (guid, true, None));
    assert_eq!(rig.told("message.received", "text"), ["hello"]);
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reactions_replies_files_and_memos_go_both_ways() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).writes("hello");
    let hello = rig.message(ANN, "hello").await;

    let react = SendReaction::new(LINE, ANN, &hello.guid, "love");
    let item = rig.client.send_reaction(&react).await.unwrap().value.id;
    assert_eq!(rig.ended(item).await.error, None);
    assert_eq!(mac.mutations().iter().filter(|one| one.method == "tapback").count(), 1);

    let answer = SendMessage::text(LINE, ANN, "hi").reply_to(&hello.guid);
    let item = rig.client.send_message(&answer).await.unwrap().value.id;
    assert_eq!(rig.ended(item).await.error, None);
    assert_eq!(mac.received_by(ANN)[0].reply_to.as_deref(), Some(&*hello.guid));
    let sent = rig.message(ANN, "hi").await;
    mac.contact(ANN).reacts(&sent.guid, "love");
    eventually("a reaction is there", async || {
        let reactions = rig.client.reactions(sent.id).await.unwrap().value.data;
        reactions.into_iter().find(|one| one.sender == ANN)
    })
    .await;

    let upload =
        Upload::bytes(&b"\x89PNG\r\n\x1a\n"[..]).mime_type("image/png").filename("A picture.png");
    let file = rig.client.upload(upload).await.unwrap().value;
    let mut message = SendMessage::text(LINE, ANN, "look");
    message.attachments = vec![file.id.to_string()];
    let item = rig.client.send_message(&message).await.unwrap().value.id;
    assert_eq!(rig.ended(item).await.error, None);
    let shown = mac.received_by(ANN);
    let files: Vec<_> = shown.iter().flat_map(|one| &one.files).map(|one| &*one.name).collect();
    assert_eq!(files, ["A picture.png"]);

    mac.contact(ANN).sends_file("menu.pdf", b"%PDF-1.4");
    let came = eventually("a file came", async || {
        let messages = rig.messages(ANN).await;
        messages.into_iter().find(|one| !one.is_from_me && !one.attachments.is_empty())
    })
    .await;
    assert_eq!(came.attachments[0].filename.as_deref(), Some("menu.pdf"));
    mac.contact(ANN).sends_voice_memo(b"caff");
    eventually("a voice memo came", async || {
        rig.messages(ANN).await.into_iter().find(|one| one.is_audio_message == Some(true))
    })
    .await;
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_a_group_whatever_it_is_called_and_never_a_chat_of_two() {
    let (mut rig, mac) = Rig::imsg(Settings { macos: MacOs::Tahoe26, ..Settings::default() }).await;
    let group = mac.group("Team", &[ANN, BOB]);
    mac.contact(ANN).writes_in(group, "hello all");
    let chat = eventually("the group is there", async || {
        let chats = rig.client.chats(LINE).send().await.unwrap().value.data;
        chats.into_iter().find(|chat| chat.is_group == Some(true))
    })
    .await;
    mac.list_groups_as_direct();
    mac.contact(BOB).writes_in(group, "hello too");
    rig.message(&chat.id.to_string(), "hello too").await;
    let item = rig.sent(&chat.id.to_string(), "hello both").await;
    assert_eq!(item.error, None);
    for contact in [ANN, BOB] {
        let shown = mac.received_by(contact);
        assert!(shown.iter().all(|one| one.group), "a group's message in a chat of two: {shown:?}");
        assert_eq!(mac.contact(contact).times_received("hello both"), 1);
    }
    assert_eq!(rig.client.chats(LINE).send().await.unwrap().value.data.len(), 1);
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_helper_texts_go_out_and_the_rest_is_refused_by_name() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    mac.contact(ANN).writes("hello");
    let hello = rig.message(ANN, "hello").await;
    mac.set_helper(Helper::Absent);
    eventually("reactions are known to be gone", async || {
        let lines = rig.client.lines().await.unwrap().value.data;
        (!lines[0].advanced_features).then_some(())
    })
    .await;
    let react = SendReaction::new(LINE, ANN, &hello.guid, "love");
    let refused = rig.client.send_reaction(&react).await.unwrap_err();
    assert!(refused.to_string().contains("react"), "{refused}");
    let item = rig.sent(ANN, "by AppleScript").await;
    assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
    assert_eq!(mac.contact(ANN).times_received("by AppleScript"), 1);
    rig.stop().await;
    rig.server.stop().await;
}
