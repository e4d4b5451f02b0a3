//! The schedule: which delivery may go out next, and what is to be read of the store.
//!
//! Promises: what waits in memory is bounded, and each webhook has room for some. The order within a chat is kept by
//! [`queue`](super::queue), the turns of accounts by [`fair_queue`](super::fair_queue), their shares by
//! [`fairness`](super::fairness), how much an endpoint has earned by [`endpoint`](super::endpoint).

mod intake;

use std::collections::{BTreeSet, HashMap};

use switchboard_model::{Chat, Timestamp, Webhook, delivery::DueDelivery, id::Id};
use switchboard_store::Owned;

use super::{
    endpoint::News,
    fair_queue::FairQueue,
    fairness::{EndpointClass, Pools, Room},
    outcome::AttemptOutcome,
    queue::Queue,
};
use crate::webhook_client::SecretVersion;

/// Deliveries that may wait in memory before each webhook is left with [`LEAST`].
const MEMORY: usize = 8192;
/// The most deliveries of one webhook that wait in memory: more than one endpoint may have in flight, so that one
/// long chat does not leave the others idle.
const HEAD: usize = 512;
/// As many of each may always wait.
const LEAST: usize = 16;
/// When this many queues are remembered that are idle, those of which there is nothing to remember are forgotten.
const REMEMBERED: usize = 4096;

#[derive(Debug)]
pub(super) struct Schedule {
    pools: Pools,
    queues: HashMap<Id<Webhook>, Queue>,
    /// The webhooks that have something to send, by the class of their endpoints.
    turns: [FairQueue; 2],
    /// When the store is to be polled for which webhook.
    polls: BTreeSet<(Timestamp, Id<Webhook>)>,
    /// The webhooks of which the reader has asked the store, until it answers.
    asked: Vec<Id<Webhook>>,
    /// When all webhooks are to be looked for that have something in the store.
    sweep_at: Timestamp,
    /// Whether another process has committed since.
    is_outdated: bool,
    /// How many deliveries wait in all queues.
    waiting: usize,
    /// The webhooks that are this process's, and until when.
    owned: Owned,
    owned_until: Timestamp,
    /// How many queues are remembered before the next are forgotten.
    remembered: usize,
}

/// An attempt in flight; to be given back to [`Schedule::settled`].
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) webhook: Id<Webhook>,
    seq: i64,
    pub(super) room: Room,
    /// What it is signed with while two secrets are valid.
    pub(super) secret: SecretVersion,
    /// The chat that waits behind it.
    chat: Option<Id<Chat>>,
    /// Whether it is the one that finds out if the endpoint works again.
    is_probe: bool,
}

/// How deliveries stand in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    /// Attempts under way.
    pub(crate) in_flight: u64,
    /// The webhooks whose endpoint fails or is slow, and whether a breaker holds them back.
    pub(crate) to_blame: HashMap<Id<Webhook>, bool>,
}

impl Schedule {
    /// With nothing in it; so many may be in flight.
    pub(super) fn new(most: usize) -> Self {
        Self {
            pools: Pools::new(most),
            queues: HashMap::new(),
            turns: Default::default(),
            polls: BTreeSet::new(),
            asked: Vec::new(),
            sweep_at: Timestamp(i64::MIN),
            is_outdated: false,
            waiting: 0,
            owned: Owned::Partitions(Vec::new()),
            owned_until: Timestamp(i64::MIN),
            remembered: REMEMBERED,
        }
    }

