//! Whatever can die between the API and a phone dies at any instant, under load: nothing that was accepted is lost, nothing is on a
//! phone twice, nothing that came in is missed or doubled, and what stays unknown is what never went out.

use std::{collections::HashSet, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use switchboard_bridge::Connector;
use switchboard_fakes::{android_sms::Phone, bluebubbles, imsg::Mac, wire::Trouble};
use switchboard_model::outbox::{ATTEMPTS_USED_UP, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus};
use switchboard_testkit::eventually;
use tokio::time::{Instant, sleep};

use crate::rig::Rig;

/// How often each that can die does.
const DEATHS: usize = 50;
/// People who write and are written to.
const PEOPLE: usize = 8;
/// How long the truth of what was unknown may take to turn up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Names the seed of a run that is to be repeated. The instants of the machine are not repeated with it.
const SEED: &str = "SWITCHBOARD_TEST_SEED";

/// The phones behind a driver.
trait Phones {
    /// Somebody writes to the line.
    fn writes(&self, person: &str, text: &str);

    /// How often somebody's phone shows this text of the line's.
    fn shows(&self, person: &str, text: &str) -> usize;

    /// What dies besides the bridge and the network, if anything does.
    fn die(&self) -> bool {
        false
    }

    /// Something goes wrong with the next request.
    fn trouble(&self, _chance: &mut StdRng) {}
}

impl Phones for Mac {
    fn writes(&self, person: &str, text: &str) {
        self.contact(person).writes(text);
    }

    fn shows(&self, person: &str, text: &str) -> usize {
        self.contact(person).times_received(text)
    }

    /// Kills what this process has begun, which is imsg, as `kill -9` does.
    fn die(&self) -> bool {
        let own = std::process::id().to_string();
        let found = std::process::Command::new("pgrep").args(["-P", &own, "imsg"]).output();
        for pid in String::from_utf8(found.unwrap().stdout).unwrap().lines() {
            // It may have ended by itself meanwhile.
            let _ = std::process::Command::new("kill").args(["-9", pid]).status();
        }
        true
    }
}

impl Phones for bluebubbles::Server {
    fn writes(&self, person: &str, text: &str) {
        self.contact_writes(person, text);
    }

    fn shows(&self, person: &str, text: &str) -> usize {
        let shown = self.received_by(person);
        shown.iter().filter(|one| one.text.as_deref() == Some(text)).count()
    }
}

impl Phones for Phone {
    fn writes(&self, person: &str, text: &str) {
        self.contact_writes(person, text);
    }

    fn shows(&self, person: &str, text: &str) -> usize {
        crate::android::times(self, person, text)
    }

    fn trouble(&self, chance: &mut StdRng) {
        if chance.random_range(0..3) == 0 {
            let troubles = [Trouble::CutBefore, Trouble::CutAfter, Trouble::CutWithin];
            let trouble = troubles[chance.random_range(0..troubles.len())].clone();
            Phone::trouble(self, "/messages", 1, trouble);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_macs_bridge_its_child_and_its_network_die_fifty_times_each() {
    let (rig, mac) = Rig::imsg(switchboard_fakes::imsg::Settings::default()).await;
    nothing_is_lost_or_doubled(rig, &mac, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_of_a_bluebubbles_server_and_its_network_die_fifty_times_each() {
    let (rig, server) = Rig::bluebubbles(|mac| mac.private_api = true).await;
    nothing_is_lost_or_doubled(rig, &server, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_android_phones_bridge_and_its_network_die_fifty_times_each() {
    let (rig, phone) = Rig::android().await;
    nothing_is_lost_or_doubled(rig, &*phone, 2).await;
}

async fn nothing_is_lost_or_doubled<C: Connector>(
    mut rig: Rig<C>,
    phones: &impl Phones,
    kinds: usize,
) {
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let people: Vec<_> = (0..PEOPLE).map(|number| format!("+1555010010{number}")).collect();
    let (mut accepted, mut written) = (Vec::new(), Vec::new());
    for person in &people {
        phones.writes(person, "hello");
        rig.message(person, "hello").await;
    }
    for death in 0..kinds * DEATHS {
        for _ in 0..chance.random_range(1..4) {
            let person = &people[chance.random_range(0..PEOPLE)];
            let text = format!("out {}", accepted.len());
            accepted.push((rig.send(person, &text).await, person, text));
            let text = format!("in {}", written.len());
            phones.writes(person, &text);
            written.push((person, text));
        }
        phones.trouble(&mut chance);
        // The instant is what is random here: this is no wait for something.
        sleep(Duration::from_millis(chance.random_range(0..200))).await;
        match death % kinds {
            0 => {
                rig.kill().await;
                rig.start().await;
            }
            1 => rig.network.cut(),
            _ => assert!(phones.die(), "nothing else of this can die"),
        }
    }
    let (mut unknown, mut never_begun) = (0, 0);
    let until = Instant::now() + PATIENCE;
    for (id, person, text) in &accepted {
        loop {
            let item = rig.ended(*id).await;
            match (item.status, phones.shows(person, text)) {
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
    for (person, text) in &written {
        rig.message(person, text).await;
    }
    for person in &people {
        let (mut guids, mut texts) = (HashSet::new(), HashSet::new());
        for message in rig.messages(person).await {
            let text = message.text.unwrap_or_default();
            assert!(
                guids.insert(message.guid) && texts.insert(text.clone()),
                "{text} is there twice"
            );
        }
    }
    eventually("what came in is told", async || {
        let told: HashSet<_> = rig.told("message.received", "guid").into_iter().collect();
        (told.len() == written.len() + PEOPLE).then_some(())
    })
    .await;
    rig.stop().await;
    rig.server.stop().await;
}
