//! The engine's tasks: send what may be sent, write down what came of it, read what waits in the store.

use std::{pin::pin, sync::Arc, time::Duration};

use switchboard_model::{
    Timestamp, Webhook,
    delivery::{AttemptResult, DueDelivery},
    id::Id,
};
use switchboard_store::{DueDeliveries, Owned, StoreError};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Deliver,
    endpoint::{News, SLOW},
    outcome::{self, AttemptOutcome},
    schedule::Slot,
};
use crate::{
    outage,
    supervise::{FailedPart, Vital},
};

/// How often it is looked unasked whether something may be sent.
const DISPATCH_EVERY: Duration = Duration::from_secs(1);
/// Results that one transaction settles.
const SETTLE_BATCH: usize = 512;
/// Webhooks of which one poll of the store reads.
const READ_BATCH: usize = 64;
/// How long a process owns webhooks that does not come back, and how often it does.
const OWNED_FOR: Duration = Duration::from_secs(5);
const OWN_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the last attempts have ended, when the server stops.
const STOPPED_PAUSE: Duration = Duration::from_millis(50);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(250);

/// An attempt that has ended, and holds its slot until that is written down.
pub(super) type Ended = (Slot, AttemptResult);

/// Sends what may be sent, as many at once as the configuration allows.
pub(super) async fn dispatch(
    deliver: Arc<Deliver>,
    results: mpsc::Sender<Ended>,
    failure: FailedPart,
    stop: CancellationToken,
) {
    loop {
        while let Some((slot, delivery)) = deliver.next() {
            let vital = failure.guard("attempt");
            tokio::spawn(attempt(Arc::clone(&deliver), slot, delivery, results.clone(), vital));
        }
        tokio::select! {
            () = deliver.work.notified() => {}
            // A wake-up only makes it fast.
            () = tokio::time::sleep(DISPATCH_EVERY) => {}
            // Settling ends when the last attempt has dropped its `results`.
            () = stop.cancelled() => return,
        }
    }
}

/// A slot that is never given back would be lost to its endpoint for ever: a panic here is the server's.
async fn attempt(
    deliver: Arc<Deliver>,
    mut slot: Slot,
    delivery: DueDelivery,
    results: mpsc::Sender<Ended>,
    _vital: Vital,
) {
    let started = deliver.clock.both();
    let mut sending = pin!(deliver.client.send(&delivery, slot.secret, started, false));
    let answer = match timeout(SLOW, &mut sending).await {
        Ok(answer) => answer,
        Err(_) => {
            deliver.with_schedule(|schedule, now| schedule.is_late(&mut slot, now));
            sending.await
        }
    };
    let (finished, retries) = (deliver.clock.both(), &deliver.retries);
    let outcome = AttemptOutcome::of(&answer, rand::random());
    let result =
        outcome::result(&delivery, answer, started.wall, finished, retries, rand::random());
    if outcome.worked {
        deliver.answered.note(slot.room.place, &result);
    }
    let news = deliver.with_schedule(|schedule, now| schedule.answered(&mut slot, &outcome, now));
    tell(news, &result);
    deliver.metrics.attempted(&result, delivery.since);
    // Without a store nothing is settled any more, and the slot is never given back.
    let _ = results.send((slot, result)).await;
}

/// Neither a webhook's URL nor what was sent or answered gets into the log.
fn tell(news: Option<News>, result: &AttemptResult) {
    let AttemptResult { webhook_id: webhook, status, .. } = *result;
    match news {
        Some(News::Fails) => {
            let (error, cause) = (result.error.as_deref(), result.cause.as_deref());
            tracing::warn!(%webhook, status, error, cause, "deliveries of a webhook fail");
        }
        Some(News::WorksAgain) => tracing::info!(%webhook, status, "the webhook works again"),
        None => {}
    }
}

