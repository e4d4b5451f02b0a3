//! Bridges, and what each of them carries.

use switchboard_model::{
    Bridge, Timestamp,
    id::Id,
    line::DriverKind,
    link::{CarriedLine, SendItem},
    secret::SecretHash,
};

use crate::Result;

#[cfg(doc)]
use crate::{Refusal, StoreError};

/// A link of a bridge: all that it writes is refused with [`StoreError::Fenced`] once a newer one has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Whose.
    pub bridge: Id<Bridge>,
    /// One more than that of the link before it.
    pub epoch: i64,
}

/// What a link begins with.
#[derive(Debug, Clone)]
pub struct OpenedLink {
    /// The link.
    pub link: Link,
    /// The lines that the bridge carries.
    pub lines: Vec<CarriedLine>,
    /// The items that the bridge holds claims on, oldest first: their outcome is unknown.
    pub claims: Vec<Claim>,
}

/// An item that a bridge holds.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Which.
    pub item: SendItem,
    /// The epoch of the link that claimed it.
    pub epoch: i64,
}

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

    /// Begins a link of this bridge, takes over what an older one held, and holds the claims until `lease_until`. What the
    /// older link still writes is refused from now on. [`Refusal::BridgeNotFound`].
    async fn open_link(&self, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<OpenedLink>;

    /// Whether no newer link of its bridge has begun.
    async fn is_newest_link(&self, link: Link) -> Result<bool>;

    /// Revokes a bridge. [`Refusal::BridgeNotFound`].
    async fn revoke_bridge(&self, id: Id<Bridge>, now: Timestamp) -> Result<Bridge>;
}
