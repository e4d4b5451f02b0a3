//! The schema and its versions. A database of a newer version is not touched.
//!
//! What takes long is done in slices, each a transaction that says how far it came: a process that is killed
//! goes on where it was, and whoever waits is told.

mod compact_ids;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use compact_ids::Progress;
use rusqlite::{Connection, TransactionBehavior};

use crate::{Result, StoreError};

/// What leads from each version to the next, up to that before [`compact_ids`]; version 0 is an empty file. Never edit
/// one that was released: add another.
const MIGRATIONS: [&str; 13] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_contract.sql"),
    include_str!("migrations/0003_deliveries.sql"),
    include_str!("migrations/0004_webhook_creators.sql"),
    include_str!("migrations/0005_old_mexican_numbers.sql"),
    include_str!("migrations/0006_probe.sql"),
    include_str!("migrations/0007_file_lines.sql"),
    include_str!("migrations/0008_clocks.sql"),
    include_str!("migrations/0009_sealed_answers.sql"),
    include_str!("migrations/0010_stored_bytes.sql"),
    include_str!("migrations/0011_file_uses.sql"),
    include_str!("migrations/0012_delivery_log.sql"),
    include_str!("migrations/0013_links.sql"),
];

/// The version of this program.
const VERSION: usize = MIGRATIONS.len() + 1;

/// How often whoever waits is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Refuses a database that a newer version has written, before anything is changed in it.
pub(in crate::sqlite) fn refuse_newer(sql: &Connection, path: &Path) -> Result<()> {
    let found = version(sql)?;
    if found > VERSION {
        return Err(StoreError::NewerSchema {
            path: path.display().to_string(),
            found: found as u32,
            known: VERSION as u32,
        });
    }
    Ok(())
}

/// Brings the database to this version.
pub(in crate::sqlite) fn apply(sql: &mut Connection) -> Result<()> {
    let mut told = Instant::now();
    while let Some(Progress { stage, stages, what, percent }) = advance(sql, compact_ids::SLICE)? {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let step = stage + 1;
            tracing::info!(
                "bringing the database to version {VERSION}: step {step} of {stages}, {what} {percent} %"
            );
        }
    }
    Ok(())
}

/// Does at most so much of it; none if all is done.
fn advance(sql: &mut Connection, slice: Duration) -> Result<Option<Progress>> {
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    for migration in MIGRATIONS.get(found..).unwrap_or_default() {
        tx.execute_batch(migration)?;
    }
    if found < VERSION {
        compact_ids::begin(&tx)?;
        tx.pragma_update(None, "user_version", VERSION as u32)?;
    }
    let progress = compact_ids::go_on(&tx, slice)?;
    tx.commit()?;
    Ok(progress)
}

fn version(sql: &Connection) -> Result<usize> {
    Ok(sql.query_row("pragma user_version", [], |row| row.get::<_, u32>(0))? as usize)
}

#[cfg(test)]
mod tests;
