//! What people do out of a bridge's sight: while it is down, by another of the Apple ID's addresses, on another device of the owner's.

use switchboard_bridge::{Connector, drivers::Imsg};
use switchboard_client::{CreateLine, SendMessage, SendReaction};
use switchboard_fakes::{
    bluebubbles::{self, Incoming},
    imsg::Settings,
};
use switchboard_model::{OutboxItem, Reaction, id::Id, line::LineService, outbox::OutboxStatus};
use switchboard_testkit::eventually;

use crate::{
    imsg_faults::{end, looked_at, with_ann},
    rig::{ANN, BOB, LINE, Rig},
};

/// One more line on the same bridge.
const OTHER: &str = "+15550999998";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_edited_and_taken_back_while_no_bridge_runs_is_told_once() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    let edited = mac.contact(ANN).writes("at nein");
    let unsent = mac.contact(ANN).writes("never mind");
    let last = mac.contact(ANN).writes("last");
    rig.message(ANN, "last").await;
    rig.kill().await;
    mac.contact(ANN).edits(&edited, "at nine");
    mac.contact(ANN).unsends(&unsent);
    // However much came since.
    for number in 0..30 {
        mac.contact(ANN).writes(&format!("more {number}"));
    }
    rig.start().await;
    changed(&rig, &edited, Some("at nine")).await;
    changed(&rig, &unsent, None).await;
    rig.kill().await;
    mac.contact(ANN).edits(&last, "the last");
    rig.start().await;
    changed(&rig, &last, Some("the last")).await;
    for guid in [&edited, &unsent, &last] {
        let told = rig.told("message.updated", "guid");
        assert_eq!(told.iter().filter(|one| *one == guid).count(), 1, "{told:?}");
    }
    end(rig).await;
}

