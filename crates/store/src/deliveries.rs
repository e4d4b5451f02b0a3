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
use tokio::sync::mpsc::UnboundedSender;

use crate::{Grant, IdempotencyRecord, Idempotent, Result};

#[cfg(doc)]
use crate::Refusal;

/// The deliveries that wait, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The webhooks that have deliveries which are due.
    pub webhooks: Vec<Id<Webhook>>,
    /// When the next one is due that is not due yet; none if there is none.
    pub next_at: Option<Timestamp>,
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
    /// Leases due deliveries of these active webhooks to the caller, at most so many of each. Those
    /// that were given back unattempted come in event order; of the others the oldest come first,
    /// and get a quarter of a webhook's number at least. What its webhook no longer names is given up instead.
    async fn claim_deliveries(
        &self,
        now: Now,
        lease_until: Timestamp,
        of: Vec<(Id<Webhook>, usize)>,
    ) -> Result<Vec<DueDelivery>>;

    /// Gives leased deliveries back unattempted: they are due again at once.
    async fn release_deliveries(&self, ids: Vec<Id<Delivery>>, now: Timestamp) -> Result<()>;

    /// Makes every leased delivery due again: at the start of the only server on this database. None is due later
    /// than `latest` after that. Answers which webhooks have deliveries that were not attempted yet.
    async fn release_all_deliveries(
        &self,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Vec<Id<Webhook>>>;

    /// Writes down what came of attempts, in their order. A webhook of which nothing but failures
    /// came for [`DISABLED_AFTER_MS`](switchboard_model::webhook::DISABLED_AFTER_MS), with no
    /// [`SILENCE_MS`](switchboard_model::webhook::SILENCE_MS) between them, or that is gone, is disabled:
    /// answers which and why. Attempts at a URL that it does not have any more say nothing of it.
    async fn settle_deliveries(
        &self,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<(Id<Webhook>, DisabledReason)>>;

    /// Says who gets the deliveries that transactions make from now on: right after each commit and in the order of
    /// the commits, which is that of the events. The first who says so gets them.
    fn hand_over_to(&self, receiver: UnboundedSender<Vec<DueDelivery>>);

    /// What is due of active webhooks, and what will be.
    async fn due_deliveries(&self, now: Timestamp) -> Result<Due>;

    /// How much is due of active webhooks and since when, for who watches: counted up to a bound, and not
    /// what is leased.
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

    /// Gives up deliveries that are still to be tried, and that nobody has leased, of webhooks that are
    /// disabled, and removes those of webhooks that were deleted: their events could never be forgotten
    /// otherwise. At most `limit`; answers how many.
    async fn give_up_deliveries(&self, now: Now, limit: usize) -> Result<usize>;
}
