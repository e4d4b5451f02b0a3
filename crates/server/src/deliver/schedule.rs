//! The schedule: which delivery may go out next, and what is to be read of the store.
//!
//! Promises: first attempts of one webhook and one chat go out one after another, in the order of their events
//! ([`queue`](super::queue)); accounts take turns, and so do the webhooks of each, and none has more in flight than is
//! left for its class and its account ([`fairness`](super::fairness)), nor than its endpoint has earned
//! ([`endpoint`](super::endpoint)); what waits in memory is bounded, and each webhook has room for some.

mod changes;
mod watch;

use std::collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry};

use switchboard_model::{Chat, Timestamp, Webhook, delivery::DueDelivery, id::Id};
use switchboard_store::{DueDeliveries, DueQuery, Owned, WaitingWebhook};

use super::{
    breaker::Change,
    endpoint::Outcome,
    fairness::{EndpointClass, FairQueue, Pools},
    queue::Queue,
};

pub(crate) use watch::InMemory;

/// Deliveries that may wait in memory before each webhook is left with [`LEAST`].
const MEMORY: usize = 8192;
/// The most deliveries of one webhook that wait in memory: more than one endpoint may have in flight, so that one
/// long chat does not leave the others idle.
const HEAD: usize = 512;
/// As many of each may always wait.
const LEAST: usize = 16;
/// When this many queues are remembered that are idle, those of which there is nothing to remember are forgotten.
const REMEMBERED: usize = 4096;

/// Which delivery may go out next.
#[derive(Debug)]
pub(super) struct Schedule {
    pools: Pools,
    queues: HashMap<Id<Webhook>, Queue>,
    turns: [FairQueue; 2],
    waiting: usize,
    /// The webhooks whose store may be to be read, each once.
    to_read: VecDeque<Id<Webhook>>,
    timers: BTreeSet<(Timestamp, Id<Webhook>)>,
    /// Whether every webhook has a queue that has something in the store. Before that, one without a queue may
    /// have.
    is_complete: bool,
    /// The webhooks that are this process's, and until when.
    owned: Owned,
    owned_until: Timestamp,
    /// One more each time that other webhooks may have something in the store than before.
    generation: u64,
    /// How many are remembered before the next are forgotten.
    remembered: usize,
}

/// An attempt in flight; to be given back to [`Schedule::done`].
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) webhook: Id<Webhook>,
    seq: i64,
    /// Of which of its endpoints.
    endpoint_epoch: u32,
    /// The chat that waits behind it.
    chat: Option<Id<Chat>>,
    /// Whether it is the one that finds out if the endpoint works again.
    is_probe: bool,
}

impl Schedule {
    /// With nothing in it; so many may be in flight.
    pub(super) fn new(most: usize) -> Self {
        Self {
            pools: Pools::new(most),
            queues: HashMap::new(),
            turns: Default::default(),
            waiting: 0,
            to_read: VecDeque::new(),
            timers: BTreeSet::new(),
            is_complete: false,
            owned: Owned::Partitions(Vec::new()),
            owned_until: Timestamp(i64::MIN),
            generation: 0,
            remembered: REMEMBERED,
        }
    }

    /// These were just committed, in this order.
    pub(super) fn committed(&mut self, deliveries: Vec<DueDelivery>, now: Timestamp) {
        for delivery in deliveries {
            if !self.owned.has(delivery.webhook_id) {
                continue;
            }
            let (webhook, account) = (delivery.webhook_id, delivery.account_id);
            let (most, is_complete) = (most_waiting(self.waiting), self.is_complete);
            self.change(
                webhook,
                now,
                || Some(Queue::new(account, is_complete)),
                |queue, _| {
                    queue.offer(delivery, most);
                },
            );
        }
    }

    /// These have something in the store. `all_of` when no other has, of what was looked for since that generation.
    pub(super) fn waiting_in_store(
        &mut self,
        webhooks: Vec<WaitingWebhook>,
        all_of: Option<u64>,
        now: Timestamp,
    ) {
        for WaitingWebhook { webhook_id, account_id, has_untried, retry_at } in webhooks {
            if !self.owned.has(webhook_id) {
                continue;
            }
            self.change(
                webhook_id,
                now,
                || Some(Queue::new(account_id, true)),
                |queue, _| queue.found_in_store(has_untried, retry_at),
            );
        }
        self.is_complete |= all_of == Some(self.generation);
    }

    /// What is to be read now, of so many webhooks at most.
    pub(super) fn queries(&mut self, webhooks: usize, now: Timestamp) -> Vec<DueQuery> {
        while let Some(&(at, webhook)) = self.timers.first()
            && at <= now
        {
            self.change(webhook, now, || None, |queue, _| queue.timer = None);
            self.timers.remove(&(at, webhook));
        }
        let mut queries = Vec::new();
        while queries.len() < webhooks
            && let Some(webhook) = self.to_read.pop_front()
        {
            let most = most_waiting(self.waiting);
            if !self.owned.has(webhook) {
                self.change(
                    webhook,
                    now,
                    || None,
                    |queue, _| {
                        queue.is_listed = false;
                        queue.forget();
                    },
                );
            } else if let Some(queue) = self.queues.get_mut(&webhook) {
                queue.is_listed = false;
                queries.extend(queue.query(webhook, most, now));
            }
        }
        queries
    }

