//! Webhook deliveries: durable, at least once, each attempt signed afresh (§9).
//!
//! The deliveries of a webhook that were not attempted yet are a log in the store, in event order; the engine reads
//! it. One process owns a webhook: this one owns all, where it has the database to itself. In memory is the head of each log ([`queue`]): whatever a transaction makes is
//! pushed there right after the commit if the queue has caught up with its log and has room; if not it is dropped,
//! and read later. Retries have an index of their own, by the time when they are due.
//!
//! What is in flight stays so until what came of it is committed. So a kill makes go out twice at most
//! as many as may be in flight at once, and of one webhook at most its share of them.
//!
//! First attempts of one webhook and one chat go out one after another, in event order: the next when the one before
//! has worked, or has failed and that is settled. A retry waits for nobody and nobody waits for it.
//!
//! An endpoint gets as much of what may be in flight as it has earned ([`endpoint`], [`fairness`]), and one
//! that only fails gets nothing but a probe now and then ([`breaker`]).

mod breaker;
mod endpoint;
mod fairness;
mod health;
mod queue;
mod schedule;
mod send;
mod sign;
mod ssrf;
mod test_limiter;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use schedule::InMemory;
pub(crate) use ssrf::Guard;
pub use ssrf::{Resolver, SystemResolver};
use switchboard_model::{
    Account, Timestamp, Webhook, delivery::DueDelivery, id::Id, time::Clock, webhook::WebhookTest,
};
use switchboard_store::{Owned, Store};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{config::Config, files::Files, metrics::Metrics, supervise::Supervisor};
use endpoint::Outcome;
use health::Health;
use schedule::{Schedule, Slot};
use test_limiter::TestLimiter;

/// Results that may wait to be settled. Each still holds its slot, so there are hardly ever so many.
const RESULTS: usize = 8192;

/// The engine's handle: what the rest of the server sees of it.
#[derive(Debug)]
pub(crate) struct Deliver {
    shared: Arc<Shared>,
    sender: send::Sender,
    tests: TestLimiter,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    /// What waits in memory and what is in flight.
    schedule: Mutex<Schedule>,
    /// Which webhooks fail.
    health: Mutex<Health>,
    metrics: Arc<Metrics>,
    /// Something may be sent.
    work: Notify,
    /// Something may be to be read.
    read: Notify,
    /// All webhooks are to be looked for that have something in the store.
    sweep: Mutex<bool>,
    /// A webhook was disabled or deleted: what is due of it is to be given up in the store.
    disabled: Notify,
}

