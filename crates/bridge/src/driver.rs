//! What the link asks of a driver: everything a real one needs, and no more than is used.
//!
//! Two promises hold the whole bridge up. A driver never hands an item over twice, and
//! [`Driver::reconcile`] never says [`KnownOutcome::NeverStarted`] of an item that Messages may have:
//! the server would send it again.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use switchboard_model::{
    Line, OutboxItem,
    id::Id,
    line::{Capability, DriverKind, OfflineReason},
    link::{CarriedLine, Inbound, Outcome, ReceivedEntry, Report, SendItem},
};
use tokio::sync::watch;

use crate::{convert::Conversions, files::FileClient};

/// A way to talk to Messages. One object for the life of the process, over all sockets.
#[async_trait::async_trait]
pub trait Driver: Send + Sync {
    /// Which driver it is.
    fn kind(&self) -> DriverKind;

    /// How many files it has converted, for people. None if it converts none.
    fn conversions(&self) -> Option<watch::Receiver<Conversions>> {
        None
    }

    /// The handles that Messages is signed in with, as far as they are known, for people.
    async fn accounts(&self) -> Vec<String> {
        Vec::new()
    }

    /// The lines of the last [`Driver::assign_lines`], no others, as they are now. The link tells
    /// the server of each change and hands over nothing for a line that is not online.
    fn statuses(&self) -> watch::Receiver<LineStatuses>;

    /// How long [`Driver::send`] of this item may take. After that the link drops the call and
    /// reports [`Outcome::Unknown`].
    fn send_timeout(&self, item: &SendItem) -> Duration;

    /// Waits until an item of this line may begin: real programs do one thing at a time. The item is not begun
    /// while it waits, and its time does not run.
    async fn admit(&self, _line: Id<Line>) -> Admission {
        Admission::free()
    }

    /// The lines to carry, the whole list: at each welcome and at each change. When this
    /// returns, [`Driver::statuses`] has exactly these.
    async fn assign_lines(&self, lines: Vec<CarriedLine>);

    /// Hands one item to Messages and says what came of it. The link gives the items of one chat
    /// one after another, and lets each run to its end even if the socket is lost; only the time-out
    /// and the end of the bridge drop the call.
    ///
    /// [`Outcome::Sent`] is the end of a message, [`Outcome::Done`] of everything else.
    /// [`Outcome::Released`] says that nothing was begun because the line is away. Attachments are
    /// fetched from `files` before anything is handed over; what to report when they can't
    /// be says [`FileError::outcome`](crate::FileError::outcome).
    async fn send(&self, item: SendItem, files: &FileClient) -> Outcome;

    /// A link begins: its epoch, and which bridge's it is. Before anything is asked for or handed over on it.
    ///
    /// # Errors
    /// When that can't be written down; the link dials again.
    async fn welcomed(&self, _bridge: &str, _epoch: i64) -> Result<(), DriverError> {
        Ok(())
    }

    /// What came of items that an earlier process, or an earlier life of the link, may have handed over.
    /// An item that is missing from the answer counts as [`Outcome::Unknown`].
    ///
    /// # Errors
    /// When nobody can say just now; the link dials again and asks again.
    async fn reconcile(
        &self,
        asked: &[Asked],
    ) -> Result<HashMap<Id<OutboxItem>, KnownOutcome>, DriverError>;

    /// What turned out later of items that were reported as [`Outcome::Unknown`]: all that the server has not
    /// acknowledged, but those in `told`. Waits until there is at least one. Safe to drop at any time.
    async fn resolved(&self, _told: &HashSet<Id<OutboxItem>>) -> Vec<Report> {
        std::future::pending().await
    }

    /// The server knows what turned out later of these.
    async fn acknowledged(&self, _ids: &[Id<OutboxItem>]) {}

    /// What happened on a line's phone after this place (none: from the start), in order, at most
    /// `limit` entries. Waits until there is at least one. Safe to drop at any time:
    /// the same place asked again gives the same entries.
    ///
    /// Attachments are uploaded to `files` first. Uploaded again after a crash they are other files
    /// of the same bytes; those that no message came to name expire on the server.
    ///
    /// A place of an earlier history (the database was replaced) means from the start.
    ///
    /// # Errors
    /// When the history can't be read just now; the link asks again later.
    async fn history(
        &self,
        line: Id<Line>,
        after: Option<&str>,
        limit: usize,
        files: &FileClient,
    ) -> Result<HistoryBatch, DriverError>;

    /// Another bridge carries this line, and this one stands by for it: what the server knows already need not be kept. Never
    /// ends; dropped when it carries the line itself.
    async fn stand_by(&self, _line: Id<Line>, _files: &FileClient) {
        std::future::pending().await
    }

    /// The server has committed this batch. One result for each entry, in its order.
    async fn received(&self, line: Id<Line>, batch: &HistoryBatch, results: &[ReceivedEntry]);
}

/// An item whose outcome the server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub id: Id<OutboxItem>,
    /// The epoch of the link that claimed it; none if the server is too old to say.
    pub claimed: Option<i64>,
}

/// That an item may begin. Whatever was taken for it is given back when this is dropped.
pub struct Admission(
    #[expect(dead_code, reason = "it is held, not read")] Option<Box<dyn Any + Send>>,
);

impl Admission {
    /// Nothing was taken.
    pub fn free() -> Self {
        Self(None)
    }

    /// This was taken.
    pub fn holding(taken: impl Any + Send) -> Self {
        Self(Some(Box::new(taken)))
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admission")
    }
}

/// How each carried line is. Ordered, so that lines are told in a stable order.
pub type LineStatuses = BTreeMap<Id<Line>, LineStatus>;

/// How one line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStatus {
    /// Whether items may be handed over.
    pub online: bool,
    /// What can be done on it now.
    pub capabilities: Vec<Capability>,
    /// Why it is not online; beside one that is, a warning.
    pub reason: Option<OfflineReason>,
}

/// What a driver durably knows of an item. "Still in flight" is no answer: a driver
/// waits, bounded, until it is decided, or says [`Outcome::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownOutcome {
    /// It never reached Messages, and no earlier call can still bring it there.
    NeverStarted,
    /// It is finished.
    Finished(Outcome),
}

/// A piece of a line's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryBatch {
    /// The place after the last of these entries; opaque to everybody else.
    pub position: String,
    /// What happened, in order; never empty.
    pub entries: Vec<Inbound>,
}

/// The driver can't answer just now. The text goes to the log: no message, no phone number in it.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct DriverError {
    /// What can't be done.
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
