//! An Android phone on which something goes wrong: each fault of the app's page, and what happens to phones.

use std::time::Duration;

use switchboard_fakes::{android_sms::SendFault, wire::Trouble};
use switchboard_model::outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus};
use switchboard_testkit::eventually;

use crate::{
    android::{end, times},
    rig::{ANN, LINE, Rig},
};

const HOUR_MS: i64 = 3_600_000;
/// The least that the app takes.
const SHORT_TTL: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_answer_is_lost_is_one_text() {
    let (rig, phone) = Rig::android().await;
    let troubles = [
        Trouble::CutBefore,
        Trouble::CutAfter,
        Trouble::CutWithin,
        Trouble::NeverBefore,
        Trouble::NeverAfter,
        Trouble::SlowAfter(Duration::from_millis(900)),
        Trouble::TunnelBefore(503),
        Trouble::TunnelAfter(503),
    ];
    for (number, trouble) in troubles.into_iter().enumerate() {
        let text = format!("number {number}");
        phone.trouble_with(http::Method::POST, "/messages", 2, trouble.clone());
        let item = rig.sent(ANN, &text).await;
        assert_eq!((item.status, item.error), (OutboxStatus::Sent, None), "{trouble:?}");
        assert_eq!(times(&phone, ANN, &text), 1, "{trouble:?}");
        let of_it = rig.messages(ANN).await;
        let of_it = of_it.iter().filter(|one| one.text.as_deref() == Some(&*text)).count();
        assert_eq!(of_it, 1, "{trouble:?}");
        rig.online().await;
    }
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_phone_can_not_send_fails_with_its_words() {
    let (rig, phone) = Rig::android().await;
    for (fault, says) in [
        (
            SendFault::NotBegun("Permission denied".to_owned()),
            "Can't send message: Permission denied",
        ),
        (SendFault::Refused("RESULT_ERROR_NO_SERVICE".to_owned()), "RESULT_ERROR_NO_SERVICE"),
        (SendFault::PartRefused("RESULT_ERROR_GENERIC_FAILURE".to_owned()), "parts of it may"),
    ] {
        phone.fail_send(fault);
        let item = rig.sent(ANN, &"long ".repeat(60)).await;
        assert_eq!(item.status, OutboxStatus::Failed);
        let error = item.error.unwrap_or_default();
        assert!(error.contains(says), "{error}");
    }
    // Sent is no proof: the network takes it, and refuses it later.
    phone.timing(|timing| timing.delivered = Duration::from_millis(300));
    phone.fail_send(SendFault::RefusedLater("blocked".to_owned()));
    assert_eq!(rig.sent(ANN, "refused later").await.status, OutboxStatus::Sent);
    eventually("the failure is told", async || {
        let message = rig.message(ANN, "refused later").await;
        message.failed_at.is_some().then_some(())
    })
    .await;
    phone.fail_send(SendFault::NoReceipt);
    assert_eq!(rig.sent(ANN, "no receipt").await.status, OutboxStatus::Sent);
    phone.fail_send(SendFault::Twice);
    assert_eq!(rig.sent(ANN, "the network doubles it").await.status, OutboxStatus::Sent);
    assert_eq!(rig.messages(ANN).await.len(), 3);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_is_away_says_so_and_loses_nothing() {
    let (rig, phone) = Rig::android().await;
    phone.away(true).await.unwrap();
    rig.line_says(false, Some("unreachable")).await;
    let id = rig.send(ANN, "while you were away").await;
    phone.contact_writes(ANN, "while I was away");
    phone.away(false).await.unwrap();
    rig.line_says(true, None).await;
    assert_eq!(rig.ended(id).await.status, OutboxStatus::Sent);
    assert_eq!(times(&phone, ANN, "while you were away"), 1);
    rig.message(ANN, "while I was away").await;

    // It goes away between the order and its end.
    phone.faults(|faults| faults.hold = true);
    let id = rig.send(ANN, "on its way").await;
    assert!(phone.until(Duration::from_secs(5), |phone| has_order(phone, &id.to_string())).await);
    phone.away(true).await.unwrap();
    rig.line_says(false, Some("unreachable")).await;
    phone.faults(|faults| faults.hold = false);
    phone.away(false).await.unwrap();
    assert_eq!(rig.ended(id).await.status, OutboxStatus::Sent);
    assert_eq!(times(&phone, ANN, "on its way"), 1);
    end(rig).await;
}

fn has_order(phone: &switchboard_fakes::android_sms::Phone, id: &str) -> bool {
    let of_it = |body: &[u8]| String::from_utf8_lossy(body).contains(id);
    phone.seen().iter().any(|one| one.method == "POST" && of_it(&one.body))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_waits_too_long_never_goes_out() {
    let (rig, phone) = Rig::android_with(|_| {}, |options| options.pace.ttl = SHORT_TTL).await;
    phone.faults(|faults| faults.hold = true);
    let item = rig.sent(ANN, "too late").await;
    assert_eq!(item.status, OutboxStatus::Failed);
    assert_eq!(item.error.as_deref(), Some("The phone was away, so nothing was sent."));
    phone.faults(|faults| faults.hold = false);
    assert_eq!(rig.sent(ANN, "in time").await.status, OutboxStatus::Sent);
    // Android never says what came of it: nobody knows, and it is not sent again.
    phone.fail_send(SendFault::NoReport);
    let item = rig.sent(ANN, "who knows").await;
    assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    assert_eq!(rig.sent(ANN, "and on").await.status, OutboxStatus::Sent);
    assert_eq!(phone.carried_out().len(), 3);
    assert_eq!(times(&phone, ANN, "too late"), 0);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_stays_away_past_the_time_turns_out_not_to_have_sent() {
    let (rig, phone) = Rig::android_with(|_| {}, |options| options.pace.ttl = SHORT_TTL).await;
    phone.faults(|faults| faults.hold = true);
    let id = rig.send(ANN, "yesterday's news").await;
    assert!(phone.until(Duration::from_secs(5), |phone| has_order(phone, &id.to_string())).await);
    phone.away(true).await.unwrap();
    let item = rig.ended(id).await;
    assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER));
    phone.faults(|faults| faults.hold = false);
    phone.away(false).await.unwrap();
    eventually("the truth is told", async || {
        let item = rig.client.outbox(id).await.unwrap().value;
        item.error.is_some_and(|error| error.contains("TTL expired")).then_some(())
    })
    .await;
    assert!(phone.carried_out().is_empty());
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_killed_loses_nothing() {
    let (rig, phone) = Rig::android().await;
    phone.contact_writes(ANN, "hello");
    rig.message(ANN, "hello").await;
    phone.kill_app().await;
    rig.line_says(false, Some("unreachable")).await;
    // It stands in the phone's own store alone.
    phone.contact_writes(ANN, "while the app was dead");
    phone.start_app().await.unwrap();
    rig.message(ANN, "while the app was dead").await;
    // Killed between the hand-over and its note it sends twice. Nothing outside can prevent that; to us it is one.
    phone.fail_send(SendFault::KilledBeforeNote);
    let id = rig.send(ANN, "twice").await;
    assert!(phone.until(Duration::from_secs(10), |phone| !phone.app_runs()).await);
    rig.line_says(false, Some("unreachable")).await;
    phone.start_app().await.unwrap();
    assert_eq!(rig.ended(id).await.status, OutboxStatus::Sent);
    assert_eq!(times(&phone, ANN, "twice"), 2);
    assert_eq!(rig.messages(ANN).await.len(), 3);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_wiped_repeats_nothing_and_misses_nothing() {
    for reinstalled in [false, true] {
        let (rig, phone) = Rig::android().await;
        for number in 0..5 {
            phone.contact_writes(ANN, &format!("before {number}"));
        }
        rig.message(ANN, "before 4").await;
        phone.wipe(reinstalled);
        phone.contact_writes(ANN, "after it");
        rig.message(ANN, "after it").await;
        assert_eq!(rig.sent(ANN, "and out").await.status, OutboxStatus::Sent);
        phone.contact_writes(ANN, "the last");
        rig.message(ANN, "the last").await;
        assert_eq!(rig.messages(ANN).await.len(), 8, "reinstalled: {reinstalled}");
        assert_eq!(rig.told("message.received", "text").len(), 7);
        end(rig).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_wiped_phone_may_have_sent_is_not_sent_again() {
    for reinstalled in [false, true] {
        let (mut rig, phone) = Rig::android().await;
        rig.sent(ANN, "it knows this one").await;
        phone.timing(|timing| timing.sent = Duration::from_secs(5));
        let id = rig.send(ANN, "once").await;
        assert!(phone.until(Duration::from_secs(5), |phone| times(phone, ANN, "once") == 1).await);
        rig.kill().await;
        phone.wipe(reinstalled);
        rig.start().await;
        let item = rig.ended(id).await;
        assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER), "{reinstalled}");
        assert_eq!(times(&phone, ANN, "once"), 1);
        end(rig).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_reached_the_phone_is_sent_after_a_crash() {
    let (mut rig, phone) = Rig::android_with(
        |_| {},
        |options| {
            options.pace.request = Duration::from_secs(10);
        },
    )
    .await;
    rig.sent(ANN, "it knows this one").await;
    phone.trouble_with(http::Method::POST, "/messages", 1, Trouble::NeverBefore);
    let id = rig.send(ANN, "lost on its way").await;
    assert!(phone.until(Duration::from_secs(5), |phone| has_order(phone, &id.to_string())).await);
    rig.kill().await;
    rig.start().await;
    assert_eq!(rig.ended(id).await.status, OutboxStatus::Sent);
    assert_eq!(times(&phone, ANN, "lost on its way"), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_phone_is_said_by_name() {
    let (rig, phone) = Rig::android().await;
    phone.trouble("/device", 60, Trouble::TunnelBefore(401));
    rig.line_says(false, Some("unauthorized")).await;
    rig.line_says(true, None).await;
    phone.trouble("/device", 60, Trouble::TunnelBefore(503));
    rig.line_says(false, Some("unreachable")).await;
    rig.line_says(true, None).await;
    phone.faults(|faults| faults.database_broken = true);
    rig.line_says(false, Some("other")).await;
    phone.faults(|faults| faults.database_broken = false);
    rig.line_says(true, None).await;
    let sims = std::sync::Mutex::new(Vec::new());
    phone.sims(|cards| *sims.lock().unwrap() = std::mem::take(cards));
    rig.line_says(false, Some("signed_out")).await;
    phone.sims(|cards| *cards = std::mem::take(&mut sims.lock().unwrap()));
    rig.line_says(true, None).await;
    // A second card with the line's number not named: nobody can tell which is which.
    phone.sims(|cards| {
        cards[0].knows_number = false;
        let other = cards[0].clone();
        cards.push(other);
    });
    rig.line_says(false, Some("wrong_account")).await;
    phone.sims(|cards| cards[1].knows_number = true);
    rig.line_says(true, None).await;
    assert_eq!(rig.sent(ANN, "by the second").await.status, OutboxStatus::Sent);
    assert_eq!(phone.carried_out()[0].sim, 2);
    assert_eq!(phone.received_by(ANN)[0].from, LINE);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_whose_clock_is_wrong_carries_on() {
    for skew in [HOUR_MS, -HOUR_MS] {
        let (rig, phone) = Rig::android().await;
        phone.clock(skew);
        phone.contact_writes(ANN, "what time is it?");
        rig.message(ANN, "what time is it?").await;
        assert_eq!(rig.sent(ANN, "no idea").await.status, OutboxStatus::Sent);
        end(rig).await;
    }
}
