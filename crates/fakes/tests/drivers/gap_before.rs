//! What came while nobody told it, before a bridge was given the line: a standby that is made when the first bridge is dead already,
//! a Mac in the place of one that is lost, a data directory that is gone.

use switchboard_bridge::drivers::Imsg;
use switchboard_client::SendReaction;
use switchboard_fakes::imsg::{Mac, Settings};
use switchboard_model::{Line, id::Id};
use switchboard_testkit::{Setup, eventually};

use crate::{
    imsg_faults::{end, with_ann},
    rig::{ANN, BOB, Carrier, LINE, Rig},
};

/// One more line on the same Mac.
const OTHER: &str = "+15550999998";

async fn line<C>(rig: &Rig<C>, handle: &str) -> Id<Line> {
    let lines = rig.server.admin().lines().await.unwrap().value.data;
    lines.into_iter().find(|one| one.line.handle.as_str() == handle).unwrap().line.id
}

/// The first bridge is gone for good; the one that is given the line now takes it over.
async fn replace<C>(rig: &mut Rig<C>) {
    rig.add_standby().await;
    rig.standby_is_ready().await;
    let line = line(rig, LINE).await;
    rig.server.admin().take_over_line(line, true).await.unwrap();
    rig.swap();
    rig.online().await;
}

/// A Mac on which somebody wrote before there was a line.
async fn with_history() -> (Rig<Imsg>, Mac) {
    let (carrier, mac) = Carrier::imsg(Settings::default());
    for number in 0..20 {
        mac.contact(BOB).writes(&format!("history {number}"));
    }
    (Rig::on(Setup::new().unlinked().start().await, carrier).await, mac)
}

fn tells(rig: &Rig<Imsg>, event: &str) -> usize {
    rig.receiver.received().iter().filter(|one| one.json()["event"] == event).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_made_after_the_first_bridge_died_tells_what_came_since_on_imsg() {
    let (mut rig, mac) = with_history().await;
    mac.contact(ANN).writes("hello");
    let hello = rig.message(ANN, "hello").await.guid;
    rig.sent(ANN, "by the first").await;
    let reaction = SendReaction::new(LINE, ANN, &hello, "love");
    let reaction = rig.client.send_reaction(&reaction).await.unwrap().value.id;
    rig.ended(reaction).await;
    rig.kill().await;
    for number in 0..3 {
        mac.contact(ANN).writes(&format!("gap {number}"));
    }
    mac.contact(ANN).reacts(&hello, "like");
    replace(&mut rig).await;
    mac.contact(ANN).writes("after it");
    rig.message(ANN, "after it").await;
    let texts: Vec<_> = rig.messages(ANN).await.into_iter().filter_map(|one| one.text).collect();
    assert_eq!(texts, ["hello", "by the first", "gap 0", "gap 1", "gap 2", "after it"]);
    eventually("all is told", async || {
        (tells(&rig, "message.received") == 5 && tells(&rig, "reaction.added") == 2).then_some(())
    })
    .await;
    // Neither what the first one has told nor what was before the line.
    assert!(rig.messages(BOB).await.is_empty());
    assert_eq!(tells(&rig, "message.sent"), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_made_after_the_first_bridge_died_tells_what_came_since_on_bluebubbles() {
    let (mut rig, mac) = Rig::bluebubbles(|_| {}).await;
    mac.contact_writes(ANN, "hello");
    rig.message(ANN, "hello").await;
    rig.kill().await;
    mac.contact_writes(ANN, "gap");
    replace(&mut rig).await;
    rig.message(ANN, "gap").await;
    assert_eq!(rig.messages(ANN).await.len(), 2);
    rig.stop().await;
    rig.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_has_lost_its_directory_tells_what_came_since() {
    let (mut rig, mac) = with_history().await;
    mac.contact(ANN).writes("hello");
    rig.message(ANN, "hello").await;
    rig.kill().await;
    mac.contact(ANN).writes("gap");
    rig.data = tempfile::tempdir().unwrap();
    rig.start().await;
    rig.message(ANN, "gap").await;
    assert!(rig.messages(BOB).await.is_empty());
    assert_eq!(rig.messages(ANN).await.len(), 2);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_read_past_the_gap_for_another_line_goes_back() {
    let (mut rig, mac) = with_ann(Settings::default()).await;
    rig.add_line(OTHER).await;
    eventually("both lines are online", async || {
        let lines = rig.client.lines().await.unwrap().value.data;
        (lines.len() == 2 && lines.iter().all(|line| line.status.online)).then_some(())
    })
    .await;
    mac.contact(BOB).draft("to the other").addressed_to(OTHER).arrive();
    has(&rig, OTHER, BOB, "to the other").await;
    rig.kill().await;
    replace(&mut rig).await;
    mac.contact(BOB).draft("gap").addressed_to(OTHER).arrive();
    mac.contact(ANN).draft("to the first").addressed_to(LINE).arrive();
    rig.message(ANN, "to the first").await;
    let (admin, other) = (rig.server.admin(), line(&rig, OTHER).await);
    let bridges = admin.bridges().await.unwrap().value.data;
    let bridge = bridges.into_iter().find(|one| one.name == "other mac").unwrap().id;
    admin.set_standby(other, Some(&bridge.to_string())).await.unwrap();
    admin.take_over_line(other, true).await.unwrap();
    has(&rig, OTHER, BOB, "gap").await;
    let told = rig.told("message.received", "text");
    assert!(
        !told.iter().any(|text| told.iter().filter(|one| *one == text).count() > 1),
        "{told:?}"
    );
    end(rig).await;
}

async fn has(rig: &Rig<Imsg>, line: &str, with: &str, text: &str) {
    eventually(&format!("{text:?} is there"), async || {
        let messages = rig.client.messages(line, with).all(100).await.unwrap_or_default();
        messages.into_iter().find(|one| one.text.as_deref() == Some(text))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_nobody_had_has_no_gap() {
    let (mut rig, mac) = with_history().await;
    rig.kill().await;
    mac.contact(BOB).draft("before the new line").addressed_to(OTHER).arrive();
    rig.add_line(OTHER).await;
    rig.start().await;
    rig.online().await;
    mac.contact(BOB).draft("to the new line").addressed_to(OTHER).arrive();
    has(&rig, OTHER, BOB, "to the new line").await;
    let messages = rig.client.messages(OTHER, BOB).all(100).await.unwrap();
    assert_eq!(messages.len(), 1);
    end(rig).await;
}
