//! What goes into the store and comes out of it, where the model's own resources do not say it all.

use std::sync::Arc;

use serde_json::value::RawValue;
use switchboard_model::{
    Account, Bridge, Chat, EventKind, Handle, Line, OutboxItem, Scopes, Timestamp, Webhook,
    chat::Recipient,
    delivery::DueDelivery,
    event::Event,
    id::Id,
    line::{DriverKind, LineService},
    link::{Content, Outcome, ReceivedEntry},
    message::MessageRef,
    secret::SecretHash,
    webhook::WebhookSecret,
};

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose.
    pub account_id: Option<Id<Account>>,
    /// Its name.
    pub name: String,
    /// The last letters of the secret.
    pub hint: String,
    /// The hash of the secret.
    pub hash: SecretHash,
    /// What it may do.
    pub scopes: Scopes,
    /// The lines it is restricted to.
    pub line_ids: Option<Vec<Id<Line>>>,
    /// Requests an hour.
    pub rate_limit: Option<u32>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A line to be made.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// Whose.
    pub account_id: Id<Account>,
    /// Its handle.
    pub handle: Handle,
    /// What the owner calls it.
    pub label: Option<String>,
    /// What it sends by.
    pub service: LineService,
    /// How it is carried.
    pub driver: DriverKind,
    /// By which bridge; of a line of the simulator, left to the store.
    pub bridge_id: Option<Id<Bridge>>,
    /// Whether contacts must write first.
    pub contact_first: bool,
}

/// An account with its first line and key.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The account's name.
    pub account: String,
    /// The line's handle; the simulator carries it.
    pub line: Handle,
    /// The line's label.
    pub label: String,
    /// The key's name.
    pub key: String,
    /// The last letters of the key.
    pub hint: String,
    /// The hash of the key.
    pub hash: SecretHash,
}

/// A write for the outbox.
#[derive(Debug, Clone)]
pub struct Accept {
    /// Who writes.
    pub account_id: Id<Account>,
    /// By which line.
    pub line_id: Id<Line>,
    /// To whom.
    pub to: Recipient,
    /// What; a reply's guid is filled in by the store from `reply_to`.
    pub text: String,
    /// The message it answers.
    pub reply_to: Option<MessageRef>,
    /// Whether it names a file. No file is kept yet, so none is found ([`crate::Refusal::FileNotFound`]).
    pub attached: bool,
    /// The request's own fields, to be shown again.
    pub payload: Box<RawValue>,
}

/// What was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The item.
    pub id: Id<OutboxItem>,
    /// The chat it goes to.
    pub chat_id: Id<Chat>,
}

/// An item that a bridge holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedItem {
    /// The item.
    pub id: Id<OutboxItem>,
    /// Its line.
    pub line_id: Id<Line>,
    /// Its chat.
    pub chat_id: Id<Chat>,
    /// The chat as the driver knows it.
    pub identifier: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// What is sent.
    pub content: Content,
}

/// What came of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleReport {
    /// The item.
    pub id: Id<OutboxItem>,
    /// What came of it.
    pub outcome: Outcome,
    /// For an item that goes back: whether that was an attempt. It is when the bridge
    /// was lost before it began, and not when the bridge gave it back in good order.
    pub counts_as_attempt: bool,
}

/// What a transaction has made known, for those who wait: copies only, the truth is in the store.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// Events, in their order.
    pub events: Vec<CommittedEvent>,
    /// Deliveries, leased to the caller.
    pub deliveries: Vec<DueDelivery>,
    /// Lines that have items to claim again.
    pub released: Vec<Id<Line>>,
}

/// The deliveries that wait, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The webhooks that have deliveries which are due.
    pub webhooks: Vec<Id<Webhook>>,
    /// When the next one is due that is not due yet; none if there is none.
    pub next_at: Option<Timestamp>,
}

/// One event that was committed.
#[derive(Debug, Clone)]
pub struct CommittedEvent {
    /// Its place in the order of all events.
    pub seq: i64,
    /// Its id.
    pub id: Id<Event>,
    /// Whose it is.
    pub account_id: Id<Account>,
    /// On which line.
    pub line_id: Id<Line>,
    /// In which chat.
    pub chat_id: Option<Id<Chat>>,
    /// What happened.
    pub kind: EventKind,
    /// To what.
    pub data: Arc<RawValue>,
    /// When.
    pub created_at: Timestamp,
}

/// What became of an inbound batch.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// One for each entry, in order.
    pub results: Vec<ReceivedEntry>,
    /// What it made known.
    pub committed: Committed,
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Whose.
    pub account_id: Id<Account>,
    /// The lines whose events it gets; none means every line of the account, future ones too.
    pub line_ids: Option<Vec<Id<Line>>>,
    /// Where events go.
    pub url: String,
    /// Which events.
    pub events: Vec<EventKind>,
    /// What deliveries are signed with.
    pub secret: WebhookSecret,
}
