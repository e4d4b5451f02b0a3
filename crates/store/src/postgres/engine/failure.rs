//! What an error of PostgreSQL means for who asked.

use tokio_postgres::error::SqlState;

use crate::{Outage, StoreError, base::seal::NotSealed};

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(outage) = outage_of(&error) {
            return Self::Unavailable { outage, source: Box::new(error) };
        }
        // What a column holds can't be read; what else fails before the server has spoken is the connection.
        match error.as_db_error() {
            None if error.is_closed() || is_io(&error) => {
                Self::Unavailable { outage: Outage::Unreachable, source: Box::new(error) }
            }
            None => Self::Unreadable { what: described(&error) },
            Some(_) => Self::Database(Box::new(error)),
        }
    }
}

impl From<NotSealed> for StoreError {
    fn from(error: NotSealed) -> Self {
        Self::Unreadable { what: error.to_string() }
    }
}

/// Whether the transaction was ended by another one that was in its way: it can be done again.
pub(super) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    let code = error.code();
    code == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
        || code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
}

/// Whether the connection is lost.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || is_io(error) || outage_of(error) == Some(Outage::Unreachable)
}

/// What keeps the server from its work, if that is nothing to do with the statement or with what is stored.
fn outage_of(error: &tokio_postgres::Error) -> Option<Outage> {
    let code = error.code()?;
    Some(match code.code() {
        "53100" => Outage::DiskFull,
        "53200" => Outage::OutOfMemory,
        // A standby, or a database that may only be read.
        "25006" => Outage::ReadOnly,
        "58030" => Outage::Io,
        // Time-outs: of locks, of statements, of transactions that do nothing.
        "55P03" | "57014" | "25P03" => Outage::Locked,
        // It shuts down, starts, has crashed, has too many connections.
        "57P01" | "57P02" | "57P03" | "53300" => Outage::Unreachable,
        code if code.starts_with("08") => Outage::Unreachable,
        _ => return None,
    })
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(|source| source.is::<std::io::Error>())
}

/// Without the value.
fn described(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
