use std::{sync::Arc, time::Duration};

use switchboard_model::{Account, EventKind, delivery::Secrets, webhook::WebhookSecret};

use super::{claims::LEAST_CLAIMED, *};
use crate::deliver::{
    breaker::{MAX_COOL_DOWN, TRIPS_AT},
    conduct::SLOW,
};

pub(super) const MOST: usize = 512;
const NOW: Timestamp = Timestamp(0);
pub(super) const LONG: Lease = Lease { now: NOW, until: Timestamp(i64::MAX / 2), wall: NOW };
pub(super) const WORKED: Outcome =
    Outcome { worked: true, took: Duration::from_millis(2), retry_after: None, random: 0.5 };
pub(super) const FAILED: Outcome = Outcome { worked: false, ..WORKED };

/// Each webhook is of an account of its own.
pub(super) fn delivery(webhook: Id<Webhook>, chat: Option<Id<Chat>>, attempts: u32) -> DueDelivery {
    DueDelivery {
        seq: 0,
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

#[test]
fn a_chat_goes_out_one_after_another() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(MOST, []);
    let all: Vec<_> = (0..5).map(|_| delivery(webhook, chat, 0)).collect();
    for delivery in &all {
        lanes.hand_over(delivery.clone(), LONG);
    }
    for wanted in &all {
        let (slot, got) = lanes.next(NOW).unwrap();
        assert_eq!(got.id, wanted.id);
        assert!(lanes.next(NOW).is_none(), "two of one chat at once");
        lanes.done(slot, &WORKED, NOW);
    }
    assert_eq!(lanes.waiting + lanes.slots.used(), 0);
    assert!(lanes.webhooks.is_empty() && lanes.here.is_empty());
}

#[test]
fn the_next_of_a_chat_goes_out_before_a_success_is_settled() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(MOST, []);
    let all: Vec<_> = (0..3).map(|_| delivery(webhook, chat, 0)).collect();
    for delivery in &all {
        lanes.hand_over(delivery.clone(), LONG);
    }
    let (mut first, _) = lanes.next(NOW).unwrap();
    assert!(lanes.next(NOW).is_none() && lanes.answered(&mut first));
    let (mut second, got) = lanes.next(NOW).unwrap();
    assert_eq!(got.id, all[1].id);
    lanes.done(first, &WORKED, NOW);
    assert!(lanes.next(NOW).is_none(), "two of one chat at once");
    assert!(lanes.answered(&mut second) && !lanes.answered(&mut second), "each ends once");
    let (third, got) = lanes.next(NOW).unwrap();
    assert_eq!((got.id, lanes.slots.used()), (all[2].id, 2));
    done(&mut lanes, [second, third], &WORKED);
    assert!(lanes.webhooks.is_empty() && lanes.here.is_empty());
}

#[test]
fn a_retry_neither_waits_nor_is_waited_for() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(MOST, []);
    lanes.hand_over(delivery(webhook, chat, 1), LONG);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    lanes.hand_over(delivery(webhook, chat, 1), LONG);
    let slots: Vec<_> = std::iter::from_fn(|| lanes.next(NOW)).collect();
    assert_eq!(slots.len(), 3);
}

#[test]
fn nothing_goes_out_for_a_webhook_that_is_gone() {
    let (gone, other) = (Id::generate(), Id::generate());
    let chat = Some(Id::generate());
    let mut lanes = Lanes::new(MOST, []);
    for webhook in [gone, gone, gone, other] {
        lanes.hand_over(delivery(webhook, chat, 0), LONG);
    }
    let (in_flight, _) = lanes.next(NOW).unwrap();
    assert_eq!(in_flight.webhook, gone);
    lanes.forget(gone);
    let (slot, _) = lanes.next(NOW).unwrap();
    assert_eq!(slot.webhook, other);
    for slot in [in_flight, slot] {
        lanes.done(slot, &WORKED, NOW);
    }
    assert!(lanes.next(NOW).is_none());
    assert!(lanes.waiting + lanes.slots.used() == 0);
    assert!(lanes.here.is_empty() && lanes.webhooks.is_empty());
}

