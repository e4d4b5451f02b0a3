//! Lanes: which delivery may go out next, and which has to wait in the store.
//!
//! Promises: first attempts of one webhook and one chat go out one after another, in
//! the order they came in; accounts take turns, and so do the webhooks of each ([`turns`]); none has more in flight
//! than its conduct has earned ([`conduct`](super::conduct)) and than is left for its kind and its account
//! ([`slots`](super::slots)); one that holds little always gets a place in memory; what a breaker holds back waits
//! in the store.
//!
//! What finds no place overflows into the store. From then on all first attempts of that webhook
//! go by way of the store, which gives them back in event order, until none waits there ([`claims`]).

mod claims;
mod lane;
mod turns;
mod watch;

use std::collections::{HashMap, HashSet};

use switchboard_model::{
    Chat, Timestamp, Webhook,
    delivery::{Delivery, DueDelivery},
    id::Id,
};

pub(crate) use watch::InMemory;

use lane::{Lane, Waiting};
use turns::Turns;

use super::{
    breaker::Change,
    conduct::{Conduct, Outcome},
    slots::{Slots, Trust},
};

/// The most deliveries that wait in memory.
const QUEUE: usize = 8192;

/// The most deliveries of one webhook that wait in memory: one in four.
const QUEUE_EACH: usize = QUEUE / 4;

/// How many that a breaker holds back gather before they are given back to the store.
const GATHERED: usize = 512;

/// When this many webhooks are remembered that have nothing here, those that give no cause for it
/// are forgotten.
const REMEMBERED: usize = 4096;

/// Time that an attempt must still have under its lease; less, and it is leased anew.
const MARGIN_MS: i64 = 330_000;

#[derive(Debug)]
pub(super) struct Lanes {
    slots: Slots,
    waiting: usize,
    webhooks: HashMap<Id<Webhook>, Lane>,
    /// Outlives the lane, which is there only while something waits or is in flight.
    conduct: HashMap<Id<Webhook>, Conduct>,
    /// How many are remembered before the next are forgotten.
    remembered: usize,
    /// Whose turn it is, by trust.
    turns: [Turns; 4],
    /// What is here: since when it is in flight, or none if it waits.
    here: HashMap<Attempt, Option<Flight>>,
    /// Leased to this process, but without a place: to be given back to the store.
    overflow: Vec<Overflown>,
    /// Whether that is to be now. What a breaker holds back has time until many have gathered.
    is_urgent: bool,
    /// The webhooks whose first attempts may wait in the store: newer ones must not overtake them.
    stored: HashSet<Id<Webhook>>,
    /// The webhooks of which `overflow` has something older than what a claim may bring now.
    cut: HashSet<Id<Webhook>>,
    /// The webhooks that had something due in the store at the last look.
    hungry: HashSet<Id<Webhook>>,
    /// Who was the last to get something of a claim.
    last_claimed: Option<Id<Webhook>>,
}

/// One attempt of a delivery in one of its rounds. The next may come from the store before the slot of this one
/// is given back.
type Attempt = (Id<Delivery>, i64, u32);

/// A delivery that is to be given back.
pub(super) type Overflown = (Id<Webhook>, Id<Delivery>);

#[derive(Debug)]
struct Flight {
    webhook: Id<Webhook>,
    since: Timestamp,
    /// Whether it has taken long.
    is_overdue: bool,
}

/// The lease on a delivery that comes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    /// `now` by the wall clock.
    pub(super) wall: Timestamp,
}

/// What is in flight; to be given back to [`Lanes::done`].
#[derive(Debug)]
pub(super) struct Slot {
    webhook: Id<Webhook>,
    attempt: Attempt,
    /// The chat that waits behind it.
    chat: Option<Id<Chat>>,
    /// Whether it is the one that finds out if the endpoint works again.
    is_probe: bool,
}

impl Lanes {
    /// No lane yet. First attempts of the webhooks `stored` wait in the store.
    pub(super) fn new(most: usize, stored: impl IntoIterator<Item = Id<Webhook>>) -> Self {
        Self {
            slots: Slots::new(most),
            waiting: 0,
            webhooks: HashMap::new(),
            conduct: HashMap::new(),
            remembered: REMEMBERED,
            turns: Default::default(),
            here: HashMap::new(),
            overflow: Vec::new(),
            is_urgent: false,
            stored: stored.into_iter().collect(),
            cut: HashSet::new(),
            hungry: HashSet::new(),
            last_claimed: None,
        }
    }

