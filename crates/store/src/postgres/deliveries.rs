//! Deliveries: durable from the commit of their event. Those of a webhook that were not attempted yet are a log,
//! in the order of their events.

mod backlog;
mod due;
mod list;
mod ownership;
pub(super) mod rounds;
mod settle;

use std::{collections::BTreeSet, sync::Arc};

use switchboard_model::{
    Account, Timestamp, Webhook,
    delivery::{AttemptResult, Delivery, DueDelivery},
    id::Id,
    page::{Limit, Page},
    time::Now,
    webhook::DisabledReason,
};

use super::{
    PostgresStore,
    engine::{columns::bits, statement, transaction::Tx},
    idempotency, webhooks,
};
use crate::{
    Backlog, CommittedEvent, Deliveries, DeliveriesCursor, DeliveryFilter, DueDeliveries, DueQuery,
    Grant, IdempotencyRecord, Idempotent, News, Owned, Result, WaitingWebhook,
    base::{context::Subscriber, deliveries::UNTRIED},
};

#[async_trait::async_trait]
impl Deliveries for PostgresStore {
    async fn due_deliveries(
        &self,
        of: Vec<DueQuery>,
        now: Timestamp,
    ) -> Result<Vec<DueDeliveries>> {
        due::of_all(self, of, now).await
    }

    async fn waiting_webhooks(
        &self,
        after: Option<Id<Webhook>>,
    ) -> Result<(Vec<WaitingWebhook>, Option<Id<Webhook>>)> {
        let sql = self.read().await?;
        let (rows, next) = due::waiting(&sql, after.unwrap_or_else(Id::of_nothing)).await?;
        let active = rows.into_iter().filter(|row| row.is_active).map(|row| WaitingWebhook {
            webhook_id: row.webhook,
            has_untried: row.has_untried,
            retry_at: row.retry_at,
        });
        Ok((active.collect(), next))
    }

    async fn bring_retries_forward(&self, latest: Timestamp) -> Result<()> {
        self.write(move |tx: &Tx| Box::pin(due::bring_forward(&tx.sql, latest))).await
    }

    async fn give_up_unnamed(&self, webhook: Id<Webhook>, of: Vec<i64>, now: Now) -> Result<()> {
        self.write(move |tx: &Tx| {
            let of = of.clone();
            Box::pin(async move { rounds::give_up_unnamed(&tx.sql, webhook, &of, now).await })
        })
        .await
    }

