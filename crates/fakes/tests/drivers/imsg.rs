//! What only a line on a Mac with imsg does; the rest is in [`crate::suite`].

use switchboard_client::SendReaction;
use switchboard_fakes::imsg::{Helper, MacOs, Settings};
use switchboard_model::outbox::OutboxStatus;
use switchboard_testkit::eventually;

use crate::rig::{ANN, BOB, LINE, Rig};

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
