//! POST /v1/audio-messages.

use serde::Serialize;

use crate::{Accepted, Answer, Client, Result};

impl Client {
    /// Hands a voice memo in. As with [`Client::send_message`], the answer says that it is
    /// accepted durably, not that it is sent.
    ///
    /// # Errors
    /// Any [`crate::Error`]; `advanced_features_required` if the line can't do it.
    pub async fn send_audio_message(&self, memo: &SendAudioMessage) -> Result<Answer<Accepted>> {
        self.transport.post("/v1/audio-messages", memo, 201).await
    }
}

/// A voice memo to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SendAudioMessage {
    /// The line: its handle or `ln_…`.
    pub from: String,
    /// The contact's handle, or `cht_…`.
    pub to: String,
    /// The uploaded audio file: `file_…`; m4a/aac, mp3, wav, caf or aiff.
    pub audio_message: String,
    /// The message it answers: `msg_…` or a guid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

impl SendAudioMessage {
    /// The voice memo in this file.
    pub fn new(
        from: impl Into<String>,
        to: impl Into<String>,
        file: impl std::fmt::Display,
    ) -> Self {
        let audio_message = file.to_string();
        Self { from: from.into(), to: to.into(), audio_message, reply_to: None }
    }

    /// Makes it the answer to this message: `msg_…` or a guid.
    #[must_use]
    pub fn reply_to(mut self, message: impl std::fmt::Display) -> Self {
        self.reply_to = Some(message.to_string());
        self
    }
}
