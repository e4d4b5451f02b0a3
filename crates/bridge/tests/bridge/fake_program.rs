//! A program beside Messages that does what a test says.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use switchboard_bridge::{
    Attempt, Concurrency, Connector, Context, FetchError, FetchedFile, Health, LineStatus, Verdict,
    ledger::{Begun, Ledger, ObservedFile},
};
use switchboard_model::{
    line::DriverKind,
    link::{Outcome, SendItem},
};
use tokio::sync::watch;

/// Those of its files that can be had.
pub(crate) type Readable = Arc<Mutex<HashSet<&'static str>>>;

pub(crate) struct FakeProgram {
    /// The ledger that it was given, once it runs.
    pub(crate) ledger: Arc<OnceLock<Ledger>>,
    /// What comes of each attempt.
    pub(crate) outcome: fn(&Attempt) -> Outcome,
    pub(crate) readable: Readable,
    /// What each of its files holds.
    pub(crate) file: PathBuf,
}

#[async_trait::async_trait]
impl Connector for FakeProgram {
    fn kind(&self) -> DriverKind {
        DriverKind::Imsg
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency { bridge: 1, line: 1 }
    }

    fn send_timeout(&self, _item: &SendItem) -> Duration {
        Duration::from_secs(5)
    }

    fn health(&self) -> watch::Receiver<Health> {
        let online = LineStatus { online: true, capabilities: Vec::new(), reason: None };
        watch::Sender::new(Health::of_all(online)).subscribe()
    }

    async fn run(&self, context: Context) {
        let _ = self.ledger.set(context.ledger);
        std::future::pending().await
    }

    async fn send(&self, attempt: &Attempt, _ledger: &Ledger) -> Outcome {
        (self.outcome)(attempt)
    }

    async fn verify(&self, _begun: &Begun, _ledger: &Ledger) -> Verdict {
        Verdict::Open
    }

    async fn fetch(&self, file: &ObservedFile) -> Result<FetchedFile, FetchError> {
        match self.readable.lock().unwrap().contains(&*file.source) {
            true => Ok(FetchedFile::InPlace(self.file.clone())),
            false => Err(FetchError::NotYet("it can't be read".to_owned())),
        }
    }

    fn files_within(&self) -> Duration {
        Duration::ZERO
    }
}