/// Writes down what came of attempts, as many as have gathered at a time.
pub(super) async fn settle(deliver: Arc<Deliver>, mut ended: mpsc::Receiver<Ended>) {
    let mut batch = Vec::new();
    while ended.recv_many(&mut batch, SETTLE_BATCH).await > 0 {
        let (slots, results): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let disabled = loop {
            match deliver.store.settle_deliveries(results.clone()).await {
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
            deliver.disabled(webhook);
        }
        deliver.with_schedule(|schedule, now| {
            for (slot, result) in slots.into_iter().zip(&results) {
                schedule.settled(slot, result.next_attempt_at, now);
            }
        });
    }
}

/// Reads what waits in the store: after a start, after a pause, and where there was no room in memory.
pub(super) async fn poll(deliver: Arc<Deliver>, stop: CancellationToken) {
    loop {
        let poll_at = match poll_once(&deliver).await {
            Ok(true) => {
                // What was read goes out before all may have to be read anew.
                tokio::task::yield_now().await;
                continue;
            }
            Ok(false) => deliver.schedule().next_poll(),
            Err(StoreError::Closed) => return,
            Err(error) => {
                outage::report(&error, "due deliveries could not be looked for");
                deliver.clock.steady() + STORE_PAUSE
            }
        };
        tokio::select! {
            () = deliver.clock.sleep(poll_at.since(deliver.clock.steady())) => {}
            () = deliver.poll.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Whether anything was to be read.
async fn poll_once(deliver: &Deliver) -> Result<bool, StoreError> {
    let is_due = deliver.with_schedule(|schedule, now| schedule.begin_sweep(now));
    if is_due && let Err(error) = sweep(deliver).await {
        deliver.schedule().want_sweep();
        return Err(error);
    }
    let queries = deliver.with_schedule(|schedule, now| schedule.queries(READ_BATCH, now));
    if queries.is_empty() {
        return Ok(false);
    }
    let now = deliver.clock.both();
    let found = deliver.store.due_deliveries(queries, now.steady).await?;
    for DueDeliveries { webhook_id, unnamed, .. } in &found {
        if !unnamed.is_empty() {
            deliver.store.give_up_unnamed(*webhook_id, unnamed.clone(), now).await?;
        }
    }
    deliver.with_schedule(|schedule, now| schedule.load(found, now));
    Ok(true)
}

/// Finds every webhook that has something in the store.
async fn sweep(deliver: &Deliver) -> Result<(), StoreError> {
    let mut after: Option<Id<Webhook>> = None;
    loop {
        let (webhooks, next) = deliver.store.waiting_webhooks(after).await?;
        deliver.with_schedule(|schedule, now| schedule.found_in_store(webhooks, now));
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}

/// Keeps the webhooks that are this process's own, where it has not the database to itself.
pub(super) async fn own(deliver: Arc<Deliver>, stop: CancellationToken) {
    let node = rand::random();
    // Also while it stops: nobody else is to begin what is under way here.
    while !stop.is_cancelled() || deliver.schedule().under_way().next().is_some() {
        let now = deliver.clock.steady();
        let in_use = deliver.schedule().parts_in_use();
        match deliver.store.own_webhooks(node, in_use, now, now + OWNED_FOR).await {
            Ok(Owned::All) => {
                deliver.own(Owned::All, Timestamp(i64::MAX));
                return;
            }
            Ok(owned) => deliver.own(owned, now + OWNED_FOR),
            Err(StoreError::Closed) => return,
            Err(error) => outage::report(&error, "webhooks could not be owned"),
        }
        if stop.is_cancelled() {
            tokio::time::sleep(STOPPED_PAUSE).await;
        } else {
            tokio::select! {
                // From when it was asked: a store that is slow must not let it run out.
                () = deliver.clock.sleep(OWN_EVERY.saturating_sub(deliver.clock.steady().since(now))) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    if let Err(error) = deliver.store.disown_webhooks(node).await {
        outage::report(&error, "webhooks could not be let go of");
    }
}
