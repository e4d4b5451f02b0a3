//! What may be attempted now, and of whom: reads, which the delivery engine makes.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use switchboard_model::{
    Account, EventKind, Timestamp, Webhook,
    delivery::{DueDelivery, Secrets},
    id::Id,
};
use tokio_postgres::Row;

use crate::{
    DueDeliveries, DueQuery, Result,
    base::{
        deliveries::{UNTRIED, slices},
        seal::Seal,
    },
    postgres::{
        PostgresStore,
        engine::{
            columns::{Bits, Column, Json, Name, Number, bits, sealed},
            connection::Sql,
            statement,
        },
    },
};

/// How soon it is read again what is there and can't be read yet, if nothing else can be; each time twice as long, and not
/// for longer than the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(16);

/// What may be attempted now of each. Where nothing can be read, but something is there that will be, it is waited for a
/// moment: whoever asks would only ask again.
pub(super) async fn of_all(
    store: &PostgresStore,
    queries: Vec<DueQuery>,
    now: Timestamp,
) -> Result<Vec<DueDeliveries>> {
    let slices = slices(queries);
    let mut pause = FIRST_PAUSE;
    loop {
        let mut found = Vec::new();
        for slice in &slices {
            let sql = store.read().await?;
            found.extend(of(&sql, &store.transactions.seal, slice, now).await?);
        }
        let has_nothing = |of: &DueDeliveries| {
            of.untried.is_empty() && of.retries.is_empty() && of.unnamed.is_empty()
        };
        let is_early =
            found.iter().any(|of| of.more_from.is_some()) && found.iter().all(has_nothing);
        if !is_early || pause > LAST_PAUSE {
            return Ok(found);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Of one statement, so of one moment. What was not attempted yet is read up to the horizon, so that nothing is committed
/// later before the last that was read; whether there is more behind it is read too.
const DUE: &str = "
    with asked as materialized (
      select q.number, q.webhook_id, q.place, q.untried, q.retries, w.account_id, w.url, w.secret,
             w.previous_secret, w.previous_until, w.events, readable.place as horizon
      from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) with ordinality
           as q (webhook_id, place, untried, retries, number)
      join webhooks w on w.id = q.webhook_id and w.is_active
      cross join (select horizon() as place) readable)
    select asked.number, 0 as part, 0::bigint as due_at, asked.horizon as seq, null::uuid as id,
           null::bigint as attempts, null::text as kind, null::uuid as chat_id, null::text as data,
           null::bigint as since, asked.account_id, asked.url, asked.secret, asked.previous_secret,
           asked.previous_until, asked.events,
           asked.untried > 0 and exists (
             select from deliveries d
             where d.status = 'due' and d.webhook_id = asked.webhook_id and d.due_at = $5
               and d.seq >= greatest(asked.place, asked.horizon)) as is_more_behind,
           case when asked.retries > 0 then (
             select d.due_at from deliveries d
             where d.status = 'due' and d.webhook_id = asked.webhook_id and d.due_at > greatest($6::bigint, $5::bigint)
             order by d.due_at limit 1) end as next_retry_at
    from asked
    union all
    select asked.number, d.part, d.due_at, d.seq, d.id, d.attempts, e.kind, e.chat_id, e.data, d.since,
           null, null, null, null, null, null, null, null
    from asked
    cross join lateral (
      (select 1 as part, due_at, seq, id, attempts, event_seq, coalesce(round_at, created_at) as since
       from deliveries
       where status = 'due' and webhook_id = asked.webhook_id and due_at = $5
         and seq >= asked.place and seq < asked.horizon
       order by seq limit asked.untried)
      union all
      (select 2, due_at, seq, id, attempts, event_seq, coalesce(round_at, created_at)
       from deliveries
       where status = 'due' and webhook_id = asked.webhook_id and due_at > $5 and due_at <= $6
       order by due_at, seq limit asked.retries)) d
    join events e on e.seq = d.event_seq
    order by number, part, due_at, seq";

/// What an attempt needs of a webhook, and how much was read of it.
struct Endpoint {
    account_id: Id<Account>,
    url: Arc<str>,
    secrets: Arc<Secrets>,
    events: Vec<EventKind>,
    untried: usize,
    retries: usize,
}

/// What was read, as far as it has come.
struct Gathered<'a> {
    queries: &'a [DueQuery],
    seal: &'a Seal,
    now: Timestamp,
    found: Vec<DueDeliveries>,
    /// The one whose rows come now; none if it can't be read.
    current: Option<Endpoint>,
}

async fn of(
    sql: &Sql,
    seal: &Seal,
    queries: &[DueQuery],
    now: Timestamp,
) -> Result<Vec<DueDeliveries>> {
    let (webhooks, places): (Vec<_>, Vec<i64>) =
        queries.iter().map(|query| (bits(query.webhook_id), query.from)).unzip();
    let (untried, retries): (Vec<_>, Vec<_>) =
        queries.iter().map(|query| (Number(query.untried), Number(query.retries))).unzip();
    let found = queries.iter().map(|query| nothing(query.webhook_id)).collect();
    let mut gathered = Gathered { queries, seal, now, found, current: None };
    statement::all(
        sql,
        DUE,
        &[&webhooks, &places, &untried, &retries, &UNTRIED.0, &now.0],
        |row| gathered.take(row),
    )
    .await?;
    Ok(gathered.found)
}

impl Gathered<'_> {
    /// A row that can't be read keeps its own webhook back, and no other.
    fn take(&mut self, row: &Row) -> Column<()> {
        let number = row.try_get::<_, i64>(0)?;
        let Some(place) = usize::try_from(number - 1).ok() else { return Ok(()) };
        if let Err(error) = self.read(place, row) {
            let webhook = self.queries[place].webhook_id;
            tracing::error!(%webhook, %error, "the deliveries of a webhook can't be read");
            self.found[place] = nothing(webhook);
            self.current = None;
        }
        Ok(())
    }

    fn read(&mut self, place: usize, row: &Row) -> Result<()> {
        let (query, due) = (&self.queries[place], &mut self.found[place]);
        let part = row.try_get::<_, i32>(1)?;
        if part == 0 {
            self.current = Some(endpoint(row, self.seal, query.webhook_id)?);
            due.is_active = true;
            let horizon = row.try_get::<_, i64>(3)?;
            due.more_from = row.try_get::<_, bool>(16)?.then_some(horizon.max(query.from));
            due.next_retry_at = row.try_get::<_, Option<i64>>(17)?.map(Timestamp);
            return Ok(());
        }
        let Some(endpoint) = &mut self.current else { return Ok(()) };
        let delivery = delivery(row, query.webhook_id, endpoint)?;
        let is_retry = part == 2;
        if is_retry {
            endpoint.retries += 1;
            if endpoint.retries == query.retries {
                due.next_retry_at = Some(self.now);
            }
        } else {
            endpoint.untried += 1;
            if endpoint.untried == query.untried {
                due.more_from = Some(delivery.seq + 1);
            }
        }
        if !endpoint.events.contains(&delivery.event) {
            due.unnamed.push(delivery.seq);
        } else if is_retry {
            due.retries.push(delivery);
        } else {
            due.untried.push(delivery);
        }
        Ok(())
    }
}

