//! Webhooks that are disabled, by hand or because they only fail, changed, and enabled again: nothing is lost.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use switchboard_client::{CreateReplay, Deliveries, UpdateWebhook};
use switchboard_model::{
    EventKind, Replay, Webhook,
    delivery::DeliveryStatus,
    id::Id,
    replay::ReplayStatus,
    retry::SCHEDULE,
    time::Clock,
    webhook::{DISABLED_AFTER_MS, DisabledReason},
};
use switchboard_store::{Grant, NewReplay};
use switchboard_testkit::{
    LINE, Receiver, Setup, Tenant, TestClock, TestServer, eventually, receiver::Behaviour,
};

use crate::{
    attempts::{deliveries, hook, only},
    world::{CONTACT, SOON},
};

/// A second contact.
const OTHER: &str = "+15550100012";

async fn server(clock: &Arc<TestClock>) -> TestServer {
    Setup::new().clock(Arc::clone(clock) as Arc<dyn Clock>).start().await
}

async fn listed(tenant: &Tenant) -> Webhook {
    tenant.client.webhooks("").await.unwrap().value.data.remove(0)
}

async fn replayed(tenant: &Tenant, replay: &CreateReplay) -> Replay {
    let made = tenant.client.create_replay(replay).await.unwrap();
    assert_eq!((made.status, made.value.status), (201, ReplayStatus::Running));
    done(tenant, made.value.id).await
}

async fn done(tenant: &Tenant, id: Id<Replay>) -> Replay {
    eventually("the replay is done", async || {
        let replay = tenant.client.replay(id).await.unwrap().value;
        (replay.status == ReplayStatus::Done).then_some(replay)
    })
    .await
}

/// What came, by its chat: the texts in the order in which they came.
fn by_chat(receiver: &Receiver, from: usize) -> BTreeMap<String, Vec<String>> {
    let mut chats = BTreeMap::<_, Vec<_>>::new();
    for delivery in &receiver.received()[from..] {
        let data = delivery.json()["data"].clone();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        chats.entry(text("sender")).or_default().push(text("text"));
    }
    chats
}

