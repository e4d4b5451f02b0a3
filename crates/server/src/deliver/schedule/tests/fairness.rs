//! How much each endpoint and each account gets of what may be in flight.

use super::*;

#[test]
fn what_is_in_flight_grows_with_success_up_to_a_share() {
    let webhook = Id::generate();
    let mut schedule = empty();
    for wanted in [4, 8, 16, 32, 64, 128, 128] {
        many(&mut schedule, webhook, 200);
        let slots = send(&mut schedule);
        assert_eq!(slots.len(), wanted);
        done(&mut schedule, slots, &WORKED);
    }
    let mut slots = send(&mut schedule);
    assert_eq!(slots.len(), 128);
    done(&mut schedule, slots.pop(), &FAILED);
    assert!(send(&mut schedule).is_empty(), "127 are in flight and 64 may be");
}

#[test]
fn any_number_that_hang_leave_half_to_the_others() {
    let mut schedule = empty();
    let healthy: Vec<Id<Webhook>> = (0..9).map(|_| Id::generate()).collect();
    for webhook in &healthy {
        many(&mut schedule, *webhook, 1);
    }
    let first = send(&mut schedule);
    assert_eq!(first.len(), 9);
    done(&mut schedule, first, &WORKED);
    // They never answer, and come before the others.
    for _ in 0..1000 {
        many(&mut schedule, Id::generate(), 2);
    }
    let mut hang = send(&mut schedule);
    assert_eq!(hang.len(), MOST / 2);
    take_long(&mut schedule, &mut hang);
    assert!(send(&mut schedule).is_empty());
    for webhook in &healthy {
        many(&mut schedule, *webhook, 400);
    }
    // Nine accounts have nine tenths: what each leaves free is as much as it has.
    let most = MOST / 2 - MOST / 2 / 10;
    let mut limit = 5;
    for _ in 0..5 {
        let sent = send(&mut schedule);
        if 9 * limit < most {
            assert!(healthy.iter().all(|webhook| of(&sent, *webhook) == limit));
        }
        assert_eq!(sent.len(), (9 * limit).min(most));
        done(&mut schedule, sent, &WORKED);
        limit *= 2;
    }
    // Those fail by and by, and others are tried.
    done(&mut schedule, hang, &FAILED);
    let sent = send(&mut schedule);
    let of_healthy: usize = healthy.iter().map(|webhook| of(&sent, *webhook)).sum();
    assert_eq!((of_healthy, sent.len()), (most, most + MOST / 2));
}

#[test]
fn what_takes_long_gets_little_of_what_is_fast() {
    let (slow, fast) = (Id::generate(), Id::generate());
    let mut schedule = empty();
    let took = AttemptOutcome { took: 14 * SLOW, ..WORKED };
    for _ in 0..10 {
        many(&mut schedule, slow, 64);
        let slots = send(&mut schedule);
        assert!(slots.len() <= MOST / 16);
        done(&mut schedule, slots, &took);
    }
    assert_eq!(send(&mut schedule).len(), MOST / 16);
    for _ in 0..10 {
        many(&mut schedule, fast, 64);
        let slots = send(&mut schedule);
        done(&mut schedule, slots, &WORKED);
    }
    many(&mut schedule, fast, 200);
    assert_eq!(send(&mut schedule).len(), MOST / 4);
}

#[test]
fn one_that_was_fast_and_hangs_is_unproven_before_its_time_is_over() {
    let webhook = Id::generate();
    let mut schedule = empty();
    many(&mut schedule, webhook, 1);
    let slots = send(&mut schedule);
    done(&mut schedule, slots, &WORKED);
    many(&mut schedule, webhook, 10);
    let mut hang = send(&mut schedule);
    let class = |schedule: &Schedule| schedule.queues[&webhook].endpoint.class();
    assert_eq!(class(&schedule), EndpointClass::Proven);
    take_long(&mut schedule, &mut hang);
    assert_eq!(class(&schedule), EndpointClass::Unproven);
    done(&mut schedule, hang, &WORKED);
    assert_eq!(class(&schedule), EndpointClass::Proven);
}

/// A delivery of a webhook of this account.
fn delivery_of(account: Id<Account>, webhook: Id<Webhook>) -> DueDelivery {
    DueDelivery { account_id: account, ..delivery(webhook, None, 0) }
}

#[test]
fn who_has_many_webhooks_gets_no_more_turns() {
    let (many, one) = (Id::generate(), Id::generate());
    let mut schedule = empty();
    for _ in 0..1000 {
        commit(&mut schedule, delivery_of(many, Id::generate()));
    }
    let last = Id::generate();
    for _ in 0..3 {
        commit(&mut schedule, delivery_of(one, last));
    }
    let places: Vec<_> = send(&mut schedule).iter().map(|slot| slot.webhook == last).collect();
    assert_eq!(places[..6], [false, true, false, true, false, true]);
}

#[test]
fn an_account_that_hangs_keeps_no_other_waiting() {
    let (hangs, well) = (Id::generate(), Id::generate());
    let [new, slow, failing, fast] = [(); 4].map(|()| Id::generate());
    let mut schedule = empty();
    let slowly = AttemptOutcome { took: 14 * SLOW, ..WORKED };
    for (webhook, outcome) in [(slow, slowly), (failing, FAILED), (fast, WORKED)] {
        commit(&mut schedule, delivery_of(well, webhook));
        let slots = send(&mut schedule);
        done(&mut schedule, slots, &outcome);
    }
    // A hundred that failed, that were slow, that were fast and that are new: all hang.
    let mut hanging = Vec::new();
    for outcome in [Some(FAILED), Some(slowly), Some(WORKED), None] {
        for webhook in [(); 100].map(|()| Id::generate()) {
            if let Some(outcome) = outcome {
                commit(&mut schedule, delivery_of(hangs, webhook));
                let slots = send(&mut schedule);
                assert!(slots.iter().all(|slot| slot.webhook == webhook));
                done(&mut schedule, slots, &outcome);
            }
            hanging.push(webhook);
        }
    }
    for webhook in hanging {
        for _ in 0..8 {
            commit(&mut schedule, delivery_of(hangs, webhook));
        }
    }
    for _ in 0..10 {
        let mut begun = send(&mut schedule);
        take_long(&mut schedule, &mut begun);
    }
    for webhook in [new, slow, failing, fast] {
        commit(&mut schedule, delivery_of(well, webhook));
    }
    let mut begun: Vec<_> = send(&mut schedule).iter().map(|slot| slot.webhook).collect();
    begun.retain(|webhook| [new, slow, failing, fast].contains(webhook));
    begun.sort_unstable();
    assert_eq!(begun, [new, slow, failing, fast]);
}
