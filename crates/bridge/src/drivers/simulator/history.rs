//! What happened on the lines and has not been received by the server yet, in order and numbered.

use std::collections::{HashMap, VecDeque};

use switchboard_model::{Handle, link::Inbound};

use super::journal::{Entry, EntryPosition, KeptFile, Record};

/// The most entries of a line that wait for the server.
pub(super) const MAX_WAITING: usize = 100_000;

/// The histories of all lines.
#[derive(Default)]
pub(super) struct Histories(HashMap<Handle, History>);

#[derive(Default)]
struct History {
    /// The number of the last entry that ever was.
    last: u64,
    waiting: VecDeque<PendingEntry>,
}

/// An entry that waits.
#[derive(Clone)]
pub(super) struct PendingEntry {
    pub(super) n: u64,
    pub(super) what: Inbound,
    /// The files of a message, not uploaded yet.
    pub(super) files: Vec<KeptFile>,
}

impl Histories {
    pub(super) fn enter(&mut self, Entry { at, what, files }: Entry) {
        let history = self.0.entry(at.line).or_default();
        history.last = history.last.max(at.n);
        history.waiting.push_back(PendingEntry { n: at.n, what, files });
    }

    /// The server has a line's history up to here. Returns the files that no longer wait for it.
    pub(super) fn receive(&mut self, EntryPosition { line, n }: EntryPosition) -> Vec<KeptFile> {
        let history = self.0.entry(line).or_default();
        history.last = history.last.max(n);
        let mut files = Vec::new();
        while history.waiting.front().is_some_and(|entry| entry.n <= n) {
            files.extend(history.waiting.pop_front().into_iter().flat_map(|entry| entry.files));
        }
        files
    }

    /// These as the entries that come next on a line; none if too many wait already.
    pub(super) fn next_entries(&self, line: &Handle, what: Vec<Inbound>) -> Option<Vec<Entry>> {
        let history = self.0.get(line);
        let waiting = history.map_or(0, |history| history.waiting.len());
        if waiting + what.len() > MAX_WAITING {
            return None;
        }
        let first = history.map_or(0, |history| history.last) + 1;
        let entry = |(n, what)| Entry {
            at: EntryPosition { line: line.clone(), n },
            what,
            files: Vec::new(),
        };
        Some((first..).zip(what).map(entry).collect())
    }

    /// At most `limit` entries of a line after a place.
    pub(super) fn after(&self, line: &Handle, after: u64, limit: usize) -> Vec<PendingEntry> {
        let Some(History { waiting, .. }) = self.0.get(line) else { return Vec::new() };
        let from = waiting.partition_point(|entry| entry.n <= after);
        waiting.range(from..).take(limit).cloned().collect()
    }

    /// The place up to which the server has a line's history.
    pub(super) fn received(&self, line: &Handle) -> u64 {
        let Some(history) = self.0.get(line) else { return 0 };
        history.waiting.front().map_or(history.last, |first| first.n - 1)
    }

    /// What waits on a line.
    pub(super) fn waiting(&self, line: &Handle) -> impl Iterator<Item = &Inbound> {
        self.0.get(line).into_iter().flat_map(|history| &history.waiting).map(|entry| &entry.what)
    }

    /// The files that wait on any line.
    pub(super) fn files(&self) -> impl Iterator<Item = &KeptFile> {
        self.0.values().flat_map(|history| &history.waiting).flat_map(|entry| &entry.files)
    }

    /// How many records say all of it.
    pub(super) fn record_count(&self) -> usize {
        self.0.values().map(|history| history.waiting.len() + 1).sum()
    }

    /// The records that say all of it.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        self.0.iter().flat_map(|(line, history)| {
            let received = EntryPosition { line: line.clone(), n: self.received(line) };
            let received = Record { received: Some(received), ..Record::default() };
            std::iter::once(received).chain(history.waiting.iter().cloned().map(|entry| {
                let PendingEntry { n, what, files } = entry;
                let at = EntryPosition { line: line.clone(), n };
                Record { entries: vec![Entry { at, what, files }], ..Record::default() }
            }))
        })
    }
}
