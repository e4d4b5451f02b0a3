//! Where things are kept; the only crate with SQL.
//!
//! [`Store`] is the seam: one method is one transaction, and its name is the
//! promise. When a method that writes returns `Ok`, what it wrote survives
//! `kill -9` and loss of power. No method takes or returns a type of a database.
//!
//! Every method that serves a caller takes the owner's account and finds nothing
//! of another's: "not yours" and "does not exist" are the same answer.

mod error;
mod records;
pub mod sqlite;

pub use error::{Refusal, StoreError};
pub use records::{
    Accept, Accepted, ClaimedItem, Committed, CommittedEvent, Due, NewKey, NewLine, NewWebhook,
    Received, Seed, SettleReport,
};
use switchboard_model::{
    Account, Bridge, Chat, Key, Line, Message, OutboxItem, Timestamp, Webhook,
    chat::Recipient,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
    key::KeyUsage,
    line::{Capability, DriverKind, OperatorLine},
    link::{CarriedLine, Inbound},
    page::{Cursor, Limit, Page},
    secret::SecretHash,
};

/// What a method answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The place in a list of messages: the sequence number of the last one shown.
pub type MessagesCursor = Cursor<1>;

/// The place in a list of chats: the sequence number of the newest message when
/// the walk began, that of the last shown chat's newest message at that time, and the chat's own.
pub type ChatsCursor = Cursor<3>;

