//! The items in flight and the tasks that take them to the driver. Outlives sockets.
//!
//! One task for each chat that has work: the items of a chat go one after another, in
//! the order in which they were given, and different chats go side by side.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt;
use switchboard_model::{
    Chat, Line, OutboxItem,
    id::Id,
    link::{Outcome, Reconciled, Report, SendItem},
};
use tokio::sync::{Notify, watch};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::{error, warn};

use super::in_flight::{Given, InFlightItems, Overrun};
use crate::{
    driver::{Driver, LineStatuses},
    files::FileClient,
};

/// The items in flight.
pub(super) struct Items {
    driver: Arc<dyn Driver>,
    files: FileClient,
    statuses: watch::Receiver<LineStatuses>,
    in_flight: Mutex<InFlightItems>,
    /// Something may be there to report. One waiter: the socket's writer.
    finished: Notify,
    /// Nothing may be in flight. One waiter: the bridge that winds down.
    empty: Notify,
    /// Something was settled. Any number of waiters: the pumps.
    settled: Notify,
    /// Nothing new is begun any more.
    winding_down: CancellationToken,
    tasks: TaskTracker,
    killed: CancellationToken,
    /// The server has welcomed this process before.
    welcomed: AtomicBool,
}

impl Items {
    pub(super) fn new(driver: Arc<dyn Driver>, files: FileClient) -> Arc<Self> {
        Arc::new(Self {
            statuses: driver.statuses(),
            driver,
            files,
            in_flight: Mutex::default(),
            finished: Notify::new(),
            empty: Notify::new(),
            settled: Notify::new(),
            winding_down: CancellationToken::new(),
            tasks: TaskTracker::new(),
            killed: CancellationToken::new(),
            welcomed: AtomicBool::new(false),
        })
    }

    /// Whether the server has welcomed this process before: then only the connection was lost.
    pub(super) fn was_welcomed(&self) -> bool {
        self.welcomed.load(Ordering::Relaxed)
    }

    /// The server has welcomed this process.
    pub(super) fn welcome(&self) {
        self.welcomed.store(true, Ordering::Relaxed);
    }

    /// Takes items from the server and starts what can start.
    pub(super) fn accept(self: &Arc<Self>, given: Vec<SendItem>) -> Result<(), Overrun> {
        let mut in_flight = self.in_flight();
        if self.winding_down.is_cancelled() {
            // Never begun, not even remembered: the server asks the next process for it.
            return Ok(());
        }
        for item in given {
            let (id, chat_id, online) = (item.id, item.chat_id, self.is_online(item.line_id));
            match in_flight.give(item, online)? {
                Given::Start => self.start_chat(chat_id),
                Given::Wait => {}
                Given::Report => self.finished.notify_one(),
                Given::Duplicate => warn!(item = %id, "the server gave an item that is in flight"),
            }
        }
        Ok(())
    }

    fn start_chat(self: &Arc<Self>, chat_id: Id<Chat>) {
        let (items, killed) = (Arc::clone(self), self.killed.clone());
        self.tasks.spawn(async move {
            killed.run_until_cancelled(items.work_off(chat_id)).await;
        });
    }

    async fn work_off(&self, chat_id: Id<Chat>) {
        let mut done = None;
        while let Some((id, line_id)) = self.next(chat_id, done.take()) {
            // It waits in its queue: a line that goes away meanwhile gives it back.
            let admission = self.driver.admit(line_id).await;
            let Some(item) = self.begin(chat_id, id) else { continue };
            let call = async {
                let limit = self.driver.send_timeout(&item);
                tokio::time::timeout(limit, self.driver.send(item, &self.files)).await
            };
            let outcome = match AssertUnwindSafe(call).catch_unwind().await {
                Ok(Ok(outcome)) => outcome,
                Err(_panic) => {
                    error!(item = %id, "the driver panicked while it sent an item");
                    Outcome::Unknown
                }
                Ok(Err(_elapsed)) => {
                    warn!(item = %id, "the driver did not finish an item in time");
                    Outcome::Unknown
                }
            };
            drop(admission);
            done = Some((id, outcome));
        }
    }

