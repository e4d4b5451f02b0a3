mod breaker;
mod fairness;
mod order;
mod reading;

use std::{sync::Arc, time::Duration};

use switchboard_model::{Account, EventKind, delivery::Secrets, webhook::WebhookSecret};
use switchboard_store::{DueDeliveries, DueQuery, WaitingWebhook};

use super::*;
use crate::deliver::{
    breaker::{MAX_COOL_DOWN, TRIPS_AT},
    endpoint::SLOW,
    outcome::{FAILED, WORKED},
};

const MOST: usize = 512;
const NOW: Timestamp = Timestamp(1);

/// Each webhook is of an account of its own.
fn delivery(webhook: Id<Webhook>, chat: Option<Id<Chat>>, attempts: u32) -> DueDelivery {
    static SEQ: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(1);
    DueDelivery {
        seq: SEQ.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
        id: Id::generate(),
        webhook_id: webhook,
        account_id: Id::from_bits(webhook.to_bits()),
        url: "http://localhost".into(),
        secrets: Arc::new(Secrets { current: WebhookSecret::from_random([0; 32]), previous: None }),
        event: EventKind::MessageReceived,
        chat_id: chat,
        data: Arc::from(serde_json::value::to_raw_value(&()).unwrap()),
        attempts,
        since: Timestamp(0),
    }
}

/// Of a server that has looked at its store and found nothing.
fn empty() -> Schedule {
    let mut schedule = new();
    assert!(schedule.begin_sweep(NOW));
    schedule
}

/// Of a server that has not looked at its store yet.
fn new() -> Schedule {
    let mut schedule = Schedule::new(MOST);
    schedule.own(Owned::All, Timestamp(i64::MAX), NOW);
    schedule
}

fn commit(schedule: &mut Schedule, delivery: DueDelivery) {
    if schedule.sweep_at > NOW {
        schedule.queues.entry(delivery.webhook_id).or_insert_with(Queue::caught_up);
    }
    schedule.committed(vec![delivery], NOW);
}

/// Sends all that may be sent now.
fn send(schedule: &mut Schedule) -> Vec<Slot> {
    std::iter::from_fn(|| schedule.next(NOW)).map(|(slot, _)| slot).collect()
}

fn many(schedule: &mut Schedule, webhook: Id<Webhook>, count: usize) {
    for _ in 0..count {
        commit(schedule, delivery(webhook, None, 0));
    }
}

fn done(schedule: &mut Schedule, slots: impl IntoIterator<Item = Slot>, outcome: &AttemptOutcome) {
    for slot in slots {
        end(schedule, slot, outcome, None, NOW);
    }
}

/// An attempt ends, and that is settled.
fn end(
    schedule: &mut Schedule,
    mut slot: Slot,
    outcome: &AttemptOutcome,
    retry_at: Option<Timestamp>,
    now: Timestamp,
) {
    schedule.answered(&mut slot, outcome, now);
    schedule.settled(slot, retry_at, now);
}

/// The webhook is no more, which the store says when it is read.
fn is_gone(schedule: &mut Schedule, webhook: Id<Webhook>) {
    schedule.changed(webhook, NOW);
    let query = schedule.queries(10, NOW).remove(0);
    assert_eq!(query.webhook_id, webhook);
    schedule.load(vec![DueDeliveries { is_active: false, ..found(&query, vec![], vec![]) }], NOW);
}

/// They take longer than an endpoint should.
fn take_long(schedule: &mut Schedule, slots: &mut [Slot]) {
    for slot in slots {
        schedule.is_late(slot, NOW + 2 * SLOW);
    }
}

/// When the store is to be polled for any webhook.
fn next_poll(schedule: &Schedule) -> Option<Timestamp> {
    schedule.polls.first().map(|(at, _)| *at)
}

/// When the breaker of a webhook lets its probe out.
fn probe_at(schedule: &Schedule, webhook: Id<Webhook>) -> Timestamp {
    schedule.queues[&webhook].endpoint.breaker.probe_at().unwrap()
}

/// In flight for a webhook.
fn of(slots: &[Slot], webhook: Id<Webhook>) -> usize {
    slots.iter().filter(|slot| slot.webhook == webhook).count()
}

/// What the store answers, if that is all that it has.
fn found(query: &DueQuery, untried: Vec<DueDelivery>, retries: Vec<DueDelivery>) -> DueDeliveries {
    DueDeliveries {
        webhook_id: query.webhook_id,
        is_active: true,
        more_from: untried.last().filter(|_| untried.len() == query.untried).map(|one| one.seq + 1),
        untried,
        retries,
        next_retry_at: None,
        unnamed: Vec::new(),
    }
}

fn is_idle(schedule: &Schedule) -> bool {
    let queues = schedule.queues.values();
    schedule.waiting == 0 && schedule.pools.used() == 0 && queues.into_iter().all(Queue::is_idle)
}

