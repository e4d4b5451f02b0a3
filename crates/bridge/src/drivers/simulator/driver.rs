//! The simulator as the link sees it.

use std::{collections::HashMap, time::Duration};

use switchboard_model::{
    Handle, Line, OutboxItem,
    id::Id,
    line::DriverKind,
    link::{CarriedLine, Inbound, LinkedFile, Outcome, ReceivedEntry, SendItem},
};
use tokio::{sync::watch, time::sleep};
use tracing::error;

use super::{
    JOURNAL_PAUSE, Simulator, State, Unwritten, chat_of, entry_key,
    history::PendingEntry,
    journal::{EntryPosition, KeptFile, KnownChat, Record, With},
};
use crate::{
    driver::{Asked, Driver, DriverError, HistoryBatch, KnownOutcome, LineStatuses},
    files::FileClient,
};

/// The bytes of attachments after which a batch goes on its way without further entries.
const UPLOAD_PER_BATCH: u64 = 32 * 1024 * 1024;

#[async_trait::async_trait]
impl Driver for Simulator {
    fn kind(&self) -> DriverKind {
        DriverKind::Simulator
    }

    fn statuses(&self) -> watch::Receiver<LineStatuses> {
        self.lines.statuses()
    }

    fn send_timeout(&self, item: &SendItem) -> Duration {
        self.limit(item)
    }

    async fn assign_lines(&self, lines: Vec<CarriedLine>) {
        let mut state = self.state();
        state.uploaded.clear();
        for line in &lines {
            if let Err(error) = state.catch_up(line) {
                self.tell_unwritable(&error);
            }
        }
        // Under the state's lock: a change of what a line can do comes before this or after it.
        self.lines.assign_lines(&lines, |line| state.phones.is_advanced(line));
    }

    async fn send(&self, item: SendItem, files: &FileClient) -> Outcome {
        self.carry_out(item, files).await
    }

    async fn reconcile(
        &self,
        asked: &[Asked],
    ) -> Result<HashMap<Id<OutboxItem>, KnownOutcome>, DriverError> {
        let state = self.state();
        let known = |id| match state.phones.outcome(id) {
            Some(outcome) => KnownOutcome::Finished(outcome.clone()),
            None => KnownOutcome::NeverStarted,
        };
        Ok(asked.iter().map(|one| (one.id, known(one.id))).collect())
    }

    async fn history(
        &self,
        line: Id<Line>,
        after: Option<&str>,
        limit: usize,
        files: &FileClient,
    ) -> Result<HistoryBatch, DriverError> {
        loop {
            let (handle, online, wake) = self
                .lines
                .reader(line)
                .ok_or(DriverError { what: "the line is not carried", source: None })?;
            if online {
                let waiting = {
                    let state = self.state();
                    let after = state.parse_position(after);
                    state.phones.histories.after(&handle, after, limit)
                };
                if !waiting.is_empty() {
                    return self.batch(line, &handle, waiting, files).await;
                }
            }
            // A permit is kept if it is woken between the look and the wait.
            wake.notified().await;
        }
    }

    async fn received(&self, line: Id<Line>, batch: &HistoryBatch, results: &[ReceivedEntry]) {
        let Some(handle) = self.lines.handle_of(line) else { return };
        let mut written = self.take_note(&handle, batch, results);
        // The line waits for its journal: nothing more of it is told, and nothing is forgotten.
        while let Err(unwritten) = written {
            self.tell_unwritable(&unwritten.1);
            sleep(JOURNAL_PAUSE).await;
            written = self.state().try_commit(unwritten.0);
        }
    }
}

