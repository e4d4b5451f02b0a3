//! The schema and its versions. A database is brought to this version in one transaction or left as
//! it was; one of a newer version is not touched.

use std::path::Path;

use rusqlite::Connection;

use crate::{Result, StoreError};

/// What leads from each version to the next; version 0 is an empty file. Never edit one that
/// was released: add another.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_initial.sql")];

/// Refuses a database that a newer version has written, before anything is changed in it.
pub(super) fn refuse_newer(sql: &Connection, path: &Path) -> Result<()> {
    let found = version(sql)?;
    if found as usize > MIGRATIONS.len() {
        return Err(StoreError::NewerSchema {
            path: path.display().to_string(),
            found,
            known: MIGRATIONS.len() as u32,
        });
    }
    Ok(())
}

/// Brings the database to this version.
pub(super) fn apply(sql: &mut Connection) -> Result<()> {
    let tx = sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = version(&tx)? as usize;
    for migration in &MIGRATIONS[found..] {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    Ok(tx.commit()?)
}

fn version(sql: &Connection) -> Result<u32> {
    Ok(sql.query_row("pragma user_version", [], |row| row.get(0))?)
}
