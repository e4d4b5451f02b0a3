//! Webhooks: where the events of an account go.

use rusqlite::{Connection, params};
use switchboard_model::{
    Account, Line, Timestamp, Webhook,
    delivery::Secrets,
    id::Id,
    webhook::{DISABLED_AFTER_MS, DisabledReason, MAX_PER_ACCOUNT, SILENCE_MS, WebhookSecret},
};

use super::{
    columns::{Json, Name, Text},
    deliveries::Trend,
    lines, statement,
    writer::Tx,
};
use crate::{Endpoint, NewWebhook, Refusal, Result, WebhookChanges};

/// What deliveries are signed with, from the columns `secret`, `previous_secret`, `previous_until`.
pub(super) fn secrets(
    current: String,
    previous: Option<String>,
    previous_until: Option<i64>,
) -> Secrets {
    Secrets {
        current: WebhookSecret::from_stored(current),
        previous: previous.map(WebhookSecret::from_stored).zip(previous_until.map(Timestamp)),
    }
}

pub(super) fn create(tx: &mut Tx<'_>, new: NewWebhook, now: Timestamp) -> Result<Webhook> {
    let have = statement::first(
        tx.sql,
        "select count(*) from webhooks where account_id = ?1",
        params![Text(new.account_id)],
        |row| row.get::<_, u32>(0),
    )?;
    if have.unwrap_or(0) as usize >= MAX_PER_ACCOUNT {
        return Err(Refusal::TooManyWebhooks { max: MAX_PER_ACCOUNT }.into());
    }
    if let Some(wanted) = &new.line_ids {
        lines::must_belong(tx.sql, new.account_id, wanted)?;
    }
    let id = new.id;
    statement::run(
        tx.sql,
        "insert into webhooks (id, account_id, line_ids, url, events, secret, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            Text(id),
            Text(new.account_id),
            new.line_ids.as_ref().map(Json),
            new.url,
            Json(&new.events),
            new.secret.reveal(),
            now.0,
        ],
    )?;
    tx.known.forget();
    let line_ids = match new.line_ids {
        Some(line_ids) => line_ids,
        None => lines::ids_of_account(tx.sql, new.account_id)?,
    };
    let secret = Some(new.secret);
    Ok(Webhook {
        id,
        line_ids,
        url: new.url,
        events: new.events,
        is_active: true,
        failing_since: None,
        disabled_at: None,
        disabled_reason: None,
        secret,
    })
}

pub(super) fn of_account(sql: &Connection, account: Id<Account>) -> Result<Vec<Webhook>> {
    let all_lines = lines::ids_of_account(sql, account)?;
    statement::all(
        sql,
        "select id, line_ids, url, events, is_active, failing_since, disabled_at, disabled_reason
         from webhooks where account_id = ?1 order by seq",
        params![Text(account)],
        |row| {
            let chosen = row.get::<_, Option<Json<Vec<Id<Line>>>>>(1)?;
            Ok(Webhook {
                id: row.get::<_, Text<_>>(0)?.0,
                line_ids: chosen.map_or_else(|| all_lines.clone(), |ids| ids.0),
                url: row.get(2)?,
                events: row.get::<_, Json<_>>(3)?.0,
                is_active: row.get(4)?,
                failing_since: row.get::<_, Option<i64>>(5)?.map(Timestamp),
                disabled_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
                disabled_reason: row.get::<_, Option<Name<_>>>(7)?.map(|reason| reason.0),
                secret: None,
            })
        },
    )
}

/// Only its own row: what is due of it may be any number of rows, and is removed a little at a time by
/// `rounds::give_up`.
pub(super) fn delete(tx: &mut Tx<'_>, account: Id<Account>, id: Id<Webhook>) -> Result<()> {
    let gone = statement::run(
        tx.sql,
        "delete from webhooks where id = ?1 and account_id = ?2",
        params![Text(id), Text(account)],
    )?;
    if gone == 0 {
        return Err(Refusal::WebhookNotFound.into());
    }
    tx.known.forget();
    Ok(())
}

