//! Deliveries: one event for one webhook, until it has arrived or is given up.

use switchboard_model::{
    Account, EventKind, Line, Scopes, Timestamp, Webhook,
    delivery::{AttemptResult, Delivery, DeliveryStatus, DueDelivery},
    event::Event,
    id::Id,
    page::{Cursor, Limit, Page},
    time::Now,
    webhook::DisabledReason,
};

use crate::{Grant, IdempotencyRecord, Idempotent, Result};

#[cfg(doc)]
use crate::Refusal;

/// Which webhooks a process delivers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// All: no other process can have this database.
    All,
    /// Those in these of the 256 parts of all webhooks ([`partition`]).
    Partitions(Vec<u8>),
}

/// In which of the 256 parts a webhook is.
pub fn partition(webhook: Id<Webhook>) -> u8 {
    webhook.to_bits().to_le_bytes()[0]
}

impl Owned {
    /// Whether this webhook is among them.
    pub fn has(&self, webhook: Id<Webhook>) -> bool {
        match self {
            Self::All => true,
            Self::Partitions(numbers) => numbers.contains(&partition(webhook)),
        }
    }
}

/// A webhook that has something to be delivered, now or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingWebhook {
    /// Which.
    pub webhook_id: Id<Webhook>,
    /// Whether deliveries wait that were not attempted in their round.
    pub has_untried: bool,
    /// When the first retry is due, by the steady clock; none if there is none.
    pub retry_at: Option<Timestamp>,
}

/// Which deliveries of a webhook are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueQuery {
    /// Of which webhook.
    pub webhook_id: Id<Webhook>,
    /// Those not attempted in their round: from this place on,
    pub from: i64,
    /// and at most so many.
    pub untried: usize,
    /// At most so many retries.
    pub retries: usize,
}

/// The deliveries of a webhook that may be attempted now.
#[derive(Debug, Clone)]
pub struct DueDeliveries {
    /// Of which webhook.
    pub webhook_id: Id<Webhook>,
    /// Whether the webhook is active: nothing of one that is not may be attempted.
    pub is_active: bool,
    /// Those not attempted in their round, in the order of their events, or of their rounds.
    pub untried: Vec<DueDelivery>,
    /// From which place on there may be more of them; none if there are none, or if none were asked for. None that is
    /// committed later comes before it. There may also be some that can't be read yet, because another one may still come
    /// before them: who reads on from here finds them a moment later.
    pub more_from: Option<i64>,
    /// Retries that are due, the oldest first.
    pub retries: Vec<DueDelivery>,
    /// When the next retry is due that is not among them; none if there is none.
    pub next_retry_at: Option<Timestamp>,
    /// Those that the webhook no longer names: to be given up.
    pub unnamed: Vec<i64>,
}

/// The deliveries that are due in the store, for who watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Of active webhooks; those with nothing due are left out.
    pub webhooks: Vec<WebhookBacklog>,
    /// Webhooks that are not active.
    pub disabled: u64,
}

/// What is due of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookBacklog {
    /// Which.
    pub webhook_id: Id<Webhook>,
    /// How many, at most [`MAX_COUNTED`].
    pub due: u64,
    /// Since when the oldest is due: of those that were not attempted yet, since they were made.
    pub since: Timestamp,
}

/// As far as the due deliveries of one webhook are counted: who watches must not slow down who works.
pub const MAX_COUNTED: u64 = 100_000;

/// Which deliveries are wanted: those that fit all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// This one.
    pub id: Option<Id<Delivery>>,
    /// Those of this webhook, which may be deleted by now.
    pub webhook_id: Option<Id<Webhook>>,
    /// Those that stand here.
    pub status: Option<DeliveryStatus>,
    /// Those of these events.
    pub event: Option<EventKind>,
    /// Those of this event.
    pub event_id: Option<Id<Event>>,
    /// Those of events from this time on,
    pub since: Option<Timestamp>,
    /// up to, and without, those of this time.
    pub until: Option<Timestamp>,
    /// Those of events on these lines; none for all lines.
    pub lines: Option<Vec<Id<Line>>>,
    /// Those of events that may be read with these scopes; none for all.
    pub scopes: Option<Scopes>,
}

