//! Messages counted by what became of them, as their events are committed: one atomic each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use switchboard_model::{EventKind, outbox::MAY_HAVE_BEEN_HANDED_OVER};
use switchboard_store::CommittedEvent;

/// Messages since the process began.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    received: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    resolved: AtomicU64,
    loops: AtomicU64,
}

impl Messages {
    /// An event was committed.
    pub(crate) fn note(&self, event: &CommittedEvent) {
        let count = match event.kind {
            EventKind::MessageReceived => &self.received,
            EventKind::MessageSent => &self.sent,
            EventKind::MessageFailed if is_unknown(event) => &self.unknown,
            EventKind::MessageFailed => &self.failed,
            _ => return,
        };
        count.fetch_add(1, Relaxed);
    }

    /// It turned out what had come of messages of which nobody could say.
    pub(crate) fn note_resolved(&self, events: &[CommittedEvent]) {
        let is_fate = |event: &&CommittedEvent| {
            matches!(event.kind, EventKind::MessageSent | EventKind::MessageFailed)
        };
        let count = events.iter().filter(is_fate).count();
        self.resolved.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
    }

    /// A line must rest in a chat: it has answered there too often.
    pub(crate) fn note_loop(&self) {
        self.loops.fetch_add(1, Relaxed);
    }

    pub(crate) fn show(&self) -> [u64; 6] {
        [&self.received, &self.sent, &self.failed, &self.unknown, &self.resolved, &self.loops]
            .map(|count| count.load(Relaxed))
    }
}

/// Whether nobody can say if it was sent.
fn is_unknown(event: &CommittedEvent) -> bool {
    event.data.get().contains(MAY_HAVE_BEEN_HANDED_OVER)
}
