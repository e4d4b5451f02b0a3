//! What is read of the store beside what is told.

use super::*;

#[test]
fn what_waits_in_the_store_is_not_overtaken() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    // The store was not looked at yet.
    let mut schedule = new();
    let all: Vec<_> = (0..4).map(|_| delivery(webhook, chat, 0)).collect();
    commit(&mut schedule, all[1].clone());
    assert!(schedule.next(NOW).is_none(), "it waits for what may be before it");
    let query = schedule.queries(10, NOW).remove(0);
    // The read has seen this one; of the next it knows nothing.
    commit(&mut schedule, all[2].clone());
    schedule.load(vec![found(&query, all[..2].to_vec(), Vec::new())], NOW);
    let (slot, got) = schedule.next(NOW).unwrap();
    assert_eq!(got.id, all[0].id);
    done(&mut schedule, [slot], &WORKED);
    commit(&mut schedule, all[3].clone());
    let query = schedule.queries(10, NOW).remove(0);
    assert_eq!(query.from, all[2].seq);
    schedule.load(vec![found(&query, all[2..].to_vec(), Vec::new())], NOW);
    for wanted in &all[1..] {
        let (slot, got) = schedule.next(NOW).unwrap();
        assert_eq!(got.id, wanted.id);
        done(&mut schedule, [slot], &WORKED);
    }
    assert!(is_idle(&schedule), "it has caught up");
}

#[test]
fn a_place_that_is_given_again_is_a_new_deliverys() {
    let webhook = Id::generate();
    let mut schedule = empty();
    let [first, again, missed] =
        [100, 1, 2].map(|seq| DueDelivery { seq, ..delivery(webhook, None, 0) });
    // All rows are gone meanwhile.
    for one in [first, again] {
        commit(&mut schedule, one);
        let slots = send(&mut schedule);
        assert_eq!(slots.len(), 1);
        done(&mut schedule, slots, &WORKED);
    }
    // One comes to the store that nobody has told of.
    schedule.came_to_store(webhook, NOW);
    let query = schedule.queries(10, NOW).remove(0);
    assert!(query.from <= missed.seq, "{query:?}");
    schedule.load(vec![found(&query, vec![missed], Vec::new())], NOW);
    assert_eq!(send(&mut schedule).len(), 1);
}

#[test]
fn what_is_read_while_it_is_told_goes_out_once() {
    let webhook = Id::generate();
    let mut schedule = new();
    let one = delivery(webhook, None, 0);
    commit(&mut schedule, one.clone());
    let query = schedule.queries(10, NOW).remove(0);
    schedule.load(vec![found(&query, vec![one.clone()], Vec::new())], NOW);
    commit(&mut schedule, one);
    assert_eq!(send(&mut schedule).len(), 1);
}

#[test]
fn what_has_ended_during_a_read_does_not_come_again() {
    let webhook = Id::generate();
    let mut schedule = empty();
    let one = delivery(webhook, None, 0);
    commit(&mut schedule, one.clone());
    let (first, _) = schedule.next(NOW).unwrap();
    end(&mut schedule, first, &FAILED, Some(NOW), NOW);
    let retry = DueDelivery { attempts: 1, ..one };
    let query = schedule.queries(10, NOW).remove(0);
    schedule.load(vec![found(&query, Vec::new(), vec![retry.clone()])], NOW);
    let (second, _) = schedule.next(NOW).unwrap();
    schedule.came_to_store(webhook, NOW);
    let query = schedule.queries(10, NOW).remove(0);
    done(&mut schedule, [second], &WORKED);
    schedule.load(vec![found(&query, Vec::new(), vec![retry])], NOW);
    assert!(schedule.next(NOW).is_none());
}

