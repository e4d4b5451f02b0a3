//! Lanes: which delivery may go out next.
//!
//! Promises: first attempts of one webhook and one chat go out one after another, in
//! the order they came in; one webhook never holds more than its share of what may be in flight;
//! webhooks take turns.

use std::collections::{HashMap, HashSet, VecDeque};

use switchboard_model::{
    Chat, Timestamp, Webhook,
    delivery::{Delivery, DueDelivery},
    id::Id,
};

/// A webhook's share of what may be in flight: one in four.
const SHARE: usize = 4;

/// Time that an attempt must still have under its lease; less, and it is left to the scan.
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
}

#[derive(Debug, Default)]
struct Lane {
    in_flight: usize,
    /// Whether the webhook stands in `turn`.
    in_turn: bool,
    /// May go out now.
    ready: VecDeque<Waiting>,
    /// A first attempt is in flight for these chats; what follows waits here.
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
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            most_each: (most / SHARE).max(1),
            in_flight: 0,
            waiting: 0,
            webhooks: HashMap::new(),
            turn: VecDeque::new(),
            queued: HashSet::new(),
        }
    }

    /// How many wait or are in flight.
    pub(super) fn len(&self) -> usize {
        self.waiting + self.in_flight
    }

    /// Takes a delivery in. One that is here already is the same one, leased again: it goes out once.
    pub(super) fn push(&mut self, delivery: DueDelivery, leased_until: Timestamp) {
        if !self.queued.insert(delivery.id) {
            return;
        }
        self.waiting += 1;
        let webhook = delivery.webhook_id;
        let lane = self.webhooks.entry(webhook).or_default();
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

    /// What may go out now.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<(Slot, DueDelivery)> {
        while self.in_flight < self.most {
            let webhook = self.turn.pop_front()?;
            let Some(lane) = self.webhooks.get_mut(&webhook) else { continue };
            lane.in_turn = false;
            let Some(Waiting { delivery, leased_until }) = lane.ready.pop_front() else { continue };
            self.waiting -= 1;
            self.in_flight += 1;
            lane.in_flight += 1;
            let slot = Slot { webhook, delivery: delivery.id, chat: ordered_chat(&delivery) };
            Self::stand_in_turn(&mut self.turn, lane, webhook, self.most_each);
            if leased_until.0 - now.0 < MARGIN_MS {
                // It waited so long that the lease may end under the attempt.
                self.done(slot);
                continue;
            }
            return Some((slot, delivery));
        }
        None
    }

    /// Drops all that waits for this webhook. What is in flight ends by itself.
    pub(super) fn forget(&mut self, webhook: Id<Webhook>) {
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
        let behind = std::mem::take(&mut lane.behind).into_values().flatten();
        for waiting in std::mem::take(&mut lane.ready).into_iter().chain(behind) {
            self.queued.remove(&waiting.delivery.id);
            self.waiting -= 1;
        }
        if lane.in_flight == 0 {
            self.webhooks.remove(&webhook);
        }
    }

    /// An attempt has ended.
    #[expect(clippy::needless_pass_by_value, reason = "a slot is given back once")]
    pub(super) fn done(&mut self, slot: Slot) {
        let Slot { webhook, delivery, chat } = slot;
        self.queued.remove(&delivery);
        self.in_flight -= 1;
        let Some(lane) = self.webhooks.get_mut(&webhook) else { return };
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
        if lane.in_flight == 0 && lane.ready.is_empty() && lane.behind.is_empty() {
            self.webhooks.remove(&webhook);
        }
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
mod tests {
    use std::sync::Arc;

    use switchboard_model::{EventKind, webhook::WebhookSecret};

    use super::*;

    const LONG: Timestamp = Timestamp(i64::MAX / 2);

    fn delivery(webhook: Id<Webhook>, chat: Option<Id<Chat>>, attempts: u32) -> DueDelivery {
        DueDelivery {
            id: Id::generate(),
            webhook_id: webhook,
            url: "http://localhost".into(),
            secret: Arc::new(WebhookSecret::from_random([0; 32])),
            event: EventKind::MessageReceived,
            chat_id: chat,
            data: Arc::from(serde_json::value::to_raw_value(&()).unwrap()),
            attempts,
        }
    }

    #[test]
    fn a_chat_goes_out_one_after_another() {
        let (webhook, chat) = (Id::generate(), Some(Id::generate()));
        let mut lanes = Lanes::new(16);
        let all: Vec<_> = (0..5).map(|_| delivery(webhook, chat, 0)).collect();
        for delivery in &all {
            lanes.push(delivery.clone(), LONG);
        }
        for wanted in &all {
            let (slot, got) = lanes.next(Timestamp(0)).unwrap();
            assert_eq!(got.id, wanted.id);
            assert!(lanes.next(Timestamp(0)).is_none(), "two of one chat at once");
            lanes.done(slot);
        }
        assert_eq!(lanes.len(), 0);
        assert!(lanes.webhooks.is_empty() && lanes.queued.is_empty());
    }

    #[test]
    fn a_retry_neither_waits_nor_is_waited_for() {
        let (webhook, chat) = (Id::generate(), Some(Id::generate()));
        let mut lanes = Lanes::new(16);
        lanes.push(delivery(webhook, chat, 1), LONG);
        lanes.push(delivery(webhook, chat, 0), LONG);
        lanes.push(delivery(webhook, chat, 1), LONG);
        let slots: Vec<_> = std::iter::from_fn(|| lanes.next(Timestamp(0))).collect();
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn nothing_goes_out_for_a_webhook_that_is_gone() {
        let (gone, other) = (Id::generate(), Id::generate());
        let chat = Some(Id::generate());
        let mut lanes = Lanes::new(16);
        for webhook in [gone, gone, gone, other] {
            lanes.push(delivery(webhook, chat, 0), LONG);
        }
        let (in_flight, _) = lanes.next(Timestamp(0)).unwrap();
        assert_eq!(in_flight.webhook, gone);
        lanes.forget(gone);
        let (slot, _) = lanes.next(Timestamp(0)).unwrap();
        assert_eq!(slot.webhook, other);
        for slot in [in_flight, slot] {
            lanes.done(slot);
        }
        assert!(lanes.next(Timestamp(0)).is_none());
        assert!(lanes.len() == 0 && lanes.queued.is_empty() && lanes.webhooks.is_empty());
    }

    #[test]
    fn one_webhook_never_takes_all() {
        let (greedy, modest) = (Id::generate(), Id::generate());
        let mut lanes = Lanes::new(16);
        for _ in 0..100 {
            lanes.push(delivery(greedy, None, 0), LONG);
        }
        lanes.push(delivery(modest, None, 0), LONG);
        let sent: Vec<_> = std::iter::from_fn(|| lanes.next(Timestamp(0))).collect();
        assert_eq!(sent.iter().filter(|(slot, _)| slot.webhook == greedy).count(), 4);
        assert_eq!(sent.iter().filter(|(slot, _)| slot.webhook == modest).count(), 1);
    }

    #[test]
    fn what_is_here_already_goes_out_once_and_a_short_lease_not_at_all() {
        let mut lanes = Lanes::new(16);
        let one = delivery(Id::generate(), None, 0);
        lanes.push(one.clone(), LONG);
        lanes.push(one, LONG);
        lanes.push(delivery(Id::generate(), None, 0), Timestamp(MARGIN_MS - 1));
        let sent: Vec<_> = std::iter::from_fn(|| lanes.next(Timestamp(0))).collect();
        assert_eq!(sent.len(), 1);
    }
}
