//! GET /v1/deliveries and POST /v1/deliveries/retry (ext): what became of each event on its way to a webhook.

use std::fmt;

use serde::{Deserialize, Serialize};
use switchboard_model::{Delivery, EventKind, Timestamp, delivery::DeliveryStatus, id::Id};

use crate::{Answer, Client, Pages, Result};

impl Client {
    /// Deliveries with their attempts, those of the newest event first: all that fit what is said of them. A page
    /// looks at a bounded number: where few of many fit, it may hold less than its limit, even none.
    pub fn deliveries(&self, of: &Deliveries) -> Pages<'_, Delivery> {
        let text = |value: &Option<String>| value.clone();
        let time = |value: Option<Timestamp>| value.map(|time| time.millis().to_string());
        let filters = [
            ("id", text(&of.id)),
            ("webhook_id", text(&of.webhook_id)),
            ("status", of.status.map(|status| status.as_str().to_owned())),
            ("event", of.event.map(|event| event.as_str().to_owned())),
            ("event_id", text(&of.event_id)),
            ("since", time(of.since)),
            ("until", time(of.until)),
        ];
        let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Pages::new(&self.transport, "/v1/deliveries", filters.collect())
    }

    /// Tries a delivery again, now: `dlv_…`. One that is over begins the schedule of attempts anew.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn retry_delivery(
        &self,
        id: impl fmt::Display + Send,
    ) -> Result<Answer<RetriedDelivery>> {
        let body = serde_json::json!({ "id": id.to_string() });
        self.transport.post("/v1/deliveries/retry", &body, 200).await
    }
}

/// Which deliveries are wanted: those that fit all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// This one: `dlv_…`
    pub id: Option<String>,
    /// Those of this webhook: `wh_…`
    pub webhook_id: Option<String>,
    /// Those that stand here.
    pub status: Option<DeliveryStatus>,
    /// Those of such events.
    pub event: Option<EventKind>,
    /// Those of this event: `evt_…`
    pub event_id: Option<String>,
    /// Those of events from this time on,
    pub since: Option<Timestamp>,
    /// up to, and without, those of this time.
    pub until: Option<Timestamp>,
}

impl Deliveries {
    /// This delivery.
    pub fn only(id: impl fmt::Display) -> Self {
        Self { id: Some(id.to_string()), ..Self::default() }
    }

    /// Those of this webhook.
    pub fn of_webhook(id: impl fmt::Display) -> Self {
        Self { webhook_id: Some(id.to_string()), ..Self::default() }
    }
}

/// A delivery that was made due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetriedDelivery {
    /// Its id.
    pub id: Id<Delivery>,
    /// Always due.
    pub status: DeliveryStatus,
}