#[tokio::test]
async fn what_fails_for_five_days_is_disabled_and_gets_what_it_missed() {
    let clock = TestClock::now();
    let server = server(&clock).await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, secret) = hook(&tenant, &receiver).await;
    server.text(LINE, CONTACT, "before").await;
    only(&tenant, DeliveryStatus::Delivered, 1).await;

    receiver.set(Behaviour::status(500));
    clock.advance(Duration::from_secs(60));
    let began = clock.now();
    server.text(LINE, CONTACT, "1").await;
    receiver.wait_for(2, SOON).await.unwrap();
    let failing = eventually("it is known to fail", async || listed(&tenant).await.failing_since);
    assert_eq!(failing.await, began);
    let five_days = Duration::from_millis(DISABLED_AFTER_MS.unsigned_abs());
    let hour = Duration::from_secs(3600);
    // Never long after the time before.
    for (attempts, step) in
        [(2, five_days * 2 / 5), (3, five_days * 2 / 5), (4, five_days / 5 - hour)]
    {
        clock.advance(step);
        let latest = eventually("the attempt is settled", async || {
            deliveries(&tenant).await.into_iter().find(|one| one.attempts.len() == attempts)
        });
        assert_eq!(latest.await.status, DeliveryStatus::Due);
    }
    // Not an hour before its time.
    assert!(listed(&tenant).await.is_active);
    clock.advance(hour);
    let disabled = eventually("it is disabled", async || {
        let webhook = listed(&tenant).await;
        (!webhook.is_active).then_some(webhook)
    })
    .await;
    assert_eq!(disabled.disabled_reason, Some(DisabledReason::Failing));
    assert_eq!((disabled.failing_since, disabled.disabled_at), (Some(began), Some(clock.now())));
    eventually("what was to be tried is given up", async || {
        deliveries(&tenant).await.into_iter().find(|one| one.status == DeliveryStatus::Failed)
    })
    .await;

    // Nobody is told of what happens now.
    for number in 2..8 {
        clock.advance(Duration::from_secs(60));
        let from = if number % 2 == 0 { CONTACT } else { OTHER };
        server.text(LINE, from, &number.to_string()).await;
    }
    let count = receiver.count();
    receiver.set(Behaviour::ok());
    let on = UpdateWebhook::new(webhook.id).active(true);
    let enabled = tenant.client.update_webhook(&on).await.unwrap().value;
    assert!(enabled.webhook.is_active && enabled.webhook.disabled_reason.is_none());
    assert_eq!(enabled.missed_since, Some(began));
    assert_eq!(enabled.webhook, listed(&tenant).await);
    clock.advance(Duration::from_secs(60));
    server.text(LINE, CONTACT, "live").await;
    let from = usize::try_from(count).unwrap() + 1;
    receiver.wait_for(from, SOON).await.unwrap();

    let replay = CreateReplay::since(webhook.id, enabled.missed_since.unwrap());
    let replay = replayed(&tenant, &replay).await;
    assert_eq!((replay.queued, replay.progress), (7, 100));
    let came = receiver.wait_for(from + 7, SOON).await.unwrap();
    came[from].verify_at(&secret, clock.now()).unwrap();
    let chats = by_chat(&receiver, from);
    assert_eq!(chats[CONTACT], ["1", "2", "4", "6"]);
    assert_eq!(chats[OTHER], ["3", "5", "7"]);
    eventually("all are delivered", async || {
        let all = deliveries(&tenant).await;
        all.iter().all(|one| one.status == DeliveryStatus::Delivered).then_some(())
    })
    .await;
    // The same again finds nothing to do; with what was delivered, all of it.
    let mut replay = CreateReplay::since(webhook.id, enabled.missed_since.unwrap());
    assert_eq!(replayed(&tenant, &replay).await.queued, 0);
    replay.include_delivered = true;
    replay.until = Some(clock.now());
    assert_eq!(replayed(&tenant, &replay).await.queued, 7, "without what is live");
    receiver.wait_for(from + 14, SOON).await.unwrap();
    server.stop().await;
    assert_eq!(receiver.received().len(), from + 14, "and nothing else");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_left_alone() {
    let clock = TestClock::now();
    let server = server(&clock).await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(410));
    let (webhook, _) = hook(&tenant, &receiver).await;
    server.text(LINE, CONTACT, "hello").await;
    let failed = only(&tenant, DeliveryStatus::Failed, 1).await;
    assert_eq!(failed.attempts[0].status, Some(410));
    let gone = listed(&tenant).await;
    assert_eq!((gone.is_active, gone.disabled_reason), (false, Some(DisabledReason::Gone)));
    server.text(LINE, CONTACT, "again").await;
    clock.advance(SCHEDULE[0] * 2);
    assert_eq!(deliveries(&tenant).await.len(), 1);
    // It is back, elsewhere.
    let elsewhere = Receiver::start().await;
    let back = UpdateWebhook::new(webhook.id).active(true).url(elsewhere.url());
    let missed = tenant.client.update_webhook(&back).await.unwrap().value.missed_since;
    let replay = replayed(&tenant, &CreateReplay::since(webhook.id, missed.unwrap())).await;
    assert_eq!(replay.queued, 2);
    elsewhere.wait_for(2, SOON).await.unwrap();
    assert_eq!(by_chat(&elsewhere, 0)[CONTACT], ["hello", "again"]);
    server.stop().await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn one_success_and_the_days_begin_anew() {
    let clock = TestClock::now();
    let server = server(&clock).await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver).await;
    server.text(LINE, CONTACT, "hello").await;
    only(&tenant, DeliveryStatus::Due, 1).await;
    receiver.set(Behaviour::ok());
    let five_days = Duration::from_millis(DISABLED_AFTER_MS.unsigned_abs());
    clock.advance(five_days);
    only(&tenant, DeliveryStatus::Delivered, 2).await;
    assert_eq!(listed(&tenant).await.failing_since, None);
    receiver.set(Behaviour::status(500));
    server.text(LINE, CONTACT, "again").await;
    eventually("it fails again", async || listed(&tenant).await.failing_since).await;
    assert!(listed(&tenant).await.is_active);
    server.stop().await;
}

