//! What a line on an Android phone does.

use switchboard_bridge::drivers::AndroidSms;
use switchboard_client::SendMessage;
use switchboard_fakes::{
    android_sms::{CarriedOut, Phone, Sim},
    wire::File,
};
use switchboard_model::{chat::Service, outbox::OutboxStatus};
use switchboard_testkit::eventually;

use crate::rig::{ANN, BOB, LINE, Rig, now};

const SECOND: &str = "+15550999998";
const DAY_MS: i64 = 86_400_000;

pub(crate) async fn end(mut rig: Rig<AndroidSms>) {
    rig.stop().await;
    rig.server.stop().await;
}

/// How often a contact's phone shows a text.
pub(crate) fn times(phone: &Phone, contact: &str, text: &str) -> usize {
    phone.received_by(contact).iter().filter(|shown| shown.text == text).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_comes_in_is_answered_and_the_phone_shows_it_once() {
    let (rig, phone) = Rig::android().await;
    phone.contact_writes(ANN, "Are you open?");
    let came = rig.message(ANN, "Are you open?").await;
    assert_eq!((&*came.sender, came.is_from_me, came.service), (ANN, false, Some(Service::Sms)));
    assert!(came.guid.starts_with("sms:"));

    let item = rig.sent(ANN, "We open at nine.").await;
    assert_eq!((item.status, item.error), (OutboxStatus::Sent, None));
    let sent = rig.message(ANN, "We open at nine.").await;
    assert_eq!((sent.outbox_id, sent.service), (Some(item.id), Some(Service::Sms)));
    assert_eq!(sent.guid, format!("sms:{}", item.id));
    assert_eq!(times(&phone, ANN, "We open at nine."), 1);
    eventually("it is delivered", async || rig.message(ANN, "We open at nine.").await.delivered_at)
        .await;
    let orders =
        phone.seen().into_iter().filter(|one| one.method == "POST" && one.path == "/messages");
    let orders: Vec<serde_json::Value> =
        orders.map(|one| serde_json::from_slice(&one.body).unwrap()).collect();
    assert_eq!(orders.len(), 1);
    assert_eq!((&orders[0]["id"], &orders[0]["ttl"]), (&item.id.to_string().into(), &600.into()));
    assert_eq!(orders[0]["deviceId"], phone.id());
    assert_eq!(rig.messages(ANN).await.len(), 2);
    assert_eq!(rig.told("message.received", "text"), ["Are you open?"]);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_come_in_and_notices_of_pictures_do_not() {
    let (rig, phone) = Rig::android().await;
    let png = b"\x89PNG\r\n\x1a\n";
    let file =
        File { name: "a.png".to_owned(), mime_type: "image/png".to_owned(), bytes: png[..].into() };
    phone.receive_mms(ANN, "never fetched", None, &[], true);
    phone.receive_mms(ANN, "look", None, &[file], false);
    let came = rig.message(ANN, "look").await;
    assert_eq!(came.attachments.len(), 1);
    let url = came.attachments[0].url.as_deref().unwrap();
    let bytes = rig.client.download_url(url).await.unwrap();
    assert_eq!(&bytes.bytes(1_000).await.unwrap()[..], png);
    phone.receive_data(ANN, "for a program");
    phone.contact_writes(ANN, "and a text");
    rig.message(ANN, "and a text").await;
    assert_eq!(rig.messages(ANN).await.len(), 2);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_of_all_kinds_are_heard_and_answered() {
    let (rig, phone) = Rig::android().await;
    // A number that is possible, as those are that people have.
    let contact = "+14155550123";
    phone.faults(|faults| {
        faults.national_sender = true;
        faults.null_recipient = true;
        faults.sim_null_in_inbox = true;
    });
    phone.contact_writes(contact, "from next door");
    assert_eq!(rig.message(contact, "from next door").await.sender, contact);
    for sender in ["72345", "AMAZON"] {
        phone.contact_writes(sender, "your code is 1234");
        assert_eq!(rig.message(sender, "your code is 1234").await.sender, sender);
    }
    assert_eq!(rig.sent("72345", "STOP").await.status, OutboxStatus::Sent);
    assert_eq!(times(&phone, "72345", "STOP"), 1);
    assert_eq!(rig.sent(contact, "hello").await.status, OutboxStatus::Sent);
    assert_eq!(times(&phone, contact, "hello"), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cards_are_two_lines() {
    let (rig, phone) = Rig::android_with(
        |phone| {
            phone.sims(|sims| {
                // Carriers often leave the number out.
                sims[0].knows_number = false;
                sims.push(Sim {
                    number: SECOND.to_owned(),
                    knows_number: false,
                    carrier: "Other".to_owned(),
                });
            });
        },
        |options| {
            options.sims = [(LINE, 1), (SECOND, 2)]
                .map(|(line, sim)| (switchboard_model::Handle::received(line), sim))
                .into();
        },
    )
    .await;
    phone.receive(ANN, "before the second line", 2, None);
    rig.add_line(SECOND).await;
    eventually("both are online", async || {
        let lines = rig.client.lines().await.unwrap().value.data;
        (lines.iter().filter(|line| line.status.online).count() == 2).then_some(())
    })
    .await;
    phone.receive(ANN, "to the first", 1, None);
    phone.receive(ANN, "to the second", 2, None);
    rig.message(ANN, "to the first").await;
    let second = eventually("the second line has its text", async || {
        let listed = rig.client.messages(SECOND, ANN).send().await.ok()?.value.data;
        listed.iter().any(|one| one.text.as_deref() == Some("to the second")).then_some(listed)
    })
    .await;
    // What came before the line began is its history, and what came to the other card is the other's.
    assert_eq!((second.len(), rig.messages(ANN).await.len()), (1, 1));
    let from_second = SendMessage::text(SECOND, ANN, "from the second");
    let item = rig.client.send_message(&from_second).await.unwrap().value;
    assert_eq!(rig.ended(item.id).await.status, OutboxStatus::Sent);
    assert_eq!(rig.sent(ANN, "from the first").await.status, OutboxStatus::Sent);
    let sims: Vec<_> = phone.carried_out().into_iter().map(|one| (one.text, one.sim)).collect();
    assert_eq!(sims, [("from the second".to_owned(), 2), ("from the first".to_owned(), 1)]);

    // The second card is taken out: its line is away, the first goes on.
    phone.sims(|sims| drop(sims.pop()));
    eventually("the second line says why", async || {
        let lines = rig.client.lines().await.unwrap().value.data;
        let second = lines.into_iter().find(|line| line.handle.as_str() == SECOND)?;
        (second.status.reason?.as_str() == "signed_out").then_some(())
    })
    .await;
    assert_eq!(rig.sent(ANN, "still here").await.status, OutboxStatus::Sent);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_no_news_and_a_late_text_is_told_once() {
    let (mut rig, phone) = Rig::android_with(
        |phone| {
            for number in 0..120 {
                let stamp = now().0 - DAY_MS - i64::from(number) * 60_000;
                phone.receive(ANN, &format!("old {number}"), 1, Some(stamp));
            }
        },
        |_| {},
    )
    .await;
    phone.contact_writes(ANN, "new");
    rig.message(ANN, "new").await;
    // The network kept it for two days; more than a page of newer ones stands before it.
    phone.receive(ANN, "two days late", 1, Some(now().0 - 2 * DAY_MS));
    let late = rig.message(ANN, "two days late").await;
    assert!(late.sent_at.0 < now().0 - DAY_MS);
    // A bridge that starts again reads a week again.
    rig.stop().await;
    phone.receive(BOB, "while the bridge was away, and late", 1, Some(now().0 - 3 * DAY_MS));
    rig.start().await;
    rig.message(BOB, "while the bridge was away, and late").await;
    let texts = rig.told("message.received", "text");
    assert!(texts.iter().all(|text| !text.starts_with("old")), "{texts:?}");
    assert_eq!(texts.iter().filter(|text| *text == "two days late").count(), 1);
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_leave_in_order_though_the_app_sends_the_newest_first() {
    let (rig, phone) = Rig::android().await;
    let texts: Vec<_> = (0..8).map(|number| format!("number {number}")).collect();
    let mut last = None;
    for text in &texts {
        rig.send(BOB, &format!("{text} for Bob")).await;
        last = Some(rig.send(ANN, text).await);
    }
    rig.ended(last.expect("some were sent")).await;
    let to = |contact: &str, one: &CarriedOut| one.to == contact;
    let sent: Vec<_> = phone.carried_out().into_iter().filter(|one| to(ANN, one)).collect();
    assert_eq!(
        sent.iter().map(|one| &one.text).collect::<Vec<_>>(),
        texts.iter().collect::<Vec<_>>()
    );
    end(rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_texts_are_as_many_as_the_phone_has() {
    let (rig, phone) = Rig::android().await;
    // Once it is there, the line has begun: what comes from now on is news, whatever its stamp.
    phone.contact_writes(ANN, "hello");
    rig.message(ANN, "hello").await;
    let second = now().0 / 1_000 * 1_000;
    // Two within a second are one to the phone itself.
    for stamp in [second, second + 400, second - 1_000, second - 2_000] {
        phone.receive(ANN, "ok", 1, Some(stamp));
    }
    phone.contact_writes(ANN, "and that is all");
    rig.message(ANN, "and that is all").await;
    eventually("three of them are there", async || {
        (rig.messages(ANN).await.len() == 5).then_some(())
    })
    .await;
    assert_eq!(rig.sent(ANN, "ok").await.status, OutboxStatus::Sent);
    assert_eq!(rig.sent(ANN, "ok").await.status, OutboxStatus::Sent);
    assert_eq!(times(&phone, ANN, "ok"), 2);
    end(rig).await;
}
