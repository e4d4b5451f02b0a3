//! Bridges: the processes beside Messages that carry lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, Kind},
    line::DriverKind,
    time::Timestamp,
};

/// A process beside Messages, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bridge {
    /// The bridge's id.
    pub id: Id<Bridge>,
    /// What the operator calls it; unique.
    #[schemars(example = &"mac mini")]
    pub name: String,
    /// How it talks to Messages.
    #[schemars(example = &"imsg")]
    pub driver: DriverKind,
    /// When it last spoke to this server.
    pub last_seen_at: Option<Timestamp>,
    /// Since then it is refused.
    #[schemars(example = ())]
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Kind for Bridge {
    const PREFIX: &'static str = "brg_";
}
