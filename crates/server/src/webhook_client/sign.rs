//! Signing: the body of an attempt and the headers that prove it.
//!
//! For 24 hours after a rotation two secrets are valid: the endpoint may know the old one or the new. Standard Webhooks carry both signatures at once. `X-Webhook-Signature` carries only one, so it is made with the
//! secret that the endpoint has accepted last, at first the old one. After an answer that is no 2xx, the next attempt
//! takes the other: of that delivery, which may have been refused for another reason, and of all that were not
//! tried yet, for a breaker may let nothing else out. So an endpoint that has switched is found out with the few attempts
//! that are in flight, and what it refused comes again. All of this is memory that may be lost: it costs such attempts.

use std::sync::{Mutex, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use quick_cache::unsync::Cache;
use serde_json::value::RawValue;
use switchboard_model::{
    Timestamp, Webhook,
    delivery::{Delivery, DeliveryBody, DueDelivery, Secrets},
    id::Id,
    signature,
    time::Now,
    webhook::WebhookSecret,
};

/// The most webhooks, and the most deliveries, that are remembered.
const MOST: usize = 8192;

/// One of two secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Old,
    New,
}

impl Which {
    fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }

    /// The secret that is meant, of those that are valid.
    pub(super) fn of(self, secrets: &Secrets, now: Timestamp) -> &WebhookSecret {
        match self {
            Self::Old => secrets.previous_at(now).unwrap_or(&secrets.current),
            Self::New => &secrets.current,
        }
    }
}

/// What is known of endpoints whose secret was rotated.
#[derive(Debug, Default)]
pub(super) struct Rotations(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// What is good for each webhook, by its last answer.
    good: Cache<Id<Webhook>, Which>,
    /// What each delivery was refused with last.
    refused: Cache<Id<Delivery>, Which>,
}

impl Default for Known {
    fn default() -> Self {
        Self { good: Cache::new(MOST), refused: Cache::new(MOST) }
    }
}

impl Rotations {
    /// What an attempt is signed with; none while there is only one secret.
    pub(super) fn choose(&self, delivery: &DueDelivery, now: Timestamp) -> Option<Which> {
        delivery.secrets.previous_at(now)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = known.good.get(&delivery.webhook_id).copied().unwrap_or(Which::Old);
        Some(known.refused.get(&delivery.id).map_or(good, |refused| refused.other()))
    }

    /// The endpoint has answered an attempt that was signed with this.
    pub(super) fn note(&self, delivery: &DueDelivery, which: Which, accepted: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { good, refused } = &mut *known;
        if accepted {
            refused.remove(&delivery.id);
            good.insert(delivery.webhook_id, which);
        } else {
            refused.insert(delivery.id, which);
            good.insert(delivery.webhook_id, which.other());
        }
    }

    /// The webhook's secret was rotated: what it accepted before was another's.
    pub(super) fn forget(&self, webhook: Id<Webhook>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).good.remove(&webhook);
    }
}

/// The body, and the headers that prove it: both schemes, signed afresh for this attempt (§9). While two
/// secrets are valid, Standard Webhooks carry a signature of each; the other scheme has room for that of `which`.
pub(super) fn signed(
    delivery: &DueDelivery,
    data: &RawValue,
    now: Now,
    which: Option<Which>,
) -> Result<(HeaderMap, Vec<u8>), String> {
    let Now { wall, steady } = now;
    let body =
        DeliveryBody { event: delivery.event, data, timestamp: wall, delivery_id: delivery.id };
    let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
    let id = delivery.id.to_string();
    let secrets = &delivery.secrets;
    let hosted = which.map_or(&secrets.current, |which| which.of(secrets, steady));
    let hosted = signature::hosted(hosted, wall, &body);
    let mut standard = signature::standard(&secrets.current, &id, wall, &body)
        .ok_or("the webhook's secret has no base64 part")?;
    if let Some(old) = secrets.previous_at(steady)
        && let Some(old) = signature::standard(old, &id, wall, &body)
    {
        standard.push(' ');
        standard.push_str(&old);
    }
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("x-webhook-timestamp", wall.millis().to_string()),
        ("x-webhook-delivery-id", id.clone()),
        ("x-webhook-signature", hosted),
        ("webhook-id", id),
        ("webhook-timestamp", wall.seconds().to_string()),
        ("webhook-signature", standard),
    ] {
        let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok((headers, body))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::value::RawValue;
    use switchboard_model::EventKind;

    use super::*;

    const UNTIL: Timestamp = Timestamp(100);

    fn delivery(webhook_id: Id<Webhook>) -> DueDelivery {
        let secret = |byte| WebhookSecret::from_random([byte; 32]);
        let secrets = Secrets { current: secret(2), previous: Some((secret(1), UNTIL)) };
        DueDelivery {
            seq: 1,
            id: Id::generate(),
            webhook_id,
            account_id: Id::generate(),
            url: "https://example.com".into(),
            secrets: Arc::new(secrets),
            event: EventKind::MessageSent,
            chat_id: None,
            data: Arc::from(RawValue::from_string("{}".into()).unwrap()),
            attempts: 0,
            since: Timestamp(0),
        }
    }

    #[test]
    fn an_endpoint_that_switches_is_followed() {
        let (rotations, webhook) = (Rotations::default(), Id::generate());
        let (first, second) = (delivery(webhook), delivery(webhook));
        let chosen = |delivery| rotations.choose(delivery, Timestamp(1));
        assert_eq!(chosen(&first), Some(Which::Old));
        rotations.note(&first, Which::Old, true);
        assert_eq!(chosen(&second), Some(Which::Old));
        // It has switched: the next attempt finds out, be it of what was refused or of another.
        rotations.note(&second, Which::Old, false);
        assert_eq!((chosen(&second), chosen(&first)), (Some(Which::New), Some(Which::New)));
        rotations.note(&second, Which::New, true);
        assert_eq!((chosen(&second), chosen(&first)), (Some(Which::New), Some(Which::New)));
        // One that is refused for another reason alternates, and takes the others with it until one is accepted.
        rotations.note(&first, Which::New, false);
        assert_eq!(chosen(&first), Some(Which::Old));
        rotations.note(&first, Which::Old, false);
        assert_eq!(chosen(&first), Some(Which::New));
        rotations.note(&delivery(webhook), Which::New, true);
        assert_eq!(chosen(&second), Some(Which::New));
        rotations.forget(webhook);
        assert_eq!(chosen(&delivery(webhook)), Some(Which::Old));
        assert_eq!(rotations.choose(&first, UNTIL), None, "only one is valid");
    }

    #[test]
    fn each_name_means_its_secret() {
        let secrets = delivery(Id::generate()).secrets;
        let old = &secrets.previous.as_ref().unwrap().0;
        assert_eq!(Which::Old.of(&secrets, Timestamp(1)), old);
        assert_eq!(Which::New.of(&secrets, Timestamp(1)), &secrets.current);
        assert_eq!(Which::Old.of(&secrets, UNTIL), &secrets.current);
    }
}
