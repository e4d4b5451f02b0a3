//! A Mac on which something goes wrong: each fault of imsg's pages, and what people complain of in the field.

use std::time::Duration;

use switchboard_fakes::imsg::{Fault, Helper, Mac, MacOs, Settings};
use switchboard_model::outbox::OutboxStatus;
use switchboard_testkit::eventually;

use crate::rig::{ANN, BOB, Rig};
use switchboard_bridge::drivers::Imsg;

/// A Mac to which Ann has written.
pub(crate) async fn with_ann(settings: Settings) -> (Rig<Imsg>, Mac) {
    let (rig, mac) = Rig::imsg(settings).await;
    mac.contact(ANN).writes("hello");
    rig.message(ANN, "hello").await;
    (rig, mac)
}

/// Waits until the driver has asked this three times more: what was there, it has seen.
pub(crate) async fn looked_at(mac: &Mac, method: &str) {
    let asked = mac.calls(method);
    mac.until("the driver has looked", |mac| mac.calls(method) >= asked + 3).await;
}

pub(crate) async fn end(mut rig: Rig<Imsg>) {
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_certainly_was_not_sent_is_sent_again_and_once() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.fault("send.tracked", Fault::NotStarted);
    let item = rig.sent(ANN, "one").await;
    assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
    mac.fault("send.tracked", Fault::DiesBefore);
    // The child that dies took the request: nobody knows, and it is not sent again.
    let item = rig.sent(ANN, "two").await;
    assert_eq!(item.status, OutboxStatus::Failed);
    assert_eq!(mac.contact(ANN).times_received("one"), 1);
    assert_eq!(mac.contact(ANN).times_received("two"), 0);
    rig.online().await;
    assert_eq!(rig.sent(ANN, "three").await.status, OutboxStatus::Sent);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_been_sent_is_never_sent_again_and_the_truth_turns_up() {
    let faults = [
        Fault::MayHaveCompleted { done: true },
        Fault::DiesAfter,
        Fault::NoGuid,
        Fault::OtherGuid,
        Fault::StillInFlight { done_after: Some(Duration::from_millis(300)) },
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let (rig, mac) = with_ann(Settings::default()).await;
        let text = format!("number {number}");
        mac.fault("send.tracked", fault.clone());
        let id = rig.send(ANN, &text).await;
        rig.ended(id).await;
        // Whatever was said first, in the end it is the message that the phone shows.
        eventually(&format!("the truth after {fault:?}"), async || {
            let item = rig.client.outbox(id).await.unwrap().value;
            (item.status == OutboxStatus::Sent).then_some(())
        })
        .await;
        assert_eq!(mac.contact(ANN).times_received(&text), 1, "{fault:?}");
        let of_it =
            rig.messages(ANN).await.into_iter().filter(|one| one.text.as_deref() == Some(&*text));
        let of_it: Vec<_> = of_it.collect();
        assert_eq!(of_it.len(), 1, "{fault:?}: {of_it:?}");
        assert_eq!(of_it[0].outbox_id, Some(id), "{fault:?}");
        assert_eq!(of_it[0].guid, mac.received_by(ANN)[0].guid, "{fault:?}");
        end(rig).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_is_no_proof_and_a_later_failure_is_told() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.fault("send.tracked", Fault::FailsLater(22));
    rig.sent(ANN, "not delivered").await;
    eventually("the failure is told", async || {
        let told = rig.receiver.received();
        let is_it = |one: serde_json::Value| {
            one["event"] == "message.updated" && one["data"]["text"] == "not delivered"
        };
        told.iter().map(|one| one.json()).any(is_it).then_some(())
    })
    .await;
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_twice_backwards_or_with_an_overflow_a_message_is_one_and_in_order() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.duplicate_notifications(true);
    mac.reverse_notifications(true);
    for number in 0..20 {
        mac.contact(ANN).writes(&format!("text {number}"));
        if number == 10 {
            mac.overflow_subscriptions();
        }
        if number == 15 {
            mac.fail_watches("the source failed");
        }
    }
    rig.message(ANN, "text 19").await;
    let texts: Vec<_> = rig.messages(ANN).await.into_iter().filter_map(|one| one.text).collect();
    let wanted: Vec<_> = ["hello".to_owned()]
        .into_iter()
        .chain((0..20).map(|number| format!("text {number}")))
        .collect();
    assert_eq!(texts, wanted);
    eventually("each is told", async || {
        (rig.told("message.received", "guid").len() >= 21).then_some(())
    })
    .await;
    let told = rig.told("message.received", "guid");
    assert_eq!(told.iter().collect::<std::collections::HashSet<_>>().len(), told.len());
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_text_twice_is_two_messages() {
    let (rig, mac) = with_ann(Settings::default()).await;
    for _ in 0..2 {
        mac.contact(ANN).writes("ok");
    }
    eventually("both are there", async || {
        let same =
            rig.messages(ANN).await.iter().filter(|one| one.text.as_deref() == Some("ok")).count();
        (same == 2).then_some(())
    })
    .await;
    for _ in 0..2 {
        assert_eq!(rig.sent(ANN, "ok!").await.status, OutboxStatus::Sent);
    }
    assert_eq!(mac.contact(ANN).times_received("ok!"), 2);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_settle_before_they_are_told() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let group = mac.group("Team", &[ANN, BOB]);
    // It stands in no chat yet: told now, it would be a message of two.
    let guid = mac.contact(ANN).draft("to all of you").in_chat(group).unjoined().arrive();
    looked_at(&mac, "messages.after").await;
    assert!(rig.messages(ANN).await.iter().all(|one| one.guid != guid));
    mac.join(&guid);
    eventually("the group's message is there", async || {
        let chats = rig.client.chats(crate::rig::LINE).send().await.unwrap().value.data;
        let group = chats.into_iter().find(|chat| chat.is_group == Some(true))?;
        rig.messages(&group.id.to_string()).await.into_iter().find(|one| one.guid == guid)
    })
    .await;
    // An empty body fills, a file comes.
    let guid = mac.contact(ANN).draft("").arrive();
    looked_at(&mac, "messages.after").await;
    mac.fill_body(&guid, "late body");
    assert_eq!(rig.message(ANN, "late body").await.guid, guid);
    let guid = mac.contact(ANN).draft("with a file").missing_file("late.png", b"png").arrive();
    looked_at(&mac, "messages.after").await;
    mac.download(&guid);
    let came = rig.message(ANN, "with a file").await;
    assert_eq!(came.attachments.len(), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_message_that_the_cloud_brings_is_no_news() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let old = switchboard_model::Timestamp(crate::rig::now().0 - 40 * 24 * 60 * 60 * 1000);
    mac.contact(ANN).draft("from last month").written_at(old).arrive();
    mac.contact(ANN).writes("from today");
    rig.message(ANN, "from today").await;
    let texts = rig.told("message.received", "text");
    assert!(!texts.contains(&"from last month".to_owned()), "{texts:?}");
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_of_the_system_that_renames_all_chats_makes_no_new_ones() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let group = mac.group("Team", &[ANN, BOB]);
    mac.contact(ANN).writes_in(group, "hello all");
    let chats = async || rig.client.chats(crate::rig::LINE).send().await.unwrap().value.data;
    let of_group = eventually("the group is there", async || {
        chats().await.into_iter().find(|chat| chat.is_group == Some(true))
    })
    .await;
    mac.set_macos(MacOs::Tahoe26);
    mac.rename_chats();
    mac.contact(BOB).writes_in(group, "after the update");
    mac.contact(ANN).writes("me too");
    rig.message(&of_group.id.to_string(), "after the update").await;
    rig.message(ANN, "me too").await;
    assert_eq!(chats().await.len(), 2);
    assert_eq!(rig.sent(&of_group.id.to_string(), "to the group").await.status, OutboxStatus::Sent);
    assert_eq!(mac.contact(BOB).times_received("to the group"), 1);
    assert!(mac.received_by(BOB).iter().all(|one| one.group));
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_or_broken_program_is_said_by_name() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.install("0.13.4");
    mac.fault("send.tracked", Fault::DiesBefore);
    rig.sent(ANN, "this child dies").await;
    rig.line_says(false, Some("program_outdated")).await;
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_types_is_seen() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.contact(ANN).starts_typing();
    eventually("it is told", async || {
        (!rig.told("typing.started", "handle").is_empty()).then_some(())
    })
    .await;
    mac.contact(ANN).stops_typing();
    eventually("its end is told", async || {
        (!rig.told("typing.stopped", "handle").is_empty()).then_some(())
    })
    .await;
    mac.set_helper(Helper::Absent);
    end(rig).await;
}
