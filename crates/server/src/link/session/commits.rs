//! What a bridge tells: committed first, then made known and acknowledged.

use std::{collections::HashSet, sync::Arc};

use switchboard_model::{
    Line, OutboxItem,
    id::Id,
    link::{
        Inbound, LineRole, MAX_BATCH, MAX_POSITION_BYTES, Outcome, ReceivedEntry, Report,
        ServerFrame,
    },
};
use switchboard_store::{Refusal, SettleReport, StoreError};
use tokio::sync::mpsc;

use super::{Session, lock, once_available};
use crate::{
    link::{bounds::bound, skipped::Skip, wire::LinkEnd},
    uncancelled::spawn_uncancelled,
};

/// Reports of one transaction.
const SETTLE_BATCH: usize = 1024;

/// Reports on their way to the store.
#[derive(Default)]
pub(super) struct Settling {
    reports: Vec<SettleReport>,
    /// Later truth about items.
    resolved: Vec<Report>,
    /// All the items that are to be acknowledged.
    ids: Vec<Id<OutboxItem>>,
    /// Whether they answer a page of what is reconciled: once they are committed, the next is asked for, or items may be
    /// handed out. There is one page at a time, so one of them is never two.
    answers_reconcile: bool,
}

impl Settling {
    /// What came of items.
    pub(super) fn reported(reports: Vec<SettleReport>) -> Self {
        let ids = reports.iter().map(|report| report.id).collect();
        Self { reports, ids, ..Self::default() }
    }

    /// The answer to `reconcile`.
    pub(super) fn reconciled(reports: Vec<SettleReport>) -> Self {
        Self { answers_reconcile: true, ..Self::reported(reports) }
    }

    /// Later truth about these items.
    pub(super) fn resolved(ids: Vec<Id<OutboxItem>>, resolved: Vec<Report>) -> Self {
        Self { resolved, ids, ..Self::default() }
    }

    fn extend(&mut self, more: Self) {
        self.reports.extend(more.reports);
        self.resolved.extend(more.resolved);
        self.ids.extend(more.ids);
        self.answers_reconcile |= more.answers_reconcile;
    }
}

/// An inbound batch on its way to the store.
pub(super) struct Batch {
    pub(super) line_id: Id<Line>,
    pub(super) position: String,
    pub(super) entries: Vec<Inbound>,
}

