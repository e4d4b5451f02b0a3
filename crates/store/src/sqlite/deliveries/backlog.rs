//! How much is due, for who watches: counted up to a bound, in slices.

use rusqlite::{Connection, params};
use switchboard_model::{Timestamp, Webhook, id::Id, time::Now};

use super::due;
use crate::{
    MAX_COUNTED, Result, WebhookBacklog,
    base::deliveries::UNTRIED,
    sqlite::engine::{columns::bits, statement},
};

/// Deliveries that one slice counts, of one webhook or of several.
const SLICE: u64 = 5000;

/// The count as far as it has come.
pub(in crate::sqlite) struct Counting {
    now: Now,
    counted: Vec<WebhookBacklog>,
    /// Webhooks that were found to have something due, and are still to be counted.
    found: Vec<Id<Webhook>>,
    /// Behind which webhook others are looked for; none once all are found.
    after: Option<Id<Webhook>>,
    current: Option<Current>,
}

/// A webhook that is being counted.
struct Current {
    backlog: WebhookBacklog,
    /// The last delivery that was counted, in the order of the index.
    due_at: i64,
    seq: i64,
}

impl Counting {
    pub(in crate::sqlite) fn new(now: Now) -> Self {
        let after = Some(Id::of_nothing());
        Self { now, counted: Vec::new(), found: Vec::new(), after, current: None }
    }

    pub(in crate::sqlite) fn is_done(&self) -> bool {
        self.after.is_none() && self.found.is_empty() && self.current.is_none()
    }

    /// By the ids of the webhooks.
    pub(in crate::sqlite) fn into_webhooks(self) -> Vec<WebhookBacklog> {
        self.counted
    }

    pub(in crate::sqlite) fn slice(mut self, sql: &Connection) -> Result<Self> {
        let mut rest = SLICE;
        while rest > 0 && !self.is_done() {
            let current = match self.current.take() {
                Some(current) => current,
                None => match self.found.pop() {
                    Some(webhook) => match self.begin(sql, webhook)? {
                        Some(current) => current,
                        None => continue,
                    },
                    None => {
                        self.find(sql)?;
                        break;
                    }
                },
            };
            rest = self.count(sql, current, rest)?;
        }
        Ok(self)
    }

    fn find(&mut self, sql: &Connection) -> Result<()> {
        let Some(after) = self.after.take() else { return Ok(()) };
        let (rows, next) = due::waiting(sql, after)?;
        let now = self.now.steady;
        let is_due =
            |row: &due::WaitingRow| row.has_untried || row.retry_at.is_some_and(|at| at <= now);
        let due = rows.into_iter().filter(|row| row.is_active && is_due(row));
        self.found = due.map(|row| row.webhook).collect();
        self.found.reverse();
        self.after = next;
        Ok(())
    }

    fn begin(&self, sql: &Connection, webhook: Id<Webhook>) -> Result<Option<Current>> {
        // Those that were not attempted are due at 0, in the order of their events.
        let since = statement::first(
            sql,
            "select
               (select coalesce(round_at, created_at) from deliveries indexed by deliveries_due
                  where status = 'due' and webhook_id = ?1 and due_at = ?3
                  order by due_at, seq limit 1),
               (select due_at from deliveries indexed by deliveries_due
                  where status = 'due' and webhook_id = ?1 and due_at between ?3 + 1 and ?2
                  order by due_at limit 1)",
            params![bits(webhook), self.now.steady.0, UNTRIED.0],
            |row| {
                let (untried, tried): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
                let tried = tried.map(|due_at| self.now.wall_at(Timestamp(due_at)).0);
                Ok(untried.into_iter().chain(tried).min())
            },
        )?;
        let since = since.flatten().map(Timestamp);
        Ok(since.map(|since| Current {
            backlog: WebhookBacklog { webhook_id: webhook, due: 0, since },
            due_at: i64::MIN,
            seq: i64::MIN,
        }))
    }

    /// Counts at most so many of one webhook, and answers how many more this slice may count.
    fn count(&mut self, sql: &Connection, mut current: Current, rest: u64) -> Result<u64> {
        let wanted = rest.min(MAX_COUNTED - current.backlog.due);
        let (mut count, mut last) = (0, None);
        {
            let mut due = sql.prepare_cached(
                "select due_at, seq from deliveries indexed by deliveries_due
                 where status = 'due' and webhook_id = ?1 and (due_at, seq) > (?2, ?3) and due_at <= ?4
                 order by due_at, seq limit ?5",
            )?;
            let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
            let webhook = bits(current.backlog.webhook_id);
            let mut due =
                due.query(params![webhook, current.due_at, current.seq, self.now.steady.0, limit])?;
            while let Some(row) = due.next()? {
                count += 1;
                last = Some((row.get(0)?, row.get(1)?));
            }
        }
        current.backlog.due += count;
        if let Some(last) = last
            && count == wanted
            && current.backlog.due < MAX_COUNTED
        {
            (current.due_at, current.seq) = last;
            self.current = Some(current);
        } else if current.backlog.due > 0 {
            self.counted.push(current.backlog);
        }
        Ok(rest - count)
    }
}