#[tokio::test]
async fn a_change_is_for_what_waits_too() {
    let clock = TestClock::now();
    let server = server(&clock).await;
    let tenant = server.tenant(LINE).await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    old.set(Behaviour::status(500));
    let (webhook, secret) = hook(&tenant, &old).await;
    server.text(LINE, CONTACT, "hello").await;
    only(&tenant, DeliveryStatus::Due, 1).await;
    let moved = UpdateWebhook::new(webhook.id).url(new.url());
    let moved = tenant.client.update_webhook(&moved).await.unwrap().value;
    assert_eq!((moved.webhook.url, moved.missed_since), (new.url(), None));
    assert_eq!(moved.webhook.failing_since, None, "the new endpoint has not failed yet");
    clock.advance(SCHEDULE[0] * 2);
    let came = new.wait_for(1, SOON).await.unwrap();
    came[0].verify_at(&secret, clock.now()).unwrap();
    assert_eq!(old.count(), 1);

    let other = UpdateWebhook::new(webhook.id).events([EventKind::MessageSent]);
    let other = tenant.client.update_webhook(&other).await.unwrap().value;
    assert_eq!(other.webhook.events, [EventKind::MessageSent]);
    server.text(LINE, CONTACT, "not told").await;
    let off = UpdateWebhook::new(webhook.id).active(false).events([EventKind::MessageReceived]);
    tenant.client.update_webhook(&off).await.unwrap();
    let off_at = clock.now();
    clock.advance(Duration::from_secs(1));
    server.text(LINE, CONTACT, "missed").await;
    let on = UpdateWebhook::new(webhook.id).active(true);
    let on = tenant.client.update_webhook(&on).await.unwrap().value;
    assert_eq!(on.missed_since, Some(off_at));
    clock.advance(Duration::from_secs(1));
    server.text(LINE, CONTACT, "live").await;
    let came = new.wait_for(2, SOON).await.unwrap();
    assert_eq!(came[1].json()["data"]["text"], "live");
    // Over a restart, too.
    let replay = CreateReplay::since(webhook.id, on.missed_since.unwrap());
    let made = tenant.client.create_replay(&replay).await.unwrap().value.id;
    let server = server.restart().await;
    let tenant = Tenant { client: server.client(&tenant.key), ..tenant };
    done(&tenant, made).await;
    let came = new.wait_for(4, SOON).await.unwrap();
    let texts: Vec<_> = came[2..].iter().map(|one| one.json()["data"]["text"].clone()).collect();
    assert_eq!(texts, ["not told", "missed"], "it wants them now");
    let of = Deliveries::of_webhook(webhook.id);
    assert_eq!(tenant.client.deliveries(&of).all(100).await.unwrap().len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn a_replay_goes_on_when_its_webhook_is_enabled() {
    let clock = TestClock::now();
    let server = server(&clock).await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let since = clock.now();
    server.text(LINE, CONTACT, "hello").await;
    let (webhook, _) = hook(&tenant, &receiver).await;
    clock.advance(Duration::from_secs(1));
    // Made where nobody is told of it: as if the webhook were disabled before its first event.
    let replay = NewReplay {
        id: Id::generate(),
        webhook_id: webhook.id,
        since,
        until: clock.now(),
        include_delivered: false,
        most_of_account: 100,
    };
    let id = replay.id;
    server
        .store
        .create_replay(Grant::whole(tenant.account), replay, None, clock.now())
        .await
        .unwrap();
    for is_active in [false, true] {
        let switch = UpdateWebhook::new(webhook.id).active(is_active);
        tenant.client.update_webhook(&switch).await.unwrap();
    }
    assert_eq!(done(&tenant, id).await.queued, 1);
    receiver.wait_for(1, SOON).await.unwrap();
    server.stop().await;
}
