//! Whether this ledger is an older copy, put back: it does not know what its original has noted since.
//!
//! A small file beside it says of which life the ledger is and how many commits that has had. It is written after each commit
//! and before anything comes of it, so a ledger that has had fewer is an older one, even if it was copied over the newer in
//! place. One that was copied together with that file is told by the file that it stands in.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use rusqlite::{Transaction, params};
use tracing::warn;

use super::{Result, first, private_file, run};

/// The name of the file beside the ledger. Another beginning than the ledger's: it is not copied with `ledger.db*`.
const NAME: &str = "last-change";
/// What is ever read of it.
const MAX_BYTES: u64 = 256;

/// The file beside the ledger.
#[derive(Debug)]
pub(super) struct Mark(File);

/// How far a ledger has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    epoch: String,
    changes: i64,
}

impl Mark {
    /// Opens it, or makes an empty one. Blocks.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self(private_file().open(dir.join(NAME))?))
    }

    /// Writes how far the ledger has come. Blocks.
    pub(super) fn write(&self, state: &State) {
        // Always as long as before: a full disk is no hindrance.
        let line = format!("{}.{:020}\n", state.epoch, state.changes);
        let mut file = &self.0;
        let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            warn!(%error, "the file beside the ledger can't be written: an older copy of it would not be known");
        }
    }

    /// Brings it to the disk. From then on a power cut leaves an older state of it at worst, which proves nothing. Blocks.
    pub(super) fn flush(&self, dir: &Path) {
        if let Err(error) = self.0.sync_all() {
            warn!(%error, "the file beside the ledger can't be flushed");
        }
        // Not every system lets a folder be opened.
        let _ = File::open(dir).and_then(|dir| dir.sync_all());
    }

    /// What it says; empty if it is new.
    fn read(&self) -> io::Result<String> {
        let (mut file, mut says) = (&self.0, String::new());
        file.seek(SeekFrom::Start(0))?;
        file.take(MAX_BYTES).read_to_string(&mut says)?;
        Ok(says)
    }
}

impl State {
    /// Whether the file beside the ledger, which says this, is of a later ledger or of another one's.
    fn is_older_than(&self, mark: &str) -> bool {
        if mark.is_empty() {
            return self.changes > 0;
        }
        let says = mark.trim_end().rsplit_once('.');
        let says = says.and_then(|(epoch, changes)| Some((epoch, changes.parse::<i64>().ok()?)));
        says.is_none_or(|(epoch, changes)| epoch != self.epoch || changes > self.changes)
    }
}

/// Counts a commit.
pub(super) fn count(tx: &Transaction<'_>) -> Result<State> {
    let sql = "update ledger set changes = changes + 1 returning epoch, changes";
    let read = |row: &rusqlite::Row<'_>| Ok(State { epoch: row.get(0)?, changes: row.get(1)? });
    Ok(tx.prepare_cached(sql)?.query_row([], read)?)
}

/// A copy begins a new life, and forgets which links it has seen. Answers whether it is one.
pub(super) fn forget_if_copied(tx: &Transaction<'_>, path: &Path, mark: &Mark) -> Result<bool> {
    let sql = "select epoch, changes, file from ledger";
    let noted = first(tx, sql, [], |row| {
        Ok((State { epoch: row.get(0)?, changes: row.get(1)? }, row.get::<_, Option<String>>(2)?))
    })?;
    let Some((state, file)) = noted else { return Ok(false) };
    let found = std::fs::metadata(path).ok().and_then(|found| identity(&found));
    let moved = match (&file, &found) {
        (Some(noted), Some(found)) => !is_same(noted, found),
        _ => false,
    };
    // One that can't be read proves nothing.
    let is_copy = moved || mark.read().is_ok_and(|says| state.is_older_than(&says));
    if is_copy {
        run(tx, "delete from links", [])?;
        renew(tx)?;
    }
    run(tx, "update ledger set file = coalesce(?1, file)", [found])?;
    Ok(is_copy)
}

/// Begins a new life: places in the history of the one before mean nothing any more. Answers its name.
pub(super) fn renew(tx: &Transaction<'_>) -> Result<String> {
    let epoch = uuid::Uuid::now_v7().simple().to_string();
    run(tx, "update ledger set epoch = ?1", params![epoch])?;
    Ok(epoch)
}

/// What a file has and no copy of it: its number, and when it was made, as numbers are used again.
#[cfg(unix)]
fn identity(found: &Metadata) -> Option<String> {
    let number = std::os::unix::fs::MetadataExt::ino(found);
    Some(match born(found) {
        Some(born) => format!("{number} {born}"),
        None => number.to_string(),
    })
}

#[cfg(not(unix))]
fn identity(_found: &Metadata) -> Option<String> {
    None
}

/// When a file was made, in nanoseconds, where its system tells.
#[cfg(unix)]
fn born(found: &Metadata) -> Option<u128> {
    let born = found.created().ok()?;
    Some(born.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos())
}