    /// Takes in a delivery that has just been committed.
    pub(super) fn hand_over(&mut self, delivery: DueDelivery, lease: Lease) {
        let webhook = delivery.webhook_id;
        if self.stored.contains(&webhook)
            || !self.admits(webhook, lease.now)
            || !self.make_place(webhook)
        {
            self.overflow(&delivery);
            self.is_urgent |= !self.is_held(webhook, lease.now) || self.overflow.len() >= GATHERED;
        } else {
            self.push(delivery, lease);
        }
    }

    /// Takes in a delivery that was found in the store; they come in its order. One that is here
    /// already is the same one, leased again: it goes out once.
    pub(super) fn claimed(&mut self, delivery: DueDelivery, lease: Lease) {
        if self.here.contains_key(&attempt_of(&delivery)) {
            return;
        }
        let webhook = delivery.webhook_id;
        if self.cut.contains(&webhook)
            || !self.admits(webhook, lease.now)
            || !self.make_place(webhook)
        {
            self.overflow(&delivery);
            self.is_urgent = true;
            // What the same claim brings next must not overtake it.
            self.cut.insert(webhook);
        } else {
            self.push(delivery, lease);
        }
    }

    /// Whether the breaker lets one more of this webhook wait here: one only, if it is to be the probe.
    fn admits(&self, webhook: Id<Webhook>, now: Timestamp) -> bool {
        self.conduct.get(&webhook).is_none_or(|conduct| {
            let breaker = &conduct.breaker;
            breaker.is_closed() || (breaker.admits(now) && self.waiting_of(webhook) == 0)
        })
    }

    /// Whether nothing of this webhook may begin now.
    fn is_held(&self, webhook: Id<Webhook>, now: Timestamp) -> bool {
        self.conduct.get(&webhook).is_some_and(|conduct| !conduct.breaker.admits(now))
    }

    fn push(&mut self, delivery: DueDelivery, lease: Lease) {
        let webhook = delivery.webhook_id;
        if self.here.contains_key(&attempt_of(&delivery)) {
            return;
        }
        self.here.insert(attempt_of(&delivery), None);
        let conduct = self.conduct.entry(webhook).or_default();
        let account = delivery.account_id;
        let lane =
            self.webhooks.entry(webhook).or_insert_with(|| Lane::new(account, conduct.trust(0)));
        self.waiting += 1;
        let since = if delivery.attempts == 0 { delivery.since } else { lease.wall };
        lane.push(Waiting { delivery, leased_until: lease.until, since });
        self.stand_in_turn(webhook);
    }

    fn waiting_of(&self, webhook: Id<Webhook>) -> usize {
        self.webhooks.get(&webhook).map_or(0, |lane| lane.waiting)
    }

