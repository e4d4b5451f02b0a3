//! A backlog of webhook deliveries survives the death of the process, however often: every event
//! arrives, and only what was on its way at a kill arrives twice. With the default settings.

use std::{
    collections::{HashMap, HashSet},
    env,
    path::Path,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use switchboard_client::CreateWebhook;
use switchboard_model::{
    EventKind,
    chat::Service,
    link::{Inbound, InboundChat, InboundMessage},
    time::Clock,
};
use switchboard_server::SystemClock;
use switchboard_store::{
    Store,
    sqlite::{SqliteOptions, SqliteStore},
};
use switchboard_testkit::{Receiver, receiver::Delivery};
use tokio::time::sleep;

use crate::process::{ANY_PORT, Dev};

const KILLS: usize = 50;
/// Events of the backlog, over so many chats.
const EVENTS: usize = 25_000;
const CHATS: usize = 100;
/// Events that come in in one transaction.
const BATCH: usize = 1000;
/// What a kill repeats at most, on average: what had no answer yet. So fifty kills repeat less than 1 % of a backlog of
/// 100,000; this one is smaller only because the test would take too long.
const PER_KILL: usize = 20;
/// When a kill comes after the server was ready, in milliseconds.
const AFTER_READY: std::ops::RangeInclusive<u64> = 30..=300;
/// How long the rest of the backlog may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Names the seed of a run that is to be repeated. The instants of the machine are not repeated with it.
const SEED: &str = "SWITCHBOARD_TEST_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_survives_fifty_kills() {
    let seed = env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let wanted = CreateWebhook::new(&dev.ready.line, receiver.url(), [EventKind::MessageReceived]);
    let webhook = dev.ready.client().create_webhook(&wanted).await.unwrap().value;
    dev.stop().await;
    fill(dir.path()).await;

    let mut kills_while_draining = 0;
    for _ in 0..KILLS {
        let dev = start(dir.path()).await;
        // The instant is what is random here: this is no wait for something.
        sleep(Duration::from_millis(chance.random_range(AFTER_READY))).await;
        let stderr = dev.process.kill().await;
        assert!(!stderr.contains("ERROR"), "{stderr}");
        kills_while_draining += usize::from(receiver.count() < EVENTS as u64);
    }
    let dev = Dev::start(dir.path(), ANY_PORT).await;
    let all_came = |kept: &[_]| arrivals(kept).len() == EVENTS;
    receiver.wait_for_count(EVENTS as u64, PATIENCE).await.unwrap();
    receiver.wait_until(PATIENCE, all_came).await.unwrap();
    dev.stop().await;

    let received = receiver.received();
    let (secret, duplicates) = (webhook.secret.unwrap(), received.len() - EVENTS);
    for delivery in &received {
        delivery.verify(&secret).unwrap();
    }
    println!(
        "{EVENTS} events, {} requests: {duplicates} duplicates ({:.2} %), {kills_while_draining} of \
         {KILLS} kills while it drained",
        received.len(),
        100.0 * duplicates as f64 / EVENTS as f64
    );
    assert_eq!(kills_while_draining, KILLS, "the backlog is too small for this machine");
    assert!(duplicates < KILLS * PER_KILL, "{duplicates} are more than had no answer");
    assert_first_seen_in_order(&received);
    // What comes again is the same delivery; an event has one for this webhook.
    let deliveries: HashMap<_, _> = received.iter().map(|one| (one.delivery_id(), ())).collect();
    assert_eq!(deliveries.len(), EVENTS);
}

/// What came of each chat for the first time came in the order in which it happened.
fn assert_first_seen_in_order(received: &[Delivery]) {
    let mut latest = [None; CHATS];
    let mut seen = HashSet::new();
    for number in received.iter().map(number).filter(|number| seen.insert(*number)) {
        let before = latest[number % CHATS].replace(number);
        assert!(before < Some(number), "{number} was overtaken by {before:?}");
    }
    assert_eq!(seen.len(), EVENTS);
}

fn number(delivery: &Delivery) -> usize {
    delivery.json()["data"]["text"].as_str().unwrap().parse().unwrap()
}

/// How often each message came.
fn arrivals(kept: &[Delivery]) -> HashMap<Option<&str>, usize> {
    kept.iter().fold(HashMap::new(), |mut came, one| {
        *came.entry(one.delivery_id()).or_default() += 1;
        came
    })
}

async fn start(dir: &Path) -> Dev {
    let mut command = Dev::command(dir, ANY_PORT);
    command.args(["--json", "--log", "error"]);
    Dev::ready(&mut command).await
}

/// Lets the events happen, without the server: their deliveries wait for its start.
async fn fill(dir: &Path) {
    let path = dir.join("switchboard.db");
    let store: &dyn Store = &SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let bridge = store.bridges().await.unwrap()[0].id;
    let link = store.open_link(bridge, SystemClock.now()).await.unwrap().link;
    let line = store
        .operator_lines(switchboard_model::Timestamp(0))
        .await
        .unwrap()
        .into_iter()
        .find(|one| !one.line.is_sandbox);
    let line = line.unwrap().line.id;
    let now = SystemClock.now();
    for first in (0..EVENTS).step_by(BATCH) {
        let texts = (first..first + BATCH).map(|number| {
            let contact = format!("+1555016{:04}", number % CHATS).parse().unwrap();
            Inbound::Message(InboundMessage {
                guid: format!("drain-{number}"),
                chat: InboundChat::Contact { handle: contact },
                sender: format!("+1555016{:04}", number % CHATS).parse().unwrap(),
                text: Some(number.to_string()),
                sent_at: now,
                service: Service::IMessage,
                reply_to_guid: None,
                attachments: Vec::new(),
                is_audio_message: false,
            })
        });
        let place = (first + BATCH).to_string();
        store.receive(link, line, place, texts.collect(), now).await.unwrap();
    }
    store.close().await;
}