/// Waits until a message says this, or is taken back.
async fn changed(rig: &Rig<Imsg>, guid: &str, text: Option<&str>) {
    eventually("the change is told", async || {
        let messages = rig.messages(ANN).await;
        let message = messages.into_iter().find(|one| one.guid == guid)?;
        let is_told = rig.told("message.updated", "guid").iter().any(|one| one == guid);
        let is_so = match text {
            Some(text) => message.edited_at.is_some() && message.text.as_deref() == Some(text),
            None => message.unsent_at.is_some(),
        };
        (is_so && is_told).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_to_another_address_of_the_apple_id_is_not_the_lines() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let ann = || mac.contact(ANN);
    ann().draft("to the other").addressed_to(OTHER).arrive();
    mac.owner().draft(mac.chat_with(ANN), "by the other").addressed_to(OTHER).arrive();
    // What was sent from here is the line's by whatever address Messages sends it.
    let sent = rig.sent(ANN, "from here").await;
    assert_eq!(sent.status, OutboxStatus::Sent);
    eventually("it is followed", async || rig.message(ANN, "from here").await.delivered_at).await;
    for (text, to) in [
        ("as it is", LINE),
        ("with signs", " +1 (555) 099-9999 "),
        ("without a country", "(555) 099-9999"),
        ("with its kind", "P:+15550999999"),
        ("to nobody", ""),
    ] {
        ann().draft(text).addressed_to(to).arrive();
        rig.message(ANN, text).await;
    }
    let texts: Vec<_> = rig.messages(ANN).await.into_iter().filter_map(|one| one.text).collect();
    assert!(!texts.iter().any(|text| text.ends_with("the other")), "{texts:?}");
    end(rig).await;
}

/// What is told of reactions: the event, the kind, and whether it is the line's.
fn told<C: Connector>(rig: &Rig<C>) -> Vec<(String, String, bool)> {
    let received = rig.receiver.received();
    let mut told: Vec<_> = received.iter().map(|one| one.json()).collect();
    told.retain(|one| one["event"].as_str().is_some_and(|event| event.starts_with("reaction.")));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let of = |one: &serde_json::Value| {
        let is_own = one["data"]["is_from_me"] == true && one["data"]["sender"] == LINE;
        (text(&one["event"]), text(&one["data"]["type"]), is_own)
    };
    told.iter().map(of).collect()
}

async fn reactions<C: Connector>(rig: &Rig<C>, text: &str) -> Vec<Reaction> {
    let message = rig.message(ANN, text).await;
    rig.client.reactions(message.id).await.unwrap().value.data
}

/// Waits until the line has exactly these on a message.
async fn own_are<C: Connector>(rig: &Rig<C>, text: &str, kinds: &[&str]) {
    let what = format!("the line's reactions are {kinds:?}");
    eventually(&what, async || {
        let mut there = reactions(rig, text).await;
        there.retain(|one| one.added && one.is_from_me && one.sender == LINE);
        let there: Vec<_> = there.iter().map(|one| one.reaction_type.as_str()).collect();
        (there == kinds).then_some(())
    })
    .await;
}

async fn react<C: Connector>(rig: &Rig<C>, guid: &str, kind: &str) {
    let react = SendReaction::new(LINE, ANN, guid, kind);
    let item = rig.client.send_reaction(&react).await.unwrap().value.id;
    assert_eq!(rig.ended(item).await.error, None);
}

fn all_added_and_replaced() -> Vec<(String, String, bool)> {
    let added = |kind: &str| ("reaction.added".to_owned(), kind.to_owned(), true);
    let removed = |kind: &str| ("reaction.removed".to_owned(), kind.to_owned(), true);
    vec![added("love"), removed("love"), added("like"), removed("like"), added("question")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_gives_on_another_device_is_the_lines_own_and_an_echo_is_nothing_on_imsg() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let hello = rig.message(ANN, "hello").await.guid;
    mac.owner().reacts(&hello, "love");
    own_are(&rig, "hello", &["love"]).await;
    react(&rig, &hello, "like").await;
    own_are(&rig, "hello", &["like"]).await;
    mac.owner().reacts(&hello, "question");
    own_are(&rig, "hello", &["question"]).await;
    looked_at(&mac, "messages.after").await;
    eventually("all is told", async || (told(&rig).len() >= 5).then_some(())).await;
    assert_eq!(sorted(told(&rig)), sorted(all_added_and_replaced()));
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_gives_on_another_device_is_the_lines_own_and_an_echo_is_nothing_on_bluebubbles()
 {
    let (mut rig, mac) = Rig::bluebubbles(|_| {}).await;
    let hello = mac.contact_writes(ANN, "hello").guid;
    rig.message(ANN, "hello").await;
    mac.owner_reacts(&hello, "love").unwrap();
    own_are(&rig, "hello", &["love"]).await;
    react(&rig, &hello, "like").await;
    own_are(&rig, "hello", &["like"]).await;
    mac.owner_reacts(&hello, "question").unwrap();
    own_are(&rig, "hello", &["question"]).await;
    // Taken back on the other device.
    mac.owner_reacts(&hello, "-question").unwrap();
    own_are(&rig, "hello", &[]).await;
    // Whatever stands before this was read.
    mac.contact_writes(ANN, "that was all");
    rig.message(ANN, "that was all").await;
    eventually("all is told", async || (told(&rig).len() >= 6).then_some(())).await;
    let mut all = all_added_and_replaced();
    all.push(("reaction.removed".to_owned(), "question".to_owned(), true));
    assert_eq!(sorted(told(&rig)), sorted(all));
    rig.stop().await;
    rig.server.stop().await;
}

/// Deliveries of one moment come in any order.
fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

/// Gives the account one more line on the same bridge, which sends by this.
async fn line_by<C: Connector>(rig: &Rig<C>, service: LineService) {
    let admin = rig.server.admin();
    let lines = admin.lines().await.unwrap().value.data;
    let first = lines.iter().find(|line| line.line.handle.as_str() == LINE).unwrap();
    let mut line = CreateLine::new(first.account_id, OTHER, first.driver);
    line.bridge_id = first.bridge_id.map(|bridge| bridge.to_string());
    line.contact_first = Some(false);
    line.service = Some(service);
    admin.create_line(&line).await.unwrap();
    eventually("the line is online", async || {
        let lines = rig.client.lines().await.unwrap().value.data;
        lines.iter().all(|line| line.status.online).then_some(())
    })
    .await;
}

/// Sends a text by that line, and waits for its end.
async fn sent_by_other<C: Connector>(rig: &Rig<C>, to: &str, text: &str) -> OutboxItem {
    let message = SendMessage::text(OTHER, to, text);
    let item: Id<OutboxItem> = rig.client.send_message(&message).await.unwrap().value.id;
    rig.ended(item).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_imessage_sends_no_sms_and_one_of_sms_nothing_else_on_imsg() {
    let (rig, mac) = Rig::imsg(Settings::default()).await;
    line_by(&rig, LineService::Imessage).await;
    mac.contact(BOB).has_only_sms();
    // Bob wrote by SMS: the only chat with him is no chat of this line.
    mac.chat_over(BOB, "SMS");
    assert_eq!(sent_by_other(&rig, BOB, "blue").await.status, OutboxStatus::Failed);
    assert_eq!(mac.contact(BOB).times_received("blue"), 0);
    // iMessage where it can, SMS where it must: with Carol there is no chat.
    let carol = "+15550100003";
    mac.contact(carol).has_only_sms();
    assert_eq!(sent_by_other(&rig, carol, "blue").await.status, OutboxStatus::Failed);
    assert_eq!(rig.sent(carol, "green").await.status, OutboxStatus::Sent);
    let received = mac.contact(carol).received();
    let shown: Vec<_> = received.iter().map(|one| (&*one.text, &*one.service)).collect();
    assert_eq!(shown, [("green", "SMS")]);
    end(rig).await;

    let (rig, mac) = Rig::imsg(Settings::default()).await;
    line_by(&rig, LineService::Sms).await;
    mac.chat_with(ANN);
    assert_eq!(sent_by_other(&rig, ANN, "the first").await.status, OutboxStatus::Sent);
    assert_eq!(sent_by_other(&rig, ANN, "the second").await.status, OutboxStatus::Sent);
    let received = mac.contact(ANN).received();
    let shown: Vec<_> = received.iter().map(|one| (&*one.text, &*one.service)).collect();
    assert_eq!(shown, [("the first", "SMS"), ("the second", "SMS")]);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_imessage_sends_no_sms_and_one_of_sms_nothing_else_on_bluebubbles() {
    for (service, prefix) in [(LineService::Imessage, "iMessage"), (LineService::Sms, "SMS")] {
        let (mut rig, mac) = Rig::bluebubbles(|_| {}).await;
        line_by(&rig, service).await;
        // Ann has written by the other way last.
        let (chat, over) = match service {
            LineService::Sms => (mac.direct_chat(ANN), "iMessage"),
            _ => (mac.sms_chat(ANN), "SMS"),
        };
        mac.receive(ANN, Incoming::text("hello").chat(&chat).service(over));
        assert_eq!(sent_by_other(&rig, ANN, "the first").await.status, OutboxStatus::Sent);
        assert_eq!(sent_by_other(&rig, ANN, "the second").await.status, OutboxStatus::Sent);
        let shown: Vec<bluebubbles::Shown> = mac.received_by(ANN);
        let chats: Vec<_> = shown.iter().map(|one| one.chat.split(';').next()).collect();
        assert_eq!(chats, [Some(prefix), Some(prefix)]);
        rig.stop().await;
        rig.server.stop().await;
    }
}
