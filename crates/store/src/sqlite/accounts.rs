//! Accounts, and the first one of `switchboard dev`.

use rusqlite::{Connection, params};
use switchboard_model::{
    Account, Scopes, Timestamp,
    id::Id,
    line::{DriverKind, LineService},
};

use super::{columns::Text, keys, lines, statement, writer::Tx};
use crate::{NewKey, NewLine, Refusal, Result, Seed};

pub(super) fn create(sql: &Connection, name: String, now: Timestamp) -> Result<Account> {
    let account = Account { id: Id::generate(), name, created_at: now };
    statement::run(
        sql,
        "insert into accounts (id, name, created_at) values (?1, ?2, ?3)",
        params![Text(account.id), account.name, now.0],
    )?;
    Ok(account)
}

pub(super) fn all(sql: &Connection) -> Result<Vec<Account>> {
    statement::all(sql, "select id, name, created_at from accounts order by seq", [], |row| {
        Ok(Account {
            id: row.get::<_, Text<_>>(0)?.0,
            name: row.get(1)?,
            created_at: Timestamp(row.get(2)?),
        })
    })
}

/// Refuses what belongs to no account.
pub(super) fn must_exist(sql: &Connection, id: Id<Account>) -> Result<()> {
    statement::first(sql, "select 1 from accounts where id = ?1", params![Text(id)], |_| Ok(()))?
        .ok_or_else(|| Refusal::AccountNotFound.into())
}

pub(super) fn seed(tx: &mut Tx<'_>, seed: Seed, now: Timestamp) -> Result<()> {
    if keys::find(tx.sql, seed.hash)?.is_some() {
        return Ok(());
    }
    let account_id = match lines::owner(tx.sql, &seed.line)? {
        // The key that came with it is lost.
        Some(account_id) => account_id,
        None => {
            let account = create(tx.sql, seed.account, now)?;
            lines::create(
                tx,
                NewLine {
                    account_id: account.id,
                    handle: seed.line,
                    label: Some(seed.label),
                    service: LineService::default(),
                    driver: DriverKind::Simulator,
                    bridge_id: None,
                    contact_first: true,
                },
            )?;
            account.id
        }
    };
    keys::create(
        tx.sql,
        NewKey {
            account_id: Some(account_id),
            name: seed.key,
            hint: seed.hint,
            hash: seed.hash,
            scopes: Scopes::all(),
            line_ids: None,
            rate_limit: None,
            expires_at: None,
        },
        now,
    )?;
    Ok(())
}