/// Sends all that may be sent now.
fn send(lanes: &mut Lanes) -> Vec<Slot> {
    std::iter::from_fn(|| lanes.next(NOW)).map(|(slot, _)| slot).collect()
}

fn many(lanes: &mut Lanes, webhook: Id<Webhook>, count: usize) {
    for _ in 0..count {
        lanes.hand_over(delivery(webhook, None, 0), LONG);
    }
}

fn done(lanes: &mut Lanes, slots: impl IntoIterator<Item = Slot>, outcome: &Outcome) {
    for slot in slots {
        lanes.done(slot, outcome, NOW);
    }
}

/// In flight for a webhook.
fn of(slots: &[Slot], webhook: Id<Webhook>) -> usize {
    slots.iter().filter(|slot| slot.webhook == webhook).count()
}

#[test]
fn what_is_in_flight_grows_with_success_up_to_a_share() {
    let webhook = Id::generate();
    let mut lanes = Lanes::new(MOST, []);
    many(&mut lanes, webhook, 1000);
    for wanted in [4, 8, 16, 32, 64, 128, 128] {
        let slots = send(&mut lanes);
        assert_eq!(slots.len(), wanted);
        done(&mut lanes, slots, &WORKED);
    }
    let slots = send(&mut lanes);
    let hang = lanes.done(slots.into_iter().next().unwrap(), &FAILED, NOW);
    assert!(!hang && send(&mut lanes).is_empty(), "127 are in flight and 64 may be");
}

#[test]
fn any_number_that_hang_leave_half_to_the_others() {
    let mut lanes = Lanes::new(MOST, []);
    let healthy: Vec<Id<Webhook>> = (0..9).map(|_| Id::generate()).collect();
    for webhook in &healthy {
        many(&mut lanes, *webhook, 1);
    }
    let first = send(&mut lanes);
    assert_eq!(first.len(), 9);
    done(&mut lanes, first, &WORKED);
    // They never answer, and come before the others.
    for _ in 0..1000 {
        many(&mut lanes, Id::generate(), 2);
    }
    let mut hang = send(&mut lanes);
    assert_eq!(hang.len(), MOST / 8);
    for _ in 0..20 {
        lanes.look_at_flights(NOW + 2 * SLOW);
        hang.extend(send(&mut lanes));
    }
    assert_eq!(hang.len(), MOST * 3 / 8);
    for webhook in &healthy {
        many(&mut lanes, *webhook, 500);
    }
    // Nine accounts have nine tenths: what each leaves free is as much as it has.
    let most = MOST / 2 - MOST / 2 / 10;
    let mut limit = START_AFTER_ONE;
    for _ in 0..5 {
        let sent = send(&mut lanes);
        if 9 * limit < most {
            assert!(healthy.iter().all(|webhook| of(&sent, *webhook) == limit));
        }
        assert_eq!(sent.len(), (9 * limit).min(most));
        done(&mut lanes, sent, &WORKED);
        limit *= 2;
    }
    // Those fail by and by, and others are tried.
    done(&mut lanes, hang, &FAILED);
    let sent = send(&mut lanes);
    let of_healthy: usize = healthy.iter().map(|webhook| of(&sent, *webhook)).sum();
    assert_eq!((of_healthy, sent.len()), (most, most + MOST / 4));
}

/// What a webhook may have in flight after one success.
const START_AFTER_ONE: usize = 5;

#[test]
fn what_takes_long_gets_little_of_what_is_fast() {
    let (slow, fast) = (Id::generate(), Id::generate());
    let mut lanes = Lanes::new(MOST, []);
    let took = Outcome { took: 14 * SLOW, ..WORKED };
    for _ in 0..10 {
        many(&mut lanes, slow, 64);
        let slots = send(&mut lanes);
        assert!(slots.len() <= MOST / 16);
        done(&mut lanes, slots, &took);
    }
    let slow = send(&mut lanes);
    assert_eq!(slow.len(), MOST / 16);
    for _ in 0..10 {
        many(&mut lanes, fast, 64);
        let slots = send(&mut lanes);
        done(&mut lanes, slots, &WORKED);
    }
    many(&mut lanes, fast, 64);
    assert_eq!(send(&mut lanes).len(), MOST / 8);
}

