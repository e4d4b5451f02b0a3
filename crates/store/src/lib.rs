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
//! method that needs both takes [`Now`].

mod error;
mod records;
pub mod sqlite;
mod stats;

pub use error::{Outage, Refusal, StoreError};
pub use records::{
    Accept, Accepted, Backlog, ClaimedItem, Committed, CommittedEvent, Cutoff, DeliveryFilter, Due,
    Endpoint, EventsAfter, Grant, MAX_COUNTED, NewContent, NewKey, NewLine, NewReplay, NewWebhook,
    Once, Pruned, Received, Remember, RememberWith, Revoked, SavedClock, Seed, SettleReport,
    WebhookBacklog, WebhookChanges,
};
pub use stats::{
    COMMIT_SECONDS, CommitTimes, DriverFigures, LineFigures, MAX_PENDING_COUNTED, StoreStats,
    WaitingLine,
};
use switchboard_model::{
    Account, Bridge, Chat, EventKind, File, Handle, Key, Line, Message, OutboxItem, Reaction,
    ReadReceipt, Replay, Sandbox, Timestamp, TypingIndicator, Webhook,
    chat::Recipient,
    delivery::{AttemptResult, Delivery, DueDelivery},
    file::StoredFile,
    id::Id,
    idempotency::{IdempotencyScope, RememberedAnswer},
    key::KeyUsage,
    line::{Capability, DriverKind, OperatorLine},
    link::{CarriedLine, Inbound},
    message::MessageRef,
    page::{Cursor, Limit, Page},
    secret::SecretHash,
    time::Now,
    webhook::{DisabledReason, RotatedWebhook, UpdatedWebhook, WebhookSecret},
};
use tokio::sync::mpsc::UnboundedSender;

/// What a method answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The place in a list of messages: the sequence number of the last one shown.
pub type MessagesCursor = Cursor<1>;

/// The place in a list of chats: the sequence number of the newest message when
/// the walk began, that of the last shown chat's newest message at that time, and the chat's own.
pub type ChatsCursor = Cursor<3>;

/// The place in a list of deliveries: the event of the last one that was looked at, by its sequence
/// number, and the upper and lower half of the delivery's id.
pub type DeliveriesCursor = Cursor<3>;

