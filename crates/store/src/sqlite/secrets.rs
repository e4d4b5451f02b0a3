//! What the server signs with, by its name: made once, and kept.

use rusqlite::{Connection, params};

use super::statement;
use crate::Result;

/// The URLs of files.
pub(super) const FILE_URLS: &str = "file urls";
/// The cursors of lists.
pub(super) const CURSORS: &str = "cursors";

/// The secret of this name; the one given if there was none.
pub(super) fn ensure(sql: &Connection, name: &str, fresh: [u8; 32]) -> Result<[u8; 32]> {
    statement::run(
        sql,
        "insert into secrets (name, secret) values (?1, ?2) on conflict (name) do nothing",
        params![name, fresh],
    )?;
    let kept =
        statement::first(sql, "select secret from secrets where name = ?1", [name], |row| {
            row.get(0)
        })?;
    Ok(kept.unwrap_or(fresh))
}
