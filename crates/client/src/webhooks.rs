//! GET, POST and DELETE /v1/webhooks. What a webhook gets is verified in [`crate::webhook`].

use std::fmt;

use serde::{Deserialize, Serialize};
use switchboard_model::{Code, EventKind, Webhook, page::List};

use crate::{
    Answer, Client, Result,
    shape::{CREATED_WEBHOOK, DELETED, LISTED_WEBHOOK},
    transport::Expect,
};

impl Client {
    /// The webhooks that get events of the line `from` (a handle or `ln_…`).
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn webhooks(&self, from: impl AsRef<str> + Send) -> Result<Answer<List<Webhook>>> {
        let query = [("from", from.as_ref())];
        self.transport.get("/v1/webhooks", &query, Expect::Many(&LISTED_WEBHOOK)).await
    }

    /// Makes a webhook. Its secret is in this answer and in no other.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn create_webhook(&self, webhook: &CreateWebhook) -> Result<Answer<Webhook>> {
        self.transport.post("/v1/webhooks", webhook, 201, &CREATED_WEBHOOK).await
    }

    /// Removes a webhook: `wh_…`. If the call is repeated because the first answer got lost,
    /// a webhook that is gone counts as deleted.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn delete_webhook(&self, id: impl fmt::Display + Send) -> Result<Answer<Deleted>> {
        let gone = Code::WebhookNotFound;
        self.transport.delete("/v1/webhooks", &id.to_string(), gone, &DELETED).await
    }
}

/// A webhook to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CreateWebhook {
    /// The line, by handle or `ln_…`; empty for every line that the key may use.
    pub from: String,
    /// Where the events go.
    pub url: String,
    /// Which events, by name.
    pub events: Vec<String>,
}

impl CreateWebhook {
    /// A webhook for these events.
    pub fn new(
        from: impl Into<String>,
        url: impl Into<String>,
        events: impl IntoIterator<Item = EventKind>,
    ) -> Self {
        let events = events.into_iter().map(|event| event.as_str().to_owned()).collect();
        Self { from: from.into(), url: url.into(), events }
    }
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// Always true.
    pub deleted: bool,
}
