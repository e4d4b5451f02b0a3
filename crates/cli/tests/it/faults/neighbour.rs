//! Another account on the same server, which does nothing wrong and wants quick answers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use switchboard_client::{Client, Error, SendMessage};
use switchboard_testkit::judge;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::server::{NEIGHBOUR_CONTACT, NEIGHBOUR_LINE, Tenants};

/// How often it calls.
const EVERY: Duration = Duration::from_millis(10);

/// How long its calls took, and what was refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    reads: Vec<Duration>,
    writes: Vec<Duration>,
    refused_writes: usize,
    wrong: Vec<String>,
}

pub(super) struct Neighbour {
    stop: CancellationToken,
    calls: Arc<Mutex<Calls>>,
    calling: JoinHandle<()>,
}

impl Neighbour {
    pub(super) async fn start(tenants: &Tenants, url: &str) -> Self {
        let client =
            Client::builder(url).key(&tenants.neighbour_key).observe(judge).build().unwrap();
        let (stop, calls) = (CancellationToken::new(), Arc::<Mutex<Calls>>::default());
        let calling = tokio::spawn({
            let (stop, calls) = (stop.clone(), Arc::clone(&calls));
            async move {
                let mut ticks = interval(EVERY);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for turn in 0.. {
                    if stop.run_until_cancelled(ticks.tick()).await.is_none() {
                        return;
                    }
                    call(&client, turn, &calls).await;
                }
            }
        });
        Self { stop, calls, calling }
    }

    /// What it has seen so far; counts anew from here.
    pub(super) fn so_far(&self) -> Calls {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub(super) async fn stop(self) -> Calls {
        self.stop.cancel();
        self.calling.await.unwrap();
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

async fn call(client: &Client, turn: usize, calls: &Mutex<Calls>) {
    let began = Instant::now();
    let outcome = match turn % 4 {
        0 => client.messages(NEIGHBOUR_LINE, NEIGHBOUR_CONTACT).limit(50).send().await.map(|_| ()),
        1 => client.chats(NEIGHBOUR_LINE).limit(50).send().await.map(|_| ()),
        2 => client.lines().await.map(|_| ()),
        _ => {
            let text = format!("neighbour {turn}");
            let message = SendMessage::text(NEIGHBOUR_LINE, NEIGHBOUR_CONTACT, &text);
            client.send_message(&message).await.map(|_| ())
        }
    };
    let took = began.elapsed();
    let mut calls = calls.lock().unwrap();
    if turn % 4 < 3 {
        calls.reads.push(took);
    } else {
        calls.writes.push(took);
    }
    match outcome {
        Ok(()) => {}
        // Nothing can be kept while the volume is full.
        Err(Error::Api { status: 503, retry_after: Some(_), .. }) if turn % 4 == 3 => {
            calls.refused_writes += 1;
        }
        Err(error) => calls.wrong.push(format!("call {turn} after {took:?}: {error:?}")),
    }
}

impl Calls {
    pub(super) fn print(&self, what: &str) {
        println!("{what}:");
        for (kind, times) in [("reads", &self.reads), ("writes", &self.writes)] {
            let mut times = times.clone();
            times.sort_unstable();
            let at = |share: f64| {
                let last = times.len().saturating_sub(1);
                times
                    .get((times.len() as f64 * share) as usize)
                    .or_else(|| times.get(last))
                    .copied()
            };
            let (count, p50, p99) = (times.len(), at(0.5), at(0.99));
            println!("  {count} {kind}: p50 {p50:.1?}, p99 {p99:.1?}, longest {:.1?}", at(1.0));
        }
        println!("  writes refused with 503: {}", self.refused_writes);
    }

    /// Nothing but a write on a full volume was refused.
    pub(super) fn assert_true(&self) {
        let first: Vec<_> = self.wrong.iter().take(10).collect();
        assert!(first.is_empty(), "{} calls failed, among them {first:#?}", self.wrong.len());
        assert!(self.reads.len() > 100 && self.writes.len() > 30, "the neighbour hardly called");
    }
}
