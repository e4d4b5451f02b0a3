//! Accounts, and the first one of `switchboard dev`.

use rusqlite::{Connection, params};
use switchboard_model::{
    Account, Scopes, Timestamp,
    id::Id,
    line::{DriverKind, LineService},
};

use super::{
    SqliteStore,
    engine::{
        columns::{Bits, bits},
        read_queue::Owner,
        statement,
    },
    keys, lines,
};
use crate::{Accounts, Changed, NewKey, NewLine, Refusal, Result, Seed};

#[async_trait::async_trait]
impl Accounts for SqliteStore {
    async fn create_account(&self, name: String, now: Timestamp) -> Result<Account> {
        self.writer.run(move |tx| create(tx.sql, name, now)).await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        self.readers.scan(Owner::System).ask(all).await
    }

    async fn seed(&self, seed: Seed, now: Timestamp) -> Result<()> {
        let changed = self.post_commit.changed(|changed: &Vec<Changed>| changed.clone());
        self.writer.run_then(move |tx| self::seed(tx.sql, seed, now), changed).await?;
        Ok(())
    }
}

pub(super) fn create(sql: &Connection, name: String, now: Timestamp) -> Result<Account> {
    let account = Account { id: Id::generate(), name, created_at: now };
    statement::run(
        sql,
        "insert into accounts (id, name, created_at) values (?1, ?2, ?3)",
        params![bits(account.id), account.name, now.0],
    )?;
    Ok(account)
}

pub(super) fn all(sql: &Connection) -> Result<Vec<Account>> {
    statement::all(sql, "select id, name, created_at from accounts order by seq", [], |row| {
        Ok(Account {
            id: row.get::<_, Bits<_>>(0)?.id(),
            name: row.get(1)?,
            created_at: Timestamp(row.get(2)?),
        })
    })
}

/// Refuses what belongs to no account.
pub(super) fn must_exist(sql: &Connection, id: Id<Account>) -> Result<()> {
    statement::first(sql, "select 1 from accounts where id = ?1", params![bits(id)], |_| Ok(()))?
        .ok_or_else(|| Refusal::AccountNotFound.into())
}

/// The account that has the sandbox line when a seed has made it; nobody has a key of it.
const SANDBOX: &str = "Sandbox";

/// Answers what is to be read anew. The key is not: nobody remembers one that is new.
pub(super) fn seed(sql: &Connection, seed: Seed, now: Timestamp) -> Result<Vec<Changed>> {
    let mut changed = Vec::new();
    let line = |account_id, handle, label, is_sandbox| NewLine {
        account_id,
        handle,
        label: Some(label),
        service: LineService::default(),
        driver: DriverKind::Simulator,
        bridge_id: None,
        standby_bridge_id: None,
        contact_first: true,
        loop_limit: None,
        is_sandbox,
    };
    if keys::find(sql, seed.hash)?.is_none() {
        let account_id = match lines::owner(sql, &seed.line)? {
            // The key that came with it is lost.
            Some(account_id) => account_id,
            None => {
                let account_id = create(sql, seed.account, now)?.id;
                lines::create(sql, line(account_id, seed.line, seed.label, false))?;
                changed.push(lines::changed(account_id, false));
                account_id
            }
        };
        let key = NewKey {
            account_id: Some(account_id),
            name: seed.key,
            hint: seed.hint,
            hash: seed.hash,
            scopes: Scopes::all(),
            line_ids: None,
            rate_limit: None,
            expires_at: None,
        };
        keys::create(sql, key, now)?;
    }
    if lines::sandbox_line(sql)?.is_none() {
        let account = create(sql, SANDBOX.into(), now)?;
        lines::create(sql, line(account.id, seed.sandbox_line, SANDBOX.into(), true))?;
        changed.push(lines::changed(account.id, true));
    }
    Ok(changed)
}
