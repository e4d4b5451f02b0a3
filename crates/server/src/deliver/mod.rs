//! Webhook deliveries: durable, at least once, each attempt signed afresh (§9).
//!
//! The truth is in the store: a delivery is a row that is due at some time. Whoever
//! attempts it has leased it, by moving that time to the end of the lease. A transaction that makes
//! deliveries leases them to this process at once and hands them over in memory, so the first attempt
//! starts right after the commit. What finds no place in memory is given back and found by
//! the scan; so is everything that a killed process had leased, at the next start.
//!
//! What is in flight stays so until what came of it is committed. So a kill makes go out twice at most
//! as many as may be in flight at once, and of one webhook at most its share of them.
//!
//! First attempts of one webhook and one chat go out one after another, in event
//! order, also by way of the store ([`lanes`]): the next when the one before has worked, or has failed
//! and that is settled. A retry waits for nobody and nobody waits for it.
//!
//! An endpoint gets as much of what may be in flight as it has earned ([`conduct`], [`slots`]), and one
//! that only fails gets nothing but a probe now and then ([`breaker`]).

mod breaker;
mod conduct;
mod guard;
mod health;
mod lanes;
mod rotation;
mod send;
mod slots;
mod tasks;
mod trials;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) use guard::Guard;
pub use guard::{Resolver, SystemResolver};
pub(crate) use lanes::InMemory;
use switchboard_model::{
    Account, Timestamp, Webhook, delivery::DueDelivery, id::Id, time::Clock, webhook::WebhookTest,
};
use switchboard_store::Store;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{config::Config, files::Files, metrics::Metrics, supervise::Supervisor};
use conduct::Outcome;
use health::Health;
use lanes::{Lanes, Lease, Slot};
use trials::Trials;

/// How long a lease on a delivery holds. What waits in memory for too much of it is leased anew.
const LEASE: Duration = Duration::from_secs(600);
/// Results that may wait to be settled. Each still holds its slot, so there are hardly ever so many.
const RESULTS: usize = 8192;

/// The engine's handle: what the rest of the server sees of it.
#[derive(Debug)]
pub(crate) struct Deliver {
    shared: Arc<Shared>,
    sender: send::Sender,
    trials: Trials,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    /// What waits in memory and what is in flight.
    lanes: Mutex<Lanes>,
    /// Which webhooks fail.
    health: Mutex<Health>,
    metrics: Arc<Metrics>,
    /// Something may be sent.
    work: Notify,
    /// Something may be due in the store.
    scan: Notify,
    /// A webhook was disabled; what waited here for it is to be given back.
    disabled: AtomicBool,
    /// What waited here for a disabled webhook was given back.
    given_back: Notify,
}

impl Deliver {
    /// The engine, at rest. First attempts of the webhooks `stored` wait in the store.
    pub(crate) fn new(
        config: &Config,
        guard: &Guard,
        files: Arc<Files>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        stored: Vec<Id<Webhook>>,
    ) -> Result<Self, reqwest::Error> {
        let concurrency = usize::try_from(config.webhook_concurrency).unwrap_or(usize::MAX);
        let shared = Shared {
            clock: Arc::clone(&clock),
            lanes: Mutex::new(Lanes::new(concurrency, stored)),
            health: Mutex::default(),
            metrics,
            work: Notify::new(),
            scan: Notify::new(),
            disabled: AtomicBool::new(false),
            given_back: Notify::new(),
        };
        let sender = send::Sender::new(
            guard.clone(),
            files,
            config.webhook_timeout(),
            config.webhook_retry_schedule.clone(),
            clock,
        )?;
        Ok(Self { shared: Arc::new(shared), sender, trials: Trials::default() })
    }

    /// Until when a lease that is taken at this steady instant holds.
    pub(crate) fn lease_until(&self, now: Timestamp) -> Timestamp {
        now + LEASE
    }

    /// Drops what waits here for a webhook that is gone.
    pub(crate) fn forget(&self, webhook: Id<Webhook>) {
        self.shared.lanes().forget(webhook);
        self.shared.health().forget(webhook);
        // There may be room now.
        self.shared.scan.notify_one();
        // What is due of it in the store is to go.
        self.shared.given_back.notify_one();
    }

    /// How it stands in memory.
    pub(crate) fn in_memory(&self) -> InMemory {
        self.shared.lanes().in_memory()
    }

