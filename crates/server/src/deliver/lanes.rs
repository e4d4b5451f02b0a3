//! Lanes: which delivery may go out next, and which has to wait in the store.
//!
//! Promises: first attempts of one webhook and one chat go out one after another, in
//! the order they came in; one webhook never holds more than its share of what may be in flight
//! and of the places in memory; webhooks take turns; one that holds little always gets a place.
//!
//! What finds no place overflows into the store. From then on all first attempts of that webhook
//! go by way of the store, which gives them back in event order, until none waits there.

use std::collections::{HashMap, HashSet, VecDeque};

use switchboard_model::{
    Chat, Timestamp, Webhook,
    delivery::{Delivery, DueDelivery},
    id::Id,
};

/// The most deliveries that wait in memory.
const QUEUE: usize = 8192;

/// A webhook's share of what may be in flight, and of the queue: one in four.
const SHARE: usize = 4;

/// The most deliveries of one webhook that wait in memory.
const QUEUE_EACH: usize = QUEUE / SHARE;

/// The least that one webhook is given of a claim, if it has room: a claim is not for crumbs.
const LEAST_CLAIMED: usize = 16;

/// Time that an attempt must still have under its lease; less, and it is leased anew.
const MARGIN_MS: i64 = 330_000;

#[derive(Debug)]
pub(super) struct Lanes {
    /// How many may be in flight at once, in all and for one webhook.
    most: usize,
    most_each: usize,
    in_flight: usize,
    waiting: usize,
    webhooks: HashMap<Id<Webhook>, Lane>,
    /// The webhooks that have something waiting, in turn. Each at most once.
    turn: VecDeque<Id<Webhook>>,
    queued: HashSet<Id<Delivery>>,
    /// Leased to this process, but without a place: to be given back to the store.
    overflow: Vec<Overflown>,
    /// The webhooks whose first attempts may wait in the store: newer ones must not overtake them.
    stored: HashSet<Id<Webhook>>,
    /// The webhooks of which `overflow` has something older than what a claim may bring now.
    cut: HashSet<Id<Webhook>>,
    /// The webhooks that had something due in the store at the last look, and no room for it.
    hungry: HashSet<Id<Webhook>>,
    /// Who was the last to get something of a claim.
    last_claimed: Option<Id<Webhook>>,
}

/// A delivery that is to be given back.
pub(super) type Overflown = (Id<Webhook>, Id<Delivery>);

#[derive(Debug, Default)]
struct Lane {
    in_flight: usize,
    /// How many are in `ready` and `behind`.
    waiting: usize,
    /// Whether the webhook stands in `turn`.
    in_turn: bool,
    /// May go out now.
    ready: VecDeque<Waiting>,
    /// A first attempt is ready or in flight for these chats; what follows waits here.
    behind: HashMap<Id<Chat>, VecDeque<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    delivery: DueDelivery,
    leased_until: Timestamp,
}

/// What is in flight; to be given back to [`Lanes::done`].
#[derive(Debug)]
pub(super) struct Slot {
    webhook: Id<Webhook>,
    delivery: Id<Delivery>,
    /// The chat that waits behind it.
    chat: Option<Id<Chat>>,
}

impl Lanes {
    /// No lane yet. First attempts of the webhooks `stored` wait in the store.
    pub(super) fn new(most: usize, stored: impl IntoIterator<Item = Id<Webhook>>) -> Self {
        Self {
            most,
            most_each: (most / SHARE).max(1),
            in_flight: 0,
            waiting: 0,
            webhooks: HashMap::new(),
            turn: VecDeque::new(),
            queued: HashSet::new(),
            overflow: Vec::new(),
            stored: stored.into_iter().collect(),
            cut: HashSet::new(),
            hungry: HashSet::new(),
            last_claimed: None,
        }
    }

    /// Takes in a delivery that has just been committed.
    pub(super) fn hand_over(&mut self, delivery: DueDelivery, leased_until: Timestamp) {
        if self.stored.contains(&delivery.webhook_id) || !self.make_place(delivery.webhook_id) {
            self.overflow(&delivery);
        } else {
            self.push(delivery, leased_until);
        }
    }