/// All that is kept. Behind it is one database; SQLite here, PostgreSQL for several nodes.
#[async_trait::async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    // ---- accounts -------------------------------------------------------

    /// Makes an account.
    async fn create_account(&self, name: String, now: Timestamp) -> Result<Account>;

    /// Every account, oldest first.
    async fn accounts(&self) -> Result<Vec<Account>>;

    /// Makes an account with its first line and key, unless the key is known already: all or nothing,
    /// and nothing the second time. If there is such a line, its account gets the key, and nothing else
    /// is made: whoever has lost the key goes on. For `switchboard dev`.
    async fn seed(&self, seed: Seed, now: Timestamp) -> Result<()>;

    // ---- keys -----------------------------------------------------------

    /// Makes a key. Refuses an unknown account ([`Refusal::AccountNotFound`]) and
    /// a restriction to a line that is not the account's ([`Refusal::LineNotFound`]).
    async fn create_key(&self, key: NewKey, now: Timestamp) -> Result<Key>;

    /// The key with this hash, revoked and expired ones too, with its use of the current hour.
    async fn find_key(&self, hash: SecretHash) -> Result<Option<(Key, Option<KeyUsage>)>>;

    /// Every key, oldest first.
    async fn keys(&self) -> Result<Vec<Key>>;

    /// Revokes a key; one that is revoked already stays as it was. [`Refusal::KeyNotFound`].
    async fn revoke_key(&self, id: Id<Key>, now: Timestamp) -> Result<Key>;

    /// Keeps how much of their hour these keys have used.
    async fn save_usage(&self, usage: Vec<KeyUsage>) -> Result<()>;

    // ---- lines ----------------------------------------------------------

    /// Makes a line. A handle is one line's only, on the whole server ([`Refusal::LineExists`]).
    /// A line of the simulator goes to the simulator's bridge by itself; another may name a bridge
    /// of its driver ([`Refusal::BridgeNotFound`], [`Refusal::BridgeOfAnotherDriver`]).
    async fn create_line(&self, line: NewLine) -> Result<OperatorLine>;

    /// Every line of every account, oldest first: for the operator.
    async fn operator_lines(&self) -> Result<Vec<OperatorLine>>;

    /// The lines of this account, oldest first.
    async fn lines(&self, account: Id<Account>) -> Result<Vec<Line>>;

    /// The line that a bridge reports on: what it can do. Nothing for a line that is not this bridge's.
    async fn set_capabilities(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        capabilities: Vec<Capability>,
    ) -> Result<()>;

    // ---- bridges --------------------------------------------------------

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

    /// The active lines that a bridge carries, with the place of the last inbound entry of each.
    async fn carried_lines(&self, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>>;

    // ---- outbox ---------------------------------------------------------

    /// Takes a write into the outbox, durably. Makes the chat if the line lets it.
    /// Refuses in this order: [`Refusal::LineNotFound`], [`Refusal::ChatNotFound`],
    /// [`Refusal::ContactHasNotMessaged`], [`Refusal::MessageNotFound`], [`Refusal::FileNotFound`].
    async fn accept(&self, accept: Accept, now: Timestamp) -> Result<Accepted>;

    /// An item of this account.
    async fn outbox_item(
        &self,
        account: Id<Account>,
        id: Id<OutboxItem>,
    ) -> Result<Option<OutboxItem>>;

    /// Claims the oldest pending items of a line for its bridge, at most `limit`, none of the
    /// `full_chats`, in the order of acceptance. Nothing if the line is not this bridge's.
    async fn claim(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        full_chats: Vec<Id<Chat>>,
        limit: usize,
        lease_until: Timestamp,
    ) -> Result<Vec<ClaimedItem>>;

    /// The items that this bridge holds claims on, oldest first: after a reconnect their fate is unknown.
    async fn claims_of(&self, bridge: Id<Bridge>) -> Result<Vec<ClaimedItem>>;

    /// Holds all claims of a bridge for longer.
    async fn extend_claims(&self, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<()>;

    /// Gives every claim at least until then: at the start of the server, when no bridge
    /// had a chance to speak yet.
    async fn extend_all_claims(&self, lease_until: Timestamp) -> Result<()>;

    /// Writes down what came of items: message, outbox, event and deliveries together.
    /// An item that is not claimed by this bridge any more is left as it is. New
    /// deliveries are leased until `lease_until` to the caller, who gets them.
    async fn settle(
        &self,
        bridge: Id<Bridge>,
        reports: Vec<SettleReport>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Committed>;

    /// Fails the items whose time is over: claims past their lease, which may have been handed
    /// over; and pending ones past their 24 hours, which were not. At most `limit` at a time.
    async fn expire(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Committed>;

    // ---- what comes in --------------------------------------------------

    /// Takes a batch of a line's history and the place it ends at: chats, messages,
    /// events and deliveries together. A guid that is known is the message that it was, and makes
    /// no event. [`Refusal::LineNotFound`] for a line that is not this bridge's.
    async fn receive(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Received>;

    // ---- chats and messages ---------------------------------------------

    /// The chats of a line, latest activity first. A walk shows each chat once,
    /// where it stood when the walk began.
    async fn chats(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Page<Chat, 3>>;

    /// The messages of a chat, newest first. [`Refusal::ChatNotFound`].
    async fn messages(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        after: Option<MessagesCursor>,
        limit: Limit,
    ) -> Result<Page<Message, 1>>;

    // ---- webhooks -------------------------------------------------------

    /// Makes a webhook. [`Refusal::TooManyWebhooks`]; [`Refusal::LineNotFound`] if a line is not the account's.
    async fn create_webhook(&self, webhook: NewWebhook, now: Timestamp) -> Result<Webhook>;

    /// The webhooks of this account, oldest first, without secrets. One for all lines lists those that there are now.
    async fn webhooks(&self, account: Id<Account>) -> Result<Vec<Webhook>>;

    /// Removes a webhook of this account and its deliveries. [`Refusal::WebhookNotFound`].
    async fn delete_webhook(&self, account: Id<Account>, id: Id<Webhook>) -> Result<()>;

    // ---- deliveries -----------------------------------------------------

    /// Leases due deliveries of these active webhooks to the caller, at most so many of each. Those
    /// that were given back unattempted come in event order; of the others the oldest come first,
    /// and get a quarter of a webhook's number at least.
    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        of: Vec<(Id<Webhook>, usize)>,
    ) -> Result<Vec<DueDelivery>>;

    /// Gives leased deliveries back unattempted: they are due again at once.
    async fn release_deliveries(&self, ids: Vec<Id<Delivery>>, now: Timestamp) -> Result<()>;

    /// Makes every leased delivery due again: at the start of the only server on this database.
    /// Answers which webhooks have deliveries that were not attempted yet.
    async fn release_all_deliveries(&self, now: Timestamp) -> Result<Vec<Id<Webhook>>>;

    /// Writes down what came of attempts.
    async fn settle_deliveries(&self, results: Vec<AttemptResult>) -> Result<()>;

    /// What is due of active webhooks, and what will be.
    async fn due_deliveries(&self, now: Timestamp) -> Result<Due>;

    // ---- the whole ------------------------------------------------------

    /// Forgets events, with their deliveries, from before `before`, at most `limit` at a time.
    /// Deliveries that are still tried keep theirs. Answers how many went.
    async fn prune_events(&self, before: Timestamp, limit: usize) -> Result<usize>;

    /// Finishes what was begun and closes the database. Later calls answer [`StoreError::Closed`].
    async fn close(&self);
}
