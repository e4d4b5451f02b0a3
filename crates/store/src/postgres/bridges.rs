//! Bridges, and the simulator's own.

use switchboard_model::{Bridge, Timestamp, id::Id, line::DriverKind, secret::SecretHash};
use tokio_postgres::Row;

use super::{
    PostgresStore,
    engine::{
        columns::{Bits, Column, Digest, Name, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    lines, outbox,
};
use crate::{Bridges, Link, OpenedLink, Refusal, Result, StoreError};

#[async_trait::async_trait]
impl Bridges for PostgresStore {
    async fn create_bridge(
        &self,
        name: String,
        driver: DriverKind,
        token: SecretHash,
        now: Timestamp,
    ) -> Result<Bridge> {
        self.write(move |tx: &Tx| {
            let name = name.clone();
            Box::pin(async move { create(&tx.sql, name, driver, token, now).await })
        })
        .await
    }

    async fn ensure_simulator_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Bridge> {
        self.write(move |tx: &Tx| Box::pin(async move { ensure_simulator(tx, token, now).await }))
            .await
    }

    async fn find_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Option<Bridge>> {
        self.write(move |tx: &Tx| Box::pin(async move { find(&tx.sql, token, now).await })).await
    }

    async fn bridges(&self) -> Result<Vec<Bridge>> {
        let sql = &self.read().await?;
        all(sql).await
    }

    async fn open_link(&self, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<OpenedLink> {
        self.write(move |tx: &Tx| Box::pin(async move { open_link(tx, bridge, lease_until).await }))
            .await
    }

    async fn is_newest_link(&self, link: Link) -> Result<bool> {
        let sql = &self.read().await?;
        Ok(epoch(sql, link.bridge, "").await?.is_none_or(|newest| newest == link.epoch))
    }

    async fn revoke_bridge(&self, id: Id<Bridge>, now: Timestamp) -> Result<Bridge> {
        self.write(move |tx: &Tx| Box::pin(async move { revoke(&tx.sql, id, now).await })).await
    }
}

/// The epoch, the lines and the claims are of one moment: nothing that the older link still claims is left out.
async fn open_link(tx: &Tx, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<OpenedLink> {
    let epoch = statement::first(
        &tx.sql,
        "update bridges set link_epoch = link_epoch + 1, link_until = $2 where id = $1 returning link_epoch",
        &[&bits(bridge), &lease_until.0],
        |row| row.try_get(0),
    ).await?;
    let link = Link { bridge, epoch: epoch.ok_or(Refusal::BridgeNotFound)? };
    outbox::extend_claims(&tx.sql, link, lease_until).await?;
    Ok(OpenedLink {
        link,
        lines: lines::carried_by(&tx.sql, bridge).await?,
        claims: outbox::claims_of(&tx.sql, bridge).await?,
    })
}

/// Refuses a link that is not its bridge's newest. None begins before the transaction has ended.
pub(super) async fn must_be_newest(sql: &Sql, link: Link) -> Result<()> {
    match epoch(sql, link.bridge, " for share").await? {
        Some(newest) if newest != link.epoch => Err(StoreError::Fenced),
        _ => Ok(()),
    }
}

async fn epoch(sql: &Sql, bridge: Id<Bridge>, lock: &str) -> Result<Option<i64>> {
    let epoch = format!("select link_epoch from bridges where id = $1{lock}");
    statement::first(sql, &epoch, &[&bits(bridge)], |row| row.try_get(0)).await
}

/// The name of the simulator's own bridge; no other driver's bridge may take it.
const SIMULATOR: &str = "simulator";

pub(super) async fn create(
    sql: &Sql,
    name: String,
    driver: DriverKind,
    token: SecretHash,
    now: Timestamp,
) -> Result<Bridge> {
    if name == SIMULATOR && driver != DriverKind::Simulator {
        return Err(Refusal::BridgeExists.into());
    }
    let bridge = Bridge {
        id: Id::generate(),
        name,
        driver,
        last_seen_at: None,
        revoked_at: None,
        created_at: now,
    };
    let made = statement::run(
        sql,
        "insert into bridges (id, name, driver, token, created_at) values ($1, $2, $3, $4, $5)
         on conflict (name) do nothing",
        &[&bits(bridge.id), &bridge.name, &Name(driver), &Digest(token.0), &now.0],
    )
    .await?;
    if made == 0 { Err(Refusal::BridgeExists.into()) } else { Ok(bridge) }
}

/// A revoked one is taken back into service: its new token is the operator's word.
pub(super) async fn ensure_simulator(tx: &Tx, token: SecretHash, now: Timestamp) -> Result<Bridge> {
    let bridge = statement::first(
        &tx.sql,
        "insert into bridges (id, name, driver, token, created_at) values ($1, $2, $3, $4, $5)
         on conflict (name) do update set token = excluded.token, revoked_at = null
         returning id, name, driver, last_seen_at, revoked_at, created_at",
        &[
            &bits(Id::<Bridge>::generate()),
            &SIMULATOR,
            &Name(DriverKind::Simulator),
            &Digest(token.0),
            &now.0,
        ],
        bridge,
    )
    .await?
    .ok_or(Refusal::BridgeNotFound)?;
    statement::run(
        &tx.sql,
        "update lines set bridge_id = $1 where driver = $2 and bridge_id is distinct from $1",
        &[&bits(bridge.id), &Name(DriverKind::Simulator)],
    )
    .await?;
    Ok(bridge)
}

pub(super) async fn find(sql: &Sql, token: SecretHash, now: Timestamp) -> Result<Option<Bridge>> {
    statement::first(
        sql,
        "update bridges set last_seen_at = $2 where token = $1
         returning id, name, driver, last_seen_at, revoked_at, created_at",
        &[&Digest(token.0), &now.0],
        bridge,
    )
    .await
}

pub(super) async fn all(sql: &Sql) -> Result<Vec<Bridge>> {
    statement::all(
        sql,
        "select id, name, driver, last_seen_at, revoked_at, created_at from bridges order by seq",
        &[],
        bridge,
    )
    .await
}

pub(super) async fn revoke(sql: &Sql, id: Id<Bridge>, now: Timestamp) -> Result<Bridge> {
    statement::first(
        sql,
        "update bridges set revoked_at = coalesce(revoked_at, $2) where id = $1
         returning id, name, driver, last_seen_at, revoked_at, created_at",
        &[&bits(id), &now.0],
        bridge,
    )
    .await?
    .ok_or_else(|| Refusal::BridgeNotFound.into())
}

/// The simulator's own bridge, if it was ever made.
pub(super) async fn simulator(sql: &Sql) -> Result<Option<Id<Bridge>>> {
    statement::first(sql, "select id from bridges where name = $1", &[&SIMULATOR], |row| {
        Ok(row.try_get::<_, Bits<_>>(0)?.id())
    })
    .await
}

/// Refuses a bridge that can't carry a line of this driver.
pub(super) async fn must_be_usable(
    sql: &Sql,
    id: Id<Bridge>,
    driver: DriverKind,
) -> Result<Id<Bridge>> {
    let found: Option<DriverKind> = statement::first(
        sql,
        "select driver from bridges where id = $1 and revoked_at is null for share",
        &[&bits(id)],
        |row| Ok(row.try_get::<_, Name<_>>(0)?.0),
    )
    .await?;
    match found {
        None => Err(Refusal::BridgeNotFound.into()),
        Some(found) if found == driver => Ok(id),
        Some(_) => Err(Refusal::BridgeOfAnotherDriver.into()),
    }
}

fn bridge(row: &Row) -> Column<Bridge> {
    Ok(Bridge {
        id: row.try_get::<_, Bits<_>>(0)?.id(),
        name: row.try_get(1)?,
        driver: row.try_get::<_, Name<_>>(2)?.0,
        last_seen_at: row.try_get::<_, Option<i64>>(3)?.map(Timestamp),
        revoked_at: row.try_get::<_, Option<i64>>(4)?.map(Timestamp),
        created_at: Timestamp(row.try_get(5)?),
    })
}
