//! What an endpoint gets that only fails, asks for a pause, or hangs: less, or nothing but a probe. And
//! what the others get meanwhile: all of theirs.

use std::{collections::HashSet, sync::Arc, time::Duration};

use switchboard_client::{CreateWebhook, Deliveries};
use switchboard_model::{EventKind, time::Clock, webhook::MAX_PER_ACCOUNT};
use switchboard_testkit::{
    LINE, Receiver, Setup, Tenant, TestClock, TestServer, eventually,
    receiver::{Behaviour, Reply},
};

use crate::{
    deliveries::{hook, nothing_is_due, planned},
    metrics::{figure, watched},
    world::{CONTACT, SOON, THEIRS},
};

/// Failures in a row that open it, as documented.
const TRIPS_AT: u64 = 10;
/// The shortest that the first cool-down can be, and the longest.
const COOL_DOWN: [Duration; 2] = [Duration::from_secs(8), Duration::from_secs(12)];

async fn start(clock: &Arc<TestClock>) -> (TestServer, Tenant, Receiver) {
    let setup = watched(Setup::new()).clock(Arc::clone(clock) as Arc<dyn Clock>);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    (server, tenant, Receiver::start().await)
}

/// Waits until so many deliveries wait for their endpoint to work again.
async fn held(server: &TestServer, count: f64) {
    eventually(&format!("{count} are held back"), async || {
        (figure(server, "deliveries_held").await == count).then_some(())
    })
    .await;
}

/// The texts that came, each when it came first.
fn texts(receiver: &Receiver) -> Vec<String> {
    let mut seen = HashSet::new();
    let texts = receiver.received().into_iter().map(|one| one.json()["data"]["text"].clone());
    let texts = texts.map(|text| text.as_str().unwrap().to_owned());
    texts.filter(|text| seen.insert(text.clone())).collect()
}

#[tokio::test]
async fn a_dead_endpoint_gets_a_probe_now_and_then_and_all_in_order_once_it_works() {
    const TEXTS: u64 = 30;
    let clock = TestClock::now();
    let (server, tenant, receiver) = start(&clock).await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver.url()).await;
    for number in 1..=TEXTS {
        server.text(LINE, CONTACT, &number.to_string()).await;
    }
    // One after another, for they are of one chat; then no more.
    receiver.wait_for_count(TRIPS_AT, SOON).await.unwrap();
    held(&server, (TEXTS - TRIPS_AT) as f64).await;
    assert_eq!(figure(&server, "webhook_breakers_open").await, 1.0);

    // The retries that are due by now wait with them, and so does what is new.
    clock.advance(COOL_DOWN[0] - Duration::from_millis(1));
    server.text(LINE, CONTACT, &(TEXTS + 1).to_string()).await;
    held(&server, (TEXTS + 1) as f64).await;
    assert_eq!(receiver.count(), TRIPS_AT);

    // Then exactly one.
    clock.advance(COOL_DOWN[1] - COOL_DOWN[0]);
    receiver.wait_for_count(TRIPS_AT + 1, SOON).await.unwrap();
    assert_eq!(texts(&receiver).last().unwrap(), "11", "the oldest that is due");
    eventually("the probe has failed", async || {
        (figure(&server, "delivery_attempts_total{class=\"5xx\"}").await == 11.0).then_some(())
    })
    .await;
    // The next pause is twice as long.
    clock.advance(2 * COOL_DOWN[0] - Duration::from_millis(1));
    held(&server, (TEXTS + 1) as f64).await;
    assert_eq!(receiver.count(), TRIPS_AT + 1);

    receiver.set(Behaviour::ok());
    clock.advance(2 * (COOL_DOWN[1] - COOL_DOWN[0]));
    let all = |kept: &[switchboard_testkit::receiver::Delivery]| {
        let taken = kept.iter().filter(|one| one.answered == Some(200));
        taken.map(|one| one.delivery_id()).collect::<HashSet<_>>().len() as u64 == TEXTS + 1
    };
    receiver.wait_until(SOON, all).await.unwrap();
    eventually("all are delivered", async || nothing_is_due(&server).await.then_some(())).await;
    let numbers: Vec<_> = (1..=TEXTS + 1).map(|number| number.to_string()).collect();
    assert_eq!(texts(&receiver), numbers);
    assert_eq!(figure(&server, "webhook_breakers_open").await, 0.0);
    // Nothing was sent for nothing: eleven failed, and all came.
    assert_eq!(receiver.count(), TRIPS_AT + 1 + TEXTS + 1);
    server.stop().await;
}

#[tokio::test]
async fn a_restart_begins_with_a_closed_breaker() {
    let clock = TestClock::now();
    let (server, tenant, receiver) = start(&clock).await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver.url()).await;
    for number in 1..=12 {
        server.text(LINE, CONTACT, &number.to_string()).await;
    }
    receiver.wait_for_count(TRIPS_AT, SOON).await.unwrap();
    held(&server, 2.0).await;
    receiver.set(Behaviour::ok());
    let server = server.restart().await;
    receiver.wait_for_count(12, SOON).await.unwrap();
    assert_eq!(figure(&server, "webhook_breakers_open").await, 0.0);
    server.stop().await;
}

#[tokio::test]
async fn a_retry_by_hand_does_not_wait_for_the_breaker() {
    let clock = TestClock::now();
    let (server, tenant, receiver) = start(&clock).await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver.url()).await;
    for number in 1..=12 {
        server.text(LINE, CONTACT, &number.to_string()).await;
    }
    receiver.wait_for_count(TRIPS_AT, SOON).await.unwrap();
    held(&server, 2.0).await;
    receiver.set(Behaviour::ok());
    let due = tenant.client.deliveries(&Deliveries::default()).all(100).await.unwrap().remove(0);
    tenant.client.retry_delivery(due.id).await.unwrap();
    // The probe, and all that was never tried, without a moment gone by.
    receiver.wait_for_count(12, SOON).await.unwrap();
    assert_eq!(texts(&receiver).last().unwrap(), "12");
    assert_eq!(figure(&server, "webhook_breakers_open").await, 0.0);
    server.stop().await;
}

