//! Groups, whatever Messages calls them: one that gets another id with a system update stays the same chat.

use rusqlite::{Transaction, params};
use switchboard_model::{Line, id::Id};

use super::{Ledger, Result, first, run};

impl Ledger {
    /// What the server calls the group that Messages knows by these names: the first name by which it was ever met.
    /// All of them are names of it from now on.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn group(&self, line: Id<Line>, aliases: Vec<String>) -> Result<Option<String>> {
        self.transact(move |tx| {
            let line = line.to_string();
            let mut known = None;
            for alias in &aliases {
                known = known.or(identifier(tx, &line, alias)?);
            }
            let Some(identifier) = known.or_else(|| aliases.first().cloned()) else {
                return Ok(None);
            };
            for alias in &aliases {
                let add = "insert into groups (line, alias, identifier) values (?1, ?2, ?3)
                    on conflict do nothing";
                run(tx, add, params![line, alias, identifier])?;
            }
            Ok(Some(identifier))
        })
        .await
    }

    /// The names of a group, the newest first; none of one that was never met.
    ///
    /// # Errors
    /// [`LedgerError`](super::LedgerError)
    pub async fn group_aliases(&self, line: Id<Line>, identifier: String) -> Result<Vec<String>> {
        self.transact(move |tx| {
            let sql = "select alias from groups where line = ?1 and identifier = ?2";
            let mut rows = tx.prepare_cached(sql)?;
            let rows = rows.query_map(params![line.to_string(), identifier], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<Vec<String>>>()?)
        })
        .await
    }
}

fn identifier(tx: &Transaction<'_>, line: &str, alias: &str) -> Result<Option<String>> {
    let sql = "select identifier from groups where line = ?1 and alias = ?2";
    first(tx, sql, params![line, alias], |row| row.get(0))
}
