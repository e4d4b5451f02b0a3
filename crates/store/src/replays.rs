//! Replays: events of the past, once more for one webhook.

use switchboard_model::{Replay, Timestamp, Webhook, id::Id, time::Now};

use crate::{Grant, IdempotencyRecordWith, Idempotent, Result};

#[cfg(doc)]
use crate::Refusal;

/// A replay to be made.
#[derive(Debug, Clone)]
pub struct NewReplay {
    /// Its id: given by the caller, so that the answer can be made before the transaction.
    pub id: Id<Replay>,
    /// The webhook that gets the events.
    pub webhook_id: Id<Webhook>,
    /// From the events of this time on,
    pub since: Timestamp,
    /// up to, and without, those of this time.
    pub until: Timestamp,
    /// Whether what was delivered already goes out again too.
    pub include_delivered: bool,
    /// The most replays of the account that may run at once.
    pub most_of_account: u32,
}

/// Replays: events of the past, once more for one webhook.
#[async_trait::async_trait]
pub trait Replays: Send + Sync {
    /// Makes a replay, which runs until [`Replays::advance_replay`] has led it to its end: over the events
    /// that there are now. What is refused for webhooks, then [`Refusal::WebhookDisabled`],
    /// [`Refusal::TooManyReplays`], [`Refusal::TooManyReplaysOfAccount`].
    async fn create_replay(
        &self,
        grant: Grant,
        replay: NewReplay,
        remember: Option<IdempotencyRecordWith<Replay>>,
        now: Timestamp,
    ) -> Result<Idempotent<Replay>>;

    /// A replay of this account. A key that is restricted to some lines finds none of a webhook that is gone, which
    /// is of no line any more. [`Refusal::LineNotAccessible`], [`Refusal::WebhookForAllLines`].
    async fn replay(&self, grant: Grant, id: Id<Replay>) -> Result<Option<Replay>>;

    /// The replays that run and whose webhook is not disabled, at most `limit`: those made after `after`, oldest
    /// first, and then from the oldest of all on. Who goes on after the last has them all in turn.
    async fn running_replays(
        &self,
        after: Option<Id<Replay>>,
        limit: usize,
    ) -> Result<Vec<Id<Replay>>>;

    /// Looks at the next events of a replay, at most `limit`, in their order. One that the webhook wants and
    /// never had becomes a delivery that is due now; one whose delivery was given up begins a new round, and so does
    /// one that was delivered, if that is wanted. The place is kept with it, so none is made due twice.
    /// The replay of a webhook that is disabled stays where it is, and that of one that was deleted is done. None
    /// if there is no such replay.
    async fn advance_replay(
        &self,
        id: Id<Replay>,
        limit: usize,
        now: Now,
    ) -> Result<Option<Replay>>;

    /// Forgets replays that were done before `before`, by the steady clock, at most `limit`; answers how many.
    async fn prune_replays(&self, before: Timestamp, limit: usize) -> Result<usize>;
}
