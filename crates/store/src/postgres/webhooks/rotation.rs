//! A webhook's secret is changed; the one before it is valid for a while, and then forgotten.

use switchboard_model::{
    Timestamp, Webhook,
    id::Id,
    time::Now,
    webhook::{RotatedWebhook, WebhookSecret},
};

use super::{Found, find_to_change};
use crate::{
    Grant, Result,
    postgres::engine::{columns::bits, statement, transaction::Tx},
};

pub(super) async fn rotate(
    tx: &Tx,
    grant: &Grant,
    id: Id<Webhook>,
    secret: WebhookSecret,
    until: Timestamp,
    now: Now,
) -> Result<RotatedWebhook> {
    let Found { webhook, chosen } = find_to_change(&tx.sql, grant.account, id, now.wall).await?;
    grant.must_reach(chosen.as_deref())?;
    grant.must_read(&webhook.events)?;
    statement::run(
        &tx.sql,
        "update webhooks set previous_secret = secret, previous_until = $3, secret = $2 where id = $1",
        &[&bits(id), &tx.seal.webhook_secret(id, secret.reveal())?, &until.0],
    )
    .await?;
    let webhook = Webhook { secret: Some(secret), ..webhook };
    Ok(RotatedWebhook { webhook, previous_secret_expires_at: now.wall_at(until) })
}

/// Nothing is signed with them any more: who reads the database later is not to find them.
pub(super) async fn forget_secrets(tx: &Tx, now: Timestamp, limit: usize) -> Result<usize> {
    let forgotten = statement::run(
        &tx.sql,
        "update webhooks set previous_secret = null, previous_until = null
         where seq in (
           select seq from webhooks where previous_until <= $1 limit $2 for update skip locked)",
        &[&now.0, &statement::limit(limit)],
    )
    .await?;
    Ok(usize::try_from(forgotten).unwrap_or(usize::MAX))
}
