//! Webhooks: where the events of an account go.

use rusqlite::{Connection, params};
use switchboard_model::{Account, Line, Timestamp, Webhook, id::Id, webhook::MAX_PER_ACCOUNT};

use super::{
    columns::{Json, Text},
    deliveries, lines, statement,
    writer::Tx,
};
use crate::{NewWebhook, Refusal, Result};

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
    Ok(Webhook { id, line_ids, url: new.url, events: new.events, is_active: true, secret })
}

pub(super) fn of_account(sql: &Connection, account: Id<Account>) -> Result<Vec<Webhook>> {
    let all_lines = lines::ids_of_account(sql, account)?;
    statement::all(
        sql,
        "select id, line_ids, url, events, is_active from webhooks where account_id = ?1 order by seq",
        params![Text(account)],
        |row| {
            let chosen = row.get::<_, Option<Json<Vec<Id<Line>>>>>(1)?;
            Ok(Webhook {
                id: row.get::<_, Text<_>>(0)?.0,
                line_ids: chosen.map_or_else(|| all_lines.clone(), |ids| ids.0),
                url: row.get(2)?,
                events: row.get::<_, Json<_>>(3)?.0,
                is_active: row.get(4)?,
                secret: None,
            })
        },
    )
}

pub(super) fn delete(tx: &mut Tx<'_>, account: Id<Account>, id: Id<Webhook>) -> Result<()> {
    let gone = statement::run(
        tx.sql,
        "delete from webhooks where id = ?1 and account_id = ?2",
        params![Text(id), Text(account)],
    )?;
    if gone == 0 {
        return Err(Refusal::WebhookNotFound.into());
    }
    deliveries::forget_due_of(tx.sql, id)?;
    tx.known.forget();
    Ok(())
}
