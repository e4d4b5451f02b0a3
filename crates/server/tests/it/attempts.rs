//! Deliveries as their owner looks into them, tries them again, and tries webhooks.

use std::{sync::Arc, time::Duration};

use switchboard_client::{CreateWebhook, Deliveries, Event, UpdateWebhook};
use switchboard_model::{
    Code, Delivery, EventKind, Scope, Webhook,
    delivery::DeliveryStatus,
    retry::SCHEDULE,
    time::Clock,
    webhook::{DisabledReason, WebhookSecret},
};
use switchboard_testkit::{
    LINE, Receiver, Setup, Tenant, TestClock, TestServer, eventually,
    judge::judge_event,
    receiver::{Behaviour, Reply},
};

use crate::world::{CONTACT, SECOND, SOON, add_line};
use EventKind::{MessageReceived, MessageSent};

pub(crate) async fn hook(tenant: &Tenant, to: &Receiver) -> (Webhook, WebhookSecret) {
    let webhook = CreateWebhook::new("", to.url(), [MessageReceived]);
    let mut webhook = tenant.client.create_webhook(&webhook).await.unwrap().value;
    let secret = webhook.secret.take().unwrap();
    (webhook, secret)
}

/// All deliveries, those of the newest event first.
pub(crate) async fn deliveries(tenant: &Tenant) -> Vec<Delivery> {
    tenant.client.deliveries(&Deliveries::default()).limit(3).all(1000).await.unwrap()
}

/// Waits until the only delivery stands here.
pub(crate) async fn only(tenant: &Tenant, status: DeliveryStatus, attempts: usize) -> Delivery {
    eventually(&format!("the delivery is {status:?} after {attempts}"), async || {
        let mut all = deliveries(tenant).await;
        assert!(all.len() <= 1, "{all:?}");
        all.pop().filter(|one| one.status == status && one.attempts.len() == attempts)
    })
    .await
}