    /// Takes in a delivery that was found in the store; they come in its order. One that is here
    /// already is the same one, leased again: it goes out once.
    pub(super) fn claimed(&mut self, delivery: DueDelivery, leased_until: Timestamp) {
        if self.queued.contains(&delivery.id) {
            return;
        }
        let webhook = delivery.webhook_id;
        if self.cut.contains(&webhook) || !self.make_place(webhook) {
            self.overflow(&delivery);
            // What the same claim brings next must not overtake it.
            self.cut.insert(webhook);
        } else {
            self.push(delivery, leased_until);
        }
    }

    fn push(&mut self, delivery: DueDelivery, leased_until: Timestamp) {
        if !self.queued.insert(delivery.id) {
            return;
        }
        let webhook = delivery.webhook_id;
        let lane = self.webhooks.entry(webhook).or_default();
        self.waiting += 1;
        lane.waiting += 1;
        let ordered = ordered_chat(&delivery);
        let waiting = Waiting { delivery, leased_until };
        match ordered.and_then(|chat| lane.behind.get_mut(&chat)) {
            Some(behind) => behind.push_back(waiting),
            None => {
                if let Some(chat) = ordered {
                    lane.behind.insert(chat, VecDeque::new());
                }
                lane.ready.push_back(waiting);
            }
        }
        Self::stand_in_turn(&mut self.turn, lane, webhook, self.most_each);
    }

    fn overflow(&mut self, delivery: &DueDelivery) {
        self.overflow.push((delivery.webhook_id, delivery.id));
        if delivery.attempts == 0 {
            self.stored.insert(delivery.webhook_id);
        }
    }

    /// Whether one more of this webhook may wait. When all places are taken, the webhook with the
    /// most of them gives them up.
    fn make_place(&mut self, webhook: Id<Webhook>) -> bool {
        let own = self.waiting_of(webhook);
        if own >= QUEUE_EACH {
            return false;
        }
        if self.waiting < QUEUE {
            return true;
        }
        let longest = self.webhooks.iter().max_by_key(|(_, lane)| lane.waiting);
        match longest.map(|(id, lane)| (*id, lane.waiting)) {
            Some((longest, most)) if most > own => {
                self.cut(longest);
                true
            }
            _ => false,
        }
    }

    /// Lets all that waits for this webhook overflow: it comes again, in order.
    pub(super) fn cut(&mut self, webhook: Id<Webhook>) {
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        let mut all = Vec::with_capacity(lane.waiting);
        for waiting in std::mem::take(&mut lane.ready) {
            let chat = ordered_chat(&waiting.delivery);
            all.extend(chat.and_then(|chat| lane.behind.remove(&chat)).into_iter().flatten());
            all.push(waiting);
        }
        // Of these chats one is in flight. It is still waited for.
        all.extend(lane.behind.values_mut().flat_map(std::mem::take));
        self.waiting -= all.len();
        lane.waiting = 0;
        if lane.in_flight == 0 {
            self.webhooks.remove(&webhook);
        }
        for Waiting { delivery, .. } in all {
            self.queued.remove(&delivery.id);
            self.overflow(&delivery);
        }
        self.cut.insert(webhook);
    }

    /// Whether something is to be given back.
    pub(super) fn has_overflow(&self) -> bool {
        !self.overflow.is_empty()
    }

    /// What is to be given back before anything is claimed.
    pub(super) fn take_overflow(&mut self) -> Vec<Overflown> {
        self.cut.clear();
        std::mem::take(&mut self.overflow)
    }

    /// These could not be given back.
    pub(super) fn put_back(&mut self, back: Vec<Overflown>) {
        self.stored.extend(back.iter().map(|(webhook, _)| *webhook));
        self.overflow.extend(back);
    }

    /// How much to claim for whom, at most `most`, when these webhooks have something due in the
    /// store. That was asked after the last overflow was given back.
    pub(super) fn shares(
        &mut self,
        mut due: Vec<Id<Webhook>>,
        most: usize,
    ) -> Vec<(Id<Webhook>, usize)> {
        due.sort_unstable();
        let overflowing: HashSet<_> = self.overflow.iter().map(|(webhook, _)| *webhook).collect();
        self.stored.retain(|one| overflowing.contains(one) || due.binary_search(one).is_ok());
        // Who got the last is the last.
        let first = due.partition_point(|one| Some(*one) <= self.last_claimed);
        due.rotate_left(first);
        let mut shares: Vec<_> = due.into_iter().map(|one| (one, self.room(one))).collect();
        let hungry = shares.extract_if(.., |(_, room)| *room == 0);
        self.hungry = hungry.map(|(webhook, _)| webhook).collect();
        let each = (most / shares.len().max(1)).max(LEAST_CLAIMED);
        shares.truncate(most / each);
        for (_, room) in &mut shares {
            *room = each.min(*room);
        }
        if let Some((last, _)) = shares.last() {
            self.last_claimed = Some(*last);
        }
        shares
    }

