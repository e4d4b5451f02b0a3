use super::{EndpointClass::*, *};
use crate::deliver::{breaker::TRIPS_AT, outcome::WORKED};

const MOST: usize = 64;

fn answered(endpoint: &mut Endpoint, worked: bool, millis: u64) {
    let took = Duration::from_millis(millis);
    let outcome = AttemptOutcome { worked, took, ..WORKED };
    endpoint.begin();
    endpoint.answered(&outcome, false, false, MOST, Timestamp(0));
}

#[test]
fn success_adds_and_failure_halves() {
    let mut endpoint = Endpoint::default();
    assert_eq!((endpoint.limit, endpoint.class()), (START, Unproven));
    for _ in 0..100 {
        answered(&mut endpoint, true, 2);
    }
    assert_eq!((endpoint.limit, endpoint.class()), (MOST, Proven));
    for limit in [32, 16, 8, 4, 2, 1, 1] {
        answered(&mut endpoint, false, 2);
        assert_eq!((endpoint.limit, endpoint.class()), (limit, Unproven));
    }
    answered(&mut endpoint, true, 2);
    assert_eq!((endpoint.limit, endpoint.class()), (2, Unproven));
    answered(&mut endpoint, true, 2);
    assert_eq!((endpoint.limit, endpoint.class()), (3, Proven));
}

/// An endpoint that answers each at once, behind something that takes one after another.
#[test]
fn what_is_fast_gets_no_more_than_keeps_it_busy() {
    let mut endpoint = Endpoint::default();
    for _ in 0..1000 {
        let waiting = u64::try_from(endpoint.limit).unwrap();
        answered(&mut endpoint, true, 2 + waiting);
    }
    assert!((START..=4 * START).contains(&endpoint.limit), "{}", endpoint.limit);
    // What takes as long as before is far away, or slow: it gets its share.
    for _ in 0..1000 {
        answered(&mut endpoint, true, 30);
    }
    assert_eq!(endpoint.limit, MOST);
}

#[test]
fn answers_that_take_long_make_it_unproven() {
    let mut endpoint = Endpoint::default();
    for _ in 0..100 {
        answered(&mut endpoint, true, 14_000);
    }
    assert_eq!(endpoint.class(), Unproven);
    for _ in 0..30 {
        answered(&mut endpoint, true, 5);
    }
    assert_eq!(endpoint.class(), Proven);
    // One that takes long now and then stays fast.
    answered(&mut endpoint, true, 2000);
    assert_eq!(endpoint.class(), Proven);
}

#[test]
fn most_in_flight_taking_long_is_a_sign() {
    let mut endpoint = Endpoint::default();
    answered(&mut endpoint, true, 5);
    for _ in 0..5 {
        endpoint.begin();
    }
    for (late, class) in [(1, Proven), (2, Proven), (3, Unproven)] {
        endpoint.is_late();
        assert_eq!((endpoint.late, endpoint.class()), (late, class));
    }
    let took = Duration::from_millis(1500);
    let outcome = AttemptOutcome { took, ..WORKED };
    endpoint.answered(&outcome, true, false, MOST, Timestamp(0));
    assert_eq!((endpoint.unanswered, endpoint.class()), (4, Proven));
}

#[test]
fn behind_a_breaker_it_begins_small_again() {
    let mut endpoint = Endpoint::default();
    for _ in 0..100 {
        answered(&mut endpoint, true, 5);
    }
    for _ in 0..TRIPS_AT {
        assert!(endpoint.breaker.is_closed());
        answered(&mut endpoint, false, 5);
    }
    assert!(!endpoint.breaker.is_closed());
    assert!(endpoint.admits(Timestamp(60_000)) && endpoint.begin());
    endpoint.answered(&WORKED, false, true, MOST, Timestamp(60_000));
    assert!(endpoint.breaker.is_closed());
    assert_eq!((endpoint.limit, endpoint.class()), (START, Proven));
}

#[test]
fn an_endpoint_that_switches_to_the_new_secret_is_followed() {
    let mut endpoint = Endpoint::default();
    for (takes, wanted) in [
        (None, SecretVersion::Previous),
        (Some(SecretVersion::Current), SecretVersion::Current),
        (None, SecretVersion::Current),
        (Some(SecretVersion::Previous), SecretVersion::Previous),
    ] {
        endpoint.begin();
        let outcome = AttemptOutcome { takes, ..WORKED };
        endpoint.answered(&outcome, false, false, MOST, Timestamp(0));
        assert_eq!(endpoint.takes, wanted);
    }
}

#[test]
fn each_change_is_told_once_and_not_every_minute_twice() {
    let mut endpoint = Endpoint::default();
    let told: Vec<_> = [
        (true, 0),
        (false, 1),
        (false, 2),
        (true, 3),
        (true, 4),
        (false, 5),
        (true, 6),
        (false, 60_000),
        (false, 60_001),
        (true, 60_002),
    ]
    .into_iter()
    .filter_map(|(worked, at)| Some((at, endpoint.news(worked, Timestamp(at))?)))
    .collect();
    let wanted = [
        (1, News::Fails),
        (3, News::WorksAgain),
        (60_001, News::Fails),
        (60_002, News::WorksAgain),
    ];
    assert_eq!(told, wanted);
}
