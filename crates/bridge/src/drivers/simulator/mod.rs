//! The simulator: virtual phones behind any number of lines, for development and tests.
//!
//! A driver like a Mac's: it has the real link, and a durable memory of its own as Messages has
//! its database (`journal`). The record that puts a message on a phone carries the id of
//! the outbox item, so a message is on the phone exactly if reconciliation says so, whenever
//! the process is killed.
//!
//! The same holds of reactions, edits and of what was read. A typing indicator is gone in a
//! minute, or with the process; only that it was given is remembered.
//!
//! Some contacts behave in their own way, in the 1:1 chat only: in a group they are contacts like
//! any other. [`ALWAYS_FAILS`] and [`NEVER_ANSWERS`] do so with whatever is sent to them;
//! [`ECHOES`] sends back texts, without attachments, and nothing else.

mod capped_map;
mod control;
mod deliver;
mod driver;
mod faults;
mod files;
mod history;
mod journal;
mod phones;

#[cfg(doc)]
use switchboard_model::simulator::{ALWAYS_FAILS, ECHOES, NEVER_ANSWERS};

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use switchboard_model::{
    Handle,
    link::{Inbound, InboundChat, LinkedFile, ReceivedEntry},
    throttle::Throttle,
    time::Clock,
};
use tokio::sync::oneshot;
use tracing::{error, warn};
use uuid::Uuid;

use faults::Lines;
use files::KeptFiles;
use journal::{Group, Journal, Record, With};
use phones::Phones;

/// The journal is rewritten at start when it is longer than this, in bytes, and mostly outlived.
const COMPACT_ABOVE: u64 = 8 * 1024 * 1024;

/// How long the simulator waits for others.
#[derive(Debug, Clone, Copy)]
pub struct SimulatorOptions {
    /// How long an item may take on a line that is not slow: after this, an item to [`NEVER_ANSWERS`]
    /// is reported as unknown.
    pub send_timeout: Duration,
    /// How much longer it may take to fetch the attachments of an item.
    pub fetch_timeout: Duration,
    /// How long what a contact does, or a new group, waits for the server to have it.
    pub confirm_timeout: Duration,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            send_timeout: Duration::from_secs(10),
            fetch_timeout: Duration::from_secs(60),
            confirm_timeout: Duration::from_secs(10),
        }
    }
}

/// Virtual phones: a [`Driver`](crate::Driver) on one side, on the other
/// [`SimulatedPhones`](switchboard_model::simulator::SimulatedPhones).
pub struct Simulator {
    clock: Arc<dyn Clock>,
    options: SimulatorOptions,
    lines: Arc<Lines>,
    state: Mutex<State>,
    /// That the journal can't be written is said once in a while only.
    unwritable: Throttle,
}

/// How often it is said that the journal can't be written, and how long before it is tried again.
const UNWRITABLE_EVERY: Duration = Duration::from_secs(60);
const JOURNAL_PAUSE: Duration = Duration::from_millis(250);

/// A record that could not be written, and why.
type Unwritten = Box<(Record, io::Error)>;

/// The durable state. One lock, so that the journal's order is the order in which things became true.
struct State {
    journal: Journal,
    phones: Phones,
    files: KeptFiles,
    /// Files that are on the server and of which it has not heard in a message, by line and place: read
    /// again on the same socket, an entry is the same. Forgotten with the socket, for there they expire.
    uploaded: HashMap<Handle, BTreeMap<u64, Vec<LinkedFile>>>,
    /// Who waits for the server to have an entry, by [`entry_key`].
    waiting: HashMap<String, oneshot::Sender<ReceivedEntry>>,
}