impl Session<'_> {
    /// Commits reports, and acknowledges them after that.
    pub(super) async fn settle(&self, mut queue: mpsc::Receiver<Settling>) -> LinkEnd {
        while let Some(mut batch) = queue.recv().await {
            while batch.ids.len() < SETTLE_BATCH {
                let Ok(more) = queue.try_recv() else { break };
                batch.extend(more);
            }
            let Settling { reports, resolved, ids, answers_reconcile } = batch;
            let given_back = reports.iter().filter(|report| report.outcome == Outcome::Released);
            let given_back: HashSet<_> = given_back.map(|report| report.id).collect();
            let what = "reports of a bridge could not be settled";
            if !reports.is_empty()
                && let Err(error) = once_available(what, || self.settled(reports.clone())).await
            {
                return error.into();
            }
            // After the reports: it may be about one of them.
            if !resolved.is_empty()
                && let Err(error) = once_available(what, || self.resolved(resolved.clone())).await
            {
                return error.into();
            }
            let lines: Vec<_> = {
                let mut window = self.window();
                ids.iter().filter_map(|id| Some((*id, window.remove(*id)?))).collect()
            };
            if answers_reconcile && self.go_on_reconciling().await.is_err() {
                return LinkEnd::Closing("the link is ending");
            }
            // A bridge that has taken a line over may have waited for these.
            for (_, line) in &lines {
                if lock(&self.carried).get(line) == Some(&LineRole::Standby) {
                    self.server.hub.wake(*line);
                }
            }
            self.wake_for_more(lines, &given_back);
            for ids in ids.chunks(MAX_BATCH) {
                if self.send(ServerFrame::Settled { ids: ids.to_vec() }).await.is_err() {
                    return LinkEnd::Closing("the link is ending");
                }
            }
        }
        LinkEnd::Closing("the link is ending")
    }

    /// Lines have room again: looks for items where some were held back, or have come back.
    fn wake_for_more(
        &self,
        settled: Vec<(Id<OutboxItem>, Id<Line>)>,
        given_back: &HashSet<Id<OutboxItem>>,
    ) {
        let has_more: Vec<_> = {
            let window = self.window();
            let has_more =
                |(id, line)| (given_back.contains(&id) || window.holds_back(line)).then_some(line);
            settled.into_iter().filter_map(has_more).collect()
        };
        self.woken.wake(has_more);
    }

    /// Commits inbound batches, and acknowledges them after that.
    pub(super) async fn receive(&self, mut batches: mpsc::Receiver<Batch>) -> LinkEnd {
        while let Some(batch) = batches.recv().await {
            let Batch { line_id, position, mut entries } = batch;
            let cut: usize = entries.iter_mut().map(bound).sum();
            let unreadable = entries.iter().filter(|entry| matches!(entry, Inbound::Unreadable));
            self.server.links.skipped.note(Skip::Entry, unreadable.count());
            if cut > 0 {
                tracing::warn!(line = %line_id, cut, "what a bridge tells is too long and was cut");
            }
            if position.len() > MAX_POSITION_BYTES {
                tracing::warn!(line = %line_id, bytes = position.len(), "a line's place is too long and is not kept");
            }
            let receive = || self.received(line_id, position.clone(), entries.clone());
            let what = "what came in could not be kept";
            let results = match once_available(what, receive).await {
                Ok(results) => results,
                Err(StoreError::Refused(Refusal::LineNotFound)) => {
                    // It may have been given to another bridge meanwhile, which is the one to tell of it now.
                    // To end the link for it would begin it all again. A standby's bridge keeps it until then.
                    self.server.links.skipped.note(Skip::Frame, 1);
                    tracing::warn!(bridge = %self.bridge.id, line = %line_id, "a bridge tells of a line that it does not carry");
                    if let Err(ended) = self.passed_over(line_id).await {
                        return ended;
                    }
                    continue;
                }
                Err(error) => return error.into(),
            };
            let frame = ServerFrame::Received { line_id, position, results };
            if self.send(frame).await.is_err() {
                break;
            }
        }
        LinkEnd::Closing("the link is ending")
    }

    /// Commits reports and makes known what came of them.
    async fn settled(&self, reports: Vec<SettleReport>) -> Result<(), StoreError> {
        let (server, link) = (Arc::clone(self.server), self.link);
        spawn_uncancelled(async move {
            let now = server.clock.now();
            let committed = server.store.settle(link, reports, now).await?;
            server.publisher.publish(committed);
            Ok(())
        })
        .await
    }

    /// Commits later truth about items and makes it known.
    async fn resolved(&self, reports: Vec<Report>) -> Result<(), StoreError> {
        let (server, link) = (Arc::clone(self.server), self.link);
        spawn_uncancelled(async move {
            let now = server.clock.now();
            let committed = server.store.resolve(link, reports, now).await?;
            server.publisher.metrics.messages.note_resolved(&committed.events);
            server.publisher.publish(committed);
            Ok(())
        })
        .await
    }

    /// Commits a batch and makes known what came in.
    async fn received(
        &self,
        line: Id<Line>,
        position: String,
        entries: Vec<Inbound>,
    ) -> Result<Vec<ReceivedEntry>, StoreError> {
        let (server, link) = (Arc::clone(self.server), self.link);
        spawn_uncancelled(async move {
            let now = server.clock.now();
            let received = server.store.receive(link, line, position, entries, now).await?;
            server.publisher.publish(received.committed);
            Ok(received.results)
        })
        .await
    }
}
