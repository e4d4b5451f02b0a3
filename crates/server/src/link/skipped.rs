//! What bridges say and this release can't read: it is passed over, and counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So much of each since the process began.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    frames: AtomicU64,
    entries: AtomicU64,
    reports: AtomicU64,
    capabilities: AtomicU64,
}

/// What can be passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// A frame of a kind that is not known.
    Frame,
    /// Something that happened on a line's phone.
    Entry,
    /// What came of an item, or the answer to `reconcile`.
    Report,
    /// A capability, or the reason why a line is not there.
    Capability,
}

impl Skipped {
    /// So many more.
    pub(super) fn note(&self, what: Skip, count: usize) {
        let counter = match what {
            Skip::Frame => &self.frames,
            Skip::Entry => &self.entries,
            Skip::Report => &self.reports,
            Skip::Capability => &self.capabilities,
        };
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
    }

    /// All of them, by name.
    pub(crate) fn show(&self) -> [(&'static str, u64); 4] {
        [
            ("frame", &self.frames),
            ("entry", &self.entries),
            ("report", &self.reports),
            ("capability", &self.capabilities),
        ]
        .map(|(what, count)| (what, count.load(Relaxed)))
    }
}
