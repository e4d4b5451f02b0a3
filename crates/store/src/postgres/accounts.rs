//! Accounts, and the first one of `switchboard dev`.

use crate::postgres::engine::transaction::Tx;
use switchboard_model::{
    Account, Scopes, Timestamp,
    id::Id,
    line::{DriverKind, LineService},
};

use super::{
    PostgresStore,
    engine::{
        columns::{Bits, bits},
        connection::Sql,
        statement,
    },
    keys, lines,
};
use crate::{Accounts, Changed, NewKey, NewLine, Refusal, Result, Seed};

#[async_trait::async_trait]
impl Accounts for PostgresStore {
    async fn create_account(&self, name: String, now: Timestamp) -> Result<Account> {
        self.write(move |tx: &Tx| {
            let name = name.clone();
            Box::pin(async move { create(&tx.sql, name, now).await })
        })
        .await
    }

    async fn accounts(&self) -> Result<Vec<Account>> {
        let sql = &self.read().await?;
        all(sql).await
    }

    async fn seed(&self, seed: Seed, now: Timestamp) -> Result<()> {
        let changed = self.changed(|changed: &Vec<Changed>| changed.clone());
        self.write_then(
            move |tx: &Tx| {
                let seed = seed.clone();
                Box::pin(async move { self::seed(&tx.sql, seed, now).await })
            },
            changed,
        )
        .await?;
        Ok(())
    }
}

pub(super) async fn create(sql: &Sql, name: String, now: Timestamp) -> Result<Account> {
    let account = Account { id: Id::generate(), name, created_at: now };
    statement::run(
        sql,
        "insert into accounts (id, name, created_at) values ($1, $2, $3)",
        &[&bits(account.id), &account.name, &now.0],
    )
    .await?;
    Ok(account)
}

pub(super) async fn all(sql: &Sql) -> Result<Vec<Account>> {
    statement::all(sql, "select id, name, created_at from accounts order by seq", &[], |row| {
        Ok(Account {
            id: row.try_get::<_, Bits<_>>(0)?.id(),
            name: row.try_get(1)?,
            created_at: Timestamp(row.try_get(2)?),
        })
    })
    .await
}

/// Refuses what belongs to no account.
pub(super) async fn must_exist(sql: &Sql, id: Id<Account>) -> Result<()> {
    statement::first(sql, "select 1 from accounts where id = $1", &[&bits(id)], |_| Ok(()))
        .await?
        .ok_or_else(|| Refusal::AccountNotFound.into())
}

/// The account that has the sandbox line when a seed has made it; nobody has a key of it.
const SANDBOX: &str = "Sandbox";

/// Whoever sows holds this.
const SOWING: i64 = 0x5365_6564;

/// Answers what is to be read anew. The key is not: nobody remembers one that is new.
pub(super) async fn seed(sql: &Sql, seed: Seed, now: Timestamp) -> Result<Vec<Changed>> {
    // Of two processes that start together, one sows.
    statement::run(sql, "select pg_advisory_xact_lock($1)", &[&SOWING]).await?;
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
    if keys::find(sql, seed.hash).await?.is_none() {
        let account_id = match lines::owner(sql, &seed.line).await? {
            // The key that came with it is lost.
            Some(account_id) => account_id,
            None => {
                let account_id = create(sql, seed.account, now).await?.id;
                lines::create(sql, line(account_id, seed.line, seed.label, false)).await?;
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
        keys::create(sql, key, now).await?;
    }
    if lines::sandbox_line(sql).await?.is_none() {
        let account = create(sql, SANDBOX.into(), now).await?;
        lines::create(sql, line(account.id, seed.sandbox_line, SANDBOX.into(), true)).await?;
        changed.push(lines::changed(account.id, true));
    }
    Ok(changed)
}
