//! Faults of a Mac that take their time by design: half a minute until a file is given up, or an alarm is raised. They run at the
//! same time, each on a Mac and with a server of its own, because most of it is waiting.

use std::time::Duration;

use switchboard_fakes::imsg::{Fault, Settings};
use switchboard_model::outbox::{MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus};
use tokio::time::sleep;

use crate::{
    imsg_faults::{end, with_ann},
    rig::ANN,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_its_time_by_design() {
    tokio::join!(
        a_watch_that_goes_silent_costs_seconds_and_raises_the_alarm(),
        a_file_that_comes_after_its_message_is_told_as_an_update(),
        another_database_in_the_old_ones_place_repeats_nothing_and_misses_nothing(),
        a_permission_that_is_lost_is_said_and_nothing_is_lost_with_it(),
        edits_and_what_is_taken_back_are_seen_by_reading_again(),
        what_never_went_out_stays_unknown_and_is_not_sent_again(),
        a_file_that_stalls_on_its_way_to_the_server_comes_whole(),
    );
}

async fn a_watch_that_goes_silent_costs_seconds_and_raises_the_alarm() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.silence_watch(true);
    mac.contact(ANN).writes("do you hear me?");
    rig.message(ANN, "do you hear me?").await;
    // What it does not tell of goes on coming, and the line says that something is wrong.
    for number in 0..8 {
        sleep(Duration::from_secs(5)).await;
        mac.contact(ANN).writes(&format!("again {number}"));
    }
    rig.message(ANN, "again 7").await;
    rig.line_says(true, Some("silent_watch")).await;
    mac.silence_watch(false);
    mac.contact(ANN).writes("and now?");
    rig.message(ANN, "and now?").await;
    rig.line_says(true, None).await;
    end(rig).await;
}

async fn a_file_that_comes_after_its_message_is_told_as_an_update() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let guid = mac.contact(ANN).draft("a slow one").missing_file("slow.png", b"png").arrive();
    // Half a minute is waited for it; then the text goes on its way.
    eventually_slowly("the text is there", async || {
        rig.messages(ANN).await.into_iter().find(|one| one.guid == guid)
    })
    .await;
    mac.download(&guid);
    eventually_slowly("the file is there", async || {
        let messages = rig.messages(ANN).await;
        messages.into_iter().find(|one| one.guid == guid && one.attachments.len() == 1)
    })
    .await;
    end(rig).await;
}

async fn a_file_that_stalls_on_its_way_to_the_server_comes_whole() {
    let (rig, mac) = with_ann(Settings::default()).await;
    rig.network.stall_upload();
    let bytes = vec![7; 500_000];
    let guid = mac.contact(ANN).draft("a large one").file("large.bin", &bytes).arrive();
    // The server gives it up after half a minute.
    let message = eventually_slowly("the message is there", async || {
        rig.messages(ANN).await.into_iter().find(|one| one.guid == guid)
    })
    .await;
    assert!(!rig.network.is_to_stall());
    let sizes: Vec<_> = message.attachments.iter().map(|file| file.size).collect();
    assert_eq!(sizes, [Some(500_000)]);
    end(rig).await;
}

async fn another_database_in_the_old_ones_place_repeats_nothing_and_misses_nothing() {
    let (rig, mac) = with_ann(Settings::default()).await;
    for number in 0..5 {
        mac.contact(ANN).writes(&format!("before {number}"));
    }
    rig.message(ANN, "before 4").await;
    mac.replace_database(0);
    mac.contact(ANN).writes("in the new one");
    eventually_slowly("what is new is there", async || {
        rig.messages(ANN)
            .await
            .into_iter()
            .find(|one| one.text.as_deref() == Some("in the new one"))
    })
    .await;
    assert_eq!(rig.messages(ANN).await.len(), 7);
    end(rig).await;
}

async fn a_permission_that_is_lost_is_said_and_nothing_is_lost_with_it() {
    let (rig, mac) = with_ann(Settings::default()).await;
    mac.lose_full_disk_access();
    rig.line_says(false, Some("permission")).await;
    mac.contact(ANN).writes("while you could not see");
    let id = rig.send(ANN, "while I could not send").await;
    mac.regain_full_disk_access();
    rig.line_says(true, None).await;
    rig.message(ANN, "while you could not see").await;
    assert_eq!(rig.ended(id).await.status, OutboxStatus::Sent);
    assert_eq!(mac.contact(ANN).times_received("while I could not send"), 1);
    end(rig).await;
}

async fn edits_and_what_is_taken_back_are_seen_by_reading_again() {
    let (rig, mac) = with_ann(Settings::default()).await;
    let edited = mac.contact(ANN).writes("at nein");
    let unsent = mac.contact(ANN).writes("never mind");
    rig.message(ANN, "never mind").await;
    mac.contact(ANN).edits(&edited, "at nine");
    mac.contact(ANN).unsends(&unsent);
    eventually_slowly("both are seen", async || {
        let messages = rig.messages(ANN).await;
        let is_edited = messages.iter().any(|one| one.guid == edited && one.edited_at.is_some());
        let is_unsent = messages.iter().any(|one| one.guid == unsent && one.unsent_at.is_some());
        (is_edited && is_unsent).then_some(())
    })
    .await;
    assert_eq!(rig.message(ANN, "at nine").await.guid, edited);
    end(rig).await;
}

async fn what_never_went_out_stays_unknown_and_is_not_sent_again() {
    let faults =
        [Fault::MayHaveCompleted { done: false }, Fault::StillInFlight { done_after: None }];
    for fault in faults {
        let (rig, mac) = with_ann(Settings::default()).await;
        mac.fault("send.tracked", fault.clone());
        let item = rig.sent(ANN, "lost").await;
        assert_eq!(item.status, OutboxStatus::Failed);
        assert_eq!(item.error.as_deref(), Some(MAY_HAVE_BEEN_HANDED_OVER), "{fault:?}");
        rig.online().await;
        // The lane works again, with a new child if it was stuck.
        assert_eq!(rig.sent(ANN, "after it").await.status, OutboxStatus::Sent);
        // Longer than until it is looked into again, which nothing announces: it is found nowhere.
        sleep(Duration::from_secs(7)).await;
        assert_eq!(mac.contact(ANN).times_received("lost"), 0);
        assert_eq!(mac.contact(ANN).times_received("after it"), 1);
        end(rig).await;
    }
}

/// As `eventually`, for what takes half a minute by design.
async fn eventually_slowly<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = tokio::time::Instant::now() + Duration::from_secs(150);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "it does not come: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}
