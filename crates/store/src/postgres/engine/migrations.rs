//! The schema and its versions. A database of a newer version is not touched.

use super::{connection::Connection, statement};
use crate::{Result, StoreError};

/// What leads from each version to the next; version 0 is an empty database. Never edit one that was released: add
/// another.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_initial.sql")];

/// Whoever brings the schema to a version holds this, so that nodes that start together do it once.
const LOCK: i64 = 0x5377_6974_6368;

/// Brings the database to this version.
pub(in crate::postgres) async fn apply(sql: &Connection, database: &str) -> Result<()> {
    sql.begins();
    sql.batch_execute("begin").await?;
    statement::run(sql, "select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let found = version(sql).await?;
    if found > MIGRATIONS.len() as i64 {
        return Err(StoreError::NewerSchema {
            path: database.to_owned(),
            found: u32::try_from(found).unwrap_or(u32::MAX),
            known: MIGRATIONS.len() as u32,
        });
    }
    for migration in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        sql.batch_execute(migration).await?;
    }
    statement::run(
        sql,
        "insert into schema_version (id, version) values (1, $1)
         on conflict (id) do update set version = excluded.version",
        &[&(MIGRATIONS.len() as i64)],
    )
    .await?;
    // Places go on behind those that there are, also where the database came from a server that had counted further.
    statement::run(
        sql,
        "update place_base set base = greatest(base, last.number + 1 - pg_current_xact_id()::text::bigint)
         from (select (greatest(
                 (select max(seq) from events), (select max(seq) from deliveries), 0)) >> 20 as number) last",
        &[],
    )
    .await?;
    sql.batch_execute("commit").await?;
    sql.ended();
    Ok(())
}

async fn version(sql: &Connection) -> Result<i64> {
    let is_there = "select to_regclass('schema_version') is not null";
    if !statement::first(sql, is_there, &[], |row| row.try_get(0)).await?.unwrap_or(false) {
        return Ok(0);
    }
    let version = "select version from schema_version";
    Ok(statement::first(sql, version, &[], |row| row.try_get(0)).await?.unwrap_or(0))
}
