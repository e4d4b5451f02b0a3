//! GET and POST /v1/typing.

use serde_json::json;
use switchboard_model::{TypingIndicator, page::List};

use crate::{Accepted, Answer, Client, Result};

impl Client {
    /// Who types in the chat of the line `from` (a handle or `ln_…`) with `to` (a handle or
    /// `cht_…`), or did.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn typing(
        &self,
        from: impl AsRef<str> + Send,
        to: impl AsRef<str> + Send,
    ) -> Result<Answer<List<TypingIndicator>>> {
        let query = [("from", from.as_ref()), ("to", to.as_ref())];
        self.transport.get("/v1/typing", &query).await
    }

    /// Shows that the line types in this chat, or that it stopped. It goes off by itself after 60 s.
    ///
    /// # Errors
    /// Any [`crate::Error`]; `advanced_features_required` if the line can't do it.
    pub async fn set_typing(
        &self,
        from: impl AsRef<str> + Send,
        to: impl AsRef<str> + Send,
        on: bool,
    ) -> Result<Answer<Accepted>> {
        let state = if on { "on" } else { "off" };
        let body = json!({ "from": from.as_ref(), "to": to.as_ref(), "state": state });
        self.transport.post("/v1/typing", &body, 201).await
    }
}
