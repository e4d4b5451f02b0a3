//! What comes in.

use std::time::Duration;

use switchboard_fakes::bluebubbles::{Faults, Incoming, Keep};
use switchboard_model::{
    Timestamp,
    link::{Inbound, InboundChat, InboundReaction},
};

use crate::rig::{ANN, BOB, Rig, now, texts};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn reactions(told: &[Inbound]) -> Vec<&InboundReaction> {
    let mut reactions = Vec::new();
    for one in told {
        if let Inbound::Reaction(reaction) = one {
            reactions.push(reaction);
        }
    }
    reactions
}

#[tokio::test]
async fn a_message_is_told_once_with_all_that_is_known_of_it() {
    let mut rig = Rig::new().await;
    let first = rig.server.contact_writes(ANN, "hi");
    rig.server.receive(ANN, Incoming::text("and?").reply_to(&first.guid));
    rig.hears("and?").await;
    let Inbound::Message(message) = &rig.told[0] else { panic!() };
    assert_eq!(message.guid, first.guid);
    assert_eq!(message.sender.as_str(), ANN);
    assert!(matches!(&message.chat, InboundChat::Contact { handle } if handle.as_str() == ANN));
    let Inbound::Message(reply) = &rig.told[1] else { panic!() };
    assert_eq!(reply.reply_to_guid.as_ref(), Some(&first.guid));
    // Whatever the server tells again.
    rig.server.an_hour_passes();
    rig.server.replay_webhooks();
    rig.restart().await;
    rig.quiet().await;
    assert_eq!(rig.told.len(), 2);
}

#[tokio::test]
async fn what_the_owner_writes_on_another_device_is_the_owners() {
    let mut rig = Rig::new().await;
    let chat = rig.server.direct_chat(ANN);
    let own = rig.server.owner_writes(&chat, "from my telephone");
    rig.told_until(|told| !told.is_empty()).await;
    assert!(matches!(&rig.told[0], Inbound::Own(one) if one.guid == own.guid));
    rig.sent(ANN, "from here").await;
    rig.quiet().await;
    assert_eq!(rig.own(), ["from my telephone"]);
}

#[tokio::test]
async fn reactions_of_every_kind_are_told_and_taken_back() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    let guid = rig.sent(ANN, "party 🎉").await;
    for reaction in ["love", "-love", "question", "🔥", "-🔥", "❤️"] {
        rig.server.contact_reacts(ANN, &guid, reaction).unwrap();
    }
    rig.told_until(|told| reactions(told).len() == 6).await;
    let said: Vec<(String, bool)> = reactions(&rig.told)
        .iter()
        .map(|one| {
            assert_eq!((&one.message_guid, one.sender.as_str()), (&guid, ANN));
            (one.reaction_type.to_string(), one.added)
        })
        .collect();
    let said: Vec<(&str, bool)> = said.iter().map(|(kind, added)| (&**kind, *added)).collect();
    let all = [
        ("love", true),
        ("love", false),
        ("question", true),
        ("🔥", true),
        ("🔥", false),
        ("❤️", true),
    ];
    assert_eq!(said, all);
}

#[tokio::test]
async fn edits_and_messages_taken_back_are_told_however_old_the_message() {
    let mut rig = Rig::new().await;
    let one = rig.server.contact_writes(ANN, "one");
    let two = rig.server.contact_writes(ANN, "two");
    for n in 0..120 {
        rig.server.contact_writes(BOB, &format!("filler {n}"));
    }
    rig.hears("filler 119").await;
    rig.server.edit(&one.guid, "one, edited");
    rig.server.unsend(&two.guid);
    let edited = rig.changes(&one.guid, |update| update.edit.is_some()).await;
    assert_eq!(edited.edit.unwrap().text.as_deref(), Some("one, edited"));
    rig.changes(&two.guid, |update| update.unsent_at.is_some()).await;
    rig.server.unsend_part(&one.guid);
    let of_one = |update: &switchboard_model::link::InboundUpdate| update.edit.is_some();
    rig.changes(&one.guid, of_one).await;
    rig.quiet().await;
    let unsent =
        |one: &&Inbound| matches!(one, Inbound::Update(update) if update.unsent_at.is_some());
    assert_eq!(rig.told.iter().filter(unsent).count(), 1);
}

