//! Webhooks that get nothing any more, because nothing but failures came of them or they are gone.

use std::{sync::Arc, time::Duration};

use switchboard_model::{
    Timestamp, Webhook,
    retry::SCHEDULE,
    time::Clock,
    webhook::{DISABLED_AFTER_MS, DisabledReason},
};
use switchboard_testkit::{
    LINE, Receiver, Setup, Tenant, TestClock, TestServer, eventually, receiver::Behaviour,
};

use crate::{
    deliveries::{hook, nothing_is_due, planned},
    world::{CONTACT, SOON},
};

const FIVE_DAYS: Duration = Duration::from_millis(DISABLED_AFTER_MS.unsigned_abs());
const SECOND: Duration = Duration::from_secs(1);

async fn start(clock: &Arc<TestClock>) -> (TestServer, Tenant, Receiver) {
    let server = Setup::new().clock(Arc::clone(clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    hook(&tenant, &receiver.url()).await;
    (server, tenant, receiver)
}

async fn listed(tenant: &Tenant) -> Webhook {
    tenant.client.webhooks(LINE).await.unwrap().value.data.remove(0)
}

/// Waits until the webhook fails since then.
async fn failing_since(tenant: &Tenant, wanted: Option<Timestamp>) {
    eventually(&format!("it fails since {wanted:?}"), async || {
        (listed(tenant).await.failing_since == wanted).then_some(())
    })
    .await;
}

/// Waits until the webhook is disabled, and sees that it gets nothing more.
async fn disabled(
    (server, tenant, receiver): (TestServer, Tenant, Receiver),
    clock: &TestClock,
    reason: DisabledReason,
) {
    eventually("it is disabled", async || (!listed(&tenant).await.is_active).then_some(())).await;
    let webhook = listed(&tenant).await;
    assert_eq!(webhook.disabled_reason, Some(reason));
    assert_eq!(webhook.disabled_at, Some(clock.now()));
    let count = receiver.count();
    receiver.set(Behaviour::ok());
    server.text(LINE, CONTACT, "not for you").await;
    assert!(nothing_is_due(&server).await);
    clock.advance(2 * FIVE_DAYS);
    // Another is served; were there anything for the first, it would have gone before.
    let other = Receiver::start().await;
    hook(&tenant, &other.url()).await;
    server.text(LINE, CONTACT, "for another").await;
    other.wait_for_count(1, SOON).await.unwrap();
    // Its state survives a restart.
    let server = server.restart().await;
    assert_eq!(listed(&tenant_of(&server, &tenant)).await, webhook);
    server.stop().await;
    assert_eq!((receiver.count(), other.count()), (count, 1));
}

/// The same tenant at the server's new address.
fn tenant_of(server: &TestServer, tenant: &Tenant) -> Tenant {
    Tenant { client: server.client(&tenant.key), ..tenant.clone() }
}

/// What has failed once fails on, never long after the time before, until a second before the five days are
/// over. Answers when the next attempt is due.
async fn fail_on(server: &TestServer, receiver: &Receiver, clock: &TestClock) -> Timestamp {
    let mut next = planned(server, clock, 5 * SECOND).await;
    let steps = [
        (FIVE_DAYS * 2 / 5, 30 * SECOND),
        (FIVE_DAYS * 2 / 5, 300 * SECOND),
        (FIVE_DAYS / 5 - SECOND, 1800 * SECOND),
    ];
    for (number, (step, pause)) in steps.into_iter().enumerate() {
        clock.advance(step);
        receiver.wait_for(number + 2, SOON).await.unwrap();
        next = planned(server, clock, pause).await;
    }
    next
}

#[tokio::test]
async fn five_days_of_nothing_but_failures_disable() {
    let clock = TestClock::now();
    let (server, tenant, receiver) = start(&clock).await;
    receiver.set(Behaviour::status(500));
    server.text(LINE, CONTACT, "one").await;
    let since = clock.now();
    failing_since(&tenant, Some(since)).await;
    let at = fail_on(&server, &receiver, &clock).await;
    // Not a moment too soon.
    assert!(listed(&tenant).await.is_active);
    clock.advance(at.since(clock.now()));
    receiver.wait_for_count(5, SOON).await.unwrap();
    disabled((server, tenant, receiver), &clock, DisabledReason::Failing).await;
}

#[tokio::test]
async fn any_success_begins_the_five_days_anew() {
    let clock = TestClock::now();
    let (server, tenant, receiver) = start(&clock).await;
    receiver.set(Behaviour::status(500));
    server.text(LINE, CONTACT, "one").await;
    failing_since(&tenant, Some(clock.now())).await;
    let at = fail_on(&server, &receiver, &clock).await;
    receiver.next([Behaviour::ok()]);
    server.text(LINE, CONTACT, "two").await;
    failing_since(&tenant, None).await;
    receiver.set(Behaviour::status(500));
    clock.advance(at.since(clock.now()));
    // The first again, which fails again: more than five days after it did first.
    failing_since(&tenant, Some(clock.now())).await;
    planned(&server, &clock, 7200 * SECOND).await;
    assert!(listed(&tenant).await.is_active);
    server.stop().await;
}

#[tokio::test]
async fn two_failures_with_a_long_silence_between_them_are_no_five_days() {
    let clock = TestClock::now();
    let (server, tenant, receiver) = start(&clock).await;
    receiver.set(Behaviour::status(502));
    server.text(LINE, CONTACT, "one").await;
    for (number, pause) in SCHEDULE.iter().enumerate() {
        let at = planned(&server, &clock, *pause).await;
        clock.advance(at.since(clock.now()));
        receiver.wait_for(number + 2, SOON).await.unwrap();
    }
    eventually("it is given up", async || nothing_is_due(&server).await.then_some(())).await;
    assert!(listed(&tenant).await.is_active);
    // Nothing happens for a week and more: the endpoint had no way to show that it works again.
    clock.advance(2 * FIVE_DAYS);
    server.text(LINE, CONTACT, "two").await;
    failing_since(&tenant, Some(clock.now())).await;
    assert!(listed(&tenant).await.is_active);
    server.stop().await;
}

#[tokio::test]
async fn gone_is_gone_at_once() {
    let clock = TestClock::now();
    let (server, tenant, receiver) = start(&clock).await;
    receiver.set(Behaviour::status(410));
    server.text(LINE, CONTACT, "one").await;
    receiver.wait_for_count(1, SOON).await.unwrap();
    disabled((server, tenant, receiver), &clock, DisabledReason::Gone).await;
}
