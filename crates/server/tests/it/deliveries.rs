//! Deliveries: tried again with pauses that grow, signed afresh each time, over restarts, and
//! never to where they must not go.

use std::{sync::Arc, time::Duration};

use switchboard_client::CreateWebhook;
use switchboard_model::{
    EventKind, Timestamp, retry::SCHEDULE, time::Clock, webhook::WebhookSecret,
};
use switchboard_testkit::{
    LINE, Receiver, Setup, Tenant, TestClock, TestServer, eventually,
    receiver::{Behaviour, Cut, Reply},
};

use crate::world::{CONTACT, SOON};

async fn hook(tenant: &Tenant, url: &str) -> WebhookSecret {
    let webhook = CreateWebhook::new(LINE, url, [EventKind::MessageReceived]);
    tenant.client.create_webhook(&webhook).await.unwrap().value.secret.unwrap()
}

/// Waits until an attempt has failed and the next is planned after about this pause; says when.
async fn planned(server: &TestServer, clock: &TestClock, pause: Duration) -> Timestamp {
    eventually("the next attempt is planned", async || {
        let at = server.store.next_delivery_at().await.unwrap()?;
        let wait = at.since(clock.now());
        (pause.mul_f64(0.79)..=pause.mul_f64(1.21)).contains(&wait).then_some(at)
    })
    .await
}

#[tokio::test]
async fn a_delivery_is_tried_nine_times_each_signed_afresh() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    let secret = hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;

    let mut signatures = Vec::new();
    for attempt in 1..=SCHEDULE.len() + 1 {
        let deliveries = receiver.wait_for(attempt, SOON).await.unwrap();
        let delivery = deliveries.last().unwrap();
        // Both signatures verify now; an old one would be over the five minutes.
        delivery.verify_at(&secret, clock.now()).unwrap();
        assert_eq!(delivery.timestamp(), Some(clock.now()), "attempt {attempt}");
        assert_eq!(delivery.json()["timestamp"], clock.now().millis());
        assert_eq!(delivery.delivery_id(), deliveries[0].delivery_id());
        assert_eq!(delivery.header("webhook-id"), delivery.delivery_id());
        assert_eq!(delivery.json()["data"], deliveries[0].json()["data"]);
        let signature = delivery.header("x-webhook-signature").unwrap().to_owned();
        assert!(!signatures.contains(&signature), "attempt {attempt} is signed afresh");
        signatures.push(signature);
        if let Some(pause) = SCHEDULE.get(attempt - 1) {
            let at = planned(&server, &clock, *pause).await;
            clock.advance(at.since(clock.now()));
        }
    }
    eventually("it is given up", async || {
        server.store.next_delivery_at().await.unwrap().is_none().then_some(())
    })
    .await;
    server.stop().await;
    assert_eq!(receiver.count(), 9);
}

#[tokio::test]
async fn what_is_no_2xx_is_tried_again_until_one_comes() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let redirect = Reply::new(302).header("location", &elsewhere.url());
    receiver.next([
        Behaviour::Answer(redirect),
        Behaviour::Cut(Cut::BeforeAnswer),
        Behaviour::status(404),
    ]);
    hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;
    for (attempt, pause) in [1, 2, 3].into_iter().zip(SCHEDULE) {
        receiver.wait_for(attempt, SOON).await.unwrap();
        let at = planned(&server, &clock, pause).await;
        // Not a moment earlier.
        clock.advance(at.since(clock.now()) - Duration::from_millis(1));
        assert_eq!(receiver.count(), attempt as u64);
        clock.advance(Duration::from_millis(1));
    }
    receiver.wait_for(4, SOON).await.unwrap();
    eventually("it is delivered", async || {
        server.store.next_delivery_at().await.unwrap().is_none().then_some(())
    })
    .await;
    server.stop().await;
    assert_eq!(elsewhere.count(), 0, "a redirect is a failure and is not followed");
}

#[tokio::test]
async fn a_restart_forgets_no_delivery() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::status(503)]);
    let secret = hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;
    receiver.wait_for(1, SOON).await.unwrap();
    let at = planned(&server, &clock, SCHEDULE[0]).await;

    let server = server.restart().await;
    assert_eq!(server.store.next_delivery_at().await.unwrap(), Some(at), "the plan stands");
    clock.advance(at.since(clock.now()));
    let deliveries = receiver.wait_for(2, SOON).await.unwrap();
    assert_eq!(deliveries[0].delivery_id(), deliveries[1].delivery_id());
    deliveries[1].verify_at(&secret, clock.now()).unwrap();
    server.stop().await;
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_planned_attempt_goes_with_its_webhook() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "hello").await;
    planned(&server, &clock, SCHEDULE[0]).await;
    let webhook = tenant.client.webhooks(LINE).await.unwrap().value.data[0].id;
    tenant.client.delete_webhook(webhook).await.unwrap();
    assert_eq!(server.store.next_delivery_at().await.unwrap(), None);
    clock.advance(SCHEDULE[0] * 2);
    // A later webhook is served, the deleted one is not.
    let later = Receiver::start().await;
    hook(&tenant, &later.url()).await;
    server.text(LINE, CONTACT, "again").await;
    later.wait_for(1, SOON).await.unwrap();
    server.stop().await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_first_attempt_that_a_stop_cut_off_is_made_again() {
    let server = Setup::new().config(|config| config.webhook_timeout = 30).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::Stall]);
    let secret = hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "one").await;
    server.text(LINE, CONTACT, "two").await;
    receiver.wait_for(1, SOON).await.unwrap();
    let server = server.restart().await;
    let deliveries = receiver.wait_for(3, SOON).await.unwrap();
    for delivery in &deliveries {
        delivery.verify(&secret).unwrap();
    }
    assert_eq!(deliveries[0].delivery_id(), deliveries[1].delivery_id());
    assert_eq!(deliveries[2].json()["data"]["text"], "two");
    server.stop().await;
}

#[tokio::test]
async fn a_name_that_means_this_machine_is_not_dialled() {
    let clock = TestClock::now();
    // Names are judged by their addresses: of this one only ::1 may be dialled, and nobody
    // listens there. The receiver is on 127.0.0.1.
    let allow_v6_only = |setup: Setup| {
        setup.strict_webhooks().config(|config| {
            config.webhook_allow_http = true;
            config.webhook_allow_networks = vec!["::1/128".parse().unwrap()];
        })
    };
    let setup = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = allow_v6_only(setup).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    hook(&tenant, &format!("http://localhost:{port}/hook")).await;
    server.text(LINE, CONTACT, "hello").await;
    let at = planned(&server, &clock, SCHEDULE[0]).await;

    // A policy that has become stricter holds for webhooks that were made before.
    let server = server.restart_with(Setup::strict_webhooks).await;
    clock.advance(at.since(clock.now()));
    planned(&server, &clock, SCHEDULE[1]).await;
    server.stop().await;
    assert_eq!(receiver.count(), 0);
}
