//! The promise that matters most: whatever was acknowledged survives the death of the process,
//! and nothing is done twice.
//!
//! The server is killed with SIGKILL again and again while programs send and contacts text.
//! Then the invariants are checked: what was acknowledged, what the API shows, what stands on the phones,
//! what the webhook got.

pub(crate) mod invariants;
pub(crate) mod load;

use std::{env, net::TcpListener, path::Path, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use switchboard_client::{ContactText, CreateWebhook, SetFault};
use switchboard_model::{EventKind, simulator::FaultMode};
use switchboard_testkit::{Receiver, receiver::Delivery};
use tokio::time::{Instant, sleep};

use crate::process::{Dev, Process, Ready};
use invariants::{Invariants, LostBy};
use load::{CONTACTS, FEW, Load, Pace};

const KILLS: u32 = 100;

/// Most kills hit a server that works, at a random instant after it was ready, in milliseconds.
const AFTER_READY: std::ops::RangeInclusive<u64> = 20..=250;
/// Some hit a server that is still starting, and repairing what the last kill left.
const AFTER_SPAWN: std::ops::RangeInclusive<u64> = 1..=60;

/// Names the seed of a run that is to be repeated. The instants of the machine are not repeated with it.
const SEED: &str = "SWITCHBOARD_TEST_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_survives_a_hundred_kills_and_nothing_happens_twice() {
    let seed = env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let began = Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", quiet_port(&mut chance));

    let dev = Dev::start(dir.path(), &listen).await;
    let ready = dev.ready.clone();
    let receiver = Receiver::start().await;
    let events = [EventKind::MessageReceived, EventKind::MessageSent, EventKind::MessageFailed];
    let webhook = CreateWebhook::new(&ready.line, receiver.url(), events);
    let webhook = ready.client().create_webhook(&webhook).await.unwrap().value;
    for contact in CONTACTS {
        let text = ContactText::new(&ready.line, contact, "first");
        ready.phones().text(&text).await.unwrap();
    }
    let mut stderr = dev.process.kill().await;

    let load = Load::start(&ready, seed, FEW, &Pace::Bursts);
    for round in 1..KILLS {
        stderr += &live_and_die(dir.path(), &listen, &ready, round, &mut chance).await;
    }
    let dev = Dev::start(dir.path(), &listen).await;
    assert_eq!(dev.ready, ready, "the same secrets and the same address to the end");
    let load = load.stop().await;
    let killed_for = began.elapsed();

    let secret = webhook.secret.unwrap();
    let verify = |delivery: &Delivery| delivery.verify(&secret).map(drop);
    let invariants = Invariants::check_all(&ready, load, &receiver, LostBy::Death, verify).await;
    stderr += &dev.process.stop("TERM").await;
    println!("{KILLS} kills in {killed_for:.1?}, settled in {:.1?}", began.elapsed() - killed_for);
    invariants.print();
    let errors: Vec<_> = stderr.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(errors.is_empty(), "the server wrote ERROR lines: {errors:#?}");
    invariants.assert_true();
}

/// Starts the server and kills it at some instant. Returns its stderr.
async fn live_and_die(
    dir: &Path,
    listen: &str,
    ready: &Ready,
    round: u32,
    chance: &mut StdRng,
) -> String {
    let mut command = Dev::command(dir, listen);
    let mut process =
        Process::spawn(command.args(["--json", "--rate-limit", "1000000", "--log", "error"]));
    // The instants are what is random here: these are no waits for something.
    if round.is_multiple_of(10) {
        sleep(Duration::from_millis(chance.random_range(AFTER_SPAWN))).await;
    } else {
        assert_eq!(serde_json::from_str::<Ready>(&process.line().await).unwrap(), *ready);
        let life = sleep(Duration::from_millis(chance.random_range(AFTER_READY)));
        tokio::select! {
            () = life => {}
            never = go_wrong(ready, round) => match never {},
        }
    }
    process.kill().await
}

/// In some rounds items stay in the driver's hands (in some, three deaths long), or reports are
/// lost, so that the kill finds items in every state. A start ends it.
async fn go_wrong(ready: &Ready, round: u32) -> std::convert::Infallible {
    let mut fault = SetFault::new(&ready.line, FaultMode::None);
    match (round % 10, round % 20) {
        (1, _) => (fault.mode, fault.ms) = (FaultMode::Slow, Some(15)),
        (3, _) => (fault.mode, fault.count) = (FaultMode::LoseReport, Some(2)),
        (_, 15..=17) => (fault.mode, fault.ms) = (FaultMode::Slow, Some(2 * AFTER_READY.end())),
        _ => {}
    }
    if fault.mode != FaultMode::None {
        // The server may die before it has answered.
        let _ = ready.phones().fault(&fault).await;
    }
    std::future::pending().await
}

/// A port that stays ours while the server is down: one below those that systems give to outgoing
/// connections, or one of the clients' own connections could take it meanwhile.
fn quiet_port(chance: &mut StdRng) -> u16 {
    (0..100)
        .map(|_| chance.random_range(15_000..30_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("this machine has a free port")
}
