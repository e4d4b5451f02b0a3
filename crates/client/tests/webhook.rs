//! Verifying deliveries, with the `standardwebhooks` crate as an independent judge.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use switchboard_client::{
    Event,
    webhook::{self, TOLERANCE_MS, Untrusted, VerifyError},
};
use switchboard_model::{EventKind, Timestamp, signature, webhook::WebhookSecret};

const ID: &str = "dlv_01h6x2c9q7mv3k5t1w4y8z0abc";

fn secret() -> WebhookSecret {
    WebhookSecret::from_random([7; 32])
}

#[expect(clippy::disallowed_methods, reason = "the judge asks this clock too")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

fn body(at: Timestamp) -> String {
    json!({ "event": "message.sent", "data": { "a": "ü" }, "timestamp": at, "delivery_id": ID })
        .to_string()
}

fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::try_from(value.as_str()).unwrap())
        })
        .collect()
}

fn hosted(at: Timestamp, body: &str) -> HeaderMap {
    headers(&[
        ("x-webhook-timestamp", at.millis().to_string()),
        ("x-webhook-delivery-id", ID.into()),
        ("x-webhook-signature", signature::hosted(&secret(), at, body.as_bytes())),
    ])
}

/// Signed by the judge, not by us.
fn standard(at: Timestamp, body: &str) -> HeaderMap {
    let judge = standardwebhooks::Webhook::new(secret().reveal()).unwrap();
    headers(&[
        ("webhook-id", ID.into()),
        ("webhook-timestamp", at.seconds().to_string()),
        ("webhook-signature", judge.sign(ID, at.seconds(), body.as_bytes()).unwrap()),
    ])
}

#[test]
fn the_hosted_scheme() {
    let at = now();
    let body = body(at);
    let verified = webhook::verify(&secret(), &hosted(at, &body), body.as_bytes(), at).unwrap();
    assert_eq!(verified.kind(), Some(EventKind::MessageSent));
    assert_eq!(verified.delivery_id.to_string(), ID);
    assert_eq!((verified.timestamp, &verified.data["a"]), (at, &json!("ü")));

    let verify = |headers: &HeaderMap, body: &str| {
        webhook::verify_hosted(&secret(), headers, body.as_bytes(), at)
    };
    let mismatch = |result| {
        assert!(matches!(result, Err(VerifyError::Untrusted(Untrusted::Mismatch))), "{result:?}");
    };
    mismatch(verify(&hosted(at, &body), &body.replace('ü', "u")));
    mismatch(verify(&hosted(at, &format!("{body} ")), &body));
    let other = WebhookSecret::from_random([8; 32]);
    mismatch(webhook::verify(&other, &hosted(at, &body), body.as_bytes(), at));

    let stale = at + Duration::from_millis(TOLERANCE_MS.unsigned_abs() + 1);
    let late = webhook::verify(&secret(), &hosted(at, &body), body.as_bytes(), stale);
    assert!(matches!(late, Err(VerifyError::Untrusted(Untrusted::Stale))));
    // By the wall's clock, which is what signed it.
    assert!(webhook::verify_now(&secret(), &hosted(at, &body), body.as_bytes()).is_ok());
    let old = at - Duration::from_secs(3600);
    assert!(webhook::verify_now(&secret(), &hosted(old, &body), body.as_bytes()).is_err());

    for name in ["x-webhook-timestamp", "x-webhook-delivery-id", "x-webhook-signature"] {
        let mut missing = hosted(at, &body);
        missing.remove(name);
        let result = verify(&missing, &body);
        assert!(matches!(result, Err(VerifyError::Header(header)) if header == name));
    }
}

#[test]
fn headers_must_agree_with_the_body() {
    let at = now();
    let body = body(at);
    let verify =
        |headers: &HeaderMap| webhook::verify_hosted(&secret(), headers, body.as_bytes(), at);
    let mut other_id = hosted(at, &body);
    other_id.insert("x-webhook-delivery-id", HeaderValue::from_static("dlv_other"));
    assert!(matches!(verify(&other_id), Err(VerifyError::Body(_))));
    // Signed with another timestamp than the body has.
    assert!(matches!(
        verify(&hosted(Timestamp(at.millis() + 1), &body)),
        Err(VerifyError::Body(_))
    ));
    let mut not_to_the_digit = hosted(at, &body);
    let text = HeaderValue::try_from(format!("+{}", at.millis())).unwrap();
    not_to_the_digit.insert("x-webhook-timestamp", text);
    assert!(verify(&not_to_the_digit).is_err());
}