#[test]
fn one_that_was_fast_and_hangs_loses_trust_before_its_time_is_over() {
    let webhook = Id::generate();
    let mut lanes = Lanes::new(MOST, []);
    many(&mut lanes, webhook, 1);
    let slots = send(&mut lanes);
    done(&mut lanes, slots, &WORKED);
    many(&mut lanes, webhook, 10);
    let hang = send(&mut lanes);
    let trust = |lanes: &Lanes| lanes.webhooks[&webhook].trust;
    lanes.look_at_flights(NOW + SLOW);
    assert_eq!(trust(&lanes), Trust::Fast);
    lanes.look_at_flights(NOW + 2 * SLOW);
    assert_eq!(trust(&lanes), Trust::Slow);
    done(&mut lanes, hang, &WORKED);
    assert_eq!(trust(&lanes), Trust::Fast);
    assert_eq!(lanes.slots.used(), 0);
}

/// Lets a webhook fail until its breaker opens; answers what waits in the store then, in order.
fn trip(lanes: &mut Lanes, webhook: Id<Webhook>) -> Vec<DueDelivery> {
    let all: Vec<_> = (0..20).map(|_| delivery(webhook, None, 0)).collect();
    for delivery in &all {
        lanes.hand_over(delivery.clone(), LONG);
    }
    for failures in 1..=TRIPS_AT {
        let (slot, _) = lanes.next(NOW).unwrap();
        assert_eq!(lanes.done(slot, &FAILED, NOW), failures == TRIPS_AT);
    }
    let mut back = lanes.take_overflow();
    assert!(lanes.next(NOW).is_none());
    back.sort_by_key(|(_, id)| all.iter().position(|one| one.id == *id));
    let waits = &all[TRIPS_AT as usize..];
    assert_eq!(back, waits.iter().map(|one| (webhook, one.id)).collect::<Vec<_>>());
    waits.to_vec()
}

#[test]
fn what_an_open_breaker_holds_back_waits_in_the_store() {
    let webhook = Id::generate();
    let mut lanes = Lanes::new(MOST, []);
    let waits = trip(&mut lanes, webhook);
    // Neither what is new nor what a claim brings that was under way gets a place.
    many(&mut lanes, webhook, 1);
    lanes.claimed(waits[0].clone(), LONG);
    assert!(lanes.next(NOW).is_none());
    assert_eq!(lanes.take_overflow().len(), 2);
    assert!(lanes.shares(vec![webhook], 64, NOW).of.is_empty());
    many(&mut lanes, webhook, GATHERED - 1);
    assert!(!lanes.has_urgent_overflow(), "there is time until the probe");
    many(&mut lanes, webhook, 1);
    assert!(lanes.has_urgent_overflow());
    assert_eq!(lanes.take_overflow().len(), GATHERED);
    let probe_at = lanes.next_probe(NOW).unwrap();
    assert!(probe_at > NOW && probe_at.since(NOW) <= MAX_COOL_DOWN);
    assert_eq!(lanes.in_memory().held, HashSet::from([webhook]));

    // One, when its time has come, and no more.
    let lease = Lease { now: probe_at, ..LONG };
    for _ in 0..2 {
        assert_eq!(lanes.shares(vec![webhook], 64, probe_at).of, [(webhook, 1)]);
    }
    lanes.claimed(waits[0].clone(), lease);
    lanes.hand_over(waits[2].clone(), lease);
    assert!(lanes.shares(vec![webhook], 64, probe_at).of.is_empty());
    let (probe, got) = lanes.next(probe_at).unwrap();
    assert!(probe.is_probe && got.id == waits[0].id);
    assert!(lanes.next(probe_at).is_none());
    assert!(lanes.shares(vec![webhook], 64, probe_at + MAX_COOL_DOWN).of.is_empty());
    assert_eq!(lanes.next_probe(probe_at), None);

    // It works: all is claimed again, and a little goes out at a time.
    assert!(lanes.done(probe, &WORKED, probe_at), "the store is looked at");
    assert_eq!(lanes.take_overflow().len(), 1);
    assert!(lanes.shares(vec![webhook], 64, probe_at).of[0].1 > waits.len());
    for one in &waits[1..] {
        lanes.claimed(one.clone(), lease);
    }
    let sent: Vec<_> = std::iter::from_fn(|| lanes.next(probe_at)).map(|(_, one)| one.id).collect();
    assert_eq!(sent, waits[1..5].iter().map(|one| one.id).collect::<Vec<_>>());
    assert!(lanes.in_memory().held.is_empty());
}