/// All that is kept. Behind it is one database; SQLite here, PostgreSQL for several nodes.
#[async_trait::async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    // ---- accounts -------------------------------------------------------

    /// Makes an account.
    async fn create_account(&self, name: String, now: Timestamp) -> Result<Account>;

    /// Every account, oldest first.
    async fn accounts(&self) -> Result<Vec<Account>>;

    /// Makes an account with its first line and key, unless the key is known already; if there is such a
    /// line, its account gets the key: whoever has lost the key goes on. And makes the sandbox line with an
    /// account of its own, unless there is one. All or nothing, and nothing the second time. For `switchboard dev`.
    async fn seed(&self, seed: Seed, now: Timestamp) -> Result<()>;

    // ---- keys -----------------------------------------------------------

    /// Makes a key. Refuses an unknown account ([`Refusal::AccountNotFound`]) and
    /// a restriction to a line that is neither the account's nor the sandbox line ([`Refusal::LineNotFound`]).
    async fn create_key(&self, key: NewKey, now: Timestamp) -> Result<Key>;

    /// The key with this hash, revoked and expired ones too, with its use of the current hour.
    async fn find_key(&self, hash: SecretHash) -> Result<Option<(Key, Option<KeyUsage>)>>;

    /// Every key, oldest first.
    async fn keys(&self) -> Result<Vec<Key>>;

    /// Revokes a key; one that is revoked already stays as it was. With `disable_webhooks` those that it has made
    /// are disabled too, as by hand; otherwise they go on. [`Refusal::KeyNotFound`].
    async fn revoke_key(
        &self,
        id: Id<Key>,
        disable_webhooks: bool,
        now: Timestamp,
    ) -> Result<Revoked>;

    /// Keeps how much of their hour these keys have used.
    async fn save_usage(&self, usage: Vec<KeyUsage>) -> Result<()>;

    // ---- lines ----------------------------------------------------------

    /// Makes a line. A handle is one line's only, on the whole server ([`Refusal::LineExists`]).
    /// There is at most one sandbox line ([`Refusal::SandboxExists`]).
    /// A line of the simulator goes to the simulator's bridge by itself; another may name a bridge
    /// of its driver ([`Refusal::BridgeNotFound`], [`Refusal::BridgeOfAnotherDriver`]).
    async fn create_line(&self, line: NewLine) -> Result<OperatorLine>;

    /// Every line of every account, oldest first: for the operator.
    async fn operator_lines(&self) -> Result<Vec<OperatorLine>>;

    /// The lines of this account and the sandbox line, which is every account's; oldest first.
    async fn lines(&self, account: Id<Account>) -> Result<Vec<Line>>;

    /// The line that a bridge reports on: what it can do. Nothing for a line that is not this bridge's. Answers
    /// whether that has changed anything.
    async fn set_capabilities(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        capabilities: Vec<Capability>,
    ) -> Result<bool>;

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

    /// Takes a write into the outbox, durably. A message makes the chat if the line lets it;
    /// nothing else does. Refuses in this order: [`Refusal::LineNotFound`]; on the sandbox line
    /// [`Refusal::SandboxNotActivated`], [`Refusal::SandboxContactMismatch`],
    /// [`Refusal::SandboxQuotaExceeded`]; [`Refusal::ChatNotFound`], [`Refusal::ContactHasNotMessaged`] (not on the
    /// sandbox line), [`Refusal::MessageNotFound`] (reply or reaction), [`Refusal::FileNotFound`],
    /// [`Refusal::NotAudio`], [`Refusal::AdvancedFeaturesRequired`]. A file that is taken counts as referred to from then on.
    async fn accept(
        &self,
        accept: Accept,
        remember: Option<Remember>,
        now: Timestamp,
    ) -> Result<Once<Accepted>>;

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

    /// Gives every claim until then, no longer and no shorter: at the start of the server, when no bridge had a
    /// chance to speak yet.
    async fn renew_all_claims(&self, lease_until: Timestamp) -> Result<()>;

    /// Writes down what came of items: message, reaction, indicator or receipt, outbox, event and
    /// deliveries together. What a driver names wrongly, a reaction `Sent` or a message `Done`, is sent all the
    /// same: it is out. A message that is only `Done` has no guid, and so becomes no message here.
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
    async fn expire(&self, now: Now, lease_until: Timestamp, limit: usize) -> Result<Committed>;

    // ---- what comes in --------------------------------------------------

    /// Takes a batch of a line's history and the place it ends at: chats, messages,
    /// events and deliveries together. A guid that is known is the message that it was, and makes
    /// no event. What is about a chat or a message that is not known is nothing; an update that tells nothing new
    /// makes no event ([`Message::take`] says what is new). What comes to the sandbox
    /// line is the account's that the phone is paired with, or else its owner's; a code that a phone texts pairs it, and
    /// is the first message of the new pair; the older pair's chat is shown no longer, and what waits to be sent
    /// to it fails, with its events. [`Refusal::LineNotFound`] for a line that is not this bridge's.
    async fn receive(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Received>;

    /// Turns off typing indicators that were not renewed for 60 s, with their events. At most `limit`. One that was
    /// renewed after `now`, by a clock that was set back since, counts as renewed now.
    async fn expire_typing(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Committed>;

    // ---- chats and messages ---------------------------------------------
    //
    // Of the sandbox line an account is shown the chat with the phone that is paired with it now, and
    // nothing else; unless the line is its own.

    /// The chats of a line, latest activity first. A walk shows each chat once,
    /// where it stood when the walk began.
    async fn chats(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Page<Chat, 3>>;

    /// Whether this account has a chat with this contact on the line.
    async fn has_chat_with(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        contact: Handle,
    ) -> Result<bool>;

    /// The messages of a chat, newest first. [`Refusal::ChatNotFound`].
    async fn messages(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        after: Option<MessagesCursor>,
        limit: Limit,
    ) -> Result<Page<Message, 1>>;

    /// The messages of this account that a caller means by an id or a guid, with their lines: at most
    /// one by an id, one on each line by a guid.
    async fn find_messages(
        &self,
        account: Id<Account>,
        message: MessageRef,
    ) -> Result<Vec<(Id<Line>, Id<Message>)>>;

    /// The guid of a message of any account: for the operator, who plays with simulated phones.
    async fn guid_of(&self, message: Id<Message>) -> Result<Option<String>>;

    /// What was said about a message of this account: for each sender and type the latest
    /// occurrence, removed ones with `added: false`, oldest first.
    async fn reactions(&self, account: Id<Account>, message: Id<Message>) -> Result<Vec<Reaction>>;

    /// Who types in a chat, or did; one whose 60 s are over is off. [`Refusal::ChatNotFound`].
    async fn typing(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        now: Timestamp,
    ) -> Result<Vec<TypingIndicator>>;

    /// Who has read a chat up to when. [`Refusal::ChatNotFound`].
    async fn receipts(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
    ) -> Result<Vec<ReadReceipt>>;

    // ---- files ----------------------------------------------------------

    /// Writes down a file whose bytes are kept already. `lines` are those that the uploader's key is restricted to.
    /// [`Refusal::StorageFull`] if the account would have more than `most` bytes stored then.
    async fn create_file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        file: StoredFile,
        most: u64,
        remember: Option<Remember>,
    ) -> Result<Once<StoredFile>>;

    /// Writes down a file that a bridge has uploaded for a line that it carries, and answers whose it is. However much
    /// that account has stored: what has come in is not lost for that. [`Refusal::LineNotFound`].
    async fn create_bridge_file(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        file: StoredFile,
    ) -> Result<(StoredFile, Id<Account>)>;

    /// How many bytes of files an account has stored.
    async fn stored_bytes(&self, account: Id<Account>) -> Result<u64>;

    /// A file of this account, if a key that is restricted to `lines` may have it: one that came in or was sent on
    /// one of them, or that a key uploaded which reaches no other line; and what an unrestricted key uploaded, until
    /// it is sent.
    async fn file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        id: Id<File>,
    ) -> Result<Option<StoredFile>>;

    /// A file, for whoever shows a signed URL: the signature is the permission.
    async fn signed_file(&self, id: Id<File>) -> Result<Option<StoredFile>>;

    /// A file that an item names which this bridge has claimed.
    async fn bridge_file(&self, bridge: Id<Bridge>, id: Id<File>) -> Result<Option<StoredFile>>;

    /// Forgets files from before `before`, by the steady clock, that no message and no item refers to, at most
    /// `limit`. Answers which: their bytes are the caller's to remove.
    async fn forget_files(&self, before: Timestamp, limit: usize) -> Result<Vec<Id<File>>>;

    /// Forgets files to which nothing refers any more since before `before`, by the steady clock, at most `limit`: their
    /// messages failed or were taken back. What became so since the last call counts from now on. Answers which, as above.
    async fn forget_left_files(
        &self,
        now: Timestamp,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Id<File>>>;

    /// Which of these files are written down, in no order. Bytes of any other are nobody's.
    async fn known_files(&self, ids: Vec<Id<File>>) -> Result<Vec<Id<File>>>;

    /// The secret with which file URLs are signed; the one given if there was none.
    async fn file_url_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]>;

    /// The secret by which the cursors of lists are known; the one given if there was none.
    async fn cursor_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]>;

    // ---- sandbox --------------------------------------------------------

    /// The shared line, if there is one.
    async fn sandbox_line(&self) -> Result<Option<Line>>;

    /// The sandbox as this account sees it. [`Refusal::LineNotFound`] without a sandbox line.
    async fn sandbox(&self, account: Id<Account>, now: Timestamp) -> Result<Sandbox>;

    /// Makes sure that the account has a code or a paired phone; `code` is used if it has neither.
    /// Idempotent by its nature. [`Refusal::AccountNotFound`], [`Refusal::LineNotFound`].
    async fn ensure_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        remember: Option<RememberWith<Sandbox>>,
        now: Timestamp,
    ) -> Result<Once<Sandbox>>;

    /// Ends the pairing and gives the account this new code. Its chat is kept but shown no longer, until
    /// the same two are paired again; what waits to be sent to it fails, with its events. What the
    /// account has used of the day stays. [`Refusal::AccountNotFound`], [`Refusal::LineNotFound`].
    async fn reset_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<(Sandbox, Committed)>;

    // ---- events ---------------------------------------------------------

    /// The events of this account after a place, in order, at most `limit`: of these lines only, if
    /// any are named, and of these kinds. Only so many are looked at in one call, whatever fits of them:
    /// [`EventsAfter::place`] is where the next call goes on.
    async fn events_after(
        &self,
        account: Id<Account>,
        after: i64,
        lines: Option<Vec<Id<Line>>>,
        kinds: Vec<EventKind>,
        limit: usize,
    ) -> Result<EventsAfter>;

    /// The same for whoever has read almost up to the newest event, of all lines and kinds: before
    /// those who still read what is old.
    async fn new_events(
        &self,
        account: Id<Account>,
        after: i64,
        limit: usize,
    ) -> Result<EventsAfter>;

    /// The place before the first event at or after `since`; the latest place if there is none, or no `since`.
    /// The places are those of all accounts: this account only asks.
    async fn event_place(&self, account: Id<Account>, since: Option<Timestamp>) -> Result<i64>;

    /// Makes known that a line went up or down: line.status, to the line's owner. Nothing for a line that is
    /// not this bridge's.
    async fn line_status(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        online: bool,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Committed>;

    // ---- idempotency ----------------------------------------------------

    /// The answer that was given to this request before. [`Refusal::IdempotencyMismatch`] if the
    /// key was used with another body.
    async fn remembered(
        &self,
        scope: IdempotencyScope,
        now: Timestamp,
    ) -> Result<Option<RememberedAnswer>>;

    /// Remembers the answer to a request that wrote nothing here, after it was done. Replays the first
    /// one if there is one. [`Refusal::IdempotencyMismatch`] as above.
    async fn remember(&self, remember: Remember) -> Result<Once<()>>;

    /// Forgets answers from before `before`, at most `limit`. Answers how many went.
    async fn forget_answers(&self, before: Timestamp, limit: usize) -> Result<usize>;

    // ---- webhooks -------------------------------------------------------
    //
    // What a caller names is looked for in this order: [`Refusal::WebhookNotFound`] if it is not the account's;
    // [`Refusal::LineNotAccessible`] or [`Refusal::WebhookForAllLines`] if it serves lines that the key is not
    // for; [`Refusal::InsufficientScope`] if the key may not read an event that the webhook would get.

    /// Makes a webhook. [`Refusal::TooManyWebhooks`]; [`Refusal::LineNotFound`] if a line is neither the
    /// account's nor the sandbox line.
    async fn create_webhook(
        &self,
        webhook: NewWebhook,
        remember: Option<RememberWith<Webhook>>,
        now: Timestamp,
    ) -> Result<Once<Webhook>>;

    /// The webhooks of this account, oldest first, without secrets. One for all lines lists those that there are now.
    async fn webhooks(&self, account: Id<Account>, now: Timestamp) -> Result<Vec<Webhook>>;

    /// Changes a webhook, from the next event and the next attempt on, and answers what it is then. One that is
    /// enabled begins anew: neither when it was disabled nor since when it fails is known of it any more; instead
    /// it is told since when it has missed events: a replay from then on sends whatever was given up since it began
    /// to fail, and all that came after it was disabled. One that is disabled so was disabled by hand. Only what
    /// lets events go asks for scopes.
    async fn update_webhook(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        changes: WebhookChanges,
        remember: Option<RememberWith<UpdatedWebhook>>,
        now: Timestamp,
    ) -> Result<Once<UpdatedWebhook>>;

    /// Gives a webhook a new secret; the one before it is valid until `until` too, and the one before that no more.
    async fn rotate_secret(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        secret: WebhookSecret,
        until: Timestamp,
        remember: Option<RememberWith<RotatedWebhook>>,
        now: Now,
    ) -> Result<Once<RotatedWebhook>>;

    /// Where the events of a webhook go, and what they are signed with; also of a disabled one.
    async fn endpoint(&self, grant: Grant, id: Id<Webhook>) -> Result<Endpoint>;

    /// Removes a webhook. It gets nothing more at once; what was still due of it is removed by
    /// [`Store::give_up_deliveries`]. Asks for no scopes.
    async fn delete_webhook(&self, grant: Grant, id: Id<Webhook>) -> Result<()>;

    // ---- deliveries -----------------------------------------------------

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
        remember: Option<Remember>,
        now: Now,
    ) -> Result<Once<Id<Webhook>>>;

    /// Gives up deliveries that are still to be tried, and that nobody has leased, of webhooks that are
    /// disabled, and removes those of webhooks that were deleted: their events could never be forgotten
    /// otherwise. At most `limit`; answers how many.
    async fn give_up_deliveries(&self, now: Now, limit: usize) -> Result<usize>;

    // ---- replays --------------------------------------------------------

    /// Makes a replay, which runs until [`Store::advance_replay`] has led it to its end: over the events
    /// that there are now. What is refused for webhooks, then [`Refusal::WebhookDisabled`],
    /// [`Refusal::TooManyReplays`], [`Refusal::TooManyReplaysOfAccount`].
    async fn create_replay(
        &self,
        grant: Grant,
        replay: NewReplay,
        remember: Option<RememberWith<Replay>>,
        now: Timestamp,
    ) -> Result<Once<Replay>>;

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

    // ---- the whole ------------------------------------------------------

    /// Where the clocks stood when that was saved last.
    async fn saved_clock(&self) -> Result<Option<SavedClock>>;

    /// Saves where the clocks stand.
    async fn save_clock(&self, clock: SavedClock) -> Result<()>;

    /// Notes which events and outbox items there are now, by the steady clock: those behind them are younger,
    /// whatever their stamps say. Forgets such notes from before `before`, but for the last of them.
    async fn mark(&self, now: Timestamp, before: Timestamp) -> Result<()>;

    /// Looks at the events behind the place `after`, at most `limit` and not past the first that is not from before
    /// `before`, and forgets them with their deliveries. Those whose deliveries are still tried stay.
    async fn prune_events(&self, before: Cutoff, after: i64, limit: usize) -> Result<Pruned>;

    /// Forgets replays that were done before `before`, by the steady clock, at most `limit`; answers how many.
    async fn prune_replays(&self, before: Timestamp, limit: usize) -> Result<usize>;

    /// Erases secrets before the last rotation that are not valid any more, at most `limit`; answers how many.
    async fn forget_secrets(&self, now: Timestamp, limit: usize) -> Result<usize>;

    /// How the store is doing, as it has counted itself: without a look into it.
    fn stats(&self) -> StoreStats;

    /// Writes something and reads it again: whether the store works.
    async fn probe(&self, now: Timestamp) -> Result<()>;

    /// What there is of each driver: its lines, and what waits for them. A bounded read.
    async fn line_figures(&self) -> Result<LineFigures>;

    /// Finishes what was begun and closes the database. Later calls answer [`StoreError::Closed`].
    async fn close(&self);
}
