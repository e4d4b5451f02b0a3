use std::sync::Arc;

use switchboard_model::{EventKind, delivery::Secrets, webhook::WebhookSecret};

use super::*;

const LONG: Timestamp = Timestamp(i64::MAX / 2);

fn delivery(webhook: Id<Webhook>, chat: Option<Id<Chat>>, attempts: u32) -> DueDelivery {
    DueDelivery {
        seq: 0,
        id: Id::generate(),
        webhook_id: webhook,
        url: "http://localhost".into(),
        secrets: Arc::new(Secrets { current: WebhookSecret::from_random([0; 32]), previous: None }),
        event: EventKind::MessageReceived,
        chat_id: chat,
        data: Arc::from(serde_json::value::to_raw_value(&()).unwrap()),
        attempts,
    }
}

#[test]
fn a_chat_goes_out_one_after_another() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(16, []);
    let all: Vec<_> = (0..5).map(|_| delivery(webhook, chat, 0)).collect();
    for delivery in &all {
        lanes.hand_over(delivery.clone(), LONG);
    }
    for wanted in &all {
        let (slot, got) = lanes.next(Timestamp(0)).unwrap();
        assert_eq!(got.id, wanted.id);
        assert!(lanes.next(Timestamp(0)).is_none(), "two of one chat at once");
        lanes.done(slot);
    }
    assert_eq!(lanes.waiting + lanes.in_flight, 0);
    assert!(lanes.webhooks.is_empty() && lanes.queued.is_empty());
}

#[test]
fn a_retry_neither_waits_nor_is_waited_for() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(16, []);
    lanes.hand_over(delivery(webhook, chat, 1), LONG);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    lanes.hand_over(delivery(webhook, chat, 1), LONG);
    let slots: Vec<_> = std::iter::from_fn(|| lanes.next(Timestamp(0))).collect();
    assert_eq!(slots.len(), 3);
}

#[test]
fn nothing_goes_out_for_a_webhook_that_is_gone() {
    let (gone, other) = (Id::generate(), Id::generate());
    let chat = Some(Id::generate());
    let mut lanes = Lanes::new(16, []);
    for webhook in [gone, gone, gone, other] {
        lanes.hand_over(delivery(webhook, chat, 0), LONG);
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
    assert!(lanes.waiting + lanes.in_flight == 0);
    assert!(lanes.queued.is_empty() && lanes.webhooks.is_empty());
}

#[test]
fn one_webhook_never_takes_all() {
    let (greedy, modest) = (Id::generate(), Id::generate());
    let mut lanes = Lanes::new(16, []);
    for _ in 0..100 {
        lanes.hand_over(delivery(greedy, None, 0), LONG);
    }
    lanes.hand_over(delivery(modest, None, 0), LONG);
    let sent: Vec<_> = std::iter::from_fn(|| lanes.next(Timestamp(0))).collect();
    assert_eq!(sent.iter().filter(|(slot, _)| slot.webhook == greedy).count(), 4);
    assert_eq!(sent.iter().filter(|(slot, _)| slot.webhook == modest).count(), 1);
}

#[test]
fn what_is_here_already_goes_out_once() {
    let mut lanes = Lanes::new(16, []);
    let one = delivery(Id::generate(), None, 0);
    lanes.hand_over(one.clone(), LONG);
    lanes.claimed(one, LONG);
    let sent: Vec<_> = std::iter::from_fn(|| lanes.next(Timestamp(0))).collect();
    assert_eq!(sent.len(), 1);
}

#[test]
fn behind_a_short_lease_nothing_goes_out() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let all: Vec<_> = (0..4).map(|_| delivery(webhook, chat, 0)).collect();
    let mut lanes = Lanes::new(16, []);
    lanes.hand_over(all[0].clone(), LONG);
    let (slot, _) = lanes.next(Timestamp(0)).unwrap();
    lanes.hand_over(all[1].clone(), Timestamp(MARGIN_MS - 1));
    lanes.hand_over(all[2].clone(), LONG);
    assert!(!lanes.done(slot));
    assert!(lanes.next(Timestamp(0)).is_none());
    // A claim that was under way meanwhile brings what is newer.
    lanes.claimed(all[3].clone(), LONG);
    assert!(lanes.next(Timestamp(0)).is_none());
    let back: HashSet<_> = lanes.take_overflow().into_iter().collect();
    assert_eq!(back, all[1..].iter().map(|one| (webhook, one.id)).collect());
    // Given back, they come again.
    assert_eq!(lanes.shares(vec![webhook], 64), [(webhook, 64)]);
    lanes.claimed(all[1].clone(), LONG);
    assert_eq!(lanes.next(Timestamp(0)).unwrap().1.id, all[1].id);
}

#[test]
fn what_overflows_is_not_overtaken() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(16, [webhook]);
    let all: Vec<_> = (0..3).map(|_| delivery(webhook, chat, 0)).collect();
    lanes.hand_over(all[0].clone(), LONG);
    let back = lanes.take_overflow();
    assert_eq!(back, [(webhook, all[0].id)]);
    lanes.put_back(back);
    assert_eq!(lanes.take_overflow(), [(webhook, all[0].id)], "it is not lost");
    lanes.shares(vec![webhook], 64);
    lanes.hand_over(all[1].clone(), LONG);
    // The store had no more, but now something is on its way there.
    lanes.shares(Vec::new(), 64);
    lanes.hand_over(all[2].clone(), LONG);
    assert_eq!(lanes.take_overflow().len(), 2);
    lanes.shares(Vec::new(), 64);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    assert!(!lanes.has_overflow() && lanes.next(Timestamp(0)).is_some());
}

#[test]
fn who_holds_little_always_gets_a_place() {
    let greedy: Vec<_> = (0..2 * SHARE).map(|_| Id::generate()).collect();
    let modest = Id::generate();
    let mut lanes = Lanes::new(16, []);
    for webhook in &greedy {
        for _ in 0..=QUEUE_EACH {
            lanes.hand_over(delivery(*webhook, Some(Id::generate()), 0), LONG);
        }
        assert!(lanes.waiting_of(*webhook) <= QUEUE_EACH);
        assert_eq!(lanes.room(*webhook), 0);
    }
    assert!(lanes.waiting <= QUEUE);
    assert_eq!(lanes.waiting + lanes.overflow.len(), greedy.len() * (QUEUE_EACH + 1));
    for _ in 0..100 {
        lanes.hand_over(delivery(modest, None, 0), LONG);
    }
    assert_eq!(lanes.waiting_of(modest), 100);
    // Of a claim each gets its share, and they take turns.
    lanes.take_overflow();
    let mut due: Vec<_> = (0..10).map(|_| Id::generate()).collect();
    due.sort_unstable();
    let mut got = HashSet::new();
    for _ in 0..3 {
        let shares = lanes.shares(due.clone(), 4 * LEAST_CLAIMED);
        assert!(shares.iter().all(|(_, share)| *share == LEAST_CLAIMED));
        got.extend(shares.into_iter().map(|(webhook, _)| webhook));
    }
    assert_eq!(got.len(), due.len());
}
