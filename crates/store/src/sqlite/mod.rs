//! SQLite: one file, one process, one writer thread with group commit, a few readers.
//!
//! What is answered is on the disk (`synchronous = full`). A second process is refused by a
//! lock that dies with this one, however it dies.

mod accounts;
mod bounded;
mod bridges;
mod chats;
mod columns;
mod deliveries;
mod events;
mod keys;
mod known;
mod lane;
mod lines;
mod messages;
mod migrations;
mod open;
mod outbox;
mod reader;
mod receive;
mod settle;
mod statement;
mod webhooks;
mod writer;

use std::{fmt, path::Path, thread};

use switchboard_model::{
    Account, Bridge, Chat, Key, Line, Message, OutboxItem, Timestamp, Webhook,
    chat::Recipient,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
    key::KeyUsage,
    line::{Capability, DriverKind, OperatorLine},
    link::{CarriedLine, Inbound},
    page::{Limit, Page},
    secret::SecretHash,
};
use tokio::sync::oneshot;

use self::{events::Moment, reader::Readers, writer::Writer};
use crate::{
    Accept, Accepted, ChatsCursor, ClaimedItem, Committed, Due, MessagesCursor, NewKey, NewLine,
    NewWebhook, Received, Result, Seed, SettleReport, Store,
};

/// The numbers that bound a [`SqliteStore`].
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// Writing commands that may wait; beyond that, [`StoreError::Overloaded`](crate::StoreError::Overloaded).
    pub write_queue: usize,
    /// Reading queries that may wait; beyond that, the same.
    pub read_queue: usize,
    /// Threads that read, each with a connection of its own.
    pub readers: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { write_queue: 8192, read_queue: 2048, readers: 2 }
    }
}

