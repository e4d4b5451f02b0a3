//! Which events a stream is for.

use switchboard_model::{EventKind, Line, id::Id};

use super::shown::Shown;

/// The kinds and lines that were asked for.
#[derive(Debug)]
pub(crate) struct Filter {
    /// One bit for each kind.
    kinds: u32,
    lines: Option<Box<[Id<Line>]>>,
}

impl Filter {
    pub(crate) fn new(kinds: &[EventKind], lines: Option<Vec<Id<Line>>>) -> Self {
        let kinds = kinds.iter().fold(0, |bits, kind| bits | bit(*kind));
        Self { kinds, lines: lines.map(Vec::into_boxed_slice) }
    }

    pub(super) fn wants(&self, event: &Shown) -> bool {
        self.kinds & bit(event.kind) != 0
            && self.lines.as_ref().is_none_or(|lines| lines.contains(&event.line))
    }
}

fn bit(kind: EventKind) -> u32 {
    1 << kind as u32
}
