//! A webhook's secret is changed; the one before it is valid for a while, and then forgotten.

use rusqlite::params;
use switchboard_model::{
    Timestamp, Webhook,
    id::Id,
    time::Now,
    webhook::{RotatedWebhook, WebhookSecret},
};

use super::{Found, find};
use crate::{
    Grant, Result,
    sqlite::engine::{
        columns::{Bits, bits},
        statement,
        writer::Tx,
    },
};

pub(super) fn rotate(
    tx: &mut Tx<'_>,
    grant: &Grant,
    id: Id<Webhook>,
    secret: WebhookSecret,
    until: Timestamp,
    now: Now,
) -> Result<RotatedWebhook> {
    let Found { webhook, chosen } = find(tx.sql, grant.account, id, now.wall)?;
    grant.must_reach(chosen.as_deref())?;
    grant.must_read(&webhook.events)?;
    statement::run(
        tx.sql,
        "update webhooks set previous_secret = secret, previous_until = ?3, secret = ?2 where id = ?1",
        params![bits(id), tx.seal.webhook_secret(id, secret.reveal())?, until.0],
    )?;
    tx.cache.forget_webhooks(grant.account);
    let webhook = Webhook { secret: Some(secret), ..webhook };
    Ok(RotatedWebhook { webhook, previous_secret_expires_at: now.wall_at(until) })
}

/// Nothing is signed with them any more: who reads the database later is not to find them.
pub(super) fn forget_secrets(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize> {
    let accounts = statement::all(
        tx.sql,
        "update webhooks set previous_secret = null, previous_until = null
         where seq in (select seq from webhooks indexed by webhooks_rotated
           where previous_until <= ?1 limit ?2)
         returning account_id",
        params![now.0, statement::limit(limit)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )?;
    for account in &accounts {
        tx.cache.forget_webhooks(*account);
    }
    Ok(accounts.len())
}
