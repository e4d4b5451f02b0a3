//! Two bridges for one line, each with a ledger of its own, on Macs of one Apple ID: whichever carries it, whenever the other dies,
//! nothing is lost and nothing is twice.

use std::time::Duration;

use switchboard_fakes::imsg::Settings;
use switchboard_model::outbox::{ATTEMPTS_USED_UP, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus};
use switchboard_testkit::eventually;
use tokio::time::{Instant, sleep};

use crate::rig::{ANN, BOB, LINE, Rig};

/// How often the bridge that carries the line is killed, and the other one takes it over.
const TAKE_OVERS: usize = 12;
/// How long the truth of what was unknown may take to turn up.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_goes_from_one_bridge_to_the_other_and_back_and_nothing_is_lost_or_doubled() {
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    let people = [ANN, BOB];
    for person in people {
        mac.contact(person).writes("hello");
        rig.message(person, "hello").await;
    }
    rig.add_standby().await;
    let operator = rig.server.admin();
    let line = operator.lines().await.unwrap().value.data.remove(0).line.id;
    let (mut accepted, mut written) = (Vec::new(), Vec::new());
    for turn in 0..TAKE_OVERS {
        for person in people {
            for part in 0..2 {
                let text = format!("out {turn}.{part}");
                accepted.push((rig.send(person, &text).await, person, text));
                let text = format!("in {turn}.{part}");
                mac.contact(person).writes(&text);
                written.push((person, text));
            }
        }
        // The instant is what differs here: this is no wait for something.
        sleep(Duration::from_millis(23 * u64::try_from(turn).unwrap())).await;
        rig.kill().await;
        operator.take_over_line(line).await.unwrap();
        rig.swap();
        rig.online().await;
        // The one that died comes back and stands by.
        rig.swap();
        rig.start().await;
        rig.swap();
    }
    let until = Instant::now() + PATIENCE;
    let (mut unknown, mut never_begun) = (0, 0);
    for (id, person, text) in &accepted {
        loop {
            let item = rig.ended(*id).await;
            let shown = mac.contact(person).times_received(text);
            match (item.status, shown) {
                (OutboxStatus::Sent, 1) => break,
                (OutboxStatus::Failed, 0) => {
                    match item.error.as_deref() {
                        Some(MAY_HAVE_BEEN_HANDED_OVER) => unknown += 1,
                        // A bridge died before each of its attempts.
                        Some(ATTEMPTS_USED_UP) => never_begun += 1,
                        other => panic!("{text}: {other:?}"),
                    }
                    break;
                }
                // It is on the phone, and that will turn up.
                (OutboxStatus::Failed, 1) if Instant::now() < until => {}
                (status, times) => panic!("{text}: {status:?}, and {times} times on the phone"),
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    let sent = accepted.len() - unknown - never_begun;
    println!("{sent} sent, {unknown} unknown, {never_begun} never begun, of {}", accepted.len());
    for (person, text) in &written {
        rig.message(person, text).await;
    }
    for person in people {
        let messages = rig.messages(person).await;
        for text in messages.iter().filter_map(|message| message.text.as_deref()) {
            let times = messages.iter().filter(|one| one.text.as_deref() == Some(text)).count();
            assert_eq!(times, 1, "{text} in the chat with {person}");
        }
    }
    eventually("what came in is told, once", async || {
        let told = rig.told("message.received", "text");
        (told.len() == written.len() + people.len()).then_some(())
    })
    .await;
    assert_eq!(rig.client.lines().await.unwrap().value.data[0].handle.as_str(), LINE);
    rig.stop().await;
    rig.swap();
    rig.stop().await;
    rig.server.stop().await;
}
