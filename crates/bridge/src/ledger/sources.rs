//! How far each source was read.

use rusqlite::{Transaction, params};

use super::{Ledger, Result, first, run};

/// A place in a source, and which database that was: a place in one that was replaced means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What tells the database from another in its place, as its connector writes it.
    pub identity: String,
    /// The place.
    pub place: String,
}

impl Ledger {
    /// How far a source was read; none if it never was.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn cursor(&self, source: &'static str) -> Result<Option<Cursor>> {
        self.transact(move |tx| find(tx, source)).await
    }
}

pub(super) fn find(tx: &Transaction<'_>, source: &str) -> Result<Option<Cursor>> {
    let sql = "select identity, cursor from sources where name = ?1";
    first(tx, sql, [source], |row| Ok(Cursor { identity: row.get(0)?, place: row.get(1)? }))
}

pub(super) fn set(tx: &Transaction<'_>, source: &str, cursor: &Cursor) -> Result<()> {
    let sql = "insert into sources (name, identity, cursor) values (?1, ?2, ?3)
        on conflict (name) do update set identity = excluded.identity, cursor = excluded.cursor";
    run(tx, sql, params![source, cursor.identity, cursor.place])?;
    Ok(())
}
