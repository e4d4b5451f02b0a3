//! Bridges, and what each of them carries.

use switchboard_model::{Bridge, Timestamp, id::Id, line::DriverKind, secret::SecretHash};

use crate::Result;

#[cfg(doc)]
use crate::Refusal;

/// Bridges, and what each of them carries.
#[async_trait::async_trait]
pub trait Bridges: Send + Sync {
    /// Makes a bridge. [`Refusal::BridgeExists`] if the name is taken.
    async fn create_bridge(
        &self,
        name: String,
        driver: DriverKind,
        token: SecretHash,
        now: Timestamp,
    ) -> Result<Bridge>;

    /// Makes sure that the simulator's own bridge exists, gives it this token, and
    /// gives it every line of the simulator.
    async fn ensure_simulator_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Bridge>;

    /// The bridge with this token, revoked ones too. Marks it as seen.
    async fn find_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Option<Bridge>>;

    /// Every bridge, oldest first.
    async fn bridges(&self) -> Result<Vec<Bridge>>;

    /// Revokes a bridge. [`Refusal::BridgeNotFound`].
    async fn revoke_bridge(&self, id: Id<Bridge>, now: Timestamp) -> Result<Bridge>;
}
