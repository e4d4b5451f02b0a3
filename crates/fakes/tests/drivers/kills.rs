//! Whatever can die between the API and a phone dies at any instant, under load: the server's process, the bridge, the network
//! between the two, what the bridge has begun. Nothing that was accepted is lost, nothing is on a phone twice, nothing that came in
//! is missed or doubled, all of it is told, and what stays unknown is what never went out.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use switchboard_client::{Client, Event, SendMessage};
use switchboard_fakes::{android_sms::Phone, bluebubbles, imsg::Mac, wire::Trouble};
use switchboard_model::{EventKind, OutboxItem, id::Id};
use switchboard_testkit::eventually;
use tokio::time::{Instant, sleep};

use crate::{
    ends::{Accepted, Ends},
    rig::{Carrier, LINE, Rig},
    served::Served,
};

/// How often each that can die does.
const DEATHS: usize = 50;
/// Most lives are short, in milliseconds.
const LIFE: std::ops::Range<u64> = 0..200;
/// One in so many is longer, in which something gets done.
const LONGER_EVERY: usize = 5;
const LONGER_LIFE: std::ops::Range<u64> = 500..1_500;
/// The pauses of whoever writes, in milliseconds.
const PAUSES: std::ops::Range<u64> = 20..300;
/// The pause before a send that got no answer is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
/// Programs that send at the same time.
const PROGRAMS: usize = 2;
/// People who write and are written to.
const PEOPLE: usize = 8;
/// How long a send may take to be accepted, and the stream to bring the last event.
const PATIENCE: Duration = Duration::from_secs(120);
/// Names the seed of a run that is to be repeated. The instants of the machine are not repeated with it.
const SEED: &str = "SWITCHBOARD_TEST_SEED";

/// The phones behind a driver.
trait Phones: Send + Sync + 'static {
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

/// What dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    Server,
    Bridge,
    Network,
    /// What the bridge has begun.
    Child,
}

