//! The operator's listener: figures, and whether all is well.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use switchboard_client::{CreateReplay, UpdateWebhook};
use switchboard_model::time::Clock;
use switchboard_testkit::{
    LINE, Receiver, Setup, TestClock, TestServer, eventually, receiver::Behaviour,
};

use crate::{
    call::Call,
    deliveries::{hook, planned},
    world::{CONTACT, SOON},
};

/// With the operator's listener.
pub(crate) fn watched(setup: Setup) -> Setup {
    setup.config(|config| config.metrics_listen = Some("127.0.0.1:0".parse().unwrap()))
}

async fn metrics(server: &TestServer) -> String {
    let answer = Call::get("/metrics").open(&server.metrics_url()).await;
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    answer.text().await.unwrap()
}

/// A figure by its name, with its labels if it has any.
pub(crate) async fn figure(server: &TestServer, name: &str) -> f64 {
    let metrics = metrics(server).await;
    let prefix = format!("switchboard_{name} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

async fn health(server: &TestServer) -> (u16, Value) {
    let answer = Call::get("/health").open(&server.metrics_url()).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn figures_follow_what_happens() {
    let clock = TestClock::now();
    let setup = watched(Setup::new()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.config(|config| {
        config.webhook_retry_schedule = "3s".parse().unwrap();
    });
    let server = server.start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::ok(), Behaviour::status(404), Behaviour::status(500)]);
    hook(&tenant, &receiver.url()).await;
    assert_eq!(figure(&server, "deliveries_delivered_total").await, 0.0);
    server.text(LINE, CONTACT, "one").await;
    receiver.wait_for_count(1, SOON).await.unwrap();
    server.text(LINE, CONTACT, "two").await;
    let at = planned(&server, &clock, Duration::from_secs(3)).await;
    clock.advance(at.since(clock.now()));
    receiver.wait_for_count(3, SOON).await.unwrap();
    eventually("the second is given up", async || {
        (figure(&server, "deliveries_failed_total").await == 1.0).then_some(())
    })
    .await;
    for (name, wanted) in [
        ("deliveries_delivered_total", 1.0),
        ("deliveries_due", 0.0),
        ("deliveries_held", 0.0),
        ("deliveries_in_flight", 0.0),
        ("deliveries_oldest_due_age_seconds", 0.0),
        ("delivery_attempts_total{class=\"2xx\"}", 1.0),
        ("delivery_attempts_total{class=\"3xx\"}", 0.0),
        ("delivery_attempts_total{class=\"4xx\"}", 1.0),
        ("delivery_attempts_total{class=\"5xx\"}", 1.0),
        ("delivery_attempts_total{class=\"error\"}", 0.0),
        ("delivery_attempt_duration_seconds_count", 3.0),
        ("event_to_delivered_seconds_count", 1.0),
        ("webhook_breakers_open", 0.0),
        ("webhooks_disabled", 0.0),
    ] {
        eventually(&format!("{name} is {wanted}"), async || {
            (figure(&server, name).await == wanted).then_some(())
        })
        .await;
    }
    // What is shown is of no use to anybody but the operator, and still holds no secret.
    let shown = metrics(&server).await;
    assert!(!shown.contains("http://") && !shown.contains("wh_"), "{shown}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_given_up_with_its_webhook_has_failed() {
    let clock = TestClock::now();
    let setup = watched(Setup::new()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver.url()).await;
    server.text(LINE, CONTACT, "one").await;
    planned(&server, &clock, Duration::from_secs(5)).await;
    assert_eq!(figure(&server, "deliveries_failed_total").await, 0.0);
    let id = tenant.client.webhooks(LINE).await.unwrap().value.data[0].id.to_string();
    let disable = UpdateWebhook { id, is_active: Some(false), ..UpdateWebhook::default() };
    tenant.client.update_webhook(&disable).await.unwrap();
    for (name, wanted) in [("deliveries_failed_total", 1.0), ("webhooks_disabled", 1.0)] {
        eventually(&format!("{name} is {wanted}"), async || {
            (figure(&server, name).await == wanted).then_some(())
        })
        .await;
    }
    server.stop().await;
}

#[tokio::test]
async fn health_is_red_while_deliveries_are_overdue() {
    let clock = TestClock::now();
    let setup = watched(Setup::new()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.config(|config| config.webhook_timeout = 3).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::Stall]);
    hook(&tenant, &receiver.url()).await;
    let (status, body) = health(&server).await;
    assert_eq!((status, &body["status"]), (200, &Value::from("ok")));
    assert_eq!(body["max_lag_ms"], 300_000);

    // The second waits for the first, which hangs.
    server.text(LINE, CONTACT, "one").await;
    server.text(LINE, CONTACT, "two").await;
    receiver.wait_for_count(1, SOON).await.unwrap();
    clock.advance(Duration::from_secs(299));
    assert_eq!(health(&server).await.0, 200);
    clock.advance(Duration::from_secs(2));
    let (status, body) = health(&server).await;
    assert_eq!((status, &body["status"]), (503, &Value::from("overdue")), "{body}");
    assert!(body["oldest_due_age_ms"].as_u64().unwrap() >= 301_000, "{body}");
    assert!(figure(&server, "deliveries_oldest_due_age_seconds").await >= 301.0);
    receiver.wait_for_count(2, SOON).await.unwrap();
    eventually("all is well again", async || (health(&server).await.0 == 200).then_some(())).await;
    server.stop().await;
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_fails_is_no_fault_of_ours() {
    let clock = TestClock::now();
    let setup = watched(Setup::new()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.next([Behaviour::status(500), Behaviour::Stall]);
    hook(&tenant, &receiver.url()).await;
    for text in ["fails", "hangs", "waits"] {
        server.text(LINE, CONTACT, text).await;
    }
    receiver.wait_for_count(2, SOON).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    let (status, body) = health(&server).await;
    assert_eq!((status, &body["oldest_due_age_ms"]), (200, &Value::from(0)), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn a_replay_of_old_events_is_not_overdue() {
    let clock = TestClock::now();
    let setup = watched(Setup::new()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    hook(&tenant, &receiver.url()).await;
    let began = clock.now();
    server.text(LINE, CONTACT, "one").await;
    server.text(LINE, CONTACT, "two").await;
    receiver.wait_for_count(2, SOON).await.unwrap();
    clock.advance(Duration::from_secs(3 * 86_400));
    // Of the two, one is out and the other waits for it.
    receiver.set(Behaviour::Stall);
    let id = tenant.client.webhooks(LINE).await.unwrap().value.data[0].id;
    let replay = CreateReplay { include_delivered: true, ..CreateReplay::since(id, began) };
    tenant.client.create_replay(&replay).await.unwrap();
    receiver.wait_for_count(3, SOON).await.unwrap();
    let (status, body) = health(&server).await;
    assert_eq!((status, &body["oldest_due_age_ms"]), (200, &Value::from(0)), "{body}");
    clock.advance(Duration::from_secs(301));
    assert_eq!(health(&server).await.0, 503);
    server.stop().await;
}

#[tokio::test]
async fn what_a_breaker_holds_back_is_no_fault_of_ours() {
    let clock = TestClock::now();
    let setup = watched(Setup::new()).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let server = setup.start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    receiver.set(Behaviour::status(500));
    hook(&tenant, &receiver.url()).await;
    for number in 0..15 {
        server.text(LINE, CONTACT, &number.to_string()).await;
    }
    eventually("it is held back", async || {
        (figure(&server, "deliveries_held").await == 5.0).then_some(())
    })
    .await;
    clock.advance(Duration::from_secs(3600));
    receiver.wait_for_count(11, SOON).await.unwrap();
    eventually("it is held back again", async || {
        (figure(&server, "deliveries_held").await == 14.0).then_some(())
    })
    .await;
    assert_eq!(health(&server).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn there_is_nothing_else_on_it_and_it_is_nowhere_else() {
    let server = watched(Setup::new().unlinked()).start().await;
    for path in ["/", "/v1/webhooks", "/admin/v1/keys", "/metrics/"] {
        assert_eq!(Call::get(path).open(&server.metrics_url()).await.status(), 404, "{path}");
    }
    assert_eq!(Call::get("/metrics").open(&server.url).await.status(), 404);
    server.stop().await;
}

#[tokio::test]
async fn health_is_red_when_the_store_is_gone() {
    let server = watched(Setup::new().unlinked()).start().await;
    server.store.close().await;
    let (status, body) = health(&server).await;
    assert_eq!((status, &body["status"]), (503, &Value::from("store_unavailable")));
    // What the process knows is wanted most just now.
    assert_eq!(figure(&server, "store_up").await, 0.0);
    server.stop_with_errors().await;
}
