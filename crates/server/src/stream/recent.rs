//! The newest events of an account, in memory: all of them from one position to another.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use switchboard_model::Timestamp;
use switchboard_store::EventPosition;

use super::shown::Shown;

/// The most events, and the most bytes of them, that one account has in memory. The last that were read
/// are there however many they are: one read is bounded.
const MAX_EVENTS: usize = 1024;
const MAX_BYTES: usize = 1024 * 1024;
/// The most bytes that all accounts have in memory; past that, each keeps only what it has read last.
pub(super) const MAX_BYTES_OF_ALL: usize = 64 * 1024 * 1024;
/// How long an event is there: whoever has not taken it by then is slow, and reads for itself.
const KEPT: Duration = Duration::from_secs(30);

/// What an account has in memory.
#[derive(Debug, Default)]
pub(super) struct Recent {
    events: VecDeque<(Timestamp, Arc<Shown>)>,
    bytes: usize,
    /// None until it is known where to begin.
    span: Option<Span>,
}

/// Every event after `floor` and up to `head`.
#[derive(Debug, Clone, Copy)]
struct Span {
    floor: EventPosition,
    head: EventPosition,
}

impl Recent {
    /// Begins here, unless it has begun already.
    pub(super) fn begin(&mut self, position: EventPosition) {
        self.span.get_or_insert(Span { floor: position, head: position });
    }

    /// Up to where all was read.
    pub(super) fn head(&self) -> Option<EventPosition> {
        self.span.map(|span| span.head)
    }

    /// Whether all that came after this position is here.
    pub(super) fn reaches(&self, position: EventPosition) -> bool {
        self.span.is_some_and(|span| position >= span.floor)
    }

    /// The first event after this position that is wanted.
    pub(super) fn after(
        &self,
        position: EventPosition,
        is_wanted: impl Fn(&Shown) -> bool,
    ) -> Option<&Arc<Shown>> {
        let first = self.events.partition_point(|(_, event)| event.position <= position);
        self.events.range(first..).map(|(_, event)| event).find(|event| is_wanted(event))
    }

    /// Takes what was read up to this position; `others` is what the other accounts keep. Answers how many bytes
    /// more are kept, or less.
    pub(super) fn push(
        &mut self,
        events: Vec<Arc<Shown>>,
        head: EventPosition,
        now: Timestamp,
        others: usize,
    ) -> isize {
        let before = self.bytes;
        let Some(span) = &mut self.span else { return 0 };
        span.head = span.head.max(head);
        let new = events.len();
        for event in events {
            self.bytes += event.len();
            self.events.push_back((now, event));
        }
        while self.events.len() > new
            && (self.events.len() > MAX_EVENTS
                || self.bytes > MAX_BYTES
                || others.saturating_add(self.bytes) > MAX_BYTES_OF_ALL)
        {
            self.pop();
        }
        self.bytes.cast_signed() - before.cast_signed()
    }

    /// Lets go of what is old. Answers as [`Self::push`].
    pub(super) fn forget_old(&mut self, now: Timestamp) -> isize {
        let before = self.bytes;
        while self.events.front().is_some_and(|(at, _)| now.since(*at) > KEPT) {
            self.pop();
        }
        self.bytes.cast_signed() - before.cast_signed()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn pop(&mut self) {
        if let (Some((_, event)), Some(span)) = (self.events.pop_front(), &mut self.span) {
            self.bytes -= event.len();
            span.floor = event.position;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use switchboard_model::{EventKind, id::Id};
    use switchboard_store::{CommittedEvent, EventPosition};

    use super::*;

    fn at(seq: i64) -> EventPosition {
        EventPosition::parse(&seq.to_string()).unwrap()
    }

    fn event(seq: i64, len: usize) -> Arc<Shown> {
        let data = format!("\"{}\"", "x".repeat(len));
        let event = CommittedEvent {
            position: at(seq),
            id: Id::generate(),
            account_id: Id::generate(),
            line_id: Id::generate(),
            chat_id: None,
            kind: EventKind::MessageSent,
            data: Arc::from(RawValue::from_string(data).unwrap()),
            created_at: Timestamp(0),
        };
        Arc::new(Shown::fixed(event))
    }

    fn after(recent: &Recent, seq: i64) -> Option<EventPosition> {
        recent.after(at(seq), |_| true).map(|event| event.position)
    }

    #[test]
    fn it_reaches_as_far_back_as_it_has_all() {
        let mut recent = Recent::default();
        assert!(!recent.reaches(at(5)));
        recent.begin(at(5));
        recent.push(vec![event(7, 1), event(9, 1)], at(12), Timestamp(0), 0);
        assert!(recent.reaches(at(5)) && !recent.reaches(at(4)));
        assert_eq!(
            [5, 7, 8, 9].map(|seq| after(&recent, seq)),
            [Some(at(7)), Some(at(9)), Some(at(9)), None]
        );
        assert_eq!(recent.head(), Some(at(12)));
        assert_eq!(
            recent.after(at(5), |event| event.position > at(7)).map(|event| event.position),
            Some(at(9))
        );
        // What is let go of is reached no more.
        recent.forget_old(Timestamp(31_000));
        assert!(recent.reaches(at(9)) && !recent.reaches(at(8)));
        assert_eq!((recent.bytes(), recent.head()), (0, Some(at(12))));
    }

    #[test]
    fn it_is_bounded() {
        let mut recent = Recent::default();
        recent.begin(at(0));
        for seq in 1..3000 {
            recent.push(vec![event(seq, 10)], at(seq), Timestamp(0), 0);
        }
        assert!(recent.reaches(at(2999 - 1024)) && !recent.reaches(at(2998 - 1024)));
        for seq in 3000..3100 {
            recent.push(vec![event(seq, 100_000)], at(seq), Timestamp(0), 0);
        }
        assert!(
            recent.bytes() <= MAX_BYTES && recent.reaches(at(3090)) && !recent.reaches(at(3080))
        );
        // Where others keep much, only the last is left.
        let less = recent.push(vec![event(3100, 10)], at(3100), Timestamp(0), MAX_BYTES_OF_ALL);
        assert!(less < -900_000 && recent.reaches(at(3099)) && !recent.reaches(at(3098)));
    }
}
