//! The simulator: virtual phones behind any number of lines, for development and tests.
//!
//! A driver like a Mac's: it has the real link, and a durable memory of its own as Messages has
//! its database (`journal`). The record that puts a message on a phone carries the id of
//! the outbox item, so a message is on the phone exactly if its recall says so, whenever
//! the process is killed.
//!
//! Some contacts behave in their own way ([`ALWAYS_FAILS`], [`NEVER_ANSWERS`], [`ECHOES`]);
//! all three only in the 1:1 chat: in a group they are contacts like any other.

mod driver;
mod faults;
mod journal;
mod outside;
mod phones;

#[cfg(doc)]
use switchboard_model::simulator::{ALWAYS_FAILS, ECHOES, NEVER_ANSWERS};

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use switchboard_model::{
    Handle,
    link::{Inbound, InboundChat, ReceivedEntry},
    time::Clock,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use faults::Lines;
use journal::{Group, Journal, Record};
use phones::Phones;

/// The journal is rewritten at start when it is longer than this, in bytes, and mostly outlived.
const COMPACT_ABOVE: u64 = 8 * 1024 * 1024;

/// How long the simulator waits for others.
#[derive(Debug, Clone, Copy)]
pub struct SimulatorOptions {
    /// How long an item may take on a line that is not slow: after this, an item to [`NEVER_ANSWERS`]
    /// is reported as unknown.
    pub send_timeout: Duration,
    /// How long a contact's text or a new group waits for the server to have it.
    pub confirm_timeout: Duration,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self { send_timeout: Duration::from_secs(10), confirm_timeout: Duration::from_secs(10) }
    }
}

/// Virtual phones: a [`Driver`](crate::Driver) on one side, on the other
/// [`SimulatedPhones`](switchboard_model::simulator::SimulatedPhones).
pub struct Simulator {
    clock: Arc<dyn Clock>,
    options: SimulatorOptions,
    lines: Arc<Lines>,
    book: Mutex<Book>,
}

/// The durable state. One lock, so that the journal's order is the order in which things became true.
struct Book {
    journal: Journal,
    phones: Phones,
    /// Who waits for the server to have an entry, by the guid or the group's identifier.
    waiting: HashMap<String, oneshot::Sender<ReceivedEntry>>,
}

impl Simulator {
    /// Opens the phones whose journal is this file; makes it if there is none. Reads the whole file.
    ///
    /// # Errors
    /// When the file can't be read or written, or is no journal of a simulator.
    pub fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        options: SimulatorOptions,
    ) -> io::Result<Arc<Self>> {
        let mut phones = Phones::default();
        let mut replayed = 0;
        let mut journal = Journal::open(path, |record| {
            replayed += 1;
            phones.apply(record);
        })?;
        if phones.epoch.is_empty() {
            let epoch = Some(Uuid::now_v7().simple().to_string());
            let record = Record { epoch, ..Record::default() };
            journal.append(&record)?;
            phones.apply(record);
        } else if journal.len() > COMPACT_ABOVE && replayed > 2 * phones.record_count() {
            journal.rewrite(phones.records())?;
        }
        Ok(Arc::new(Self {
            clock,
            options,
            lines: Arc::new(Lines::new()),
            book: Mutex::new(Book { journal, phones, waiting: HashMap::new() }),
        }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // The journal is written before the memory changes; whatever panics between leaves both whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Writes a record and makes it true.
    fn commit(&mut self, record: Record) -> io::Result<()> {
        self.journal.append(&record)?;
        self.phones.apply(record);
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

/// What names an entry for who waits for it.
fn entry_key(entry: &Inbound) -> Option<&str> {
    match entry {
        Inbound::Message(message) => Some(&message.guid),
        Inbound::Group { chat: InboundChat::Group { identifier, .. } } => Some(identifier),
        Inbound::Group { chat: InboundChat::Contact { .. } } => None,
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
