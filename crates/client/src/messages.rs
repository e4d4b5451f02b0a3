//! GET and POST /v1/messages.

use serde::{Deserialize, Serialize};
use switchboard_model::{Message, OutboxItem, id::Id, outbox::OutboxStatus};

use crate::{Answer, Client, Pages, Result};

impl Client {
    /// The messages between the line `from` (a handle or `ln_…`) and `to` (a handle or
    /// `cht_…`), newest first.
    pub fn messages(&self, from: impl Into<String>, to: impl Into<String>) -> Pages<'_, Message> {
        let filters = vec![("from", from.into()), ("to", to.into())];
        Pages::new(&self.transport, "/v1/messages", filters)
    }

    /// Hands a message in. The answer says that it is accepted durably, not that it is sent:
    /// [`Client::outbox`] and the event `message.sent` say that.
    ///
    /// # Errors
    /// Any [`crate::Error`]. After [`crate::Error::Transport`] it is not known whether the
    /// message was accepted.
    pub async fn send_message(&self, message: &SendMessage) -> Result<Answer<Accepted>> {
        self.transport.post("/v1/messages", message, 201).await
    }
}

/// A message to be sent. Plain text as the caller has it: the server is the one that judges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SendMessage {
    /// The line: its handle or `ln_…`.
    pub from: String,
    /// The contact's handle, or `cht_…`.
    pub to: String,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Files, `file_…`; at most one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
    /// The message it answers: `msg_…` or a guid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

impl SendMessage {
    /// A text.
    pub fn text(from: impl Into<String>, to: impl Into<String>, text: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), text: Some(text.into()), ..Self::default() }
    }

    /// A file that was uploaded, `file_…`, with no text.
    pub fn file(
        from: impl Into<String>,
        to: impl Into<String>,
        file: impl std::fmt::Display,
    ) -> Self {
        Self { from: from.into(), to: to.into(), ..Self::default() }.attach(file)
    }

    /// Adds a file that was uploaded: `file_…`.
    #[must_use]
    pub fn attach(mut self, file: impl std::fmt::Display) -> Self {
        self.attachments.push(file.to_string());
        self
    }

    /// Makes it the answer to this message: `msg_…` or a guid.
    #[must_use]
    pub fn reply_to(mut self, message: impl Into<String>) -> Self {
        self.reply_to = Some(message.into());
        self
    }
}

/// What was accepted: exactly these, and the request id beside it (§6).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    /// The outbox item.
    pub id: Id<OutboxItem>,
    /// Always pending.
    pub status: OutboxStatus,
}
