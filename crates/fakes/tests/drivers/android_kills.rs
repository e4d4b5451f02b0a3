//! A bridge and its network that die at any instant, under load, beside a phone whose answers get lost: nothing that was accepted
//! is lost, nothing is on a phone twice, nothing that came in is missed or doubled.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use switchboard_fakes::wire::Trouble;
use switchboard_model::outbox::{ATTEMPTS_USED_UP, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus};
use switchboard_testkit::eventually;
use tokio::time::{Instant, sleep};

use crate::{
    android::{end, times},
    rig::Rig,
};

/// How often the bridge is killed, and as often its network is cut.
const KILLS: usize = 50;
/// People who write and are written to. The messages of each have to fit on one page.
const PEOPLE: usize = 8;
/// Names the seed of a run that is to be repeated. The instants of the machine are not repeated with it.
const SEED: &str = "SWITCHBOARD_TEST_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_and_its_network_die_again_and_again_and_nothing_is_lost_or_doubled() {
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut rig, phone) = Rig::android().await;
    let people: Vec<_> = (0..PEOPLE).map(|number| format!("+1555010010{number}")).collect();
    let (mut accepted, mut written) = (HashMap::new(), HashMap::new());
    for kill in 0..2 * KILLS {
        for _ in 0..chance.random_range(1..4) {
            let person = &people[chance.random_range(0..PEOPLE)];
            let text = format!("out {}", accepted.len());
            accepted.insert(rig.send(person, &text).await, (person.clone(), text));
            let text = format!("in {}", written.len());
            phone.contact_writes(person, &text);
            written.insert(text, person.clone());
        }
        if chance.random_range(0..3) == 0 {
            let troubles = [Trouble::CutBefore, Trouble::CutAfter, Trouble::CutWithin];
            let trouble = troubles[chance.random_range(0..troubles.len())].clone();
            phone.trouble("/messages", 1, trouble);
        }
        // The instant is what is random here: this is no wait for something.
        sleep(Duration::from_millis(chance.random_range(0..250))).await;
        match kill % 2 {
            0 => {
                rig.kill().await;
                rig.start().await;
            }
            _ => rig.network.cut(),
        }
    }
    let (mut unknown, mut never_begun) = (0, 0);
    let until = Instant::now() + Duration::from_secs(60);
    for (id, (person, text)) in &accepted {
        loop {
            let item = rig.ended(*id).await;
            match (item.status, times(&phone, person, text)) {
                (OutboxStatus::Sent, 1) => break,
                (OutboxStatus::Failed, 0) => {
                    match item.error.as_deref() {
                        Some(MAY_HAVE_BEEN_HANDED_OVER) => unknown += 1,
                        Some(ATTEMPTS_USED_UP) => never_begun += 1,
                        other => panic!("{text}: {other:?}"),
                    }
                    break;
                }
                // It is on the phone, and that will turn up.
                (OutboxStatus::Failed, 1) if Instant::now() < until => {}
                (status, times) => panic!("{text}: {status:?}, and {times} times on the phone"),
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    let sent = accepted.len() - unknown - never_begun;
    println!("{sent} sent, {unknown} unknown, {never_begun} never begun");
    for (text, person) in &written {
        rig.message(person, text).await;
    }
    for person in &people {
        let mut guids = HashSet::new();
        for message in rig.messages(person).await {
            assert!(guids.insert(message.guid.clone()), "{} is there twice", message.guid);
        }
    }
    eventually("what came in is told", async || {
        let told: HashSet<_> = rig.told("message.received", "guid").into_iter().collect();
        (told.len() == written.len()).then_some(())
    })
    .await;
    end(rig).await;
}
