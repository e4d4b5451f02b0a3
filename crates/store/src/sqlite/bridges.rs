//! Bridges, and the simulator's own.

use rusqlite::{Connection, Row, params};
use switchboard_model::{Bridge, Timestamp, id::Id, line::DriverKind, secret::SecretHash};

use super::{
    SqliteStore,
    engine::{
        columns::{Bits, Name, bits},
        read_queue::Owner,
        statement,
        writer::Tx,
    },
    lines, outbox,
};
use crate::{Bridges, Link, OpenedLink, Refusal, Result, StoreError};

#[async_trait::async_trait]
impl Bridges for SqliteStore {
    async fn create_bridge(
        &self,
        name: String,
        driver: DriverKind,
        token: SecretHash,
        now: Timestamp,
    ) -> Result<Bridge> {
        self.writer.run(move |tx| create(tx.sql, name, driver, token, now)).await
    }

    async fn ensure_simulator_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Bridge> {
        self.writer.run(move |tx| ensure_simulator(tx, token, now)).await
    }

    async fn find_bridge(&self, token: SecretHash, now: Timestamp) -> Result<Option<Bridge>> {
        self.writer.run(move |tx| find(tx.sql, token, now)).await
    }

    async fn bridges(&self) -> Result<Vec<Bridge>> {
        self.readers.scan(Owner::System).ask(all).await
    }

    async fn open_link(&self, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<OpenedLink> {
        self.writer.run(move |tx| open_link(tx, bridge, lease_until)).await
    }

    async fn is_newest_link(&self, link: Link) -> Result<bool> {
        let is_newest = move |sql: &_| match must_be_newest(sql, link) {
            Err(StoreError::Fenced) => Ok(false),
            done => done.map(|()| true),
        };
        self.readers.lookup(link.bridge).ask(is_newest).await
    }

    async fn revoke_bridge(&self, id: Id<Bridge>, now: Timestamp) -> Result<Bridge> {
        self.writer.run(move |tx| revoke(tx.sql, id, now)).await
    }
}

/// The epoch, the lines and the claims are of one moment: nothing that the older link still claims is left out.
fn open_link(tx: &mut Tx<'_>, bridge: Id<Bridge>, lease_until: Timestamp) -> Result<OpenedLink> {
    let epoch = statement::first(
        tx.sql,
        "update bridges set link_epoch = link_epoch + 1, link_until = ?2 where id = ?1 returning link_epoch",
        params![bits(bridge), lease_until.0],
        |row| row.get(0),
    )?;
    let link = Link { bridge, epoch: epoch.ok_or(Refusal::BridgeNotFound)? };
    outbox::extend_claims(tx.sql, link, lease_until)?;
    Ok(OpenedLink {
        link,
        lines: lines::carried_by(tx.sql, bridge)?,
        claims: outbox::claims_of(tx.sql, bridge)?,
    })
}

/// Refuses a link that is not its bridge's newest.
pub(super) fn must_be_newest(sql: &Connection, link: Link) -> Result<()> {
    let epoch = statement::first(
        sql,
        "select link_epoch from bridges where id = ?1",
        params![bits(link.bridge)],
        |row| row.get::<_, i64>(0),
    )?;
    match epoch {
        Some(newest) if newest != link.epoch => Err(StoreError::Fenced),
        _ => Ok(()),
    }
}

/// The name of the simulator's own bridge; no other driver's bridge may take it.
const SIMULATOR: &str = "simulator";

pub(super) fn create(
    sql: &Connection,
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
        "insert into bridges (id, name, driver, token, created_at) values (?1, ?2, ?3, ?4, ?5)
         on conflict (name) do nothing",
        params![bits(bridge.id), bridge.name, Name(driver), token.0, now.0],
    )?;
    if made == 0 { Err(Refusal::BridgeExists.into()) } else { Ok(bridge) }
}

/// A revoked one is taken back into service: its new token is the operator's word.
pub(super) fn ensure_simulator(
    tx: &mut Tx<'_>,
    token: SecretHash,
    now: Timestamp,
) -> Result<Bridge> {
    let bridge = tx
        .sql
        .prepare_cached(
            "insert into bridges (id, name, driver, token, created_at) values (?1, ?2, ?3, ?4, ?5)
         on conflict (name) do update set token = excluded.token, revoked_at = null
         returning id, name, driver, last_seen_at, revoked_at, created_at",
        )?
        .query_row(
            params![
                bits(Id::<Bridge>::generate()),
                SIMULATOR,
                Name(DriverKind::Simulator),
                token.0,
                now.0
            ],
            bridge,
        )?;
    let adopted = statement::all(
        tx.sql,
        "update lines set bridge_id = ?1 where driver = ?2 and bridge_id is not ?1 returning id",
        params![bits(bridge.id), Name(DriverKind::Simulator)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )?;
    adopted.into_iter().for_each(|line| tx.cache.forget_line(line));
    Ok(bridge)
}

pub(super) fn find(sql: &Connection, token: SecretHash, now: Timestamp) -> Result<Option<Bridge>> {
    statement::first(
        sql,
        "update bridges set last_seen_at = ?2 where token = ?1
         returning id, name, driver, last_seen_at, revoked_at, created_at",
        params![token.0, now.0],
        bridge,
    )
}

pub(super) fn all(sql: &Connection) -> Result<Vec<Bridge>> {
    statement::all(
        sql,
        "select id, name, driver, last_seen_at, revoked_at, created_at from bridges order by seq",
        [],
        bridge,
    )
}

pub(super) fn revoke(sql: &Connection, id: Id<Bridge>, now: Timestamp) -> Result<Bridge> {
    statement::first(
        sql,
        "update bridges set revoked_at = coalesce(revoked_at, ?2) where id = ?1
         returning id, name, driver, last_seen_at, revoked_at, created_at",
        params![bits(id), now.0],
        bridge,
    )?
    .ok_or_else(|| Refusal::BridgeNotFound.into())
}

/// The simulator's own bridge, if it was ever made.
pub(super) fn simulator(sql: &Connection) -> Result<Option<Id<Bridge>>> {
    statement::first(sql, "select id from bridges where name = ?1", params![SIMULATOR], |row| {
        Ok(row.get::<_, Bits<_>>(0)?.id())
    })
}

/// Refuses a bridge that can't carry a line of this driver.
pub(super) fn must_be_usable(
    sql: &Connection,
    id: Id<Bridge>,
    driver: DriverKind,
) -> Result<Id<Bridge>> {
    let found: Option<DriverKind> = statement::first(
        sql,
        "select driver from bridges where id = ?1 and revoked_at is null",
        params![bits(id)],
        |row| Ok(row.get::<_, Name<_>>(0)?.0),
    )?;
    match found {
        None => Err(Refusal::BridgeNotFound.into()),
        Some(found) if found == driver => Ok(id),
        Some(_) => Err(Refusal::BridgeOfAnotherDriver.into()),
    }
}

fn bridge(row: &Row<'_>) -> rusqlite::Result<Bridge> {
    Ok(Bridge {
        id: row.get::<_, Bits<_>>(0)?.id(),
        name: row.get(1)?,
        driver: row.get::<_, Name<_>>(2)?.0,
        last_seen_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        revoked_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        created_at: Timestamp(row.get(5)?),
    })
}