    /// How many of this webhook a claim may bring. Half the places are left to what is
    /// handed over in memory, and few are not worth a claim.
    fn room(&self, webhook: Id<Webhook>) -> usize {
        let fair = (QUEUE / self.webhooks.len().max(1)).min(QUEUE_EACH).div_ceil(2);
        let own = self.waiting_of(webhook);
        if own <= fair / 2 { fair.saturating_sub(own) } else { 0 }
    }

    fn waiting_of(&self, webhook: Id<Webhook>) -> usize {
        self.webhooks.get(&webhook).map_or(0, |lane| lane.waiting)
    }

    /// What may go out now.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<(Slot, DueDelivery)> {
        while self.in_flight < self.most {
            let webhook = self.turn.pop_front()?;
            let Some(lane) = self.webhooks.get_mut(&webhook) else { continue };
            lane.in_turn = false;
            let Some(next) = lane.ready.front() else { continue };
            if next.leased_until.0 - now.0 < MARGIN_MS {
                // It waited so long that the lease may end under the attempt. Those after it wait on:
                // it is not left to come after them.
                self.cut(webhook);
                continue;
            }
            let Some(Waiting { delivery, .. }) = lane.ready.pop_front() else { continue };
            self.waiting -= 1;
            lane.waiting -= 1;
            self.in_flight += 1;
            lane.in_flight += 1;
            let slot = Slot { webhook, delivery: delivery.id, chat: ordered_chat(&delivery) };
            Self::stand_in_turn(&mut self.turn, lane, webhook, self.most_each);
            return Some((slot, delivery));
        }
        None
    }

    /// Drops all that waits for this webhook. What is in flight ends by itself.
    pub(super) fn forget(&mut self, webhook: Id<Webhook>) {
        for set in [&mut self.stored, &mut self.cut, &mut self.hungry] {
            set.remove(&webhook);
        }
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        let behind = std::mem::take(&mut lane.behind).into_values().flatten();
        for waiting in std::mem::take(&mut lane.ready).into_iter().chain(behind) {
            self.queued.remove(&waiting.delivery.id);
            self.waiting -= 1;
        }
        lane.waiting = 0;
        if lane.in_flight == 0 {
            self.webhooks.remove(&webhook);
        }
    }

    /// An attempt has ended. Whether there is room now for something that waits in the store.
    #[expect(clippy::needless_pass_by_value, reason = "a slot is given back once")]
    pub(super) fn done(&mut self, slot: Slot) -> bool {
        let Slot { webhook, delivery, chat } = slot;
        self.queued.remove(&delivery);
        self.in_flight -= 1;
        if let Some(lane) = self.webhooks.get_mut(&webhook) {
            lane.in_flight -= 1;
            if let Some(chat) = chat
                && let Some(behind) = lane.behind.get_mut(&chat)
            {
                match behind.pop_front() {
                    Some(next) => lane.ready.push_back(next),
                    None => {
                        lane.behind.remove(&chat);
                    }
                }
            }
            Self::stand_in_turn(&mut self.turn, lane, webhook, self.most_each);
            if lane.in_flight == 0 && lane.waiting == 0 {
                self.webhooks.remove(&webhook);
            }
        }
        self.hungry.contains(&webhook) && self.room(webhook) > 0
    }

    fn stand_in_turn(
        turn: &mut VecDeque<Id<Webhook>>,
        lane: &mut Lane,
        webhook: Id<Webhook>,
        most_each: usize,
    ) {
        if !lane.in_turn && !lane.ready.is_empty() && lane.in_flight < most_each {
            lane.in_turn = true;
            turn.push_back(webhook);
        }
    }
}

/// The chat whose order a delivery keeps: only first attempts do.
fn ordered_chat(delivery: &DueDelivery) -> Option<Id<Chat>> {
    if delivery.attempts == 0 { delivery.chat_id } else { None }
}

#[cfg(test)]
mod tests;
