//! A rotation: for a day both secrets are good, whichever the endpoint knows; after it, the new one only.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use switchboard_model::{retry::SCHEDULE, time::Clock, webhook::WebhookSecret};
use switchboard_testkit::{
    LINE, Receiver, Setup, TestClock,
    receiver::{Behaviour, Delivery as Received},
};

use crate::{
    attempts::{hook, settled},
    world::{CONTACT, SOON},
};

/// The hosted scheme, by another implementation than the server's.
fn hosted(delivery: &Received, secret: &WebhookSecret) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut signed = delivery.header("x-webhook-timestamp").unwrap().as_bytes().to_vec();
    signed.push(b'.');
    signed.extend_from_slice(&delivery.body);
    let hex = hmac::sign(&key, &signed).as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    delivery.header("x-webhook-signature") == Some(&*hex)
}

/// Standard Webhooks, by their own crate.
fn standard(delivery: &Received, secret: &WebhookSecret) -> bool {
    let id = delivery.header("webhook-id").unwrap();
    let seconds = delivery.header("webhook-timestamp").unwrap().parse().unwrap();
    let judge = standardwebhooks::Webhook::new(secret.reveal()).unwrap();
    let wanted = judge.sign(id, seconds, &delivery.body).unwrap();
    delivery.header("webhook-signature").unwrap().split(' ').any(|one| one == wanted)
}

#[tokio::test]
async fn for_a_day_both_secrets_are_good() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, old) = hook(&tenant, &receiver).await;
    let rotated = tenant.client.rotate_webhook_secret(webhook.id).await.unwrap().value;
    let new = rotated.webhook.secret.unwrap();
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(rotated.previous_secret_expires_at, clock.now() + day);
    assert_ne!(new, old);
    let both = |delivery: &Received| standard(delivery, &old) && standard(delivery, &new);

    // An endpoint that knows only the old one goes on as before.
    server.text(LINE, CONTACT, "1").await;
    let came = receiver.wait_for(1, SOON).await.unwrap().remove(0);
    came.verify_at(&old, clock.now()).unwrap();
    assert!(both(&came) && hosted(&came, &old));
    assert!(
        standardwebhooks::Webhook::new(new.reveal())
            .unwrap()
            .verify(&came.body, came.headers())
            .is_ok()
    );

    // It has switched, and refuses the old one: the next attempt has the new one, and so has all after it.
    receiver.next([Behaviour::status(401)]);
    server.text(LINE, CONTACT, "2").await;
    let came = receiver.wait_for(2, SOON).await.unwrap().remove(1);
    assert!(both(&came) && hosted(&came, &old));
    settled(&tenant, 2).await;
    clock.advance(SCHEDULE[0] * 2);
    let came = receiver.wait_for(3, SOON).await.unwrap().remove(2);
    assert_eq!(came.json()["data"]["text"], "2");
    came.verify_at(&new, clock.now()).unwrap();
    assert!(both(&came) && hosted(&came, &new));
    settled(&tenant, 3).await;
    server.text(LINE, CONTACT, "3").await;
    let came = receiver.wait_for(4, SOON).await.unwrap().remove(3);
    came.verify_at(&new, clock.now()).unwrap();

    // After a day there is one.
    clock.advance(day);
    server.text(LINE, CONTACT, "4").await;
    let came = receiver.wait_for(5, SOON).await.unwrap().remove(4);
    came.verify_at(&new, clock.now()).unwrap();
    assert!(hosted(&came, &new) && standard(&came, &new) && !standard(&came, &old));
    assert!(!came.header("webhook-signature").unwrap().contains(' '));
    server.stop().await;
}

#[tokio::test]
async fn a_test_by_hand_finds_out_that_the_endpoint_has_switched() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, old) = hook(&tenant, &receiver).await;
    let rotated = tenant.client.rotate_webhook_secret(webhook.id).await.unwrap().value;
    let new = rotated.webhook.secret.unwrap();
    receiver.next([Behaviour::status(401)]);
    let refused = tenant.client.test_webhook(webhook.id).await.unwrap().value;
    assert!(!refused.ok && hosted(&receiver.received()[0], &old));
    let taken = tenant.client.test_webhook(webhook.id).await.unwrap().value;
    assert!(taken.ok && hosted(&receiver.received()[1], &new));
    // What happens then is signed with the same.
    server.text(LINE, CONTACT, "hello").await;
    let came = receiver.wait_for(3, SOON).await.unwrap().remove(2);
    assert!(hosted(&came, &new));
    server.stop().await;
}

#[tokio::test]
async fn what_waits_is_signed_with_what_is_valid_when_it_goes() {
    let clock = TestClock::now();
    let server = Setup::new().clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
    let tenant = server.tenant(LINE).await;
    let receiver = Receiver::start().await;
    let (webhook, first) = hook(&tenant, &receiver).await;
    receiver.set(Behaviour::status(500));
    server.text(LINE, CONTACT, "hello").await;
    settled(&tenant, 1).await;
    let second = tenant.client.rotate_webhook_secret(webhook.id).await.unwrap().value;
    let second = second.webhook.secret.unwrap();
    let third = tenant.client.rotate_webhook_secret(webhook.id).await.unwrap().value;
    let third = third.webhook.secret.unwrap();
    clock.advance(SCHEDULE[0] * 2);
    let came = receiver.wait_for(2, SOON).await.unwrap().remove(1);
    assert!(standard(&came, &second) && standard(&came, &third) && !standard(&came, &first));
    assert!(hosted(&came, &second));
    // Refused for another reason, the attempts take turns.
    settled(&tenant, 2).await;
    clock.advance(SCHEDULE[1] * 2);
    let came = receiver.wait_for(3, SOON).await.unwrap().remove(2);
    assert!(hosted(&came, &third));
    server.stop().await;
}
