//! What is history and what is new, whether it is still the same database, and which line a message belongs to.

use std::time::Duration;

use switchboard_bridge::Driver;
use switchboard_fakes::bluebubbles::{Incoming, Keep};
use switchboard_model::{Timestamp, link::Inbound};

use crate::rig::{ANN, BOB, LINE, OTHER, Rig, now, texts};

const DAY: i64 = 24 * 60 * 60 * 1000;

#[tokio::test]
async fn a_row_from_the_future_makes_no_history_of_what_follows() {
    let mut rig = Rig::new().await;
    rig.server.receive(ANN, Incoming::text("a wrong clock").at(now().millis() + 3 * DAY));
    rig.hears("a wrong clock").await;
    rig.server.contact_writes(ANN, "after it");
    rig.hears("after it").await;
    rig.restart().await;
    rig.server.contact_writes(ANN, "after a restart");
    rig.hears("after a restart").await;
    // Nor does it of what is new in another database.
    rig.server.replace_database(Keep::Nothing);
    rig.server.contact_writes(ANN, "in another database");
    rig.hears("in another database").await;
}

#[tokio::test]
async fn what_came_while_a_mac_was_off_is_told_though_newer_messages_came_first() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.start_at(Timestamp(now().millis() - 9 * DAY));
    rig.start().await;
    rig.online().await;
    rig.server.contact_writes(ANN, "the Mac is on again");
    rig.hears("the Mac is on again").await;
    rig.server.receive(ANN, Incoming::text("while it was off").at(now().millis() - 3 * DAY));
    rig.hears("while it was off").await;
    rig.server.receive(ANN, Incoming::text("before the line").at(now().millis() - 10 * DAY));
    rig.quiet().await;
    assert_eq!(texts(&rig.told), ["the Mac is on again", "while it was off"]);
}

#[tokio::test]
async fn a_line_begins_when_the_bridge_is_first_given_it() {
    let mut rig = Rig::idle(|_| ()).await;
    rig.server.stop().await;
    rig.start().await;
    rig.server.contact_writes(ANN, "before there was a line");
    rig.server.contact_writes(BOB, "and this");
    // Stamps are of milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    // Its server can't be reached yet. What comes from now on is the line's all the same.
    rig.driver().assign_lines(vec![rig.line.clone()]).await;
    let first = rig.server.contact_writes(ANN, "the first");
    rig.server.start_again().await.unwrap();
    rig.hears("the first").await;
    let Inbound::Message(message) = &rig.told[0] else { panic!() };
    assert_eq!((message.guid.as_str(), rig.told.len()), (&*first.guid, 1));
}

#[tokio::test]
async fn a_second_line_has_nothing_of_what_was_before_it() {
    let mut rig = Rig::new().await;
    rig.server.contact_writes(ANN, "first line");
    rig.hears("first line").await;
    let before = now().millis();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let other = rig.add_line(OTHER).await;
    // The cloud fills in what came to that address before.
    rig.server.receive(BOB, Incoming::text("old").at(before).addressed_to(OTHER));
    rig.server.receive(BOB, Incoming::text("new").addressed_to(OTHER));
    assert_eq!(rig.texts_of(&other, 1).await, ["new"]);
    rig.server.receive(ANN, Incoming::text("late").at(before));
    rig.hears("late").await;
}

#[tokio::test]
async fn deleting_the_newest_conversation_makes_no_other_database() {
    let mut rig = Rig::idle(|_| ()).await;
    for n in 0..40 {
        rig.server.receive(BOB, Incoming::text(&format!("old {n}")).at(now().millis() - DAY));
    }
    rig.start().await;
    rig.online().await;
    let mut newest = Vec::new();
    for n in 0..30 {
        newest.push(rig.server.contact_writes(ANN, &format!("{n}")).guid);
    }
    rig.hears("29").await;
    for guid in &newest {
        rig.server.delete(guid);
    }
    rig.quiet().await;
    rig.server.contact_writes(ANN, "after");
    rig.hears("after").await;
    assert_eq!(texts(&rig.told).len(), 31);
}

#[tokio::test]
async fn a_database_that_was_put_back_loses_nothing_that_follows() {
    // Its rows are numbered again as those that are gone.
    let mut rig = Rig::new().await;
    for n in 0..20 {
        rig.server.contact_writes(ANN, &format!("{n}"));
    }
    rig.hears("19").await;
    rig.kill().await;
    rig.server.replace_database(Keep::Oldest(10));
    rig.start().await;
    rig.online().await;
    for n in 0..5 {
        rig.server.contact_writes(ANN, &format!("after {n}"));
    }
    rig.hears("after 4").await;
    assert_eq!(texts(&rig.told).len(), 25);
}

#[tokio::test]
async fn of_several_lines_each_has_what_came_to_its_address_in_one_thread() {
    let mut rig = Rig::new().await;
    let other = rig.add_line(OTHER).await;
    for (text, to) in [
        ("to the first", LINE),
        ("to the second", OTHER),
        ("to the first again", "P:+15550999999"),
        ("with signs", " +1 (555) 099-9998"),
        ("without a country", "(555) 099-9998"),
        ("to neither", "bot@example.com"),
        ("the last", LINE),
    ] {
        rig.server.receive(ANN, Incoming::text(text).addressed_to(to));
    }
    rig.hears("the last").await;
    assert_eq!(texts(&rig.told), ["to the first", "to the first again", "the last"]);
    let of_other = rig.texts_of(&other, 3).await;
    assert_eq!(of_other, ["to the second", "with signs", "without a country"]);
}

#[tokio::test]
async fn what_came_to_another_address_of_the_apple_id_is_not_the_lines() {
    let mut rig = Rig::new().await;
    let chat = rig.server.direct_chat(ANN);
    rig.server.receive(ANN, Incoming::text("to another").addressed_to("bot@example.com"));
    rig.server.owner_writes_as(&chat, "by another", "E:bot@example.com");
    rig.server.receive(ANN, Incoming::text("to nobody").addressed_to(""));
    // What was sent from here is the line's by whatever address Messages sends it.
    rig.server.mac(|mac| mac.own_handle = "bot@example.com".to_owned());
    let guid = rig.sent(ANN, "from here").await;
    rig.server.delivered(&guid);
    rig.changes(&guid, |update| update.delivered_at.is_some()).await;
    rig.server.receive(ANN, Incoming::text("to the line").addressed_to(LINE));
    rig.hears("to the line").await;
    assert_eq!(texts(&rig.told), ["to nobody", "to the line"]);
    assert!(rig.own().is_empty(), "{:?}", rig.own());
}