#[tokio::test]
async fn every_attempt_can_be_looked_at_and_made_again() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let sorry = Reply::new(503).body(format!("sorry\u{7}{}", "x".repeat(2000)));
    receiver.next([Behaviour::Answer(sorry)]);
    let (webhook, secret) = hook(&tenant, &receiver).await;
    server.text(LINE, CONTACT, "hello").await;

    let due = only(&tenant, DeliveryStatus::Due, 1).await;
    assert_eq!((due.webhook_id, due.event), (webhook.id, MessageReceived));
    assert_eq!(due.error.as_deref(), Some("the endpoint answered 503"));
    assert!(due.next_attempt_at.unwrap() > clock.now() && due.finished_at.is_none());
    let first = &due.attempts[0];
    assert_eq!((first.number, first.status, first.started_at), (1, Some(503), clock.now()));
    let start = first.answer.as_deref().unwrap();
    assert!(start.starts_with("sorryxxx") && start.len() == 500, "{start}");

    // At once, and not when it is planned.
    let retried = tenant.client.retry_delivery(due.id).await.unwrap();
    assert_eq!((retried.status, retried.value.id), (200, due.id));
    let done = only(&tenant, DeliveryStatus::Delivered, 2).await;
    assert_eq!((&done.error, done.next_attempt_at), (&None, None));
    assert_eq!(done.finished_at, Some(clock.now()));
    // Delivered, and wanted once more: under the same id, signed afresh.
    clock.advance(Duration::from_secs(600));
    tenant.client.retry_delivery(due.id).await.unwrap();
    let again = only(&tenant, DeliveryStatus::Delivered, 3).await;
    assert_eq!(again.id, due.id);
    let came = receiver.received();
    assert_eq!(came[2].delivery_id(), Some(&*due.id.to_string()));
    came[2].verify_at(&secret, clock.now()).unwrap();

    // Given up with its webhook: only an active one can have it again.
    receiver.set(Behaviour::status(500));
    tenant.client.retry_delivery(due.id).await.unwrap();
    only(&tenant, DeliveryStatus::Due, 4).await;
    let off = UpdateWebhook::new(webhook.id).active(false);
    let off = tenant.client.update_webhook(&off).await.unwrap().value;
    assert_eq!(off.webhook.disabled_reason, Some(DisabledReason::Manual));
    let failed = only(&tenant, DeliveryStatus::Failed, 4).await;
    assert!(failed.error.unwrap().contains("disabled"));
    let refused = tenant.client.retry_delivery(due.id).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidParameterValue));
    assert!(refused.to_string().contains("disabled"), "{refused}");
    let on = UpdateWebhook::new(webhook.id).active(true);
    tenant.client.update_webhook(&on).await.unwrap();
    // The schedule begins anew.
    tenant.client.retry_delivery(due.id).await.unwrap();
    let due = only(&tenant, DeliveryStatus::Due, 5).await;
    let pause = due.next_attempt_at.unwrap().since(clock.now());
    assert!(pause <= SCHEDULE[0].mul_f64(1.21), "{pause:?}");
    tenant.client.delete_webhook(webhook.id).await.unwrap();
    eventually("what was due goes with its webhook", async || {
        let refused = tenant.client.retry_delivery(due.id).await.unwrap_err();
        (refused.code() == Some(Code::DeliveryNotFound)).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn deliveries_are_filtered_and_paged() {
    let server = TestServer::start().await;
    let tenant = server.tenant(LINE).await;
    let second = add_line(&server, tenant.account, SECOND).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = hook(&tenant, &receiver).await;
    let other = CreateWebhook::new(SECOND, receiver.url(), [MessageReceived, MessageSent]);
    let other = tenant.client.create_webhook(&other).await.unwrap().value;
    for number in 0..4 {
        server.text(LINE, CONTACT, &number.to_string()).await;
    }
    server.text(SECOND, CONTACT, "there").await;
    receiver.wait_for(6, SOON).await.unwrap();
    let all = eventually("all are settled", async || {
        let all = deliveries(&tenant).await;
        all.iter().all(|one| one.status == DeliveryStatus::Delivered).then_some(all)
    })
    .await;
    assert_eq!(all.len(), 6);
    let ids: Vec<_> = all.iter().map(|one| one.event_id).collect();
    assert!(ids.is_sorted_by(|newer, older| newer >= older), "{ids:?}");
    let list = async |of: Deliveries| tenant.client.deliveries(&of).all(100).await.unwrap();
    assert_eq!(list(Deliveries::of_webhook(webhook.id)).await.len(), 5);
    assert_eq!(list(Deliveries::of_webhook(other.id)).await.len(), 1);
    let any = Deliveries::default;
    assert_eq!(list(Deliveries::only(all[3].id)).await, all[3..4]);
    assert_eq!(list(Deliveries { event_id: Some(ids[5].to_string()), ..any() }).await, all[5..]);
    assert_eq!(list(Deliveries { event_id: Some(ids[0].to_string()), ..any() }).await.len(), 2);
    assert!(list(Deliveries { event: Some(MessageSent), ..any() }).await.is_empty());
    let since = all[1].created_at;
    let young = list(Deliveries { since: Some(since), ..any() }).await;
    assert!(young.len() >= 2 && young[..2] == all[..2]);
    let old = list(Deliveries { until: Some(since), ..any() }).await;
    assert_eq!(young.len() + old.len(), 6);
    // A cursor is for the query that it came from.
    let page = tenant.client.deliveries(&any()).limit(1).send().await.unwrap().value;
    let cursor = page.next_cursor.unwrap();
    let elsewhere = tenant.client.deliveries(&Deliveries::of_webhook(webhook.id));
    let refused = elsewhere.cursor(&cursor).send().await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidParameterValue));
    // A key for one line sees what happened there, whichever webhook it went to.
    let narrow = server.key(tenant.account, &Scope::ALL, &[second.id]).await;
    let seen = narrow.deliveries(&any()).all(100).await.unwrap();
    assert_eq!(seen, all[..2]);
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_can_be_tried() {
    let server = Setup::new().config(|config| config.webhook_timeout = 1).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    for (at, kind) in EventKind::ALL.into_iter().enumerate() {
        let webhook = CreateWebhook::new(LINE, receiver.url(), [kind, MessageSent]);
        let webhook = tenant.client.create_webhook(&webhook).await.unwrap().value;
        let off = UpdateWebhook::new(webhook.id).active(at % 2 == 0);
        tenant.client.update_webhook(&off).await.unwrap();
        receiver.next([Behaviour::Answer(Reply::new(202).body("thanks"))]);
        let came = tenant.client.test_webhook(webhook.id).await.unwrap().value;
        assert_eq!((came.event, came.ok, came.status), (kind, true, Some(202)));
        assert_eq!((came.answer.as_deref(), came.error), (Some("thanks"), None));
        let sent = receiver.received().pop().unwrap();
        assert_eq!(sent.header("x-webhook-test"), Some("true"));
        assert_eq!(sent.delivery_id(), Some(&*came.delivery_id.to_string()));
        sent.verify(webhook.secret.as_ref().unwrap()).unwrap();
        let body = sent.json();
        assert_eq!(body["data"]["line_handle"], LINE);
        judge_event(kind.as_str(), &body["data"]);
        let event = Event::read(kind.as_str(), body["data"].clone()).unwrap();
        assert_eq!(event.kind(), Some(kind));
        tenant.client.delete_webhook(webhook.id).await.unwrap();
    }
    let (webhook, _) = hook(&tenant, &receiver).await;
    receiver.next([Behaviour::status(500), Behaviour::Stall]);
    let failed = tenant.client.test_webhook(webhook.id).await.unwrap().value;
    assert_eq!((failed.ok, failed.status), (false, Some(500)));
    assert_eq!(failed.error.as_deref(), Some("the endpoint answered 500"));
    let hung = tenant.client.test_webhook(webhook.id).await.unwrap().value;
    assert_eq!((hung.ok, hung.status), (false, None));
    assert!(hung.error.is_some() && hung.duration_ms >= 1000, "{hung:?}");
    // Nothing of it is kept, and nothing is held against the webhook.
    assert!(deliveries(&tenant).await.is_empty());
    let listed = tenant.client.webhooks(LINE).await.unwrap().value.data.remove(0);
    assert_eq!((listed.is_active, listed.failing_since), (true, None));
    // What happens is no test.
    server.text(LINE, CONTACT, "hello").await;
    let count = receiver.count();
    let real = receiver.wait_for(usize::try_from(count).unwrap().max(13), SOON).await.unwrap();
    assert_eq!(real.last().unwrap().header("x-webhook-test"), None);
    server.stop().await;
}

#[tokio::test]
async fn an_account_tries_four_webhooks_at_once() {
    let server = Setup::new().config(|config| config.webhook_timeout = 2).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, _) = hook(&tenant, &receiver).await;
    receiver.set(Behaviour::Stall);
    let tries = (0..5).map(|_| tenant.client.test_webhook(webhook.id));
    let done = futures_util::future::join_all(tries).await;
    let (made, refused): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (4, 1));
    let refused = refused.into_iter().find_map(Result::err).unwrap();
    assert_eq!(refused.code(), Some(Code::ServiceUnavailable));
    // When they are over there is room again.
    receiver.set(Behaviour::ok());
    assert!(tenant.client.test_webhook(webhook.id).await.unwrap().value.ok);
    server.stop().await;
}

/// Waits until so many attempts are written down, of all deliveries together.
pub(crate) async fn settled(tenant: &Tenant, attempts: usize) {
    eventually(&format!("{attempts} attempts are settled"), async || {
        let made = deliveries(tenant).await.iter().map(|one| one.attempts.len()).sum::<usize>();
        (made >= attempts).then_some(())
    })
    .await;
}
