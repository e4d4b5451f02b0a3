//! A bridge, a child and a network that die at any instant, under load: nothing that was accepted is lost, nothing is on a phone
//! twice, nothing that came in is missed or doubled, and what stays unknown is what never went out.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use switchboard_fakes::imsg::Settings;
use switchboard_model::outbox::{ATTEMPTS_USED_UP, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus};
use switchboard_testkit::eventually;
use tokio::time::{Instant, sleep};

use crate::rig::Rig;

/// How often the bridge dies, its child, and the network: so often each.
const KILLS: usize = 50;
/// People who write and are written to.
const PEOPLE: usize = 5;
/// Names the seed of a run that is to be repeated. The instants of the machine are not repeated with it.
const SEED: &str = "SWITCHBOARD_TEST_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_its_child_and_the_network_die_fifty_times_each_and_nothing_is_lost_or_doubled() {
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut rig, mac) = Rig::imsg(Settings::default()).await;
    let people: Vec<_> = (0..PEOPLE).map(|number| format!("+1555010010{number}")).collect();
    for person in &people {
        mac.contact(person).writes("hello");
        rig.message(person, "hello").await;
    }
    let (mut accepted, mut written) = (HashMap::new(), HashMap::new());
    for kill in 0..3 * KILLS {
        for _ in 0..chance.random_range(1..4) {
            let person = &people[chance.random_range(0..PEOPLE)];
            let text = format!("out {}", accepted.len());
            accepted.insert(rig.send(person, &text).await, (person.clone(), text));
            let text = format!("in {}", written.len());
            written.insert(mac.contact(person).writes(&text), (person.clone(), text));
        }
        // The instant is what is random here: this is no wait for something.
        sleep(Duration::from_millis(chance.random_range(0..200))).await;
        match kill % 3 {
            0 => {
                rig.kill().await;
                rig.start().await;
            }
            1 => kill_children(),
            _ => rig.network.cut(),
        }
    }
    let (mut unknown, mut never_begun) = (0, 0);
    let until = Instant::now() + Duration::from_secs(120);
    for (id, (person, text)) in &accepted {
        let shown = || mac.contact(person).times_received(text);
        loop {
            let item = rig.ended(*id).await;
            match (item.status, shown()) {
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
    println!("{sent} sent, {unknown} unknown, {never_begun} never begun, of {}", accepted.len());
    for (guid, (person, text)) in &written {
        eventually(&format!("{text} is there"), async || {
            let messages = rig.messages(person).await;
            messages.iter().any(|one| one.guid == *guid).then_some(())
        })
        .await;
    }
    for person in &people {
        let mut guids = HashSet::new();
        for message in rig.messages(person).await {
            assert!(guids.insert(message.guid.clone()), "{} is there twice", message.guid);
        }
    }
    eventually("what came in is told", async || {
        let told = rig.told("message.received", "guid");
        (told.iter().collect::<HashSet<_>>().len() == written.len() + PEOPLE).then_some(())
    })
    .await;
    rig.stop().await;
    rig.server.stop().await;
}

/// Kills what this process has begun, which is imsg, as `kill -9` does.
fn kill_children() {
    let own = std::process::id().to_string();
    let children = std::process::Command::new("pgrep").args(["-P", &own, "imsg"]).output().unwrap();
    for pid in String::from_utf8(children.stdout).unwrap().lines() {
        // It may have ended by itself meanwhile.
        let _ = std::process::Command::new("kill").args(["-9", pid]).status();
    }
}
