//! GET, POST, PATCH and DELETE /v1/webhooks, and what else can be done with one. What a webhook gets is verified in [`crate::webhook`].

use std::fmt;

use serde::{Deserialize, Serialize};
use switchboard_model::{
    Code, EventKind, Webhook,
    page::List,
    webhook::{RotatedWebhook, UpdatedWebhook, WebhookTest},
};

use crate::{Answer, Client, Result};

impl Client {
    /// The webhooks that get events of the line `from` (a handle or `ln_…`).
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn webhooks(&self, from: impl AsRef<str> + Send) -> Result<Answer<List<Webhook>>> {
        let query = [("from", from.as_ref())];
        self.transport.get("/v1/webhooks", &query).await
    }

    /// Makes a webhook. Its secret is in this answer and in no other.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn create_webhook(&self, webhook: &CreateWebhook) -> Result<Answer<Webhook>> {
        self.transport.post("/v1/webhooks", webhook, 201).await
    }

    /// Changes a webhook, disables it or enables it again (ext).
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn update_webhook(&self, update: &UpdateWebhook) -> Result<Answer<UpdatedWebhook>> {
        self.transport.patch("/v1/webhooks", update).await
    }

    /// Gives a webhook a new secret (ext). It is in this answer and in no other; the one before it is valid for
    /// 24 hours more.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn rotate_webhook_secret(
        &self,
        id: impl fmt::Display + Send,
    ) -> Result<Answer<RotatedWebhook>> {
        let body = serde_json::json!({ "id": id.to_string() });
        self.transport.post("/v1/webhooks/rotate", &body, 200).await
    }

    /// Sends an event that did not happen to a webhook, now and once, and says what came of it (ext).
    ///
    /// # Errors
    /// Any [`crate::Error`]; that the endpoint fails is none.
    pub async fn test_webhook(&self, id: impl fmt::Display + Send) -> Result<Answer<WebhookTest>> {
        let body = serde_json::json!({ "id": id.to_string() });
        self.transport.post("/v1/webhooks/test", &body, 200).await
    }

    /// Removes a webhook: `wh_…`. If the call is repeated because the first answer got lost,
    /// a webhook that is gone counts as deleted.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn delete_webhook(&self, id: impl fmt::Display + Send) -> Result<Answer<Deleted>> {
        let gone = Code::WebhookNotFound;
        self.transport.delete("/v1/webhooks", &id.to_string(), gone).await
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

/// What to change of a webhook: what is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UpdateWebhook {
    /// The webhook: `wh_…`
    pub id: String,
    /// Where the events go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Which events, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// Whether it gets any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}

impl UpdateWebhook {
    /// No change yet of this webhook.
    pub fn new(id: impl fmt::Display) -> Self {
        Self { id: id.to_string(), ..Self::default() }
    }

    /// Where the events go.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Which events.
    #[must_use]
    pub fn events(mut self, events: impl IntoIterator<Item = EventKind>) -> Self {
        self.events = Some(events.into_iter().map(|event| event.as_str().to_owned()).collect());
        self
    }

    /// Whether it gets any.
    #[must_use]
    pub fn active(mut self, is_active: bool) -> Self {
        self.is_active = Some(is_active);
        self
    }
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// Always true.
    pub deleted: bool,
}
