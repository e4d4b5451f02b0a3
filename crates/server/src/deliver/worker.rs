//! The engine's tasks: send what may be sent, write down what came of it, read what waits in the store.

use std::{sync::Arc, time::Duration};

use switchboard_model::{Timestamp, Webhook, delivery::AttemptResult, id::Id};
use switchboard_store::{DueDeliveries, DueQuery, Owned, Ownership, Store, StoreError};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Shared,
    endpoint::Outcome,
    schedule::Slot,
    send::{self, Attempted},
};
use crate::{outage, supervise::FailedPart};

/// Results that one transaction settles.
const SETTLE_BATCH: usize = 512;
/// Webhooks of which one look at the store reads.
const READ_BATCH: usize = 64;
/// How often all webhooks are looked for that have something in the store: what nobody has told of is found then.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How often attempts are looked for that take long.
const SWEEP_SLOW_EVERY: Duration = Duration::from_millis(250);
/// How long a process owns webhooks that does not come back, and how often it does.
const OWNED_FOR: Duration = Duration::from_secs(5);
const OWN_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the last attempts have ended, when the server stops.
const STOPPED_PAUSE: Duration = Duration::from_millis(50);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(250);

/// An attempt that has ended, and holds its slot until that is written down.
/// With it, since when its delivery was to be made.
pub(super) type Ended = (AttemptResult, Timestamp, (Slot, Outcome));

/// How attempts are made, and where what comes of them goes.
pub(super) struct Sending {
    pub(super) sender: send::Sender,
    pub(super) results: mpsc::Sender<Ended>,
    pub(super) failure: FailedPart,
}

/// Sends what may be sent, as many at once as the configuration allows.
pub(super) async fn dispatch(shared: Arc<Shared>, sending: Sending, stop: CancellationToken) {
    let Sending { sender, results, failure } = sending;
    let attempts = TaskTracker::new();
    let mut sweep_slow = tokio::time::interval(SWEEP_SLOW_EVERY);
    sweep_slow.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        while let Some((slot, delivery)) = shared.next() {
            let (sender, results) = (sender.clone(), results.clone());
            let (shared, mut slot) = (Arc::clone(&shared), slot);
            let vital = failure.guard("attempt");
            attempts.spawn(async move {
                // A slot that is never given back would be lost to its endpoint for ever.
                let _vital = vital;
                let Attempted { result, took, retry_after } = sender.attempt(&delivery).await;
                let outcome = Outcome {
                    worked: result.error.is_none(),
                    took,
                    retry_after,
                    random: rand::random(),
                };
                if outcome.worked {
                    shared.answered(&mut slot);
                }
                // Without a store nothing is settled any more, and the slot is never given back.
                let _ = results.send((result, delivery.since, (slot, outcome))).await;
            });
        }
        tokio::select! {
            () = shared.work.notified() => {}
            _ = sweep_slow.tick() => {
                let now = shared.clock.steady();
                shared.schedule().sweep_slow(now);
            }
            () = stop.cancelled() => break,
        }
    }
    // `results` ends with the last attempt; then settling ends too.
    attempts.close();
    attempts.wait().await;
}

