//! The newest events of an account, in memory: all of them from one place to another.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use switchboard_model::Timestamp;

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
    /// Every event after `floor` and up to `head` is there. None until it is known where to begin.
    places: Option<Places>,
}

#[derive(Debug, Clone, Copy)]
struct Places {
    floor: i64,
    head: i64,
}

impl Recent {
    /// Begins here, unless it has begun already.
    pub(super) fn begin(&mut self, place: i64) {
        self.places.get_or_insert(Places { floor: place, head: place });
    }

    /// Up to where all was read.
    pub(super) fn head(&self) -> Option<i64> {
        self.places.map(|places| places.head)
    }

    /// Whether all that came after this place is here.
    pub(super) fn reaches(&self, place: i64) -> bool {
        self.places.is_some_and(|places| place >= places.floor)
    }

    /// The first event after this place that is wanted.
    pub(super) fn after(
        &self,
        place: i64,
        is_wanted: impl Fn(&Shown) -> bool,
    ) -> Option<&Arc<Shown>> {
        let first = self.events.partition_point(|(_, event)| event.seq <= place);
        self.events.range(first..).map(|(_, event)| event).find(|event| is_wanted(event))
    }

    /// Takes what was read up to this place; `others` is what the other accounts keep. Answers how many bytes
    /// more are kept, or less.
    pub(super) fn push(
        &mut self,
        events: Vec<Arc<Shown>>,
        head: i64,
        now: Timestamp,
        others: usize,
    ) -> isize {
        let before = self.bytes;
        let Some(places) = &mut self.places else { return 0 };
        places.head = places.head.max(head);
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
        if let (Some((_, event)), Some(places)) = (self.events.pop_front(), &mut self.places) {
            self.bytes -= event.len();
            places.floor = event.seq;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use switchboard_model::{EventKind, id::Id};
    use switchboard_store::CommittedEvent;

    use super::*;

    fn event(seq: i64, len: usize) -> Arc<Shown> {
        let data = format!("\"{}\"", "x".repeat(len));
        let event = CommittedEvent {
            seq,
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

    fn after(recent: &Recent, place: i64) -> Option<i64> {
        recent.after(place, |_| true).map(|event| event.seq)
    }

    #[test]
    fn it_reaches_as_far_back_as_it_has_all() {
        let mut recent = Recent::default();
        assert!(!recent.reaches(5));
        recent.begin(5);
        recent.push(vec![event(7, 1), event(9, 1)], 12, Timestamp(0), 0);
        assert!(recent.reaches(5) && !recent.reaches(4));
        assert_eq!(
            [5, 7, 8, 9].map(|place| after(&recent, place)),
            [Some(7), Some(9), Some(9), None]
        );
        assert_eq!(recent.head(), Some(12));
        assert_eq!(recent.after(5, |event| event.seq > 7).map(|event| event.seq), Some(9));
        // What is let go of is reached no more.
        recent.forget_old(Timestamp(31_000));
        assert!(recent.reaches(9) && !recent.reaches(8));
        assert_eq!((recent.bytes(), recent.head()), (0, Some(12)));
    }

    #[test]
    fn it_is_bounded() {
        let mut recent = Recent::default();
        recent.begin(0);
        for seq in 1..3000 {
            recent.push(vec![event(seq, 10)], seq, Timestamp(0), 0);
        }
        assert!(recent.reaches(2999 - 1024) && !recent.reaches(2998 - 1024));
        for seq in 3000..3100 {
            recent.push(vec![event(seq, 100_000)], seq, Timestamp(0), 0);
        }
        assert!(recent.bytes() <= MAX_BYTES && recent.reaches(3090) && !recent.reaches(3080));
        // Where others keep much, only the last is left.
        let less = recent.push(vec![event(3100, 10)], 3100, Timestamp(0), MAX_BYTES_OF_ALL);
        assert!(less < -900_000 && recent.reaches(3099) && !recent.reaches(3098));
    }
}
