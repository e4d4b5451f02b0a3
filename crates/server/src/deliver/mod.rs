//! Webhook deliveries: durable, at least once, each attempt signed afresh (§9).
//!
//! The deliveries of a webhook that were not attempted yet are a log in the store, in event order; the engine reads
//! it. One process owns a webhook: this one owns all, where it has the database to itself. In memory is the head of
//! each log ([`queue`]): whatever a transaction makes is pushed there right after the commit if the queue has caught
//! up with its log and has room; if not it is dropped, and read later. Retries have an index of their own, by the
//! time when they are due.
//!
//! ```text
//! committed ──► schedule: a queue each ── next ──► attempt ── answered ──► schedule   (the endpoint has room again)
//!                  ▲    │                             │
//!                 load  └─ queries ─► store ─┐        └─► settle ─► store ── settled ──► schedule
//!                  └─────────────────────────┘
//! ```
//!
//! What is in flight stays so until what came of it is committed. So when a machine dies, what goes out twice is at most
//! as much as may be in flight at once, and of one webhook its share of that; when a process is killed, only what was
//! not answered yet ([`answered`]). What goes out when, [`schedule`] promises.

mod answered;
mod breaker;
mod endpoint;
mod fair_queue;
mod fairness;
mod log;
mod outcome;
mod queue;
mod schedule;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use schedule::InMemory;
use switchboard_model::{
    Account, Timestamp, Webhook, delivery::DueDelivery, id::Id, retry::RetrySchedule, time::Clock,
    webhook::WebhookTest,
};
use switchboard_store::{Owned, Store};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config, metrics::Metrics, quota::each::Each, supervise::Supervisor,
    webhook_client::WebhookClient,
};
use answered::Answered;
use schedule::{Schedule, Slot};

/// Results that may wait to be settled. Each still holds its slot, so there are hardly ever so many.
const RESULTS: usize = 8192;
/// Tests by hand at once, of all accounts and of one: each holds a connection for as long as its endpoint takes.
const TESTS: usize = 64;
const TESTS_EACH: u32 = 4;

#[derive(Debug)]
pub(crate) struct Deliver {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// What waits in memory and what is in flight.
    schedule: Mutex<Schedule>,
    /// Something may be sent.
    work: Notify,
    /// The store is to be polled earlier than was known.
    poll: Notify,
    /// A webhook was disabled or deleted: what is due of it is to be given up in the store.
    disabled: Notify,
    client: WebhookClient,
    retries: RetrySchedule,
    /// What has worked and is not settled.
    answered: Answered,
    tests: Semaphore,
    tests_of: Each<Id<Account>>,
    metrics: Arc<Metrics>,
}

impl Deliver {
    pub(crate) fn new(
        config: &Config,
        client: WebhookClient,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let concurrency = usize::try_from(config.webhook_concurrency).unwrap_or(usize::MAX);
        Self {
            store,
            clock,
            schedule: Mutex::new(Schedule::new(concurrency)),
            work: Notify::new(),
            poll: Notify::new(),
            disabled: Notify::new(),
            client,
            retries: config.webhook_retry_schedule.clone(),
            answered: Answered::open(&config.data_dir),
            tests: Semaphore::new(TESTS),
            tests_of: Each::default(),
            metrics,
        }
    }

    pub(crate) async fn start(self: &Arc<Self>, supervisor: &Supervisor, stop: &CancellationToken) {
        self.answered.settle(&*self.store).await;
        let (results, settling) = mpsc::channel(RESULTS);
        let (deliver, stopping) = (Arc::clone(self), stop.clone());
        supervisor.restart("read deliveries", stop, move || {
            worker::poll(Arc::clone(&deliver), stopping.clone())
        });
        let (deliver, stopping) = (Arc::clone(self), stop.clone());
        supervisor.restart("own webhooks", stop, move || {
            worker::own(Arc::clone(&deliver), stopping.clone())
        });
        let failure = supervisor.failure().clone();
        let dispatching = worker::dispatch(Arc::clone(self), results, failure, stop.clone());
        supervisor.vital("dispatch", dispatching);
        supervisor.vital("settling", worker::settle(Arc::clone(self), settling));
    }