/// None of one that is not active.
fn nothing(webhook_id: Id<Webhook>) -> DueDeliveries {
    DueDeliveries {
        webhook_id,
        is_active: false,
        untried: Vec::new(),
        more_from: None,
        retries: Vec::new(),
        next_retry_at: None,
        unnamed: Vec::new(),
    }
}

fn endpoint(row: &Row, seal: &Seal, id: Id<Webhook>) -> Result<Endpoint> {
    Ok(Endpoint {
        account_id: row.try_get::<_, Bits<_>>(10)?.id(),
        url: row.try_get::<_, &str>(11)?.into(),
        secrets: Arc::new(seal.secrets(id, &sealed(row, [12, 13, 14])?)?),
        events: row.try_get::<_, Json<_>>(15)?.0,
        untried: 0,
        retries: 0,
    })
}

fn delivery(row: &Row, webhook_id: Id<Webhook>, endpoint: &Endpoint) -> Column<DueDelivery> {
    Ok(DueDelivery {
        seq: row.try_get(3)?,
        id: row.try_get::<_, Bits<_>>(4)?.id(),
        webhook_id,
        account_id: endpoint.account_id,
        url: Arc::clone(&endpoint.url),
        secrets: Arc::clone(&endpoint.secrets),
        event: row.try_get::<_, Name<_>>(6)?.0,
        chat_id: row.try_get::<_, Option<Bits<_>>>(7)?.map(Bits::id),
        data: Arc::from(row.try_get::<_, Json<Box<RawValue>>>(8)?.0),
        attempts: row.try_get::<_, Number<_>>(5)?.0,
        since: Timestamp(row.try_get(9)?),
    })
}