    /// What waits here for a webhook that was changed is leased anew, with its new URL and secrets. How its
    /// endpoint behaved before counts no more.
    pub(crate) fn changed(&self, webhook: Id<Webhook>) {
        self.shared.lanes().begin_anew(webhook);
        self.shared.scan.notify_one();
    }

    /// The webhook has a new secret, and the one before it.
    pub(crate) fn rotated(&self, webhook: Id<Webhook>) {
        self.sender.rotated(webhook);
        self.changed(webhook);
    }

    /// Somebody has disabled the webhook. What waits here for it is to be given up in the store.
    pub(crate) fn disabled(&self, webhook: Id<Webhook>) {
        self.shared.disabled(webhook);
    }

    /// Waits until what waited here for a disabled webhook is in the store again.
    pub(crate) async fn given_back(&self) {
        self.shared.given_back.notified().await;
    }

    /// Somebody wants a delivery of this webhook tried now: where a breaker holds them back, its probe goes out.
    pub(crate) fn retried(&self, webhook: Id<Webhook>) {
        self.shared.lanes().probe(webhook, self.shared.clock.steady());
        self.shared.scan.notify_one();
    }

    /// Something was made due in the store.
    pub(crate) fn wake(&self) {
        self.shared.scan.notify_one();
    }

    /// Sends this now and once, whatever else waits. None if too many do that already, in all or of this account.
    pub(crate) async fn test(
        &self,
        account: Id<Account>,
        delivery: &DueDelivery,
    ) -> Option<WebhookTest> {
        let _room = self.trials.begin(account)?;
        Some(self.sender.test(delivery).await)
    }

    /// Starts the engine's tasks.
    pub(crate) fn start(
        &self,
        store: Arc<dyn Store>,
        supervisor: &Supervisor,
        stop: &CancellationToken,
    ) {
        let (results, settled) = mpsc::channel(RESULTS);
        // Takes them at once: what has no place is in the store.
        let (made, new) = mpsc::unbounded_channel();
        store.hand_over_to(made);
        let shared = || Arc::clone(&self.shared);
        let (scanned, of_store, stop_scan) = (shared(), Arc::clone(&store), stop.clone());
        supervisor.restart("scan for deliveries", stop, move || {
            tasks::scan(Arc::clone(&scanned), Arc::clone(&of_store), stop_scan.clone())
        });
        supervisor.vital("new deliveries", tasks::take_new(shared(), new, stop.clone()));
        let sending = tasks::Sending {
            sender: self.sender.clone(),
            results,
            failure: supervisor.failure().clone(),
        };
        supervisor.vital("dispatch", tasks::dispatch(shared(), sending, stop.clone()));
        supervisor.vital("settling", tasks::settle(shared(), store, settled));
    }
}

impl Shared {
    fn lanes(&self) -> std::sync::MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may go out now.
    fn next(&self) -> Option<(Slot, DueDelivery)> {
        let mut lanes = self.lanes();
        let next = lanes.next(self.clock.steady());
        if lanes.has_urgent_overflow() {
            self.scan.notify_one();
        }
        next
    }

    fn take(
        &self,
        deliveries: impl IntoIterator<Item = DueDelivery>,
        take: fn(&mut Lanes, DueDelivery, Lease),
    ) {
        let now = self.clock.both();
        let lease = Lease { now: now.steady, until: now.steady + LEASE, wall: now.wall };
        let is_urgent = {
            let mut lanes = self.lanes();
            for delivery in deliveries {
                take(&mut lanes, delivery, lease);
            }
            lanes.has_urgent_overflow()
        };
        self.work.notify_one();
        if is_urgent {
            self.scan.notify_one();
        }
    }

    /// A webhook gets nothing any more. What waits here for it is given back, to be given up in the store.
    fn disabled(&self, webhook: Id<Webhook>) {
        self.lanes().begin_anew(webhook);
        self.health().forget(webhook);
        self.disabled.store(true, Ordering::Release);
        self.scan.notify_one();
    }

    /// An attempt has worked; that is not settled yet.
    fn answered(&self, slot: &mut Slot) {
        if self.lanes().answered(slot) {
            self.work.notify_one();
        }
    }

    /// Attempts have ended, and what came of them is settled.
    fn done(&self, ended: Vec<(Slot, Outcome)>) {
        let now = self.clock.steady();
        let look = {
            let mut lanes = self.lanes();
            ended
                .into_iter()
                .fold(false, |look, (slot, outcome)| lanes.done(slot, &outcome, now) || look)
        };
        self.work.notify_one();
        if look {
            self.scan.notify_one();
        }
    }
}
