//! The driver of Macs: `imsg rpc` as a supervised child (openclaw/imsg, docs/rpc.md), version 0.14 or newer.
//!
//! imsg reads Messages' database and sends; with its helper in Messages it also reacts, types and marks as read. Its watch is a
//! wake-up only: what happened is read by row number, from the place in the ledger. Nothing queues inside the child:
//! closing its input would still carry out what stands there.

mod chats;
mod child;
mod follow;
mod observe;
mod own;
mod reread;
mod rows;
mod rpc;
mod send;
mod status;
mod tail;
mod typing;
mod verify;

use std::{sync::Arc, time::Duration};

use switchboard_model::{
    line::DriverKind,
    link::{Content, Outcome, SendItem},
};
use tokio::sync::{Mutex, Notify, mpsc, watch};

use self::{
    chats::KnownChats,
    child::{Child, Pushed},
    status::Readiness,
};
pub use child::ImsgProgram;

use crate::{
    connector::{
        Attempt, Concurrency, Connector, Context, FetchError, FetchedFile, Health, Verdict,
    },
    drivers::watermark::PassedOver,
    ledger::{Begun, Ledger, ObservedFile},
};

/// The name of its place in the ledger.
const SOURCE: &str = "imsg";
/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the child may take for a text: it gives a send 150 s, and then looks for its row.
const TEXT_TIMEOUT: Duration = Duration::from_secs(180);
/// How long it may take for a message with files.
const FILE_TIMEOUT: Duration = Duration::from_secs(18 * 60);
/// How long an item may take besides: the chat is looked up, and what is not begun is tried again.
const BESIDES: Duration = Duration::from_secs(100);

/// The connector. See the module.
pub struct Imsg {
    child: Arc<Child>,
    pushed: Mutex<mpsc::Receiver<Pushed>>,
    /// Which macOS it is, where that is known.
    macos: Option<u32>,
    readiness: watch::Sender<Readiness>,
    health: watch::Sender<Health>,
    chats: KnownChats,
    /// The watch is to be begun anew.
    watch_anew: Notify,
    /// What is passed over as history.
    history: PassedOver,
    /// The row up to which everything was read, for whoever has to find out later what came of an attempt.
    read_to: watch::Sender<Option<i64>>,
}

impl Imsg {
    /// Nothing runs yet.
    pub fn new(program: ImsgProgram) -> Self {
        let macos = program.macos;
        let (child, pushed) = Child::new(program);
        Self {
            macos,
            child,
            pushed: Mutex::new(pushed),
            readiness: watch::Sender::default(),
            health: watch::Sender::new(Health::of_all(status::starting())),
            chats: KnownChats::default(),
            watch_anew: Notify::new(),
            history: PassedOver::new(),
            read_to: watch::Sender::default(),
        }
    }
}

#[async_trait::async_trait]
impl Connector for Imsg {
    fn kind(&self) -> DriverKind {
        DriverKind::Imsg
    }

    fn concurrency(&self) -> Concurrency {
        // The child has one lane for all that sends, and one that is stuck poisons it.
        Concurrency { bridge: 1, line: 1 }
    }

    fn send_timeout(&self, item: &SendItem) -> Duration {
        match &item.content {
            Content::Message { attachments, .. } if !attachments.is_empty() => {
                FILE_TIMEOUT + BESIDES
            }
            _ => TEXT_TIMEOUT + BESIDES,
        }
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn run(&self, context: Context) {
        tokio::select! {
            () = self.child.keep() => {}
            () = self.keep_status() => {}
            () = self.keep_watching() => {}
            () = self.observe(&context) => {}
            () = self.follow(&context) => {}
            () = self.reread(&context) => {}
            () = self.hear(&context) => {}
        }
    }

    async fn mark(&self, _item: &SendItem) -> Option<String> {
        self.read_to.borrow().map(|row| row.to_string())
    }

    async fn send(&self, attempt: &Attempt, ledger: &Ledger) -> Outcome {
        self.hand_over(attempt, ledger).await
    }

    async fn verify(&self, begun: &Begun, ledger: &Ledger) -> Verdict {
        self.find_out(begun, ledger).await
    }

    async fn fetch(&self, file: &ObservedFile) -> Result<FetchedFile, FetchError> {
        // Whoever observed it has waited for it already.
        match tokio::fs::metadata(&file.source).await {
            Ok(found) if found.is_file() => Ok(FetchedFile::InPlace((&file.source).into())),
            // A permission that was lost comes back.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FetchError::NotYet(error.to_string()))
            }
            _ => Err(FetchError::Gone),
        }
    }

    fn wants_opus_memos(&self) -> bool {
        // From 0.15 on imsg makes one itself, and older ones send what nobody hears.
        true
    }
}