    /// A transaction was committed that made these. Told in the order of the commits.
    pub(crate) fn committed(&self, made: Vec<DueDelivery>) {
        self.with_schedule(|schedule, now| schedule.committed(made, now));
    }

    /// Another process has written to the store: webhooks may be others, and have more to deliver.
    pub(crate) fn foreign_commit(&self) {
        self.with_schedule(Schedule::foreign_commit);
    }

    /// What waits here for a webhook that was changed is read anew, with its new URL and secrets. How its
    /// endpoint behaved before counts no more.
    pub(crate) fn changed(&self, webhook: Id<Webhook>) {
        self.with_schedule(|schedule, now| schedule.changed(webhook, now));
    }

    /// A webhook is disabled or deleted: it gets nothing any more. What is due of it is to be given up in the store.
    pub(crate) fn disabled(&self, webhook: Id<Webhook>) {
        self.changed(webhook);
        self.disabled.notify_one();
    }

    /// Waits until a webhook is disabled or deleted.
    pub(crate) async fn any_disabled(&self) {
        self.disabled.notified().await;
    }

    /// Somebody wants a delivery of this webhook tried now: where a breaker holds them back, its probe goes out.
    pub(crate) fn retried(&self, webhook: Id<Webhook>) {
        self.with_schedule(|schedule, now| schedule.probe(webhook, now));
        self.came_to_store(webhook);
    }

    /// Deliveries of this webhook have come to the store, or were made due there.
    pub(crate) fn came_to_store(&self, webhook: Id<Webhook>) {
        self.with_schedule(|schedule, now| schedule.came_to_store(webhook, now));
    }

    /// Sends this now and once, whatever else waits. None if too many do that already, in all or of this account.
    pub(crate) async fn test(&self, delivery: &DueDelivery) -> Option<WebhookTest> {
        let of_account = self.tests_of.take(delivery.account_id, TESTS_EACH)?;
        let _room = (of_account, self.tests.try_acquire().ok()?);
        let webhook = delivery.webhook_id;
        let secret = self.schedule().secret(webhook);
        let answer = self.client.send(delivery, secret, self.clock.both(), true).await;
        if let Some(secret) = answer.takes {
            self.with_schedule(|schedule, now| schedule.takes(webhook, secret, now));
        }
        Some(WebhookTest {
            delivery_id: delivery.id,
            event: delivery.event,
            ok: answer.error.is_none(),
            status: answer.status,
            duration_ms: answer.duration_ms(),
            answer: answer.start,
            error: answer.error,
        })
    }

    /// How it stands in memory.
    pub(crate) fn in_memory(&self) -> InMemory {
        self.schedule().in_memory()
    }

    /// Which webhooks are this process's, and the places of the deliveries in flight.
    pub(crate) fn owned_and_under_way(&self) -> (Owned, Vec<i64>) {
        let schedule = self.schedule();
        (schedule.owned().clone(), schedule.under_way().collect())
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the schedule, and wakes those who have something to do after it.
    fn with_schedule<T>(&self, change: impl FnOnce(&mut Schedule, Timestamp) -> T) -> T {
        let (changed, has_work) = self.with_schedule_unwoken(|schedule, now| {
            let changed = change(schedule, now);
            (changed, schedule.has_work())
        });
        if has_work {
            self.work.notify_one();
        }
        changed
    }

    /// What may go out now. Who asks need not be woken.
    fn next(&self) -> Option<(Slot, DueDelivery)> {
        self.with_schedule_unwoken(Schedule::next)
    }

    /// Changes the schedule, and wakes who polls the store if that is due earlier than before.
    fn with_schedule_unwoken<T>(&self, change: impl FnOnce(&mut Schedule, Timestamp) -> T) -> T {
        let now = self.clock.steady();
        let mut schedule = self.schedule();
        let poll_at = schedule.next_poll();
        let changed = change(&mut schedule, now);
        let is_earlier = schedule.next_poll() < poll_at;
        drop(schedule);
        if is_earlier {
            self.poll.notify_one();
        }
        changed
    }

    /// These webhooks are this process's own until then.
    fn own(&self, owned: Owned, until: Timestamp) {
        if self.with_schedule(|schedule, now| schedule.own(owned, until, now)) {
            // Of those that are disabled, what is due is now this process's to give up.
            self.disabled.notify_one();
        }
    }
}