#[tokio::test]
async fn who_asks_for_a_pause_gets_it() {
    let date = |clock: &TestClock, seconds| {
        let at = clock.now() + Duration::from_secs(seconds);
        let at = std::time::UNIX_EPOCH + Duration::from_millis(at.millis().unsigned_abs());
        httpdate::fmt_http_date(at)
    };
    let clock = TestClock::now();
    for (status, header, wanted) in [
        (429, Some("120"), Some(120)),
        (503, Some("120"), Some(120)),
        // As a date.
        (429, None, Some(120)),
        (503, Some("1"), None),
        (429, Some("soon"), None),
        // Only those two may ask.
        (500, Some("120"), None),
        // And not for more than a day.
        (429, Some("200000"), Some(86_400)),
    ] {
        let header = header.map_or_else(|| date(&clock, 120), str::to_owned);
        let what = format!("{status} with {header}");
        let (server, tenant, receiver) = start(&clock).await;
        receiver.next([Behaviour::Answer(Reply::new(status).header("retry-after", &header))]);
        hook(&tenant, &receiver.url()).await;
        server.text(LINE, CONTACT, "one").await;
        let Some(seconds) = wanted else {
            // As the schedule has it.
            planned(&server, &clock, Duration::from_secs(5)).await;
            server.stop().await;
            continue;
        };
        let pause = Duration::from_secs(seconds);
        let at = planned(&server, &clock, pause).await;
        let off = at.since(clock.now()).abs_diff(pause);
        // A date knows no milliseconds.
        assert!(off <= Duration::from_secs(1), "{what}: {off:?}");

        // Others of this webhook leave it alone as well, for five minutes at most.
        server.text(LINE, CONTACT, "two").await;
        held(&server, 1.0).await;
        assert_eq!(receiver.count(), 1, "{what}");
        clock.advance(pause.min(Duration::from_secs(300)));
        receiver.wait_for_count(2, SOON).await.unwrap();
        assert_eq!(texts(&receiver), ["one", "two"], "{what}");
        clock.advance(pause);
        let all = receiver.wait_for(3, SOON).await.unwrap();
        assert_eq!(all[0].delivery_id(), all[2].delivery_id(), "{what}");
        server.stop().await;
    }
}

#[tokio::test]
async fn endpoints_that_hang_hold_their_part_of_the_slots_and_no_more() {
    const SLOTS: u32 = 64;
    const HANGING: usize = 40;
    let slots = |config: &mut switchboard_server::Config| config.webhook_concurrency = SLOTS;
    let server = watched(Setup::new()).config(slots).start().await;
    let (hung, well) = (server.tenant(LINE).await, server.tenant(THEIRS).await);
    let (hangs, works) = (Receiver::start().await, Receiver::start().await);
    hangs.set(Behaviour::Stall);
    hook(&well, &works.url()).await;
    server.text(THEIRS, CONTACT, "0").await;
    works.wait_for_count(1, SOON).await.unwrap();

    for _ in 0..HANGING {
        let webhook = CreateWebhook::new("", hangs.url(), [EventKind::MessageReceived]);
        hung.client.create_webhook(&webhook).await.unwrap();
    }
    for number in 0..5 {
        server.text(LINE, &format!("+155502000{number:02}"), "x").await;
    }
    // The last of those that hang are tried when the first have hung for a while.
    // Half of half is the most that an account may have of endpoints nobody knows.
    let most = u64::from(SLOTS / 4);
    let mut seen = 0;
    for number in 1..=100u64 {
        server.text(THEIRS, &format!("+155502000{:02}", number % 10), "x").await;
        works.wait_for_count(number + 1, Duration::from_secs(2)).await.unwrap();
        seen = seen.max(hangs.count());
        assert!(seen <= most, "{seen} hang, of {SLOTS} slots");
    }
    assert!(seen >= u64::from(SLOTS / 16), "{seen} hang");
    eventually("all are written down", async || {
        (figure(&server, "deliveries_delivered_total").await == 101.0).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn an_account_whose_endpoints_all_hang_keeps_no_new_one_of_another_waiting() {
    const SLOTS: u32 = 64;
    let server = watched(Setup::new())
        .config(|config| {
            config.webhook_concurrency = SLOTS;
            config.webhook_timeout = 60;
        })
        .start()
        .await;
    let (hung, well) = (server.tenant(LINE).await, server.tenant(THEIRS).await);
    let (hangs, works) = (Receiver::start().await, Receiver::start().await);
    hangs.set(Behaviour::Stall);
    for _ in 0..MAX_PER_ACCOUNT {
        let webhook = CreateWebhook::new("", hangs.url(), [EventKind::MessageReceived]);
        hung.client.create_webhook(&webhook).await.unwrap();
    }
    server.text(LINE, CONTACT, "x").await;
    // No more of them begin: what the account may have is taken, and nothing of it comes back for a minute.
    let most = u64::from(SLOTS / 4);
    hangs.wait_for_count(most, Duration::from_secs(30)).await.unwrap();
    hook(&well, &works.url()).await;
    server.text(THEIRS, CONTACT, "x").await;
    works.wait_for_count(1, Duration::from_secs(30)).await.unwrap();
    assert_eq!(hangs.count(), most);
    server.stop().await;
}
