//! The methods of [`Store`], each of them one command of the writer or one question to a reader.

use std::{sync::Arc, thread};

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
    page::{Limit, Page},
    secret::SecretHash,
    time::Now,
    webhook::{DisabledReason, RotatedWebhook, UpdatedWebhook, WebhookSecret},
};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    SqliteStore, accept, accounts, bridges, chats, clock, deliveries,
    events::{self, Moment},
    files, idempotency, keys, lines, messages, outbox, reactions,
    read_queue::Owner,
    receipts, receive, replays, sandbox, secrets, settle, typing, vitals, wal, webhooks,
    writer::Tx,
};
use crate::{
    Accept, Accepted, Backlog, ChatsCursor, ClaimedItem, Committed, Cutoff, DeliveriesCursor,
    DeliveryFilter, Due, Endpoint, EventsAfter, Grant, LineFigures, MessagesCursor, NewKey,
    NewLine, NewReplay, NewWebhook, Once, Pruned, Received, Remember, RememberWith, Result,
    Revoked, SavedClock, Seed, SettleReport, Store, StoreError, StoreStats, WebhookChanges,
};

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn create_account(&self, name: String, now: Timestamp) -> Result<Account> {
        self.writer.run(move |tx| accounts::create(tx.sql, name, now)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        self.readers.scan(Owner::System).ask(accounts::all).await
    }

    async fn seed(&self, seed: Seed, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| accounts::seed(tx.sql, seed, now)).await
    }

    async fn create_key(&self, key: NewKey, now: Timestamp) -> Result<Key> {
        self.writer.run(move |tx| keys::create(tx.sql, key, now)).await
    }

    async fn find_key(&self, hash: SecretHash) -> Result<Option<(Key, Option<KeyUsage>)>> {
        self.readers.lookup(Owner::UnknownKey).ask(move |sql| keys::find(sql, hash)).await
    }

    async fn keys(&self) -> Result<Vec<Key>> {
        self.readers.scan(Owner::System).ask(keys::all).await
    }

    async fn revoke_key(
        &self,
        id: Id<Key>,
        disable_webhooks: bool,
        now: Timestamp,
    ) -> Result<Revoked> {
        self.writer.run(move |tx| keys::revoke(tx, id, disable_webhooks, now)).await
    }

    async fn save_usage(&self, usage: Vec<KeyUsage>) -> Result<()> {
        self.writer.run(move |tx| keys::save_usage(tx.sql, &usage)).await
    }

    async fn create_line(&self, line: NewLine) -> Result<OperatorLine> {
        self.writer.run(move |tx| lines::create(tx.sql, line)).await
    }

    async fn operator_lines(&self) -> Result<Vec<OperatorLine>> {
        self.readers.scan(Owner::System).ask(lines::all).await
    }

    async fn lines(&self, account: Id<Account>) -> Result<Vec<Line>> {
        self.readers.lookup(account).ask(move |sql| lines::of_account(sql, account)).await
    }

    async fn set_capabilities(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        capabilities: Vec<Capability>,
    ) -> Result<bool> {
        self.writer.run(move |tx| lines::set_capabilities(tx, bridge, line, &capabilities)).await
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
        self.readers.scan(Owner::System).ask(bridges::all).await
    }

    async fn revoke_bridge(&self, id: Id<Bridge>, now: Timestamp) -> Result<Bridge> {
        self.writer.run(move |tx| bridges::revoke(tx.sql, id, now)).await
    }

    async fn carried_lines(&self, bridge: Id<Bridge>) -> Result<Vec<CarriedLine>> {
        self.readers.list(bridge).ask(move |sql| lines::carried_by(sql, bridge)).await
    }

    async fn accept(
        &self,
        accept: Accept,
        remember: Option<Remember>,
        now: Timestamp,
    ) -> Result<Once<Accepted>> {
        self.writer
            .run(move |tx| idempotency::once(tx, remember, |tx| accept::accept(tx, accept, now)))
            .await
    }

    async fn outbox_item(
        &self,
        account: Id<Account>,
        id: Id<OutboxItem>,
    ) -> Result<Option<OutboxItem>> {
        self.readers.lookup(account).ask(move |sql| outbox::find(sql, account, id)).await
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
        self.readers.list(bridge).ask(move |sql| outbox::claims_of(sql, bridge)).await
    }

    async fn extend_claims(&self, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<()> {
        self.writer.run(move |tx| outbox::extend_claims(tx.sql, bridge, lease_until)).await
    }

    async fn renew_all_claims(&self, lease_until: Timestamp) -> Result<()> {
        self.writer.run(move |tx| outbox::renew_all_claims(tx.sql, lease_until)).await
    }

    async fn settle(
        &self,
        bridge: Id<Bridge>,
        reports: Vec<SettleReport>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Committed> {
        let moment = Moment { now, lease_until };
        self.make_known(move |tx| settle::settle(tx, bridge, reports, moment)).await
    }

    async fn expire(&self, now: Now, lease_until: Timestamp, limit: usize) -> Result<Committed> {
        let moment = Moment { now: now.wall, lease_until };
        self.make_known(move |tx| outbox::expire(tx, now.steady, moment, limit)).await
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
        self.make_known(move |tx| receive::receive(tx, bridge, line, &position, entries, moment))
            .await
    }

    async fn expire_typing(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Committed> {
        let moment = Moment { now, lease_until };
        self.make_known(move |tx| typing::expire(tx, moment, limit)).await
    }

    async fn chats(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Page<Chat, 3>> {
        let begin = move |sql: &_| chats::Walk::begin(sql, account, line, after, limit);
        let mut walk = self.readers.list(account).ask(begin).await?;
        let scan = self.readers.scan(account);
        loop {
            if let Some(page) = walk.page() {
                return Ok(page);
            }
            walk = scan.ask(move |sql| walk.slice(sql)).await?;
        }
    }

    async fn has_chat_with(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        contact: Handle,
    ) -> Result<bool> {
        self.readers
            .lookup(account)
            .ask(move |sql| chats::has_with(sql, account, line, &contact))
            .await
    }

    async fn messages(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        after: Option<MessagesCursor>,
        limit: Limit,
    ) -> Result<Page<Message, 1>> {
        self.readers
            .list(account)
            .ask(move |sql| messages::page(sql, account, line, &chat, after, limit))
            .await
    }

    async fn find_messages(
        &self,
        account: Id<Account>,
        message: MessageRef,
    ) -> Result<Vec<(Id<Line>, Id<Message>)>> {
        self.readers
            .lookup(account)
            .ask(move |sql| messages::meant_by(sql, account, &message))
            .await
    }

    async fn guid_of(&self, message: Id<Message>) -> Result<Option<String>> {
        self.readers.lookup(Owner::System).ask(move |sql| messages::guid_of(sql, message)).await
    }

    async fn reactions(&self, account: Id<Account>, message: Id<Message>) -> Result<Vec<Reaction>> {
        self.readers
            .list(account)
            .ask(move |sql| reactions::of_message(sql, account, message))
            .await
    }

    async fn typing(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        now: Timestamp,
    ) -> Result<Vec<TypingIndicator>> {
        self.readers
            .list(account)
            .ask(move |sql| typing::of_chat(sql, account, line, &chat, now))
            .await
    }

    async fn receipts(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
    ) -> Result<Vec<ReadReceipt>> {
        self.readers
            .list(account)
            .ask(move |sql| receipts::of_chat(sql, account, line, &chat))
            .await
    }

    async fn create_file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        file: StoredFile,
        most: u64,
        remember: Option<Remember>,
    ) -> Result<Once<StoredFile>> {
        self.writer
            .run(move |tx| {
                idempotency::once(tx, remember, |tx| {
                    files::upload(tx.sql, account, lines, file, most)
                })
            })
            .await
    }

    async fn create_bridge_file(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        file: StoredFile,
    ) -> Result<(StoredFile, Id<Account>)> {
        self.writer.run(move |tx| files::create_for_bridge(tx, bridge, line, file)).await
    }

    async fn stored_bytes(&self, account: Id<Account>) -> Result<u64> {
        self.readers.lookup(account).ask(move |sql| files::stored_bytes(sql, account)).await
    }

    async fn file(
        &self,
        account: Id<Account>,
        lines: Option<Vec<Id<Line>>>,
        id: Id<File>,
    ) -> Result<Option<StoredFile>> {
        self.readers
            .lookup(account)
            .ask(move |sql| files::of_account(sql, account, lines.as_deref(), id))
            .await
    }

    async fn signed_file(&self, id: Id<File>) -> Result<Option<StoredFile>> {
        self.readers.lookup(Owner::SignedUrl).ask(move |sql| files::find(sql, id)).await
    }

    async fn bridge_file(&self, bridge: Id<Bridge>, id: Id<File>) -> Result<Option<StoredFile>> {
        self.readers.lookup(bridge).ask(move |sql| files::of_claims(sql, bridge, id)).await
    }

    async fn forget_files(&self, before: Timestamp, limit: usize) -> Result<Vec<Id<File>>> {
        self.writer.run(move |tx| files::forget(tx.sql, before, limit)).await
    }

    async fn forget_left_files(
        &self,
        now: Timestamp,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Id<File>>> {
        self.writer.run(move |tx| files::forget_left(tx.sql, now, before, limit)).await
    }

    async fn known_files(&self, ids: Vec<Id<File>>) -> Result<Vec<Id<File>>> {
        self.readers.list(Owner::System).ask(move |sql| files::known(sql, &ids)).await
    }

    async fn file_url_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.writer.run(move |tx| secrets::of_server(tx, secrets::FILE_URLS, fresh)).await
    }

    async fn cursor_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.writer.run(move |tx| secrets::of_server(tx, secrets::CURSORS, fresh)).await
    }

    async fn sandbox_line(&self) -> Result<Option<Line>> {
        self.readers.lookup(Owner::System).ask(lines::sandbox_line).await
    }

    async fn sandbox(&self, account: Id<Account>, now: Timestamp) -> Result<Sandbox> {
        self.readers.lookup(account).ask(move |sql| sandbox::find(sql, account, now)).await
    }

    async fn ensure_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        remember: Option<RememberWith<Sandbox>>,
        now: Timestamp,
    ) -> Result<Once<Sandbox>> {
        self.writer
            .run(move |tx| {
                let ensure = |tx: &mut Tx<'_>| sandbox::ensure(tx.sql, account, &code, now);
                idempotency::once_with(tx, remember, ensure)
            })
            .await
    }

    async fn reset_sandbox(
        &self,
        account: Id<Account>,
        code: String,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<(Sandbox, Committed)> {
        let moment = Moment { now, lease_until };
        self.make_known(move |tx| sandbox::reset(tx, account, &code, moment)).await
    }

    async fn events_after(
        &self,
        account: Id<Account>,
        after: i64,
        lines: Option<Vec<Id<Line>>>,
        kinds: Vec<EventKind>,
        limit: usize,
    ) -> Result<EventsAfter> {
        self.readers
            .scan(account)
            .ask(move |sql| events::after(sql, account, after, lines.as_deref(), &kinds, limit))
            .await
    }

    async fn new_events(
        &self,
        account: Id<Account>,
        after: i64,
        limit: usize,
    ) -> Result<EventsAfter> {
        self.readers
            .list(account)
            .ask(move |sql| events::after(sql, account, after, None, &EventKind::ALL, limit))
            .await
    }

    async fn event_place(&self, account: Id<Account>, since: Option<Timestamp>) -> Result<i64> {
        self.readers.lookup(account).ask(move |sql| events::place(sql, since)).await
    }

    async fn line_status(
        &self,
        bridge: Id<Bridge>,
        line: Id<Line>,
        online: bool,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Committed> {
        let moment = Moment { now, lease_until };
        self.make_known(move |tx| events::line_status(tx, bridge, line, online, moment)).await
    }

    async fn remembered(
        &self,
        scope: IdempotencyScope,
        now: Timestamp,
    ) -> Result<Option<RememberedAnswer>> {
        let seal = Arc::clone(&self.seal);
        let key = scope.key_id;
        let find = move |sql: &_| idempotency::find(sql, &seal, &scope, now);
        self.readers.lookup(key).ask(find).await
    }

    async fn remember(&self, remember: Remember) -> Result<Once<()>> {
        self.writer.run(move |tx| idempotency::once(tx, Some(remember), |_| Ok(()))).await
    }

    async fn forget_answers(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| idempotency::forget(tx.sql, before, limit)).await
    }

    async fn create_webhook(
        &self,
        webhook: NewWebhook,
        remember: Option<RememberWith<Webhook>>,
        now: Timestamp,
    ) -> Result<Once<Webhook>> {
        self.writer
            .run(move |tx| {
                idempotency::once_with(tx, remember, |tx| webhooks::create(tx, webhook, now))
            })
            .await
    }

    async fn webhooks(&self, account: Id<Account>, now: Timestamp) -> Result<Vec<Webhook>> {
        self.readers.list(account).ask(move |sql| webhooks::of_account(sql, account, now)).await
    }

    async fn update_webhook(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        changes: WebhookChanges,
        remember: Option<RememberWith<UpdatedWebhook>>,
        now: Timestamp,
    ) -> Result<Once<UpdatedWebhook>> {
        self.writer
            .run(move |tx| {
                let update = |tx: &mut Tx<'_>| webhooks::update(tx, &grant, id, &changes, now);
                idempotency::once_with(tx, remember, update)
            })
            .await
    }

    async fn rotate_secret(
        &self,
        grant: Grant,
        id: Id<Webhook>,
        secret: WebhookSecret,
        until: Timestamp,
        remember: Option<RememberWith<RotatedWebhook>>,
        now: Now,
    ) -> Result<Once<RotatedWebhook>> {
        self.writer
            .run(move |tx| {
                let rotate = |tx: &mut Tx<'_>| webhooks::rotate(tx, &grant, id, secret, until, now);
                idempotency::once_with(tx, remember, rotate)
            })
            .await
    }

    async fn endpoint(&self, grant: Grant, id: Id<Webhook>) -> Result<Endpoint> {
        let seal = Arc::clone(&self.seal);
        let account = grant.account;
        let find = move |sql: &_| webhooks::endpoint(sql, &seal, &grant, id);
        self.readers.lookup(account).ask(find).await
    }

    async fn delete_webhook(&self, grant: Grant, id: Id<Webhook>) -> Result<()> {
        self.writer.run(move |tx| webhooks::delete(tx, &grant, id)).await
    }

    async fn claim_deliveries(
        &self,
        now: Now,
        lease_until: Timestamp,
        of: Vec<(Id<Webhook>, usize)>,
    ) -> Result<Vec<DueDelivery>> {
        self.writer.run(move |tx| deliveries::claim(tx, now, lease_until, &of)).await
    }

    async fn release_deliveries(&self, ids: Vec<Id<Delivery>>, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| deliveries::release(tx.sql, &ids, now)).await
    }

    async fn release_all_deliveries(
        &self,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<Vec<Id<Webhook>>> {
        self.writer.run(move |tx| deliveries::release_all(tx.sql, now, latest)).await
    }

    async fn settle_deliveries(
        &self,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<(Id<Webhook>, DisabledReason)>> {
        self.writer.run(move |tx| deliveries::settle(tx, &results)).await
    }

    fn hand_over_to(&self, receiver: UnboundedSender<Vec<DueDelivery>>) {
        self.handover.to(receiver);
    }

    async fn due_deliveries(&self, now: Timestamp) -> Result<Due> {
        let list = self.readers.list(Owner::System);
        let (mut due, mut after) = (Due::default(), Some(String::new()));
        while let Some(place) = after {
            let slice = move |sql: &_| deliveries::due(sql, now, &place);
            let (found, next) = list.ask(slice).await?;
            due.webhooks.extend(found.webhooks);
            due.next_at = due.next_at.into_iter().chain(found.next_at).min();
            after = next;
        }
        Ok(due)
    }

    async fn deliveries_backlog(&self, now: Now) -> Result<Backlog> {
        let scan = self.readers.scan(Owner::System);
        let mut counting = deliveries::backlog::Counting::new(now);
        while !counting.is_done() {
            counting = scan.ask(move |sql| counting.slice(sql)).await?;
        }
        let disabled = scan.ask(webhooks::count_disabled).await?;
        Ok(Backlog { webhooks: counting.into_webhooks(), disabled })
    }

    async fn deliveries(
        &self,
        account: Id<Account>,
        filter: DeliveryFilter,
        after: Option<DeliveriesCursor>,
        limit: Limit,
        now: Now,
    ) -> Result<Page<Delivery, 3>> {
        let scan = self.readers.scan(account);
        let mut walk = deliveries::list::Walk::new(account, filter, after, limit, now);
        while !walk.is_done() {
            walk = scan.ask(move |sql| walk.slice(sql)).await?;
        }
        Ok(walk.into_page())
    }

    async fn retry_delivery(
        &self,
        grant: Grant,
        id: Id<Delivery>,
        remember: Option<Remember>,
        now: Now,
    ) -> Result<Once<Id<Webhook>>> {
        self.writer
            .run(move |tx| {
                let retry = |tx: &mut Tx<'_>| deliveries::rounds::retry(tx.sql, &grant, id, now);
                idempotency::once(tx, remember, retry)
            })
            .await
    }

    async fn give_up_deliveries(&self, now: Now, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| deliveries::rounds::give_up(tx.sql, now, limit)).await
    }

    async fn create_replay(
        &self,
        grant: Grant,
        replay: NewReplay,
        remember: Option<RememberWith<Replay>>,
        now: Timestamp,
    ) -> Result<Once<Replay>> {
        self.writer
            .run(move |tx| {
                let create = |tx: &mut Tx<'_>| replays::create(tx.sql, &grant, &replay, now);
                idempotency::once_with(tx, remember, create)
            })
            .await
    }

    async fn replay(&self, grant: Grant, id: Id<Replay>) -> Result<Option<Replay>> {
        self.readers
            .lookup(grant.account)
            .ask(move |sql| replays::of_account(sql, &grant, id))
            .await
    }

    async fn running_replays(
        &self,
        after: Option<Id<Replay>>,
        limit: usize,
    ) -> Result<Vec<Id<Replay>>> {
        self.readers.list(Owner::System).ask(move |sql| replays::running(sql, after, limit)).await
    }

    async fn advance_replay(
        &self,
        id: Id<Replay>,
        limit: usize,
        now: Now,
    ) -> Result<Option<Replay>> {
        self.writer.run(move |tx| replays::advance(tx.sql, id, limit, now)).await
    }

    async fn saved_clock(&self) -> Result<Option<SavedClock>> {
        self.readers.list(Owner::System).ask(clock::saved).await
    }

    async fn save_clock(&self, clock: SavedClock) -> Result<()> {
        self.writer.run(move |tx| clock::save(tx.sql, &clock)).await
    }

    async fn mark(&self, now: Timestamp, before: Timestamp) -> Result<()> {
        self.writer.run(move |tx| clock::mark(tx.sql, now, before)).await
    }

    async fn prune_events(&self, before: Cutoff, after: i64, limit: usize) -> Result<Pruned> {
        self.writer.run(move |tx| events::prune(tx.sql, before, after, limit)).await
    }

    async fn prune_replays(&self, before: Timestamp, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| replays::prune(tx.sql, before, limit)).await
    }

    async fn forget_secrets(&self, now: Timestamp, limit: usize) -> Result<usize> {
        self.writer.run(move |tx| webhooks::forget_secrets(tx, now, limit)).await
    }

    fn stats(&self) -> StoreStats {
        let (write_queue, writer_alive) = self.writer.queue();
        let vitals = self.writer.vitals();
        let size = |suffix: &str| {
            let mut path = self.path.as_os_str().to_owned();
            path.push(suffix);
            wal::bytes(path.as_ref()).unwrap_or(0)
        };
        StoreStats {
            write_queue,
            write_queue_max: self.options.write_queue,
            writer_alive,
            commands: vitals.commands(),
            failed_commits: vitals.failed(),
            commits: vitals.commits(),
            database_bytes: size(""),
            wal_bytes: size("-wal"),
        }
    }

    async fn probe(&self, now: Timestamp) -> Result<()> {
        self.writer.run(move |tx| vitals::write_probe(tx, now)).await?;
        // Another probe may have been faster; what counts is that something is there.
        let found = self.readers.lookup(Owner::System).ask(vitals::read_probe).await?;
        found.map(|_| ()).ok_or_else(|| StoreError::Unreadable { what: "the probe".into() })
    }

    async fn line_figures(&self) -> Result<LineFigures> {
        self.readers.scan(Owner::System).ask(vitals::lines).await
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
