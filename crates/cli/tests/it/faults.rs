//! One process under every fault at once: a volume that fills, a log that nobody reads, a clock that jumps, connections
//! that are cut, endpoints that hang and lie, and hundreds of streams that scan for nothing.
//!
//! Meanwhile programs send and contacts text. Afterwards the invariants are checked: nothing lost, nothing
//! twice, and the same process goes on. `SWITCHBOARD_FAULTS_SECONDS=600` runs it for ten minutes; `SWITCHBOARD_FAULTS_BINARY`
//! names another binary, for instance a release build.

mod clock;
mod neighbour;
mod proxy;
mod scans;
mod server;
mod volume;

use std::{env, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use switchboard_client::{ContactText, CreateWebhook, SetFault};
use switchboard_model::{EventKind, simulator::FaultMode};
use switchboard_testkit::{
    Receiver,
    receiver::{Behaviour, Cut, Delivery},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    kill::{
        invariants::{Invariants, LostBy},
        load::{CONTACTS, FEW, Load, Pace},
    },
    process::Ready,
};
use neighbour::Neighbour;
use proxy::Proxy;
use scans::Scans;
use server::{Faulty, Tenants};

/// How long the faults last in an ordinary run.
const SECONDS: u64 = 30;
/// Events that each scanning stream goes through, and how many streams scan.
const EVENTS: usize = 20_000;
const STREAMS: usize = 100;
/// The same in a run of at least [`LONG`] seconds: what strangers tried.
const MANY_EVENTS: usize = 600_000;
const MANY_STREAMS: usize = 900;
const LONG: u64 = 300;
/// The pause of each client between two calls, and as many calls by twice the clients: a phone shows its newest
/// 10,000 texts, and the invariants need all.
const PACE: std::ops::Range<u64> = 100..160;
const LONG_PACE: std::ops::Range<u64> = 200..320;

/// Names the seed of a run that is to be repeated. The instants of the machine are not repeated with it.
const SEED: &str = "SWITCHBOARD_TEST_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_under_all_faults_at_once() {
    let seed = env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let seconds = env::var("SWITCHBOARD_FAULTS_SECONDS");
    let seconds = seconds.map_or(SECONDS, |seconds| seconds.parse().unwrap());
    println!("{SEED}={seed}, {seconds} s of faults");
    let length = Duration::from_secs(seconds);
    let (events, streams, contacts, pace) = if seconds < LONG {
        (EVENTS, STREAMS, FEW, PACE)
    } else {
        (MANY_EVENTS, MANY_STREAMS, CONTACTS.len(), LONG_PACE)
    };

    let seeded = tempfile::tempdir().unwrap();
    let tenants = Tenants::prepare(seeded.path(), events).await;
    let mut faulty = Faulty::start(seeded.path(), events).await;
    let direct = tenants.ready(&faulty.url);
    let proxy = Proxy::start(&faulty.url).await;
    let cut_off = Ready { api_url: proxy.url(), ..direct.clone() };
    let pid = faulty.id();

    let receiver = Arc::new(Receiver::start().await);
    let wanted = [EventKind::MessageReceived, EventKind::MessageSent, EventKind::MessageFailed];
    let webhook = CreateWebhook::new(&direct.line, receiver.url(), wanted);
    let webhook = direct.client().create_webhook(&webhook).await.unwrap().value;
    let _hostile = hostile_endpoints(&direct).await;
    for contact in CONTACTS {
        let text = ContactText::new(&direct.line, contact, "first");
        direct.phones().text(&text).await.unwrap();
    }

    let neighbour = Neighbour::start(&tenants, &faulty.url).await;
    let load = Load::start(&cut_off, seed, contacts, &Pace::Steady(pace));
    let scans = Scans::start(&faulty.url, &direct.api_key, streams);
    // A moment of peace, to compare with.
    sleep(length / 10).await;
    let peace = neighbour.so_far();

    let stop = CancellationToken::new();
    let mut faults = JoinSet::new();
    faults.spawn(proxy.cut_at_random(StdRng::seed_from_u64(seed), stop.clone()));
    faults.spawn(faulty.volume.fill_again_and_again(length / 8, stop.clone()));
    faults.spawn(Arc::clone(&faulty.log).stall_again_and_again(length / 6, stop.clone()));
    faults.spawn(faulty.clock.jump_about(length / 10, stop.clone()));
    faults.spawn(phones_go_wrong(direct.clone(), StdRng::seed_from_u64(!seed), stop.clone()));
    faults.spawn(answers_break(Arc::clone(&receiver), stop.clone()));
    let began = Instant::now();
    while began.elapsed() < length {
        assert!(faulty.is_running(), "the process ended: {}", faulty.log.text());
        sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    faults.join_all().await;
    let streams_seen = scans.stop().await;
    let neighbour = neighbour.stop().await;
    assert_eq!(faulty.id(), pid, "the same process, without a restart");
    let ended = Instant::now();
    faulty.recovers(&tenants).await;
    println!("recovered in {:.1?}", ended.elapsed());

    let load = load.stop().await;
    let secret = webhook.secret.unwrap();
    let verify = |delivery: &Delivery| clock::verify(delivery, &secret);
    let invariants = Invariants::check_all(&direct, load, &receiver, LostBy::Cut, verify).await;
    let log = faulty.stop().await;
    invariants.print();
    println!("streams that scanned for nothing: {streams_seen}");
    peace.print("another account's calls in peace");
    neighbour.print("another account's calls under all faults (target: p99 < 50 ms)");
    println!("lines of the log that were read: {}", log.lines().count());
    assert!(!log.contains("panicked"), "something panicked: {log}");
    assert!(receiver.received().iter().any(clock::had_jumped), "its clock never jumped");
    neighbour.assert_true();
    invariants.assert_true();
}

/// Endpoints of the same account that hang, refuse, cut, drip and fail.
async fn hostile_endpoints(ready: &Ready) -> Vec<Receiver> {
    let behaviours = [
        Behaviour::Stall,
        Behaviour::Stall,
        Behaviour::Cut(Cut::BeforeAnswer),
        Behaviour::Cut(Cut::InHead),
        Behaviour::Drip { every: Duration::from_millis(200) },
        Behaviour::status(500),
        Behaviour::status(429),
        Behaviour::status(302),
    ];
    let mut receivers = Vec::new();
    for behaviour in behaviours {
        let receiver = Receiver::counting().await;
        receiver.set(behaviour);
        let kinds = [EventKind::MessageReceived, EventKind::MessageSent];
        let webhook = CreateWebhook::new(&ready.line, receiver.url(), kinds);
        ready.client().create_webhook(&webhook).await.unwrap();
        receivers.push(receiver);
    }
    receivers
}

/// Phones are slow, lose their reports and are away, a moment each.
async fn phones_go_wrong(ready: Ready, mut chance: StdRng, stop: CancellationToken) {
    let phones = ready.phones();
    while !stop.is_cancelled() {
        let mut fault = SetFault::new(&ready.line, FaultMode::None);
        match chance.random_range(0..4) {
            0 => (fault.mode, fault.ms, fault.count) = (FaultMode::Slow, Some(50), Some(20)),
            1 => (fault.mode, fault.count) = (FaultMode::LoseReport, Some(1)),
            2 => (fault.mode, fault.ms) = (FaultMode::Offline, Some(300)),
            _ => {}
        }
        // It may be refused while the volume is full.
        let _ = phones.fault(&fault).await;
        sleep(Duration::from_millis(chance.random_range(200..800))).await;
    }
    let none = SetFault::new(&ready.line, FaultMode::None);
    while phones.fault(&none).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
}

/// Some answers of the good endpoint are lost, too.
async fn answers_break(receiver: Arc<Receiver>, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(Duration::from_millis(700))).await.is_some() {
        receiver.next([Behaviour::Cut(Cut::BeforeAnswer), Behaviour::status(503)]);
    }
}