    /// Whether any webhook has something that may go out as far as its endpoint is concerned.
    pub(super) fn has_work(&self) -> bool {
        self.turns.iter().any(|turns| !turns.is_empty())
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
                let next = self.with_queue(webhook, now, |queue, pools| {
                    queue.in_turn = None;
                    let (delivery, chat) = queue.begin()?;
                    let (seq, room) = (delivery.seq, pools.take(delivery.account_id, class));
                    let (secret, is_probe) = (queue.endpoint.takes, queue.endpoint.begin());
                    Some((Slot { webhook, seq, room, secret, chat, is_probe }, delivery))
                });
                if let Some(next) = next.flatten() {
                    return Some(next);
                }
            }
        }
        None
    }

    /// An attempt takes long.
    pub(super) fn is_late(&mut self, slot: &mut Slot, now: Timestamp) {
        self.with_queue(slot.webhook, now, |queue, pools| {
            pools.is_late(&mut slot.room);
            if let Some(endpoint) = queue.endpoint_of(slot.seq) {
                endpoint.is_late();
            }
        });
    }

    /// An attempt has ended. If it has worked the next of its chat need not wait until that is settled; after a failure
    /// it does, since that may disable the webhook.
    pub(super) fn answered(
        &mut self,
        slot: &mut Slot,
        outcome: &AttemptOutcome,
        now: Timestamp,
    ) -> Option<News> {
        let Slot { seq, is_probe, room: Room { is_late, .. }, .. } = *slot;
        let news = self.with_queue(slot.webhook, now, |queue, pools| {
            if outcome.worked
                && let Some(chat) = slot.chat.take()
            {
                queue.unpark(chat);
            }
            let most = pools.most_of_one(EndpointClass::Proven);
            queue.endpoint_of(seq)?.answered(outcome, is_late, is_probe, most, now)
        });
        news.flatten()
    }

    /// What came of an attempt is settled; the next is due at `retry_at`, if there is to be one.
    pub(super) fn settled(&mut self, slot: Slot, retry_at: Option<Timestamp>, now: Timestamp) {
        let Slot { webhook, seq, room, chat, .. } = slot;
        self.with_queue(webhook, now, |queue, pools| {
            pools.give_back(room);
            queue.end(seq);
            if let Some(chat) = chat {
                queue.unpark(chat);
            }
            if let Some(at) = retry_at {
                queue.log.retry(at);
            }
        });
    }

    /// The secret that an endpoint takes, as far as is known.
    pub(super) fn secret(&self, webhook: Id<Webhook>) -> SecretVersion {
        self.queues.get(&webhook).map(|queue| queue.endpoint.takes).unwrap_or_default()
    }

    /// Lets the breaker's next probe go out now, if there is one to wait for.
    pub(super) fn probe(&mut self, webhook: Id<Webhook>, now: Timestamp) {
        self.with_queue(webhook, now, |queue, _| queue.endpoint.breaker.cut_short(now));
    }

    pub(super) fn under_way(&self) -> impl Iterator<Item = i64> {
        self.queues.values().flat_map(Queue::in_flight)
    }

    pub(super) fn in_memory(&self) -> InMemory {
        let to_blame = self.queues.iter().filter(|(_, queue)| queue.endpoint.is_to_blame());
        InMemory {
            in_flight: u64::try_from(self.pools.used()).unwrap_or(u64::MAX),
            to_blame: to_blame
                .map(|(webhook, queue)| (*webhook, !queue.endpoint.breaker.is_closed()))
                .collect(),
        }
    }

    /// Changes a queue, and keeps what is known of it outside in step: how many wait, whose turn it is, and when the
    /// store is to be polled. None if there is none.
    fn with_queue<T>(
        &mut self,
        webhook: Id<Webhook>,
        now: Timestamp,
        change: impl FnOnce(&mut Queue, &mut Pools) -> T,
    ) -> Option<T> {
        let queue = self.queues.get_mut(&webhook)?;
        let waited = queue.waiting();
        let changed = change(queue, &mut self.pools);
        self.waiting = self.waiting + queue.waiting() - waited;

        let turn = queue.turn(&self.pools, now);
        if queue.in_turn != turn {
            if let Some((class, account)) = queue.in_turn {
                self.turns[class as usize].remove(account, webhook);
            }
            if let Some((class, account)) = turn {
                self.turns[class as usize].enqueue(account, webhook);
            }
            queue.in_turn = turn;
        }
        let poll_at = queue.next_poll(most_waiting(self.waiting), now);
        // One that is due already keeps its place before others.
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if queue.poll_at != poll_at && !(is_due(queue.poll_at) && is_due(poll_at)) {
            if let Some(before) = queue.poll_at {
                self.polls.remove(&(before, webhook));
            }
            queue.poll_at = poll_at.map(|at| at.max(now));
            self.polls.extend(queue.poll_at.map(|at| (at, webhook)));
        }
        if self.queues.len() > self.remembered {
            self.forget_some();
        }
        Some(changed)
    }

    /// Drops the queues of webhooks that are idle and whose endpoint is like a new one.
    fn forget_some(&mut self) {
        self.queues.retain(|_, queue| !queue.is_idle() || !queue.endpoint.is_plain());
        self.remembered = (2 * self.queues.len()).max(REMEMBERED);
    }
}

/// How many of one webhook may wait here while so many wait in all: half of what is left.
fn most_waiting(waiting: usize) -> usize {
    (MEMORY.saturating_sub(waiting) / 2).clamp(LEAST, HEAD)
}

#[cfg(test)]
mod tests;
