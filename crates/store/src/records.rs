//! What goes into the store and comes out of it, where the model's own resources do not say it all.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use switchboard_model::{
    Account, Bridge, Chat, EventKind, File, Handle, Key, Line, OutboxItem, ReactionType, Scopes,
    Timestamp, Webhook,
    chat::Recipient,
    delivery::{Delivery, DeliveryStatus, DueDelivery, Secrets},
    event::Event,
    id::Id,
    idempotency::{IdempotencyScope, RememberedAnswer},
    line::{DriverKind, LineService},
    link::{Content, Outcome, ReceivedEntry},
    message::MessageRef,
    replay::Replay,
    secret::SecretHash,
    webhook::WebhookSecret,
};

use crate::Refusal;

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
    /// Whether it is the shared sandbox line; there is at most one.
    pub is_sandbox: bool,
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
    /// The handle of the shared sandbox line; the simulator carries it, too.
    pub sandbox_line: Handle,
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
    /// The item's id: given by the caller, so that the answer can be made before the transaction.
    pub id: Id<OutboxItem>,
    /// Who writes.
    pub account_id: Id<Account>,
    /// By which line.
    pub line_id: Id<Line>,
    /// To whom.
    pub to: Recipient,
    /// What; the store fills in the guids.
    pub content: NewContent,
    /// The lines that the caller's key is restricted to; needed only if there is a file, which may be another line's.
    pub lines: Option<Vec<Id<Line>>>,
    /// The request's own fields, to be shown again.
    pub payload: Box<RawValue>,
}

impl NewContent {
    /// Whether a file goes with it.
    pub fn has_file(&self) -> bool {
        matches!(self, Self::Message { attachment: Some(_), .. } | Self::AudioMessage { .. })
    }
}

/// What a write is, as its caller names things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewContent {
    /// A message, with a text or a file or both.
    Message {
        /// The text.
        text: Option<String>,
        /// The file.
        attachment: Option<Id<File>>,
        /// The message it answers.
        reply_to: Option<MessageRef>,
    },
    /// A voice memo. Needs [`switchboard_model::line::Capability::AudioMessages`].
    AudioMessage {
        /// The file, which must be audio.
        file: Id<File>,
        /// The message it answers.
        reply_to: Option<MessageRef>,
    },
    /// A reaction. Needs [`switchboard_model::line::Capability::Reactions`].
    Reaction {
        /// The message, of this chat.
        message: MessageRef,
        /// What it says.
        reaction_type: ReactionType,
        /// Whether it is taken back.
        remove: bool,
    },
    /// The line types, or stops. Needs [`switchboard_model::line::Capability::Typing`].
    Typing {
        /// Whether it types.
        on: bool,
    },
    /// The whole chat is marked as read. Needs [`switchboard_model::line::Capability::ReadReceipts`].
    Read,
}

/// What came of a write that carries an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once<T> {
    /// It was done now.
    Done(T),
    /// It was done before; this was the answer.
    Replayed(RememberedAnswer),
}

/// An answer to be remembered in the transaction of its write. If the same request is
/// remembered already, nothing is written ([`Once::Replayed`]); with another body, it is refused
/// ([`crate::Refusal::IdempotencyMismatch`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remember {
    /// Of which request.
    pub scope: IdempotencyScope,
    /// The answer, made before the transaction.
    pub answer: RememberedAnswer,
}

/// How the answer is made of what a transaction has written, to be remembered in that transaction. Otherwise as
/// [`Remember`].
pub struct RememberWith<T> {
    /// Of which request.
    pub scope: IdempotencyScope,
    /// When it is answered, by the steady clock.
    pub now: Timestamp,
    /// Makes the answer.
    pub answer: Box<dyn FnOnce(&T) -> RememberedAnswer + Send>,
}

/// What a caller may touch of its account: as much as its key lets it.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Whose.
    pub account: Id<Account>,
    /// The lines that the key may use; none for all.
    pub lines: Option<Vec<Id<Line>>>,
    /// What the key may do.
    pub scopes: Scopes,
}