#[test]
fn a_webhook_that_is_gone_leaves_nothing_behind() {
    let webhook = Id::generate();
    let mut lanes = Lanes::new(MOST, []);
    many(&mut lanes, webhook, 10);
    let slots = send(&mut lanes);
    lanes.look_at_flights(NOW + 2 * SLOW);
    lanes.forget(webhook);
    // It comes again while the old attempts are under way.
    many(&mut lanes, webhook, 1);
    done(&mut lanes, slots, &FAILED);
    let slots = send(&mut lanes);
    assert_eq!(slots.len(), 1);
    done(&mut lanes, slots, &WORKED);
    lanes.forget(webhook);
    assert_eq!(lanes.slots.used() + lanes.waiting, 0);
    assert!(lanes.webhooks.is_empty() && lanes.conduct.is_empty() && lanes.here.is_empty());
}

#[test]
fn a_webhook_stands_in_turn_once() {
    let webhook = Id::generate();
    let mut lanes = Lanes::new(MOST, []);
    let turns = |lanes: &Lanes| lanes.turns.iter().map(turns::Turns::len).sum::<usize>();
    many(&mut lanes, webhook, 3);
    assert_eq!(turns(&lanes), 1);
    for leave in [Lanes::begin_anew, Lanes::forget] {
        leave(&mut lanes, webhook);
        assert_eq!(turns(&lanes), 0);
        lanes.take_overflow();
        lanes.shares(Vec::new(), 64, NOW);
        many(&mut lanes, webhook, 3);
        assert_eq!(turns(&lanes), 1);
    }
}

#[test]
fn what_waits_in_the_store_for_one_that_is_enabled_again_is_not_overtaken() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(MOST, []);
    // It was disabled when the store was looked at last: nobody here knows what waits there.
    lanes.begin_anew(webhook);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    assert!(lanes.next(NOW).is_none(), "it waits for what may be before it");
    lanes.take_overflow();
    lanes.shares(Vec::new(), 64, NOW);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    assert!(lanes.next(NOW).is_some());
}

#[test]
fn what_is_enabled_during_a_look_is_not_overtaken() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(MOST, []);
    lanes.take_overflow();
    // The store is asked what is due, and of one that is disabled nothing is; then it is enabled.
    lanes.begin_anew(webhook);
    lanes.shares(Vec::new(), 64, NOW);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    assert!(lanes.next(NOW).is_none(), "it waits for what may be before it");
    // The next look sees all.
    lanes.take_overflow();
    lanes.shares(Vec::new(), 64, NOW);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    assert!(lanes.next(NOW).is_some());
}

#[test]
fn who_was_given_all_that_there_is_room_for_says_when_there_is_more() {
    let webhook = Id::generate();
    let mut lanes = Lanes::new(MOST, [webhook]);
    let room = lanes.room(webhook, NOW);
    assert!(lanes.shares(vec![webhook], room - 1, NOW).leave_room);
    let shares = lanes.shares(vec![webhook], room, NOW);
    assert!(shares.of == [(webhook, room)] && !shares.leave_room);
    for _ in 0..room {
        lanes.claimed(delivery(webhook, None, 0), LONG);
    }
    while let Some((slot, _)) = lanes.next(NOW) {
        if lanes.done(slot, &WORKED, NOW) {
            break;
        }
    }
    assert!(lanes.waiting > 0, "before it stands idle");
}