/// A [`Store`] in one SQLite file. Dropping it ends its threads and waits for them;
/// [`Store::close`] does the same without blocking.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the database, makes it if it does not exist, and brings it to this version. Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`](crate::StoreError::InUse) at once if another process has it;
    /// [`StoreError::NewerSchema`](crate::StoreError::NewerSchema), and nothing is changed;
    /// [`StoreError::Open`](crate::StoreError::Open) for all else.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self> {
        open::open(path, options)
    }

    /// Takes no more work, lets what is queued be finished, and returns when all threads have
    /// ended: the readers first, so that the writer's last checkpoint finds nobody reading.
    fn end(&self) -> impl FnOnce() + Send + 'static {
        let readers = self.readers.close();
        let writer = self.writer.close();
        move || {
            for thread in readers.into_iter().chain(writer) {
                if thread.join().is_err() {
                    tracing::error!("a thread of the store panicked");
                }
            }
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.end()();
    }
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn create_account(&self, name: String, now: Timestamp) -> Result<Account> {
        self.writer.run(move |tx| accounts::create(tx.sql, name, now)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        self.readers.ask(accounts::all).await
    }

    async fn seed(&self, seed: Seed, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| accounts::seed(tx, seed, now)).await
    }

    async fn create_key(&self, key: NewKey, now: Timestamp) -> Result<Key> {
        self.writer.run(move |tx| keys::create(tx.sql, key, now)).await
    }

    async fn find_key(&self, hash: SecretHash) -> Result<Option<(Key, Option<KeyUsage>)>> {
        self.readers.ask(move |sql| keys::find(sql, hash)).await
    }

    async fn keys(&self) -> Result<Vec<Key>> {
        self.readers.ask(keys::all).await
    }

    async fn revoke_key(&self, id: Id<Key>, now: Timestamp) -> Result<Key> {
        self.writer.run(move |tx| keys::revoke(tx.sql, id, now)).await
    }

    async fn save_usage(&self, usage: Vec<KeyUsage>) -> Result<()> {
        self.writer.run(move |tx| keys::save_usage(tx.sql, &usage)).await
    }

    async fn create_line(&self, line: NewLine) -> Result<OperatorLine> {
        self.writer.run(move |tx| lines::create(tx, line)).await
    }

    async fn operator_lines(&self) -> Result<Vec<OperatorLine>> {
        self.readers.ask(lines::all).await
    }

    async fn lines(&self, account: Id<Account>) -> Result<Vec<Line>> {
        self.readers.ask(move |sql| lines::of_account(sql, account)).await
    }

    async fn set_capabilities(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        capabilities: Vec<Capability>,
    ) -> Result<()> {
        self.writer
            .run(move |tx| lines::set_capabilities(tx.sql, bridge, line, &capabilities))
            .await
    }

    async fn create_bridge(
        &self,
        name: String,
        driver: DriverKind,
        token: SecretHash,
        now: Timestamp,
    ) -> Result<Bridge> {
        self.writer.run(move |tx| bridges::create(tx.sql, name, driver, token, now)).await
    }

    async fn ensure_simulator_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Bridge> {
        self.writer.run(move |tx| bridges::ensure_simulator(tx, token, now)).await
    }

    async fn find_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Option<Bridge>> {
        self.writer.run(move |tx| bridges::find(tx.sql, token, now)).await
    }

    async fn bridges(&self) -> Result<Vec<Bridge>> {
        self.readers.ask(bridges::all).await
    }

    async fn revoke_bridge(&self, id: Id<Bridge>, now: Timestamp) -> Result<Bridge> {
        self.writer.run(move |tx| bridges::revoke(tx.sql, id, now)).await
    }

    async fn carried_lines(&self, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>> {
        self.readers.ask(move |sql| lines::carried_by(sql, bridge)).await
    }

    async fn accept(&self, accept: Accept, now: Timestamp) -> Result<Accepted> {
        self.writer.run(move |tx| outbox::accept(tx, accept, now)).await
    }

    async fn outbox_item(
        &self,
        account: Id<Account>,
        id: Id<OutboxItem>,
    ) -> Result<Option<OutboxItem>> {
        self.readers.ask(move |sql| outbox::find(sql, account, id)).await
    }

    async fn claim(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        full_chats: Vec<Id<Chat>>,
        limit: usize,
        lease_until: Timestamp,
    ) -> Result<Vec<ClaimedItem>> {
        self.writer
            .run(move |tx| outbox::claim(tx, bridge, line, &full_chats, limit, lease_until))
            .await
    }

    async fn claims_of(&self, bridge: Id<Bridge>) -> Result<Vec<ClaimedItem>> {
        self.readers.ask(move |sql| outbox::claims_of(sql, bridge)).await
    }

    async fn extend_claims(&self, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<()> {
        self.writer.run(move |tx| outbox::extend_claims(tx.sql, bridge, lease_until)).await
    }

    async fn extend_all_claims(&self, lease_until: Timestamp) -> Result<()> {
        self.writer.run(move |tx| outbox::extend_all_claims(tx.sql, lease_until)).await
    }

    async fn settle(
        &self,
        bridge: Id<Bridge>,
        reports: Vec<SettleReport>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Committed> {
        let moment = Moment { now, lease_until };
        self.writer.run(move |tx| settle::settle(tx, bridge, reports, moment)).await
    }

    async fn expire(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Committed> {
        let moment = Moment { now, lease_until };
        self.writer.run(move |tx| outbox::expire(tx, moment, limit)).await
    }

    async fn receive(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Received> {
        let moment = Moment { now, lease_until };
        self.writer
            .run(move |tx| receive::receive(tx, bridge, line, &position, entries, moment))
            .await
    }

    async fn chats(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Page<Chat, 3>> {
        self.readers.ask(move |sql| chats::page(sql, account, line, after, limit)).await
    }

    async fn messages(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        after: Option<MessagesCursor>,
        limit: Limit,
    ) -> Result<Page<Message, 1>> {
        self.readers.ask(move |sql| messages::page(sql, account, line, &chat, after, limit)).await
    }

    async fn create_webhook(&self, webhook: NewWebhook, now: Timestamp) -> Result<Webhook> {
        self.writer.run(move |tx| webhooks::create(tx, webhook, now)).await
    }

    async fn webhooks(&self, account: Id<Account>) -> Result<Vec<Webhook>> {
        self.readers.ask(move |sql| webhooks::of_account(sql, account)).await
    }

    async fn delete_webhook(&self, account: Id<Account>, id: Id<Webhook>) -> Result<()> {
        self.writer.run(move |tx| webhooks::delete(tx, account, id)).await
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        of: Vec<(Id<Webhook>, usize)>,
    ) -> Result<Vec<DueDelivery>> {
        self.writer.run(move |tx| deliveries::claim(tx.sql, now, lease_until, &of)).await
    }

    async fn release_deliveries(&self, ids: Vec<Id<Delivery>>, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| deliveries::release(tx.sql, &ids, now)).await
    }

    async fn release_all_deliveries(&self, now: Timestamp) -> Result<Vec<Id<Webhook>>> {
        self.writer.run(move |tx| deliveries::release_all(tx.sql, now)).await
    }

    async fn settle_deliveries(&self, results: Vec<AttemptResult>) -> Result<()> {
        self.writer.run(move |tx| deliveries::settle(tx.sql, &results)).await
    }

    async fn due_deliveries(&self, now: Timestamp) -> Result<Due> {
        self.readers.ask(move |sql| deliveries::due(sql, now)).await
    }

    async fn prune_events(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| events::prune(tx.sql, before, limit)).await
    }

    async fn close(&self) {
        let end = self.end();
        let (done, ended) = oneshot::channel();
        // A thread only to wait for threads: a runtime's own must not block.
        let waiter = thread::Builder::new().name("sqlite-close".into()).spawn(move || {
            end();
            let _ = done.send(());
        });
        match waiter {
            Ok(_) => drop(ended.await),
            Err(error) => tracing::error!(%error, "nobody waits for the store's threads to end"),
        }
    }
}