#[tokio::test]
async fn a_row_that_stands_in_no_chat_is_waited_for_and_keeps_the_order() {
    let mut rig = Rig::new().await;
    let first = rig.server.receive(ANN, Incoming::text("first").unjoined());
    rig.server.contact_writes(ANN, "second");
    tokio::time::sleep(Duration::from_millis(200)).await;
    rig.server.join(&first.guid);
    rig.hears("second").await;
    assert_eq!(texts(&rig.told), ["first", "second"]);
    // One that never finds its chat holds nothing up for long.
    rig.server.receive(ANN, Incoming::text("lost").unjoined());
    rig.server.contact_writes(ANN, "third");
    rig.hears("third").await;
    assert_eq!(texts(&rig.told), ["first", "second", "third"]);
}

#[tokio::test]
async fn what_the_cloud_fills_in_is_history_and_what_comes_late_is_not() {
    let mut rig = Rig::new().await;
    rig.server.contact_writes(ANN, "today");
    rig.hears("today").await;
    rig.server.receive(ANN, Incoming::text("years ago").at(now().millis() - 900 * DAY));
    rig.server.receive(ANN, Incoming::text("before we came").at(now().millis() - DAY));
    rig.quiet().await;
    assert_eq!(texts(&rig.told), ["today"]);
}

#[tokio::test]
async fn it_starts_at_now_or_at_a_time_that_is_asked_for() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.server.receive(ANN, Incoming::text("long ago").at(now().millis() - 90 * DAY));
    rig.server.receive(ANN, Incoming::text("yesterday").at(now().millis() - DAY));
    rig.start_at(Timestamp(now().millis() - 2 * DAY));
    rig.start().await;
    rig.online().await;
    rig.server.contact_writes(ANN, "now");
    rig.hears("now").await;
    assert_eq!(texts(&rig.told), ["yesterday", "now"]);

    let mut rig = Rig::idle(|_| ()).await;
    rig.server.receive(ANN, Incoming::text("yesterday").at(now().millis() - DAY));
    rig.start().await;
    rig.online().await;
    rig.server.contact_writes(ANN, "now");
    rig.hears("now").await;
    assert_eq!(texts(&rig.told), ["now"]);
}

#[tokio::test]
async fn another_database_neither_repeats_nor_loses_what_is_new() {
    for keep in [Keep::All, Keep::Newest(2), Keep::Nothing] {
        let mut rig = Rig::new().await;
        for n in 0..10 {
            rig.server.contact_writes(ANN, &format!("message {n}"));
        }
        rig.hears("message 9").await;
        let guid = rig.sent(ANN, "ours").await;
        rig.server.replace_database(keep);
        rig.server.contact_writes(ANN, "after");
        rig.hears("after").await;
        rig.quiet().await;
        assert_eq!(texts(&rig.told).len(), 11, "{keep:?}");
        assert!(rig.own().is_empty(), "{keep:?} {guid}");
    }
}

#[tokio::test]
async fn a_message_that_the_server_can_not_read_holds_nothing_up() {
    let mut rig = Rig::new().await;
    rig.server.contact_writes(ANN, "before");
    rig.server.receive(ANN, Incoming::text("broken").unreadable());
    rig.server.contact_writes(ANN, "after");
    rig.hears("after").await;
    assert_eq!(texts(&rig.told), ["before", "after"]);
    // Also where it is the newest.
    rig.server.receive(ANN, Incoming::text("broken").unreadable());
    rig.server.receive(ANN, Incoming::text("broken").unreadable());
    tokio::time::sleep(Duration::from_millis(200)).await;
    rig.server.contact_writes(ANN, "last");
    rig.hears("last").await;
    rig.restart().await;
    rig.quiet().await;
    assert_eq!(texts(&rig.told), ["before", "after", "last"]);
}

