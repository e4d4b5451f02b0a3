//! Outages of storage, as the log hears of them: a line a minute for each place and reason, however many
//! requests, links and jobs meet it. That the database works again is told by its writer.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use switchboard_model::throttle::Throttle;
use switchboard_store::{Outage, StoreError};

use switchboard_model::causes::chain;

/// How often an outage is told while it lasts.
const EVERY: Duration = Duration::from_secs(60);

/// What is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    Database,
    Files,
    /// The simulator's journal and the files that wait beside it.
    Simulator,
}

impl Storage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Files => "files",
            Self::Simulator => "simulator",
        }
    }
}

/// Of this process and not of one server: so is the log.
static TOLD: [[Throttle; Outage::ALL.len()]; 3] =
    [const { [const { Throttle::new(EVERY) }; Outage::ALL.len()] }; 3];

/// Tells the log, unless it was told in the last minute: `what` could not be done, and why.
pub(crate) fn tell(storage: Storage, outage: Outage, what: &str, error: &str) {
    let held_back = TOLD[storage as usize][outage as usize].pass(Instant::now());
    if let Some(held_back) = held_back {
        let (storage, outage) = (storage.as_str(), outage.as_str());
        tracing::error!(storage, outage, error, held_back, "storage is out: {what}");
    }
}

/// Tells the log that a job could not do its work: an outage as [`tell`] does, all else each time.
pub(crate) fn report(error: &StoreError, what: &str) {
    match error {
        StoreError::Unavailable { outage, .. } => {
            tell(Storage::Database, *outage, what, &chain(error));
        }
        error => tracing::error!(error = chain(error), "{what}"),
    }
}

/// The same of the bytes of files, where every error is one of the disk or of the way to it.
pub(crate) fn report_files(error: &object_store::Error, what: &str) {
    tell(Storage::Files, of_files(error), what, &chain(error));
}

/// What an error of the place for files means.
pub(crate) fn of_files(error: &object_store::Error) -> Outage {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Outage::of_io(error);
        }
        cause = error.source();
    }
    Outage::Io
}