const WITHOUT_CHILD: [Death; 3] = [Death::Server, Death::Bridge, Death::Network];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_macs_server_bridge_child_and_network_die_fifty_times_each() {
    let (carrier, mac) = Carrier::imsg(switchboard_fakes::imsg::Settings::default());
    let all = [Death::Server, Death::Bridge, Death::Network, Death::Child];
    nothing_is_lost_or_doubled(carrier, mac, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bluebubbles_server_bridge_and_network_die_fifty_times_each() {
    let (carrier, mac) = Carrier::bluebubbles(|mac| mac.private_api = true, |_| {}).await;
    nothing_is_lost_or_doubled(carrier, mac, &WITHOUT_CHILD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_android_phones_server_bridge_and_network_die_fifty_times_each() {
    let (carrier, phone) = Carrier::android(|_| {}, |_| {}).await;
    let phone = Arc::into_inner(phone).expect("nobody else has it");
    nothing_is_lost_or_doubled(carrier, phone, &WITHOUT_CHILD).await;
}

/// A program that sends, and people who write, whatever dies.
struct Load<P> {
    client: Client,
    phones: Arc<P>,
    people: Vec<String>,
    over: AtomicBool,
    /// Texts so far, out and in.
    count: AtomicUsize,
    /// Sends that were asked again because no answer came, and those of them that had been accepted before.
    again: AtomicUsize,
    replayed: AtomicUsize,
}

impl<P: Phones> Load<P> {
    /// Sends and writes until it is over. What was accepted, and what was written by whom.
    async fn run(self: Arc<Self>, mut chance: StdRng) -> (Vec<Accepted>, Vec<(String, String)>) {
        let (mut accepted, mut written) = (Vec::new(), Vec::new());
        while !self.over.load(Ordering::Relaxed) {
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            let person = &self.people[chance.random_range(0..self.people.len())];
            let out = format!("out {number}");
            // The gateway app throws a text away whose sum of 32 bits over sender, second and text it has already, and texts
            // that only count up share sums within the minute: what is lost on the phone itself is not what is judged here.
            let into = format!("in {number} {:016x}", chance.random::<u64>());
            self.phones.trouble(&mut chance);
            self.phones.writes(person, &into);
            written.push((person.clone(), into));
            let id = self.send(person, &out).await;
            accepted.push((id, person.clone(), out));
            // Its pace: this is no wait for something.
            sleep(Duration::from_millis(chance.random_range(PAUSES))).await;
        }
        (accepted, written)
    }

    /// Sends a text, as often as it takes until it is answered, under one key.
    async fn send(&self, to: &str, text: &str) -> Id<OutboxItem> {
        let client = self.client.with_idempotency_key(&text.replace(' ', "-")).unwrap();
        let message = SendMessage::text(LINE, to, text);
        let until = Instant::now() + PATIENCE;
        let mut asked = 0;
        loop {
            match client.send_message(&message).await {
                Ok(answer) => {
                    self.again.fetch_add(usize::from(asked > 0), Ordering::Relaxed);
                    self.replayed.fetch_add(usize::from(answer.replayed), Ordering::Relaxed);
                    return answer.value.id;
                }
                Err(error) => assert!(error.is_temporary(), "{text}: {error}"),
            }
            assert!(Instant::now() < until, "{text} is never accepted");
            asked += 1;
            // As a program does that would reach a server which is away.
            sleep(AGAIN_AFTER).await;
        }
    }
}

/// Reads the live stream over all deaths, until each of these messages came in: once each.
async fn streamed(client: Client, people: usize, over: Arc<AtomicUsize>) {
    let kinds = [EventKind::MessageReceived, EventKind::MessageSent];
    let mut stream = client.events().events(kinds).open().await.unwrap();
    let (mut received, mut sent) = (HashSet::new(), HashSet::new());
    loop {
        let wanted = over.load(Ordering::Acquire);
        if wanted > 0 && received.len() >= wanted + people {
            return;
        }
        // Looks up now and then: what is wanted is known late.
        let next = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
        match next.map(|event| event.expect("a stream has no end").unwrap().data) {
            Ok(Event::MessageReceived(event)) => {
                let guid = event.message.guid;
                assert!(received.insert(guid.clone()), "{guid} came twice by the stream");
            }
            Ok(Event::MessageSent(event)) => {
                let key = (event.message.guid, event.message.outbox_id);
                assert!(sent.insert(key.clone()), "{key:?} came twice by the stream");
            }
            Ok(other) => panic!("nobody asked for {other:?}"),
            Err(_) => {}
        }
    }
}

async fn nothing_is_lost_or_doubled<P: Phones>(carrier: Carrier, phones: P, kinds: &[Death]) {
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let began = Instant::now();
    let mut rig: Rig<(), Served> = Rig::on(Served::start().await, carrier).await;
    let people: Vec<_> = (0..PEOPLE).map(|number| format!("+1555010010{number}")).collect();
    let wanted = Arc::new(AtomicUsize::new(0));
    let stream = tokio::spawn(streamed(rig.client.clone(), PEOPLE, Arc::clone(&wanted)));
    let phones = Arc::new(phones);
    for person in &people {
        phones.writes(person, "hello");
        rig.message(person, "hello").await;
    }

    let load = Arc::new(Load {
        client: rig.client.clone(),
        phones: Arc::clone(&phones),
        people: people.clone(),
        over: AtomicBool::new(false),
        count: AtomicUsize::new(0),
        again: AtomicUsize::new(0),
        replayed: AtomicUsize::new(0),
    });
    let programs: Vec<_> = (0..PROGRAMS)
        .map(|_| tokio::spawn(Arc::clone(&load).run(StdRng::seed_from_u64(chance.random()))))
        .collect();
    let mut deaths: Vec<_> = kinds.iter().flat_map(|kind| [*kind; DEATHS]).collect();
    deaths.shuffle(&mut chance);
    let mut died = BTreeMap::new();
    for (number, death) in deaths.into_iter().enumerate() {
        let life = if number % LONGER_EVERY == 0 { LONGER_LIFE } else { LIFE };
        // The instant is what is random here: this is no wait for something.
        sleep(Duration::from_millis(chance.random_range(life))).await;
        *died.entry(death).or_insert(0) += 1;
        match death {
            Death::Server => {
                rig.server.kill();
                rig.server.begin().await;
            }
            Death::Bridge => {
                rig.kill().await;
                rig.start().await;
            }
            Death::Network => rig.network.cut(),
            Death::Child => assert!(phones.die(), "nothing else of this can die"),
        }
    }
    load.over.store(true, Ordering::Relaxed);
    let (mut accepted, mut written) = (Vec::new(), Vec::new());
    for program in programs {
        let (sent, came) = program.await.unwrap();
        accepted.extend(sent);
        written.extend(came);
    }
    assert!(died.values().all(|times| *times == DEATHS), "{died:?}");
    println!(
        "{died:?} in {:.0?}; {} sends were asked again, {} of them were answered before",
        began.elapsed(),
        load.again.load(Ordering::Relaxed),
        load.replayed.load(Ordering::Relaxed)
    );

    let ends = Ends::of(&rig, &accepted, |person, text| phones.shows(person, text)).await;
    println!("{ends}, of {}", accepted.len());
    for (person, text) in &written {
        rig.message(person, text).await;
    }
    nothing_is_doubled(&rig, &people).await;
    eventually("what came in is told", async || {
        let told: HashSet<_> = rig.told("message.received", "guid").into_iter().collect();
        assert!(told.len() <= written.len() + PEOPLE, "more is told than was written");
        (told.len() == written.len() + PEOPLE).then_some(())
    })
    .await;
    eventually("what was sent is told", async || {
        let told: HashSet<_> = rig.told("message.sent", "outbox_id").into_iter().collect();
        ends.sent.iter().all(|id| told.contains(&id.to_string())).then_some(())
    })
    .await;
    wanted.store(written.len(), Ordering::Release);
    tokio::time::timeout(PATIENCE, stream).await.expect("all comes by the stream, too").unwrap();
    rig.stop().await;
    rig.server.stop();
}

async fn nothing_is_doubled(rig: &Rig<(), Served>, people: &[String]) {
    for person in people {
        let (mut guids, mut texts) = (HashSet::new(), HashSet::new());
        for message in rig.messages(person).await {
            let text = message.text.unwrap_or_default();
            assert!(
                guids.insert(message.guid) && texts.insert(text.clone()),
                "{text} is there twice"
            );
        }
    }
}
