//! How often a line may answer in one chat: what is counted, and when it must rest.

use switchboard_model::{Timestamp, line::LoopLimit};

use crate::Refusal;

/// What is counted of a chat.
pub(crate) struct Run {
    /// Whether what is written now is an answer: the first message since somebody has written.
    pub(crate) is_answer: bool,
    pub(crate) answers: u32,
    pub(crate) from: Timestamp,
}

/// What is counted of it from now on.
pub(crate) struct Counted {
    pub(crate) answers: u32,
    pub(crate) from: Timestamp,
    /// Whether it is the last answer for a while.
    pub(crate) must_rest: bool,
}

impl Run {
    /// Counts what is about to be accepted; nothing if it is no answer. Refuses it while the line must rest.
    pub(crate) fn count(
        self,
        limit: LoopLimit,
        now: Timestamp,
    ) -> Result<Option<Counted>, Refusal> {
        // The clock may have been set back, or another server's be a little behind.
        let is_over = u128::from(self.from.0.abs_diff(now.0)) >= limit.window().as_millis();
        let before = if is_over { 0 } else { self.answers };
        if before >= limit.answers() {
            return Err(Refusal::LoopLimit { limit, until: self.from + limit.window() });
        }
        if !self.is_answer {
            return Ok(None);
        }
        let answers = before + 1;
        let must_rest = answers == limit.answers();
        let from = if before == 0 || must_rest { now } else { self.from };
        Ok(Some(Counted { answers, from, must_rest }))
    }
}
