//! Bridges: the processes beside Messages that carry lines.

use serde::{Deserialize, Serialize};

use crate::{
    id::{Id, Kind},
    line::DriverKind,
    time::Timestamp,
};

/// A bridge as the operator sees it. It dials the server and proves itself with its own token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// `brg_…`
    pub id: Id<Bridge>,
    /// What the operator calls it; unique.
    pub name: String,
    /// How it talks to Messages.
    pub driver: DriverKind,
    /// When it last spoke to this server.
    pub last_seen_at: Option<Timestamp>,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Kind for Bridge {
    const PREFIX: &'static str = "brg_";
}