    async fn settle_deliveries(
        &self,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<(Id<Webhook>, DisabledReason)>> {
        if results.is_empty() {
            return Ok(Vec::new());
        }
        let results: Arc<[AttemptResult]> = results.into();
        let disabled = |disabled: &Vec<(Id<Webhook>, DisabledReason)>| {
            disabled.iter().map(|(id, _)| *id).collect::<Vec<_>>()
        };
        self.write_then(
            move |tx: &Tx| {
                let results = Arc::clone(&results);
                Box::pin(async move { settle::settle(tx, &results).await })
            },
            self.webhooks_changed(disabled),
        )
        .await
    }

    async fn own_webhooks(
        &self,
        node: u128,
        in_use: Vec<u8>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Owned> {
        self.write(move |tx: &Tx| {
            let in_use = in_use.clone();
            Box::pin(async move { ownership::own(&tx.sql, node, &in_use, now, until).await })
        })
        .await
    }

    async fn disown_webhooks(&self, node: u128) -> Result<()> {
        self.write(move |tx: &Tx| Box::pin(ownership::disown(&tx.sql, node))).await
    }

    async fn deliveries_backlog(&self, now: Now) -> Result<Backlog> {
        let sql = self.read().await?;
        let webhooks = backlog::of_all(&sql, now).await?;
        Ok(Backlog { webhooks, disabled: webhooks::count_disabled(&sql).await? })
    }

    async fn deliveries(
        &self,
        account: Id<Account>,
        filter: DeliveryFilter,
        after: Option<DeliveriesCursor>,
        limit: Limit,
        now: Now,
    ) -> Result<Page<Delivery, 3>> {
        let sql = self.read().await?;
        // Or a delivery would be shown with an attempt that it does not know of yet.
        sql.begin_snapshot().await?;
        let page = list::page(&sql, account, &filter, after, limit, now).await?;
        sql.end_snapshot().await?;
        Ok(page)
    }

    async fn retry_delivery(
        &self,
        grant: Grant,
        id: Id<Delivery>,
        remember: Option<IdempotencyRecord>,
        now: Now,
    ) -> Result<Idempotent<Id<Webhook>>> {
        let due_again =
            self.due_again(|done: &Idempotent<(Id<Webhook>, Option<i64>)>| match done {
                Idempotent::Fresh((webhook, place)) => Some((*webhook, place.unwrap_or(0))),
                Idempotent::Replayed(_) => None,
            });
        let retried = self.write_then(
            move |tx: &Tx| {
                let (grant, remember) = (grant.clone(), remember.clone());
                Box::pin(async move {
                    idempotency::once(tx, remember, rounds::retry(tx, &grant, id, now)).await
                })
            },
            due_again,
        );
        Ok(match retried.await? {
            Idempotent::Fresh((webhook, _)) => Idempotent::Fresh(webhook),
            Idempotent::Replayed(answer) => Idempotent::Replayed(answer),
        })
    }

    async fn give_up_deliveries(
        &self,
        now: Now,
        owned: Owned,
        under_way: Vec<i64>,
        limit: usize,
    ) -> Result<usize> {
        self.write(move |tx: &Tx| {
            let (owned, under_way) = (owned.clone(), under_way.clone());
            Box::pin(async move { rounds::give_up(&tx.sql, now, &owned, &under_way, limit).await })
        })
        .await
    }
}

impl PostgresStore {
    /// What is to be done once a transaction has made deliveries of a webhook due again, the last of them at this place:
    /// who owns the webhook is told.
    pub(super) fn due_again<T, W>(&self, what: W) -> impl FnOnce(&mut T) + use<T, W>
    where
        W: FnOnce(&T) -> Option<(Id<Webhook>, i64)>,
    {
        let wake = self.wake.queue();
        move |done| {
            if let Some((webhook, place)) = what(done) {
                let deliveries = BTreeSet::from([webhook]);
                wake.committed(place, News { deliveries, ..News::default() });
            }
        }
    }
}

/// A delivery that is new, as its row has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewDelivery {
    pub(super) seq: i64,
    pub(super) id: Id<Delivery>,
    pub(super) webhook: Id<Webhook>,
    pub(super) account: Id<Account>,
    /// The place of its event.
    pub(super) event: i64,
    pub(super) at: Timestamp,
}

/// Makes a delivery of each event for each webhook that wants it: the last of the webhook's log.
pub(super) async fn make(
    tx: &Tx,
    events: &[CommittedEvent],
    subscribers: &[(Id<Account>, Subscriber)],
) -> Result<Vec<DueDelivery>> {
    let (mut made, mut new) = (Vec::new(), Vec::new());
    for event in events {
        let of = subscribers.iter().filter(|(account, _)| *account == event.account_id);
        for (_, webhook) in of.filter(|(_, one)| one.wants(event.kind, event.line_id)) {
            let delivery = NewDelivery {
                seq: tx.next_place().await?,
                id: Id::generate(),
                webhook: webhook.webhook_id,
                account: event.account_id,
                event: event.position.0,
                at: event.created_at,
            };
            new.push(delivery);
            made.push(DueDelivery {
                seq: delivery.seq,
                id: delivery.id,
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
    }
    insert(tx, &new).await?;
    Ok(made)
}

/// Writes down new deliveries.
pub(super) async fn insert(tx: &Tx, new: &[NewDelivery]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let (seqs, ids): (Vec<i64>, Vec<_>) = new.iter().map(|one| (one.seq, bits(one.id))).unzip();
    let (of, accounts): (Vec<_>, Vec<_>) =
        new.iter().map(|one| (bits(one.webhook), bits(one.account))).unzip();
    let (events, at): (Vec<i64>, Vec<i64>) = new.iter().map(|one| (one.event, one.at.0)).unzip();
    statement::run(
        &tx.sql,
        "insert into deliveries (seq, id, webhook_id, account_id, event_seq, status, due_at, created_at)
         select seq, id, webhook_id, account_id, event_seq, 'due', $7, created_at
         from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[])
              as new (seq, id, webhook_id, account_id, event_seq, created_at)",
        &[&seqs, &ids, &of, &accounts, &events, &at, &UNTRIED.0],
    )
    .await?;
    Ok(())
}