    /// What may go out now.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<(Slot, DueDelivery)> {
        for trust in Trust::IN_TURN {
            while self.slots.has_room(trust) {
                let may = |account| self.slots.has_room_for(account, trust);
                let Some(webhook) = self.turns[trust as usize].next(may) else { break };
                if let Some(next) = self.next_of(webhook, now) {
                    return Some(next);
                }
            }
        }
        None
    }

    /// What may go out now of the webhook whose turn it is.
    fn next_of(&mut self, webhook: Id<Webhook>, now: Timestamp) -> Option<(Slot, DueDelivery)> {
        let lane = self.webhooks.get_mut(&webhook)?;
        lane.in_turn = false;
        let conduct = self.conduct.get_mut(&webhook)?;
        let next = lane.ready.front()?;
        if next.leased_until.0 - now.0 < MARGIN_MS {
            // It waited so long that the lease may end under the attempt. Those after it wait on:
            // it is not left to come after them.
            self.cut(webhook);
            return None;
        }
        if !conduct.breaker.admits(now) {
            self.cut(webhook);
            return None;
        }
        if lane.in_flight >= conduct.limit(lane.trust, &self.slots) {
            return None;
        }
        let Waiting { delivery, .. } = lane.ready.pop_front()?;
        self.waiting -= 1;
        lane.waiting -= 1;
        lane.in_flight += 1;
        self.slots.take(lane.account, lane.trust);
        let flight = Flight { webhook, since: now, is_overdue: false };
        self.here.insert(attempt_of(&delivery), Some(flight));
        let is_probe = conduct.breaker.begin();
        let attempt = attempt_of(&delivery);
        let slot = Slot { webhook, attempt, chat: ordered_chat(&delivery), is_probe };
        self.regrade(webhook);
        Some((slot, delivery))
    }

    /// Drops all that waits for this webhook. What is in flight ends by itself.
    pub(super) fn forget(&mut self, webhook: Id<Webhook>) {
        for set in [&mut self.stored, &mut self.cut, &mut self.hungry] {
            set.remove(&webhook);
        }
        self.conduct.remove(&webhook);
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        let behind = std::mem::take(&mut lane.behind).into_values().flatten();
        for waiting in std::mem::take(&mut lane.ready).into_iter().chain(behind) {
            self.here.remove(&attempt_of(&waiting.delivery));
            self.waiting -= 1;
        }
        lane.waiting = 0;
        if lane.in_flight == 0 {
            self.drop_lane(webhook);
        }
    }

    /// Nothing of this webhook waits here or is in flight.
    fn drop_lane(&mut self, webhook: Id<Webhook>) {
        if let Some(lane) = self.webhooks.remove(&webhook)
            && lane.in_turn
        {
            self.turns[lane.trust as usize].leave(lane.account, webhook);
        }
    }

    /// An attempt has worked: the next of its chat need not wait until that is settled. Whether there is one.
    /// After a failure it does, since that may disable the webhook or open its breaker.
    pub(super) fn answered(&mut self, slot: &mut Slot) -> bool {
        let Some(lane) = self.webhooks.get_mut(&slot.webhook) else { return false };
        let goes_on = slot.chat.take().is_some_and(|chat| lane.go_on(chat));
        if goes_on {
            self.stand_in_turn(slot.webhook);
        }
        goes_on
    }

    /// An attempt has ended, and its result is settled. Whether the store is to be looked at: there is room now for something
    /// that waits there, or something here is to wait there.
    #[expect(clippy::needless_pass_by_value, reason = "a slot is given back once")]
    pub(super) fn done(&mut self, slot: Slot, outcome: &Outcome, now: Timestamp) -> bool {
        let Slot { webhook, attempt, chat, is_probe } = slot;
        let flight = self.here.remove(&attempt).flatten();
        let was_overdue = flight.is_some_and(|flight| flight.is_overdue);
        let most = self.slots.most_of_one(Trust::Fast);
        let change = match self.conduct.get_mut(&webhook) {
            Some(conduct) => conduct.note(outcome, was_overdue, is_probe, most, now),
            None => Change::Nothing,
        };
        if let Some(lane) = self.webhooks.get_mut(&webhook) {
            lane.in_flight -= 1;
            self.slots.give_back(lane.account, lane.trust);
            if let Some(chat) = chat {
                lane.go_on(chat);
            }
        }
        if change == Change::Opened {
            self.cut(webhook);
        }
        self.regrade(webhook);
        if self.webhooks.get(&webhook).is_some_and(|lane| lane.in_flight + lane.waiting == 0) {
            self.drop_lane(webhook);
            self.forget_some();
        }
        change != Change::Nothing || self.hungry.contains(&webhook) && self.runs_low(webhook, now)
    }

    /// Forgets how idle webhooks behave of which there is nothing to remember, once they are many.
    fn forget_some(&mut self) {
        if self.conduct.len() > self.remembered {
            let busy = &self.webhooks;
            self.conduct.retain(|webhook, conduct| {
                busy.contains_key(webhook) || !conduct.breaker.is_closed()
            });
            self.remembered = (2 * self.conduct.len()).max(REMEMBERED);
        }
    }

    /// Something of this webhook began, ended or takes long: it may be of another kind now.
    fn regrade(&mut self, webhook: Id<Webhook>) {
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        let Some(conduct) = self.conduct.get(&webhook) else { return };
        let trust = conduct.trust(lane.in_flight);
        if trust != lane.trust {
            self.slots.regrade(lane.account, lane.in_flight, lane.trust, trust);
            if std::mem::take(&mut lane.in_turn) {
                self.turns[lane.trust as usize].leave(lane.account, webhook);
            }
            lane.trust = trust;
        }
        self.stand_in_turn(webhook);
    }

    fn stand_in_turn(&mut self, webhook: Id<Webhook>) {
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        let Some(conduct) = self.conduct.get(&webhook) else { return };
        if !lane.in_turn
            && !lane.ready.is_empty()
            && lane.in_flight < conduct.limit(lane.trust, &self.slots)
        {
            lane.in_turn = true;
            self.turns[lane.trust as usize].stand(lane.account, webhook);
        }
    }
}

fn attempt_of(delivery: &DueDelivery) -> Attempt {
    (delivery.id, delivery.seq, delivery.attempts)
}

/// The chat whose order a delivery keeps: only first attempts do.
fn ordered_chat(delivery: &DueDelivery) -> Option<Id<Chat>> {
    if delivery.attempts == 0 { delivery.chat_id } else { None }
}

#[cfg(test)]
mod order;
#[cfg(test)]
mod tests;
