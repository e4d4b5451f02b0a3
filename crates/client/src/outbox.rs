//! GET /v1/outbox.

use std::fmt;

use switchboard_model::OutboxItem;

use crate::{Answer, Client, Result};

impl Client {
    /// What became of an item: `obx_…`.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn outbox(&self, id: impl fmt::Display + Send) -> Result<Answer<OutboxItem>> {
        let id = id.to_string();
        self.transport.get("/v1/outbox", &[("id", &id)]).await
    }
}