impl Deliver {
    /// The engine, at rest.
    pub(crate) fn new(
        config: &Config,
        guard: &Guard,
        files: Arc<Files>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, reqwest::Error> {
        let concurrency = usize::try_from(config.webhook_concurrency).unwrap_or(usize::MAX);
        let shared = Shared {
            clock: Arc::clone(&clock),
            schedule: Mutex::new(Schedule::new(concurrency)),
            health: Mutex::default(),
            metrics,
            work: Notify::new(),
            read: Notify::new(),
            sweep: Mutex::default(),
            disabled: Notify::new(),
        };
        let sender = send::Sender::new(
            guard.clone(),
            files,
            config.webhook_timeout(),
            config.webhook_retry_schedule.clone(),
            clock,
        )?;
        Ok(Self { shared: Arc::new(shared), sender, tests: TestLimiter::default() })
    }

    /// A transaction was committed that made these. Told in the order of the commits.
    pub(crate) fn committed(&self, made: Vec<DueDelivery>) {
        let shared = &self.shared;
        let wants_read = {
            let mut schedule = shared.schedule();
            schedule.committed(made, shared.clock.steady());
            schedule.wants_read()
        };
        shared.wake(wants_read);
    }

    /// Another process has written to the store: webhooks may be others, and have more to deliver.
    pub(crate) fn foreign_commit(&self) {
        self.shared.schedule().reread_all(self.shared.clock.steady());
        self.shared.look(false);
    }

    /// Which webhooks are this process's.
    pub(crate) fn owned(&self) -> Owned {
        self.shared.schedule().owned().clone()
    }

    /// How it stands in memory.
    pub(crate) fn in_memory(&self) -> InMemory {
        self.shared.schedule().in_memory()
    }

    /// The places of the deliveries in flight.
    pub(crate) fn under_way(&self) -> Vec<i64> {
        self.shared.schedule().under_way()
    }

    /// Drops what waits here for a webhook that is gone.
    pub(crate) fn forget(&self, webhook: Id<Webhook>) {
        self.shared.schedule().forget(webhook, self.shared.clock.steady());
        self.shared.health().forget(webhook);
        self.shared.disabled.notify_one();
    }

    /// What waits here for a webhook that was changed is read anew, with its new URL and secrets. How its
    /// endpoint behaved before counts no more.
    pub(crate) fn changed(&self, webhook: Id<Webhook>) {
        let is_known = self.shared.schedule().reset(webhook, self.shared.clock.steady());
        self.shared.look(is_known);
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

    /// Waits until a webhook is disabled or deleted.
    pub(crate) async fn any_disabled(&self) {
        self.shared.disabled.notified().await;
    }

    /// Somebody wants a delivery of this webhook tried now: where a breaker holds them back, its probe goes out.
    pub(crate) fn retried(&self, webhook: Id<Webhook>) {
        self.shared.schedule().probe(webhook, self.shared.clock.steady());
        self.came_to_store(webhook);
    }

    /// Deliveries of this webhook have come to the store, or were made due there.
    pub(crate) fn came_to_store(&self, webhook: Id<Webhook>) {
        let is_known = self.shared.schedule().look_again(webhook, self.shared.clock.steady());
        self.shared.look(is_known);
    }

    /// Sends this now and once, whatever else waits. None if too many do that already, in all or of this account.
    pub(crate) async fn test(
        &self,
        account: Id<Account>,
        delivery: &DueDelivery,
    ) -> Option<WebhookTest> {
        let _room = self.tests.begin(account)?;
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
        let shared = || Arc::clone(&self.shared);
        let (reading, of_store, stop_reading) = (shared(), Arc::clone(&store), stop.clone());
        supervisor.restart("read deliveries", stop, move || {
            worker::read(Arc::clone(&reading), Arc::clone(&of_store), stop_reading.clone())
        });
        let (owning, of_store, stop_owning) = (shared(), Arc::clone(&store), stop.clone());
        supervisor.restart("own webhooks", stop, move || {
            worker::own(Arc::clone(&owning), Arc::clone(&of_store), stop_owning.clone())
        });
        let sending = worker::Sending {
            sender: self.sender.clone(),
            results,
            failure: supervisor.failure().clone(),
        };
        supervisor.vital("dispatch", worker::dispatch(shared(), sending, stop.clone()));
        supervisor.vital("settling", worker::settle(shared(), store, settled));
    }
}

impl Shared {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep(&self) -> MutexGuard<'_, bool> {
        self.sweep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the store: at one webhook that is known here, or for all that have something there.
    fn look(&self, is_known: bool) {
        if !is_known {
            *self.sweep() = true;
        }
        self.read.notify_one();
        self.work.notify_one();
    }

    /// Something may be sent, and something may be to be read.
    fn wake(&self, wants_read: bool) {
        self.work.notify_one();
        if wants_read {
            self.read.notify_one();
        }
    }

    /// These webhooks are this process's own until then.
    fn own(&self, owned: Owned, until: Timestamp, now: Timestamp) {
        let has_changed = self.schedule().own(owned, until, now);
        if has_changed {
            self.look(false);
            // Of those that are disabled, what is due is now this process's to give up.
            self.disabled.notify_one();
        }
    }

    /// What may go out now.
    fn next(&self) -> Option<(Slot, DueDelivery)> {
        let now = self.clock.steady();
        let (next, wants_read) = {
            let mut schedule = self.schedule();
            (schedule.next(now), schedule.wants_read())
        };
        if wants_read {
            self.read.notify_one();
        }
        next
    }

    /// A webhook gets nothing any more. What is due of it is given up in the store.
    fn disabled(&self, webhook: Id<Webhook>) {
        self.schedule().reset(webhook, self.clock.steady());
        self.health().forget(webhook);
        self.disabled.notify_one();
    }

    /// An attempt has worked; that is not settled yet.
    fn answered(&self, slot: &mut Slot) {
        if self.schedule().answered(slot, self.clock.steady()) {
            self.work.notify_one();
        }
    }

    /// Attempts have ended, and what came of them is settled.
    fn done(&self, ended: Vec<(Slot, Outcome, Option<Timestamp>)>) {
        let now = self.clock.steady();
        // The time of a retry may come before the next that is waited for.
        let mut wants_read = ended.iter().any(|(_, _, retry_at)| retry_at.is_some());
        {
            let mut schedule = self.schedule();
            for (slot, outcome, retry_at) in ended {
                schedule.done(slot, &outcome, retry_at, now);
            }
            wants_read |= schedule.wants_read();
        }
        self.wake(wants_read);
    }
}