impl Simulator {
    /// Opens the phones whose journal is this file; makes it if there is none. Reads the whole file.
    /// Files that contacts sent wait for the server in a folder beside it, of the same name with `.files`.
    ///
    /// # Errors
    /// When the file or the folder can't be read or written, or is no journal of a simulator.
    pub fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        options: SimulatorOptions,
    ) -> io::Result<Arc<Self>> {
        let mut phones = Phones::default();
        let mut replayed = 0;
        let mut journal = Journal::open(path, |record| {
            replayed += 1;
            // Which files still wait is counted at the end.
            drop(phones.apply(record));
        })?;
        if phones.epoch.is_empty() {
            let epoch = Some(Uuid::now_v7().simple().to_string());
            let record = Record { epoch, ..Record::default() };
            journal.append(&record)?;
            drop(phones.apply(record));
        } else if journal.len() > COMPACT_ABOVE && replayed > 2 * phones.record_count() {
            // The long one is as good, and there is no room for two of them on a full disk.
            if let Err(error) = journal.rewrite(phones.records()) {
                warn!(%error, "the simulator's journal can't be made shorter");
            }
        }
        let files = KeptFiles::open(path.with_extension("files"), phones.histories.files())?;
        let (uploaded, waiting) = (HashMap::new(), HashMap::new());
        Ok(Arc::new(Self {
            clock,
            options,
            lines: Arc::new(Lines::new()),
            state: Mutex::new(State { journal, phones, files, uploaded, waiting }),
            unwritable: Throttle::new(UNWRITABLE_EVERY),
        }))
    }

    /// The log is told that the journal can't be written.
    fn tell_unwritable(&self, error: &io::Error) {
        if let Some(held_back) = self.unwritable.pass(Instant::now()) {
            error!(%error, held_back, "the simulator's journal can't be written");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The journal is written before the memory changes; whatever panics between leaves both whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes a record and makes it true.
    fn commit(&mut self, record: Record) -> io::Result<()> {
        self.try_commit(record).map_err(|unwritten| unwritten.1)
    }

    /// The same; a record that can't be written comes back.
    fn try_commit(&mut self, record: Record) -> Result<(), Unwritten> {
        if let Err(error) = self.journal.append(&record) {
            return Err(Box::new((record, error)));
        }
        for file in record.entries.iter().flat_map(|entry| &entry.files) {
            self.files.hold(&file.shown);
        }
        for file in self.phones.apply(record) {
            self.files.release(&file.shown);
        }
        Ok(())
    }

    /// The place of a line's history that a position names; another life's position names the start.
    fn parse_position(&self, position: Option<&str>) -> u64 {
        position
            .and_then(|position| position.strip_prefix(&self.phones.epoch)?.strip_prefix(':'))
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    }

    fn position(&self, n: u64) -> String {
        format!("{}:{n}", self.phones.epoch)
    }
}

/// An identity as Apple gives them: an upper-case UUID.
fn new_guid() -> String {
    Uuid::now_v7().hyphenated().encode_upper(&mut Uuid::encode_buffer()).to_owned()
}

/// What names the n-th entry of a line for who waits for it.
fn entry_key<'a>(line: &Handle, n: u64, entry: &'a Inbound) -> Cow<'a, str> {
    match entry {
        Inbound::Message(message) => (&message.guid).into(),
        Inbound::Own(own) => (&own.guid).into(),
        Inbound::Reaction(reaction) => (&reaction.guid).into(),
        // It may be told again at another place.
        Inbound::Group { chat: InboundChat::Group { identifier, .. } } => identifier.into(),
        Inbound::Group { .. }
        | Inbound::Typing(_)
        | Inbound::Read(_)
        | Inbound::Update(_)
        | Inbound::Unreadable => format!("{line} {n}").into(),
    }
}

/// The chat in which an entry stands.
fn chat_of(entry: &Inbound) -> Option<&InboundChat> {
    match entry {
        Inbound::Message(message) => Some(&message.chat),
        Inbound::Own(own) => Some(&own.chat),
        Inbound::Reaction(reaction) => Some(&reaction.chat),
        Inbound::Typing(typing) => Some(&typing.chat),
        Inbound::Read(read) => Some(&read.chat),
        Inbound::Update(update) => Some(&update.chat),
        Inbound::Group { chat } => Some(chat),
        Inbound::Unreadable => None,
    }
}

impl From<&InboundChat> for With {
    fn from(chat: &InboundChat) -> Self {
        match chat {
            InboundChat::Contact { handle } => Self::Contact(handle.clone()),
            InboundChat::Group { identifier, .. } => Self::Group(identifier.clone()),
        }
    }
}

impl Group {
    /// As the link names it.
    fn as_chat(&self) -> InboundChat {
        InboundChat::Group {
            identifier: self.identifier.clone(),
            name: self.name.clone(),
            participants: self.participants.clone(),
        }
    }

    fn has(&self, handle: &Handle) -> bool {
        self.participants.contains(handle)
    }
}