#[tokio::test]
async fn a_burst_is_told_whole_though_the_webhook_tells_a_part() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.with_webhook = true;
    rig.start().await;
    rig.online().await;
    for n in 0..1_500 {
        rig.server.contact_writes(ANN, &format!("{n}"));
    }
    rig.hears("1499").await;
    let all: Vec<String> = (0..1_500).map(|n| n.to_string()).collect();
    assert_eq!(texts(&rig.told), all);
}

#[tokio::test]
async fn typing_is_told_where_the_webhook_is_heard() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.with_webhook = true;
    rig.start().await;
    rig.online().await;
    rig.server.contact_writes(ANN, "hi");
    rig.hears("hi").await;
    let typing = |told: &[Inbound], on: bool| {
        told.iter().any(|one| matches!(one, Inbound::Typing(typing) if typing.is_typing == on))
    };
    // The webhook may not be known to the server yet.
    let mut tries = 0;
    while !rig.server.seen().iter().any(|one| one.path.ends_with("/webhook")) && tries < 1000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        tries += 1;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    rig.server.contact_types(ANN, true);
    rig.told_until(|told| typing(told, true)).await;
    rig.server.contact_types(ANN, false);
    rig.told_until(|told| typing(told, false)).await;
}

#[tokio::test]
async fn what_happened_while_the_driver_or_the_server_was_away_is_told() {
    let mut rig = Rig::new().await;
    rig.server.contact_writes(ANN, "one");
    rig.hears("one").await;
    rig.kill().await;
    rig.server.contact_writes(ANN, "two");
    rig.start().await;
    rig.online().await;
    rig.hears("two").await;
    rig.server.stop().await;
    rig.server.contact_writes(ANN, "three");
    rig.server.start_again().await.unwrap();
    rig.hears("three").await;
    assert_eq!(texts(&rig.told), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_twin_of_the_spam_filter_tells_nothing() {
    let mut rig = Rig::new().await;
    let twin = rig.server.filtered_twin(ANN);
    rig.server.receive(ANN, Incoming::text("masked").chat(&twin));
    rig.quiet().await;
    assert!(rig.told.is_empty());
}

#[tokio::test]
async fn a_delivery_without_a_date_is_told_once() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    let guid = rig.sent(ANN, "hello").await;
    rig.server.delivered_without_date(&guid);
    rig.changes(&guid, |update| update.delivered_at.is_some()).await;
    rig.restart().await;
    rig.quiet().await;
    let told = rig.told.iter();
    let delivered =
        told.filter(|one| matches!(one, Inbound::Update(update) if update.delivered_at.is_some()));
    assert_eq!(delivered.count(), 1);
}

#[tokio::test]
async fn whatever_the_webhook_does_each_message_is_told_once() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.with_webhook = true;
    rig.start().await;
    rig.online().await;
    let mut told = Vec::new();
    for (n, change) in [
        |faults: &mut Faults| faults.webhooks_twice = true,
        |faults: &mut Faults| faults.webhooks_reversed = true,
        |faults: &mut Faults| faults.webhooks_lost = true,
        |faults: &mut Faults| faults.debounce_loses = true,
    ]
    .into_iter()
    .enumerate()
    {
        rig.server.faults(|faults| {
            *faults = Faults::default();
            change(faults);
        });
        for m in 0..3 {
            let text = format!("{n} {m}");
            rig.server.contact_writes(ANN, &text);
            told.push(text);
        }
        rig.hears(told.last().unwrap()).await;
    }
    rig.quiet().await;
    assert_eq!(texts(&rig.told), told);
}