pub(super) fn update(
    tx: &mut Tx<'_>,
    account: Id<Account>,
    id: Id<Webhook>,
    changes: &WebhookChanges,
    now: Timestamp,
) -> Result<()> {
    let was_active = standing(tx.sql, account, id)?.disabled_at.is_none();
    // Another endpoint must not be disabled for what the one before it did.
    statement::run(
        tx.sql,
        "update webhooks set url = coalesce(?2, url), events = coalesce(?3, events),
                failing_since = iif(?2 is null or is_active = 0, failing_since, null)
         where id = ?1",
        params![Text(id), changes.url, changes.events.as_ref().map(Json)],
    )?;
    match changes.is_active {
        Some(true) if !was_active => statement::run(
            tx.sql,
            "update webhooks set is_active = 1, failing_since = null, disabled_at = null,
                    disabled_reason = null
             where id = ?1",
            params![Text(id)],
        )?,
        Some(false) if was_active => statement::run(
            tx.sql,
            "update webhooks set is_active = 0, disabled_at = ?2, disabled_reason = ?3 where id = ?1",
            params![Text(id), now.0, Name(DisabledReason::Manual)],
        )?,
        _ => 0,
    };
    tx.known.forget();
    Ok(())
}

/// How a webhook does.
struct Standing {
    failing_since: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
}

fn standing(sql: &Connection, account: Id<Account>, id: Id<Webhook>) -> Result<Standing> {
    let standing = statement::first(
        sql,
        "select failing_since, disabled_at from webhooks where id = ?1 and account_id = ?2",
        params![Text(id), Text(account)],
        |row| {
            Ok(Standing {
                failing_since: row.get::<_, Option<i64>>(0)?.map(Timestamp),
                disabled_at: row.get::<_, Option<i64>>(1)?.map(Timestamp),
            })
        },
    )?;
    standing.ok_or_else(|| Refusal::WebhookNotFound.into())
}

/// Deliveries of a webhook that are looked at to find the oldest event that it missed, in all and in one read.
const LOOKED_AT: usize = 100_000;
const SLICE: usize = 500;

/// Since when a webhook has missed events, as far as that is known.
#[derive(Clone, Copy)]
pub(super) struct Missed {
    webhook: Id<Webhook>,
    /// When it began to fail, or was disabled before that; none while it is active.
    began: Option<Timestamp>,
    /// The event of the last delivery that was looked at, and how many were.
    place: i64,
    looked_at: usize,
    is_found: bool,
}

impl Missed {
    pub(super) fn of(sql: &Connection, account: Id<Account>, id: Id<Webhook>) -> Result<Self> {
        let Standing { failing_since, disabled_at } = standing(sql, account, id)?;
        let began = disabled_at.map(|at| failing_since.map_or(at, |since| since.min(at)));
        Ok(Self { webhook: id, began, place: i64::MIN, looked_at: 0, is_found: began.is_none() })
    }

    pub(super) fn is_found(self) -> bool {
        self.is_found
    }

    pub(super) fn since(self) -> Option<Timestamp> {
        self.began
    }

