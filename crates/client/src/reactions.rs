//! GET and POST /v1/reactions.

use std::fmt;

use serde::Serialize;
use switchboard_model::{Reaction, page::List};

use crate::{Accepted, Answer, Client, Result};

impl Client {
    /// What was said about a message (`msg_…` or a guid); removed reactions with `added: false`.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn reactions(
        &self,
        message: impl fmt::Display + Send,
    ) -> Result<Answer<List<Reaction>>> {
        let message = message.to_string();
        let query = [("message_id", message.as_str())];
        self.transport.get("/v1/reactions", &query).await
    }

    /// Hands a reaction in, or the removal of one.
    ///
    /// # Errors
    /// Any [`crate::Error`]; `advanced_features_required` if the line can't do it.
    pub async fn send_reaction(&self, reaction: &SendReaction) -> Result<Answer<Accepted>> {
        self.transport.post("/v1/reactions", reaction, 201).await
    }
}

/// A reaction to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SendReaction {
    /// The line: its handle or `ln_…`.
    pub from: String,
    /// The contact's handle, or `cht_…`: the chat in which the message stands.
    pub to: String,
    /// The message: `msg_…` or a guid.
    pub message_id: String,
    /// `love`, `like`, `dislike`, `laugh`, `emphasize`, `question`, or one emoji.
    #[serde(rename = "type")]
    pub reaction_type: String,
    /// Whether the reaction is taken back (ext).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<bool>,
}

impl SendReaction {
    /// This reaction to this message. The server judges whether there is such a reaction.
    pub fn new(
        from: impl Into<String>,
        to: impl Into<String>,
        message: impl fmt::Display,
        reaction_type: impl fmt::Display,
    ) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            message_id: message.to_string(),
            reaction_type: reaction_type.to_string(),
            remove: None,
        }
    }

    /// Takes the reaction back instead.
    #[must_use]
    pub fn remove(mut self) -> Self {
        self.remove = Some(true);
        self
    }
}