#[test]
fn what_is_here_already_goes_out_once() {
    let mut lanes = Lanes::new(MOST, []);
    let one = delivery(Id::generate(), None, 0);
    lanes.hand_over(one.clone(), LONG);
    lanes.claimed(one, LONG);
    let sent: Vec<_> = std::iter::from_fn(|| lanes.next(NOW)).collect();
    assert_eq!(sent.len(), 1);
}

#[test]
fn the_next_attempt_may_come_before_the_slot_of_the_last_is_given_back() {
    let mut lanes = Lanes::new(MOST, []);
    let first = delivery(Id::generate(), None, 0);
    let (retry, anew) =
        (DueDelivery { attempts: 1, ..first.clone() }, DueDelivery { seq: 1, ..first.clone() });
    lanes.hand_over(first, LONG);
    let (slot, _) = lanes.next(NOW).unwrap();
    lanes.claimed(retry.clone(), LONG);
    lanes.done(slot, &WORKED, NOW);
    // It is here still, and goes out once.
    lanes.claimed(retry, LONG);
    lanes.claimed(anew, LONG);
    let sent: Vec<_> = std::iter::from_fn(|| lanes.next(NOW)).collect();
    let sent_as = |(_, sent): &(Slot, DueDelivery)| (sent.seq, sent.attempts);
    assert_eq!(sent.iter().map(sent_as).collect::<Vec<_>>(), [(0, 1), (1, 0)]);
    done(&mut lanes, sent.into_iter().map(|(slot, _)| slot), &WORKED);
    assert!(lanes.webhooks.is_empty() && lanes.here.is_empty());
}

#[test]
fn behind_a_short_lease_nothing_goes_out() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let all: Vec<_> = (0..4).map(|_| delivery(webhook, chat, 0)).collect();
    let mut lanes = Lanes::new(MOST, []);
    lanes.hand_over(all[0].clone(), LONG);
    let (slot, _) = lanes.next(NOW).unwrap();
    lanes.hand_over(all[1].clone(), Lease { until: Timestamp(MARGIN_MS - 1), ..LONG });
    lanes.hand_over(all[2].clone(), LONG);
    assert!(!lanes.done(slot, &WORKED, NOW));
    assert!(lanes.next(NOW).is_none());
    // A claim that was under way meanwhile brings what is newer.
    lanes.claimed(all[3].clone(), LONG);
    assert!(lanes.next(NOW).is_none());
    let back: HashSet<_> = lanes.take_overflow().into_iter().collect();
    assert_eq!(back, all[1..].iter().map(|one| (webhook, one.id)).collect());
    // Given back, they come again.
    assert_eq!(lanes.shares(vec![webhook], 64, NOW).of, [(webhook, 64)]);
    lanes.claimed(all[1].clone(), LONG);
    assert_eq!(lanes.next(NOW).unwrap().1.id, all[1].id);
}

#[test]
fn what_overflows_is_not_overtaken() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut lanes = Lanes::new(MOST, [webhook]);
    let all: Vec<_> = (0..3).map(|_| delivery(webhook, chat, 0)).collect();
    lanes.hand_over(all[0].clone(), LONG);
    let back = lanes.take_overflow();
    assert_eq!(back, [(webhook, all[0].id)]);
    lanes.put_back(back);
    assert_eq!(lanes.take_overflow(), [(webhook, all[0].id)], "it is not lost");
    lanes.shares(vec![webhook], 64, NOW);
    lanes.hand_over(all[1].clone(), LONG);
    // The store had no more, but now something is on its way there.
    lanes.shares(Vec::new(), 64, NOW);
    lanes.hand_over(all[2].clone(), LONG);
    assert_eq!(lanes.take_overflow().len(), 2);
    lanes.shares(Vec::new(), 64, NOW);
    lanes.hand_over(delivery(webhook, chat, 0), LONG);
    assert!(lanes.overflow.is_empty() && lanes.next(NOW).is_some());
}