#[test]
fn the_standard_scheme_agrees_with_its_judge() {
    let at = now();
    let body = body(at);
    let headers = standard(at, &body);
    webhook::verify(&secret(), &headers, body.as_bytes(), at).unwrap();

    // And what we sign, the judge takes.
    let ours = signature::standard(&secret(), ID, at, body.as_bytes()).unwrap();
    assert_eq!(headers["webhook-signature"], ours.as_str());
    let judge = standardwebhooks::Webhook::new(secret().reveal()).unwrap();
    judge.verify(body.as_bytes(), &headers).unwrap();

    // While a secret is being changed, a delivery carries the old and the new signature.
    let mut two = headers.clone();
    let text = format!("v1,AAAA v1a,BBBB {ours}");
    two.insert("webhook-signature", HeaderValue::try_from(text).unwrap());
    webhook::verify(&secret(), &two, body.as_bytes(), at).unwrap();
    judge.verify(body.as_bytes(), &two).unwrap();

    let refused = |headers: &HeaderMap, body: &str, now| {
        webhook::verify_standard(&secret(), headers, body.as_bytes(), now).unwrap_err()
    };
    let changed = refused(&headers, &body.replace('ü', "u"), at);
    assert!(matches!(changed, VerifyError::Untrusted(Untrusted::Mismatch)));
    let far = Duration::from_millis(TOLERANCE_MS.unsigned_abs() + 1000);
    for wrong in [at + far, at - far] {
        let stale = refused(&headers, &body, wrong);
        assert!(matches!(stale, VerifyError::Untrusted(Untrusted::Stale)));
    }
    let mut other_id = headers.clone();
    other_id.insert("webhook-id", HeaderValue::from_static("dlv_other"));
    assert!(matches!(refused(&other_id, &body, at), VerifyError::Untrusted(Untrusted::Mismatch)));
    let mut huge = headers;
    huge.insert("webhook-timestamp", HeaderValue::from_static("9223372036854775807"));
    assert!(matches!(refused(&huge, &body, at), VerifyError::Header("webhook-timestamp")));
    assert!(matches!(refused(&HeaderMap::new(), &body, at), VerifyError::Header(_)));
}

#[test]
fn the_data_of_a_message_is_held_to_its_shape() {
    let at = now();
    let message = json!({
        "id": "msg_01h6x2c9q7mv3k5t1w4y8z0abc", "line_id": "ln_01h6x2c9q7mv3k5t1w4y8z0abc",
        "chat_id": "cht_01h6x2c9q7mv3k5t1w4y8z0abc", "guid": "G", "sender": "+15550100001",
        "text": "Hi", "attachments": [], "is_from_me": true, "sent_at": at, "synced_at": at,
        "line_handle": "+15550100001",
    });
    let delivery = |event: &str, data: &serde_json::Value| {
        let body = json!({ "event": event, "data": data, "timestamp": at, "delivery_id": ID });
        let body = body.to_string();
        webhook::verify(&secret(), &hosted(at, &body), body.as_bytes(), at).unwrap()
    };
    let sent = delivery("message.sent", &message).message().unwrap();
    assert_eq!((sent.message.guid.as_str(), sent.line_handle.as_str()), ("G", "+15550100001"));
    assert!(delivery("reaction.added", &message).message().is_err());
    // What a webhook brings is the same as what a stream brings; a newer event breaks nothing.
    let event = delivery("message.sent", &message).to_event().unwrap();
    assert!(matches!(event, Event::MessageSent(event) if event == sent));
    let newer = delivery("poll.closed", &json!({ "a": 1 }));
    let event = newer.to_event().unwrap();
    assert_eq!((newer.kind(), event.kind()), (None, None));
    assert!(
        matches!(event, Event::Unknown { name, data } if name == "poll.closed" && data["a"] == 1)
    );
    let mut bare = message;
    bare.as_object_mut().unwrap().remove("line_handle");
    assert!(delivery("message.sent", &bare).message().is_err());
}
