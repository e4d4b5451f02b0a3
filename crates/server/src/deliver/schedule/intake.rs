//! What comes in: what is told of commits, what is read of the store, and which webhooks are this process's.

use std::time::Duration;

use switchboard_model::{Timestamp, Webhook, delivery::DueDelivery, id::Id};
use switchboard_store::{DueDeliveries, DueQuery, Owned, WaitingWebhook, partition};

use super::{Schedule, most_waiting};
use crate::{deliver::queue::Queue, webhook_client::SecretVersion};

/// How often all webhooks are looked for that have something in the store: what nobody has told of is found then.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

impl Schedule {
    /// These were just committed, in this order.
    pub(in crate::deliver) fn committed(&mut self, deliveries: Vec<DueDelivery>, now: Timestamp) {
        for delivery in deliveries {
            let most = most_waiting(self.waiting);
            self.with_own_queue(delivery.webhook_id, now, |queue| queue.offer(delivery, most));
        }
    }

    /// Whether all webhooks are to be looked for now that have something in the store. If so, not again for a while.
    pub(in crate::deliver) fn begin_sweep(&mut self, now: Timestamp) -> bool {
        if self.sweep_at > now {
            return false;
        }
        if std::mem::take(&mut self.is_outdated) {
            self.reset_all(now);
        }
        self.sweep_at = now + SWEEP_EVERY;
        true
    }

    /// The webhooks that have something in the store may be others than are known here.
    pub(in crate::deliver) fn want_sweep(&mut self) {
        self.sweep_at = Timestamp(i64::MIN);
    }

    /// These have something in the store.
    pub(in crate::deliver) fn found_in_store(
        &mut self,
        webhooks: Vec<WaitingWebhook>,
        now: Timestamp,
    ) {
        for WaitingWebhook { webhook_id, has_untried, retry_at } in webhooks {
            self.with_own_queue(webhook_id, now, |queue| {
                queue.found_in_store(has_untried, retry_at)
            });
        }
    }

    /// When the store is to be polled next.
    pub(in crate::deliver) fn next_poll(&self) -> Timestamp {
        self.polls.first().map_or(self.sweep_at, |(at, _)| self.sweep_at.min(*at))
    }

    /// What is to be read now, of so many webhooks at most.
    pub(in crate::deliver) fn queries(&mut self, webhooks: usize, now: Timestamp) -> Vec<DueQuery> {
        // One reader asks, so what it has asked before and does not know was not answered.
        for webhook in std::mem::take(&mut self.asked) {
            self.with_queue(webhook, now, |queue, _| queue.log.not_loaded());
        }
        let mut queries = Vec::new();
        while queries.len() < webhooks
            && let Some(&(at, webhook)) = self.polls.first()
            && at <= now
        {
            let most = most_waiting(self.waiting);
            // Where it is the breaker's probe that is due, this puts its webhook in turn.
            let query = self.with_queue(webhook, now, |queue, _| queue.query(webhook, most, now));
            queries.extend(query.flatten());
        }
        self.asked = queries.iter().map(|query| query.webhook_id).collect();
        queries
    }

    /// What was read.
    pub(in crate::deliver) fn load(&mut self, found: Vec<DueDeliveries>, now: Timestamp) {
        self.asked.clear();
        for found in found {
            self.with_queue(found.webhook_id, now, |queue, _| queue.load(found));
        }
    }

    /// Which webhooks are this process's.
    pub(in crate::deliver) fn owned(&self) -> &Owned {
        &self.owned
    }

    /// The parts of all webhooks that no other process may own yet: this one's own, and those of which an attempt is in
    /// flight, which would begin again.
    pub(in crate::deliver) fn parts_in_use(&self) -> Vec<u8> {
        let is_in_flight = |(_, queue): &(_, &Queue)| queue.in_flight().len() > 0;
        let in_flight = self.queues.iter().filter(is_in_flight).map(|(one, _)| partition(*one));
        let mut parts: Vec<u8> = in_flight.collect();
        if let Owned::Partitions(own) = &self.owned {
            parts.extend(own);
        }
        parts
    }

    /// From now on these are its own, until then. Whether they are others than before.
    pub(in crate::deliver) fn own(
        &mut self,
        owned: Owned,
        until: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.owned_until = until;
        if self.owned == owned {
            return false;
        }
        self.owned = owned;
        self.reset_all(now);
        true
    }

    /// Another process has committed: all is to be read anew, at the next sweep. What is being read now and what waits here
    /// may go out until then, or steady commits would let nothing out.
    pub(in crate::deliver) fn foreign_commit(&mut self, now: Timestamp) {
        self.is_outdated = true;
        self.want_sweep();
        // What is told from now on may come after what was made there.
        self.with_each_queue(now, |queue| queue.log.missed(0), |_| {});
    }

    /// The webhooks and what they have in the store may be others than is known here.
    fn reset_all(&mut self, now: Timestamp) {
        self.want_sweep();
        self.with_each_queue(now, Queue::reset, Queue::pause);
    }

    /// A test by hand has shown which secret the endpoint takes.
    pub(in crate::deliver) fn takes(
        &mut self,
        webhook: Id<Webhook>,
        secret: SecretVersion,
        now: Timestamp,
    ) {
        self.with_own_queue(webhook, now, |queue| queue.endpoint.takes = secret);
    }

    /// The webhook is not what it was: what waits for it is read anew, and its endpoint is a new one.
    pub(in crate::deliver) fn changed(&mut self, webhook: Id<Webhook>, now: Timestamp) {
        self.with_own_queue(webhook, now, Queue::renew);
    }

    /// Something has come to the store of this webhook.
    pub(in crate::deliver) fn came_to_store(&mut self, webhook: Id<Webhook>, now: Timestamp) {
        self.with_own_queue(webhook, now, |queue| {
            // Nobody has told what.
            queue.log.missed(0);
            queue.log.retry(now);
        });
    }

    /// Changes the queues that are this process's, and the others.
    fn with_each_queue(&mut self, now: Timestamp, own: fn(&mut Queue), other: fn(&mut Queue)) {
        let all: Vec<_> = self.queues.keys().copied().collect();
        for webhook in all {
            let change = if self.owned.has(webhook) { own } else { other };
            self.with_queue(webhook, now, |queue, _| change(queue));
        }
    }

    /// Changes the queue of a webhook that is this process's, and makes one if there is none.
    fn with_own_queue(
        &mut self,
        webhook: Id<Webhook>,
        now: Timestamp,
        change: impl FnOnce(&mut Queue),
    ) {
        if self.owned.has(webhook) {
            self.queues.entry(webhook).or_default();
            self.with_queue(webhook, now, |queue, _| change(queue));
        }
    }
}
