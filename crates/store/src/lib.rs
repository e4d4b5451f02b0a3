//! Where things are kept; the only crate with SQL.
//!
//! [`Store`] is the seam: one method is one transaction, and its name is the
//! promise. When a method that writes returns `Ok`, what it wrote survives
//! `kill -9` and loss of power. No method takes or returns a type of a database.
//!
//! Every method that serves a caller takes the owner's account and finds nothing
//! of another's: "not yours" and "does not exist" are the same answer.
//!
//! Two clocks are told apart: `now` in a method that stamps what people see is the wall clock's, and whatever is
//! due, leased or remembered for some time is counted by the steady clock ([`switchboard_model::time::Clock`]). A
//! method that needs both takes [`switchboard_model::time::Now`].

mod accounts;
mod base;
mod bridges;
mod chats;
mod clocks;
mod deliveries;
mod error;
mod events;
mod files;
mod health;
mod idempotency;
mod inbox;
mod keys;
mod lines;
mod messages;
mod news;
mod outbox;
pub mod postgres;
mod reactions;
mod receipts;
mod replays;
mod sandbox;
mod secrets;
pub mod sqlite;
mod typing;
mod webhooks;

use std::sync::Arc;

use switchboard_model::delivery::DueDelivery;

pub use accounts::{Accounts, Seed};
pub use base::secret_key::SecretKeyProblem;
pub use bridges::{Bridges, Claim, Link, OpenedLink};
pub use chats::{Chats, ChatsCursor};
pub use clocks::{Clocks, SavedClock};
pub use deliveries::{
    Backlog, Deliveries, DeliveriesCursor, DeliveryFilter, DueDeliveries, DueQuery, MAX_COUNTED,
    Owned, WaitingWebhook, WebhookBacklog, partition,
};
pub use error::{Outage, Refusal, StoreError};
pub use events::{Committed, CommittedEvent, Cutoff, EventPosition, Events, EventsAfter, Pruned};
pub use files::Files;
pub use health::{
    COMMIT_SECONDS, CommitTimes, DriverFigures, Health, LineFigures, MAX_PENDING_COUNTED,
    ReasonFigures, StoreStats, WaitingLine,
};
pub use idempotency::{Idempotency, IdempotencyRecord, IdempotencyRecordWith, Idempotent};
pub use inbox::{Inbox, KnownHistory, Received};
pub use keys::{Keys, NewKey, Revoked};
pub use lines::{LineChanges, Lines, NewLine, TakeOver};
pub use messages::{Messages, MessagesCursor};
pub use news::{Changed, News};
pub use outbox::{Accept, Accepted, NewContent, Outbox, SettleReport};
pub use reactions::Reactions;
pub use receipts::Receipts;
pub use replays::{NewReplay, Replays};
pub use sandbox::Sandboxes;
pub use secrets::ServerSecrets;
pub use typing::Typing;
pub use webhooks::{Endpoint, Grant, NewWebhook, WebhookChanges, Webhooks};

/// What a method answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Who is told of commits: by the thread that commits, so it must not take long.
pub trait Observer: Send + Sync {
    /// A transaction was committed that made these deliveries. Told in the order of the commits, which is that of the
    /// events; only by a store that nobody else writes to. Others tell of them by [`Observer::news`].
    fn deliveries(&self, made: Vec<DueDelivery>);

    /// There is something new, made by a commit of this process or of another. Told once it can be read, which may be later
    /// than the commit: events and deliveries are read in their order, and one before them may still be on its way. Of what
    /// this process has done itself, only events and deliveries are told.
    fn news(&self, news: News);

    /// A transaction was committed that changed this: whoever remembers it must read it anew. Told before the
    /// caller is answered.
    fn changed(&self, changed: Changed);

    /// Another process has committed something: whatever is remembered of the store may be old.
    fn foreign_commit(&self);
}

/// All that is kept: one trait a noun. Behind it is one database; SQLite here, PostgreSQL for several nodes.
#[async_trait::async_trait]
pub trait Store:
    Accounts
    + Keys
    + Lines
    + Bridges
    + Outbox
    + Inbox
    + Chats
    + Messages
    + Reactions
    + Typing
    + Receipts
    + Files
    + Sandboxes
    + Events
    + Idempotency
    + Webhooks
    + Deliveries
    + Replays
    + Clocks
    + ServerSecrets
    + Health
    + std::fmt::Debug
{
    /// Says who is told of commits from now on. The first who says so is told.
    fn observe(&self, observer: Arc<dyn Observer>);

    /// Finishes what was begun and closes the database. Later calls answer [`StoreError::Closed`].
    async fn close(&self);
}
