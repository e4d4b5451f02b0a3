//! The ways to run a statement. Each is prepared once and kept with its connection.

use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use crate::Result;

/// Statements that a connection keeps prepared: more than there are in this crate.
pub(in crate::sqlite) const KEPT: usize = 256;

/// Changes rows; answers how many.
pub(in crate::sqlite) fn run(sql: &Connection, text: &str, params: impl Params) -> Result<usize> {
    Ok(sql.prepare_cached(text)?.execute(params)?)
}

/// The first row, if there is one.
pub(in crate::sqlite) fn first<T>(
    sql: &Connection,
    text: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    Ok(sql.prepare_cached(text)?.query_row(params, read).optional()?)
}

/// Every row.
pub(in crate::sqlite) fn all<T>(
    sql: &Connection,
    text: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    Ok(sql.prepare_cached(text)?.query_map(params, read)?.collect::<rusqlite::Result<_>>()?)
}

/// A limit as SQL takes it.
pub(in crate::sqlite) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
