//! What the writer of a driver has to know of Messages: how to hand over, how to find out, how to observe.
//!
//! A connector speaks with one program beside Messages and remembers nothing: [`Ledgered`](crate::Ledgered) makes a
//! [`Driver`](crate::Driver) of it, with the [`Ledger`] as its memory.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use switchboard_model::{
    Handle, Timestamp,
    line::{DriverKind, LineService},
    link::{CarriedLine, LinkedFile, Outcome, SendItem},
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    convert::Form,
    driver::LineStatus,
    ledger::{Beginnings, Begun, Ledger, LedgerError, ObservedFile, now},
};

/// How long a message waits for its files when nothing else is said.
pub(crate) const FILES_WITHIN: Duration = Duration::from_secs(3 * 60);

/// A way to talk to one program beside Messages.
#[async_trait::async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Which driver it makes.
    fn kind(&self) -> DriverKind;

    /// How many items may be under way at once. Those of one chat go one after another in any case.
    fn concurrency(&self) -> Concurrency;

    /// How long [`Connector::send`] of this item may take, from when it is begun. After that it is dropped, and the
    /// outcome is unknown.
    fn send_timeout(&self, item: &SendItem) -> Duration;

    /// How the lines are, now and at each change.
    fn health(&self) -> watch::Receiver<Health>;

    /// Keeps the program at hand and observes, until it is dropped. What it observes it records in the ledger.
    async fn run(&self, context: Context);

    /// Waits until the program can take this item, where it takes only so many a second: before the attempt begins, so that what
    /// dies while it waits has certainly not begun.
    async fn turn(&self, _item: &SendItem) {}

    /// Where the program's history stands, for whoever has to find out later what came of an attempt that begins
    /// now. None where that is of no use, or can't be had quickly.
    async fn mark(&self, _item: &SendItem) -> Option<String> {
        None
    }

    /// Hands one item to Messages and says what came of it. As [`Driver::send`](crate::Driver::send), but that the
    /// attempt is in the ledger and the files are on the disk.
    async fn send(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome;

    /// Finds out what came of an attempt that was begun. It never hands anything over. [`Verdict::Open`] when
    /// nobody can say now; it is asked again.
    async fn verify(&self, begun: &Begun, ledger: &Ledger) -> Verdict;

    /// The bytes of a file that came to a line, on this machine's disk.
    ///
    /// # Errors
    /// [`FetchError`] says whether to ask again.
    async fn fetch(&self, file: &ObservedFile) -> Result<FetchedFile, FetchError>;

    /// How long a message waits for a file that can't be had, while its line is online. Then it is told without it, and the file
    /// follows.
    fn files_within(&self) -> Duration {
        FILES_WITHIN
    }

    /// The same file in another form, brought to this folder, where the program itself makes one. None if it makes none, or
    /// can't now: nothing waits for it.
    async fn fetch_as(
        &self,
        _file: &ObservedFile,
        _form: Form,
        _dir: &Path,
    ) -> Option<FetchedFile> {
        None
    }

    /// Whether a voice memo plays only as a CAF file (Opus, 24 kHz, mono): then it has that form before the attempt begins.
    fn wants_opus_memos(&self) -> bool {
        false
    }
}

/// How many items may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// On all lines of the bridge together.
    pub bridge: usize,
    /// On one line.
    pub line: usize,
}

/// What a connector has for its work.
#[derive(Debug, Clone)]
pub struct Context {
    /// The memory.
    pub ledger: Ledger,
    /// The lines to observe.
    pub lines: watch::Receiver<Arc<Vec<CarriedLine>>>,
    /// From when on messages count that were there before the first line, if that was asked for.
    pub history_since: Option<Timestamp>,
    /// When lines began, as far as it was asked for.
    beginnings: Arc<Mutex<Arc<Beginnings>>>,
}

impl Context {
    pub(crate) fn new(
        ledger: Ledger,
        lines: watch::Receiver<Arc<Vec<CarriedLine>>>,
        history_since: Option<Timestamp>,
    ) -> Self {
        Self { ledger, lines, history_since, beginnings: Arc::default() }
    }

    /// When each of the lines began: when this bridge was first given it, or where the server knows of all that came. Asked at
    /// each look: a clock that was set right must be noticed before a message is judged.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn beginnings(&self) -> Result<Arc<Beginnings>, LedgerError> {
        let lines = Arc::clone(&self.lines.borrow());
        let known = || self.beginnings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::clone(&known());
        let now = now();
        if before.has(&lines) && !before.are_ahead(now) {
            return Ok(before);
        }
        let all = self.ledger.begin_lines(lines.to_vec(), now, self.history_since).await?;
        let all = Arc::new(all);
        known().clone_from(&all);
        Ok(all)
    }
}

/// One item, ready to be handed over.
#[derive(Debug)]
pub struct Attempt {
    /// The item.
    pub item: SendItem,
    /// The handle of the line it goes out by.
    pub line: Handle,
    /// What that line sends by.
    pub service: LineService,
    /// Names the attempt in Messages, where the program takes such a name.
    pub token: Uuid,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// What [`Connector::mark`] said before.
    pub mark: Option<String>,
    /// Its attachments on this machine's disk. They stay until the attempt has ended.
    pub files: Vec<OutgoingFile>,
}

/// A file that goes out.
#[derive(Debug)]
pub struct OutgoingFile {
    /// What the server says of it.
    pub file: LinkedFile,
    /// Where it is. Its name is the one that the other party is shown.
    pub path: PathBuf,
}

/// What a connector has found out of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It certainly never reached Messages, and nothing can still bring it there.
    NeverStarted,
    /// It is finished. Never [`Outcome::Unknown`].
    Finished(Outcome),
    /// Nobody can say now.
    Open,
}

/// A file that a connector has brought to the disk.
#[derive(Debug)]
pub enum FetchedFile {
    /// It lies where Messages keeps it, and stays there.
    InPlace(PathBuf),
    /// It was made for this; it goes away with this.
    Temporary(tempfile::TempPath),
}

impl FetchedFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::InPlace(path) => path,
            Self::Temporary(path) => path,
        }
    }
}

/// Why a file can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It may be there later; why it is not now, for the log.
    #[error("the file can't be had now: {0}")]
    NotYet(String),
    /// It never will be.
    #[error("the file is gone")]
    Gone,
}

/// How lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Of every line that is not named.
    pub all: LineStatus,
    /// Of single lines.
    pub lines: HashMap<Handle, LineStatus>,
}

impl Health {
    /// The same of every line.
    pub fn of_all(all: LineStatus) -> Self {
        Self { all, lines: HashMap::new() }
    }

    /// How this line is.
    pub fn of(&self, line: &Handle) -> &LineStatus {
        self.lines.get(line).unwrap_or(&self.all)
    }
}