    /// An event is older than the failure of its first attempt, and than a webhook that was disabled
    /// before all its attempts were made.
    pub(super) fn slice(mut self, sql: &Connection) -> Result<Self> {
        let Some(began) = self.began else { return Ok(self) };
        let looked_at = statement::all(
            sql,
            "select event_seq, finished_at from deliveries indexed by deliveries_failed
             where status = 'failed' and webhook_id = ?1 and event_seq > ?2
             order by event_seq limit ?3",
            params![Text(self.webhook), self.place, statement::limit(SLICE)],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        self.looked_at += looked_at.len();
        self.is_found = looked_at.len() < SLICE || self.looked_at >= LOOKED_AT;
        if let Some((last, _)) = looked_at.last() {
            self.place = *last;
        }
        let oldest =
            looked_at.iter().find(|(_, finished)| finished.is_some_and(|at| at >= began.0));
        if let Some((event, _)) = oldest {
            let created = statement::first(
                sql,
                "select created_at from events where seq = ?1",
                params![event],
                |row| Ok(Timestamp(row.get(0)?)),
            )?;
            self.began = Some(created.map_or(began, |created| created.min(began)));
            self.is_found = true;
        }
        Ok(self)
    }
}

/// How many are not active.
pub(super) fn count_disabled(sql: &Connection) -> Result<u64> {
    let count =
        statement::first(sql, "select count(*) from webhooks where is_active = 0", [], |row| {
            row.get::<_, u32>(0)
        })?;
    Ok(count.map_or(0, u64::from))
}

pub(super) fn rotate(
    tx: &mut Tx<'_>,
    account: Id<Account>,
    id: Id<Webhook>,
    secret: &WebhookSecret,
    until: Timestamp,
) -> Result<()> {
    let rotated = statement::run(
        tx.sql,
        "update webhooks set previous_secret = secret, previous_until = ?4, secret = ?3
         where id = ?1 and account_id = ?2",
        params![Text(id), Text(account), secret.reveal(), until.0],
    )?;
    if rotated == 0 {
        return Err(Refusal::WebhookNotFound.into());
    }
    tx.known.forget();
    Ok(())
}

/// Nothing is signed with them any more: who reads the database later is not to find them.
pub(super) fn forget_secrets(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize> {
    let gone = statement::run(
        tx.sql,
        "update webhooks set previous_secret = null, previous_until = null
         where seq in (select seq from webhooks indexed by webhooks_rotated
           where previous_until <= ?1 limit ?2)",
        params![now.0, statement::limit(limit)],
    )?;
    if gone > 0 {
        tx.known.forget();
    }
    Ok(gone)
}

pub(super) fn endpoint(
    sql: &Connection,
    account: Id<Account>,
    id: Id<Webhook>,
) -> Result<Option<Endpoint>> {
    statement::first(
        sql,
        "select url, secret, previous_secret, previous_until, line_ids is null from webhooks
         where id = ?1 and account_id = ?2",
        params![Text(id), Text(account)],
        |row| {
            let secrets = secrets(row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Endpoint { url: row.get(0)?, secrets, is_for_all_lines: row.get(4)? })
        },
    )
}

/// Notes what attempts have said of a webhook; disables it if that is enough. Attempts at a URL that it does not
/// have any more say nothing of it.
pub(super) fn note(
    tx: &mut Tx<'_>,
    id: Id<Webhook>,
    url: &str,
    trend: &Trend,
) -> Result<Option<DisabledReason>> {
    let since = trend.failing_since.map(Timestamp::millis);
    // Two failures with a long silence between them are not days of failures.
    let is_anew = trend.failing_since.map(|since| since.0 - SILENCE_MS);
    statement::run(
        tx.sql,
        "update webhooks set last_failed_at = ?3,
                failing_since = iif(?4 or failing_since is null or last_failed_at < ?5, ?2, failing_since)
         where id = ?1 and url = ?6 and (?2 is not null or failing_since is not null)",
        params![Text(id), since, since.map(|_| trend.now.0), trend.worked, is_anew, url],
    )?;
    let reason = if trend.is_gone {
        DisabledReason::Gone
    } else if since.is_some() {
        DisabledReason::Failing
    } else {
        return Ok(None);
    };
    let failing_before = trend.now.0 - DISABLED_AFTER_MS;
    let disabled = statement::run(
        tx.sql,
        "update webhooks set is_active = 0, disabled_at = ?2, disabled_reason = ?3
         where id = ?1 and url = ?6 and is_active = 1 and (?4 or failing_since <= ?5)",
        params![Text(id), trend.now.0, Name(reason), trend.is_gone, failing_before, url],
    )?;
    if disabled == 0 {
        return Ok(None);
    }
    tx.known.forget();
    Ok(Some(reason))
}