/// The place in a list of deliveries: the event of the last one that was looked at, by its sequence
/// number, and the upper and lower half of the delivery's id.
pub type DeliveriesCursor = Cursor<3>;

/// Deliveries: one event for one webhook, until it has arrived or is given up.
#[async_trait::async_trait]
pub trait Deliveries: Send + Sync {
    /// What may be attempted now of each of these webhooks. A delivery that is under way is among them as long as
    /// what came of it is not settled: the caller knows which those are.
    async fn due_deliveries(&self, of: Vec<DueQuery>, now: Timestamp)
    -> Result<Vec<DueDeliveries>>;

    /// Active webhooks that have something to be delivered, by their ids; those behind `after`, and behind which
    /// to go on if there may be more.
    async fn waiting_webhooks(
        &self,
        after: Option<Id<Webhook>>,
    ) -> Result<(Vec<WaitingWebhook>, Option<Id<Webhook>>)>;

    /// No retry is due later than `latest` any more: after the schedule was shortened, or the clock set back.
    async fn bring_retries_forward(&self, latest: Timestamp) -> Result<()>;

    /// Gives up those of these deliveries, by their places, that their webhook does not name.
    async fn give_up_unnamed(&self, webhook: Id<Webhook>, of: Vec<i64>, now: Now) -> Result<()>;

    /// Writes down what came of attempts, in their order. A webhook of which nothing but failures
    /// came for [`DISABLED_AFTER_MS`](switchboard_model::webhook::DISABLED_AFTER_MS), with no
    /// [`SILENCE_MS`](switchboard_model::webhook::SILENCE_MS) between them, or that is gone, is disabled:
    /// answers which and why. Attempts at a URL that it does not have any more say nothing of it.
    async fn settle_deliveries(
        &self,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<(Id<Webhook>, DisabledReason)>>;

    /// Keeps this process, `node`, among those that share the database, and answers which webhooks are its own until
    /// `until`: its share. What it holds beyond that it lets go of, but for the parts `in_use`: those that it
    /// delivers to, or of which something is under way. What another process holds it gets when that lets go of it, or
    /// has not come back in time.
    async fn own_webhooks(
        &self,
        node: u128,
        in_use: Vec<u8>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Owned>;

    /// This process delivers no more: others may at once.
    async fn disown_webhooks(&self, node: u128) -> Result<()>;

    /// How much is due of active webhooks and since when, for who watches: counted up to a bound,
    /// with what is under way.
    async fn deliveries_backlog(&self, now: Now) -> Result<Backlog>;

    /// The deliveries of this account, each with its attempts: the newest event first. A page looks at so many
    /// at most: where few of many fit, it may hold less than `limit`, even none, and still not be the last.
    async fn deliveries(
        &self,
        account: Id<Account>,
        filter: DeliveryFilter,
        after: Option<DeliveriesCursor>,
        limit: Limit,
        now: Now,
    ) -> Result<Page<Delivery, 3>>;

    /// Makes a delivery due now, if its event is on a line that the key may use. One that was delivered
    /// or given up begins a new round of attempts, under the same id; what an attempt before that still reports
    /// counts no more. Answers whose it is. [`Refusal::DeliveryNotFound`], [`Refusal::InsufficientScope`] for its
    /// event, [`Refusal::WebhookDisabled`].
    async fn retry_delivery(
        &self,
        grant: Grant,
        id: Id<Delivery>,
        remember: Option<IdempotencyRecord>,
        now: Now,
    ) -> Result<Idempotent<Id<Webhook>>>;

    /// Gives up deliveries that are still to be tried of webhooks that are disabled and `owned`, but not those at the
    /// places `under_way`; and removes those of webhooks that were deleted: their events could never be forgotten
    /// otherwise. At most `limit`; answers how many.
    async fn give_up_deliveries(
        &self,
        now: Now,
        owned: Owned,
        under_way: Vec<i64>,
        limit: usize,
    ) -> Result<usize>;
}
