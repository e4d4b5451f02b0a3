//! Which errors of SQLite pass by themselves: those of the disk, and of others who use the file.

use rusqlite::{Error, ErrorCode, ffi};

use crate::Outage;

/// What kept SQLite from its work, if that is nothing to do with the statement or the file's content.
pub(in crate::sqlite) fn of(error: &Error) -> Option<Outage> {
    let Error::SqliteFailure(failure, _) = error else { return None };
    Some(match failure.code {
        ErrorCode::DiskFull => Outage::DiskFull,
        ErrorCode::ReadOnly => Outage::ReadOnly,
        ErrorCode::OutOfMemory => Outage::OutOfMemory,
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => Outage::Locked,
        // The index of the log can't grow: nothing but a full volume keeps it from that.
        ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            Outage::DiskFull
        }
        ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_NOMEM => {
            Outage::OutOfMemory
        }
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            Outage::Io
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let outage = |code| of(&Error::SqliteFailure(ffi::Error::new(code), None));
        for (code, expected) in [
            (ffi::SQLITE_FULL, Outage::DiskFull),
            (ffi::SQLITE_IOERR_SHMSIZE, Outage::DiskFull),
            (ffi::SQLITE_IOERR_WRITE, Outage::Io),
            (ffi::SQLITE_IOERR_FSYNC, Outage::Io),
            (ffi::SQLITE_IOERR_TRUNCATE, Outage::Io),
            (ffi::SQLITE_IOERR_READ, Outage::Io),
            (ffi::SQLITE_IOERR_SHMOPEN, Outage::Io),
            (ffi::SQLITE_IOERR_NOMEM, Outage::OutOfMemory),
            (ffi::SQLITE_CANTOPEN, Outage::Io),
            (ffi::SQLITE_PERM, Outage::Io),
            (ffi::SQLITE_READONLY, Outage::ReadOnly),
            (ffi::SQLITE_READONLY_DBMOVED, Outage::ReadOnly),
            (ffi::SQLITE_BUSY, Outage::Locked),
            (ffi::SQLITE_BUSY_SNAPSHOT, Outage::Locked),
            (ffi::SQLITE_PROTOCOL, Outage::Locked),
            (ffi::SQLITE_NOMEM, Outage::OutOfMemory),
        ] {
            assert_eq!(outage(code), Some(expected), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_ERROR, ffi::SQLITE_MISUSE]
        {
            assert_eq!(outage(code), None, "{code}");
        }
    }
}