#[test]
fn a_chat_goes_out_one_after_another() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut schedule = empty();
    let all: Vec<_> = (0..5).map(|_| delivery(webhook, chat, 0)).collect();
    all.iter().for_each(|one| commit(&mut schedule, one.clone()));
    for wanted in &all {
        let (slot, got) = schedule.next(NOW).unwrap();
        assert_eq!(got.id, wanted.id);
        assert!(schedule.next(NOW).is_none(), "two of one chat at once");
        done(&mut schedule, [slot], &WORKED);
    }
    assert!(is_idle(&schedule));
}

#[test]
fn the_next_of_a_chat_goes_out_before_a_success_is_settled() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut schedule = empty();
    let all: Vec<_> = (0..3).map(|_| delivery(webhook, chat, 0)).collect();
    all.iter().for_each(|one| commit(&mut schedule, one.clone()));
    let (mut first, _) = schedule.next(NOW).unwrap();
    assert!(schedule.next(NOW).is_none(), "two of one chat at once");
    schedule.answered(&mut first, &WORKED, NOW);
    let (mut second, got) = schedule.next(NOW).unwrap();
    assert_eq!(got.id, all[1].id);
    schedule.settled(first, None, NOW);
    assert!(schedule.next(NOW).is_none(), "two of one chat at once");
    schedule.answered(&mut second, &WORKED, NOW);
    let (third, got) = schedule.next(NOW).unwrap();
    assert_eq!((got.id, schedule.pools.used()), (all[2].id, 2));
    schedule.settled(second, None, NOW);
    done(&mut schedule, [third], &WORKED);
    assert!(is_idle(&schedule));
}

#[test]
fn a_retry_neither_waits_nor_is_waited_for() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut schedule = empty();
    commit(&mut schedule, delivery(webhook, chat, 0));
    schedule.came_to_store(webhook, NOW);
    let query = schedule.queries(1, NOW).remove(0);
    let retries = vec![delivery(webhook, chat, 1), delivery(webhook, chat, 2)];
    schedule.load(vec![found(&query, Vec::new(), retries)], NOW);
    assert_eq!(send(&mut schedule).len(), 3);
}

#[test]
fn nothing_goes_out_for_a_webhook_that_is_gone() {
    let (gone, other) = (Id::generate(), Id::generate());
    let chat = Some(Id::generate());
    let mut schedule = empty();
    for webhook in [gone, gone, gone, other] {
        commit(&mut schedule, delivery(webhook, chat, 0));
    }
    let (in_flight, _) = schedule.next(NOW).unwrap();
    assert_eq!(in_flight.webhook, gone);
    is_gone(&mut schedule, gone);
    let (slot, _) = schedule.next(NOW).unwrap();
    assert_eq!(slot.webhook, other);
    done(&mut schedule, [in_flight, slot], &WORKED);
    assert!(schedule.next(NOW).is_none() && schedule.queries(10, NOW).is_empty());
    assert!(is_idle(&schedule));
}

#[test]
fn each_webhook_has_room_for_some_and_none_for_all() {
    let greedy: Vec<_> = (0..20).map(|_| Id::generate()).collect();
    let modest = Id::generate();
    let mut schedule = empty();
    for webhook in &greedy {
        for _ in 0..2 * HEAD {
            commit(&mut schedule, delivery(*webhook, Some(Id::generate()), 0));
        }
        assert!(schedule.queues[webhook].waiting() <= HEAD);
    }
    assert!(schedule.waiting <= MEMORY + greedy.len() * LEAST);
    many(&mut schedule, modest, LEAST);
    assert_eq!(schedule.queues[&modest].waiting(), LEAST);
    // What went out is read again when half is gone.
    assert!(schedule.queries(100, NOW).is_empty());
    for _ in 0..400 {
        let slots = send(&mut schedule);
        done(&mut schedule, slots, &WORKED);
    }
    let queries = schedule.queries(100, NOW);
    assert_eq!(queries.len(), greedy.len());
    assert!(queries.iter().all(|query| query.untried > 0 && query.untried <= HEAD));
}

#[test]
fn a_webhook_stands_in_turn_once() {
    let webhook = Id::generate();
    let mut schedule = empty();
    let turns = |schedule: &Schedule| schedule.turns.iter().map(FairQueue::len).sum::<usize>();
    many(&mut schedule, webhook, 3);
    assert_eq!(turns(&schedule), 1);
    schedule.changed(webhook, NOW);
    assert_eq!(turns(&schedule), 0);
    let query = schedule.queries(10, NOW).remove(0);
    let all = (0..3).map(|_| delivery(webhook, None, 0)).collect();
    schedule.load(vec![found(&query, all, Vec::new())], NOW);
    many(&mut schedule, webhook, 3);
    assert_eq!(turns(&schedule), 1);
}

#[test]
fn queues_with_nothing_to_remember_are_forgotten() {
    let mut schedule = empty();
    let failing = Id::generate();
    many(&mut schedule, failing, 1);
    let slots = send(&mut schedule);
    done(&mut schedule, slots, &FAILED);
    for _ in 0..REMEMBERED {
        many(&mut schedule, Id::generate(), 1);
        let slots = send(&mut schedule);
        done(&mut schedule, slots, &WORKED);
    }
    assert!(schedule.queues.len() < 10 && schedule.queues.contains_key(&failing));
}
