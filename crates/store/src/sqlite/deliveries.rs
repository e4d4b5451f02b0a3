//! Deliveries: durable from the commit of their event. Those of a webhook that were not attempted yet are a log,
//! in the order of their events.

pub(super) mod backlog;
mod due;
pub(super) mod list;
mod ownership;
pub(super) mod rounds;
mod settle;

use std::sync::Arc;

use rusqlite::{Connection, params};
use switchboard_model::{
    Account, Timestamp, Webhook,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
    page::{Limit, Page},
    time::Now,
    webhook::DisabledReason,
};

use super::{
    SqliteStore,
    engine::{columns::bits, read_queue::Owner, statement, writer::Tx},
    idempotency, webhooks,
};
use crate::{
    Backlog, CommittedEvent, Deliveries, DeliveriesCursor, DeliveryFilter, DueDeliveries, DueQuery,
    Grant, IdempotencyRecord, Idempotent, Owned, Result, WaitingWebhook,
    base::deliveries::{UNTRIED, slices},
};

#[async_trait::async_trait]
impl Deliveries for SqliteStore {
    async fn due_deliveries(
        &self,
        of: Vec<DueQuery>,
        now: Timestamp,
    ) -> Result<Vec<DueDeliveries>> {
        let list = self.readers.list(Owner::System);
        let mut found = Vec::with_capacity(of.len());
        for part in slices(of) {
            let seal = Arc::clone(&self.seal);
            let slice = move |sql: &_| {
                let of = |query| due::of_readable(sql, &seal, query, now);
                part.iter().map(of).collect::<Result<Vec<_>>>()
            };
            found.extend(list.ask(slice).await?);
        }
        Ok(found)
    }

    async fn waiting_webhooks(
        &self,
        after: Option<Id<Webhook>>,
    ) -> Result<(Vec<WaitingWebhook>, Option<Id<Webhook>>)> {
        let after = after.unwrap_or_else(Id::of_nothing);
        let slice = move |sql: &_| due::waiting(sql, after);
        let (rows, next) = self.readers.list(Owner::System).ask(slice).await?;
        let active = rows.into_iter().filter(|row| row.is_active).map(|row| WaitingWebhook {
            webhook_id: row.webhook,
            has_untried: row.has_untried,
            retry_at: row.retry_at,
        });
        Ok((active.collect(), next))
    }

    async fn bring_retries_forward(&self, latest: Timestamp) -> Result<()> {
        self.writer.run(move |tx| due::bring_forward(tx.sql, latest)).await
    }

    async fn give_up_unnamed(&self, webhook: Id<Webhook>, of: Vec<i64>, now: Now) -> Result<()> {
        self.writer.run(move |tx| rounds::give_up_unnamed(tx.sql, webhook, &of, now)).await
    }

    async fn settle_deliveries(
        &self,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<(Id<Webhook>, DisabledReason)>> {
        self.writer.run(move |tx| settle::settle(tx, &results)).await
    }

    async fn own_webhooks(
        &self,
        node: u128,
        in_use: Vec<u8>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Owned> {
        if !self.options.is_shared {
            return Ok(Owned::All);
        }
        self.writer.run(move |tx| ownership::own(tx.sql, node, &in_use, now, until)).await
    }

    async fn disown_webhooks(&self, node: u128) -> Result<()> {
        if self.options.is_shared {
            self.writer.run(move |tx| ownership::disown(tx.sql, node)).await?;
        }
        Ok(())
    }

    async fn deliveries_backlog(&self, now: Now) -> Result<Backlog> {
        let scan = self.readers.scan(Owner::System);
        let mut counting = backlog::Counting::new(now);
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
        let mut walk = list::Walk::new(account, filter, after, limit, now);
        while !walk.is_done() {
            walk = scan.ask(move |sql| walk.slice(sql)).await?;
        }
        Ok(walk.into_page())
    }

    async fn retry_delivery(
        &self,
        grant: Grant,
        id: Id<Delivery>,
        remember: Option<IdempotencyRecord>,
        now: Now,
    ) -> Result<Idempotent<Id<Webhook>>> {
        self.writer
            .run(move |tx| {
                let retry = |tx: &mut Tx<'_>| rounds::retry(tx.sql, &grant, id, now);
                idempotency::once(tx, remember, retry)
            })
            .await
    }

    async fn give_up_deliveries(
        &self,
        now: Now,
        owned: Owned,
        under_way: Vec<i64>,
        limit: usize,
    ) -> Result<usize> {
        self.writer.run(move |tx| rounds::give_up(tx.sql, now, &owned, &under_way, limit)).await
    }
}

/// Makes a delivery of the event for each webhook that wants it: the last of the webhook's log.
pub(super) fn make(
    tx: &mut Tx<'_>,
    event: &CommittedEvent,
    made: &mut Vec<DueDelivery>,
) -> Result<()> {
    let subscribers = tx.cache.subscribers(tx.sql, tx.seal, event.account_id)?;
    for webhook in subscribers.iter().filter(|one| one.wants(event.kind, event.line_id)) {
        let id = Id::generate();
        let seq = insert(
            tx.sql,
            id,
            webhook.webhook_id,
            event.account_id,
            event.position.0,
            event.created_at,
        )?;
        made.push(DueDelivery {
            seq,
            id,
            webhook_id: webhook.webhook_id,
            account_id: event.account_id,
            url: Arc::clone(&webhook.url),
            secrets: Arc::clone(&webhook.secrets),
            event: event.kind,
            chat_id: event.chat_id,
            data: Arc::clone(&event.data),
            attempts: 0,
            since: event.created_at,
        });
    }
    Ok(())
}

/// Writes a new delivery down, and answers its place.
pub(super) fn insert(
    sql: &Connection,
    id: Id<Delivery>,
    webhook: Id<Webhook>,
    account: Id<Account>,
    event: i64,
    now: Timestamp,
) -> Result<i64> {
    statement::run(
        sql,
        "insert into deliveries (id, webhook_id, account_id, event_seq, status, due_at, created_at)
         values (?1, ?2, ?3, ?4, 'due', ?5, ?6)",
        params![bits(id), bits(webhook), bits(account), event, UNTRIED.0, now.0],
    )?;
    Ok(sql.last_insert_rowid())
}
