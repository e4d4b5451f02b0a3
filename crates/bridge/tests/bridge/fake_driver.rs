//! A driver that does what the test says, when the test says so.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use switchboard_bridge::{
    Asked, Driver, DriverError, FileClient, HistoryBatch, KnownOutcome, LineStatus, LineStatuses,
};
use switchboard_model::{
    Line, OutboxItem,
    id::Id,
    line::{Capability, DriverKind},
    link::{CarriedLine, Inbound, Outcome, ReceivedEntry, SendItem},
};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::soon;

pub(crate) struct FakeDriver {
    pub(crate) statuses: watch::Sender<LineStatuses>,
    pub(crate) outcomes: Mutex<HashMap<Id<OutboxItem>, KnownOutcome>>,
    pub(crate) history: Mutex<Vec<Inbound>>,
    pub(crate) received: Mutex<Vec<(String, Vec<ReceivedEntry>)>>,
    pub(crate) send_timeout: Duration,
    /// Every call that is not told otherwise by its item panics.
    pub(crate) panics: AtomicBool,
    grew: Notify,
    started: mpsc::Sender<Id<OutboxItem>>,
    running: Mutex<HashMap<Id<OutboxItem>, oneshot::Sender<Outcome>>>,
}

/// The items that the driver was given, in that order.
pub(crate) struct Started(mpsc::Receiver<Id<OutboxItem>>);

impl Started {
    pub(crate) async fn next(&mut self) -> Id<OutboxItem> {
        soon(self.0.recv()).await.expect("the driver lives")
    }

    pub(crate) fn nothing_more(&mut self) {
        assert!(self.0.try_recv().is_err(), "an item too many reached the driver");
    }
}

impl FakeDriver {
    pub(crate) fn new() -> (Arc<Self>, Started) {
        Self::with_timeout(Duration::from_secs(3600))
    }

    pub(crate) fn with_timeout(send_timeout: Duration) -> (Arc<Self>, Started) {
        let (started, given) = mpsc::channel(10_000);
        let driver = Self {
            statuses: watch::Sender::default(),
            outcomes: Mutex::default(),
            history: Mutex::default(),
            received: Mutex::default(),
            send_timeout,
            panics: AtomicBool::new(false),
            grew: Notify::new(),
            started,
            running: Mutex::default(),
        };
        (Arc::new(driver), Started(given))
    }

    /// Ends a call that was started.
    pub(crate) fn finish(&self, id: Id<OutboxItem>, outcome: Outcome) {
        let call = self.running.lock().unwrap().remove(&id).expect("it was started");
        call.send(outcome).expect("the call must still run");
    }

    /// Makes the call panic.
    pub(crate) fn crash(&self, id: Id<OutboxItem>) {
        drop(self.running.lock().unwrap().remove(&id).expect("it was started"));
    }

    fn may_panic(&self) {
        assert!(!self.panics.load(Ordering::Relaxed), "as it must be in this test");
    }

    pub(crate) fn set_online(&self, line: Id<Line>, online: bool) {
        self.statuses.send_modify(|statuses| {
            statuses.get_mut(&line).expect("carried").online = online;
        });
    }

    pub(crate) fn happen(&self, entries: impl IntoIterator<Item = Inbound>) {
        self.history.lock().unwrap().extend(entries);
        self.grew.notify_one();
    }
}

#[async_trait::async_trait]
impl Driver for FakeDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Imsg
    }

    fn statuses(&self) -> watch::Receiver<LineStatuses> {
        self.statuses.subscribe()
    }

    fn send_timeout(&self, _item: &SendItem) -> Duration {
        self.may_panic();
        self.send_timeout
    }

    async fn assign_lines(&self, lines: Vec<CarriedLine>) {
        self.may_panic();
        self.statuses.send_modify(|statuses| {
            statuses.retain(|id, _| lines.iter().any(|line| line.id == *id));
            for line in lines {
                let capabilities = vec![Capability::Replies];
                let status = LineStatus { online: true, capabilities, reason: None };
                statuses.entry(line.id).or_insert(status);
            }
        });
    }

    async fn send(&self, item: SendItem, _files: &FileClient) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        self.running.lock().unwrap().insert(item.id, sender);
        self.started.try_send(item.id).expect("room for every started item");
        outcome.await.expect("the test crashed this call")
    }

    async fn reconcile(
        &self,
        asked: &[Asked],
    ) -> Result<HashMap<Id<OutboxItem>, KnownOutcome>, DriverError> {
        let outcomes = self.outcomes.lock().unwrap();
        Ok(asked.iter().filter_map(|one| Some((one.id, outcomes.get(&one.id)?.clone()))).collect())
    }

    async fn history(
        &self,
        _line: Id<Line>,
        after: Option<&str>,
        limit: usize,
        _files: &FileClient,
    ) -> Result<HistoryBatch, DriverError> {
        let from: usize = after.map_or(0, |after| after.parse().expect("a position of ours"));
        loop {
            let entries: Vec<Inbound> =
                self.history.lock().unwrap().iter().skip(from).take(limit).cloned().collect();
            if !entries.is_empty() {
                return Ok(HistoryBatch { position: (from + entries.len()).to_string(), entries });
            }
            self.grew.notified().await;
        }
    }

    async fn received(&self, _line: Id<Line>, batch: &HistoryBatch, results: &[ReceivedEntry]) {
        self.received.lock().unwrap().push((batch.position.clone(), results.to_vec()));
    }
}