    /// Notes what came of the last item and names the next one, which stays in its queue.
    fn next(
        &self,
        chat_id: Id<Chat>,
        done: Option<(Id<OutboxItem>, Outcome)>,
    ) -> Option<(Id<OutboxItem>, Id<Line>)> {
        let mut in_flight = self.in_flight();
        if let Some((id, outcome)) = done {
            in_flight.finish(id, outcome);
            self.finished.notify_one();
        }
        self.release_if_away(&mut in_flight, chat_id);
        in_flight.next(chat_id)
    }

    /// Marks an item as running, before the driver has it; none if it is not the next any more.
    fn begin(&self, chat_id: Id<Chat>, next: Id<OutboxItem>) -> Option<SendItem> {
        let mut in_flight = self.in_flight();
        self.release_if_away(&mut in_flight, chat_id);
        in_flight.begin(chat_id, next)
    }

    fn release_if_away(&self, in_flight: &mut InFlightItems, chat_id: Id<Chat>) {
        if in_flight.next_line(chat_id).is_some_and(|line_id| !self.is_online(line_id)) {
            in_flight.release_chat(chat_id);
            self.finished.notify_one();
        }
    }

    /// The line went away: what it has not begun goes back to the server.
    pub(super) fn release_line(&self, line_id: Id<Line>) {
        self.in_flight().release_line(line_id);
        self.finished.notify_one();
    }

    /// The socket is lost. What runs goes on; what never reached the driver is the server's again.
    pub(super) fn link_lost(&self) {
        let mut in_flight = self.in_flight();
        in_flight.drop_queued();
        in_flight.drop_released();
    }

    /// See [`InFlightItems::reconcile`].
    pub(super) fn reconcile(
        &self,
        ids: &[Id<OutboxItem>],
    ) -> (Vec<Reconciled>, Vec<Id<OutboxItem>>) {
        let answer = self.in_flight().reconcile(ids);
        self.finished.notify_one();
        answer
    }

    /// See [`InFlightItems::reconcile_more`].
    pub(super) fn reconcile_more(
        &self,
        ids: &[Id<OutboxItem>],
    ) -> (Vec<Reconciled>, Vec<Id<OutboxItem>>) {
        self.in_flight().reconcile_more(ids)
    }

    /// See [`InFlightItems::take_reports`].
    pub(super) fn take_reports(&self, limit: usize) -> Vec<Report> {
        self.in_flight().take_reports(limit)
    }

    /// The server has committed these.
    pub(super) fn settle(&self, ids: &[Id<OutboxItem>]) {
        let mut in_flight = self.in_flight();
        in_flight.settle(ids);
        self.settled.notify_waiters();
        if in_flight.is_empty() {
            self.empty.notify_one();
        }
    }

    /// Returns when this item is in flight no more.
    pub(super) async fn is_settled(&self, id: Id<OutboxItem>) {
        self.are_settled(&[id]).await;
    }

    /// Returns when the server knows every message of this line that is sent by now.
    pub(super) async fn sent_are_settled(&self, line_id: Id<Line>) {
        let sent = self.in_flight().sent_of(line_id);
        self.are_settled(&sent).await;
    }

    async fn are_settled(&self, ids: &[Id<OutboxItem>]) {
        loop {
            // Before the look: what is settled in between wakes it, too.
            let settled = self.settled.notified();
            if !self.in_flight().holds_any(ids) {
                return;
            }
            settled.await;
        }
    }

    /// Returns when there may be something to report.
    pub(super) async fn finished(&self) {
        self.finished.notified().await;
    }

    /// Begins nothing any more, and returns when all that ran is reported and settled.
    pub(super) async fn wind_down(&self) {
        {
            let mut in_flight = self.in_flight();
            self.winding_down.cancel();
            in_flight.drop_queued();
        }
        while !self.in_flight().is_empty() {
            self.empty.notified().await;
        }
    }

    /// Ends every task when this is dropped, if nothing has ended them before: a bridge that panicked must not
    /// go on beside the one that follows it.
    pub(super) fn killed_on_drop(&self) -> DropGuard {
        self.killed.clone().drop_guard()
    }

    /// Ends every task. What is cut off here is what a killed process would leave: the next
    /// process is asked for it, and its driver knows.
    pub(super) async fn stop(&self) {
        self.killed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn is_online(&self, line_id: Id<Line>) -> bool {
        self.statuses.borrow().get(&line_id).is_some_and(|status| status.online)
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlightItems> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
