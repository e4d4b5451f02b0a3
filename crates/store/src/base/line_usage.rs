//! How lines are used: what a transaction counts of it, and how it is dated.

use switchboard_model::{
    Line, Timestamp,
    id::Id,
    line::{SILENT_MS, UNANSWERED},
};

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// How long the days are kept.
pub(crate) const KEPT_DAYS: i64 = 31;
/// As far as contacts who do not answer are counted, of one line.
pub(crate) const MAX_COUNTED: usize = 1000;
/// Lines that the operator is told of.
pub(crate) const MAX_LINES: usize = 10_000;

/// The messages that a command keeps, counted by line: all of them are written down at its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Vec<(Id<Line>, Counts)>);

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u32,
    pub(crate) received: u32,
    pub(crate) to_silent: u32,
    pub(crate) new_contacts: u32,
}

impl Tally {
    /// One that goes out, to a contact who may be silent.
    pub(crate) fn sent(&mut self, line: Id<Line>, to_silent: bool) {
        let counts = self.of(line);
        counts.sent += 1;
        counts.to_silent += u32::from(to_silent);
    }

    /// One that comes in, perhaps the first of its contact.
    pub(crate) fn received(&mut self, line: Id<Line>, is_new_contact: bool) {
        let counts = self.of(line);
        counts.received += 1;
        counts.new_contacts += u32::from(is_new_contact);
    }

    /// A command is about few lines.
    fn of(&mut self, line: Id<Line>) -> &mut Counts {
        let known = self.0.iter().position(|(id, _)| *id == line);
        let place = known.unwrap_or_else(|| {
            self.0.push((line, Counts::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// What was counted; it begins anew.
    pub(crate) fn take(&mut self) -> Vec<(Id<Line>, Counts)> {
        std::mem::take(&mut self.0)
    }
}

/// Whether nobody in a chat has written to the line for a day. Of one in which somebody had written before that was kept,
/// nobody knows, and it is taken for no.
pub(crate) fn is_silent(
    has_received_inbound: bool,
    last_received_at: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let since = now.0.saturating_sub_unsigned(SILENT_MS);
    last_received_at.map_or(!has_received_inbound, |at| at.0 < since)
}

/// What the statements of the stores have as a number.
const _: () = assert!(UNANSWERED == 5);