impl Grant {
    /// All that is the account's.
    pub fn whole(account: Id<Account>) -> Self {
        Self { account, lines: None, scopes: Scopes::all() }
    }

    /// Refuses a webhook that also serves lines which the key is not for, be it only lines that are still to come:
    /// none means every line of the account.
    pub(crate) fn must_reach(&self, webhook: Option<&[Id<Line>]>) -> Result<(), Refusal> {
        match (&self.lines, webhook) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::WebhookForAllLines),
            (Some(lines), Some(wanted)) if wanted.iter().all(|line| lines.contains(line)) => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::LineNotAccessible),
        }
    }

    /// Refuses events whose read scope the key lacks.
    pub(crate) fn must_read(&self, events: &[EventKind]) -> Result<(), Refusal> {
        let lacks = events.iter().map(|event| event.scope());
        match lacks.into_iter().find(|scope| !self.scopes.contains(*scope)) {
            Some(scope) => Err(Refusal::InsufficientScope { scope }),
            None => Ok(()),
        }
    }
}

/// What became of the revocation of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The key as it is now.
    pub key: Key,
    /// How many webhooks that it has made still get events.
    pub active_webhooks: usize,
    /// Which of them this has disabled.
    pub disabled: Vec<Id<Webhook>>,
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
    /// Deliveries, leased to the caller; none if [`Store::hand_over_to`](crate::Store::hand_over_to) says who
    /// gets them.
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

/// A moment of the past, by both clocks. What is from before it may be deleted: where the two disagree, only what is
/// certainly older by the steady clock, or looks older by the wall clock and may be so by the steady one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoff {
    /// By the wall clock, which rows are stamped with.
    pub wall: Timestamp,
    /// By the steady clock, which [`Store::mark`](crate::Store::mark) notes places by.
    pub steady: Timestamp,
}

impl From<Timestamp> for Cutoff {
    fn from(at: Timestamp) -> Self {
        Self { wall: at, steady: at }
    }
}

/// Where the clocks stood, so that the steady one goes on in the next process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedClock {
    /// The wall clock.
    pub wall: Timestamp,
    /// The steady clock.
    pub steady: Timestamp,
    /// The machine's own steady clock, which counts within one `boot` only.
    pub machine: Timestamp,
    /// Names that run of the machine, if that can be told.
    pub boot: Option<String>,
    /// How much of the steady time only a wall clock told of, and was not lived through since.
    pub unverified: Duration,
}

/// What became of the events that were looked at to forget the old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many were forgotten.
    pub gone: usize,
    /// The place to go on from; none once no old event is left behind it.
    pub next: Option<i64>,
}

/// Events after a place.
#[derive(Debug, Clone, Default)]
pub struct EventsAfter {
    /// Those that were asked for, in order.
    pub events: Vec<CommittedEvent>,
    /// Up to where all was looked at: from there on the next look begins.
    pub place: i64,
    /// Whether there may be more behind that place already.
    pub has_more: bool,
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
    /// Its id: given by the caller, so that the answer can be made before the transaction.
    pub id: Id<Webhook>,
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
    /// The key that makes it.
    pub created_by: Option<Id<Key>>,
}

/// What is to be changed of a webhook; nothing of what is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChanges {
    /// Where events go from now on.
    pub url: Option<String>,
    /// Which events from now on.
    pub events: Option<Vec<EventKind>>,
    /// Whether it gets any.
    pub is_active: Option<bool>,
}

impl WebhookChanges {
    /// Whether they let somebody get events: taking away asks for no more than the webhook.
    pub(crate) fn let_events_go(&self) -> bool {
        self.url.is_some() || self.events.is_some() || self.is_active == Some(true)
    }
}

/// A webhook, as somebody who sends to it by himself needs it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where events go.
    pub url: String,
    /// What they are signed with.
    pub secrets: Secrets,
    /// Which events it gets.
    pub events: Vec<EventKind>,
    /// The lines whose events it gets; none means every line of the account.
    pub line_ids: Option<Vec<Id<Line>>>,
}

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
