//! A Mac on which imsg answers late or not at all, or sends what Messages does not, and permissions that come and go.

use std::time::Duration;

use switchboard_client::{SendAudioMessage, SendMessage, SendReaction, Upload};
use switchboard_fakes::imsg::{Automation, Fault, Helper, Mac, MacOs, Pace, Settings};
use switchboard_model::{
    Code, OutboxItem,
    chat::Service,
    id::Id,
    outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
};
use switchboard_testkit::eventually;

use crate::{
    imsg_faults::{end, with_ann},
    rig::{ANN, BOB, LINE, Rig},
};
use switchboard_bridge::drivers::Imsg;

/// A Mac to which Ann has written, and whose helper is not there.
async fn without_helper(settings: Settings) -> (Rig<Imsg>, Mac) {
    let (mut rig, mac) = with_ann(settings).await;
    now_has(&mut rig, &mac, Helper::Absent).await;
    (rig, mac)
}

/// Changes the helper, which a bridge sees at once when it starts.
async fn now_has(rig: &mut Rig<Imsg>, mac: &Mac, helper: Helper) {
    rig.stop().await;
    let is_there = helper == Helper::Present;
    mac.set_helper(helper);
    rig.start().await;
    eventually("the helper is known to have come or gone", async || {
        let lines = rig.client.lines().await.unwrap().value.data;
        (lines[0].status.online && lines[0].advanced_features == is_there).then_some(())
    })
    .await;
}

/// The group that the line knows.
async fn group(rig: &Rig<Imsg>) -> String {
    eventually("the group is there", async || {
        let chats = rig.client.chats(LINE).send().await.unwrap().value.data;
        let group = chats.into_iter().find(|chat| chat.is_group == Some(true))?;
        Some(group.id.to_string())
    })
    .await
}