/// In the order of their places, as everybody changes several.
pub(super) async fn bring_forward(sql: &Sql, latest: Timestamp) -> Result<()> {
    statement::run(
        sql,
        "update deliveries set due_at = $1
         where seq in (
           select seq from deliveries where status = 'due' and due_at > $1 order by seq for update)",
        &[&latest.0],
    )
    .await?;
    Ok(())
}

/// What waits of one webhook.
pub(super) struct WaitingRow {
    pub(super) webhook: Id<Webhook>,
    /// Whether the webhook was deleted.
    pub(super) is_deleted: bool,
    /// Not if it was disabled or deleted.
    pub(super) is_active: bool,
    pub(super) has_untried: bool,
    /// When the first retry is due.
    pub(super) retry_at: Option<Timestamp>,
}

/// The most webhooks that one read steps over.
const WEBHOOKS: usize = 256;

/// Of the webhooks behind this one, by their ids; and behind which to go on, if there may be more. All are behind
/// [`Id::of_nothing`].
pub(super) async fn waiting(
    sql: &Sql,
    webhook: Id<Webhook>,
) -> Result<(Vec<WaitingRow>, Option<Id<Webhook>>)> {
    // Steps from webhook to webhook, and looks at two places of each: a backlog is not read.
    let rows = statement::all(
        sql,
        "with recursive waiting (webhook_id, number) as (
           (select webhook_id, 1::bigint from deliveries
            where status = 'due' and webhook_id > $2 order by webhook_id limit 1)
           union all
           select (select d.webhook_id from deliveries d
                   where d.status = 'due' and d.webhook_id > waiting.webhook_id
                   order by d.webhook_id limit 1), number + 1
           from waiting where waiting.webhook_id is not null and number < $3
         )
         select waiting.webhook_id, w.id is null, coalesce(w.is_active, false),
           exists (select from deliveries d
             where d.status = 'due' and d.webhook_id = waiting.webhook_id and d.due_at = $1),
           (select d.due_at from deliveries d
             where d.status = 'due' and d.webhook_id = waiting.webhook_id and d.due_at > $1
             order by d.due_at limit 1)
         from waiting left join webhooks w on w.id = waiting.webhook_id
         where waiting.webhook_id is not null
         order by waiting.webhook_id",
        &[&UNTRIED.0, &bits(webhook), &statement::limit(WEBHOOKS)],
        |row| {
            Ok(WaitingRow {
                webhook: row.try_get::<_, Bits<_>>(0)?.id(),
                is_deleted: row.try_get(1)?,
                is_active: row.try_get(2)?,
                has_untried: row.try_get(3)?,
                retry_at: row.try_get::<_, Option<i64>>(4)?.map(Timestamp),
            })
        },
    )
    .await?;
    let last = (rows.len() == WEBHOOKS).then(|| rows.last().map(|row| row.webhook));
    Ok((rows, last.flatten()))
}
