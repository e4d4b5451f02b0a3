//! GET and POST /v1/receipts.

use serde_json::json;
use switchboard_model::{ReadReceipt, page::List};

use crate::{Accepted, Answer, Client, Result};

impl Client {
    /// Who has read the chat of the line `from` (a handle or `ln_…`) with `to` (a handle or
    /// `cht_…`), and when.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn receipts(
        &self,
        from: impl AsRef<str> + Send,
        to: impl AsRef<str> + Send,
    ) -> Result<Answer<List<ReadReceipt>>> {
        let query = [("from", from.as_ref()), ("to", to.as_ref())];
        self.transport.get("/v1/receipts", &query).await
    }

    /// Marks the whole chat as read by the line.
    ///
    /// # Errors
    /// Any [`crate::Error`]; `advanced_features_required` if the line can't do it.
    pub async fn mark_read(
        &self,
        from: impl AsRef<str> + Send,
        to: impl AsRef<str> + Send,
    ) -> Result<Answer<Accepted>> {
        let body = json!({ "from": from.as_ref(), "to": to.as_ref() });
        self.transport.post("/v1/receipts", &body, 201).await
    }
}