#[test]
fn a_webhook_that_was_disabled_is_read_when_something_is_told_of_it() {
    let (webhook, chat) = (Id::generate(), Some(Id::generate()));
    let mut schedule = empty();
    let all: Vec<_> = (0..2).map(|_| delivery(webhook, chat, 0)).collect();
    commit(&mut schedule, all[0].clone());
    schedule.changed(webhook, NOW);
    let query = schedule.queries(10, NOW).remove(0);
    schedule.load(vec![DueDeliveries { is_active: false, ..found(&query, vec![], vec![]) }], NOW);
    assert!(schedule.queries(10, NOW).is_empty(), "it is not asked over and over");
    // It was enabled, and this is told before anything else.
    commit(&mut schedule, all[1].clone());
    assert!(schedule.next(NOW).is_none(), "it waits for what may be before it");
    let query = schedule.queries(10, NOW).remove(0);
    schedule.load(vec![found(&query, all.clone(), Vec::new())], NOW);
    assert_eq!(schedule.next(NOW).unwrap().1.id, all[0].id);
}

#[test]
fn what_is_told_while_a_disabled_webhook_is_read_hides_nothing_before_it() {
    let webhook = Id::generate();
    let mut schedule = new();
    let all: Vec<_> = (0..2).map(|_| delivery(webhook, None, 0)).collect();
    commit(&mut schedule, all[0].clone());
    let query = schedule.queries(10, NOW).remove(0);
    // It was enabled meanwhile.
    commit(&mut schedule, all[1].clone());
    schedule.load(vec![DueDeliveries { is_active: false, ..found(&query, vec![], vec![]) }], NOW);
    assert!(schedule.queries(10, NOW)[0].from <= all[0].seq);
}

#[test]
fn steady_commits_of_another_process_keep_nothing_from_going_out() {
    let webhook = Id::generate();
    let mut schedule = new();
    let one = delivery(webhook, None, 0);
    let mut has_begun = false;
    for _ in 0..10 {
        if schedule.begin_sweep(NOW) {
            let waits = WaitingWebhook { webhook_id: webhook, has_untried: true, retry_at: None };
            schedule.found_in_store(vec![waits], NOW);
        }
        let queries = schedule.queries(10, NOW);
        // Each read is overtaken by one.
        schedule.foreign_commit(NOW);
        let read = queries.iter().map(|query| found(query, vec![one.clone()], vec![])).collect();
        schedule.load(read, NOW);
        has_begun |= schedule.next(NOW).is_some();
    }
    assert!(has_begun);
}

#[test]
fn after_a_commit_of_another_process_all_is_read_anew() {
    let webhook = Id::generate();
    let mut schedule = empty();
    let all: Vec<_> = (0..3).map(|_| delivery(webhook, Some(Id::generate()), 0)).collect();
    commit(&mut schedule, all[0].clone());
    schedule.foreign_commit(NOW);
    // It may have made one before this.
    commit(&mut schedule, all[2].clone());
    assert!(schedule.waiting <= 1, "it waits for what may be before it");
    assert!(schedule.begin_sweep(NOW) && !schedule.begin_sweep(NOW));
    assert_eq!(schedule.waiting, 0, "the webhook may have another URL");
    let query = schedule.queries(10, NOW).remove(0);
    assert!(query.from <= all[0].seq && query.retries > 0);
    schedule.load(vec![found(&query, all.clone(), Vec::new())], NOW);
    for wanted in &all {
        assert_eq!(schedule.next(NOW).unwrap().1.id, wanted.id);
    }
}

#[test]
fn what_could_not_be_read_is_read_again_after_a_while() {
    let webhook = Id::generate();
    let mut schedule = empty();
    commit(&mut schedule, delivery(webhook, None, 0));
    schedule.changed(webhook, NOW);
    let query = schedule.queries(10, NOW).remove(0);
    schedule.load(vec![DueDeliveries { is_active: false, ..found(&query, vec![], vec![]) }], NOW);
    let retry_at = Some(NOW);
    let waits = WaitingWebhook { webhook_id: webhook, has_untried: false, retry_at };
    schedule.found_in_store(vec![waits], NOW);
    assert!(schedule.queries(10, NOW)[0].retries > 0);
}

#[test]
fn a_store_that_fails_is_asked_again() {
    let webhook = Id::generate();
    let mut schedule = new();
    many(&mut schedule, webhook, 1);
    let query = schedule.queries(10, NOW).remove(0);
    let again = schedule.queries(10, NOW).remove(0);
    assert!(again.from == query.from && again.untried > 0);
    schedule.load(vec![found(&again, Vec::new(), Vec::new())], NOW);
    assert!(schedule.queries(10, NOW).is_empty());
}
