//! POST and GET /v1/webhooks/replay (ext): events once more.

use std::fmt;

use serde::Serialize;
use switchboard_model::{Replay, Timestamp};

use crate::{Answer, Client, Result};

impl Client {
    /// Sends the events of a stretch of time to a webhook that has missed them. The replay works on by itself.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn create_replay(&self, replay: &CreateReplay) -> Result<Answer<Replay>> {
        self.transport.post("/v1/webhooks/replay", replay, 201).await
    }

    /// How far a replay is: `rpl_…`.
    ///
    /// # Errors
    /// Any [`crate::Error`].
    pub async fn replay(&self, id: impl fmt::Display + Send) -> Result<Answer<Replay>> {
        let id = id.to_string();
        self.transport.get("/v1/webhooks/replay", &[("id", &id)]).await
    }
}

/// A replay to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateReplay {
    /// The webhook: `wh_…`
    pub id: String,
    /// From the events of this time on.
    pub since: Timestamp,
    /// Up to, and without, those of this time; without it, to the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether what was delivered goes out again, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_delivered: bool,
}

impl CreateReplay {
    /// All that this webhook has missed since.
    pub fn since(id: impl fmt::Display, since: Timestamp) -> Self {
        Self { id: id.to_string(), since, until: None, include_delivered: false }
    }
}