/// Waits until an item is sent, whatever was said of it before.
async fn turns_out_sent(rig: &Rig<Imsg>, id: Id<OutboxItem>) {
    eventually("it turns out to be sent", async || {
        let item = rig.client.outbox(id).await.unwrap().value;
        (item.status == OutboxStatus::Sent).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_late_and_overtake_each_other_change_nothing() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.set_noise(true);
    let late = Duration::from_millis(400);
    for method in ["messages.after", "chats.get", "send.tracked", "message.send_status"] {
        mac.fault(method, Fault::Late(late));
        mac.fault(method, Fault::Late(late / 4));
    }
    let first = rig.send(ANN, "out").await;
    let second = rig.send(ANN, "and out").await;
    mac.contact(ANN).writes("in");
    mac.contact(ANN).writes("and in");
    assert_eq!(rig.ended(first).await.error, None);
    assert_eq!(rig.ended(second).await.error, None);
    rig.message(ANN, "and in").await;
    let shown: Vec<_> = mac.received_by(ANN).into_iter().map(|one| one.text).collect();
    assert_eq!(shown, ["out", "and out"]);
    assert_eq!(rig.messages(ANN).await.len(), 5);
    eventually("both are told", async || {
        (rig.told("message.received", "text") == ["hello", "in", "and in"]).then_some(())
    })
    .await;
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_whose_answer_is_swallowed_is_looked_for_after_a_kill_and_not_sent_again() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    mac.fault("send.tracked", Fault::Swallowed);
    let id = rig.send(ANN, "once").await;
    mac.until("it is sent", |mac| mac.contact(ANN).times_received("once") == 1).await;
    rig.kill().await;
    rig.start().await;
    turns_out_sent(&rig, id).await;
    assert_eq!(mac.contact(ANN).times_received("once"), 1);
    assert_eq!(rig.messages(ANN).await.len(), 2);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_is_given_up_and_the_lane_is_begun_anew() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let hello = rig.message(ANN, "hello").await;
    let children = mac.children();
    mac.fault("tapback", Fault::Swallowed);
    mac.fault("messages.after", Fault::Swallowed);
    mac.contact(ANN).writes("can you hear me?");
    let react = SendReaction::new(LINE, ANN, &hello.guid, "love");
    let id = rig.client.send_reaction(&react).await.unwrap().value.id;
    // Both take 20 s by design.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let item = rig.ended(id).await;
    assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    rig.message(ANN, "can you hear me?").await;
    rig.online().await;
    assert_eq!(rig.sent(ANN, "I can").await.status, OutboxStatus::Sent);
    assert!(mac.children() > children, "the lane was not begun anew");
    assert_eq!(mac.contact(ANN).times_received("I can"), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_messages_says_it_sent_and_never_did_is_unknown_and_holds_nothing_up() {
    tokio::join!(
        is_unknown(true, "send.tracked", Fault::Vanishes),
        is_unknown(true, "send.tracked", Fault::GhostRow),
        is_unknown(false, "send", Fault::Vanishes),
        is_unknown(false, "send", Fault::GhostRow),
    );
}

async fn is_unknown(helper: bool, method: &str, fault: Fault) {
    let (rig, mac) = match helper {
        true => with_ann(Settings::default()).await,
        false => without_helper(Settings::default()).await,
    };
    mac.fault(method, fault.clone());
    let item = rig.sent(ANN, "lost").await;
    let unknown = (OutboxStatus::Failed, Some(MAY_HAVE_BEEN_HANDED_OVER));
    assert_eq!((item.status, item.error.as_deref()), unknown, "{fault:?} of {method}");
    // What it left behind is no message, and nothing waits for it long.
    mac.contact(ANN).writes("did you get it?");
    rig.message(ANN, "did you get it?").await;
    assert_eq!(rig.sent(ANN, "no").await.status, OutboxStatus::Sent);
    assert_eq!(mac.contact(ANN).times_received("lost"), 0, "{fault:?} of {method}");
    assert_eq!(rig.messages(ANN).await.len(), 3, "{fault:?} of {method}");
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_that_names_no_guid_is_found_by_its_row() {
    let (mut rig, mac) = without_helper(Settings::default()).await;
    mac.fault("send", Fault::NoGuid);
    let id = rig.send(ANN, "which one is it?").await;
    turns_out_sent(&rig, id).await;
    now_has(&mut rig, &mac, Helper::Present).await;
    mac.fault("send.attachment", Fault::NoGuid);
    let upload = Upload::bytes(&b"\x89PNG\r\n\x1a\n"[..]).mime_type("image/png").filename("a.png");
    let file = rig.client.upload(upload).await.unwrap().value;
    let message = SendMessage::file(LINE, ANN, file.id);
    let id = rig.client.send_message(&message).await.unwrap().value.id;
    turns_out_sent(&rig, id).await;
    assert_eq!(mac.received_by(ANN).len(), 2);
    let messages = rig.messages(ANN).await;
    let guids: Vec<_> = messages[1..].iter().map(|one| &one.guid).collect();
    assert_eq!(guids, mac.received_by(ANN).iter().map(|one| &one.guid).collect::<Vec<_>>());
    assert!(messages[1..].iter().all(|one| one.outbox_id.is_some()));
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_messages_no_longer_has_is_not_written_to_and_neither_is_anybody_else() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let team = mac.group("Team", &[ANN, BOB]);
    mac.contact(BOB).writes_in(team, "hello all");
    let chat = group(&rig).await;
    // In the new database Bob's own chat stands where the group's did.
    mac.replace_database(0);
    mac.chat_with("+15550100008");
    assert_eq!(mac.chat_with(BOB), team);
    let item = rig.sent(&chat, "for the team alone").await;
    assert_eq!(item.status, OutboxStatus::Failed);
    assert!(item.error.unwrap().contains("no such group"));
    for contact in [ANN, BOB, "+15550100008"] {
        assert_eq!(mac.contact(contact).times_received("for the team alone"), 0);
    }
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_to_steer_messages_is_asked_for_by_name() {
    let pace = Pace { send_limit: Duration::from_secs(20), ..Pace::fast() };
    let (rig, mac) = without_helper(Settings { pace, ..Settings::default() }).await;
    mac.set_automation(Automation::Denied);
    let item = rig.sent(ANN, "one").await;
    assert_eq!(item.status, OutboxStatus::Failed);
    assert!(item.error.unwrap().contains("does not let imsg steer Messages"));
    rig.line_says(true, Some("permission")).await;
    // What comes in still comes in, and says nothing of that.
    mac.contact(ANN).writes("are you there?");
    rig.message(ANN, "are you there?").await;
    rig.line_says(true, Some("permission")).await;
    // The question stands on the screen until somebody answers it.
    mac.set_automation(Automation::Prompting);
    let asked = mac.calls("send");
    let id = rig.send(ANN, "two").await;
    mac.until("it waits for the answer", |mac| mac.calls("send") > asked).await;
    mac.set_automation(Automation::Granted);
    assert_eq!(rig.ended(id).await.status, OutboxStatus::Sent);
    rig.line_says(true, None).await;
    assert_eq!(mac.contact(ANN).times_received("one"), 0);
    assert_eq!(mac.contact(ANN).times_received("two"), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn macos_26_without_the_helper_reaches_no_group_and_nobody_new() {
    let settings = Settings { macos: MacOs::Tahoe26, ..Settings::default() };
    let (mut rig, mac) = without_helper(settings).await;
    let team = mac.group("Team", &[ANN, BOB]);
    mac.contact(ANN).writes_in(team, "hello all");
    let chat = group(&rig).await;
    // It is known, and refused when it is asked for.
    let to_both = SendMessage::text(LINE, &chat, "hello both");
    let refused = rig.client.send_message(&to_both).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::AdvancedFeaturesRequired), "{refused}");
    let item = rig.sent(BOB, "nice to meet you").await;
    assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    assert!(mac.received_by(BOB).is_empty());
    assert_eq!(rig.sent(ANN, "only you").await.status, OutboxStatus::Sent);
    assert_eq!(mac.received_by(ANN).len(), 1);
    now_has(&mut rig, &mac, Helper::Present).await;
    assert_eq!(rig.sent(&chat, "hello both").await.error, None);
    assert_eq!(mac.contact(BOB).times_received("hello both"), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_memo_goes_by_the_helper_or_not_at_all() {
    let (rig, mac) = without_helper(Settings::default()).await;
    let upload = Upload::bytes(&b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20"[..])
        .mime_type("audio/x-caf")
        .filename("memo.caf");
    let file = rig.client.upload(upload).await.unwrap().value;
    let memo = SendAudioMessage::new(LINE, ANN, file.id);
    assert!(rig.client.send_audio_message(&memo).await.is_err());
    assert!(mac.received_by(ANN).is_empty() && mac.mutations().is_empty());
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_out_green_is_said_to_be() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.fault("send.tracked", Fault::Downgraded);
    assert_eq!(rig.sent(ANN, "green").await.status, OutboxStatus::Sent);
    eventually("it is said", async || {
        (rig.message(ANN, "green").await.service == Some(Service::Sms)).then_some(())
    })
    .await;
    assert_eq!(mac.contact(ANN).times_received("green"), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_asked_of_imsg_is_refused_for_its_form() {
    // It takes no number for a text and no unknown word: what it refuses is not carried out.
    let (rig, mac) = with_ann(Settings::default()).await;
    let hello = rig.message(ANN, "hello").await;
    let client = &rig.client;
    for reaction in ["love", "🔥"] {
        let react = SendReaction::new(LINE, ANN, &hello.guid, reaction);
        let id = client.send_reaction(&react).await.unwrap().value.id;
        assert_eq!(rig.ended(id).await.error, None);
    }
    let reply = SendMessage::text(LINE, ANN, "12345").reply_to(&hello.guid);
    let id = client.send_message(&reply).await.unwrap().value.id;
    assert_eq!(rig.ended(id).await.error, None);
    // A text of digits is a text, and to somebody new, too.
    assert_eq!(rig.sent(ANN, "67890").await.error, None);
    assert_eq!(rig.sent(BOB, "true").await.error, None);
    let upload = Upload::bytes(&b"\x89PNG\r\n\x1a\n"[..]).mime_type("image/png").filename("1.png");
    let file = client.upload(upload).await.unwrap().value;
    let message = SendMessage::text(LINE, ANN, "0").attach(file.id);
    let id = client.send_message(&message).await.unwrap().value.id;
    assert_eq!(rig.ended(id).await.error, None);
    client.mark_read(LINE, ANN).await.unwrap();
    mac.until("it is marked as read", |mac| mac.contact(ANN).sees_read()).await;
    let done: Vec<_> = mac.mutations().into_iter().map(|one| one.method).collect();
    for method in ["tapback", "send.rich", "send.tracked", "send", "read"] {
        assert!(done.iter().any(|one| one == method), "no {method} in {done:?}");
    }
    end(rig).await;
}