    /// Whether anything is to be read.
    pub(super) fn wants_read(&self) -> bool {
        !self.to_read.is_empty()
    }

    /// When something is to be looked at that is not now.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What was read.
    pub(super) fn read(&mut self, found: Vec<DueDeliveries>, now: Timestamp) {
        for found in found {
            self.change(found.webhook_id, now, || None, |queue, _| queue.read(found));
        }
    }

    /// The store did not answer these.
    pub(super) fn not_read(&mut self, queries: &[DueQuery], now: Timestamp) {
        for query in queries {
            self.change(query.webhook_id, now, || None, |queue, _| queue.not_read());
        }
    }

    /// What may go out now.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<(Slot, DueDelivery)> {
        if now >= self.owned_until {
            // Others may own them by now.
            return None;
        }
        for class in EndpointClass::IN_TURN {
            while self.pools.has_room(class) {
                let may = |account| self.pools.has_room_for(account, class);
                let Some(webhook) = self.turns[class as usize].pop(may) else { break };
                let next = self.change(
                    webhook,
                    now,
                    || None,
                    |queue, pools| {
                        queue.in_turn = None;
                        if !queue.may_begin(pools, now) {
                            return None;
                        }
                        let room = pools.take(queue.account, class);
                        let (delivery, chat) = queue.take(room, now)?;
                        let is_probe = queue.endpoint.breaker.begin();
                        let (seq, endpoint_epoch) = (delivery.seq, queue.endpoint_epoch);
                        Some((Slot { webhook, seq, endpoint_epoch, chat, is_probe }, delivery))
                    },
                );
                if let Some(next) = next.flatten() {
                    return Some(next);
                }
            }
        }
        None
    }

    /// An attempt has worked: the next of its chat need not wait until that is settled. Whether there is one.
    /// After a failure it does, since that may disable the webhook or open its breaker.
    pub(super) fn answered(&mut self, slot: &mut Slot, now: Timestamp) -> bool {
        let Some(chat) = slot.chat.take() else { return false };
        self.change(slot.webhook, now, || None, |queue, _| queue.unpark(chat)).unwrap_or(false)
    }

    /// An attempt has ended, and its result is settled; the next is due at `retry_at`, if there is to be one.
    #[expect(clippy::needless_pass_by_value, reason = "a slot is given back once")]
    pub(super) fn done(
        &mut self,
        slot: Slot,
        outcome: &Outcome,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Slot { webhook, seq, endpoint_epoch, chat, is_probe } = slot;
        self.change(
            webhook,
            now,
            || None,
            |queue, pools| {
                let Some((room, was_overdue)) = queue.end(seq) else { return Change::Nothing };
                pools.give_back(room);
                if let Some(chat) = chat {
                    queue.unpark(chat);
                }
                if let Some(at) = retry_at {
                    queue.retry(at);
                }
                if endpoint_epoch != queue.endpoint_epoch {
                    return Change::Nothing;
                }
                let most = pools.most_of_one(EndpointClass::Proven);
                queue.endpoint.note(outcome, was_overdue, is_probe, most, now)
            },
        );
    }

    /// Changes a queue, which `new` makes if there is none, and keeps what is known of it outside in step: how many
    /// wait, whose turn it is, whether it is to be read and when it is to be looked at. None if there is none.
    fn change<T>(
        &mut self,
        webhook: Id<Webhook>,
        now: Timestamp,
        new: impl FnOnce() -> Option<Queue>,
        change: impl FnOnce(&mut Queue, &mut Pools) -> T,
    ) -> Option<T> {
        let queue = match self.queues.entry(webhook) {
            Entry::Occupied(queue) => queue.into_mut(),
            Entry::Vacant(place) => place.insert(new()?),
        };
        let waited = queue.waiting();
        let changed = change(queue, &mut self.pools);
        self.waiting = self.waiting + queue.waiting() - waited;

        let most = most_waiting(self.waiting);
        let class = queue.may_begin(&self.pools, now).then(|| queue.class());
        if queue.in_turn != class {
            if let Some(before) = queue.in_turn {
                self.turns[before as usize].remove(queue.account, webhook);
            }
            if let Some(class) = class {
                self.turns[class as usize].enqueue(queue.account, webhook);
            }
            queue.in_turn = class;
        }
        if !queue.is_listed && queue.wants_read(most, now) {
            queue.is_listed = true;
            self.to_read.push_back(webhook);
        }
        let timer = queue.next_timer(now);
        if queue.timer != timer {
            if let Some(before) = queue.timer {
                self.timers.remove(&(before, webhook));
            }
            if let Some(at) = timer {
                self.timers.insert((at, webhook));
            }
            queue.timer = timer;
        }
        if self.queues.len() > self.remembered {
            self.forget_some();
        }
        Some(changed)
    }

    /// Drops the queues of webhooks that are idle and whose endpoint is like a new one.
    fn forget_some(&mut self) {
        self.queues.retain(|_, queue| {
            !queue.is_idle()
                || !queue.endpoint.is_plain()
                || queue.is_listed
                || queue.timer.is_some()
        });
        self.remembered = (2 * self.queues.len()).max(REMEMBERED);
    }
}

/// How many of one webhook may wait here while so many wait in all: half of what is left.
fn most_waiting(waiting: usize) -> usize {
    (MEMORY.saturating_sub(waiting) / 2).clamp(LEAST, HEAD)
}

#[cfg(test)]
mod order;
#[cfg(test)]
mod tests;
