//! What waits behind a breaker, and what counts of an endpoint that is another by now.

use super::*;

#[test]
fn behind_an_open_breaker_nothing_goes_out_but_the_probe() {
    let webhook = Id::generate();
    let mut schedule = empty();
    many(&mut schedule, webhook, 20);
    for _ in 0..TRIPS_AT {
        let (slot, _) = schedule.next(NOW).unwrap();
        done(&mut schedule, [slot], &FAILED);
    }
    assert!(schedule.next(NOW).is_none());
    assert_eq!(schedule.in_memory().to_blame, HashMap::from([(webhook, true)]));
    let probe_at = probe_at(&schedule, webhook);
    assert!(probe_at > NOW && probe_at.since(NOW) <= MAX_COOL_DOWN);
    assert_eq!(next_poll(&schedule), Some(probe_at));
    assert!(schedule.queries(10, probe_at).is_empty(), "it has enough here");
    let (probe, _) = schedule.next(probe_at).unwrap();
    assert!(probe.is_probe && schedule.next(probe_at).is_none());
    assert_eq!(next_poll(&schedule), None);
    end(&mut schedule, probe, &WORKED, None, probe_at);
    assert_eq!(std::iter::from_fn(|| schedule.next(probe_at)).count(), 4, "a little at first");
    assert!(!schedule.in_memory().to_blame.contains_key(&webhook));
}

#[test]
fn behind_an_open_breaker_one_is_read_for_the_probe() {
    let webhook = Id::generate();
    let mut schedule = empty();
    let failed: Vec<_> = (0..TRIPS_AT).map(|_| delivery(webhook, None, 0)).collect();
    failed.iter().for_each(|one| commit(&mut schedule, one.clone()));
    let retry_at = NOW + Duration::from_secs(5);
    while let Some((slot, _)) = schedule.next(NOW) {
        end(&mut schedule, slot, &FAILED, Some(retry_at), NOW);
    }
    assert!(schedule.queries(10, retry_at).is_empty(), "the breaker comes before the retry");
    let probe_at = probe_at(&schedule, webhook);
    assert!(probe_at > retry_at && next_poll(&schedule) == Some(probe_at));
    let query = schedule.queries(10, probe_at).remove(0);
    assert_eq!((query.untried, query.retries), (0, 1));
    let retry = DueDelivery { attempts: 1, ..failed[0].clone() };
    let more =
        DueDeliveries { next_retry_at: Some(retry_at), ..found(&query, vec![], vec![retry]) };
    schedule.load(vec![more], probe_at);
    let (probe, _) = schedule.next(probe_at).unwrap();
    assert!(probe.is_probe && schedule.queries(10, probe_at).is_empty());
    end(&mut schedule, probe, &WORKED, None, probe_at);
    assert!(schedule.queries(10, probe_at)[0].retries > 1, "it works: all are read");
}

#[test]
fn a_retry_is_due_in_time_although_the_pause_of_the_breaker_is_over() {
    let webhook = Id::generate();
    let mut schedule = empty();
    many(&mut schedule, webhook, TRIPS_AT as usize);
    let retry_at = NOW + 2 * MAX_COOL_DOWN;
    while let Some((slot, _)) = schedule.next(NOW) {
        end(&mut schedule, slot, &FAILED, Some(retry_at), NOW);
    }
    let probe_at = probe_at(&schedule, webhook);
    assert!(probe_at < retry_at && schedule.queries(10, probe_at).is_empty());
    assert_eq!(next_poll(&schedule), Some(retry_at));
    assert_eq!(schedule.queries(10, retry_at).len(), 1);
}

#[test]
fn what_attempts_at_an_older_endpoint_say_does_not_count() {
    let webhook = Id::generate();
    let mut schedule = empty();
    for _ in 0..3 {
        many(&mut schedule, webhook, 16);
        let slots = send(&mut schedule);
        done(&mut schedule, slots, &WORKED);
    }
    many(&mut schedule, webhook, 16);
    let mut old = send(&mut schedule);
    assert!(old.len() > TRIPS_AT as usize);
    schedule.changed(webhook, NOW);
    // Nor do they make the new one look as if it hung.
    take_long(&mut schedule, &mut old);
    done(&mut schedule, old, &FAILED);
    assert!(schedule.in_memory().to_blame.is_empty() && schedule.pools.used() == 0);
    let query = schedule.queries(10, NOW).remove(0);
    schedule.load(vec![found(&query, vec![delivery(webhook, None, 0)], Vec::new())], NOW);
    let slots = send(&mut schedule);
    done(&mut schedule, slots, &WORKED);
    assert_eq!(schedule.queues[&webhook].endpoint.class(), EndpointClass::Proven);
    // Of one that is gone nothing is left, whatever its last attempt says.
    many(&mut schedule, webhook, 1);
    let last = send(&mut schedule);
    assert_eq!(last.len(), 1);
    is_gone(&mut schedule, webhook);
    for slot in last {
        end(&mut schedule, slot, &FAILED, Some(NOW), NOW);
    }
    assert!(is_idle(&schedule) && schedule.queues[&webhook].endpoint.is_plain());
}