/// Writes down what came of attempts, as many as have gathered at a time.
pub(super) async fn settle(
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    mut results: mpsc::Receiver<Ended>,
) {
    let mut batch = Vec::new();
    while results.recv_many(&mut batch, SETTLE_BATCH).await > 0 {
        let (mut results, mut sinces, mut slots) = (Vec::new(), Vec::new(), Vec::new());
        for (result, since, (slot, outcome)) in batch.drain(..) {
            slots.push((slot, outcome, result.next_attempt_at));
            results.push(result);
            sinces.push(since);
        }
        let disabled = loop {
            match store.settle_deliveries(results.clone()).await {
                Ok(disabled) => break disabled,
                // After a restart these deliveries go out once more. Their slots are kept: what waits must
                // not go out either, when nobody could write down that it did.
                Err(StoreError::Closed) => return,
                Err(error) => {
                    outage::report(&error, "attempts could not be settled");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        };
        // First, or what waits behind an attempt that was the last would go out.
        for (webhook, reason) in disabled {
            tracing::warn!(%webhook, reason = reason.as_str(), "a webhook is disabled");
            shared.disabled(webhook);
        }
        shared.done(slots);
        for (result, since) in results.iter().zip(sinces) {
            shared.metrics.attempted(result, since);
            shared.health().note(result.webhook_id, result);
        }
    }
}

/// Reads what waits in the store: after a start, after a pause, and where there was no room in memory.
pub(super) async fn read(shared: Arc<Shared>, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut sweep_at = shared.clock.steady();
    loop {
        let now = shared.clock.steady();
        let is_asked = std::mem::take(&mut *shared.sweep());
        let looked = if is_asked || sweep_at <= now || sweep_at.since(now) > SWEEP_EVERY {
            sweep_at = now + SWEEP_EVERY;
            sweep(&shared, &*store).await
        } else {
            Ok(())
        };
        let looked = match looked {
            Ok(()) => read_queries(&shared, &*store).await,
            failed => {
                *shared.sweep() = true;
                failed.map(|()| false)
            }
        };
        let wait_until = match looked {
            Ok(true) => continue,
            Ok(false) => shared.schedule().next_timer().map_or(sweep_at, |at| at.min(sweep_at)),
            Err(StoreError::Closed) => return,
            Err(error) => {
                outage::report(&error, "due deliveries could not be looked for");
                now + STORE_PAUSE
            }
        };
        tokio::select! {
            () = shared.clock.sleep(wait_until.since(shared.clock.steady())) => {}
            () = shared.read.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Keeps the webhooks that are this process's own, where it has not the database to itself.
pub(super) async fn own(shared: Arc<Shared>, store: Arc<dyn Store>, stop: CancellationToken) {
    let node = rand::random();
    let mut leaving: Vec<u8> = Vec::new();
    // Also while it stops: nobody else is to begin what is under way here.
    while !stop.is_cancelled() || !shared.schedule().under_way().is_empty() {
        let now = shared.clock.steady();
        // What is under way is let end: whoever owns its webhook next would begin it again.
        let let_go: Vec<u8> = {
            let schedule = shared.schedule();
            leaving.iter().copied().filter(|part| !schedule.is_under_way(*part)).collect()
        };
        leaving.retain(|part| !let_go.contains(part));
        match store.own_webhooks(node, let_go, now, now + OWNED_FOR).await {
            Ok(Ownership { owned: Owned::All, .. }) => {
                shared.own(Owned::All, Timestamp(i64::MAX), now);
                return;
            }
            Ok(Ownership { owned: Owned::Partitions(mut parts), surplus }) => {
                leaving.retain(|part| parts.contains(part));
                let staying = parts.iter().rev().filter(|part| !leaving.contains(part));
                let more = surplus.saturating_sub(leaving.len());
                let more: Vec<u8> = staying.take(more).copied().collect();
                leaving.extend(more);
                parts.retain(|part| !leaving.contains(part));
                shared.own(Owned::Partitions(parts), now + OWNED_FOR, now);
            }
            Err(StoreError::Closed) => return,
            Err(error) => outage::report(&error, "webhooks could not be owned"),
        }
        if stop.is_cancelled() {
            tokio::time::sleep(STOPPED_PAUSE).await;
        } else {
            tokio::select! {
                () = shared.clock.sleep(OWN_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    if let Err(error) = store.disown_webhooks(node).await {
        outage::report(&error, "webhooks could not be let go of");
    }
}

/// Finds every webhook that has something in the store.
async fn sweep(shared: &Shared, store: &dyn Store) -> Result<(), StoreError> {
    let mut after: Option<Id<Webhook>> = None;
    let generation = shared.schedule().generation();
    loop {
        let (webhooks, next) = store.waiting_webhooks(after).await?;
        let now = shared.clock.steady();
        let all_of = next.is_none().then_some(generation);
        shared.schedule().waiting_in_store(webhooks, all_of, now);
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}

/// Whether anything was to be read.
async fn read_queries(shared: &Shared, store: &dyn Store) -> Result<bool, StoreError> {
    let both = shared.clock.both();
    let queries = shared.schedule().queries(READ_BATCH, both.steady);
    shared.work.notify_one();
    if queries.is_empty() {
        return Ok(false);
    }
    let asked = Asked { shared, queries };
    let found = store.due_deliveries(asked.queries.clone(), both.steady).await?;
    for DueDeliveries { webhook_id, unnamed, .. } in &found {
        if !unnamed.is_empty() {
            store.give_up_unnamed(*webhook_id, unnamed.clone(), both).await?;
        }
    }
    asked.answered(found);
    Ok(true)
}

/// Queries that the store was asked. If it does not answer, or in a panic, they are asked again.
struct Asked<'a> {
    shared: &'a Shared,
    queries: Vec<DueQuery>,
}

impl Asked<'_> {
    fn answered(mut self, found: Vec<DueDeliveries>) {
        self.queries.clear();
        self.shared.schedule().read(found, self.shared.clock.steady());
        self.shared.work.notify_one();
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.queries.is_empty() {
            self.shared.schedule().not_read(&self.queries, self.shared.clock.steady());
        }
    }
}
