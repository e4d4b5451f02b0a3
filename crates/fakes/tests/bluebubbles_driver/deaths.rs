//! A driver that dies in the middle.

use std::time::Duration;

use switchboard_bridge::KnownOutcome;
use switchboard_fakes::{bluebubbles::SendFault, wire::Trouble};
use switchboard_model::link::{Inbound, Outcome};

use crate::rig::{ANN, BOB, Rig, text_of, texts};

/// Kills the driver while this item is under way.
async fn die_with(rig: &mut Rig, text: &str) -> switchboard_model::link::SendItem {
    let item = rig.item(ANN, text_of(text));
    let before = rig.server.seen().len();
    let sending = rig.hand_over_apart(item.clone());
    let asked = |server: &switchboard_fakes::bluebubbles::Server| {
        server.seen()[before..].iter().any(|one| one.path.ends_with("/message/text"))
    };
    assert!(rig.server.until(Duration::from_secs(10), asked).await);
    sending.abort();
    let _ = sending.await;
    rig.kill().await;
    rig.start().await;
    rig.online().await;
    item
}

#[tokio::test]
async fn what_was_sent_by_a_driver_that_died_is_found_and_not_sent_again() {
    for mut rig in [Rig::new().await, Rig::scripts().await] {
        rig.server.direct_chat(ANN);
        rig.server.trouble("/message/text", 1, Trouble::NeverAfter);
        let item = die_with(&mut rig, "hello").await;
        assert!(rig.server.until(Duration::from_secs(10), |s| s.rows() > 0).await);
        let outcome = match rig.reconcile(&item).await {
            KnownOutcome::Finished(Outcome::Unknown) => rig.resolved().await,
            KnownOutcome::Finished(outcome) => outcome,
            KnownOutcome::NeverStarted => panic!("it was"),
        };
        assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
        // Whoever gives it again all the same.
        let again = rig.hand_over(item).await;
        assert!(!matches!(again, Outcome::Released | Outcome::Failed { .. }), "{again:?}");
        assert_eq!(rig.shown(ANN, "hello"), 1);
        rig.quiet().await;
        assert!(rig.own().is_empty());
    }
}

#[tokio::test]
async fn of_what_never_reached_the_server_nobody_can_say_so() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    rig.server.trouble("/message/text", 1, Trouble::NeverBefore);
    let item = die_with(&mut rig, "hello").await;
    let known = rig.reconcile(&item).await;
    assert_eq!(known, KnownOutcome::Finished(Outcome::Unknown));
    assert_eq!(rig.hand_over(item).await, Outcome::Unknown);
    assert_eq!(rig.shown(ANN, "hello"), 0);
    // Another item of the same text is another item.
    rig.sent(ANN, "hello").await;
    assert_eq!(rig.shown(ANN, "hello"), 1);
}

#[tokio::test]
async fn an_item_that_was_never_begun_is_known_not_to_have_been() {
    let mut rig = Rig::new().await;
    let item = rig.item(ANN, text_of("hello"));
    rig.restart().await;
    assert_eq!(rig.reconcile(&item).await, KnownOutcome::NeverStarted);
}

#[tokio::test]
async fn a_failed_row_of_a_driver_that_died_is_a_failed_item() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    rig.server.fail_send(SendFault::RowFails(22));
    rig.server.trouble("/message/text", 1, Trouble::NeverAfter);
    let item = die_with(&mut rig, "hello").await;
    assert!(rig.server.until(Duration::from_secs(10), |s| s.rows() > 0).await);
    let outcome = match rig.reconcile(&item).await {
        KnownOutcome::Finished(Outcome::Unknown) => rig.resolved().await,
        KnownOutcome::Finished(outcome) => outcome,
        KnownOutcome::NeverStarted => panic!("it was"),
    };
    // Found by the look or by its row: then it is sent and failed.
    match outcome {
        Outcome::Failed { error } => assert!(error.contains("22")),
        Outcome::Sent { guid, .. } => {
            rig.changes(&guid, |update| update.failed.is_some()).await;
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_may_be_of_an_attempt_that_nobody_can_decide_is_told_after_a_while() {
    let mut rig = Rig::new().await;
    let chat = rig.server.direct_chat(ANN);
    rig.server.trouble("/message/text", 1, Trouble::NeverAfter);
    let item = rig.item(ANN, text_of("ok"));
    let sending = rig.hand_over_apart(item);
    assert!(rig.server.until(Duration::from_secs(10), |s| s.rows() > 0).await);
    rig.server.owner_writes(&chat, "ok");
    sending.abort();
    let _ = sending.await;
    rig.kill().await;
    rig.start().await;
    rig.online().await;
    // Which of the two is the attempt's stays open for a day.
    let own = |told: &[Inbound]| told.iter().filter(|one| matches!(one, Inbound::Own(_))).count();
    rig.told_until(|told| own(told) == 2).await;
    assert_eq!(rig.shown(ANN, "ok"), 2);
}

#[tokio::test]
async fn kills_under_load_send_nothing_twice_and_miss_nothing() {
    let mut rig = Rig::new().await;
    rig.server.direct_chat(ANN);
    let mut items = Vec::new();
    for round in 0..12 {
        let item = rig.item(ANN, text_of(&format!("out {round}")));
        let sending = rig.hand_over_apart(item.clone());
        rig.server.contact_writes(BOB, &format!("in {round}"));
        // At another moment each time.
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        sending.abort();
        let _ = sending.await;
        rig.kill().await;
        rig.start().await;
        rig.online().await;
        items.push(item);
    }
    for (round, item) in items.iter().enumerate() {
        let known = rig.reconcile(item).await;
        let shown = rig.shown(ANN, &format!("out {round}"));
        assert!(shown <= 1, "shown {shown} times");
        match known {
            KnownOutcome::NeverStarted | KnownOutcome::Finished(Outcome::Released) => {
                assert_eq!(shown, 0, "round {round}");
            }
            KnownOutcome::Finished(Outcome::Sent { .. }) => assert_eq!(shown, 1, "round {round}"),
            KnownOutcome::Finished(other) => assert_eq!(other, Outcome::Unknown),
        }
    }
    rig.hears("in 11").await;
    let came: Vec<String> = (0..12).map(|round| format!("in {round}")).collect();
    assert_eq!(texts(&rig.told), came);
    rig.quiet().await;
    let owns = rig.told.iter().filter(|one| matches!(one, Inbound::Own(_))).count();
    assert_eq!(owns, 0, "an echo is told as the owner's: {:?}", rig.own());
}
