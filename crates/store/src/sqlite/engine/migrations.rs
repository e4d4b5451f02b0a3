//! The schema and its versions. A database of a newer version is not touched.
//!
//! What takes long is done in slices, each a transaction that says how far it came: a process that is killed
//! goes on where it was, and whoever waits is told.

mod compact_ids;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use compact_ids::{Progress, Slice};
use rusqlite::{Connection, TransactionBehavior};

use crate::{Outage, Result, StoreError};

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

/// The version whose tables [`compact_ids`] fills.
const COMPACT_IDS: usize = MIGRATIONS.len() + 1;

/// What leads from there to each later version.
const LATER: [&str; 7] = [
    include_str!("migrations/0015_real_lines.sql"),
    include_str!("migrations/0016_line_health.sql"),
    include_str!("migrations/0017_standby.sql"),
    include_str!("migrations/0018_loop_limits.sql"),
    include_str!("migrations/0019_own_reactions.sql"),
    include_str!("migrations/0020_claim_epochs.sql"),
    include_str!("migrations/0021_told_since.sql"),
];

/// The version of this program.
const VERSION: usize = COMPACT_IDS + LATER.len();

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

/// Why a database is left at its older version.
#[derive(Debug, thiserror::Error)]
#[error(
    "a database of an older version is copied, which takes {needed} bytes more; there are {free}"
)]
struct NoRoom {
    needed: u64,
    free: u64,
}

/// Refuses to begin what could not be finished: once it has begun, no older program takes the database any more.
fn check_room(sql: &Connection) -> Result<()> {
    let is_old = (1..COMPACT_IDS).contains(&version(sql)?);
    let Some(folder) = sql.path().map(Path::new).and_then(Path::parent).filter(|_| is_old) else {
        return Ok(());
    };
    let size = "select page_count * page_size from pragma_page_count, pragma_page_size";
    let needed = sql.query_row(size, [], |row| row.get::<_, i64>(0))?.unsigned_abs();
    // Where nobody can say, it is tried.
    let Ok(volume) = rustix::fs::statvfs(folder) else { return Ok(()) };
    enough(needed, volume.f_bavail.saturating_mul(volume.f_frsize))
}

fn enough(needed: u64, free: u64) -> Result<()> {
    if needed <= free {
        return Ok(());
    }
    let source = Box::new(NoRoom { needed, free });
    Err(StoreError::Unavailable { outage: Outage::DiskFull, source })
}

/// Brings the database to this version.
pub(in crate::sqlite) fn apply(sql: &mut Connection) -> Result<()> {
    check_room(sql)?;
    // An index of a large table is sorted first: in memory, that would take as much of it.
    sql.execute_batch("pragma temp_store = file")?;
    let applied = apply_all(sql);
    sql.execute_batch("pragma temp_store = memory")?;
    applied
}

fn apply_all(sql: &mut Connection) -> Result<()> {
    let mut told = Instant::now();
    while let Some(Progress { stage, stages, what, percent }) = advance(sql, Slice::USUAL)? {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let step = stage + 1;
            tracing::info!(
                "bringing the database to version {VERSION}: step {step} of {stages}, {what} {percent} %"
            );
        }
    }
    apply_later(sql)
}

/// What comes after the copy.
fn apply_later(sql: &mut Connection) -> Result<()> {
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    for migration in LATER.get(found.saturating_sub(COMPACT_IDS)..).unwrap_or_default() {
        tx.execute_batch(migration)?;
    }
    if found < VERSION {
        tx.pragma_update(None, "user_version", VERSION as u32)?;
    }
    tx.commit()?;
    Ok(())
}

/// Does at most so much of the way to [`COMPACT_IDS`]; none if all of it is done.
fn advance(sql: &mut Connection, slice: Slice) -> Result<Option<Progress>> {
    let tx = sql.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    for migration in MIGRATIONS.get(found..).unwrap_or_default() {
        tx.execute_batch(migration)?;
    }
    if found < COMPACT_IDS {
        compact_ids::begin(&tx)?;
        tx.pragma_update(None, "user_version", COMPACT_IDS as u32)?;
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