impl Simulator {
    /// Takes note of what the server has made of a batch, and tells those who wait for it.
    fn take_note(
        &self,
        handle: &Handle,
        batch: &HistoryBatch,
        results: &[ReceivedEntry],
    ) -> Result<(), Unwritten> {
        let mut state = self.state();
        let n = state.parse_position(Some(&batch.position));
        let first = n.saturating_sub(batch.entries.len() as u64) + 1;
        let mut record = Record {
            received: Some(EntryPosition { line: handle.clone(), n }),
            ..Record::default()
        };
        let mut waiters = Vec::new();
        for ((at, entry), result) in (first..).zip(&batch.entries).zip(results) {
            if let Some(id) = result.chat_id
                && let Some(chat) = chat_of(entry)
                && state.phones.chat(id).is_none()
                && !record.chats.iter().any(|known| known.id == id)
            {
                let with = With::from(chat);
                record.chats.push(KnownChat { id, line: handle.clone(), with });
            }
            let waiter = state.waiting.remove(&*entry_key(handle, at, entry));
            waiters.extend(waiter.map(|waiter| (waiter, *result)));
        }
        if let Some(uploaded) = state.uploaded.get_mut(handle) {
            *uploaded = uploaded.split_off(&(n + 1));
        }
        let written = state.try_commit(record);
        drop(state);
        for (waiter, result) in waiters {
            // Who has stopped waiting needs no answer.
            let _ = waiter.send(result);
        }
        written
    }

    /// Entries as the link wants them, their files uploaded.
    async fn batch(
        &self,
        line: Id<Line>,
        handle: &Handle,
        waiting: Vec<PendingEntry>,
        files: &FileClient,
    ) -> Result<HistoryBatch, DriverError> {
        let (mut entries, mut last, mut bytes) = (Vec::with_capacity(waiting.len()), 0, 0);
        for PendingEntry { n, mut what, files: kept } in waiting {
            if let Inbound::Message(message) = &mut what
                && !kept.is_empty()
            {
                message.attachments = self.upload(line, handle, n, &kept, files).await?;
                message.is_audio_message &= !message.attachments.is_empty();
                bytes += kept.iter().map(|file| file.shown.size).sum::<u64>();
            }
            entries.push(what);
            last = n;
            if bytes > UPLOAD_PER_BATCH {
                break;
            }
        }
        Ok(HistoryBatch { position: self.state().position(last), entries })
    }

    /// Uploads the files of one entry, unless they are there from an earlier look at it.
    async fn upload(
        &self,
        line: Id<Line>,
        handle: &Handle,
        n: u64,
        kept: &[KeptFile],
        files: &FileClient,
    ) -> Result<Vec<LinkedFile>, DriverError> {
        let known = self.state().uploaded.get(handle).and_then(|known| known.get(&n)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut uploaded = Vec::with_capacity(kept.len());
        for KeptFile { shown, transcription } in kept {
            let path = self.state().files.path(&shown.sha256);
            let name = shown.filename.as_deref();
            match files.upload(line, &path, name, &shown.mime_type).await {
                Ok(file) => {
                    uploaded.push(LinkedFile { transcription: transcription.clone(), ..file });
                }
                Err(problem) if problem.may_pass() => {
                    let what = "a contact's file can't be uploaded now";
                    return Err(DriverError { what, source: Some(Box::new(problem)) });
                }
                // The line would stand still for ever.
                Err(problem) => {
                    error!(%line, %problem, "a message arrives without one of its files")
                }
            }
        }
        let known = (n, uploaded.clone());
        self.state().uploaded.entry(handle.clone()).or_default().extend([known]);
        Ok(uploaded)
    }
}

impl State {
    /// Takes note of what the server has of a line. What it has of which we never
    /// heard (the answer was lost with a socket) is told again where we need the answer.
    fn catch_up(&mut self, line: &CarriedLine) -> std::io::Result<()> {
        let n = self.parse_position(line.position.as_deref());
        if n > self.phones.histories.received(&line.handle) {
            let received = Some(EntryPosition { line: line.handle.clone(), n });
            self.commit(Record { received, ..Record::default() })?;
        }
        for group in self.phones.unconfirmed_groups(&line.handle) {
            let told = vec![Inbound::Group { chat: group.as_chat() }];
            let entries = self.phones.histories.next_entries(&line.handle, told);
            let entries = entries.unwrap_or_default();
            self.commit(Record { entries, ..Record::default() })?;
        }
        Ok(())
    }
}
