//! Replays: the events of a stretch of time, sent once more to a webhook that has missed them (ext).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, Kind},
    time::Timestamp,
    webhook::Webhook,
};

/// The most replays of one webhook that run at a time.
pub const MAX_RUNNING: usize = 10;

/// Events that are sent again, or for the first time to a webhook that has missed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-complete" = true))]
pub struct Replay {
    /// The replay's id.
    pub id: Id<Replay>,
    /// The webhook that gets the events.
    pub webhook_id: Id<Webhook>,
    /// From the events of this time on.
    pub since: Timestamp,
    /// Up to, and without, those of this time.
    pub until: Timestamp,
    /// Whether what was delivered goes out, too.
    #[schemars(example = false)]
    pub include_delivered: bool,
    /// Where it stands.
    pub status: ReplayStatus,
    /// How much of its events were looked at, in percent.
    #[schemars(example = 0)]
    pub progress: u8,
    /// How many deliveries it has made due.
    #[schemars(example = 0)]
    pub queued: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When all its deliveries were due.
    #[schemars(example = ())]
    pub finished_at: Option<Timestamp>,
}

impl Kind for Replay {
    const PREFIX: &'static str = "rpl_";
}

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayStatus {
    /// Events are still looked at; or will be again, once its webhook is enabled.
    Running,
    /// All deliveries of it are due, or were.
    Done,
}

impl ReplayStatus {
    /// Its name, the same in JSON and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
        }
    }

    /// The status with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Done].into_iter().find(|one| one.as_str() == name)
    }
}