/// Whether two identities are of one file. The version before noted the number alone.
fn is_same(noted: &str, found: &str) -> bool {
    let split = |identity: &str| match identity.split_once(' ') {
        Some((number, born)) => (number.to_owned(), Some(born.to_owned())),
        None => (identity.to_owned(), None),
    };
    let (noted, found) = (split(noted), split(found));
    noted.0 == found.0 && (noted.1.is_none() || found.1.is_none() || noted.1 == found.1)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use switchboard_model::{Line, id::Id};

    use super::*;
    use crate::ledger::{Ledger, Observation, Recorded, tests::message};

    async fn observe(ledger: &Ledger, line: Id<Line>, numbers: std::ops::RangeInclusive<u64>) {
        let observe = |n: u64| (line, Observation::new(format!("m{n}"), message(&format!("m{n}"))));
        let observations = numbers.map(observe).collect();
        ledger.record(Recorded { observations, ..Recorded::default() }).await.unwrap();
    }

    async fn waiting(ledger: &Ledger, line: Id<Line>, after: &str) -> usize {
        ledger.waiting(line, Some(after), 100).await.unwrap().len()
    }

    /// Everything of the ledger, as `cp ledger.db*` copies it, but not what lies beside it.
    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            if name.to_string_lossy().starts_with("ledger.db") {
                fs::copy(from.join(&name), to.join(&name)).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_an_older_copy_observes_is_told_whatever_place_the_server_knows() {
        let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let line = Id::<Line>::generate();
        let ledger = Ledger::open(dir.path()).unwrap();
        observe(&ledger, line, 1..=3).await;
        ledger.received(line, &ledger.position(3)).await.unwrap();
        copy(dir.path(), backup.path());
        observe(&ledger, line, 4..=8).await;
        let eight = ledger.position(8);
        ledger.received(line, &eight).await.unwrap();
        drop(ledger);
        // Over the newer one, in the same file.
        copy(backup.path(), dir.path());
        let ledger = Ledger::open(dir.path()).unwrap();
        observe(&ledger, line, 9..=18).await;
        assert_eq!(waiting(&ledger, line, &eight).await, 10);
        ledger.received(line, &eight).await.unwrap();
        assert_eq!(waiting(&ledger, line, &eight).await, 10, "the server means another eighth");
        let told = ledger.position(13);
        drop(ledger);
        // Once: it is itself from now on.
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(waiting(&ledger, line, &told).await, 0);
    }

    #[tokio::test]
    async fn one_that_was_copied_with_what_lies_beside_it_is_told_by_a_place_beyond_its_end() {
        let (dir, line) = (tempfile::tempdir().unwrap(), Id::<Line>::generate());
        let ledger = Ledger::open(dir.path()).unwrap();
        observe(&ledger, line, 1..=5).await;
        let beyond = ledger.position(8);
        assert_eq!(waiting(&ledger, line, &ledger.position(3)).await, 2);
        assert_eq!(waiting(&ledger, line, &beyond).await, 5);
        ledger.received(line, &beyond).await.unwrap();
        assert_eq!(waiting(&ledger, line, &beyond).await, 5);
    }

    #[tokio::test]
    async fn a_ledger_is_itself_after_a_crash_and_without_what_it_never_had() {
        let (dir, line) = (tempfile::tempdir().unwrap(), Id::<Line>::generate());
        let ledger = Ledger::open(dir.path()).unwrap();
        observe(&ledger, line, 1..=1).await;
        let before = fs::read(dir.path().join(NAME)).unwrap();
        observe(&ledger, line, 2..=2).await;
        let place = ledger.position(1);
        drop(ledger);
        // The power was cut: the file beside it is as it was a while ago.
        fs::write(dir.path().join(NAME), before).unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(waiting(&ledger, line, &place).await, 1);
        drop(ledger);
        // One that lost that file can't tell.
        fs::remove_file(dir.path().join(NAME)).unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(waiting(&ledger, line, &place).await, 2);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_copy_of_the_whole_folder_is_told_by_its_files() {
        let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let line = Id::<Line>::generate();
        let ledger = Ledger::open(dir.path()).unwrap();
        observe(&ledger, line, 1..=2).await;
        let place = ledger.position(1);
        drop(ledger);
        copy(dir.path(), backup.path());
        fs::copy(dir.path().join(NAME), backup.path().join(NAME)).unwrap();
        assert_eq!(waiting(&Ledger::open(dir.path()).unwrap(), line, &place).await, 1);
        assert_eq!(waiting(&Ledger::open(backup.path()).unwrap(), line, &place).await, 2);
    }

    #[test]
    fn a_number_that_is_used_again_is_another_file() {
        assert!(is_same("7 100", "7 100") && is_same("7", "7 100") && is_same("7 100", "7"));
        assert!(!is_same("7 100", "7 200") && !is_same("7", "8 100"));
    }

    #[test]
    fn what_lies_beside_it_and_makes_no_sense_is_of_another() {
        let state = State { epoch: "a".to_owned(), changes: 7 };
        assert!(!state.is_older_than("a.00000000000000000007\n") && !state.is_older_than("a.6"));
        for other in ["", "a.8\n", "b.7\n", "a", "a.x", "\0\0"] {
            assert!(state.is_older_than(other), "{other:?}");
        }
        assert!(!State { epoch: "a".to_owned(), changes: 0 }.is_older_than(""));
    }
}
