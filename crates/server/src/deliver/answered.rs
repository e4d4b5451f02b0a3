//! Attempts that have worked and are not settled yet, on disk, so that a process that is killed need not make them again.
//!
//! Whatever is in flight has a place of its own in a small file, and is written there the moment it has worked. That is
//! not flushed, so it costs a microsecond: what a process has written outlives it, whatever kills it. The next start
//! settles what it finds there before anything goes out. The store stays the truth: what is settled already changes
//! nothing, and without the file deliveries come twice and none is lost.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

use switchboard_model::delivery::AttemptResult;
use switchboard_store::Store;

use crate::outage;

const NAME: &str = "answered";
/// Bytes of one place. What takes more is not written: it may come twice.
const PLACE: usize = 4096;

#[derive(Debug)]
pub(super) struct Answered(Option<File>);

impl Answered {
    /// Opens the file in this folder, or goes without it: where it can't be written, or is another process's.
    pub(super) fn open(folder: &Path) -> Self {
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let opened = options.open(path).and_then(|file| {
            file.try_lock()?;
            Ok(file)
        });
        Self(
            opened
                .inspect_err(|error| tracing::warn!(%error, "a kill will repeat more deliveries"))
                .ok(),
        )
    }

    /// The attempt at this place has worked.
    pub(super) fn note(&self, place: usize, result: &AttemptResult) {
        let Some(file) = &self.0 else { return };
        let Ok(mut line) = serde_json::to_vec(result) else { return };
        line.push(b'\n');
        if line.len() <= PLACE {
            // What can't be written may come twice.
            let _ = file.write_all_at(&line, (place * PLACE) as u64);
        }
    }

    /// Settles what an earlier process has left.
    pub(super) async fn settle(&self, store: &dyn Store) {
        let Some(file) = &self.0 else { return };
        let settled = match left(file) {
            Ok(left) if left.is_empty() => return,
            Ok(left) => store.settle_deliveries(left).await,
            Err(error) => {
                tracing::warn!(%error, "what an earlier process has delivered can't be read");
                return;
            }
        };
        match settled {
            Ok(_) => drop(file.set_len(0)),
            Err(error) => outage::report(&error, "attempts could not be settled"),
        }
    }
}

/// What can be read is whole: a line is written at once.
fn left(file: &File) -> io::Result<Vec<AttemptResult>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    let lines = bytes.chunks(PLACE).filter_map(|place| place.split(|byte| *byte == b'\n').next());
    Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use switchboard_model::{Timestamp, id::Id, time::Now};

    use super::*;

    fn result(seq: i64, answer: &str) -> AttemptResult {
        AttemptResult {
            seq,
            delivery_id: Id::generate(),
            webhook_id: Id::generate(),
            url: Arc::from("https://example.com"),
            attempts: 1,
            started_at: Timestamp(1),
            duration_ms: 2,
            status: Some(200),
            answer: Some(answer.to_owned()),
            error: None,
            cause: None,
            next_attempt_at: None,
            finished_at: Now { wall: Timestamp(3), steady: Timestamp(4) },
        }
    }

    #[test]
    fn the_latest_of_each_place_is_found_again_and_what_is_broken_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let answered = Answered::open(folder.path());
        answered.note(2, &result(1, "a longer answer"));
        answered.note(2, &result(2, "\n"));
        answered.note(0, &result(3, "ok"));
        answered.note(4, &result(4, &"x".repeat(PLACE)));
        let file = |answered: &Answered| answered.0.as_ref().unwrap().try_clone().unwrap();
        file(&answered).write_all_at(b"{\"seq\":5", 3 * PLACE as u64).unwrap();
        let found = |answered: &Answered| -> Vec<i64> {
            left(&file(answered)).unwrap().iter().map(|one| one.seq).collect()
        };
        assert_eq!(found(&answered), [3, 2]);
        // One process has it.
        assert!(Answered::open(folder.path()).0.is_none());
        drop(answered);
        assert_eq!(found(&Answered::open(folder.path())), [3, 2]);
    }
}
