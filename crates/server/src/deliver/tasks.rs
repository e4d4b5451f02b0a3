//! The engine's three tasks: send what may be sent, write down what came of it, find what waits in the store.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use switchboard_model::{
    Timestamp, Webhook,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
    time::Now,
};
use switchboard_store::{Store, StoreError};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    LEASE, Shared,
    conduct::Outcome,
    lanes::{Lanes, Slot},
    send::{self, Attempted},
};
use crate::{outage, supervise::FailedPart};

/// Transactions whose deliveries are taken at a time.
const NEW_BATCH: usize = 256;
/// Deliveries that one look may lease: looking costs more the more webhooks have something due.
const LOOK_BATCH: usize = 2048;
/// Deliveries that one transaction leases: others wait for the writer meanwhile.
const CLAIM_BATCH: usize = 256;
/// Deliveries that one transaction gives back.
const GIVE_BACK_BATCH: usize = 2048;
/// Results that one transaction settles.
const SETTLE_BATCH: usize = 512;
/// The longest that nothing is looked for.
const SCAN_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// How often attempts are looked for that take long.
const LOOK_AT_FLIGHTS_EVERY: Duration = Duration::from_millis(250);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(250);

/// Takes what transactions make, in the order of their commits.
pub(super) async fn take_new(
    shared: Arc<Shared>,
    mut new: mpsc::UnboundedReceiver<Vec<DueDelivery>>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    while let Some(1..) = stop.run_until_cancelled(new.recv_many(&mut batch, NEW_BATCH)).await {
        shared.take(batch.drain(..).flatten(), Lanes::hand_over);
    }
}

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
    let mut look_at_flights = tokio::time::interval(LOOK_AT_FLIGHTS_EVERY);
    look_at_flights.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        while let Some((slot, delivery)) = shared.next() {
            let (sender, results) = (sender.clone(), results.clone());
            let (shared, mut slot) = (Arc::clone(&shared), slot);
            let vital = failure.guard("attempt");
            attempts.spawn(async move {
                // A slot that is never given back would be lost to its endpoint for ever.
                let _vital = vital;
                let Attempted { result, retry_after } = sender.attempt(&delivery).await;
                let outcome = Outcome {
                    worked: result.error.is_none(),
                    took: Duration::from_millis(result.duration_ms),
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
            _ = look_at_flights.tick() => shared.lanes().look_at_flights(shared.clock.steady()),
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
        for (result, since, slot) in batch.drain(..) {
            results.push(result);
            sinces.push(since);
            slots.push(slot);
        }
        let retries = results.iter().any(|result| result.next_attempt_at.is_some());
        loop {
            match store.settle_deliveries(results.clone()).await {
                Ok(disabled) => {
                    for (webhook, reason) in disabled {
                        tracing::warn!(%webhook, reason = reason.as_str(), "a webhook is disabled");
                        shared.disabled(webhook);
                    }
                    break;
                }
                // The leases hold; after a restart these deliveries go out once more. Their slots are
                // kept: what waits must not go out either, when nobody could write down that it did.
                Err(StoreError::Closed) => return,
                Err(error) => {
                    outage::report(&error, "attempts could not be settled");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
        shared.done(slots);
        for (result, since) in results.iter().zip(sinces) {
            shared.metrics.attempted(result, since);
            shared.health().note(result.webhook_id, result);
        }
        if retries {
            shared.scan.notify_one();
        }
    }
}

/// Finds what is due in the store: after a restart, after a pause, after an overflow.
pub(super) async fn scan(shared: Arc<Shared>, store: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        let both = shared.clock.both();
        let now = both.steady;
        let wait_until = match look(&shared, &*store, both).await {
            Ok(Looked::More) => continue,
            Ok(Looked::Until(next)) => next,
            Err(StoreError::Closed) => return,
            Err(error) => {
                outage::report(&error, "due deliveries could not be looked for");
                now + STORE_PAUSE
            }
        };
        tokio::select! {
            () = shared.clock.sleep(wait_until.since(shared.clock.steady())) => {}
            () = shared.scan.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

enum Looked {
    /// There may be more that is due, and room for it.
    More,
    /// Nothing to do before then.
    Until(Timestamp),
}

async fn look(shared: &Shared, store: &dyn Store, both: Now) -> Result<Looked, StoreError> {
    let now = both.steady;
    let disabled = shared.disabled.swap(false, Ordering::Acquire);
    give_back(shared, store, now).await?;
    if disabled {
        shared.given_back.notify_one();
    }
    // A read first: the writer is not bothered when nothing is due.
    let due = store.due_deliveries(now).await?;
    let latest = now + SCAN_AT_LEAST_EVERY;
    let (probe_at, shares) = {
        let mut lanes = shared.lanes();
        let probe_at = lanes.next_probe(now);
        (probe_at, lanes.shares(due.webhooks, LOOK_BATCH, now))
    };
    let until = [due.next_at, probe_at].into_iter().flatten().fold(latest, Timestamp::min);
    // Where something is due and no room for it, each attempt that makes room asks again.
    if shares.of.is_empty() {
        return Ok(Looked::Until(until));
    }
    let mut found = false;
    for part in parts(shares.of, CLAIM_BATCH) {
        let due = store.claim_deliveries(both, now + LEASE, part).await?;
        found |= !due.is_empty();
        shared.take(due, Lanes::claimed);
    }
    Ok(if found && shares.leave_room { Looked::More } else { Looked::Until(until) })
}

/// The same in parts of this size.
fn parts(of: Vec<(Id<Webhook>, usize)>, size: usize) -> Vec<Vec<(Id<Webhook>, usize)>> {
    let (mut parts, mut room) = (Vec::<Vec<_>>::new(), 0);
    for (webhook, mut count) in of {
        while count > 0 {
            if room == 0 {
                parts.push(Vec::new());
                room = size;
            }
            let taken = count.min(room);
            parts.last_mut().expect("one was pushed").push((webhook, taken));
            (count, room) = (count - taken, room - taken);
        }
    }
    parts
}

/// Gives back what has found no place.
async fn give_back(shared: &Shared, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let mut back = GivingBack { shared, back: shared.lanes().take_overflow() };
    while !back.back.is_empty() {
        let rest = back.back.len().saturating_sub(GIVE_BACK_BATCH);
        let ids = back.back.iter().skip(rest).map(|(_, id)| *id).collect();
        store.release_deliveries(ids, now).await?;
        back.back.truncate(rest);
    }
    Ok(())
}

/// What is being given back; whatever could not be, also after a panic, is given back the next time.
struct GivingBack<'a> {
    shared: &'a Shared,
    back: Vec<(Id<Webhook>, Id<Delivery>)>,
}

impl Drop for GivingBack<'_> {
    fn drop(&mut self) {
        if !self.back.is_empty() {
            self.shared.lanes().put_back(std::mem::take(&mut self.back));
        }
    }
}
