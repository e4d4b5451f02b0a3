//! Signing: the body of an attempt and the headers that prove it.
//!
//! For 24 hours after a rotation two secrets are valid: the endpoint may know the old one or the new. Standard Webhooks carry
//! both signatures at once. `X-Webhook-Signature` has room for one: that of the secret that the endpoint is thought to
//! take ([`SecretVersion`]).

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use serde_json::value::RawValue;
use switchboard_model::{
    Timestamp,
    delivery::{DeliveryBody, DueDelivery, Secrets},
    signature,
    time::Now,
    webhook::WebhookSecret,
};

/// One of the two secrets that are valid after a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SecretVersion {
    /// Until an endpoint refuses it, it takes what it took before the rotation.
    #[default]
    Previous,
    Current,
}

impl SecretVersion {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Previous => Self::Current,
            Self::Current => Self::Previous,
        }
    }

    /// The secret that is meant, of those that are valid.
    fn of(self, secrets: &Secrets, now: Timestamp) -> &WebhookSecret {
        match self {
            Self::Previous => secrets.previous_at(now).unwrap_or(&secrets.current),
            Self::Current => &secrets.current,
        }
    }
}

/// The body, and the headers that prove it: both schemes, signed afresh for this attempt (§9).
pub(super) fn signed(
    delivery: &DueDelivery,
    data: &RawValue,
    now: Now,
    secret: SecretVersion,
) -> Result<(HeaderMap, Vec<u8>), String> {
    let Now { wall, steady } = now;
    let body =
        DeliveryBody { event: delivery.event, data, timestamp: wall, delivery_id: delivery.id };
    let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
    let id = delivery.id.to_string();
    let secrets = &delivery.secrets;
    let hosted = signature::hosted(secret.of(secrets, steady), wall, &body);
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
    use super::*;

    #[test]
    fn each_name_means_its_secret() {
        let until = Timestamp(100);
        let [old, current] = [1, 2].map(|byte| WebhookSecret::from_random([byte; 32]));
        let secrets = Secrets { current: current.clone(), previous: Some((old.clone(), until)) };
        assert_eq!(SecretVersion::Previous.of(&secrets, Timestamp(1)), &old);
        assert_eq!(SecretVersion::Current.of(&secrets, Timestamp(1)), &current);
        assert_eq!(SecretVersion::Previous.of(&secrets, until), &current, "only one is valid");
    }
}
