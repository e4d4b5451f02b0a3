//! What people complain of in the field, from the contact's phone to the receiver of webhooks.

use std::time::Duration;

use switchboard_fakes::imsg::{MacOs, Settings};
use switchboard_testkit::{eventually, receiver::Behaviour};

use crate::{
    imsg_faults::{end, with_ann},
    rig::{ANN, LINE, Rig},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_the_receiver_is_down_is_told_later_and_once() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    eventually("the first is told", async || {
        (!rig.told("message.received", "text").is_empty()).then_some(())
    })
    .await;
    rig.receiver.set(Behaviour::status(503));
    let wanted = ["one", "two", "three"];
    for text in wanted {
        mac.contact(ANN).writes(text);
        rig.message(ANN, text).await;
    }
    eventually("it was tried", async || (rig.receiver.count() > 1).then_some(())).await;
    rig.receiver.clear();
    rig.receiver.set(Behaviour::ok());
    // The bridge need not be there when they are told.
    rig.stop().await;
    // Their order is that of the attempts now: an event that failed holds up no other.
    let told = eventually("all are told", async || {
        let mut told = rig.told("message.received", "text");
        told.sort();
        (told.len() >= wanted.len()).then_some(told)
    })
    .await;
    assert_eq!(told, ["one", "three", "two"]);
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_never_told_what_it_said_itself() {
    let (rig, mac) = with_ann(Settings::default()).await;
    // The chat is called otherwise between the hand-over and the echo, and the owner writes from elsewhere.
    let id = rig.send(ANN, "from here").await;
    mac.set_macos(MacOs::Tahoe26);
    mac.rename_chats();
    rig.ended(id).await;
    mac.owner().writes(mac.chat_with(ANN), "from my telephone");
    rig.message(ANN, "from my telephone").await;
    // What somebody writes to the own number Messages has twice: as sent, and as come in.
    mac.owner().writes(mac.chat_with(LINE), "a note to myself");
    mac.contact(LINE).writes("a note to myself");
    let note = rig.message(LINE, "a note to myself").await;
    assert!(note.is_from_me);
    mac.contact(ANN).writes("that is all");
    rig.message(ANN, "that is all").await;
    eventually("the contact's is told", async || {
        rig.told("message.received", "text").contains(&"that is all".to_owned()).then_some(())
    })
    .await;
    assert_eq!(rig.told("message.received", "text"), ["hello", "that is all"]);
    assert_eq!(rig.messages(LINE).await.len(), 1);
    assert_eq!(rig.messages(ANN).await.len(), 4);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_is_not_told_again_after_a_kill_or_a_cut() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    mac.duplicate_notifications(true);
    for round in 0..4 {
        mac.contact(ANN).writes(&format!("number {round}"));
        rig.message(ANN, &format!("number {round}")).await;
        match round % 2 {
            0 => {
                rig.kill().await;
                rig.start().await;
                rig.online().await;
            }
            _ => rig.network.cut(),
        }
    }
    mac.contact(ANN).writes("last");
    rig.message(ANN, "last").await;
    eventually("the last is told", async || {
        rig.told("message.received", "text").contains(&"last".to_owned()).then_some(())
    })
    .await;
    let wanted = ["hello", "number 0", "number 1", "number 2", "number 3", "last"];
    assert_eq!(rig.told("message.received", "text"), wanted);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_is_refused_quotes_no_message() {
    let (mut rig, mac) = Rig::bluebubbles(|mac| mac.private_api = false).await;
    mac.contact_writes(ANN, "hello");
    rig.message(ANN, "hello").await;
    mac.mac(|mac| mac.automation_allowed = false);
    let item = rig.sent(ANN, "the secret of the house").await;
    let error = item.error.unwrap();
    assert!(!error.contains("secret") && !error.contains(ANN), "{error}");
    rig.line_says(true, Some("permission")).await;
    let lines = rig.client.lines().await.unwrap();
    assert!(!format!("{:?}", lines.value.data).contains("secret"));
    mac.mac(|mac| mac.automation_allowed = true);
    tokio::time::timeout(Duration::from_secs(20), rig.sent(ANN, "again")).await.unwrap();
    assert_eq!(mac.received_by(ANN).len(), 1);
    rig.stop().await;
    rig.server.stop().await;
}
