//! An Android phone whose webhooks can't be relied on, and which lives by another time.

use std::time::Duration;

use switchboard_fakes::wire::{File, Trouble};
use switchboard_testkit::eventually;

use crate::{
    android::end,
    rig::{ANN, BOB, Rig},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_phones_webhooks_do_each_text_is_told_once() {
    let (rig, phone) = Rig::android().await;
    let mut wanted = Vec::new();
    for round in 0..5 {
        phone.faults(|faults| {
            *faults = switchboard_fakes::android_sms::Faults::default();
            match round {
                0 => faults.webhooks_lost = true,
                1 => faults.sign_wrongly = true,
                2 => faults.webhooks_twice = true,
                3 => faults.webhooks_reversed = true,
                _ => faults.no_internet = true,
            }
        });
        for number in 0..2 {
            let text = format!("{round} {number}");
            phone.contact_writes(ANN, &text);
            rig.message(ANN, &text).await;
            wanted.push(text);
        }
    }
    let told = eventually("all are told", async || {
        let told = rig.told("message.received", "text");
        (told.len() >= wanted.len()).then_some(told)
    })
    .await;
    assert_eq!(told, wanted);
    // None of them is needed: the phone is asked.
    assert!(phone.seen().iter().all(|one| !one.path.contains("/webhooks")));
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_in_another_time_zone_stamps_the_same_instant() {
    let (rig, phone) = Rig::android().await;
    phone.time_zone(-9 * 60);
    let before = crate::rig::now();
    phone.contact_writes(ANN, "good morning");
    let came = rig.message(ANN, "good morning").await;
    // The network's stamp has no more than seconds.
    assert!((came.sent_at.0 - before.0).abs() < 60_000, "{:?} and {before:?}", came.sent_at);
    assert_eq!(rig.sent(ANN, "good evening").await.error, None);
    let sent = rig.message(ANN, "good evening").await;
    assert!((sent.sent_at.0 - before.0).abs() < 60_000, "{:?} and {before:?}", sent.sent_at);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_phone_does_not_give_holds_nothing_up_and_follows() {
    let within = Duration::from_secs(5);
    let (rig, phone) = Rig::android_with(|_| {}, |options| options.pace.files = within).await;
    // The app fails at this file, and at nothing else.
    phone.trouble("/attachments/", usize::MAX, Trouble::TunnelBefore(500));
    let file = |name: &str| File {
        name: name.to_owned(),
        mime_type: "image/png".to_owned(),
        bytes: b"\x89PNG\r\n\x1a\n"[..].into(),
    };
    phone.receive_mms(ANN, "look", None, &[file("a.png")], false);
    phone.contact_writes(BOB, "anybody there?");
    rig.line_says(true, Some("other")).await;
    rig.message(BOB, "anybody there?").await;
    assert!(rig.message(ANN, "look").await.attachments.is_empty());
    rig.line_says(true, None).await;
    // The next one does not hold anything up anew.
    phone.receive_mms(ANN, "and this", None, &[file("b.png")], false);
    rig.message(ANN, "and this").await;

    phone.no_trouble();
    eventually("the files are there", async || {
        let messages = rig.messages(ANN).await;
        messages.iter().all(|message| message.attachments.len() == 1).then_some(())
    })
    .await;
    eventually("and are told", async || {
        (rig.told("message.updated", "text").len() == 2).then_some(())
    })
    .await;
    assert_eq!(rig.told("message.received", "text").len(), 3);
    end(rig).await;
}