#[test]
fn who_holds_little_always_gets_a_place() {
    let greedy: Vec<_> = (0..8).map(|_| Id::generate()).collect();
    let modest = Id::generate();
    let mut lanes = Lanes::new(MOST, []);
    for webhook in &greedy {
        for _ in 0..=QUEUE_EACH {
            lanes.hand_over(delivery(*webhook, Some(Id::generate()), 0), LONG);
        }
        assert!(lanes.waiting_of(*webhook) <= QUEUE_EACH);
        assert_eq!(lanes.room(*webhook, NOW), 0);
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
        let shares = lanes.shares(due.clone(), 4 * LEAST_CLAIMED, NOW);
        assert!(shares.leave_room, "others wait");
        let shares = shares.of;
        assert!(shares.iter().all(|(_, share)| *share == LEAST_CLAIMED));
        got.extend(shares.into_iter().map(|(webhook, _)| webhook));
    }
    assert_eq!(got.len(), due.len());
}

/// A delivery of a webhook of this account.
fn delivery_of(account: Id<Account>, webhook: Id<Webhook>) -> DueDelivery {
    DueDelivery { account_id: account, ..delivery(webhook, None, 0) }
}

#[test]
fn who_has_many_webhooks_gets_no_more_turns() {
    let (many, one) = (Id::generate(), Id::generate());
    let mut lanes = Lanes::new(MOST, []);
    for _ in 0..1000 {
        lanes.hand_over(delivery_of(many, Id::generate()), LONG);
    }
    let last = Id::generate();
    for _ in 0..3 {
        lanes.hand_over(delivery_of(one, last), LONG);
    }
    let places: Vec<_> = send(&mut lanes).iter().map(|slot| slot.webhook == last).collect();
    assert_eq!(places[..6], [false, true, false, true, false, true]);
}

#[test]
fn an_account_that_hangs_keeps_no_other_waiting() {
    let (hangs, well) = (Id::generate(), Id::generate());
    let [new, slow, failing, fast] = [(); 4].map(|()| Id::generate());
    let mut lanes = Lanes::new(MOST, []);
    for (webhook, outcome) in
        [(slow, Outcome { took: 14 * SLOW, ..WORKED }), (failing, FAILED), (fast, WORKED)]
    {
        lanes.hand_over(delivery_of(well, webhook), LONG);
        let slots = send(&mut lanes);
        done(&mut lanes, slots, &outcome);
    }
    // A hundred that failed, a hundred that were slow and a hundred that are new: all hang.
    for outcome in [Some(FAILED), Some(Outcome { took: 14 * SLOW, ..WORKED }), None] {
        for webhook in [(); 100].map(|()| Id::generate()) {
            if let Some(outcome) = outcome {
                lanes.hand_over(delivery_of(hangs, webhook), LONG);
                let slots = send(&mut lanes);
                let (own, rest): (Vec<_>, Vec<_>) =
                    slots.into_iter().partition(|slot| slot.webhook == webhook);
                assert!(rest.is_empty());
                done(&mut lanes, own, &outcome);
            }
        }
    }
    let known: Vec<_> =
        lanes.conduct.keys().copied().filter(|one| ![slow, failing, fast].contains(one)).collect();
    assert_eq!(known.len(), 200);
    for webhook in known.into_iter().chain((0..100).map(|_| Id::generate())) {
        for _ in 0..8 {
            lanes.hand_over(delivery_of(hangs, webhook), LONG);
        }
    }
    let mut hung = send(&mut lanes);
    lanes.look_at_flights(NOW + 2 * SLOW);
    hung.extend(send(&mut lanes));
    for webhook in [new, slow, failing, fast] {
        lanes.hand_over(delivery_of(well, webhook), LONG);
    }
    let mut begun: Vec<_> = send(&mut lanes).iter().map(|slot| slot.webhook).collect();
    begun.retain(|webhook| [new, slow, failing, fast].contains(webhook));
    begun.sort_unstable();
    assert_eq!(begun, [new, slow, failing, fast]);
}
